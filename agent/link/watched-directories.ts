/** Which directories tell of changes to what a path names. */
import { lstatSync, readlinkSync } from 'node:fs'
import { dirname, join, parse, resolve, sep } from 'node:path'

/** As many as the kernel follows (path_resolution(7)). */
const maxLinks = 40

/**
 * Directories in which an entry decides what the path leads to, each with the names of those entries: the file's own,
 * and that of every symbolic link on the way, because a link is changed by replacing its entry. For a Kubernetes volume
 * (`policy.yaml` → `..data/policy.yaml`, `..data` → `..2026_01/`) that is the volume, with `policy.yaml` and `..data`,
 * and the dated directory with `policy.yaml`.
 * Plain directories above the file are left out: nobody replaces /etc.
 */
export function watchedDirectories(path: string): ReadonlyMap<string, ReadonlySet<string>> {
  const watched = new Map<string, Set<string>>()
  const note = (entry: string) => {
    const directory = dirname(entry)
    const names = watched.get(directory) ?? new Set()
    watched.set(directory, names.add(entry.slice(directory === sep ? 1 : directory.length + 1)))
  }

  let links = 0
  let rest = resolve(path).split(sep).filter(Boolean)
  let reached = parse(resolve(path)).root
  while (rest.length > 0) {
    const [name = '', ...further] = rest
    const entry = join(reached, name)
    const target = links < maxLinks ? linkTarget(entry) : null
    if (target === null) {
      if (further.length === 0) note(entry)
      reached = entry
      rest = further
      continue
    }
    note(entry)
    links += 1
    const full = resolve(reached, target)
    rest = [...full.split(sep).filter(Boolean), ...further]
    reached = parse(full).root
  }
  return watched
}

function linkTarget(entry: string): string | null {
  try {
    return lstatSync(entry).isSymbolicLink() ? readlinkSync(entry) : null
  } catch {
    return null
  }
}
