/**
 * The daemons an operator speaks to, each under a name: `contexts.json`, which has their tokens and is therefore for its
 * owner alone.
 */
import { readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import { InputError } from '../command.ts'

export interface Context {
  readonly url: string
  readonly token: string | null
  /** PEM; null where the system knows the CA. */
  readonly ca: string | null
  /** SHA-256 of the daemon's certificate, hex. */
  readonly fingerprint: string | null
  /** Account of new objects, and of lists, where the command names none. */
  readonly accountId: string | null
}

export interface Contexts {
  /** null where none was chosen. */
  readonly current: string | null
  readonly byName: ReadonlyMap<string, Context>
}

type Environment = Readonly<Record<string, string | undefined>>

/** `$XDG_CONFIG_HOME/ringwall/contexts.json`; a relative XDG_CONFIG_HOME is passed over, as its specification asks. */
export function contextsPath(env: Environment): string {
  const { XDG_CONFIG_HOME: folder = '' } = env
  return join(isAbsolute(folder) ? folder : join(env.HOME || homedir(), '.config'), 'ringwall', 'contexts.json')
}

/** @throws {InputError} if the file is not as `writeContexts` leaves it */
export async function readContexts(path: string): Promise<Contexts> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: null, byName: new Map() }
    throw new InputError([`Cannot read contexts "${path}": ${(error as Error).message}`])
  }
  const contexts = parseContexts(text)
  if (contexts === null) {
    throw new InputError([
      `Cannot read contexts "${path}": expected what "ringwall context add" writes; move the file away and add them again`,
    ])
  }
  return contexts
}

/** Whether others than its owner may read the tokens. False where there is no file. */
export async function isReadByOthers(path: string): Promise<boolean> {
  try {
    return ((await stat(path)).mode & 0o077) !== 0
  } catch {
    return false
  }
}

export async function writeContexts(path: string, { current, byName }: Contexts): Promise<void> {
  await makeFolder(dirname(path))
  const document = { current, contexts: Object.fromEntries(byName) }
  await writeAtomically(path, `${JSON.stringify(document, null, 2)}\n`)
}

function parseContexts(text: string): Contexts | null {
  try {
    const { current, contexts } = JSON.parse(text) as { current: unknown; contexts: unknown }
    if (typeof contexts !== 'object' || contexts === null) return null
    const byName = new Map(Object.entries(contexts as Record<string, Context>))
    const isSound = [...byName.values()].every(
      ({ url, token, ca, fingerprint, accountId }) =>
        typeof url === 'string' &&
        [token, ca, fingerprint, accountId].every(each => each === null || typeof each === 'string'),
    )
    return isSound ? { current: typeof current === 'string' ? current : null, byName } : null
  } catch {
    return null
  }
}
