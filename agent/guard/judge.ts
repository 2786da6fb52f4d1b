/** Which live sessions a policy would cut; pure. */
import { protocolNumbers } from '../../rules-compiler/address/protocol.ts'
import type { Direction } from '../../rules-compiler/model/policy.ts'
import { type Decision, evaluate } from '../../rules-compiler/policy/evaluate.ts'
import type { EniIr, PolicyIr } from '../../rules-compiler/policy/ir.ts'
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

/** Whether no session at all can be cut that is alive under the policy before. */
export function takesNothing(before: PolicyIr, next: PolicyIr): boolean {
  const known = new Map(before.enis.map(eni => [eni.id, eni]))
  const isAsBefore = (eni: EniIr) => {
    const old = known.get(eni.id)
    if (eni.isObserved) return true
    if (old === undefined || old.device !== eni.device || old.isObserved) return false
    return eni.placement === 'host' || old.addresses.every(address => eni.addresses.includes(address))
  }
  const observed = new Set(next.enis.flatMap(({ id, isObserved }) => (isObserved ? [id] : [])))
  return next.enis.every(isAsBefore) && findNarrowed(before, next).every(({ eniId }) => observed.has(eniId))
}

/** What refuses the session, in words; null where nothing does. */
function refusalOf(ir: PolicyIr, session: Session): string | null {
  for (const eni of ir.enis) {
    if (eni.device !== session.device || eni.isObserved) continue
    const by = eni.placement === 'host' ? atHost(ir, eni, session) : atGuest(ir, eni, session)
    if (by !== null) return by
  }
  return null
}

function atHost(ir: PolicyIr, eni: EniIr, session: Session): string | null {
  const { local, remote } = session
  return session.kind === 'daemon' ? ask(ir, eni, 'egress', local, remote) : ask(ir, eni, 'ingress', remote, local)
}

/**
 * The ENI is a guest's at the far end of the device: what the host sends enters it, and what comes to the host leaves
 * it, from the guest's own addresses only.
 */
function atGuest(ir: PolicyIr, eni: EniIr, session: Session): string | null {
  const { local, remote } = session
  if (session.kind === 'rescue') return ask(ir, eni, 'egress', remote, local)
  const isItsOwn = eni.addresses.includes(remote.address)
  return isItsOwn ? ask(ir, eni, 'ingress', local, remote) : wordsFor(eni, 'egress', 'the source guard')
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
