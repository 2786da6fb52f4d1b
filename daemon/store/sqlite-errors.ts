/** Sorts what SQLite and the file system report; nothing else reads their codes. */
import { findLockHolders } from './lock-holders.ts'
import { StoreError } from './store.ts'

/** What is being tried, for the message of its failure. */
export interface Attempt {
  /** `Cannot open store "/var/lib/ringwall/store.db"` */
  readonly action: string
  readonly path: string
  /** What to do where the file turns out to be damaged. */
  readonly remedy: string
}

export function attemptOnStore(verb: 'open' | 'read' | 'write' | 'compact', path: string): Attempt {
  const remedy = 'it is left as it is; to restore, move it and its "-wal" file away and put a backup in its place'
  return { action: `Cannot ${verb} store "${path}"`, path, remedy }
}

export function attemptOnBackup(verb: 'read' | 'write', path: string): Attempt {
  return { action: `Cannot ${verb} backup "${path}"`, path, remedy: 'take another backup' }
}

export function fail({ action }: Attempt, kind: StoreError['kind'], what: string, cause?: unknown): StoreError {
  return new StoreError(kind, `${action}: ${what}`, cause === undefined ? {} : { cause })
}

/** Primary result codes (https://www.sqlite.org/rescode.html); extended ones have them in the low byte. */
const perm = 3
const busy = 5
const locked = 6
const readOnly = 8
const ioError = 10
const corrupt = 11
const full = 13
const cannotOpen = 14
const notDatabase = 26

/** @returns a StoreError with the failure as its cause; an error of neither SQLite nor the file system as it is */
export function sortError(attempt: Attempt, error: unknown): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error
  const { code, errcode, syscall } = error as NodeJS.ErrnoException & { errcode?: number }
  if (code === 'ERR_SQLITE_ERROR' && errcode !== undefined) return sortSqlite(attempt, error, errcode)
  if (code === 'ENOSPC' || code === 'EDQUOT') return fail(attempt, 'full', diskFull, error)
  if (code === 'EEXIST') return fail(attempt, 'unusable', 'there is such a file already; expected a free name', error)
  if (code === 'ENOENT') return fail(attempt, 'unusable', 'expected a folder that exists', error)
  if (code === 'EACCES' || code === 'EROFS')
    return fail(attempt, 'unusable', `${error.message}; ${wantedAccess}`, error)
  return syscall === undefined ? error : fail(attempt, 'unusable', error.message, error)
}

function sortSqlite(attempt: Attempt, error: Error, errcode: number): StoreError {
  switch (errcode & 0xff) {
    case full:
      return fail(attempt, 'full', diskFull, error)
    case busy:
    case locked:
      return fail(attempt, 'busy', describeHolders(attempt.path), error)
    case corrupt:
      return damaged(attempt, error.message, error)
    case notDatabase:
      return damaged(attempt, 'it holds something else than an SQLite database', error)
    case ioError:
      return fail(attempt, 'unusable', `the disk failed (${error.message}, SQLite code ${errcode})`, error)
    case perm:
    case readOnly:
    case cannotOpen:
      return fail(attempt, 'unusable', `${error.message}; ${wantedAccess}`, error)
    default:
      return fail(attempt, 'unusable', `${error.message} (SQLite code ${errcode})`, error)
  }
}

export function damaged(attempt: Attempt, what: string, cause?: unknown): StoreError {
  return fail(attempt, 'corrupt', `the file is damaged (${what}); ${attempt.remedy}`, cause)
}

/** Whether a statement failed because reading or writing did, space apart. */
export function isDiskFailure(error: unknown): boolean {
  return (((error as { errcode?: number }).errcode ?? 0) & 0xff) === ioError
}

const wantedAccess = 'expected a file and a folder that this user may write'
const diskFull = 'the disk is full; nothing of it was done, and it can be tried again when there is space'

function describeHolders(path: string): string {
  const holders = findLockHolders(path)
  const others = holders.filter(({ pid }) => pid !== process.pid)
  if (holders.length > 0 && others.length === 0) return 'this process has it open already'
  const names = others.map(({ pid, command }) => (command === null ? `pid ${pid}` : `pid ${pid}, "${command}"`))
  return `another process has it open${names.length > 0 ? ` (${names.join('; ')})` : ''}; stop that one first`
}
