import assert from 'node:assert/strict'
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { readBackup } from '../../../daemon/store/backup.ts'
import { openSqliteStore, type SqliteStore } from '../../../daemon/store/sqlite.ts'
import type { Write } from '../../../daemon/store/store.ts'
import { Replay, writesOf } from './numbered-commits.ts'

let folder = ''
let store: SqliteStore
const inFolder = (name: string) => join(folder, name)
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-backup-'))
  store = await openSqliteStore(inFolder('store.db'), { now: () => 1234 })
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

const commitNext = () => store.commit({ writes: writesOf(store.head() + 1) })

async function commitTo(revision: number): Promise<void> {
  while (store.head() < revision) await commitNext()
}

function replayed(head: number) {
  const replay = new Replay()
  replay.advance(head)
  return replay.entries
}

describe('a backup', () => {
  test('has everything, in one file for its owner alone', async () => {
    await commitTo(50)
    const report = await store.backup(inFolder('backup'))
    assert.deepEqual(readdirSync(folder).sort(), ['backup', 'store.db', 'store.db-wal'])
    const { mode, size } = statSync(inFolder('backup'))
    assert.deepEqual([report, mode & 0o777], [{ revision: 50, bytes: size }, 0o600])
    const content = await readBackup(inFolder('backup'))
    const { timeMs } = (await store.history(50, 1))[0]!
    assert.deepEqual(content, { id: store.id, timeMs, revision: 50, entries: replayed(50) })
    // Reading it has left nothing beside it, and nothing in it.
    assert.deepEqual(readdirSync(folder).sort(), ['backup', 'store.db', 'store.db-wal'])
    assert.deepEqual(await readBackup(inFolder('backup')), content)
  })

  test('of an empty store is one', async () => {
    await store.backup(inFolder('backup'))
    assert.deepEqual(await readBackup(inFolder('backup')), {
      id: store.id,
      timeMs: null,
      revision: 0,
      entries: [],
    })
  })

  test('is of one revision while commits, refused ones and compaction go on', async () => {
    await commitTo(300)
    let done = false
    const backup = store.backup(inFolder('backup')).finally(() => {
      done = true
    })
    const before = store.head()
    while (!done) {
      await commitNext()
      await store.commit({ writes: writesOf(1), preconditions: [{ kind: 'head', revision: 1 }] })
      await assert.rejects(store.commit({ writes: [{ key: 'a', value: 1n }] }), TypeError)
      if (store.head() % 20 === 0) await store.compact(store.head() - 100)
      await setImmediate()
    }
    const { revision } = await backup
    assert.ok(before <= revision && revision <= store.head())
    assert.ok(store.head() > before + 1, 'nothing was committed meanwhile')
    assert.deepEqual((await readBackup(inFolder('backup'))).entries, replayed(revision))
    assert.deepEqual((await store.list('')).entries, replayed(store.head()))
  })

  test('overwrites nothing, though two are made at once', async () => {
    writeFileSync(inFolder('taken'), 'mine')
    const message = `Cannot write backup "${inFolder('taken')}": there is such a file already; expected a free name`
    await assert.rejects(store.backup(inFolder('taken')), { kind: 'unusable', message })
    assert.equal(readFileSync(inFolder('taken'), 'utf8'), 'mine')
    const both = await Promise.allSettled([store.backup(inFolder('twice')), store.backup(inFolder('twice'))])
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.deepEqual(readdirSync(folder).sort(), ['store.db', 'store.db-wal', 'taken', 'twice'])
  })

  test('into a folder that is missing says so', async () => {
    await assert.rejects(store.backup(join(folder, 'missing', 'backup')), {
      kind: 'unusable',
      message: /expected a folder that exists$/,
    })
  })

  test('under way is finished before the store is closed; later ones are refused', async () => {
    await commitTo(50)
    const backup = store.backup(inFolder('backup'))
    await store.close()
    assert.equal((await backup).revision, 50)
    assert.equal((await readBackup(inFolder('backup'))).revision, 50)
    await assert.rejects(store.backup(inFolder('late')), { kind: 'closed' })
  })

  test('in the place of a store is one, with an id of its own and the history', async () => {
    await commitTo(20)
    await store.backup(inFolder('backup'))
    const ids = new Set([store.id])
    copyFileSync(inFolder('backup'), inFolder('restored.db'))
    for (let opened = 1; opened <= 2; opened += 1) {
      const restored = await openSqliteStore(inFolder('restored.db'))
      assert.equal(restored.head(), 20)
      assert.deepEqual(await restored.list(''), await store.list(''))
      assert.deepEqual(await restored.history(1, 50), await store.history(1, 50))
      ids.add(restored.id)
      await restored.close()
    }
    assert.equal(ids.size, 2, 'expected a new id, once')
  })

  test('is committed to a store that runs as one revision', async () => {
    await commitTo(20)
    await store.backup(inFolder('backup'))
    await commitTo(40)
    const { entries } = await readBackup(inFolder('backup'))
    const kept = new Set(entries.map(({ key }) => key))
    const others = (await store.list('')).entries.filter(({ key }) => !kept.has(key))
    const writes = [...entries, ...others.map(({ key }) => ({ key, value: null }))]
    assert.deepEqual(await store.commit({ writes }), { kind: 'committed', revision: 41 })
    const content = ({ key, value }: Write) => ({ key, value })
    assert.deepEqual((await store.list('')).entries.map(content), entries.map(content))
  })
})

interface Unreadable {
  readonly name: string
  prepare(path: string): void
  readonly expected: RegExp
}

const unreadable: readonly Unreadable[] = [
  { name: 'that is missing', prepare: rmSync, expected: /^unusable Cannot read backup "file": there is no such file$/ },
  {
    name: 'that is empty',
    prepare: path => truncateSync(path),
    expected: /^corrupt .*: the file is damaged \(it is empty\); take another backup$/,
  },
  {
    name: 'without its end',
    prepare: path => truncateSync(path, 8192),
    expected: /^corrupt .*: the file is damaged \(.*malformed\); take another backup$/,
  },
  {
    name: 'of text',
    prepare: path => writeFileSync(path, 'key: value\n'.repeat(1000)),
    expected: /^corrupt .* \(it holds something else than an SQLite database\)/,
  },
  {
    name: 'with a page of zeros',
    prepare(path) {
      const bytes = readFileSync(path)
      writeFileSync(path, bytes.fill(0, bytes.length - 4096))
    },
    expected: /^corrupt .*: the file is damaged \(.+\); take another backup$/,
  },
  {
    // Where no entry is: what is read of it is whole.
    name: 'with a torn page of history',
    prepare(path) {
      const database = new DatabaseSync(path)
      const leaf = database.prepare("SELECT pgoffset FROM dbstat WHERE name = 'changes' AND pagetype = 'leaf' LIMIT 1")
      const { pgoffset } = leaf.get() as { pgoffset: number }
      database.close()
      writeFileSync(path, readFileSync(path).fill(0xa5, pgoffset, pgoffset + 64))
    },
    expected: /^corrupt .*: the file is damaged \(.+\); take another backup$/,
  },
  {
    name: 'of a newer version',
    prepare(path) {
      const database = new DatabaseSync(path)
      database.exec('PRAGMA user_version = 3')
      database.close()
    },
    expected: /^unusable .*its format has version 3, and this Ringwall knows 1 and older/,
  },
  {
    name: 'of something else',
    prepare(path) {
      const database = new DatabaseSync(path)
      database.exec('PRAGMA application_id = 1')
      database.close()
    },
    expected: /^unusable .*none of Ringwall's$/,
  },
]

describe('a backup cannot be read', () => {
  for (const { name, prepare, expected } of unreadable) {
    test(name, async () => {
      await commitTo(30)
      await store.backup(inFolder('file'))
      prepare(inFolder('file'))
      await assert.rejects(readBackup(inFolder('file')), (error: Error & { kind?: string }) => {
        assert.equal(error.name, 'StoreError')
        assert.match(`${error.kind} ${error.message.replace(inFolder('file'), 'file')}`, expected)
        return true
      })
    })
  }

  test('where it is a store that is open, which goes on', async () => {
    await commitTo(5)
    await assert.rejects(readBackup(inFolder('store.db')), {
      kind: 'busy',
      message: /this process has it open already$/,
    })
    await commitTo(10)
    await store.close()
    assert.equal((await readBackup(inFolder('store.db'))).revision, 10)
  })
})
