/** Copies of a store: made while it runs, read to be restored. */
import { stat } from 'node:fs/promises'
import { backup, DatabaseSync } from 'node:sqlite'
import { checkWhole, openReadOnly } from './database.ts'
import { readMigrations, releasedMigrations } from './migrations.ts'
import { createFile } from './new-file.ts'
import { attemptOnBackup, sortError } from './sqlite-errors.ts'
import type { BackupContent } from './store.ts'
import { Tables } from './tables.ts'

export interface BackupReport {
  /** The head of what it holds. */
  readonly revision: number
  readonly bytes: number
}

/**
 * Copied page by page in a thread of its own. What is committed meanwhile through the same connection goes into the
 * copy too, so that it is always one revision (https://www.sqlite.org/backup.html).
 */
export async function writeBackup(database: DatabaseSync, path: string, timeMs: number): Promise<BackupReport> {
  const attempt = attemptOnBackup('write', path)
  let revision = 0
  try {
    await refuseExisting(path)
    await createFile(path, async temporary => {
      await backup(database, temporary)
      const copy = new DatabaseSync(temporary)
      try {
        // One file, that can be read where nothing can be written: a write-ahead log needs more files beside it.
        copy.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE')
        copy.prepare('UPDATE meta SET backup_time_ms = ?').run(timeMs)
        revision = new Tables(copy, attempt).head()
      } finally {
        copy.close()
      }
    })
    return { revision, bytes: (await stat(path)).size }
  } catch (error) {
    throw sortError(attempt, error)
  }
}

/** Early; that nobody takes the name meanwhile is seen to by createFile. */
async function refuseExisting(path: string): Promise<void> {
  try {
    await stat(path)
  } catch {
    return
  }
  throw Object.assign(new Error(`EEXIST: file already exists, "${path}"`), { code: 'EEXIST' })
}

/**
 * Everything that stood when the backup was made, to be committed to a store that runs. A file put in a store's place
 * needs none of this: it is opened as a store, and gets a new id.
 * @throws {StoreError} `unusable` where it is missing, no store, or of a newer version; `corrupt`; `busy` for the file
 * of a store that is open
 */
export async function readBackup(path: string): Promise<BackupContent> {
  const attempt = attemptOnBackup('read', path)
  try {
    const database = openReadOnly(attempt, readMigrations(releasedMigrations))
    try {
      checkWhole(database, attempt, 'integrity_check')
      const tables = new Tables(database, attempt)
      const revision = tables.head()
      const timeMs = tables.commits(revision, 1)[0]?.timeMs ?? null
      return { id: tables.meta().id, timeMs, revision, entries: tables.entries('') }
    } finally {
      database.close()
    }
  } catch (error) {
    throw sortError(attempt, error)
  }
}
