/**
 * Sessions that began while nothing on the host tracked connections. The kernel takes a TCP session up in its middle, and
 * whoever speaks first then passes for who began it: a download of the host's, or the agent's own connection to its daemon,
 * would be judged as if it had come in, and cut. Which sockets listen tells who it was, so those sessions are entered the
 * right way round before the first packet is judged.
 */
import { run } from '../../common/exec.ts'
import { defaultSettings } from '../../rules-compiler/model/policy.ts'
import { listTcp, localEnd, readSocket } from '../guard/sessions.ts'

const timeoutMs = 5_000
/** Until a packet of it is seen. */
const idleSeconds = defaultSettings.sessionTimeoutSeconds

/** What is tracked already stays as it is. Does not throw: without it those sessions are judged by who speaks first. */
export async function trackOpenSessions(): Promise<void> {
  try {
    const [established, listening] = await Promise.all([listTcp('established'), listTcp('listening')])
    const entries = entriesOf(established, listening)
    if (entries.length === 0) return
    await run(['conntrack', '--load-file', '-'], { input: `${entries.join('\n')}\n`, timeoutMs })
  } catch {
    // No ss(8), or no conntrack(8): the doctor tells of both.
  }
}

/**
 * @param established  as `listTcp` gives it; `listening` alike
 * @returns a line each for `conntrack --load-file`; none for sessions of the host with itself
 */
export function entriesOf(established: string, listening: string): readonly string[] {
  const ports = new Set(listening.split('\n').map(line => localEnd(line)?.port))
  return established.split('\n').flatMap(line => {
    const socket = readSocket(line)
    if (socket === null || socket.local.address === socket.remote.address) return []
    const { local, remote } = socket
    const [from, to] = ports.has(local.port) ? [remote, local] : [local, remote]
    // -A: not where there is one of these addresses and ports, in either direction.
    return `-A -p tcp -s ${from.address} -d ${to.address} --sport ${from.port} --dport ${to.port} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t ${idleSeconds}`
  })
}
