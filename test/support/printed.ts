/** What a process prints, as it comes, for tests that wait for something in it. */
import { once } from 'node:events'
import type { Readable } from 'node:stream'

export class Printed {
  text = ''
  /** Nothing more will come. */
  readonly ended: Promise<unknown>
  #wake: (() => void)[] = []

  constructor(stream: Readable) {
    this.ended = once(stream, 'close')
    stream.setEncoding('utf8').on('data', chunk => {
      this.text += chunk
      const waiting = this.#wake
      this.#wake = []
      for (const wake of waiting) wake()
    })
  }

  /** @throws {Error} with what was printed instead, when it has ended */
  async until(form: RegExp): Promise<void> {
    while (!form.test(this.text)) {
      const more = new Promise<'more'>(resolve => this.#wake.push(() => resolve('more')))
      if ((await Promise.race([more, this.ended])) !== 'more' && !form.test(this.text)) {
        throw new Error(`It ended with ${JSON.stringify(this.text)}: expected ${form}`)
      }
    }
  }
}
