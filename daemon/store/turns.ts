/**
 * One task after the other. A task runs at once where none does; one that comes up inside another waits for its end, so
 * that what a watcher commits is a commit after the one it is told of, for all watchers.
 */
export class Turns {
  readonly #waiting: (() => void)[] = []
  #running = false

  run<T>(task: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#waiting.push(() => {
      try {
        resolve(task())
      } catch (error) {
        reject(error)
      }
    })
    if (!this.#running) this.#runAll()
    return promise
  }

  #runAll(): void {
    this.#running = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next()
    this.#running = false
  }
}
