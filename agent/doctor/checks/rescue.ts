import { listTcp, localEnd } from '../../guard/sessions.ts'
import { defineCheck, type Found } from '../check.ts'
import { listed } from '../words.ts'

type Code = 'rescue-port-unwatched' | 'rescue-port-closed' | 'guard-off' | 'rescue-none' | 'rescue'

export interface RescueFacts {
  readonly rescue: readonly { readonly source: string; readonly port: number }[]
  readonly rescuePorts: readonly number[]
  readonly guardSeconds: number
  /** TCP ports of this host at which somebody listens; null where that cannot be told. */
  readonly listening: readonly number[] | null
  /** Those of SSH servers, and of sessions with them. */
  readonly ssh: readonly number[]
}

/** As `ss` names the processes. Where systemd listens for them, their sessions tell. */
const sshServer = /"(?:sshd|dropbear)/

export const rescue = defineCheck<RescueFacts | null, Code>({
  name: 'rescue',
  area: 'agent',
  question: 'Who gets in whatever a policy says?',
  needs: [],
  outcomes: {
    'rescue-port-unwatched': {
      severity: 'warning',
      means:
        'This host is administered by a port that the lockout guard does not watch over: a policy that cuts these sessions gets in force without a trial.',
      advice: 'Add the port to rescuePort of the agent, and restart the agent.',
    },
    'rescue-port-closed': {
      severity: 'warning',
      means: 'Whoever comes from there is let in, and nobody answers.',
      advice: 'Name in rescue the port by which this host is administered.',
    },
    'guard-off': {
      severity: 'note',
      means: 'Policies are in force at once and for good: none is tried, and none taken back by itself.',
      advice: 'Set guardSeconds of the agent, unless this host has a console at hand.',
    },
    'rescue-none': {
      severity: 'note',
      means: 'The lockout guard alone keeps a policy from locking administrators out.',
      advice: 'Name where they come from in rescue of the agent: 198.18.7.0/24:22, say.',
    },
    rescue: { severity: 'ok', means: 'They get in whatever the rules say.', advice: '' },
  },
  async gather(host) {
    const { config } = host.configuration
    if (config === null) return null
    const { rescue: named, rescuePort: rescuePorts, guardSeconds } = config.values
    // The last policy may name others.
    const all = [...named, ...((await host.policy())?.enis ?? []).flatMap(eni => eni.rescue)]
    const byText = new Map(all.map(({ source, port }) => [`${source.text} ${port}`, { source: source.text, port }]))
    // Without iproute2, which is a finding of its own, nobody can tell.
    const list = (state: 'listening' | 'established') => listTcp(state, { withProcesses: true }).catch(() => null)
    const sockets = readPorts(await list('listening'), await list('established'))
    return { rescue: [...byText.values()], rescuePorts, guardSeconds, ...sockets }
  },
  judge(facts) {
    if (facts === null) return []
    const { rescue: named, rescuePorts, guardSeconds, listening, ssh } = facts
    const unwatched = guardSeconds === 0 ? [] : ssh.filter(port => !rescuePorts.includes(port))
    const closed = listening === null ? [] : named.filter(({ port }) => !listening.includes(port))
    const textOf = ({ source, port }: (typeof named)[number]) => `${source} to port ${port}`
    const found: Found<Code>[] = []
    if (unwatched.length > 0) {
      const watched = rescuePorts.join(', ') || 'none'
      found.push({
        code: 'rescue-port-unwatched',
        found: `SSH at port ${unwatched.join(', ')}; rescuePort is ${watched}`,
      })
    }
    if (closed.length > 0)
      found.push({ code: 'rescue-port-closed', found: listed(closed.map(textOf)), details: closed })
    if (guardSeconds === 0) found.push({ code: 'guard-off', found: 'guardSeconds is 0' })
    if (named.length === 0) found.push({ code: 'rescue-none', found: 'no rescue address' })
    return found.length > 0 ? found : [{ code: 'rescue', found: listed(named.map(textOf)), details: named }]
  },
})

/** @param listening  as `listTcp` gives it; `established` alike */
export function readPorts(
  listening: string | null,
  established: string | null,
): Pick<RescueFacts, 'listening' | 'ssh'> {
  if (listening === null) return { listening: null, ssh: [] }
  // What a session forwards, X11 say, it listens for at the loopback device.
  const portsIn = (lines: readonly string[]) => {
    const ends = lines.flatMap(line => localEnd(line) ?? [])
    return new Set(ends.filter(({ host }) => !/^(127\.|\[::1\])/.test(host)).map(({ port }) => port))
  }
  const ofServers = (text: string) => portsIn(text.split('\n').filter(line => sshServer.test(line)))
  const open = portsIn(listening.split('\n'))
  // What a server itself opens, for a tunnel say, is nobody's way in.
  const ssh = ofServers(listening).union(ofServers(established ?? '').intersection(open))
  return { listening: [...open], ssh: [...ssh].sort((a, b) => a - b) }
}
