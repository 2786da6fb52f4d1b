/**
 * What a change of policy takes away. A live session is judged again only where something it may have been accepted by
 * is gone; a change that only adds leaves every session alone.
 *
 * More accept rules and fewer drop rules never refuse a packet that was accepted: at each priority the verdict can only
 * turn from drop to accept. So a direction is narrowed exactly where an accept rule goes, a drop rule comes, or their
 * peers change likewise. A moved priority counts as one rule gone and another come: judging once too often is harmless.
 *
 * The mode of an ENI takes nothing away here. A session that was only let through carries no stamp, so it is judged at
 * its next packet whatever this says; one that the rules accept is accepted in either mode.
 */
import { portRangeText } from '../address/port-range.ts'
import type { Direction } from '../model/policy.ts'
import type { EniIr, GroupMembers, PolicyIr, RuleIr } from './ir.ts'

/** The ENIs and directions, of those in both policies, in which some session may no longer be accepted. */
export function findNarrowed(
  previous: PolicyIr,
  next: PolicyIr,
): readonly { readonly eniId: string; readonly direction: Direction }[] {
  const changes = compare(previous, next)
  const before = new Map(previous.enis.map(eni => [eni.id, eni]))
  return next.enis.flatMap(eni => {
    const old = before.get(eni.id)
    if (old === undefined) return []
    const directions = (['ingress', 'egress'] as const).filter(
      direction => old.placement !== eni.placement || isNarrowed(old, eni, direction, changes),
    )
    return directions.map(direction => ({ eniId: eni.id, direction }))
  })
}

interface MemberChange {
  readonly added: boolean
  readonly removed: boolean
}

type MemberChanges = (groupId: string) => MemberChange

/** Each asked for by many ENIs, and found out once. */
interface Changes {
  readonly members: MemberChanges
  /** Whether the second list of rules may refuse what the first accepts. */
  readonly narrow: (old: readonly RuleIr[], next: readonly RuleIr[]) => boolean
}

function compare(previous: PolicyIr, next: PolicyIr): Changes {
  const members = compareMembers(previous, next)
  const known = new Map<readonly RuleIr[], Map<readonly RuleIr[], boolean>>()
  return {
    members,
    narrow(old, next) {
      const ofOld = known.get(old) ?? new Map<readonly RuleIr[], boolean>()
      known.set(old, ofOld)
      const seen = ofOld.get(next)
      if (seen !== undefined) return seen
      const narrowed = rulesNarrowed(old, next, members)
      ofOld.set(next, narrowed)
      return narrowed
    },
  }
}

function isNarrowed(old: EniIr, next: EniIr, direction: Direction, { members, narrow }: Changes): boolean {
  return (
    (old[direction].defaultVerdict === 'accept' && next[direction].defaultVerdict === 'drop') ||
    (direction === 'egress' ? losesWayOut(old, next) : losesRescue(old, next)) ||
    old.innerGroupIds.some(groupId => !next.innerGroupIds.includes(groupId) || members(groupId).removed) ||
    narrow(old[direction].rules, next[direction].rules)
  )
}

function losesWayOut(old: EniIr, next: EniIr): boolean {
  const kept = new Set(next.controlConnections.map(({ address, port }) => `${address} ${port}`))
  return (
    (!old.smtpBlocked && next.smtpBlocked) ||
    old.controlConnections.some(({ address, port }) => !kept.has(`${address} ${port}`))
  )
}

function losesRescue(old: EniIr, next: EniIr): boolean {
  const kept = new Set(next.rescue.map(rescueText))
  return old.rescue.some(rescue => !kept.has(rescueText(rescue)))
}

function rescueText({ source, port }: EniIr['rescue'][number]): string {
  return `${source.text} ${port}`
}

function rulesNarrowed(old: readonly RuleIr[], next: readonly RuleIr[], members: MemberChanges): boolean {
  // Where only members have changed, the lists of rules are the same ones: texts of a thousand rules cost milliseconds.
  if (old === next) {
    return old.some(rule =>
      rule.verdict === 'accept' ? peerChange(rule, members).removed : peerChange(rule, members).added,
    )
  }
  const before = new Set(old.map(matchText))
  const after = new Set(next.map(matchText))
  return (
    old.some(rule => rule.verdict === 'accept' && (!after.has(matchText(rule)) || peerChange(rule, members).removed)) ||
    next.some(rule => rule.verdict === 'drop' && (!before.has(matchText(rule)) || peerChange(rule, members).added))
  )
}

function peerChange(rule: RuleIr, members: MemberChanges): MemberChange {
  return rule.peer.kind === 'group' ? members(rule.peer.groupId) : { added: false, removed: false }
}

/** Equal for two rules that decide the same packets at the same strength. */
function matchText({ verdict, priority, protocol, ports, sourcePorts, local, peer }: RuleIr): string {
  const peerText = peer.kind === 'group' ? peer.groupId : peer.cidrs.map(cidr => cidr.text).join(',')
  const where = [portRangeText(ports), portRangeText(sourcePorts), local?.text ?? 'any']
  return [verdict, priority, protocol, ...where, peer.kind, peerText].join(' ')
}

function compareMembers(previous: PolicyIr, next: PolicyIr): MemberChanges {
  const known = new Map<string, MemberChange>()
  return groupId => {
    const seen = known.get(groupId)
    if (seen !== undefined) return seen
    const old = previous.groups.get(groupId)
    const now = next.groups.get(groupId)
    const change = {
      added: hasMore(now, old),
      removed: hasMore(old, now),
    }
    known.set(groupId, change)
    return change
  }
}

/** Whether the first holds an address that the second lacks. */
function hasMore(first: GroupMembers | undefined, second: GroupMembers | undefined): boolean {
  return (['ip', 'ip6'] as const).some(family => {
    if (first?.[family] === second?.[family]) return false
    const others = new Set(second?.[family])
    return first?.[family].some(address => !others.has(address)) ?? false
  })
}
