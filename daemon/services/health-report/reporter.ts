/** Makes health reports, one after the other, each in a thread that ends with it. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ApiError } from '../../errors.ts'
import type { HealthReport } from '../../schemas/health-report.ts'
import type { Survey } from './survey.ts'
import type { Part } from './worker.ts'

/** A fleet whose report takes longer, or more memory, is asked about by parts. */
const timeLimitMs = 120_000
const memoryLimitMb = 1024
const maxWaiting = 8
const groupsAtOnce = 5
const enisAtOnce = 500

export class HealthReporter {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #worker: Worker | null = null
  #closed = false

  /**
   * @param makeSurvey  called when its turn comes
   * @throws {ApiError} 429 where too many wait, 503 where it takes too long or too much memory
   */
  async report(makeSurvey: () => Survey, maxResults: number): Promise<HealthReport> {
    if (this.#waiting >= maxWaiting) {
      throw new ApiError(
        429,
        'Throttling',
        `Cannot make the report: ${maxWaiting} others wait to be made; try again later`,
      )
    }
    this.#waiting += 1
    const made = this.#last.then(() => this.#make(makeSurvey(), maxResults))
    this.#last = made.catch(() => {})
    try {
      return await made
    } finally {
      this.#waiting -= 1
    }
  }

  /** Ends the report that is being made, and those that wait. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#worker?.terminate()
  }

  async #make({ groups, enis, ...rest }: Survey, maxResults: number): Promise<HealthReport> {
    if (this.#closed) throw busy('the daemon is stopping')
    const worker = new Worker(new URL(`worker${extname(import.meta.url)}`, import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: memoryLimitMb },
    })
    this.#worker = worker
    const answered = answerOf(worker)
    // A fault while the parts are still being sent is thrown below.
    answered.catch(() => {})
    try {
      for (let from = 0; from < groups.length; from += groupsAtOnce) {
        await send(worker, { kind: 'groups', groups: groups.slice(from, from + groupsAtOnce) })
      }
      for (let from = 0; from < enis.length; from += enisAtOnce) {
        await send(worker, { kind: 'enis', enis: enis.slice(from, from + enisAtOnce) })
      }
      await send(worker, { kind: 'end', rest, maxResults })
      return await answered
    } finally {
      this.#worker = null
      await worker.terminate()
    }
  }
}

/** Gives way to whatever else waits to be done. */
async function send(worker: Worker, part: Part): Promise<void> {
  worker.postMessage(part)
  await new Promise(setImmediate)
}

function answerOf(worker: Worker): Promise<HealthReport> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(busy('it takes too long; ask for one account or group')), timeLimitMs)
    worker.once('message', resolve)
    worker.once('error', error => {
      const { code } = error as NodeJS.ErrnoException
      reject(
        code === 'ERR_WORKER_OUT_OF_MEMORY' ? busy('it takes too much memory; ask for one account or group') : error,
      )
    })
    worker.once('exit', () => {
      clearTimeout(timer)
      reject(busy('the daemon is stopping'))
    })
  })
}

function busy(reason: string): ApiError {
  return new ApiError(503, 'Busy', `Cannot make the report: ${reason}`)
}
