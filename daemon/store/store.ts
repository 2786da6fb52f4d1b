/**
 * Where the control daemon keeps its objects: documents under keys, with one revision that rises by one with each
 * commit. Five verbs, so that SQLite and etcd can both stand behind them.
 *
 * Keys are `<kind>/<id>`, values JSON documents. A commit is all or nothing, and on disk when its promise resolves.
 */

/** One document as it stands. */
export interface Entry {
  readonly key: string
  readonly value: unknown
  /** The revision that wrote it last. */
  readonly revision: number
}

/** `null` deletes the key, which need not exist. */
export interface Write {
  readonly key: string
  readonly value: unknown
}

/** What must hold when the commit is made; otherwise nothing of it is. */
export type Precondition =
  /** The key was written last by this revision; 0: there is no such key. */
  | { readonly kind: 'key'; readonly key: string; readonly revision: number }
  /** Nothing at all was committed after this revision. */
  | { readonly kind: 'head'; readonly revision: number }

export interface CommitRequest {
  /** Each key at most once. */
  readonly writes: readonly Write[]
  readonly preconditions?: readonly Precondition[]
  /** Kept with the revision for as long as its history is: who did what. JSON; null where left out. */
  readonly note?: unknown
}

export type CommitResult =
  | { readonly kind: 'committed'; readonly revision: number }
  | { readonly kind: 'conflict'; readonly failed: Precondition; readonly head: number }

/** One commit as watchers see it. */
export interface Commit {
  readonly revision: number
  /** Milliseconds since 1970, by the clock of who wrote it. */
  readonly timeMs: number
  readonly changes: readonly Change[]
  readonly note: unknown
}

export interface Change {
  readonly key: string
  /** null: deleted. */
  readonly value: unknown
  /** As it was before this commit, for as long as the commit is in the history; null: there was none. */
  readonly before: unknown
}

export interface Listing {
  /** The head revision the entries were read at. */
  readonly revision: number
  /** Ordered by key. */
  readonly entries: readonly Entry[]
}

/** Everything in a backup. */
export interface BackupContent extends Listing {
  /** Of the store that it was made of. */
  readonly id: string
  /** Of its newest commit, in milliseconds since 1970; null: it has none. */
  readonly timeMs: number | null
}

export interface Watch {
  /** Nothing is called afterwards. */
  close(): void
}

export interface Store {
  /** Names this history: two stores with one id and revision agree on everything. A restored backup has an id of its own. */
  readonly id: string
  get(key: string): Promise<Entry | null>
  /** Every entry whose key begins with the prefix; all for an empty one. */
  list(prefix: string): Promise<Listing>
  /**
   * @throws {StoreError} `full`, `corrupt` or `closed`; nothing of it was done then. `unusable`: the disk failed, and
   * whether it is stored shows when the store is opened again
   */
  commit(request: CommitRequest): Promise<CommitResult>
  /**
   * Every commit from `fromRevision` (inclusive) on, in order, past ones first. For a commit made through this store,
   * `onCommit` has returned before the commit's promise resolves.
   * @throws {CompactedError} where the history does not reach back to `fromRevision`
   */
  watch(fromRevision: number, onCommit: (commit: Commit) => void): Promise<Watch>
  /**
   * Past commits from `fromRevision` (inclusive) on, oldest first, at most `limit`.
   * @throws {CompactedError} where the history does not reach back that far
   */
  history(fromRevision: number, limit: number): Promise<readonly Commit[]>
  /** Forgets the history before this revision; what stands now stays. */
  compact(beforeRevision: number): Promise<void>
  /** The newest revision; 0 in an empty store. */
  head(): number
  /** The oldest revision that `watch` and `history` can begin at. */
  oldest(): number
  close(): Promise<void>
}

export class StoreError extends Error {
  readonly kind: 'full' | 'corrupt' | 'closed' | 'busy' | 'unusable'

  constructor(kind: StoreError['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.kind = kind
  }
}

/** A newer Ringwall wrote it: this one will not open it however often it tries. */
export class NewerStoreError extends StoreError {
  constructor(message: string) {
    super('unusable', message)
  }
}

export class CompactedError extends Error {
  readonly oldest: number

  constructor(fromRevision: number, oldest: number) {
    super(`Cannot read history from revision ${fromRevision}: expected ${oldest} or later, the rest is compacted`)
    this.name = 'CompactedError'
    this.oldest = oldest
  }
}
