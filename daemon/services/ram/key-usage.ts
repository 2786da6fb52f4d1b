/**
 * When each access key was used last. Kept beside the store, not in it: it changes with every request, and losing a
 * minute of it harms nobody.
 */
import { readFile } from 'node:fs/promises'
import { writeAtomically } from '../../../common/files.ts'
import type { Logger } from '../../../common/log.ts'
import { isRecord } from '../../../rules-compiler/nft/canonical.ts'

export interface KeyUse {
  readonly atMs: number
  readonly sourceAddress: string
}

const writeEveryMs = 60_000

export class KeyUsage {
  readonly #path: string | null
  readonly #log: Logger
  readonly #uses: Map<string, KeyUse>
  #isWritten = true
  #hasFailed = false
  readonly #timer: NodeJS.Timeout

  private constructor(path: string | null, log: Logger, uses: Map<string, KeyUse>) {
    this.#path = path
    this.#log = log
    this.#uses = uses
    this.#timer = setInterval(() => void this.write(), writeEveryMs)
    this.#timer.unref()
  }

  /** @param path  null keeps nothing beyond the process */
  static async open(path: string | null, log: Logger): Promise<KeyUsage> {
    return new KeyUsage(path, log, path === null ? new Map() : await readUses(path, log))
  }

  note(accessKeyId: string, use: KeyUse): void {
    this.#uses.set(accessKeyId, use)
    this.#isWritten = false
  }

  of(accessKeyId: string): KeyUse | undefined {
    return this.#uses.get(accessKeyId)
  }

  /** Keys that are gone are forgotten. */
  retain(isThere: (accessKeyId: string) => boolean): void {
    for (const id of this.#uses.keys()) if (!isThere(id)) this.#uses.delete(id)
  }

  async write(): Promise<void> {
    if (this.#path === null || this.#isWritten) return
    this.#isWritten = true
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
