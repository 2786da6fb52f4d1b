/** What the guard has on disk, so that an agent that is killed during a trial finds out when it starts again. */
import { createHash } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { listOf, number, objectOf, ofFirstFormat, oneOf, orNull, readJsonWith, text, truth } from '../link/shape.ts'

export interface KeptGuard {
  /** Under way. */
  readonly trial: KeptTrial | null
  /** Taken back. */
  readonly refused: KeptRefusal | null
}

export interface KeptTrial {
  readonly fingerprint: string
  readonly cuts: readonly string[]
  /** What stood before: `policy` is the last good one on disk, `table` one that is in `table`. */
  readonly before: 'nothing' | 'policy' | 'table'
  /** As nft listed it, JSON. */
  readonly table: string | null
  /** It may well fail: then it does not outlive the agent. */
  readonly isRisky: boolean
}

export interface KeptRefusal {
  readonly fingerprint: string
  /** What it would cut, in words; sorted. */
  readonly cuts: readonly string[]
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly atMs: number
}

const fileName = 'guard.json'

const read = ofFirstFormat(
  objectOf<KeptGuard>({
    trial: orNull(
      objectOf<KeptTrial>({
        fingerprint: text,
        cuts: listOf(text),
        before: oneOf(['nothing', 'policy', 'table']),
        table: orNull(text),
        isRisky: truth,
      }),
    ),
    refused: orNull(objectOf<KeptRefusal>({ fingerprint: text, cuts: listOf(text), reason: text, atMs: number })),
  }),
)

const nothing: KeptGuard = { trial: null, refused: null }

/** A file that is damaged is set aside. */
export async function readKeptGuard(folder: string, log: Logger): Promise<KeptGuard> {
  const path = join(folder, fileName)
  const json = await readFile(path, 'utf8').catch(() => null)
  if (json === null) return nothing
  const result = readJsonWith(read, json)
  if ('value' in result) return result.value
  log.warn({ path, reason: result.fault }, 'what the guard has kept on disk cannot be read and is set aside')
  await rename(path, `${path}.bad`).catch(() => {})
  return nothing
}

/** @throws {Error} if the disk refuses; what was there before stays whole */
export async function writeKeptGuard(folder: string, kept: KeptGuard): Promise<void> {
  await makeFolder(folder)
  await writeAtomically(join(folder, fileName), `${JSON.stringify(kept)}\n`)
}

/** The same for two policies that judge alike. */
export function fingerprintOf({ enis, groups, sessionTimeoutSeconds, revocation }: PolicyIr): string {
  const judges = { enis, groups: [...groups], sessionTimeoutSeconds, revocation }
  const said = JSON.stringify(judges, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
  return createHash('sha256').update(said).digest('hex')
}
