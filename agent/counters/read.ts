/** What the kernel's counters mean: which ENI, verdict and rule each of them counts for; pure. */
import type { Direction, RuleVerdict } from '../../rules-compiler/model/policy.ts'
import type { CounterReason } from '../../rules-compiler/nft/names.ts'
import type { ActualRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import type { Chain } from '../../rules-compiler/nft/ruleset.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'

export interface KernelReading {
  /** The kernel object that counts, unlike any other's: its counter goes back to zero when it is made anew. */
  readonly source: string
  /** Several where the rules of ENIs are alike to the letter and share the object; ordered by id. */
  readonly eniIds: readonly string[]
  readonly direction: Direction
  readonly verdict: RuleVerdict
  /** `rule` where a rule decided. */
  readonly reason: 'rule' | CounterReason
  /** The rule that decided; null for every other reason. */
  readonly ruleId: string | null
  readonly packets: number
  readonly bytes: number
}

/**
 * Every counter that belongs to the policy, in no particular order. What is in the kernel but no longer in the policy
 * is left out.
 * @param actual  the table as it was read
 * @param ir      the policy it enforces
 */
export function readTraffic(actual: ActualRuleset, ir: PolicyIr): readonly KernelReading[] {
  return [...readReasons(actual, ir), ...readRules(actual, ir)]
}

const fixedVerdicts: Readonly<Record<Exclude<CounterReason, 'default'>, RuleVerdict>> = {
  'inner-access': 'accept',
  exception: 'accept',
  smtp: 'drop',
  'source-guard': 'drop',
  invalid: 'drop',
}

function readReasons(actual: ActualRuleset, ir: PolicyIr): KernelReading[] {
  const enis = new Map(ir.enis.map(eni => [eni.id, eni]))
  return [...actual.counterHits].flatMap(([name, hits]): KernelReading[] => {
    const [eniId = '', direction = '', reason = ''] = name.split('/')
    const eni = enis.get(eniId)
    if (eni === undefined || !isDirection(direction) || !isReason(reason)) return []
    const verdict = reason === 'default' ? eni[direction].defaultVerdict : fixedVerdicts[reason]
    return [{ source: `counter ${name}`, eniIds: [eniId], direction, verdict, reason, ruleId: null, ...hits }]
  })
}

function readRules(actual: ActualRuleset, ir: PolicyIr): KernelReading[] {
  const verdicts = new Map(
    ir.enis.flatMap(({ ingress, egress }) => [...ingress.rules, ...egress.rules].map(rule => [rule.id, rule.verdict])),
  )
  const owners = ownersOfPlaces(actual)
  const elementsSeen = new Map<string, number>()
  return actual.ruleHits.flatMap(({ place, ruleId, packets, bytes }): KernelReading[] => {
    const { eniIds = [], direction } = owners.get(place) ?? {}
    const verdict = verdicts.get(ruleId)
    if (direction === undefined || verdict === undefined) return []
    // One rule may be several elements of a set that never changes, so their order is as good as a name.
    const name = `${place} ${ruleId}`
    const number = elementsSeen.get(name) ?? 0
    elementsSeen.set(name, number + 1)
    return [{ source: `rule ${name} ${number}`, eniIds, direction, verdict, reason: 'rule', ruleId, packets, bytes }]
  })
}

interface Owners {
  readonly eniIds: readonly string[]
  readonly direction: Direction
}

/** Chains are named after their ENI and direction; a set belongs to those whose chains look into it. */
function ownersOfPlaces(actual: ActualRuleset): ReadonlyMap<string, Owners> {
  const owners = new Map<string, { eniIds: string[]; direction: Direction }>()
  for (const chain of [...actual.chains.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const [eniId = '', direction = ''] = chain.name.split('/')
    if (!isDirection(direction)) continue
    for (const place of [chain.name, ...setsOf(chain)]) {
      const owner = owners.get(place) ?? { eniIds: [], direction }
      if (!owner.eniIds.includes(eniId)) owner.eniIds.push(eniId)
      owners.set(place, owner)
    }
  }
  return owners
}

function setsOf(chain: Chain): readonly string[] {
  return chain.rules.flatMap(rule =>
    rule.statements.flatMap(statement => {
      const right = 'match' in statement ? statement.match.right : null
      return typeof right === 'string' && right.startsWith('@') ? [right.slice(1)] : []
    }),
  )
}

function isDirection(text: string): text is Direction {
  return text === 'ingress' || text === 'egress'
}

function isReason(text: string): text is CounterReason {
  return text === 'default' || Object.hasOwn(fixedVerdicts, text)
}
