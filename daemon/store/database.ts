/** Opens the file of a store: made where there is none, locked, of a version we know, whole. */
import { randomUUID } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite'
import { checkVersion, type Migration, migrate } from './migrations.ts'
import { createFile } from './new-file.ts'
import { type Attempt, attemptOnStore, damaged, fail, sortError } from './sqlite-errors.ts'

/** SQLite's `application_id` of our files: "Ring". */
const applicationId = 0x52_69_6e_67
/** SQLite waits for a lock by sleeping, in our only thread; whoever starts daemons can wait better. */
const options: DatabaseSyncOptions = { timeout: 0 }

/**
 * Never open the file of a store that is open by any other means: a process loses its POSIX locks on a file when it
 * closes any descriptor of it (fcntl_locking(2)).
 * @param path  in a folder that exists
 * @throws {StoreError} `busy`, naming who has it open; `corrupt`; `full`; `unusable`: no file of ours, of a newer
 * version, or not ours to write. The file is left as it is then
 */
export async function openDatabase(path: string, migrations: readonly Migration[]): Promise<DatabaseSync> {
  const attempt = attemptOnStore('open', path)
  try {
    if (fileSize(path, attempt) === null) await createDatabase(attempt, migrations)
    // Of a file system that is mounted read-only SQLite says no more than "disk I/O error".
    accessSync(path, constants.W_OK)
    return openChecked(attempt, false, database => prepare(database, attempt, migrations))
  } catch (error) {
    throw sortError(attempt, error)
  }
}

/** Of this version or an older one: `documents` and `meta` have been the same in all. */
export function openReadOnly(attempt: Attempt, migrations: readonly Migration[]): DatabaseSync {
  if (fileSize(attempt.path, attempt) === null) throw fail(attempt, 'unusable', 'there is no such file')
  return openChecked(attempt, true, database => {
    checkOurs(database, attempt)
    checkVersion(database, attempt, migrations.length)
  })
}

/**
 * @param check  `integrity_check`, or `quick_check`, which leaves out what indexes say; of one table, or of all
 * @throws {StoreError} `corrupt` where SQLite finds fault
 */
export function checkWhole(database: DatabaseSync, attempt: Attempt, check: string): void {
  const findings = database
    .prepare(`PRAGMA ${check}`)
    .all()
    .map(row => String(Object.values(row)[0]))
  if (findings[0] !== 'ok') throw damaged(attempt, findings.slice(0, 3).join('; '))
}

function openChecked(attempt: Attempt, readOnly: boolean, check: (database: DatabaseSync) => void): DatabaseSync {
  // A store takes its name whole (new-file.ts), so one without content has lost it; SQLite would begin a new one.
  if (fileSize(attempt.path, attempt) === 0) throw damaged(attempt, 'it is empty')
  const database = new DatabaseSync(attempt.path, { ...options, readOnly })
  try {
    check(database)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

async function createDatabase(attempt: Attempt, migrations: readonly Migration[]): Promise<void> {
  const { path } = attempt
  // SQLite would take it for the new file's own and write its pages into that.
  if (fileSize(`${path}-wal`, attempt) !== null)
    throw fail(attempt, 'corrupt', `the file is missing, but "${path}-wal" is there; ${attempt.remedy}`)
  try {
    await createFile(path, async temporary => {
      const database = new DatabaseSync(temporary, options)
      try {
        // A file that has no name yet needs no care of SQLite's; it is synced when it is whole.
        database.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF')
        database.exec(`PRAGMA application_id = ${applicationId}`)
        migrate(database, attempt, migrations)
        database.prepare('INSERT INTO meta (id, oldest) VALUES (?, 1)').run(randomUUID())
      } finally {
        database.close()
      }
    })
  } catch (error) {
    // Another daemon was first; whether it has it open is seen next.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function prepare(database: DatabaseSync, attempt: Attempt, migrations: readonly Migration[]): void {
  // The lock: from the first look at a write-ahead log on, nobody else can so much as read
  // (https://www.sqlite.org/wal.html, "Use of WAL Without Shared-Memory").
  database.exec('PRAGMA locking_mode = EXCLUSIVE')
  checkOurs(database, attempt)
  checkVersion(database, attempt, migrations.length)
  const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.journal_mode
  if (mode !== 'wal') throw fail(attempt, 'unusable', 'SQLite cannot keep a write-ahead log there')
  // With FULL, a commit is on disk when COMMIT returns (https://www.sqlite.org/pragma.html#pragma_synchronous).
  database.exec('PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216')
  migrate(database, attempt, migrations)
  // Some 20 ms for 50 MB, which are read next anyway; the history, which may be far longer, is not looked at.
  checkWhole(database, attempt, 'quick_check(documents)')
  // A backup in a store's place goes on from where the store once was, and agents may have seen what came after.
  const newId = database.prepare('UPDATE meta SET id = ?, backup_time_ms = NULL WHERE backup_time_ms IS NOT NULL')
  newId.run(randomUUID())
}

function checkOurs(database: DatabaseSync, attempt: Attempt): void {
  const found = database.prepare('PRAGMA application_id').get()?.application_id
  if (found !== applicationId) throw fail(attempt, 'unusable', "it is an SQLite database, but none of Ringwall's")
}

/** In bytes; null where there is no such file. */
function fileSize(path: string, attempt: Attempt): number | null {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return null
  if (!stats.isFile()) throw fail(attempt, 'unusable', 'expected a file')
  return stats.size
}
