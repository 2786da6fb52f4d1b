/** The live TCP sessions that a policy must not cut unasked: the agent's own to its daemon, and administrators' to this host. */
import { type CommandPrefix, run } from '../../common/exec.ts'
import { parseIpJson } from '../watch/ip-json.ts'

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

/** Each is judged by every rule. A host that more far ends are connected to than this is no longer watched whole. */
const mostSessions = 256
const timeoutMs = 5_000

/** @throws {Error} if `ss` or `ip` (both of iproute2) is missing or refuses */
export async function listSessions({ way, rescuePorts, prefix = [] }: Wanted): Promise<readonly Session[]> {
  const filters = [
    ...rescuePorts.map(port => `sport = :${port}`),
    ...(way?.addresses ?? []).map(address => `( dst ${hostText(address)} and dport = :${way?.port} )`),
  ]
  if (filters.length === 0) return []
  const listed = await runTool([...prefix, 'ss', '-HntiO', 'state', 'established', `( ${filters.join(' or ')} )`])
  const sockets = listed.split('\n').flatMap(line => {
    const socket = readSocket(line)
    return socket === null ? [] : [{ kind: kindOf(socket, rescuePorts), ...socket }]
  })
  const watched = inOrderOfWorth(sockets).slice(0, mostSessions)
  const devices = await devicesOf(watched, prefix)
  return watched.flatMap(({ scope: _, ...socket }, index) => {
    const device = devices[index]!
    return device === null ? [] : [{ ...socket, device }]
  })
}

type Socket = NonNullable<ReturnType<typeof readSocket>>

function kindOf({ local }: Socket, rescuePorts: readonly number[]): Session['kind'] {
  return rescuePorts.includes(local.port) ? 'rescue' : 'daemon'
}

/** The daemon's, then one of each far end, then those that are likely to fare like one before them. */
export function inOrderOfWorth<S extends Pick<Session, 'kind' | 'local' | 'remote'>>(
  sessions: readonly S[],
): readonly S[] {
  const known = new Set<string>()
  const worth = (session: S) => {
    const { kind, local, remote } = session
    const key = `${local.address} ${local.port} ${remote.address}`
    const isFirst = !known.has(key)
    known.add(key)
    return kind === 'daemon' ? 0 : isFirst ? 1 : 2
  }
  const weighed = sessions.map(session => ({ session, worth: worth(session) }))
  return weighed.sort((a, b) => a.worth - b.worth).map(({ session }) => session)
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

/** This host's end of one, as it is printed, of a socket that listens too; null where the line is none. */
export function localEnd(line: string): { readonly host: string; readonly port: number } | null {
  const [, host, port] = /^\s*\d+\s+\d+\s+(\S*):(\d+)\s/.exec(line) ?? []
  return host === undefined ? null : { host, port: Number(port) }
}

/** `[::ffff:198.18.0.2]` is how a socket of both families shows an IPv4 session. */
function addressOf(text: string): string {
  return text
    .replace(/%[^\]]*/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/, '')
}

export const hostText = (address: string): string => (address.includes(':') ? `[${address}]` : address)

/** By which device each is answered, in their order, by one process however many there are; null where no way leads there. */
async function devicesOf(sockets: readonly Socket[], prefix: CommandPrefix): Promise<readonly (string | null)[]> {
  const questionOf = ({ local, remote }: Socket) => `route get ${remote.address} from ${local.address}\n`
  // Of a link-local address it is known.
  const questions = [...new Set(sockets.filter(({ scope }) => scope === null).map(questionOf))]
  if (questions.length === 0) return []
  const command = [...prefix, 'ip', '-force', '-j', '-batch', '-']
  const { exitCode, stdout, stderr } = await run(command, { input: questions.join(''), timeoutMs })
  // With -force it goes on after each that fails, names its line, and prints nothing for it.
  const failed = new Set([...stderr.matchAll(/^Command failed -:(\d+)$/gm)].map(([, line]) => Number(line) - 1))
  const answered = questions.filter((_, index) => !failed.has(index))
  const answers = stdout.split('\n').filter(line => line !== '')
  if (answers.length !== answered.length || (exitCode !== 0 && failed.size === 0)) throw cannotLook(stderr)
  const devices = new Map(answered.map((question, index) => [question, deviceIn(answers[index]!)]))
  return sockets.map(socket => socket.scope ?? devices.get(questionOf(socket)) ?? null)
}

function deviceIn(answer: string): string | null {
  const [route] = parseIpJson(answer) as readonly { readonly dev?: string }[]
  return route?.dev ?? null
}

/**
 * TCP sockets in one state, a line each, as `ss` has them.
 * @param withProcesses  also who holds them, as far as that can be seen; looks at every process
 * @throws {Error} if `ss` is missing or refuses
 */
export function listTcp(state: 'listening' | 'established', { withProcesses = false } = {}): Promise<string> {
  return runTool(['ss', withProcesses ? '-Hntp' : '-Hnt', 'state', state])
}

async function runTool(command: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(command, { timeoutMs })
  if (exitCode !== 0) throw cannotLook(stderr)
  return stdout
}

function cannotLook(stderr: string): Error {
  return new Error(`Cannot look at live sessions: ${stderr.trim()}`)
}
