/** Who hears of commits. Each gets every revision from its first on, once, in order. */
import type { Commit, Watch } from './store.ts'

interface Watcher {
  /** The next revision it has not seen. */
  next: number
  readonly onCommit: (commit: Commit) => void
}

export class Watchers {
  readonly #watchers = new Set<Watcher>()
  readonly #onError: (error: unknown) => void

  /** @param onError  gets what a watcher threw; it hears nothing afterwards, for it has missed a commit */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  get size(): number {
    return this.#watchers.size
  }

  /**
   * @param past  those that were made, from `next` on: each is given before the next is asked for
   * @throws what `onCommit` throws for one of them
   */
  add(next: number, past: Iterable<Commit>, onCommit: (commit: Commit) => void): Watch {
    const watcher = { next, onCommit }
    for (const commit of past) give(watcher, commit)
    this.#watchers.add(watcher)
    return { close: () => void this.#watchers.delete(watcher) }
  }

  deliver(commit: Commit): void {
    for (const watcher of [...this.#watchers]) {
      // One before it may have closed it.
      if (!this.#watchers.has(watcher) || commit.revision < watcher.next) continue
      try {
        give(watcher, commit)
      } catch (error) {
        this.#watchers.delete(watcher)
        // Outside, so that nothing it does can harm the commit.
        queueMicrotask(() => this.#onError(error))
      }
    }
  }

  clear(): void {
    this.#watchers.clear()
  }
}

function give(watcher: Watcher, commit: Commit): void {
  watcher.onCommit(commit)
  watcher.next = commit.revision + 1
}
