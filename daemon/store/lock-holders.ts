/** Who has a file locked, as the kernel tells it: nothing is written that could be left behind. */
import { readFileSync, statSync } from 'node:fs'

export interface LockHolder {
  readonly pid: number
  /** Its command line; null where it cannot be read. */
  readonly command: string | null
}

/** proc_locks(5): `1: POSIX  ADVISORY  WRITE 708 08:01:1234 1073741824 1073742335`. A lock waited for has `->` before POSIX. */
const lockLine = /^\d+: POSIX +\w+ +\w+ +(?<pid>\d+) +(?<major>[\da-f]+):(?<minor>[\da-f]+):(?<inode>\d+) /gm

/**
 * Processes with a POSIX lock on the file, this one among them. Empty where /proc does not say: on file systems whose
 * device number is another one in /proc/locks than in stat(2) (btrfs), and for processes outside our PID namespace.
 */
export function findLockHolders(path: string): readonly LockHolder[] {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    const pids = new Set<number>()
    for (const { groups } of readFileSync('/proc/locks', 'utf8').matchAll(lockLine)) {
      const { pid, major, minor, inode } = groups as Record<'pid' | 'major' | 'minor' | 'inode', string>
      const isFile = BigInt(inode) === ino && deviceNumber(BigInt(`0x${major}`), BigInt(`0x${minor}`)) === dev
      if (isFile && pid !== '0') pids.add(Number(pid))
    }
    return [...pids].map(pid => ({ pid, command: readCommand(pid) }))
  } catch {
    return []
  }
}

/** makedev(3). */
function deviceNumber(major: bigint, minor: bigint): bigint {
  return ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn)
}

/** Words joined by blanks; what a terminal would take for commands of its own is left out. */
function readCommand(pid: number): string | null {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ')
    return words.replace(/\p{C}/gu, '').trim().slice(0, 200) || null
  } catch {
    return null
  }
}
