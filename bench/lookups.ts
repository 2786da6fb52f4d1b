/** How much a compiled ruleset asks of a packet at most, counted from the rules themselves. */
import * as names from '../rules-compiler/nft/names.ts'
import type { Expression, NftRule, Ruleset, Statement, Verdict } from '../rules-compiler/nft/ruleset.ts'

interface Session {
  readonly nfproto: 'ipv4' | 'ipv6'
  readonly protocol: number
}

const sessions: readonly Session[] = (['ipv4', 'ipv6'] as const).flatMap(nfproto =>
  [6, 17, 47].map(protocol => ({ nfproto, protocol })),
)

/**
 * The most set and map lookups that judging one session of `eni-1` can take: of all families and protocols, a peer that
 * is in every group and that no rule matches before the last.
 */
export function mostLookups(ruleset: Ruleset): number {
  const start = names.judgeChain('eni-1', 'ingress')
  return Math.max(...sessions.map(session => lookupsIn(ruleset, start, session)))
}

function lookupsIn(ruleset: Ruleset, chain: string, session: Session): number {
  return ruleset.chains.get(chain)!.rules.reduce((sum, rule) => sum + lookupsOf(ruleset, rule, session), 0)
}

function lookupsOf(ruleset: Ruleset, rule: NftRule, session: Session): number {
  let lookups = 0
  for (const statement of rule.statements) {
    if (excludes(statement, session)) return lookups
    if ('match' in statement && typeof statement.match.right === 'string' && statement.match.right.startsWith('@')) {
      lookups += 1
    } else if ('vmap' in statement && typeof statement.vmap.data === 'string') {
      const verdicts = [...ruleset.verdictMaps.get(statement.vmap.data.slice(1))!.elements.values()]
      lookups += 1 + Math.max(0, ...verdicts.map(verdict => lookupsBehind(ruleset, verdict, session)))
    } else if ('jump' in statement) {
      lookups += lookupsBehind(ruleset, statement, session)
    }
  }
  return lookups
}

function lookupsBehind(ruleset: Ruleset, verdict: Verdict, session: Session): number {
  return 'jump' in verdict ? lookupsIn(ruleset, verdict.jump.target, session) : 0
}

/** Whether a statement ends the rule for such a session: another family, another protocol, an address of the other. */
function excludes(statement: Statement, session: Session): boolean {
  if (!('match' in statement)) return 'vmap' in statement && isOfOtherFamily(statement.vmap.key, session)
  const { left, right } = statement.match
  if ('meta' in left && left.meta.key === 'nfproto') return right !== session.nfproto
  if ('ct' in left && left.ct.key === 'protocol') return right !== session.protocol
  return isOfOtherFamily(left, session)
}

function isOfOtherFamily(key: Expression, session: Session): boolean {
  return 'ct' in key && /^ip6? /.test(key.ct.key) && key.ct.key.startsWith('ip6') !== (session.nfproto === 'ipv6')
}
