/**
 * Sessions that began while nothing on the host tracked connections. The kernel takes a TCP session up in its middle, and
 * whoever speaks first then passes for who began it: a download of the host's, or the agent's own connection to its daemon,
 * would be judged as if it had come in, and cut. Which sockets listen tells who it was, so those sessions are entered the
 * right way round before the first packet is judged. Nothing tells it of UDP, so none of that is entered: docs/ruleset.md.
 */
import { readFile } from 'node:fs/promises'

import { run } from '../../common/exec.ts'
import { defaultSettings } from '../../rules-compiler/model/policy.ts'
import { type EndOf, listTcp, localEnd, readSocket } from '../guard/sessions.ts'

const timeoutMs = 5_000
/** Until a packet of it is seen. */
const idleSeconds = defaultSettings.sessionTimeoutSeconds

/** Sessions that were to be entered and may not have been, some or all. */
export interface Untracked {
  /** Null where they could not be listed. */
  readonly sessions: number | null
  readonly reason: string
}

/**
 * What is tracked already stays as it is.
 * @returns null where all is entered that is open; otherwise some are judged by who speaks first. Does not throw
 */
export async function trackOpenSessions(): Promise<Untracked | null> {
  let entries: readonly string[] | null = null
  try {
    const [established, listening, range] = await Promise.all([
      listTcp('established'),
      listTcp('listening'),
      readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'),
    ])
    const [first = 0, last = 0] = range.trim().split(/\s+/).map(Number)
    entries = entriesOf(established, listening, { first, last })
    if (entries.length > 0) await enter(entries)
    return null
  } catch (error) {
    return { sessions: entries?.length ?? null, reason: (error as Error).message }
  }
}

/** @throws {Error} if conntrack is missing or refuses; those before the one that it refuses are entered */
async function enter(entries: readonly string[]): Promise<void> {
  const input = `${entries.join('\n')}\n`
  const { exitCode, stderr } = await run(['conntrack', '--load-file', '-'], { input, timeoutMs })
  if (exitCode !== 0) throw new Error(stderr.trim() || `conntrack ended with exit code ${exitCode}`)
}

/**
 * @param established  as `listTcp` gives it; `listening` alike
 * @param ephemeral    the ports that this kernel gives to who names none
 * @returns a line each for `conntrack --load-file`; none for sessions of the host with itself
 */
export function entriesOf(
  established: string,
  listening: string,
  ephemeral: { readonly first: number; readonly last: number },
): readonly string[] {
  const ports = new Set(listening.split('\n').map(line => localEnd(line)?.port))
  const isEphemeral = ({ port }: EndOf) => port >= ephemeral.first && port <= ephemeral.last
  return established.split('\n').flatMap(line => {
    const socket = readSocket(line)
    if (socket === null || socket.local.address === socket.remote.address) return []
    const { local, remote } = socket
    // A server that was stopped may have left sessions behind: those must not pass for the host's.
    const cameIn = ports.has(local.port) || (isEphemeral(remote) && !isEphemeral(local))
    const [from, to] = cameIn ? [remote, local] : [local, remote]
    // -A: not where there is one of these addresses and ports, in either direction.
    return `-A -p tcp -s ${from.address} -d ${to.address} --sport ${from.port} --dport ${to.port} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t ${idleSeconds}`
  })
}
