/**
 * What the daemon says, on disk before it goes to the kernel, so that an agent that is killed and started again never
 * puts less in force than stood. See kept-view.ts for the files.
 *
 * Each update is appended to the log and synced. Now and then, and for a snapshot, the whole view is written; the log is
 * emptied only when that is durable, and until then its lines say the same as the view has. A disk that refuses must not
 * keep a policy from the kernel: the log takes another name, which says that the kernel has gone further, and the whole
 * view is tried again later.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { handToOwner } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import { behindFile, formatLine, type KeptView, logFile, type ViewDelta, writeView } from './kept-view.ts'
import type { LinkMetrics } from './metrics.ts'
import type { ViewImage } from './view.ts'

export interface ViewLogOptions {
  readonly folder: string
  readonly kept: KeptView
  readonly log: Logger
  readonly metrics: Pick<LinkMetrics, 'kept' | 'keepFailures'>
  /** A log below this size, or below that of the view, is not worth writing the view anew; 1 MiB where left out. */
  readonly mostLogBytes?: number
  /** How long an update waits for the disk; 500 where left out. */
  readonly patienceMs?: number
}

const defaultLogBytes = 1024 * 1024
/** A change goes to the kernel within a second (what it takes away must), however long the disk takes. */
const defaultPatienceMs = 500
const retryMs = { first: 1_000, most: 10_000 } as const

export class ViewLog {
  readonly #options: ViewLogOptions
  /** Null where the next write is the whole view. */
  #file: FileHandle | null
  #logBytes: number
  #viewBytes: number
  /** Of the last update, and of the last one on disk. */
  #number: number
  #writtenNumber: number
  #newest: ViewImage | null
  /** One thing at a time is done to the files. */
  #turn: Promise<void> = Promise.resolve()
  #pending: Promise<void> | null = null
  /** Nothing is written before the next try. */
  #isResting = false
  /** Why the disk has not what the kernel has; null while it has. */
  #fault: string | null = null
  #failures = 0
  #retryTimer: NodeJS.Timeout | undefined
  #isClosed = false
  /** The view could not be written anew: not tried again before the log has grown to this. */
  #anewFromBytes = 0

  constructor(options: ViewLogOptions) {
    this.#options = options
    const { log, number, viewBytes, view } = options.kept
    this.#file = log?.file ?? null
    this.#logBytes = log?.bytes ?? 0
    this.#viewBytes = viewBytes
    this.#number = number
    this.#writtenNumber = number
    this.#newest = view.image()
    if (log === null && this.#newest !== null) options.metrics.kept.set(0)
  }

  /** Why the disk has not what the kernel has; null while it has. */
  get fault(): string | null {
    return this.#fault
  }

  /** Resolves when what was given last is on disk, or is not waited for any more; null where it is so already. */
  get pending(): Promise<void> | null {
    return this.#pending
  }

  /**
   * @param delta  what leads to the view from the one given before; null for a view that follows from nothing
   * @returns resolves when it may go to the kernel: it is on disk, or the disk refuses it or takes too long
   */
  keep(delta: ViewDelta | null, image: ViewImage): Promise<void> {
    this.#number += 1
    this.#newest = image
    const number = this.#number
    const written = this.#turn.then(() => this.#write(number, delta))
    this.#turn = written.then(() => this.#tidyUp())
    const pending = withPatience(written, this.#options.patienceMs ?? defaultPatienceMs).finally(() => {
      if (this.#pending === pending) this.#pending = null
    })
    this.#pending = pending
    return pending
  }

  /** Resolves when nothing is done to the files any more of what was asked for so far: `keep` tidies up afterwards. */
  idle(): Promise<void> {
    return this.#turn
  }

  /** Resolves when the whole view is on disk, or the disk has refused it once more. */
  async settled(): Promise<void> {
    clearTimeout(this.#retryTimer)
    this.#turn = this.#turn.then(async () => {
      if (this.#isResting) await this.#tryAgain()
      else if (this.#logBytes > 0) await this.#writeAnew()
      await this.#closeFile()
    })
    await this.#turn
  }

  /** The disk is tried by `keep` and `settled` alone from now on. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#retryTimer)
  }

  async #write(number: number, delta: ViewDelta | null): Promise<void> {
    // A whole view that was written meanwhile may have it already.
    if (this.#isResting || number <= this.#writtenNumber) return
    try {
      if (this.#file === null || delta === null) await this.#writeWhole()
      else await this.#append(this.#file, number, delta)
    } catch (error) {
      await this.#fallBehind(error)
    }
  }

  async #append(file: FileHandle, number: number, delta: ViewDelta): Promise<void> {
    const line = Buffer.from(formatLine(number, delta))
    await file.appendFile(line)
    await file.datasync()
    this.#writtenNumber = number
    this.#logBytes += line.length
  }

  /** The view first: a log that is emptied before would take with it what the old view lacks. */
  async #writeWhole(): Promise<void> {
    const { folder } = this.#options
    const [image, number] = [this.#newest, this.#number]
    if (image === null) return
    this.#viewBytes = await writeView(folder, image, number)
    this.#file ??= await openNewLog(folder)
    await this.#file.truncate(0)
    await rm(join(folder, behindFile), { force: true })
    this.#logBytes = 0
    this.#anewFromBytes = 0
    this.#writtenNumber = number
    this.#options.metrics.kept.set(1)
    this.#recovered()
  }

  async #tidyUp(): Promise<void> {
    const { mostLogBytes = defaultLogBytes } = this.#options
    const isLong = this.#logBytes > Math.max(mostLogBytes, this.#viewBytes, this.#anewFromBytes)
    if (isLong && !this.#isResting) await this.#writeAnew()
  }

  async #writeAnew(): Promise<void> {
    try {
      await this.#writeWhole()
    } catch (error) {
      // The old view and the log still say it all.
      this.#anewFromBytes = 2 * this.#logBytes
      this.#options.log.warn({ error }, 'cannot write the view anew; its log grows on')
    }
  }

  /** Before the kernel gets what the disk has not: whoever starts next must not take the disk for the newest. */
  async #fallBehind(error: unknown): Promise<void> {
    const { folder, log, metrics } = this.#options
    await this.#closeFile()
    const [path, behind] = [join(folder, logFile), join(folder, behindFile)]
    // Needs no room. Where not even this is allowed, a start that can write nothing either draws the same conclusion.
    await rename(path, behind).catch(() => rm(path, { force: true }).catch(() => {}))
    metrics.keepFailures.inc()
    metrics.kept.set(0)
    if (this.#fault === null) {
      log.error(
        { error },
        'cannot keep what the daemon says; it gets in force all the same, and the disk is tried again',
      )
    }
    this.#fault = error instanceof Error ? error.message : String(error)
    this.#isResting = true
    const waitMs = Math.min(retryMs.first * 2 ** this.#failures, retryMs.most)
    this.#failures += 1
    if (this.#isClosed) return
    clearTimeout(this.#retryTimer)
    this.#retryTimer = setTimeout(() => {
      this.#turn = this.#turn.then(() => this.#tryAgain())
    }, waitMs).unref()
  }

  /** What comes meanwhile waits for its turn: else the disk would be taken for the newest when it is not any more. */
  async #tryAgain(): Promise<void> {
    this.#isResting = false
    await this.#writeWhole().catch((error: unknown) => this.#fallBehind(error))
  }

  #recovered(): void {
    if (this.#fault === null) return
    this.#fault = null
    this.#failures = 0
    this.#options.log.info('what the daemon says is kept again')
  }

  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close().catch(() => {})
  }
}

/** Its name must outlive a loss of power too, or what is appended is lost with it. */
async function openNewLog(folder: string): Promise<FileHandle> {
  const file = await open(join(folder, logFile), 'a', 0o600)
  try {
    await handToOwner(file, folder)
    const directory = await open(folder)
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

async function withPatience(work: Promise<void>, patienceMs: number): Promise<void> {
  const over = new AbortController()
  try {
    await Promise.race([work, sleep(patienceMs, undefined, { signal: over.signal }).catch(() => {})])
  } finally {
    over.abort()
  }
}
