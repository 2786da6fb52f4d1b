/** What the daemon's store takes for a commit, and what it costs to start with a large one. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { readBackup } from '../daemon/store/backup.ts'
import { openSqliteStore, type SqliteStore } from '../daemon/store/sqlite.ts'
import type { Write } from '../daemon/store/store.ts'
import { makeGroup, makeState } from './state.ts'
import { median, medianRatio } from './statistics.ts'
import type { Restart } from './store-restart.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'

export async function measureStore(depth: Depth): Promise<readonly Section[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  try {
    return [await measureCommits(folder, depth), ...(await measureLarge(folder, depth))]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Load {
  readonly name: string
  /** The write of each commit, by its number. */
  makeWrite(number: number): Write
}

const kibibyte = { fill: 'x'.repeat(1010) }
const group = makeGroup(1, 100)
const loads: readonly Load[] = [
  { name: '1 KiB, each under a new key', makeWrite: number => ({ key: `new/${number}`, value: kibibyte }) },
  { name: '1 KiB, rewritten', makeWrite: number => ({ key: `old/${number % 100}`, value: kibibyte }) },
  {
    name: `a group of 100 rules (${figure(JSON.stringify(group).length / 1024)} KiB), rewritten`,
    makeWrite: number => ({ key: `group/${number % 100}`, value: { ...group, name: `name ${number}` } }),
  },
]
const burst = 50

async function measureCommits(folder: string, depth: Depth): Promise<Section> {
  const rounds = depth === 'quick' ? 10 : 80
  const store = await openSqliteStore(join(folder, 'commits.db'))
  const watched = await openSqliteStore(join(folder, 'watched.db'))
  await watched.watch(1, () => {})
  const bare = new BareTable(join(folder, 'bare.db'))
  const rows = []
  for (const { name, makeWrite } of loads) {
    const contenders: ((write: Write) => unknown)[] = [
      write => bare.put(write),
      write => store.commit({ writes: [write] }),
      write => watched.commit({ writes: [write] }),
    ]
    const times = contenders.map((): number[] => [])
    const longest = contenders.map(() => 0)
    for (let round = 0; round <= rounds; round += 1) {
      const writes = Array.from({ length: burst }, (_, index) => makeWrite(round * burst + index))
      for (let turn = 0; turn < contenders.length; turn += 1) {
        // Each goes first as often as the others.
        const which = (turn + round) % contenders.length
        const put = contenders[which]!
        const begun = performance.now()
        for (const write of writes) {
          const asked = performance.now()
          await put(write)
          if (round > 0) longest[which] = Math.max(longest[which]!, performance.now() - asked)
        }
        // The first round compiles code.
        if (round > 0) times[which]!.push((performance.now() - begun) / burst)
      }
    }
    const [bareMs = [], storeMs = [], watchedMs = []] = times
    rows.push([
      name,
      ...[bareMs, storeMs, watchedMs].map(values => figure(1000 / median(values))),
      figure(median(storeMs)),
      figure(longest[1]!),
      ratio(medianRatio(storeMs, bareMs)),
    ])
  }
  bare.close()
  await store.close()
  await watched.close()
  return {
    heading: 'Store: commits',
    columns: [
      'one document a commit',
      'bare node:sqlite, a second',
      'store, a second',
      'store with a watcher, a second',
      'store, ms a commit',
      'longest, ms',
      'time, store : bare',
    ],
    rows,
    notes: [
      'One after the other, each on disk before the next. Bare: the document put into a table in a transaction of its ' +
        'own, same settings of SQLite; no history, no revision.',
      'The store writes the document twice, for the history, and a third time as what was there before. The longest ' +
        'commit is one that moves the write-ahead log into the file.',
    ],
  }
}

/** The least that keeps a document on disk. */
class BareTable {
  readonly #database: DatabaseSync
  readonly #put: ReturnType<DatabaseSync['prepare']>

  constructor(path: string) {
    this.#database = new DatabaseSync(path)
    this.#database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    this.#database.exec('CREATE TABLE documents (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT')
    this.#put = this.#database.prepare('INSERT OR REPLACE INTO documents VALUES (?, ?)')
  }

  put({ key, value }: Write): void {
    this.#database.exec('BEGIN IMMEDIATE')
    this.#put.run(key, JSON.stringify(value))
    this.#database.exec('COMMIT')
  }

  close(): void {
    this.#database.close()
  }
}

async function measureLarge(folder: string, depth: Depth): Promise<readonly Section[]> {
  const path = join(folder, 'large.db')
  const store = await openSqliteStore(path)
  const writes = [...makeState()]
  const jsonBytes = writes.reduce((sum, { value }) => sum + JSON.stringify(value).length, 0)
  const fillMs = await timed(() => fill(store, writes))
  const backupPath = join(folder, 'backup')
  const backupMs = await timed(() => store.backup(backupPath))
  const { entries } = await readBackup(backupPath)
  const readMs = await timed(() => readBackup(backupPath))
  await store.close()
  const once = (await stat(path)).size
  const restarts = Array.from({ length: depth === 'quick' ? 3 : 11 }, () => restart(path))
  const bareMs = restarts.map(() => readBare(path))
  const again = await openSqliteStore(path)
  const restoreMs = await timed(() => again.commit({ writes: entries }))
  await again.compact(again.head() + 1)
  await fill(again, writes)
  await again.close()
  const refilled = (await stat(path)).size
  const mebibytes = (bytes: number) => figure(bytes / 2 ** 20)
  const of = (select: (restart: Restart) => number) => figure(median(restarts.map(select)))
  const total = ({ openMs, listMs, worldMs }: Restart) => openMs + listMs + worldMs
  return [
    {
      heading: 'Store: 1,000 groups of 100 rules and 50,000 ENIs, daemon restarted',
      columns: [
        'open, ms',
        'list, ms',
        'build World, ms',
        'all, ms',
        'heap, MiB',
        'resident, MiB',
        'bare read of all rows, ms',
      ],
      rows: [
        [
          of(({ openMs }) => openMs),
          of(({ listMs }) => listMs),
          of(({ worldMs }) => worldMs),
          of(total),
          of(({ heapMib }) => heapMib),
          of(({ residentMib }) => residentMib),
          figure(median(bareMs)),
        ],
      ],
      notes: ['Each in a new process, which is at first slow; the file is in the page cache. Bare: rows as text.'],
    },
    {
      heading: 'Store: the same state on disk',
      columns: [
        'as JSON, MiB',
        'file, all written once, MiB',
        'file, written three times and compacted, MiB',
        'filled by 100 documents a commit, ms',
        'backup while running, ms',
        'read backup, ms',
        'restored in one commit, ms',
      ],
      rows: [
        [
          mebibytes(jsonBytes),
          mebibytes(once),
          mebibytes(refilled),
          ...[fillMs, backupMs, readMs, restoreMs].map(figure),
        ],
      ],
      notes: [
        'The history has each document once more. What compaction frees is used again; the file does not shrink.',
      ],
    },
  ]
}

async function fill(store: SqliteStore, writes: readonly Write[]): Promise<void> {
  for (let begin = 0; begin < writes.length; begin += 100) {
    await store.commit({ writes: writes.slice(begin, begin + 100) })
  }
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await task()
  return performance.now() - begun
}

function restart(path: string): Restart {
  const program = join(import.meta.dirname, 'store-restart.ts')
  return JSON.parse(execFileSync(process.execPath, [program, path], { encoding: 'utf8' })) as Restart
}

function readBare(path: string): number {
  const database = new DatabaseSync(path)
  const begun = performance.now()
  database.prepare('SELECT key, value, revision FROM documents ORDER BY key').all()
  const milliseconds = performance.now() - begun
  database.close()
  return milliseconds
}
