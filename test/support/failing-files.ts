/**
 * The operations that change files, as node:fs/promises does them, seen one by one: a test makes one fail, or lets the
 * process "die" there, so that nothing after it is done. Also what a disk has for certain when power is lost: what was
 * synced, under the names that a sync of the folder has made last.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'

/** `append view.log`, `rename view.json.new`, `sync .` */
export type Step = string

export interface FileWatchOptions {
  readonly folder: string
  /** Before each step. What it throws is what the operation fails with; of a write half is done then. */
  readonly onStep: (step: Step) => void
}

export interface WatchedFiles extends Disposable {
  /** Makes the folder what a loss of power would leave at least. */
  losePower(): void
}

const written = { appendFile: 'append', writeFile: 'write' } as const
const plain = { sync: 'sync', datasync: 'sync', truncate: 'truncate' } as const

/** One at a time in a process. */
export function watchFiles({ folder, onStep }: FileWatchOptions): WatchedFiles {
  const { open, rename, rm } = fs
  const nameOf = (path: unknown) => (String(path) === folder ? '.' : basename(String(path)))
  const isOurs = (path: unknown) => String(path) === folder || String(path).startsWith(`${folder}/`)
  const contents = new Map<number, Buffer>()
  let names = new Map<string, number>()

  const noteSync = (path: string) => {
    if (path === folder) {
      names = new Map(readdirSync(folder).map(name => [name, statSync(join(folder, name)).ino]))
    } else {
      contents.set(statSync(path).ino, readFileSync(path))
    }
  }

  const watchHandle = (handle: FileHandle, path: string): FileHandle => {
    const name = nameOf(path)
    for (const [method, verb] of Object.entries(written)) {
      const original = handle[method as keyof typeof written].bind(handle)
      Object.assign(handle, {
        [method]: async (data: string | Uint8Array) => {
          try {
            onStep(`${verb} ${name}`)
          } catch (error) {
            await original(data.slice(0, data.length / 2))
            throw error
          }
          await original(data)
        },
      })
    }
    for (const [method, verb] of Object.entries(plain)) {
      const original = (handle[method as keyof typeof plain] as (size?: number) => Promise<void>).bind(handle)
      Object.assign(handle, {
        [method]: async (size?: number) => {
          onStep(`${verb} ${name}`)
          await original(size)
          if (verb === 'sync') noteSync(path)
        },
      })
    }
    return handle
  }

  fs.open = (async (...[path, flags, mode]: Parameters<typeof open>) => {
    if (!isOurs(path)) return open(path, flags, mode)
    const isRead = flags === undefined || flags === 'r'
    if (!isRead) onStep(`open ${nameOf(path)}`)
    return watchHandle(await open(path, flags, mode), String(path))
  }) as typeof open
  fs.rename = async (from, to) => {
    if (isOurs(from)) onStep(`rename ${nameOf(from)}`)
    await rename(from, to)
  }
  fs.rm = async (path, options) => {
    if (isOurs(path)) onStep(`rm ${nameOf(path)}`)
    await rm(path, options)
  }
  syncBuiltinESMExports()

  return {
    losePower() {
      for (const name of readdirSync(folder)) rmSync(join(folder, name))
      for (const [name, inode] of names) writeFileSync(join(folder, name), contents.get(inode) ?? '')
    },
    [Symbol.dispose]() {
      Object.assign(fs, { open, rename, rm })
      syncBuiltinESMExports()
    },
  }
}
