/**
 * When each access key was used last. Kept beside the store, not in it: it changes with every request, and losing a
 * minute of it harms nobody.
 */
import { readFile } from 'node:fs/promises'
import { writeAtomically } from '../../../common/files.ts'
import type { Logger } from '../../../common/log.ts'
import { isRecord } from '../../../rules-compiler/validate/is-record.ts'

export interface KeyUse {
  readonly atMs: number
  readonly sourceAddress: string
}

export interface KeyUsageOptions {
  /** Null keeps nothing beyond the process. */
  readonly path: string | null
  readonly log: Logger
  /** Keys that are not any more are forgotten. */
  readonly isThere: (accessKeyId: string) => boolean
}

const writeEveryMs = 60_000

export class KeyUsage {
  readonly #path: string | null
  readonly #log: Logger
  readonly #isThere: (accessKeyId: string) => boolean
  readonly #uses: Map<string, KeyUse>
  #isWritten = true
  #hasFailed = false
  readonly #timer: NodeJS.Timeout

  private constructor({ path, log, isThere }: KeyUsageOptions, uses: Map<string, KeyUse>) {
    this.#path = path
    this.#log = log
    this.#isThere = isThere
    this.#uses = uses
    this.#timer = setInterval(() => void this.write(), writeEveryMs)
    this.#timer.unref()
  }

  static async open(options: KeyUsageOptions): Promise<KeyUsage> {
    const { path, log } = options
    return new KeyUsage(options, path === null ? new Map() : await readUses(path, log))
  }

  note(accessKeyId: string, use: KeyUse): void {
    this.#uses.set(accessKeyId, use)
    this.#isWritten = false
  }

  of(accessKeyId: string): KeyUse | undefined {
    return this.#uses.get(accessKeyId)
  }

  async write(): Promise<void> {
    if (this.#path === null || this.#isWritten) return
    this.#isWritten = true
    for (const id of this.#uses.keys()) if (!this.#isThere(id)) this.#uses.delete(id)
    try {
      await writeAtomically(this.#path, JSON.stringify(Object.fromEntries(this.#uses)))
      this.#hasFailed = false
    } catch (error) {
      this.#isWritten = false
      if (!this.#hasFailed) this.#log.error({ error }, 'cannot keep when access keys were used last; it is tried again')
      this.#hasFailed = true
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.write()
  }
}

async function readUses(path: string, log: Logger): Promise<Map<string, KeyUse>> {
  try {
    const read: unknown = JSON.parse(await readFile(path, 'utf8'))
    return new Map(
      Object.entries(isRecord(read) ? read : {}).filter((entry): entry is [string, KeyUse] => isUse(entry[1])),
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn({ error }, 'when access keys were used last cannot be read; it begins anew')
    }
    return new Map()
  }
}

function isUse(value: unknown): boolean {
  return isRecord(value) && typeof value.atMs === 'number' && typeof value.sourceAddress === 'string'
}
