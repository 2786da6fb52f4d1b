/** Appends whole lines to the current file, or nothing of them; begins a new file when one is full. */
import { type FileHandle, open } from 'node:fs/promises'
import { linesBackwards } from './backwards.ts'
import { parseLine } from './event.ts'
import { listFiles, openToRead, rotate } from './files.ts'

export interface WriterOptions {
  /** Of the current file, in a folder that exists. */
  readonly path: string
  /** No file grows beyond it, unless what is written at once is larger. */
  readonly maxBytes: number
  /** Files there are besides the one that is written. */
  readonly keptFiles: number
}

export interface LastState {
  /** Of the last line; 0 where there is none. */
  readonly revision: number
  /** What was done about a line that was written half when the daemon was killed; null: there was none. */
  readonly repair: 'cut' | 'completed' | null
}

export class AuditWriter {
  readonly #options: WriterOptions
  #file: FileHandle | null = null
  /** What stands there whole. */
  #size = 0
  /** Something may stand behind that. */
  #isTorn = false
  /** The last line lacks its line break. */
  #lacksBreak = false

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /**
   * To be called once, before anything is written.
   * @throws {NodeJS.ErrnoException} where the folder cannot be read
   */
  async begin(): Promise<LastState> {
    const repair = await this.#lookAtEnd()
    return { revision: await this.#lastRevision(), repair }
  }

  /** @throws {NodeJS.ErrnoException} nothing of the lines stands there then, or will be taken away before the next */
  async append(lines: string): Promise<void> {
    const bytes = Buffer.from(this.#lacksBreak ? `\n${lines}` : lines)
    await this.#mend()
    if (this.#size > 0 && this.#size + bytes.length > this.#options.maxBytes) {
      await this.close()
      await rotate(this.#options.path, this.#options.keptFiles)
      this.#size = 0
      this.#lacksBreak = false
      return this.append(lines)
    }
    const file = await this.#open()
    this.#isTorn = true
    for (let written = 0; written < bytes.length; ) {
      written += (await file.write(bytes, written, bytes.length - written)).bytesWritten
    }
    this.#isTorn = false
    this.#lacksBreak = false
    this.#size += bytes.length
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close()
  }

  /** Cutting needs no space. */
  async #mend(): Promise<void> {
    if (!this.#isTorn) return
    const file = await this.#open()
    await file.truncate(this.#size)
    this.#isTorn = false
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.#options.path, 'a', 0o600)
    return this.#file
  }

  async #lookAtEnd(): Promise<LastState['repair']> {
    await using current = await openToRead(this.#options.path)
    if (current === null || current.size === 0) return null
    const { handle, size } = current
    this.#size = size
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
    if (buffer.toString() === '\n') return null
    for await (const { text, start } of linesBackwards(handle, size)) {
      if (parseLine(text) !== null) {
        this.#lacksBreak = true
        return 'completed'
      }
      this.#size = start
      break
    }
    this.#isTorn = true
    await this.#mend()
    return 'cut'
  }

  /** Of the newest line that can be read, in whichever file. */
  async #lastRevision(): Promise<number> {
    for (const path of await listFiles(this.#options.path)) {
      await using file = await openToRead(path)
      if (file === null) continue
      for await (const { text } of linesBackwards(file.handle, file.size)) {
        const event = parseLine(text)
        if (event !== null) return event.revision
      }
    }
    return 0
  }
}
