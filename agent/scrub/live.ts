/** The samples of each second, for whoever watches here: `ringwall top --local` and the like. */
import type { DdosSample } from '../../wire/ddos.ts'
import { type LineStream, mostSilentMs } from '../http.ts'

type Listener = (samples: readonly DdosSample[]) => void

export class LiveFeed {
  readonly #listeners = new Set<Listener>()

  publish(samples: readonly DdosSample[]): void {
    for (const listener of this.#listeners) listener(samples)
  }

  /**
   * One JSON value a line, a list of samples, each second; an empty one where nothing is measured for long, since silence
   * means that the agent hangs.
   * @param instanceId  of this one alone; null for all
   */
  lines(instanceId: string | null): LineStream {
    return {
      contentType: 'application/x-ndjson; charset=utf-8',
      start: write => {
        const listener: Listener = samples => {
          const wanted = samples.filter(sample => instanceId === null || sample.instanceId === instanceId)
          if (wanted.length === 0) return
          write(JSON.stringify(wanted))
          alive.refresh()
        }
        const alive = setInterval(() => write('[]'), mostSilentMs)
        this.#listeners.add(listener)
        return () => {
          clearInterval(alive)
          this.#listeners.delete(listener)
        }
      },
    }
  }
}
