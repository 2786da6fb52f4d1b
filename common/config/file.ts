/** The file of a service: its text, what stands in it, and where. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Problem } from '../../rules-compiler/validate/problem.ts'
import { fieldLines, readText } from '../../rules-compiler/validate/read-text.ts'
import { Report } from '../../rules-compiler/validate/report.ts'

/** Some thousand times what all settings take. */
export const maxFileBytes = 1024 * 1024

export interface ConfigFile {
  readonly path: string
  /** As it stands in the file, by key. */
  readonly values: Readonly<Record<string, unknown>>
  /** The line of a key or of an item of its list, `rescuePort[1]`; null where it cannot be told. */
  readonly lineOf: (path: string) => number | null
}

export type FileReading =
  | { readonly kind: 'read'; readonly file: ConfigFile }
  | { readonly kind: 'missing' }
  | { readonly kind: 'faulty'; readonly faults: readonly string[] }

/** A file of comments alone is one without settings. */
export async function readConfigFile(path: string): Promise<FileReading> {
  let text: string
  try {
    text = await readSmallFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? { kind: 'missing' } : faulty([`${path} cannot be read: ${reasonOf(error as Error)}`])
  }
  const report = new Report()
  const value = readText(text, report) ?? {}
  if (report.problems.length > 0) return faulty(report.problems.map(problem => faultOfSyntax(path, problem)))
  if (typeof value !== 'object' || Array.isArray(value)) {
    return faulty([`${path} holds no settings: expected lines such as "logLevel: info"`])
  }
  const lines = fieldLines(text)
  const lineOf = (field: string) => lines.get(field) ?? null
  return { kind: 'read', file: { path, values: value as Record<string, unknown>, lineOf } }
}

function faulty(faults: readonly string[]): FileReading {
  return { kind: 'faulty', faults }
}

function faultOfSyntax(file: string, { path, message }: Problem): string {
  const [, line, column] = /^line (\d+), column (\d+)$/.exec(path) ?? []
  const place = line === undefined ? file : `${file}:${line}:${column}`
  return `${place} ${message.charAt(0).toLowerCase()}${message.slice(1)}`
}

/** Opened without waiting: a pipe that nobody writes to must not hold up the start. */
async function readSmallFile(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const facts = await handle.stat()
    if (facts.isDirectory()) throw new Error('it is a directory')
    if (!facts.isFile()) throw new Error('expected a plain file')
    if (facts.size > maxFileBytes) throw new Error(`it has ${facts.size} bytes, expected ${maxFileBytes} at most`)
    return new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile())
  } finally {
    await handle.close()
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOTDIR: 'what should be a directory on the way to it is a file',
  ELOOP: 'its symbolic links lead in a circle',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
}

function reasonOf(error: NodeJS.ErrnoException): string {
  return reasons[error.code ?? ''] ?? error.message
}
