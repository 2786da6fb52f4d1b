/** Files that are never seen torn. */
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** On disk whole before it takes the name, so a torn file is never read. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const directory = await open(dirname(path))
  await directory.sync()
  await directory.close()
}
