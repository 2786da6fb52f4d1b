/** Server-sent events (WHATWG HTML, section 9.2) to one client, which may be slow: what it does not take in time is not kept. */
import { Readable } from 'node:stream'

export const eventStreamType = 'text/event-stream; charset=utf-8'

/** Half a minute of samples of a hundred instances; beyond what the kernel's buffers hold. */
const maxBufferedBytes = 1024 * 1024
/** A client that reads nothing at all keeps its connection for so long after the end. */
const lingerMs = 2000

export class EventStream extends Readable {
  #isEnded = false

  constructor() {
    super({ highWaterMark: maxBufferedBytes })
  }

  override _read(): void {
    // What there is was pushed already.
  }

  /** @param data  without line breaks */
  send(name: string, data: string): void {
    if (this.#isEnded) return
    this.push(`event: ${name}\ndata: ${data}\n\n`)
    if (this.readableLength > maxBufferedBytes) this.end('slow')
  }

  /** Keeps proxies from taking the connection for dead. */
  keepAlive(): void {
    if (!this.#isEnded) this.push(': still here\n\n')
  }

  /** Says why, as the last event. */
  end(reason: string): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.push(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`)
    this.push(null)
    setTimeout(() => this.destroy(), lingerMs).unref()
  }
}
