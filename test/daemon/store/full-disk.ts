/**
 * Run on a file system of 12 MiB that is its own, by disk.test.ts: `full-disk.ts fill FOLDER` writes until the disk is
 * full, looks at what is left of the store, and ends as kill -9 ends a process; `full-disk.ts recover FOLDER` goes on.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openSqliteStore, type SqliteStore } from '../../../daemon/store/sqlite.ts'
import type { Commit, StoreError } from '../../../daemon/store/store.ts'
import { expectedCommit, Replay, withoutBefore, writesOf } from './numbered-commits.ts'

const [task, folder = ''] = process.argv.slice(2)
const path = join(folder, 'store.db')
const ballast = join(folder, 'ballast')
const acknowledged = join(folder, 'acknowledged')

const commitNext = (store: SqliteStore) => {
  const revision = store.head() + 1
  return store.commit({ writes: writesOf(revision), note: { revision } })
}

async function commitUntilFull(store: SqliteStore): Promise<void> {
  await assert.rejects(
    async () => {
      for (;;) await commitNext(store)
    },
    ({ name, kind, message }: StoreError) => {
      const expected = `Cannot write store "${path}": the disk is full; nothing of it was done, and it can be tried again when there is space`
      assert.deepEqual({ name, kind, message }, { name: 'StoreError', kind: 'full', message: expected })
      return true
    },
  )
}

async function assertWhole(store: SqliteStore): Promise<void> {
  const replay = new Replay()
  replay.advance(store.head())
  assert.deepEqual(await store.list(''), { revision: store.head(), entries: replay.entries })
  for (const entry of replay.entries) assert.deepEqual(await store.get(entry.key), entry)
  const history = await store.history(store.oldest(), store.head() + 1)
  assert.deepEqual(
    history.map(withoutBefore),
    Array.from({ length: store.head() + 1 - store.oldest() }, (_, index) => expectedCommit(store.oldest() + index)),
  )
}

async function fill(): Promise<void> {
  writeFileSync(ballast, Buffer.alloc(6_000_000))
  writeFileSync(acknowledged, '0'.repeat(10))
  const store = await openSqliteStore(path)
  const heard: Commit[] = []
  await store.watch(1, commit => void heard.push(commit))
  await commitUntilFull(store)
  assert.ok(store.head() > 100, `${store.head()} commits are none to speak of`)
  assert.equal(heard.at(-1)!.revision, store.head())
  await assertWhole(store)

  const names = readdirSync(folder)
  await assert.rejects(store.backup(join(folder, 'backup')), { kind: 'full' })
  await assert.rejects(openSqliteStore(join(folder, 'second.db')), { kind: 'full' })
  assert.deepEqual(readdirSync(folder), names, 'something was left behind')
  assert.equal((await store.history(store.head(), 1)).length, 1)

  // The last small commits still fit; then nothing does, and it is asked for again and again.
  for (let attempt = 1; attempt <= 20; attempt += 1) await commitUntilFull(store)
  await assertWhole(store)
  writeFileSync(acknowledged, String(store.head()).padStart(10, '0'), { flag: 'r+' })
  process.kill(process.pid, 'SIGKILL')
}

async function recover(): Promise<void> {
  // The disk is full still: a daemon that starts anew must serve what there is.
  let store = await openSqliteStore(path)
  assert.equal(store.head(), Number(readFileSync(acknowledged, 'utf8')))
  await assertWhole(store)
  await commitUntilFull(store)
  await assertWhole(store)
  await store.close()

  store = await openSqliteStore(path)
  await commitUntilFull(store)
  rmSync(ballast)
  const head = store.head()
  for (let count = 1; count <= 5; count += 1) await commitNext(store)
  assert.equal(store.head(), head + 5)
  await store.compact(head)
  await store.backup(join(folder, 'backup'))
  await assertWhole(store)
  await store.close()
  store = await openSqliteStore(path)
  assert.deepEqual([store.head(), store.oldest()], [head + 5, head])
  await assertWhole(store)
  await store.close()
}

await (task === 'fill' ? fill() : recover())
