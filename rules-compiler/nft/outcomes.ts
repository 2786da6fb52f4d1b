/**
 * What becomes of packets at one ENI in one direction once something has decided about them. Everything that decides
 * goes to one of these chains, so the mode of the ENI and the settings of logging are in them alone:
 *
 *   eni-1/ingress/drop/rule    logs; one for each cause, because a prefix is a constant of its line. Where drops are logged
 *   eni-1/ingress/drop         _host/drop; where the ENI is observed, _host/pass
 *   eni-1/ingress/accept/rule  logs the first packet of a session. Where sessions are logged
 *   eni-1/ingress/accept       session timeout, stamp
 */
import type { Direction, RuleVerdict } from '../model/policy.ts'
import type { EniIr, PolicyIr } from '../policy/ir.ts'
import {
  accept,
  ctDirection,
  ctMark,
  ctStatus,
  drop,
  equals,
  goto,
  isNotSet,
  isSet,
  protocolIs,
} from './expressions.ts'
import { type LogAction, type LogCause, makeLogPrefix } from './log-prefix.ts'
import * as names from './names.ts'
import type { Chain, Expression, Jump, NftRule, Statement } from './ruleset.ts'
import { markFields, type Side, sideOf } from './stamps.ts'

export interface Outcomes {
  /** Where packets go that are accepted or refused for this cause. */
  readonly goTo: (verdict: RuleVerdict, cause: LogCause) => Jump
  /** Of everything that has been gone to by now; callers before the chains they jump to. */
  readonly chains: () => readonly Chain[]
  /** Packets a second of the limit objects in the chains, keyed by name. */
  readonly limits: () => ReadonlyMap<string, number>
}

/** Longest headers of IPv6 and TCP: 40 and 60 bytes. */
const loggedBytes = 128

/** @param stamp  null: sessions are judged at every packet */
export function makeOutcomes(ir: PolicyIr, eni: EniIr, direction: Direction, stamp: number | null): Outcomes {
  const { drops, sessions, perSecond } = ir.logging
  const isLogged = { drop: drops, accept: sessions }
  const ends = { drop: names.refuseChain(eni.id, direction), accept: names.acceptChain(eni.id, direction) }
  const logs = new Map<string, Chain>()
  const limits = new Map<string, number>()
  return {
    goTo(verdict, cause) {
      if (!isLogged[verdict]) return goto(ends[verdict])
      const name = names.logChain(eni.id, direction, verdict, cause)
      const action = verdict === 'drop' && eni.isObserved ? 'observe' : verdict
      const log = logStatement(ir, eni, direction, action, cause)
      const rules = worthLogging(action, cause).map(({ which, limited }): NftRule => {
        const limit = names.logLimit(eni.id, direction, limited, perSecond)
        limits.set(limit, perSecond)
        return { statements: [...which, { limit }, log] }
      })
      logs.set(name, { name, rules: [...rules, { statements: [goto(ends[verdict])] }] })
      return goto(name)
    },
    chains: () => [
      ...[...logs.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      { name: ends.accept, rules: acceptRules(ir, sideOf(eni.placement, direction), stamp) },
      { name: ends.drop, rules: [{ statements: [goto(refusedTo(eni, direction))] }] },
    ],
    limits: () => limits,
  }
}

function refusedTo(eni: EniIr, direction: Direction): string {
  return eni.isObserved ? names.passChain(sideOf(eni.placement, direction)) : names.dropChain
}

function logStatement(
  { logging }: PolicyIr,
  eni: EniIr,
  direction: Direction,
  action: LogAction,
  cause: LogCause,
): Statement {
  const prefix = makeLogPrefix({ action, direction, eniId: eni.id, cause })
  // A listener is told at once: by default the kernel waits for a hundred packets, or a second.
  return { log: { prefix, group: logging.nflogGroup, snaplen: loggedBytes, 'queue-threshold': 1 } }
}

interface WorthLogging {
  readonly which: readonly Statement[]
  readonly limited: names.Limited
}

const begins = isNotSet(ctStatus, 'confirmed')

/**
 * Of a session that is accepted, the first packet, whose entry conntrack has yet to confirm: later ones come here when
 * the session is judged again. Of what is refused, what goes the way its session began: direction and rule are the
 * session's, and an answer's addresses would not fit them. What has no session, or a guest's wrong address, is as it is.
 * Sessions that are only let through go on, and one of them could use up any limit: what begins has a limit of its own.
 */
function worthLogging(action: LogAction, cause: LogCause): readonly WorthLogging[] {
  if (action === 'accept') return [{ which: [begins], limited: 'accept' }]
  if (cause === 'invalid' || cause === 'source-guard') return [{ which: [], limited: 'drop' }]
  const original = equals(ctDirection, 'original')
  if (action === 'drop') return [{ which: [original], limited: 'drop' }]
  return [
    { which: [begins], limited: 'drop' },
    { which: [isSet(ctStatus, 'confirmed'), original], limited: 'going-on' },
  ]
}

function acceptRules(ir: PolicyIr, side: Side, stamp: number | null): readonly NftRule[] {
  const field = markFields(ir.ctMarkMask)[side]
  const cleared = clearedOf(field.mask)
  const stamped: Expression = stamp === null ? cleared : { '|': [cleared, field.place(stamp)] }
  return [timeoutRule(ir), { statements: [setMark(stamped), accept] }]
}

/** The timeout is TCP's alone; asking first saves every other protocol the cost of the object (bench/RESULTS.md). */
function timeoutRule(ir: PolicyIr): NftRule {
  return { statements: [protocolIs('tcp'), { 'ct timeout': names.sessionTimeout(ir.sessionTimeoutSeconds) }] }
}

/** A session that is refused keeps no stamp, so that no later ENI or policy can take it for accepted. */
export function makeDropChain(ctMarkMask: number): Chain {
  // Two rules: a packet without a conntrack entry has no mark to read, so the first rule ends there for it.
  return {
    name: names.dropChain,
    rules: [{ statements: [setMark(clearedOf(ctMarkMask))] }, { statements: [drop] }],
  }
}

/**
 * What is refused where it is only observed; none where nothing is. The session loses the stamp of its side, so it is
 * judged at every packet. The other side's stays: another ENI may have accepted the session there.
 */
export function makePassChains(ir: PolicyIr): readonly Chain[] {
  if (!ir.enis.some(eni => eni.isObserved)) return []
  const fields = markFields(ir.ctMarkMask)
  return (['entered', 'left'] as const).map(side => ({
    name: names.passChain(side),
    // Reading the mark or the protocol ends its rule for a packet without a conntrack entry.
    rules: [{ statements: [setMark(clearedOf(fields[side].mask))] }, timeoutRule(ir), { statements: [accept] }],
  }))
}

const clearedOf = (mask: number): Expression => ({ '&': [ctMark, ~mask >>> 0] })
const setMark = (value: Expression): Statement => ({ mangle: { key: ctMark, value } })
