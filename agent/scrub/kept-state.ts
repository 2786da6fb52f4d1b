/**
 * What the scrubber has on disk, to go on from after a restart: one file, whole before it takes its name. A disk that
 * refuses keeps nothing from being scrubbed.
 */
import { readFileSync } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import {
  count,
  listOf,
  number,
  objectOf,
  ofFirstFormat,
  orNull,
  type Reader,
  readJsonWith,
  refuse,
  text,
} from '../link/shape.ts'
import type { KeptReading, KeptTable } from './table.ts'

export interface KeptScrub {
  /** Of another boot, the kernel has nothing of it and the monotonic clock says nothing. */
  readonly bootId: string
  /** Null where it is not known what stands in the kernel. */
  readonly table: KeptTable | null
  /** States, as decide.ts has them. */
  readonly instances: readonly unknown[]
}

const fileName = 'ddos.json'
const format = 1

const amount: Reader<KeptReading['counters'][number]> = value => {
  const [name, ...numbers] = listOf<unknown>(each => each)(value)
  if (typeof name !== 'string' || numbers.length !== 4) return refuse('a counter')
  const [packets = 0, bytes = 0, gonePackets = 0, goneBytes = 0] = numbers.map(count)
  return [name, packets, bytes, gonePackets, goneBytes]
}

const readTable = objectOf<KeptTable>({
  rulesetHash: text,
  fingerprint: text,
  reading: orNull(objectOf<KeptReading>({ takenAtMs: number, counters: listOf(amount) })),
})

const readFileOfScrub = ofFirstFormat(
  objectOf<KeptScrub>({ bootId: text, table: orNull(readTable), instances: listOf<unknown>(value => value) }),
)

/** Of this boot (random(4)); another value each time where it cannot be read, which is never the same boot. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `unknown at ${Date.now()}`
  }
}

export class KeptState {
  readonly #path: string
  readonly #folder: string
  readonly #log: Logger
  #next: KeptScrub | null = null
  #writing: Promise<void> | null = null
  #problem: string | null = null

  constructor(folder: string, log: Logger) {
    this.#folder = folder
    this.#path = join(folder, fileName)
    this.#log = log
  }

  /** Why the disk has not the latest; null while it has. */
  get problem(): string | null {
    return this.#problem
  }

  /** Never throws: what is damaged is set aside, and there is nothing then. */
  async read(): Promise<KeptScrub | null> {
    let json: string
    try {
      json = await readFile(this.#path, 'utf8')
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT') this.#sayUnreadable(message)
      return null
    }
    const read = readJsonWith(readFileOfScrub, json)
    if ('value' in read) return read.value
    this.#sayUnreadable(read.fault)
    await rename(this.#path, `${this.#path}.bad`).catch(() => {})
    return null
  }

  /** Of several given while one is written, the last is written. Resolves when it is on disk, or the disk has refused. */
  async write(kept: KeptScrub): Promise<void> {
    this.#next = kept
    while (this.#next !== null) {
      this.#writing ??= this.#writeNext().finally(() => {
        this.#writing = null
      })
      await this.#writing
    }
    await this.#writing
  }

  #sayUnreadable(reason: string): void {
    this.#log.warn(
      { path: this.#path, reason },
      'the state of traffic scrubbing on disk cannot be read and is set aside; attacks under way become new events',
    )
  }

  async #writeNext(): Promise<void> {
    const kept = this.#next
    this.#next = null
    try {
      await makeFolder(this.#folder)
      await writeAtomically(this.#path, `${JSON.stringify({ format, ...kept })}\n`)
      this.#problem = null
    } catch (error) {
      if (this.#problem === null) {
        this.#log.error({ error }, 'cannot keep the state of traffic scrubbing on disk; scrubbing goes on')
      }
      this.#problem = error instanceof Error ? error.message : String(error)
    }
  }
}
