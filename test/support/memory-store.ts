/**
 * A store that keeps everything in memory: all that the interface promises but the disk. Values go in and come out as
 * JSON, so that nobody can change what was stored.
 */
import { randomUUID } from 'node:crypto'
import {
  type Change,
  type Commit,
  type CommitRequest,
  type CommitResult,
  CompactedError,
  type Entry,
  type Listing,
  type Store,
  StoreError,
  type Watch,
} from '../../daemon/store/store.ts'

export interface MemoryStoreOptions {
  /** What stands at first; a store without history before it, as a restored backup is. */
  readonly listing?: Listing
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export class MemoryStore implements Store {
  readonly id: string = randomUUID()
  readonly #now: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #watchers = new Set<(commit: Commit) => void>()
  #history: Commit[] = []
  #head: number
  #oldest: number
  #closed = false

  constructor({ listing = { revision: 0, entries: [] }, now = Date.now }: MemoryStoreOptions = {}) {
    this.#now = now
    this.#head = listing.revision
    this.#oldest = listing.revision + 1
    for (const entry of structuredClone(listing.entries)) this.#entries.set(entry.key, entry)
  }

  async get(key: string): Promise<Entry | null> {
    this.#requireOpen()
    return structuredClone(this.#entries.get(key) ?? null)
  }

  async list(prefix: string): Promise<Listing> {
    this.#requireOpen()
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix))
    entries.sort((a, b) => (a.key < b.key ? -1 : 1))
    return structuredClone({ revision: this.#head, entries })
  }

  async commit({ writes, preconditions = [], note = null }: CommitRequest): Promise<CommitResult> {
    this.#requireOpen()
    if (new Set(writes.map(({ key }) => key)).size < writes.length) {
      throw new RangeError('Cannot commit: expected each key at most once')
    }
    const failed = preconditions.find(condition =>
      condition.kind === 'head'
        ? condition.revision !== this.#head
        : condition.revision !== (this.#entries.get(condition.key)?.revision ?? 0),
    )
    if (failed !== undefined) return { kind: 'conflict', failed, head: this.#head }
    const revision = this.#head + 1
    const changes = writes.map(({ key, value }): Change => {
      const before = this.#entries.get(key)?.value ?? null
      return { key, value: JSON.parse(JSON.stringify(value)), before }
    })
    for (const { key, value } of changes) {
      if (value === null) this.#entries.delete(key)
      else this.#entries.set(key, { key, value, revision })
    }
    this.#head = revision
    const commit: Commit = { revision, timeMs: this.#now(), changes, note }
    this.#history.push(commit)
    for (const onCommit of this.#watchers) onCommit(structuredClone(commit))
    return { kind: 'committed', revision }
  }

  async watch(fromRevision: number, onCommit: (commit: Commit) => void): Promise<Watch> {
    for (const commit of await this.history(fromRevision, Number.POSITIVE_INFINITY)) onCommit(commit)
    const live = (commit: Commit) => {
      if (commit.revision >= fromRevision) onCommit(commit)
    }
    this.#watchers.add(live)
    return { close: () => void this.#watchers.delete(live) }
  }

  async history(fromRevision: number, limit: number): Promise<readonly Commit[]> {
    this.#requireOpen()
    if (fromRevision < this.#oldest) throw new CompactedError(fromRevision, this.#oldest)
    return structuredClone(this.#history.filter(({ revision }) => revision >= fromRevision).slice(0, limit))
  }

  async compact(beforeRevision: number): Promise<void> {
    this.#requireOpen()
    this.#oldest = Math.max(this.#oldest, Math.min(beforeRevision, this.#head + 1))
    this.#history = this.#history.filter(({ revision }) => revision >= this.#oldest)
  }

  head(): number {
    return this.#head
  }

  oldest(): number {
    return this.#oldest
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#watchers.clear()
  }

  #requireOpen(): void {
    if (this.#closed) throw new StoreError('closed', 'Cannot use the store: it is closed')
  }
}
