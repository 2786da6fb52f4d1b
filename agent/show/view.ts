/** What is in force on this host, rule by rule with what each has decided: the content of `ringwall show`. */

import { portRangeText } from '../../rules-compiler/address/port-range.ts'
import type { Direction, Placement, RuleVerdict } from '../../rules-compiler/model/policy.ts'
import { makeLayers } from '../../rules-compiler/nft/layers.ts'
import { hookChain } from '../../rules-compiler/nft/names.ts'
import type { ActualRuleset, Hits } from '../../rules-compiler/nft/read-ruleset.ts'
import type { EniIr, PolicyIr, RuleIr } from '../../rules-compiler/policy/ir.ts'
import { ruleText } from '../../rules-compiler/policy/rule-text.ts'
import { type KernelReading, readTraffic } from '../counters/read.ts'
import type { SourceStatus } from '../source.ts'

export interface View {
  /** Where the policy comes from; left out where no agent was asked. */
  readonly source?: SourceStatus
  readonly enis: readonly EniView[]
  /** ENIs without a group: their devices are left alone. */
  readonly unattachedEnis: readonly { readonly id: string; readonly device: string }[]
  readonly groups: readonly { readonly id: string; readonly ip: number; readonly ip6: number }[]
  readonly sessionTimeoutSeconds: number
}

export interface EniView {
  readonly id: string
  readonly device: string
  readonly placement: Placement
  readonly addresses: readonly string[]
  readonly securityGroupIds: readonly string[]
  /** What would be dropped is let through: the ENI or one of its groups is in observe mode. */
  readonly isObserved: boolean
  /** By whom and where the host is administered: `198.18.0.0/15 to port 22`. */
  readonly rescue: readonly string[]
  /** Whether the kernel holds rules for it. */
  readonly inForce: boolean
  readonly directions: readonly DirectionView[]
}

export interface DirectionView {
  readonly direction: Direction
  /** In the order they are asked; within a layer the order of rules means nothing. */
  readonly layers: readonly { readonly verdict: RuleVerdict; readonly rules: readonly RuleView[] }[]
  readonly defaultVerdict: RuleVerdict
  /** What was decided without a rule, by reason; `default` among them. */
  readonly reasons: Readonly<Record<string, Hits>>
  /** Other ENIs that count into the same rule counters, because their rules are alike. */
  readonly sharedWith: readonly string[]
}

export interface RuleView extends Hits {
  readonly id: string
  readonly groupId: string
  readonly verdict: RuleVerdict
  readonly priority: number
  /** The rule in words. */
  readonly text: string
}

/** @param actual  the kernel's table; null where there is none: then nothing is in force and all counts are 0 */
export function makeView(ir: PolicyIr, actual: ActualRuleset | null): View {
  const readings = actual === null ? [] : readTraffic(actual, ir)
  return {
    enis: ir.enis.map(eni => ({
      id: eni.id,
      device: eni.device,
      placement: eni.placement,
      addresses: eni.addresses,
      securityGroupIds: eni.securityGroupIds,
      isObserved: eni.isObserved,
      rescue: eni.rescue.map(({ source, port }) => `${source.text} to port ${port}`),
      inForce: actual?.chains.has(hookChain(eni.id, 'prerouting')) ?? false,
      directions: (['ingress', 'egress'] as const).map(direction =>
        directionView(
          eni,
          direction,
          readings.filter(reading => reading.direction === direction && reading.eniIds.includes(eni.id)),
        ),
      ),
    })),
    unattachedEnis: ir.unattachedEnis,
    groups: [...ir.groups].map(([id, members]) => ({ id, ip: members.ip.length, ip6: members.ip6.length })),
    sessionTimeoutSeconds: ir.sessionTimeoutSeconds,
  }
}

function directionView(eni: EniIr, direction: Direction, readings: readonly KernelReading[]): DirectionView {
  const byRule = Map.groupBy(readings, reading => reading.ruleId)
  const byReason = Map.groupBy(readings, reading => reading.reason)
  byReason.delete('rule')
  return {
    direction,
    layers: makeLayers(eni[direction].rules).map(({ verdict, rules }) => ({
      verdict,
      rules: [...Map.groupBy(rules, ({ id }) => id)].map(([id, ranges]) => ruleView(ranges, byRule.get(id) ?? [])),
    })),
    defaultVerdict: eni[direction].defaultVerdict,
    reasons: Object.fromEntries([...byReason].map(([reason, hits]) => [reason, sum(hits)])),
    sharedWith: [...new Set(readings.flatMap(reading => reading.eniIds))].filter(id => id !== eni.id),
  }
}

const mostRanges = 8

/** @param ranges  the rule, once for each range of ports that it has */
function ruleView(ranges: readonly RuleIr[], hits: readonly Hits[]): RuleView {
  const rule = ranges[0]!
  const { id, groupId, verdict, priority } = rule
  const ports = ranges.slice(0, mostRanges).map(range => portRangeText(range.ports))
  const more = ranges.length > mostRanges ? ` and ${ranges.length - mostRanges} more` : ''
  return { id, groupId, verdict, priority, text: ruleText(rule, `${ports.join(',')}${more}`), ...sum(hits) }
}

function sum(hits: readonly Hits[]): Hits {
  return hits.reduce(
    (total, { packets, bytes }) => ({ packets: total.packets + packets, bytes: total.bytes + bytes }),
    { packets: 0, bytes: 0 },
  )
}
