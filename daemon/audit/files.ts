/** The files of the audit log: `audit.jsonl`, which is written, and `audit.jsonl.1` and so on, older and older. */
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

/** @param path  of the current one. @returns those that are there, newest first */
export async function listFiles(path: string): Promise<readonly string[]> {
  return (await numberedFiles(path)).map(file => file.path)
}

/**
 * Moves each file to the next number, from the oldest on: whoever is killed meanwhile leaves a number out, which nobody
 * minds, and no name stands for two. The files beyond `kept` are deleted.
 */
export async function rotate(path: string, kept: number): Promise<void> {
  for (const file of (await numberedFiles(path)).toReversed()) {
    if (file.number + 1 > kept) await rm(file.path)
    else await rename(file.path, `${path}.${file.number + 1}`)
  }
}

/** The current file has number 0. */
async function numberedFiles(path: string): Promise<readonly { readonly path: string; readonly number: number }[]> {
  const current = basename(path)
  const files = (await readdir(dirname(path))).flatMap(name => {
    if (name === current) return [{ path, number: 0 }]
    const suffix = name.startsWith(`${current}.`) ? name.slice(current.length + 1) : ''
    return /^[1-9]\d{0,3}$/.test(suffix) ? [{ path: `${path}.${suffix}`, number: Number(suffix) }] : []
  })
  return files.sort((a, b) => a.number - b.number)
}

export interface OpenFile extends AsyncDisposable {
  readonly handle: FileHandle
  readonly size: number
  /** Tells files apart that are renamed and whose inode numbers are used again. */
  readonly inode: number
}

/** @returns null where it is gone meanwhile */
export async function openToRead(path: string): Promise<OpenFile | null> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const { size, ino } = await handle.stat()
  return { handle, size, inode: ino, [Symbol.asyncDispose]: () => handle.close() }
}
