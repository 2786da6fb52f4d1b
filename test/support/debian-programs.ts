/**
 * Programs of Debian packages that are not installed, because a service would start: `scripts/setup.sh test` has them
 * unpacked beside the modules of npm.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const cache = join(import.meta.dirname, '../../node_modules/.cache/debian')
const libraries = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'

export interface DebianProgram {
  /** The program, with what it needs in front: `['env', 'LD_LIBRARY_PATH=…', '…/bird']`. */
  readonly command: readonly string[]
  /** As node:test's `skip` option wants it: false, or the reason to skip. */
  readonly skip: string | false
}

/** @param path  of the program below /, `usr/sbin/bird`. One that is installed is taken first. */
export function debianProgram(debianPackage: string, path: string): DebianProgram {
  const root = join(cache, debianPackage)
  if (existsSync(join('/', path))) return { command: [join('/', path)], skip: false }
  const command = ['env', `LD_LIBRARY_PATH=${join(root, 'usr/lib', libraries)}`, join(root, path)]
  return { command, skip: reason(debianPackage, command) }
}

/** A program of Python's, run by its module. */
export function pythonProgram(debianPackage: string, module: string): DebianProgram {
  const modules = join(cache, debianPackage, 'usr/lib/python3/dist-packages')
  const command = ['env', `PYTHONPATH=${modules}`, 'PYTHONDONTWRITEBYTECODE=1', 'python3', '-m', module]
  return { command, skip: reason(debianPackage, command) }
}

function reason(debianPackage: string, command: readonly string[]): string | false {
  try {
    const [program = '', ...args] = command
    execFileSync(program, [...args, '--version'], { stdio: 'pipe' })
    return false
  } catch (error) {
    return `needs Debian package ${debianPackage} (scripts/setup.sh test fetches it): ${(error as Error).message}`
  }
}
