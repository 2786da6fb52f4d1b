/** Files that are never seen torn. */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** On disk whole before it takes the name, so a torn file is never read. For its owner's eyes alone. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  // What a killed writer has left may have had another mode, and keeps it where it is only written over.
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o600)
  try {
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
