/**
 * Keeps trials off the machine they run on: with RINGWALL_LAB_ONLY=1 in the environment only network namespaces made
 * with `ip netns add` are read or changed, whatever command was typed. Tests and the lab set it for all their processes.
 *
 * The namespace must be one of those by its inode. Comparing with that of process 1 would not do: containers and
 * hardened machines do not let even root look at it.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type CommandPrefix, run } from '../../common/exec.ts'

/** Where ip-netns(8) mounts the namespaces it makes. */
const netnsDirectory = '/run/netns'

/**
 * @param prefix  where the commands to come will act; left out, in this process's own namespace
 * @throws {Error} if that is no namespace made with `ip netns add`, or where this cannot be told
 */
export async function assertLabNamespace(prefix: CommandPrefix = []): Promise<void> {
  if (process.env.RINGWALL_LAB_ONLY !== '1') return
  const target = prefix.length === 0 ? statSync('/proc/self/ns/net').ino : await inodeBehind(prefix)
  if (namedNamespaces().includes(target)) return
  throw new Error(
    'Cannot touch the machine\'s own network namespace while RINGWALL_LAB_ONLY=1 is set: run this in a namespace made with "ip netns add"',
  )
}

function namedNamespaces(): readonly number[] {
  try {
    return readdirSync(netnsDirectory).flatMap(name => {
      // Namespaces of other tests come and go meanwhile.
      const inode = statSync(join(netnsDirectory, name), { throwIfNoEntry: false })?.ino
      return inode === undefined ? [] : [inode]
    })
  } catch {
    return []
  }
}

async function inodeBehind(prefix: CommandPrefix): Promise<number> {
  const { exitCode, stdout, stderr } = await run([...prefix, 'stat', '-L', '-c', '%i', '/proc/self/ns/net'])
  if (exitCode !== 0)
    throw new Error(`Cannot read the network namespace behind "${prefix.join(' ')}": ${stderr.trim()}`)
  return Number(stdout)
}
