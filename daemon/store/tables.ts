/** The tables of migrations/, as commits and entries: all SQL but that of opening. */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { parseFrozen } from './frozen-json.ts'
import { type Attempt, damaged } from './sqlite-errors.ts'
import type { Change, Commit, Entry } from './store.ts'

/** A commit as it is stored: JSON as text, null where there is no document. */
export interface StoredCommit {
  readonly revision: number
  readonly timeMs: number
  readonly noteText: string
  readonly changes: readonly StoredChange[]
}

export interface StoredChange {
  readonly key: string
  readonly valueText: string | null
  readonly beforeText: string | null
}

export interface Meta {
  readonly id: string
  readonly oldest: number
}

type Row = readonly (string | number | null)[]

export class Tables {
  readonly #database: DatabaseSync
  readonly #reading: Attempt
  readonly #document: StatementSync
  readonly #documents: StatementSync
  readonly #putDocument: StatementSync
  readonly #deleteDocument: StatementSync
  readonly #commits: StatementSync
  readonly #changes: StatementSync
  readonly #addCommit: StatementSync
  readonly #addChange: StatementSync

  /** @param reading  for the message where what is stored is no JSON */
  constructor(database: DatabaseSync, reading: Attempt) {
    this.#database = database
    this.#reading = reading
    const prepare = (sql: string) => {
      const statement = database.prepare(sql)
      statement.setReturnArrays(true)
      return statement
    }
    this.#document = prepare('SELECT value, revision FROM documents WHERE key = ?')
    this.#documents = prepare('SELECT key, value, revision FROM documents WHERE key >= ? AND key < ? ORDER BY key')
    this.#putDocument = prepare(
      'INSERT INTO documents (key, value, revision) VALUES (?, ?, ?) ' +
        'ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision',
    )
    this.#deleteDocument = prepare('DELETE FROM documents WHERE key = ?')
    this.#commits = prepare('SELECT revision, time_ms, note FROM commits WHERE revision >= ? ORDER BY revision LIMIT ?')
    this.#changes = prepare('SELECT key, value, before FROM changes WHERE revision = ? ORDER BY id')
    this.#addCommit = prepare('INSERT INTO commits (revision, time_ms, note) VALUES (?, ?, ?)')
    this.#addChange = prepare('INSERT INTO changes (revision, key, value, before) VALUES (?, ?, ?, ?)')
  }

  meta(): Meta {
    const { id, oldest } = this.#database.prepare('SELECT id, oldest FROM meta').get() ?? {}
    if (typeof id !== 'string' || typeof oldest !== 'number') throw damaged(this.#reading, 'table meta has no row')
    return { id, oldest }
  }

  rename(id: string): void {
    this.#database.prepare('UPDATE meta SET id = ?').run(id)
  }

  /** Of the newest commit; where compaction took all of them, the one before `oldest`. */
  head(): number {
    const { newest } = this.#database.prepare('SELECT max(revision) AS newest FROM commits').get() ?? {}
    return typeof newest === 'number' ? newest : this.meta().oldest - 1
  }

  document(key: string): { readonly valueText: string; readonly revision: number } | null {
    const row = this.#document.get(key) as Row | undefined
    return row === undefined ? null : { valueText: row[0] as string, revision: row[1] as number }
  }

  /** Ordered by key, as UTF-8. */
  entries(prefix: string): readonly Entry[] {
    // One by one: the texts, which are as large as all they describe, are not all there at once.
    const rows = this.#documents.iterate(prefix, `${prefix}${afterEveryKey}`) as Iterable<unknown> as Iterable<Row>
    const entries: Entry[] = []
    for (const [key, value, revision] of rows) {
      entries.push({
        key: key as string,
        value: this.parse(value as string, key as string),
        revision: revision as number,
      })
    }
    return entries
  }

  /** At most `limit` from the revision on, oldest first. */
  commits(fromRevision: number, limit: number): readonly Commit[] {
    const rows = this.#commits.all(fromRevision, limit) as unknown as readonly Row[]
    return rows.map(([revision, timeMs, noteText]) => {
      const changes = this.#changes.all(revision as number) as unknown as readonly Row[]
      return this.parseCommit({
        revision: revision as number,
        timeMs: timeMs as number,
        noteText: noteText as string,
        changes: changes.map(([key, value, before]) => ({
          key: key as string,
          valueText: value as string | null,
          beforeText: before as string | null,
        })),
      })
    })
  }

  /** Frozen, as all that is in it. */
  parseCommit({ revision, timeMs, noteText, changes }: StoredCommit): Commit {
    const where = `revision ${revision}`
    const parse = (text: string | null) => (text === null ? null : this.parse(text, where))
    const parsed = changes.map(
      ({ key, valueText, beforeText }): Change =>
        Object.freeze({ key, value: parse(valueText), before: parse(beforeText) }),
    )
    return Object.freeze({ revision, timeMs, changes: Object.freeze(parsed), note: parse(noteText) })
  }

  /** @param where  it is stored, for the message */
  parse(text: string, where: string): unknown {
    try {
      return parseFrozen(text)
    } catch (error) {
      throw damaged(this.#reading, `what it has under ${where} is no JSON`, error)
    }
  }

  /** To be called in a transaction. */
  add({ revision, timeMs, noteText, changes }: StoredCommit): void {
    this.#addCommit.run(revision, timeMs, noteText)
    for (const { key, valueText, beforeText } of changes) {
      this.#addChange.run(revision, key, valueText, beforeText)
      if (valueText === null) this.#deleteDocument.run(key)
      else this.#putDocument.run(key, valueText, revision)
    }
  }

  /** To be called in a transaction. */
  forget(beforeRevision: number): void {
    this.#database.prepare('DELETE FROM changes WHERE revision < ?').run(beforeRevision)
    this.#database.prepare('DELETE FROM commits WHERE revision < ?').run(beforeRevision)
    this.#database.prepare('UPDATE meta SET oldest = ?').run(beforeRevision)
  }

  oldestWithin(bytes: number): number {
    // octet_length looks at the row's header: a long text is not read for its length.
    const newestFirst = this.#database.prepare(
      'SELECT revision, ifnull(octet_length(value), 0) + ifnull(octet_length(before), 0) AS bytes FROM changes ORDER BY id DESC',
    )
    let sum = 0
    for (const { revision, bytes: more } of newestFirst.iterate()) {
      sum += more as number
      if (sum > bytes) return (revision as number) + 1
    }
    return this.meta().oldest
  }
}

/** A key has no code points that Unicode has not assigned, and this is one for good (a noncharacter). */
const afterEveryKey = '\u{10ffff}'
