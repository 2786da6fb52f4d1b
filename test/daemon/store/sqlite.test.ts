/** What is SQLite's own: the file, its lock and versions, and what becomes of watchers that misbehave. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
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
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { openSqliteStore, type SqliteStoreOptions } from '../../../daemon/store/sqlite.ts'
import type { Commit, StoreError, Watch } from '../../../daemon/store/store.ts'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringwall-store-'))
  path = join(folder, 'store.db')
})
afterEach(() => rmSync(folder, { recursive: true }))

const module = JSON.stringify(join(import.meta.dirname, '../../../daemon/store/sqlite.ts'))

/** A process of its own that runs this code, `openSqliteStore` and the store's `path` given. */
function runScript(code: string) {
  const source = `import { openSqliteStore } from ${module}\nconst path = process.argv[1]\n${code}`
  const args = ['--input-type=module-typescript', '-e', source, path]
  return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] })
}

/** A store of 40 documents of 2 kB each, closed. */
async function makeStore(): Promise<void> {
  const store = await openSqliteStore(path)
  for (let number = 1; number <= 40; number += 1) {
    await store.commit({ writes: [{ key: `a/${number}`, value: String(number % 10).repeat(2000) }] })
  }
  await store.close()
}

/** Overwrites the beginning of a leaf page of the table. */
function tearPage(table: string): void {
  const database = new DatabaseSync(path)
  const leaf = database.prepare("SELECT pgoffset FROM dbstat WHERE name = ? AND pagetype = 'leaf' LIMIT 1 OFFSET 3")
  const { pgoffset } = leaf.get(table) as { pgoffset: number }
  database.close()
  writeFileSync(path, readFileSync(path).fill(0xa5, pgoffset, pgoffset + 64))
}

describe('a new store', () => {
  test('is empty, for its owner alone, and has its name when it is whole', async () => {
    const store = await openSqliteStore(path)
    assert.deepEqual([store.head(), store.oldest()], [0, 1])
    assert.match(store.id, /^[\da-f-]{36}$/)
    assert.deepEqual(readdirSync(folder).sort(), ['store.db', 'store.db-wal'])
    for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600)
    await store.close()
    assert.deepEqual(readdirSync(folder), ['store.db'])
  })

  test('has an id of its own and keeps it', async () => {
    const ids = []
    for (const name of ['one', 'two', 'one']) {
      const store = await openSqliteStore(join(folder, name))
      ids.push(store.id)
      await store.close()
    }
    assert.equal(ids[0], ids[2])
    assert.notEqual(ids[0], ids[1])
  })

  test('has another id when it is renamed, and keeps that', async () => {
    const store = await openSqliteStore(path)
    const { id: first } = store
    await store.rename()
    const { id: second } = store
    await store.close()
    const opened = await openSqliteStore(path)
    assert.notEqual(second, first)
    assert.equal(opened.id, second)
    await opened.close()
  })
})

interface Refusal {
  readonly name: string
  prepare(): void | Promise<void>
  readonly kind: StoreError['kind']
  readonly message: RegExp
}

const refusals: readonly Refusal[] = [
  {
    name: 'garbage',
    prepare: () => writeFileSync(path, 'no database at all, '.repeat(500)),
    kind: 'corrupt',
    message: /the file is damaged \(it holds something else than an SQLite database\); .* put a backup in its place$/,
  },
  { name: 'an empty file', prepare: () => writeFileSync(path, ''), kind: 'corrupt', message: /it is empty.*backup/ },
  {
    name: 'a file whose end is missing',
    async prepare() {
      await makeStore()
      truncateSync(path, statSync(path).size - 8192)
    },
    kind: 'corrupt',
    message: /the file is damaged \(database disk image is malformed\); it is left as it is; .*backup/,
  },
  {
    name: 'a file whose beginning is overwritten',
    async prepare() {
      await makeStore()
      writeFileSync(path, readFileSync(path).fill(0, 0, 512))
    },
    kind: 'corrupt',
    message: /backup/,
  },
  {
    name: 'a file with a torn page of documents',
    async prepare() {
      await makeStore()
      tearPage('documents')
    },
    kind: 'corrupt',
    message: /the file is damaged \(.*\); it is left as it is/,
  },
  {
    name: 'a write-ahead log without its file',
    async prepare() {
      const store = await openSqliteStore(path)
      await store.commit({ writes: [{ key: 'a/1', value: 1 }] })
      copyFileSync(`${path}-wal`, join(folder, 'kept'))
      await store.close()
      rmSync(path)
      copyFileSync(join(folder, 'kept'), `${path}-wal`)
    },
    kind: 'corrupt',
    message: /the file is missing, but ".*store\.db-wal" is there; .*backup/,
  },
  {
    name: "somebody else's database",
    prepare() {
      const database = new DatabaseSync(path)
      database.exec('CREATE TABLE documents (key TEXT)')
      database.close()
    },
    kind: 'unusable',
    message: /it is an SQLite database, but none of Ringwall's$/,
  },
  {
    name: 'a store of a newer version',
    async prepare() {
      await makeStore()
      const database = new DatabaseSync(path)
      database.exec('PRAGMA user_version = 7')
      database.close()
    },
    kind: 'unusable',
    message: /its format has version 7, and this Ringwall knows 1 and older; run the newer one that wrote it$/,
  },
  { name: 'a folder', prepare: () => mkdirSync(path), kind: 'unusable', message: /expected a file$/ },
  {
    name: 'a folder that is missing',
    prepare() {
      path = join(folder, 'missing', 'store.db')
    },
    kind: 'unusable',
    message: /expected a folder that exists$/,
  },
]

describe('what is no store of ours is refused and left as it is', () => {
  for (const { name, prepare, kind, message } of refusals) {
    test(name, async () => {
      await prepare()
      const contents = () => readdirSync(folder).map(file => [file, readable(join(folder, file))])
      const before = contents()
      await assert.rejects(openSqliteStore(path), error => {
        assert.ok(error instanceof Error)
        assert.deepEqual({ name: error.name, kind: (error as StoreError).kind }, { name: 'StoreError', kind })
        assert.ok(error.message.startsWith(`Cannot open store "${path}": `), error.message)
        assert.match(error.message, message)
        return true
      })
      assert.deepEqual(contents(), before)
    })
  }

  function readable(file: string): string | null {
    return statSync(file).isFile() ? readFileSync(file, 'latin1') : null
  }

  test('a document that is no JSON', async () => {
    await makeStore()
    const database = new DatabaseSync(path)
    database.exec(`UPDATE documents SET value = '{"a":' WHERE key = 'a/7'`)
    database.close()
    const store = await openSqliteStore(path)
    const expected = {
      kind: 'corrupt',
      message: /^Cannot read store ".*": the file is damaged \(what it has under a\/7 /,
    }
    await assert.rejects(store.get('a/7'), expected)
    await assert.rejects(store.list(''), expected)
    assert.equal((await store.get('a/8'))!.revision, 8)
    await store.close()
  })

  test('a torn page of history, but only when it is read', async () => {
    await makeStore()
    tearPage('changes')
    const store = await openSqliteStore(path)
    assert.equal((await store.list('')).entries.length, 40)
    await assert.rejects(store.history(1, 40), { kind: 'corrupt', message: /^Cannot read store / })
    const watching = store.watch(1, () => {})
    await assert.rejects(watching, { kind: 'corrupt' })
    await store.close()
  })

  const notRoot = process.getuid?.() === 0 ? false : 'needs root, to become another user'
  test('a file that this user may not open', { skip: notRoot }, async () => {
    const own = join(folder, 'own')
    mkdirSync(own)
    path = join(own, 'store.db')
    await makeStore()
    // Everything it needs is read before it becomes the other user, for whom these sources may be out of reach.
    const migrations = join(folder, 'migrations')
    cpSync(join(import.meta.dirname, '../../../daemon/store/migrations'), migrations, { recursive: true })
    const code = `
      process.setuid(65534)
      const migrations = ${JSON.stringify(migrations)}
      await openSqliteStore(path, { migrations }).catch(error => console.log(error.kind, error.message))
    `
    chmodSync(folder, 0o755)
    for (const [mode, fault] of [
      [0o700, 'EACCES: permission denied, stat "store.db"'],
      [0o755, 'EACCES: permission denied, access "store.db"'],
    ] as const) {
      chmodSync(own, mode)
      const output = await text(runScript(code).stdout)
      assert.equal(
        output.replaceAll(path, 'store.db').replaceAll("'", '"'),
        `unusable Cannot open store "store.db": ${fault}; expected a file and a folder that this user may write\n`,
      )
    }
  })
})

describe('the lock', () => {
  test('keeps this process from opening it twice', async () => {
    const store = await openSqliteStore(path)
    const expected = { kind: 'busy', message: `Cannot open store "${path}": this process has it open already` }
    await assert.rejects(openSqliteStore(path), expected)
    await assert.rejects(openSqliteStore(path), expected)
    await store.commit({ writes: [{ key: 'a/1', value: 1 }] })
    await store.close()
    await (await openSqliteStore(path)).close()
  })

  test('names the process that has it, and goes with it however it ends', async () => {
    const holder = runScript(`
      const store = await openSqliteStore(path)
      await store.commit({ writes: [{ key: 'a/1', value: 'of the holder' }] })
      console.log('open')
      process.stdin.resume()
    `)
    await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit').then(() => assert.fail('it ended'))])
    await assert.rejects(openSqliteStore(path), ({ kind, message }: StoreError) => {
      assert.equal(kind, 'busy')
      assert.ok(message.startsWith(`Cannot open store "${path}": another process has it open (pid ${holder.pid}, "`))
      assert.match(message, /node.*"\); stop that one first$/)
      return true
    })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    const store = await openSqliteStore(path)
    assert.equal((await store.get('a/1'))!.value, 'of the holder')
    await store.close()
  })

  test('is not waited for by who only looks', async () => {
    await makeStore()
    const looking = new DatabaseSync(path)
    looking.prepare('SELECT key FROM documents').all()
    await assert.rejects(openSqliteStore(path), { kind: 'busy' })
    looking.close()
    await (await openSqliteStore(path)).close()
  })
})

describe('migrations', () => {
  const released = join(import.meta.dirname, '../../../daemon/store/migrations')
  let migrations = ''
  beforeEach(() => {
    migrations = join(folder, 'migrations')
    mkdirSync(migrations)
    for (const name of readdirSync(released)) copyFileSync(join(released, name), join(migrations, name))
  })
  const add = (name: string, sql: string) => writeFileSync(join(migrations, name), sql)

  test('are made once, of an older file, and keep what stands', async () => {
    await makeStore()
    add('002-more.sql', 'CREATE TABLE more (a TEXT) STRICT;')
    add('003-most.sql', 'ALTER TABLE more ADD COLUMN b TEXT; INSERT INTO more VALUES (1, 2);')
    for (const _ of [1, 2]) {
      const store = await openSqliteStore(path, { migrations })
      assert.equal(store.head(), 40)
      assert.equal((await store.list('')).entries.length, 40)
      await store.close()
    }
    const database = new DatabaseSync(path)
    assert.deepEqual(database.prepare('SELECT count(*) AS count FROM more').get()!.count, 1)
    database.close()
  })

  test('are made all or not at all', async () => {
    await makeStore()
    add('002-more.sql', 'CREATE TABLE more (a TEXT) STRICT;')
    add('003-most.sql', 'INSERT INTO more VALUES (1); INSERT INTO missing VALUES (1);')
    const options: SqliteStoreOptions = { migrations }
    await assert.rejects(openSqliteStore(path, options), { kind: 'unusable', message: /no such table: missing/ })
    const store = await openSqliteStore(path)
    assert.equal((await store.list('')).entries.length, 40)
    await store.close()
    const database = new DatabaseSync(path)
    assert.equal(database.prepare('PRAGMA user_version').get()!.user_version, 1)
    assert.equal(database.prepare("SELECT name FROM sqlite_schema WHERE name = 'more'").get(), undefined)
    database.close()
  })

  test('of a new store that fail leave no file', async () => {
    add('002-more.sql', 'CREATE TABLE')
    await assert.rejects(openSqliteStore(path, { migrations }), { kind: 'unusable' })
    assert.deepEqual(readdirSync(folder), ['migrations'])
  })

  test('are numbered without gaps', async () => {
    add('003-most.sql', '')
    await assert.rejects(openSqliteStore(path, { migrations }), /Cannot use migration "003-most.sql".* number 2/)
  })
})

describe('watchers', () => {
  test('have heard of a commit before its promise resolves, and never twice', async () => {
    const store = await openSqliteStore(path)
    await store.commit({ writes: [] })
    const heard: number[] = []
    const watching = store.watch(1, ({ revision }) => void heard.push(revision))
    const commits = [2, 3].map(async expected => {
      await store.commit({ writes: [] })
      assert.ok(heard.includes(expected))
    })
    await Promise.all([watching, ...commits])
    assert.deepEqual(heard, [1, 2, 3])
    await store.close()
  })

  test('get a long history whole', async () => {
    const store = await openSqliteStore(path)
    for (let number = 1; number <= 600; number += 1) await store.commit({ writes: [{ key: 'a/1', value: number }] })
    const heard: unknown[] = []
    await store.watch(1, ({ changes }) => void heard.push(changes[0]!.value))
    assert.deepEqual(
      heard,
      Array.from({ length: 600 }, (_, index) => index + 1),
    )
    await store.close()
  })

  test('that commit, read and close each other: all hear all in order', async () => {
    const store = await openSqliteStore(path)
    const heard: Record<string, string[]> = { first: [], second: [], third: [] }
    const note = (name: string, { revision, changes }: Commit) => heard[name]!.push(`${revision} ${changes[0]!.key}`)
    const reactions: Promise<unknown>[] = []
    await store.watch(1, commit => {
      note('first', commit)
      if (commit.revision > 2) return
      reactions.push(store.commit({ writes: [{ key: `reaction/${commit.revision}`, value: 1 }] }))
      reactions.push(store.watch(commit.revision, later => void note('third', later)))
    })
    await store.watch(3, () => second.close())
    const second: Watch = await store.watch(1, commit => void note('second', commit))
    await store.commit({ writes: [{ key: 'a/1', value: 1 }] })
    await Promise.all(reactions)
    assert.deepEqual(heard.first, ['1 a/1', '2 reaction/1', '3 reaction/2'])
    // Closed by one that hears of the third before it.
    assert.deepEqual(heard.second, ['1 a/1', '2 reaction/1'])
    assert.deepEqual(heard.third!.toSorted(), ['1 a/1', '2 reaction/1', '2 reaction/1', '3 reaction/2', '3 reaction/2'])
    await store.commit({ writes: [{ key: 'a/2', value: 1 }] })
    assert.deepEqual([heard.first!.length, heard.second!.length], [4, 2])
    await store.close()
  })

  test('that throw harm nobody else, and hear nothing more', async () => {
    const errors: unknown[] = []
    const store = await openSqliteStore(path, { onWatcherError: error => void errors.push(error) })
    const heard = { faulty: 0, sound: 0 }
    const fault = new Error('a watcher at fault')
    await store.watch(1, () => {
      heard.faulty += 1
      throw fault
    })
    await store.watch(1, () => {
      heard.sound += 1
    })
    for (const revision of [1, 2]) {
      assert.deepEqual(await store.commit({ writes: [{ key: 'a/1', value: revision }] }), {
        kind: 'committed',
        revision,
      })
    }
    assert.deepEqual([heard, errors], [{ faulty: 1, sound: 2 }, [fault]])
    // For past commits there is a caller to tell.
    await assert.rejects(
      store.watch(1, () => {
        throw fault
      }),
      fault,
    )
    await store.commit({ writes: [] })
    assert.equal(errors.length, 1)
    await store.close()
  })

  test('that throw end the process where nobody cares, with the commit on disk', async () => {
    const child = runScript(`
      const store = await openSqliteStore(path)
      await store.watch(1, () => { throw new Error('a watcher at fault') })
      await store.commit({ writes: [{ key: 'a/1', value: 1 }] })
      setInterval(() => {}, 1000)
    `)
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    assert.equal(code, 1)
    assert.match(stderr, /a watcher at fault/)
    const store = await openSqliteStore(path)
    assert.equal(store.head(), 1)
    await store.close()
  })
})

describe('a commit', () => {
  const writesRefused: readonly (readonly [string, unknown, RegExp])[] = [
    ['', 1, /key "": expected 1 to 512 printable characters/],
    ['a/\u0000', 1, /printable/],
    ['a/\ud800', 1, /printable/],
    ['a/\u{10ffff}', 1, /printable/],
    [`a/${'x'.repeat(511)}`, 1, /printable/],
    ['a/1', undefined, /Cannot commit key "a\/1": expected a JSON document/],
    ['a/1', () => {}, /expected a JSON document/],
    ['a/1', Number.NaN, /expected a JSON document/],
    ['a/1', 1n, /BigInt/],
  ]
  for (const [key, value, message] of writesRefused) {
    test(`of ${typeof value} under ${JSON.stringify(key.slice(0, 10))} is refused`, async () => {
      const store = await openSqliteStore(path)
      await assert.rejects(
        store.commit({
          writes: [
            { key: 'a/0', value: 1 },
            { key, value },
          ],
        }),
        { message },
      )
      assert.deepEqual([store.head(), (await store.list('')).entries], [0, []])
      await store.close()
    })
  }

  test('that SQLite refuses halfway leaves nothing, and the next one is made', async () => {
    await makeStore()
    const migrations = join(folder, 'migrations')
    cpSync(join(import.meta.dirname, '../../../daemon/store/migrations'), migrations, { recursive: true })
    // FAIL, unlike ABORT, keeps what the statement and the transaction have done so far.
    const trigger = `CREATE TRIGGER refuse BEFORE INSERT ON changes WHEN new.key = 'refused' BEGIN
      SELECT RAISE(FAIL, 'refused by the test');
    END;`
    writeFileSync(join(migrations, '002-trigger.sql'), trigger)
    const store = await openSqliteStore(path, { migrations })
    const before = await store.list('')
    const heard: number[] = []
    await store.watch(41, ({ revision }) => void heard.push(revision))
    const writes = ['a/1', 'a/100', 'refused'].map(key => ({ key, value: 'new' }))
    await assert.rejects(store.commit({ writes }), { kind: 'unusable', message: /refused by the test/ })
    assert.deepEqual([await store.list(''), await store.history(41, 1), heard], [before, [], []])
    assert.deepEqual(await store.commit({ writes: writes.slice(0, 2) }), { kind: 'committed', revision: 41 })
    assert.deepEqual([(await store.get('a/100'))!.value, heard], ['new', [41]])
    await store.close()
  })

  test('takes text that is hard to store', async () => {
    const store = await openSqliteStore(path)
    const value = {
      'a\u0000b': ['\ud800', '\u{1f600}', '\u2028', '"; DROP TABLE documents; --'],
      '': { ['__proto__']: 1 },
    }
    await store.commit({ writes: [{ key: 'a/"\'%_\\', value }] })
    assert.equal(JSON.stringify((await store.get('a/"\'%_\\'))!.value), JSON.stringify(value))
    await store.close()
  })

  test('too deep for JSON is refused, and one just not too deep is heard of', async () => {
    const store = await openSqliteStore(path)
    const heard: Commit[] = []
    await store.watch(1, commit => void heard.push(commit))
    const nested = (depth: number) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as unknown
    await assert.rejects(store.commit({ writes: [{ key: 'a/1', value: nested(100_000) }] }), RangeError)
    await store.commit({ writes: [{ key: 'a/1', value: nested(2000) }] })
    assert.deepEqual([heard.length, store.head()], [1, 1])
    await store.close()
  })

  test('has the time of the clock', async () => {
    let time = 1000
    const store = await openSqliteStore(path, { now: () => time })
    for (time of [1000, 2000, 1500, 3000]) await store.commit({ writes: [] })
    assert.deepEqual(
      (await store.history(1, 10)).map(({ timeMs }) => timeMs),
      [1000, 2000, 1500, 3000],
    )
    await store.close()
  })
})

test('the history is found by how many bytes it has', async () => {
  const store = await openSqliteStore(path)
  const text = 'x'.repeat(98)
  await store.commit({ writes: [{ key: 'a/1', value: text }] })
  // Twice as long: what it was before is part of it.
  await store.commit({ writes: [{ key: 'a/1', value: text }] })
  await store.commit({ writes: [] })
  await store.commit({
    writes: [
      { key: 'a/2', value: text },
      { key: 'a/3', value: text },
    ],
  })
  const found = await Promise.all([0, 199, 200, 399, 400, 499, 500, 10_000].map(bytes => store.oldestWithin(bytes)))
  assert.deepEqual(found, [5, 5, 3, 3, 2, 2, 1, 1])
  await store.compact(4)
  assert.equal(await store.oldestWithin(10_000), 4)
  await store.close()
})

describe('compaction', () => {
  test('takes many steps, with commits between them, and goes on from there after opening', async () => {
    const store = await openSqliteStore(path)
    for (let number = 1; number <= 1000; number += 1) await store.commit({ writes: [{ key: 'a/1', value: number }] })
    const compacting = store.compact(901)
    const during = await store.commit({ writes: [{ key: 'a/2', value: 0 }] })
    assert.ok(store.oldest() < 901, 'the commit waited for all of it')
    await compacting
    assert.deepEqual([during, store.oldest()], [{ kind: 'committed', revision: 1001 }, 901])
    await store.compact(Number.MAX_SAFE_INTEGER)
    await store.close()
    const again = await openSqliteStore(path)
    assert.deepEqual([again.head(), again.oldest()], [1001, 1002])
    assert.deepEqual(await again.history(1002, 10), [])
    assert.equal((await again.list('')).entries.length, 2)
    assert.deepEqual(await again.commit({ writes: [] }), { kind: 'committed', revision: 1002 })
    await again.close()
  })
})
