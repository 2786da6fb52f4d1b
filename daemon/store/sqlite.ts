/**
 * The store in one SQLite file, by node:sqlite alone. Everything runs in the caller's thread: a commit takes as long as
 * its fsync.
 */
import { randomUUID } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { type BackupReport, writeBackup } from './backup.ts'
import { openDatabase } from './database.ts'
import { readMigrations, releasedMigrations } from './migrations.ts'
import { type Attempt, attemptOnBackup, attemptOnStore, fail, isDiskFailure, sortError } from './sqlite-errors.ts'
import {
  type Commit,
  type CommitRequest,
  type CommitResult,
  CompactedError,
  type Entry,
  type Listing,
  type Precondition,
  type Store,
  type StoreError,
  type Watch,
  type Write,
} from './store.ts'
import { type StoredChange, type StoredCommit, Tables } from './tables.ts'
import { Turns } from './turns.ts'
import { Watchers } from './watchers.ts'

export interface SqliteStore extends Store {
  /**
   * Writes all of the store, history too, as it is at one revision, to a new file that its owner alone can read. Commits
   * go on meanwhile. The file has its name when it is on disk whole.
   * @throws {StoreError} `full`, or `unusable`: there is such a file, or it cannot be written
   */
  backup(path: string): Promise<BackupReport>
  /**
   * The oldest revision from which on the history, as JSON, has at most this many bytes; the one after the newest where
   * that one alone has more.
   */
  oldestWithin(bytes: number): Promise<number>
  /** Gives this history another id: whoever knows it by the old one may know of commits that it has not. */
  rename(): Promise<void>
}

export interface SqliteStoreOptions {
  /** Milliseconds since 1970, for the time of commits. */
  readonly now?: () => number
  /**
   * Gets what a watcher threw for a commit, which stands all the same. The watcher hears nothing afterwards, since it
   * has missed that one. Left out, the error is thrown where nobody catches it and ends the process: what was fed by
   * the watcher is not the state any more.
   */
  readonly onWatcherError?: (error: unknown) => void
  /** Folder of numbered SQL files in place of those released. */
  readonly migrations?: string
}

/**
 * Opens the store at this path, and makes one where there is no file. It is this process's alone until it is closed.
 * Values it gives are frozen. `watch` gives past commits before its promise resolves, and rejects with what
 * `onCommit` throws for one of them.
 *
 * A disk that fails while a commit is being made leaves open whether it is stored. Such a commit, and everything after
 * it, is refused as `unusable` until the store is opened again, which settles it.
 * @param path  in a folder that exists
 * @throws {StoreError} `busy`, naming who has it open; `corrupt`; `full`; `unusable`: no file of ours, of a newer
 * version, or not ours to write. What is there is left as it is
 */
export async function openSqliteStore(path: string, options: SqliteStoreOptions = {}): Promise<SqliteStore> {
  const migrations = readMigrations(options.migrations ?? releasedMigrations)
  const database = await openDatabase(path, migrations)
  try {
    return new SqliteFile(database, path, options)
  } catch (error) {
    database.close()
    throw sortError(attemptOnStore('open', path), error)
  }
}

/** Of commits given to a new watcher, or forgotten, at once. */
const pageSize = 256

class SqliteFile implements SqliteStore {
  #id: string
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #tables: Tables
  readonly #now: () => number
  readonly #turns = new Turns()
  readonly #watchers: Watchers
  readonly #backups = new Set<Promise<BackupReport>>()
  #head: number
  #oldest: number
  #closing: Promise<void> | null = null
  #isClosed = false
  /** Why nothing is read or written any more. */
  #failure: StoreError | null = null

  constructor(
    database: DatabaseSync,
    path: string,
    { now = Date.now, onWatcherError = throwUncaught }: SqliteStoreOptions,
  ) {
    this.#path = path
    this.#database = database
    this.#now = now
    this.#watchers = new Watchers(onWatcherError)
    this.#tables = new Tables(database, attemptOnStore('read', path))
    const { id, oldest } = this.#tables.meta()
    this.#id = id
    this.#oldest = oldest
    this.#head = this.#tables.head()
  }

  get id(): string {
    return this.#id
  }

  head(): number {
    return this.#head
  }

  oldest(): number {
    return this.#oldest
  }

  async get(key: string): Promise<Entry | null> {
    return this.#try('read', () => {
      const found = this.#tables.document(key)
      return found && { key, value: this.#tables.parse(found.valueText, key), revision: found.revision }
    })
  }

  async list(prefix: string): Promise<Listing> {
    return this.#try('read', () => ({ revision: this.#head, entries: this.#tables.entries(prefix) }))
  }

  async history(fromRevision: number, limit: number): Promise<readonly Commit[]> {
    assertCount('history from revision', fromRevision)
    assertCount('history with limit', limit)
    return this.#try('read', () => {
      this.#assertKept(fromRevision)
      return this.#tables.commits(fromRevision, limit)
    })
  }

  /** @throws {RangeError} for a request that no store could take: a key twice, a value that is no JSON */
  async commit(request: CommitRequest): Promise<CommitResult> {
    const prepared = prepareCommit(request)
    return this.#turns.run(() => this.#try('write', () => this.#commit(prepared)))
  }

  async watch(fromRevision: number, onCommit: (commit: Commit) => void): Promise<Watch> {
    assertCount('watch from revision', fromRevision)
    return this.#turns.run(() => {
      this.#try('read', () => this.#assertKept(fromRevision))
      return this.#watchers.add(fromRevision, this.#past(fromRevision), onCommit)
    })
  }

  /** In steps, between which commits are made; whoever is killed meanwhile has forgotten less. */
  async compact(beforeRevision: number): Promise<void> {
    assertCount('compact before revision', beforeRevision)
    for (;;) {
      const isDone = await this.#turns.run(() => this.#try('compact', () => this.#compactStep(beforeRevision)))
      if (isDone) return
      await setImmediate()
    }
  }

  async oldestWithin(bytes: number): Promise<number> {
    return this.#try('read', () => this.#tables.oldestWithin(bytes))
  }

  rename(): Promise<void> {
    return this.#turns.run(() =>
      this.#try('write', () => {
        const id = randomUUID()
        this.#transaction(() => this.#tables.rename(id))
        this.#id = id
      }),
    )
  }

  async backup(path: string): Promise<BackupReport> {
    this.#assertUsable(attemptOnBackup('write', path))
    const backup = writeBackup(this.#database, path, this.#now())
    this.#backups.add(backup)
    try {
      return await backup
    } finally {
      this.#backups.delete(backup)
    }
  }

  /** After what is under way, backups too. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#turns.run(() => {
      this.#isClosed = true
      this.#watchers.clear()
    })
    await Promise.allSettled(this.#backups)
    this.#database.close()
  }

  #commit({ writes, noteText, preconditions }: PreparedCommit): CommitResult {
    const failed = preconditions.find(precondition => !this.#holds(precondition))
    if (failed !== undefined) return { kind: 'conflict', failed, head: this.#head }
    const changes = writes.map(({ key, valueText }): StoredChange => {
      return { key, valueText, beforeText: this.#tables.document(key)?.valueText ?? null }
    })
    const stored: StoredCommit = { revision: this.#head + 1, timeMs: this.#now(), noteText, changes }
    // Before it is stored: what cannot be told to watchers must not be.
    const commit = this.#watchers.size > 0 ? this.#tables.parseCommit(stored) : null
    this.#transaction(() => this.#tables.add(stored))
    this.#head = stored.revision
    if (commit !== null) this.#watchers.deliver(commit)
    return { kind: 'committed', revision: stored.revision }
  }

  #holds(precondition: Precondition): boolean {
    switch (precondition.kind) {
      case 'key':
        return (this.#tables.document(precondition.key)?.revision ?? 0) === precondition.revision
      case 'head':
        return this.#head === precondition.revision
    }
  }

  /** @returns whether nothing is left to be forgotten */
  #compactStep(beforeRevision: number): boolean {
    const goal = Math.min(beforeRevision, this.#head + 1)
    const next = Math.min(goal, this.#oldest + pageSize)
    if (next > this.#oldest) {
      this.#transaction(() => this.#tables.forget(next))
      this.#oldest = next
    }
    return next >= goal
  }

  *#past(fromRevision: number): Generator<Commit> {
    for (let next = fromRevision; next <= this.#head; ) {
      const page = this.#try('read', () => this.#tables.commits(next, pageSize))
      yield* page
      next = page.at(-1)!.revision + 1
    }
  }

  #transaction(write: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      write()
      this.#database.exec('COMMIT')
    } catch (error) {
      if (isDiskFailure(error)) {
        // What was written may be there after a crash though its fsync failed; only recovery, on opening, tells.
        const what = 'the disk failed in the middle of a write; start the daemon anew to see what is stored'
        this.#failure = fail(attemptOnStore('write', this.#path), 'unusable', what, error)
      }
      // Some errors have rolled it back already (https://www.sqlite.org/lang_transaction.html).
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw this.#failure ?? error
    }
  }

  #try<T>(verb: Parameters<typeof attemptOnStore>[0], task: () => T): T {
    const attempt = attemptOnStore(verb, this.#path)
    this.#assertUsable(attempt)
    try {
      return task()
    } catch (error) {
      throw sortError(attempt, error)
    }
  }

  #assertUsable(attempt: Attempt): void {
    if (this.#isClosed) throw fail(attempt, 'closed', 'it is closed')
    if (this.#failure !== null) throw this.#failure
  }

  #assertKept(fromRevision: number): void {
    // There is no revision 0: from there on is from the first.
    if (Math.max(fromRevision, 1) < this.#oldest) throw new CompactedError(fromRevision, this.#oldest)
  }
}

interface PreparedCommit {
  readonly writes: readonly { readonly key: string; readonly valueText: string | null }[]
  readonly noteText: string
  readonly preconditions: readonly Precondition[]
}

/** As text at once: what the caller does with its objects afterwards changes nothing. */
function prepareCommit({ writes, preconditions = [], note = null }: CommitRequest): PreparedCommit {
  const keys = new Set<string>()
  for (const { key } of writes) {
    if (!keyForm.test(key)) throw new RangeError(`Cannot commit key "${key}": expected 1 to 512 printable characters`)
    if (keys.has(key)) throw new RangeError(`Cannot commit key "${key}": expected each key once`)
    keys.add(key)
  }
  for (const { revision } of preconditions) assertCount('commit with a precondition on revision', revision)
  return {
    writes: writes.map(write => ({ key: write.key, valueText: documentText(write) })),
    noteText: jsonText(note, 'the note'),
    preconditions: [...preconditions],
  }
}

/** No control characters, lone surrogates, or code points that Unicode has not assigned. */
const keyForm = /^\P{C}{1,512}$/u

function documentText({ key, value }: Write): string | null {
  if (value === null) return null
  const text = jsonText(value, `key "${key}"`)
  // NaN, and objects whose toJSON says so: whoever means to delete writes null.
  if (text === 'null') throw new RangeError(`Cannot commit key "${key}": expected a JSON document`)
  return text
}

function jsonText(value: unknown, where: string): string {
  const text = JSON.stringify(value)
  if (text === undefined) throw new RangeError(`Cannot commit ${where}: expected a JSON document`)
  return text
}

function assertCount(action: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw new RangeError(`Cannot ${action} "${value}": expected a whole number from 0 on`)
}

/** Called from a task of its own, where nobody catches it. */
function throwUncaught(error: unknown): never {
  throw error
}
