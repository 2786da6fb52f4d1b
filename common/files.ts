/** Files that are never seen torn, and the folders they are in. */
import { access, constants, type FileHandle, lchown, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** On disk whole before it takes the name, so a torn file is never read. For the eyes of the folder's owner alone. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  // What a killed writer has left may have had another mode, and keeps it where it is only written over.
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o600)
  try {
    await handToOwner(file, dirname(path))
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const directory = await open(dirname(path))
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/**
 * What root writes into the folder of a service's user belongs to that user, or the service could not read it: "ringwall
 * agent join" is run by root, the agent is not.
 */
export async function handToOwner(file: Pick<FileHandle, 'chown'>, folder: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(folder)
  if (uid !== 0) await file.chown(uid, gid)
}

/**
 * Makes a folder for its owner alone, and those above it that are missing; one that is there stays as it is.
 * One by one, because Node's own `recursive` never ends where a folder that is there takes no new ones (/proc).
 * @throws {Error} naming the path, with the system's `code`, where it cannot be made or is no folder
 */
export async function makeFolder(path: string): Promise<void> {
  if (await isFolder(path)) return
  const parent = dirname(path)
  if (parent !== path) await makeFolder(parent)
  try {
    await mkdir(path, { mode: 0o700 })
    await handToOwner({ chown: (uid, gid) => lchown(path, uid, gid) }, parent)
  } catch (cause) {
    // Somebody else was faster.
    if (await isFolder(path)) return
    const { code, message } = cause as NodeJS.ErrnoException
    throw Object.assign(new Error(`Cannot make folder "${path}": ${message}`, { cause }), { code })
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

/**
 * Whether something can be written in a folder, or where it is missing, in the nearest above it that would have to take
 * it. Nothing is written.
 * @returns the folder that was looked at, and why it cannot; null where it can
 */
export async function findWritable(path: string): Promise<{ readonly there: string; readonly fault: string | null }> {
  const there = await nearestFolder(path)
  try {
    await access(there, constants.W_OK | constants.X_OK)
    return { there, fault: (await isFolder(there)) ? null : 'it is no directory' }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { there, fault: writeFaults[code ?? ''] ?? message }
  }
}

const writeFaults: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
}

async function nearestFolder(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  const parent = dirname(path)
  return isThere || parent === path ? path : nearestFolder(parent)
}
