/** Commands that go on until somebody ends them. */
import type { EventEmitter } from 'node:events'
import type { Io } from '../command.ts'

const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** When it is to stop: a key, a signal, or nobody who reads it any more. */
export class Ending implements Disposable {
  readonly #controller = new AbortController()
  readonly #stdout: Partial<EventEmitter>
  readonly end = () => this.#controller.abort()

  constructor({ stdout }: Io) {
    this.#stdout = stdout as Partial<EventEmitter>
    for (const signal of endSignals) process.on(signal, this.end)
    this.#stdout.on?.('error', this.end)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** At once, whatever an answer is waited for. */
  async orEnd(work: Promise<void>): Promise<void> {
    const ended = new Promise<void>(resolve => this.signal.addEventListener('abort', () => resolve(), { once: true }))
    await Promise.race([work, ended])
  }

  [Symbol.dispose](): void {
    this.end()
    for (const signal of endSignals) process.off(signal, this.end)
    this.#stdout.off?.('error', this.end)
  }
}
