/** Notifications that were given up, with the reason: JSON, one object a line, in files of bounded size. */
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { handToOwner, makeFolder } from '../files.ts'
import type { Notification } from './notification.ts'

export interface DeadLetter {
  readonly time: string
  readonly way: string
  readonly reason: string
  readonly attempts: number
  readonly notification: Notification
}

export const deadLettersFile = 'dead-letters.jsonl'
/** There is one older file, `dead-letters.jsonl.1`. */
export const maxDeadLetterBytes = 1024 * 1024

export class DeadLetters {
  readonly #folder: string
  readonly #maxBytes: number
  #writing: Promise<unknown> = Promise.resolve()

  constructor(folder: string, maxBytes = maxDeadLetterBytes) {
    this.#folder = folder
    this.#maxBytes = maxBytes
  }

  /** One after the other. @throws {NodeJS.ErrnoException} where the disk refuses */
  add(letter: DeadLetter): Promise<void> {
    const written = this.#writing.then(() => this.#append(Buffer.from(`${JSON.stringify(letter)}\n`)))
    this.#writing = written.catch(() => {})
    return written
  }

  async #append(line: Buffer): Promise<void> {
    await makeFolder(this.#folder)
    const path = join(this.#folder, deadLettersFile)
    const file = await open(path, 'a+', 0o600)
    let isFull = false
    try {
      await handToOwner(file, this.#folder)
      const { size } = await file.stat()
      isFull = size > 0 && size + line.length > this.#maxBytes
      if (!isFull) {
        const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
        // A line that a full disk or a kill has cut ends here.
        const isTorn = size > 0 && buffer.toString() !== '\n'
        await file.appendFile(isTorn ? Buffer.concat([Buffer.from('\n'), line]) : line)
        await file.sync()
      }
    } finally {
      await file.close()
    }
    if (!isFull) return
    await rename(path, `${path}.1`)
    await this.#append(line)
  }
}
