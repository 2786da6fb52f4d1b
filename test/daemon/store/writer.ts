/**
 * A process that writes to a store as fast as it can until it is killed: `writer.ts`, started, loads its code and waits
 * for a line on standard input, `commit PATH` or `backup PATH FOLDER`. It prints each revision when it is acknowledged,
 * and each backup when it is made.
 */
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { openSqliteStore, type SqliteStore } from '../../../daemon/store/sqlite.ts'
import { writesOf } from './numbered-commits.ts'

/** At once: what is in a buffer dies with the process. */
const print = (line: string) => void writeSync(1, `${line}\n`)

async function commitForEver(store: SqliteStore): Promise<never> {
  for (;;) {
    const revision = store.head() + 1
    await store.commit({ writes: writesOf(revision), note: { revision } })
    print(String(revision))
    if (revision % 61 === 0) await store.compact(revision - 40)
  }
}

async function backUpForEver(store: SqliteStore, folder: string): Promise<never> {
  for (;;) {
    const path = join(folder, `${process.pid}-${store.head()}.backup`)
    const backup = store.backup(path)
    for (let count = 0; count < 5; count += 1) {
      const revision = store.head() + 1
      await store.commit({ writes: writesOf(revision), note: { revision } })
      print(String(revision))
    }
    await backup
    print(path)
  }
}

print('loaded')
for await (const line of createInterface({ input: process.stdin })) {
  const [task, path = '', folder = ''] = line.split(' ')
  const store = await openSqliteStore(path)
  await (task === 'backup' ? backUpForEver(store, folder) : commitForEver(store))
}
