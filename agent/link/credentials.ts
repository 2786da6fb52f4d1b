/** What an enrolled agent is known by: one file, so that key and certificate are never of two minds. */
import { access, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import { objectOf, ofFirstFormat, readJsonWith, text } from './shape.ts'

export interface Credentials {
  /** `https://HOST:PORT` of the daemon's listener for agents. */
  readonly daemonUrl: string
  readonly agentId: string
  /** PKCS#8, PEM. */
  readonly privateKey: string
  /** PEM. */
  readonly certificate: string
  readonly caCertificate: string
}

export const defaultStateDir = '/var/lib/ringwall'

const fileName = 'credentials.json'

const readCredentialsShape = ofFirstFormat(
  objectOf<Credentials>({
    daemonUrl: text,
    agentId: text,
    privateKey: text,
    certificate: text,
    caCertificate: text,
  }),
)

/** What stands there are no credentials, and will not become any by itself. */
export class CredentialsError extends Error {}

/**
 * @returns null where this host has not joined a daemon
 * @throws {CredentialsError} if the file holds something else
 * @throws {Error} if it cannot be read
 */
export async function readCredentials(stateDir: string): Promise<Credentials | null> {
  const path = join(stateDir, fileName)
  let json: string
  try {
    json = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new Error(`Cannot read credentials "${path}": ${(cause as Error).message}`, { cause })
  }
  const read = readJsonWith(readCredentialsShape, json)
  if ('fault' in read) {
    throw new CredentialsError(`Cannot read credentials "${path}": join the daemon again (${read.fault})`)
  }
  return read.value
}

/** @throws {Error} if the disk refuses; the credentials before stay whole then */
export async function writeCredentials(stateDir: string, credentials: Credentials): Promise<void> {
  await makeFolder(stateDir)
  await writeAtomically(join(stateDir, fileName), `${JSON.stringify(credentials, null, 2)}\n`)
}

/** @throws {Error} if nothing can be written there: found out before a token is spent */
export async function assertWritable(stateDir: string): Promise<void> {
  await makeFolder(stateDir)
  await writeAtomically(join(stateDir, '.writable'), '')
  await rm(join(stateDir, '.writable'))
}

export async function hasCredentials(stateDir: string): Promise<boolean> {
  return access(join(stateDir, fileName)).then(
    () => true,
    () => false,
  )
}

/** @returns whether there were any */
export async function removeCredentials(stateDir: string): Promise<boolean> {
  const had = await hasCredentials(stateDir)
  await rm(join(stateDir, fileName), { force: true })
  return had
}
