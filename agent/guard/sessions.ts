/** The live TCP sessions that a policy must not cut unasked: the agent's own to its daemon, and administrators' to this host. */
import { type CommandPrefix, run } from '../../common/exec.ts'

export interface Session {
  /** `daemon` goes out to the daemon; `rescue` came in to a port by which the host is administered. */
  readonly kind: 'daemon' | 'rescue'
  readonly local: EndOf
  readonly remote: EndOf
  /** Through which its packets leave. */
  readonly device: string
  /** Bytes that the far end has acknowledged: more of them mean that packets pass in both directions. */
  readonly acknowledged: number
}

export interface EndOf {
  readonly address: string
  readonly port: number
}

/** Where the daemon is. */
export interface Way {
  readonly addresses: readonly string[]
  readonly port: number
}

export interface Wanted {
  readonly way: Way | null
  readonly rescuePorts: readonly number[]
  readonly prefix?: CommandPrefix
}

/** Of very many sessions some say enough. */
const mostSessions = 64
const timeoutMs = 5_000

/** @throws {Error} if `ss` or `ip` (both of iproute2) is missing or refuses */
export async function listSessions({ way, rescuePorts, prefix = [] }: Wanted): Promise<readonly Session[]> {
  const filters = [
    ...rescuePorts.map(port => `sport = :${port}`),
    ...(way?.addresses ?? []).map(address => `( dst ${hostText(address)} and dport = :${way?.port} )`),
  ]
  if (filters.length === 0) return []
  const listed = await runTool([...prefix, 'ss', '-HntiO', 'state', 'established', `( ${filters.join(' or ')} )`])
  const sockets = listed.split('\n').flatMap(line => readSocket(line) ?? [])
  const devices = new Map<string, Promise<string | null>>()
  const sessions: Session[] = []
  for (const { scope, ...socket } of sockets.slice(0, mostSessions)) {
    const { local, remote } = socket
    const key = `${local.address} ${remote.address}`
    if (scope === null && !devices.has(key)) devices.set(key, deviceOf(local.address, remote.address, prefix))
    const device = scope ?? (await devices.get(key)!)
    const kind = rescuePorts.includes(local.port) ? 'rescue' : 'daemon'
    if (device !== null) sessions.push({ kind, ...socket, device })
  }
  return sessions
}

const form =
  /^\s*\d+\s+\d+\s+(?<local>\S+):(?<localPort>\d+)\s+(?<remote>\S+):(?<remotePort>\d+)(?:.*? bytes_acked:(?<acknowledged>\d+))?/

/** One line of `ss -HntiO`; null where it is none. */
export function readSocket(line: string) {
  const { local, localPort, remote, remotePort, acknowledged = 0 } = form.exec(line)?.groups ?? {}
  if (local === undefined || remote === undefined) return null
  return {
    local: { address: addressOf(local), port: Number(localPort) },
    remote: { address: addressOf(remote), port: Number(remotePort) },
    /** The device of a link-local address. */
    scope: local.split('%')[1]?.replace(']', '') ?? null,
    acknowledged: Number(acknowledged),
  }
}

/** `[::ffff:198.18.0.2]` is how a socket of both families shows an IPv4 session. */
function addressOf(text: string): string {
  return text
    .replace(/%[^\]]*/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/, '')
}

export const hostText = (address: string): string => (address.includes(':') ? `[${address}]` : address)

async function deviceOf(local: string, remote: string, prefix: CommandPrefix): Promise<string | null> {
  const listed = await runTool([...prefix, 'ip', '-j', 'route', 'get', remote, 'from', local])
  const [route] = JSON.parse(listed || '[]') as readonly { readonly dev?: string }[]
  return route?.dev ?? null
}

/**
 * TCP sockets in one state, a line each, as `ss` has them: with the processes that hold them, as far as they can be seen.
 * @throws {Error} if `ss` is missing or refuses
 */
export function listTcp(state: 'listening' | 'established'): Promise<string> {
  return runTool(['ss', '-Hntp', 'state', state])
}

async function runTool(command: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(command, { timeoutMs })
  if (exitCode !== 0) throw new Error(`Cannot look at live sessions: ${stderr.trim()}`)
  return stdout
}
