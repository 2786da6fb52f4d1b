/** A backup as the body of a request: to a file first, for it may be larger than memory. */
import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ApiError } from '../errors.ts'
import { type Backups, notWhole } from '../services/backups.ts'
import { type BackupContent, StoreError } from '../store/store.ts'

export const backupMediaType = 'application/vnd.sqlite3'
const maxBackupBytes = 1024 ** 3

export class BackupBody {
  readonly content: BackupContent
  readonly #sha256: string

  constructor(content: BackupContent, sha256: string) {
    this.content = content
    this.#sha256 = sha256
  }

  /** Stands for the file where requests are compared. */
  toJSON(): string {
    return this.#sha256
  }
}

/** @throws {ApiError} 400 where it is no backup, 413 where it is too large, 503 where the disk is full */
export async function receiveBackup(payload: Readable, { folder, read }: Backups): Promise<BackupBody> {
  const path = join(folder, `restore-${randomUUID()}.db`)
  try {
    const sha256 = await save(payload, path)
    return new BackupBody(await read(path), sha256)
  } catch (error) {
    throw sorted(error)
  } finally {
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${path}${suffix}`, { force: true })
  }
}

async function save(payload: Readable, path: string): Promise<string> {
  const hash = createHash('sha256')
  let bytes = 0
  await pipeline(
    payload,
    async function* measured(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        bytes += chunk.length
        if (bytes > maxBackupBytes) {
          throw new ApiError(413, 'RequestTooLarge', 'Cannot read the request: expected a backup of at most 1 GiB')
        }
        hash.update(chunk)
        yield chunk
      }
    },
    createWriteStream(path, { flags: 'wx', mode: 0o600 }),
  )
  return hash.digest('hex')
}

function sorted(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof StoreError && error.kind !== 'full') return notWhole(reasonOf(error), error)
  const { code } = error as { code?: string }
  if (error instanceof StoreError || code === 'ENOSPC' || code === 'EDQUOT') {
    return new ApiError(503, 'StoreUnavailable', 'Cannot take the backup: the disk is full; nothing was stored', {
      cause: error,
    })
  }
  if (code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET') {
    return new ApiError(400, 'InvalidRequest', 'Cannot read the backup: the connection ended before it was whole', {
      cause: error,
    })
  }
  throw error
}

/** Without the name of our temporary file. */
function reasonOf({ kind, message }: StoreError): string {
  return kind === 'corrupt' ? 'the file is damaged' : (/: (.+)$/.exec(message)?.[1] ?? message)
}
