/**
 * The chains of one ENI that every packet through its device enters, one on each hook. In order of how often they
 * decide: sessions with a current stamp, sessions to be judged, packets without a session.
 */

import { type Family, families } from '../address/cidr.ts'
import { linkLocal6 } from '../address/ranges.ts'
import type { Direction } from '../model/policy.ts'
import type { EniIr } from '../policy/ir.ts'
import {
  accept,
  cidrOperand,
  count,
  ctDirection,
  ctMark,
  ctStatus,
  differs,
  equals,
  familyIs,
  field,
  goto,
  isSet,
  jump,
} from './expressions.ts'
import * as names from './names.ts'
import type { Outcomes } from './outcomes.ts'
import type { Chain, NftRule, Statement } from './ruleset.ts'
import { markFields, type Side, type Stamps, sideOf, stampKey } from './stamps.ts'

export interface HookParts {
  readonly chains: readonly Chain[]
  readonly counters: readonly string[]
}

export function makeHookChains(
  eni: EniIr,
  ctMarkMask: number,
  stamps: Stamps,
  outcomes: Readonly<Record<Direction, Outcomes>>,
): HookParts {
  const counters: string[] = []
  const chains = (['prerouting', 'postrouting'] as const).flatMap(hook => {
    const direction = directionOf(eni, hook)
    const invalid = names.reasonCounter(eni.id, direction, 'invalid')
    counters.push(invalid)
    const looped = hook === 'prerouting' ? loopedRules(eni, ctMarkMask, stamps) : []
    const guard = isGuarded(eni, hook) ? makeSourceGuard(eni, looped, outcomes.egress) : null
    if (guard !== null) counters.push(...guard.counters)
    const chain: Chain = {
      name: names.hookChain(eni.id, hook),
      rules: [
        ...(guard?.rules ?? []),
        ...stampedRules(eni, hook, ctMarkMask, stamps),
        ...(guard === null ? looped : []),
        ...judgeRules(eni, hook),
        { statements: [jump(names.untrackedChain)] },
        { statements: [count(invalid), outcomes[direction].goTo('drop', 'invalid')] },
      ],
    }
    return guard === null ? [chain] : [chain, guard.chain]
  })
  return { chains, counters }
}

/** What passes a hook is one direction of the ENI: a guest's ingress goes out of the host's end of its device. */
function directionOf(eni: EniIr, hook: names.Hook): Direction {
  return (eni.placement === 'host') === (hook === 'prerouting') ? 'ingress' : 'egress'
}

/** The side of a session that its original direction shows on a hook; replies show the other side. */
const originalSide = { prerouting: 'entered', postrouting: 'left' } as const satisfies Record<names.Hook, Side>

function sessionsOf(eni: EniIr, hook: names.Hook) {
  return (['original', 'reply'] as const).map(ctDir => {
    const side: Side = (ctDir === 'original') === (originalSide[hook] === 'entered') ? 'entered' : 'left'
    return { ctDir, side, direction: directionOn(eni, side) }
  })
}

/** The direction of sessions that pass the ENI on this side of the host. */
function directionOn(eni: EniIr, side: Side): Direction {
  return sideOf(eni.placement, 'ingress') === side ? 'ingress' : 'egress'
}

/**
 * Established and related packets of sessions that the policy as it is now has accepted. A direction without a stamp
 * has no such rule: 0 is on every session that nobody has accepted yet.
 * A session that a conntrack helper expects begins with the mark of the one that announced it (init_conntrack in
 * nf_conntrack_core.c). Until its entry is confirmed, after its first packet, it carries no stamp of its own.
 */
function stampedRules(eni: EniIr, hook: names.Hook, ctMarkMask: number, stamps: Stamps): readonly NftRule[] {
  return sessionsOf(eni, hook).flatMap(({ ctDir, side, direction }) => {
    const stamp = stamps.get(stampKey(eni.id, direction))
    if (stamp === undefined) return []
    const isItsOwn = ctDir === 'original' ? [isSet(ctStatus, 'confirmed')] : []
    return { statements: [carriesStamp(ctMarkMask, side, stamp), equals(ctDirection, ctDir), ...isItsOwn, accept] }
  })
}

function carriesStamp(ctMarkMask: number, side: Side, stamp: number): Statement {
  const { mask, place } = markFields(ctMarkMask)[side]
  return equals({ '&': [ctMark, mask] }, place(stamp))
}

/** What has left here may be handed back; asked first, so that new sessions are spared the jump. */
function loopedRules(eni: EniIr, ctMarkMask: number, stamps: Stamps): readonly NftRule[] {
  const stamp = stamps.get(stampKey(eni.id, directionOn(eni, 'left')))
  if (stamp === undefined) return []
  const hasLeftHere = [carriesStamp(ctMarkMask, 'left', stamp), equals(ctDirection, 'original')]
  return [{ statements: [...hasLeftHere, jump(names.loopedChain)] }]
}

/** New sessions, and those whose stamp is not current; packets without a conntrack entry fall through. */
function judgeRules(eni: EniIr, hook: names.Hook): readonly NftRule[] {
  return sessionsOf(eni, hook).map(({ ctDir, direction }) => ({
    statements: [equals(ctDirection, ctDir), goto(names.judgeChain(eni.id, direction))],
  }))
}

/** What most packets meet on a hook, for the dispatch to ask first; null where the source guard must come before. */
export function makeShortcut(
  eni: EniIr,
  hook: names.Hook,
  ctMarkMask: number,
  stamps: Stamps,
): readonly Statement[] | null {
  return isGuarded(eni, hook) ? null : (stampedRules(eni, hook, ctMarkMask, stamps)[0]?.statements ?? null)
}

function isGuarded(eni: EniIr, hook: names.Hook): boolean {
  return hook === 'prerouting' && eni.placement === 'guest'
}

/**
 * A guest may send from its own addresses only. Asked for every packet, not only the first: an ICMP error belongs to a
 * session whatever its own source address is.
 */
function makeSourceGuard(
  eni: EniIr,
  looped: readonly NftRule[],
  outcomes: Outcomes,
): {
  readonly rules: readonly NftRule[]
  readonly chain: Chain
  readonly counters: readonly string[]
} {
  const counter = names.reasonCounter(eni.id, 'egress', 'source-guard')
  const guard = goto(names.sourceGuardChain(eni.id))
  const judged = goto(names.judgeChain(eni.id, 'egress'))
  const rules = families.map((family): NftRule => {
    const addresses = addressesOf(eni, family)
    const foreign: readonly Statement[] =
      addresses.length === 0
        ? [familyIs(family)]
        : [differs(field(family, 'saddr'), addresses.length === 1 ? addresses[0]! : { set: addresses })]
    return { statements: [...foreign, guard] }
  })
  const udp = (source: number, destination: number): readonly Statement[] => [
    equals(field('udp', 'sport'), source),
    equals(field('udp', 'dport'), destination),
  ]
  const linkLocal = equals(field('ip6', 'saddr'), cidrOperand(linkLocal6))
  const chain: Chain = {
    name: names.sourceGuardChain(eni.id),
    rules: [
      ...looped,
      { statements: [equals(field('ip', 'saddr'), '0.0.0.0'), ...udp(68, 67), judged] },
      { statements: [linkLocal, ...udp(546, 547), judged] },
      { statements: [linkLocal, jump(names.untrackedChain)] },
      { statements: [equals(field('ip6', 'saddr'), '::'), jump(names.untrackedChain)] },
      { statements: [count(counter), outcomes.goTo('drop', 'source-guard')] },
    ],
  }
  return { rules, chain, counters: [counter] }
}

function addressesOf(eni: EniIr, family: Family): readonly string[] {
  return eni.addresses.filter(address => (family === 'ip6') === address.includes(':')).toSorted()
}
