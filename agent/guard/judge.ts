/** Which live sessions a policy would cut; pure. */
import { containsPort } from '../../rules-compiler/address/port-range.ts'
import { hasPorts, protocolMatches, protocolNumbers } from '../../rules-compiler/address/protocol.ts'
import type { Direction } from '../../rules-compiler/model/policy.ts'
import { type Decision, evaluate } from '../../rules-compiler/policy/evaluate.ts'
import type { DirectionIr, EniIr, PolicyIr, RuleIr } from '../../rules-compiler/policy/ir.ts'
import { findNarrowed } from '../../rules-compiler/policy/narrowing.ts'
import { ruleName } from '../../rules-compiler/policy/rule-text.ts'
import { type EndOf, hostText, type Session } from './sessions.ts'

export interface Cut {
  readonly session: Session
  /** Names what would be cut and by what, the same for every session that differs in the far port only. */
  readonly text: string
}

/**
 * @param before  what judges now; `nothing` where no ruleset stands, `unknown` where it is not known what it says: both
 *                let through what is alive
 */
export function findCuts(
  before: PolicyIr | 'nothing' | 'unknown',
  next: PolicyIr,
  sessions: readonly Session[],
): readonly Cut[] {
  return sessions.flatMap(session => {
    const by = refusalOf(next, session)
    if (by === null || (typeof before === 'object' && refusalOf(before, session) !== null)) return []
    return [{ session, text: `${nameOf(session)} (${by})` }]
  })
}

/** What sessions that are watched over go to: the only ports of TCP at which it matters what a policy takes. */
export interface Watched {
  /** Of this host. */
  readonly rescuePorts: readonly number[]
  /** The daemon's; null where none leads. */
  readonly daemonPort: number | null
}

/**
 * Whether no session that is watched over, and alive under the policy before, can be cut: then nobody has to look which
 * there are, which costs two processes. Most changes take nothing at such ports.
 */
export function takesNothing(before: PolicyIr, next: PolicyIr, watched: Watched): boolean {
  const known = new Map(before.enis.map(eni => [eni.id, eni]))
  const isAsBefore = (eni: EniIr) => {
    const old = known.get(eni.id)
    if (eni.isObserved) return true
    if (old === undefined || old.device !== eni.device || old.isObserved) return false
    return eni.placement === 'host' || old.addresses.every(address => eni.addresses.includes(address))
  }
  if (!next.enis.every(isAsBefore)) return false
  const observed = new Set(next.enis.flatMap(({ id, isObserved }) => (isObserved ? [id] : [])))
  const narrowed = new Set(findNarrowed(before, next).flatMap(({ eniId }) => (observed.has(eniId) ? [] : [eniId])))
  const whatMatters = (ir: PolicyIr): PolicyIr => {
    const enis = ir.enis.filter(({ id }) => narrowed.has(id))
    return { ...ir, enis: enis.map(eni => rulesFor(eni, watched)) }
  }
  return narrowed.size === 0 || findNarrowed(whatMatters(before), whatMatters(next)).length === 0
}

/** The ENI with those rules alone that decide about watched sessions. */
function rulesFor(eni: EniIr, { rescuePorts, daemonPort }: Watched): EniIr {
  const toDaemon = daemonPort === null ? [] : [daemonPort]
  const about = (direction: Direction) =>
    rulesAbout(direction === directionOf(eni, 'rescue') ? rescuePorts : toDaemon, eni[direction])
  return { ...eni, ingress: about('ingress'), egress: about('egress') }
}

function rulesAbout(ports: readonly number[], { rules, defaultVerdict }: DirectionIr): DirectionIr {
  const decides = ({ protocol, ports: range }: RuleIr) =>
    protocolMatches(protocol, protocolNumbers.tcp) &&
    (!hasPorts(protocol) || ports.some(port => containsPort(range, port)))
  return { rules: rules.filter(decides), defaultVerdict }
}

/** What refuses the session, in words; null where nothing does. */
function refusalOf(ir: PolicyIr, session: Session): string | null {
  for (const eni of ir.enis) {
    if (eni.device !== session.device || eni.isObserved) continue
    const by = refusalAt(ir, eni, session)
    if (by !== null) return by
  }
  return null
}

/** At a guest's ENI what comes to the host is from the guest's own addresses only. */
function refusalAt(ir: PolicyIr, eni: EniIr, { kind, local, remote }: Session): string | null {
  const isForged = eni.placement === 'guest' && kind === 'daemon' && !eni.addresses.includes(remote.address)
  if (isForged) return wordsFor(eni, 'egress', 'the source guard')
  const [source, destination] = kind === 'daemon' ? [local, remote] : [remote, local]
  return ask(ir, eni, directionOf(eni, kind), source, destination)
}

/**
 * In which the ENI is passed when such a session begins. A guest's is at the far end of the device: what the host sends
 * enters it, and what comes to the host leaves it.
 */
function directionOf({ placement }: EniIr, kind: Session['kind']): Direction {
  return (kind === 'rescue') === (placement === 'host') ? 'ingress' : 'egress'
}

function ask(ir: PolicyIr, eni: EniIr, direction: Direction, source: EndOf, destination: EndOf): string | null {
  const { verdict, reason } = evaluate(ir, {
    eniId: eni.id,
    direction,
    protocol: protocolNumbers.tcp,
    source: source.address,
    destination: destination.address,
    sourcePort: source.port,
    destinationPort: destination.port,
  })
  return verdict === 'accept' ? null : wordsFor(eni, direction, reasonWords(reason))
}

function wordsFor({ id, device, placement }: EniIr, direction: Direction, by: string): string {
  return `ENI ${id} of placement ${placement} on ${device}, ${direction}: ${by}`
}

function reasonWords(reason: Decision['reason']): string {
  switch (reason.kind) {
    case 'rule':
      return `rule ${ruleName(reason.rule)}`
    case 'default':
      return 'no rule accepts it'
    case 'source-guard':
      return 'the source guard'
    case 'smtp':
      return 'port 25 is blocked'
    default:
      return reason.kind
  }
}

function nameOf({ kind, local, remote }: Session): string {
  return kind === 'daemon'
    ? `the connection to the daemon at ${printEnd(remote)}`
    : `the session from ${remote.address} to ${printEnd(local)}`
}

function printEnd({ address, port }: EndOf): string {
  return `${hostText(address)}:${port}`
}
