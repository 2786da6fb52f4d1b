/**
 * The program as packages hold it, for tests that start it: a command of it starts in a third of the time that it takes
 * from the sources, and it is what users have. Made again only where the sources are not what they were.
 *
 * Usage: program.ts  prints the path of its `ringwall`
 */
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const project = join(import.meta.dirname, '../..')
const programs = join(project, 'node_modules/.cache/test-program')
const launcher = 'systemd/debian/launcher.sh'
const sources = [
  '{agent,cli,common,daemon,data,lab,rules-compiler,scripts/package,wire}/**/*',
  launcher,
  'package.json',
  'package-lock.json',
]
const keptMs = 24 * 60 * 60_000

if (import.meta.main) console.log(join(await makeProgram(), 'ringwall'))

/** @returns the folder of it: `ringwall`, and what is beside it (scripts/package/bundle.ts) */
export async function makeProgram(): Promise<string> {
  const folder = join(programs, keyOfSources())
  if (existsSync(folder)) return folder
  await mkdir(programs, { recursive: true })
  await removeOld()
  const made = await mkdtemp(join(programs, 'new-'))
  // For users other than root too.
  await chmod(made, 0o755)
  const { version } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8')) as { version: string }
  const { bundle } = await import('../../scripts/package/bundle.ts')
  await bundle(project, made, version)
  await writeFile(join(made, 'ringwall'), launcherText(process.execPath, folder), { mode: 0o755 })
  try {
    await rename(made, folder)
  } catch (error) {
    // Another run was faster.
    if (!existsSync(folder)) throw error
    await rm(made, { recursive: true })
  }
  return folder
}

/** The text of `ringwall`, for a program in that folder. */
export function launcherText(node: string, folder: string): string {
  return `#!/bin/sh\nnode='${node}'\nlib='${folder}/lib'\n${readFileSync(join(project, launcher), 'utf8')}`
}

function keyOfSources(): string {
  const files = sources.flatMap(pattern => globSync(pattern, { cwd: project })).sort()
  const hash = createHash('sha256')
  for (const file of files) {
    const { size, mtimeMs } = statSync(join(project, file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex').slice(0, 16)
}

/** Those of sources that are no more; one that a run may still use is younger. Another run may do the same, or rename its own. */
async function removeOld(): Promise<void> {
  for (const name of await readdir(programs)) {
    const folder = join(programs, name)
    const made = statSync(folder, { throwIfNoEntry: false })
    if (made !== undefined && Date.now() - made.mtimeMs > keptMs) await rm(folder, { recursive: true, force: true })
  }
}
