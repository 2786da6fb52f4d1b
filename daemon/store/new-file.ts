/** Files that take their name whole, and only a name that is free. */
import { randomUUID } from 'node:crypto'
import { link, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Lets `fill` write an empty file, an SQLite database if it likes, readable by its owner alone, under a name of its own beside `path`; on disk whole, it
 * gets its name. Whoever is killed meanwhile leaves `<path>.<random>.new`, which nothing reads.
 * @throws {NodeJS.ErrnoException} EEXIST where there is a file of that name, by then too
 */
export async function createFile(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomUUID()}.new`
  await (await open(temporary, 'wx', 0o600)).close()
  try {
    await fill(temporary)
    await syncToDisk(temporary)
    // rename(2) would replace a file of that name.
    await link(temporary, path)
  } finally {
    for (const suffix of ['', '-journal', '-wal']) await rm(`${temporary}${suffix}`, { force: true })
  }
  await syncToDisk(dirname(path))
}

async function syncToDisk(path: string): Promise<void> {
  const file = await open(path)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
