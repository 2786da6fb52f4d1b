/** Numbered SQL files, each run once, in order. A released one is never edited: another is added. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { Attempt } from './sqlite-errors.ts'
import { NewerStoreError } from './store.ts'

export interface Migration {
  /** From 1 on, without gaps. */
  readonly version: number
  readonly sql: string
}

export const releasedMigrations = join(import.meta.dirname, 'migrations')

/** @throws {Error} where the numbers are not 001, 002 and so on */
export function readMigrations(folder: string): readonly Migration[] {
  const names = readdirSync(folder)
    .filter(name => name.endsWith('.sql'))
    .sort()
  return names.map((name, index) => {
    const version = index + 1
    if (!name.startsWith(`${String(version).padStart(3, '0')}-`))
      throw new Error(`Cannot use migration "${name}": expected one with number ${version}`)
    return { version, sql: readFileSync(join(folder, name), 'utf8') }
  })
}

/**
 * Brings the file to the version of the last migration: all that are missing, or nothing. The version is SQLite's
 * `user_version`, which is part of the transaction.
 * @throws {NewerStoreError} and does not touch the file
 */
export function migrate(database: DatabaseSync, attempt: Attempt, migrations: readonly Migration[]): void {
  const version = checkVersion(database, attempt, migrations.length)
  const missing = migrations.slice(version)
  if (missing.length === 0) return
  database.exec('BEGIN IMMEDIATE')
  try {
    for (const { sql } of missing) database.exec(sql)
    database.exec(`PRAGMA user_version = ${migrations.length}`)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/**
 * @param known  the newest version this Ringwall knows
 * @returns that of the file; 0 for an empty one
 */
export function checkVersion(database: DatabaseSync, attempt: Attempt, known: number): number {
  const version = Number(database.prepare('PRAGMA user_version').get()!.user_version)
  if (version <= known) return version
  throw new NewerStoreError(
    `${attempt.action}: its format has version ${version}, and this Ringwall knows ${known} and older; run the newer one that wrote it`,
  )
}
