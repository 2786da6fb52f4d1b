/**
 * The file for shipping: a JSON object a line, appended. Lines wait in memory while the disk is slow, up to a limit; a
 * disk that refuses costs those lines and nothing else, and is tried again with what comes next.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { Logger } from '../../common/log.ts'

export interface LogFileOptions {
  readonly path: string
  readonly log: Logger
  /** So many lines are not in the file. */
  readonly onLost: (lines: number) => void
}

const mostWaitingBytes = 1024 * 1024
/** A disk that refuses is not asked for every line. */
const retryMs = 1_000

export class LogFile {
  readonly #options: LogFileOptions
  #waiting: string[] = []
  #waitingBytes = 0
  #file: FileHandle | null = null
  #reopens = false
  #working: Promise<void> | null = null
  #refusedAtMs = Number.NEGATIVE_INFINITY
  #problem: string | null = null

  constructor(options: LogFileOptions) {
    this.#options = options
  }

  get path(): string {
    return this.#options.path
  }

  /** Why lines are not written; null where they are. */
  get problem(): string | null {
    return this.#problem
  }

  append(line: string): void {
    const isResting = this.#problem !== null && performance.now() - this.#refusedAtMs < retryMs
    if (isResting || this.#waitingBytes > mostWaitingBytes) {
      this.#options.onLost(1)
      return
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length + 1
    this.#work()
  }

  /** The file has been renamed, by logrotate say: what comes from now on goes to a new one of its name. */
  reopen(): void {
    this.#reopens = true
    this.#work()
  }

  /** What waits is written before, if the disk takes it. */
  async close(): Promise<void> {
    while (this.#working !== null) await this.#working
    await this.#closeFile()
  }

  #work(): void {
    this.#working ??= this.#writeAll().finally(() => {
      this.#working = null
    })
  }

  async #writeAll(): Promise<void> {
    // All that comes in one turn is one write.
    await null
    while (this.#waiting.length > 0 || this.#reopens) {
      if (this.#reopens) {
        this.#reopens = false
        await this.#closeFile()
      }
      const lines = this.#waiting
      this.#waiting = []
      this.#waitingBytes = 0
      if (lines.length > 0) await this.#write(lines)
    }
  }

  async #write(lines: readonly string[]): Promise<void> {
    const { path, log, onLost } = this.#options
    try {
      this.#file ??= await open(path, 'a', 0o640)
      await appendWhole(this.#file, Buffer.from(`${lines.join('\n')}\n`))
      if (this.#problem !== null) log.info({ path }, 'records of packets are written to the file again')
      this.#problem = null
    } catch (error) {
      onLost(lines.length)
      if (this.#problem === null) {
        log.error({ path, error }, 'cannot write records of packets to the file; nothing else waits for it')
      }
      this.#problem = (error as Error).message
      this.#refusedAtMs = performance.now()
      await this.#closeFile()
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close().catch(() => {})
  }
}

/** What a full disk has taken of it is taken back, so that no line is torn. */
async function appendWhole(file: FileHandle, bytes: Buffer): Promise<void> {
  const stat = await file.stat()
  try {
    for (let written = 0; written < bytes.length; ) {
      written += (await file.write(bytes, written)).bytesWritten
    }
  } catch (error) {
    if (stat.isFile()) await file.truncate(stat.size).catch(() => {})
    throw error
  }
}
