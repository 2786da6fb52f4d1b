/** What files have besides their content. */
import { chmod, lutimes, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Whoever builds, and whenever: the same modes and times, of the folder and of all that is in it.
 * @param epoch  seconds since 1970
 */
export async function settle(folder: string, epoch: number): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await settle(path, epoch)
    else {
      if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o100) === 0 ? 0o644 : 0o755)
      await lutimes(path, epoch, epoch)
    }
  }
  await chmod(folder, 0o755)
  await lutimes(folder, epoch, epoch)
}
