/**
 * The chains that judge the sessions of one ENI in one direction: control connection or rescue, port 25, what accepts (a leading
 * layer, inner access, DHCP), the other layers, default. They are entered for packets without a current stamp only.
 */
import { type Family, families, familyOf, makeCidr } from '../address/cidr.ts'
import { hasPorts } from '../address/protocol.ts'
import { linkLocal6, privateRanges } from '../address/ranges.ts'
import type { Direction, RuleVerdict } from '../model/policy.ts'
import type { DirectionIr, EniIr, PolicyIr, RuleIr } from '../policy/ir.ts'
import { type Box, makeDisjoint } from './disjoint.ts'
import {
  addressType,
  cidrOperand,
  count,
  differs,
  equals,
  isIn,
  jump,
  protocolIs,
  rangeOperand,
  type SessionKeys,
  sessionIs,
  sessionKeys,
} from './expressions.ts'
import { isNarrow, makeGroupIntervalSets, makeIntervalSets, makePortSet, type SetLookup } from './interval-sets.ts'
import { type Layer, makeLayers } from './layers.ts'
import * as names from './names.ts'
import type { Outcomes } from './outcomes.ts'
import type { Chain, Expression, IntervalSet, NftRule, Statement, Verdict, VerdictMap } from './ruleset.ts'
import { sideOf } from './stamps.ts'

/** What judging one direction of one ENI needs in the table. */
export interface JudgeParts {
  /** Callers before the chains they jump to. */
  readonly chains: readonly Chain[]
  readonly intervalSets: readonly IntervalSet[]
  readonly verdictMaps: readonly VerdictMap[]
  readonly counters: readonly string[]
  /** Groups whose member sets the chains look into. */
  readonly memberGroupIds: readonly string[]
}

interface Context {
  readonly eni: EniIr
  readonly direction: Direction
  readonly keys: SessionKeys
  readonly peer: (family: Family) => Expression
  readonly local: (family: Family) => Expression
  readonly outcomes: Outcomes
}

/**
 * From this many groups in one layer on, a map from member address to chain replaces a lookup for each group: 20 ns
 * each otherwise, and a policy can name a thousand.
 */
const manyGroups = 8

export function makeJudge(ir: PolicyIr, eni: EniIr, direction: Direction, outcomes: Outcomes): JudgeParts {
  const keys = sessionKeys(sideOf(eni.placement, direction))
  const context: Context = {
    eni,
    direction,
    keys,
    peer: direction === 'ingress' ? keys.source : keys.destination,
    local: direction === 'ingress' ? keys.destination : keys.source,
    outcomes,
  }
  const part: DirectionIr = eni[direction]
  const planned = planLayers(part.rules)
  const layers = planned.map((layer, index) => makeLayer(ir, context, layer, index + 1))
  const counters = new Set<string>()
  const counted = (reason: names.CounterReason): string => {
    const name = names.reasonCounter(eni.id, direction, reason)
    counters.add(name)
    return name
  }
  // Who accepts first makes no difference, so the layers that most sessions are accepted by come before the rest.
  const leading = planned[0]?.verdict === 'accept' ? layers.slice(0, 1) : []
  const others = layers.slice(leading.length)
  const needsAccepting = others.length > 0 || part.defaultVerdict === 'drop'
  const rules: NftRule[] = [
    ...(direction === 'egress' ? controlRules(context, counted) : rescueRules(context, counted)),
    ...smtpRules(context, counted),
    ...leading.flatMap(layer => layer.rules),
    ...(needsAccepting ? [...innerAccessRules(context, counted), ...dhcpRules(context, counted)] : []),
    ...others.flatMap(layer => layer.rules),
    { statements: decide(context, part.defaultVerdict, 'default', counted) },
  ]
  return {
    chains: [{ name: names.judgeChain(eni.id, direction), rules }, ...layers.flatMap(layer => layer.chains)],
    intervalSets: layers.flatMap(layer => layer.intervalSets),
    verdictMaps: layers.flatMap(layer => layer.verdictMaps),
    counters: [...counters],
    memberGroupIds: [...eni.innerGroupIds, ...layers.flatMap(layer => layer.memberGroupIds)],
  }
}

type Counted = (reason: names.CounterReason) => string

/** Counts and decides without a rule. */
function decide(
  { outcomes }: Context,
  verdict: RuleVerdict,
  reason: names.CounterReason,
  counted: Counted,
): readonly Statement[] {
  return [count(counted(reason)), outcomes.goTo(verdict, reason)]
}

/** The agent's own way to its control daemon. */
function controlRules(context: Context, counted: Counted): readonly NftRule[] {
  const { eni, keys } = context
  return eni.controlConnections.map(({ address, port }) => {
    const family = familyOf(address)
    const there = [equals(keys.destination(family), address), equals(keys.destinationPort, port)]
    return { statements: [...sessionIs(family, 'tcp'), ...there, ...decide(context, 'accept', 'exception', counted)] }
  })
}

/** Administrators of the host. */
function rescueRules(context: Context, counted: Counted): readonly NftRule[] {
  const { eni, keys } = context
  return eni.rescue.map(({ source, port }) => {
    // A block of all addresses says nothing, and nft lists no such match.
    const from = source.prefixLength === 0 ? [] : [equals(keys.source(source.family), cidrOperand(source))]
    const there = [...from, equals(keys.destinationPort, port)]
    const accepted = decide(context, 'accept', 'exception', counted)
    return { statements: [...sessionIs(source.family, 'tcp'), ...there, ...accepted] }
  })
}

/** DHCP and DHCPv6 client exchanges. */
function dhcpRules(context: Context, counted: Counted): readonly NftRule[] {
  const { direction, keys } = context
  const accepted = () => decide(context, 'accept', 'exception', counted)
  const ports = (client: number, server: number): readonly Statement[] => {
    const [source, destination] = direction === 'egress' ? [client, server] : [server, client]
    return [equals(keys.sourcePort, source), equals(keys.destinationPort, destination)]
  }
  // The client's address is link-local (RFC 8415, section 5): nothing routed from afar can pass for an answer.
  const linkLocal = equals(context.local('ip6'), cidrOperand(linkLocal6))
  return [
    { statements: [...sessionIs('ip', 'udp'), ...ports(68, 67), ...accepted()] },
    { statements: [...sessionIs('ip6', 'udp'), ...ports(546, 547), linkLocal, ...accepted()] },
  ]
}

function smtpRules(context: Context, counted: Counted): readonly NftRule[] {
  const { eni, direction, keys } = context
  if (direction === 'ingress' || !eni.smtpBlocked) return []
  return families.map(family => ({
    statements: [
      ...sessionIs(family, 'tcp'),
      equals(keys.destinationPort, 25),
      differs(keys.destination(family), {
        set: privateRanges.filter(range => range.family === family).map(cidrOperand),
      }),
      ...decide(context, 'drop', 'smtp', counted),
    ],
  }))
}

function innerAccessRules(context: Context, counted: Counted): readonly NftRule[] {
  return context.eni.innerGroupIds.flatMap(groupId =>
    families.map(family => ({
      statements: [
        isIn(context.peer(family), names.memberSet(groupId, family)),
        ...decide(context, 'accept', 'inner-access', counted),
      ],
    })),
  )
}

/** A layer with the sets of its CIDR rules. */
interface PlannedLayer extends Layer {
  readonly lookups: readonly SetLookup[]
}

/**
 * What costs most of the time of compiling, by the list of rules: ENIs in the same groups share theirs, and so does a
 * policy with the one before it in which only members have changed.
 */
const plans = new WeakMap<readonly RuleIr[], readonly PlannedLayer[]>()

function planLayers(rules: readonly RuleIr[]): readonly PlannedLayer[] {
  const known = plans.get(rules)
  if (known !== undefined) return known
  const planned = makeLayers(rules).map(
    (layer): PlannedLayer => ({
      ...layer,
      lookups: makeIntervalSets(layer.rules.filter(rule => rule.peer.kind === 'cidrs')),
    }),
  )
  plans.set(rules, planned)
  return planned
}

interface LayerParts extends Omit<JudgeParts, 'counters'> {
  readonly rules: readonly NftRule[]
}

function makeLayer(ir: PolicyIr, context: Context, layer: PlannedLayer, number: number): LayerParts {
  const { lookups } = layer
  const groups = makeGroups(ir, context, layer, number)
  return {
    ...groups,
    rules: [...lookups.map(lookup => lookupRule(context, lookup, layer.verdict)), ...groups.rules],
    intervalSets: [...lookups.map(lookup => lookup.set), ...groups.intervalSets],
  }
}

/** One lookup in an interval set; its elements count. */
function lookupRule(context: Context, { family, traffic, fields, set }: SetLookup, verdict: RuleVerdict): NftRule {
  const expressions: Readonly<Record<SetLookup['fields'][number], Expression>> = {
    peer: context.peer(family),
    local: context.local(family),
    destinationPort: context.keys.destinationPort,
    sourcePort: context.keys.sourcePort,
    protocol: { ct: { key: 'protocol' } },
  }
  const session = traffic === 'any' ? [] : sessionIs(family, traffic)
  const key: Expression = { concat: fields.map(name => expressions[name]) }
  return { statements: [...session, isIn(key, set.name), context.outcomes.goTo(verdict, 'rule')] }
}

/** Rules that name groups: who the peer is decides which ports are asked. */
function makeGroups(ir: PolicyIr, context: Context, layer: Layer, number: number): LayerParts {
  const { eni, direction } = context
  const rulesByGroup = new Map<string, RuleIr[]>()
  for (const rule of layer.rules) {
    if (rule.peer.kind !== 'group') continue
    const rules = rulesByGroup.get(rule.peer.groupId)
    if (rules === undefined) rulesByGroup.set(rule.peer.groupId, [rule])
    else rules.push(rule)
  }
  const groupIds = [...rulesByGroup.keys()].sort()
  const groups = groupIds.map(groupId => {
    const name = names.groupChain(eni.id, direction, number, groupId)
    return makeGroupChain(context, name, rulesByGroup.get(groupId)!, layer.verdict)
  })
  const entry =
    groupIds.length < manyGroups ? lookUpEach(context, groupIds, number) : lookUpAll(ir, context, groupIds, number)
  return {
    ...entry,
    chains: [...entry.chains, ...groups.map(group => group.chain)],
    intervalSets: groups.flatMap(group => group.intervalSets),
  }
}

function lookUpEach(context: Context, groupIds: readonly string[], number: number): Omit<LayerParts, 'intervalSets'> {
  const { eni, direction } = context
  const rules = groupIds.flatMap(groupId =>
    families.map(family => ({
      statements: [
        isIn(context.peer(family), names.memberSet(groupId, family)),
        jump(names.groupChain(eni.id, direction, number, groupId)),
      ],
    })),
  )
  return { rules, chains: [], verdictMaps: [], memberGroupIds: groupIds }
}

/** One map from member address to the chain of its group, or of all its groups where it is in several. */
function lookUpAll(
  ir: PolicyIr,
  context: Context,
  groupIds: readonly string[],
  number: number,
): Omit<LayerParts, 'intervalSets'> {
  const { eni, direction } = context
  const classes = new Map<string, Chain>()
  const verdictMaps = families.map((family): VerdictMap => {
    const groupsOf = new Map<string, string[]>()
    for (const groupId of groupIds) {
      for (const address of ir.groups.get(groupId)?.[family] ?? []) {
        const groups = groupsOf.get(address)
        if (groups === undefined) groupsOf.set(address, [groupId])
        else groups.push(groupId)
      }
    }
    const elements = new Map<string, Verdict>()
    for (const [address, groups] of groupsOf) {
      const targets = groups.map(groupId => names.groupChain(eni.id, direction, number, groupId))
      if (targets.length === 1) {
        elements.set(address, jump(targets[0]!))
        continue
      }
      const name = names.classChain(eni.id, direction, number, groups)
      if (!classes.has(name))
        classes.set(name, { name, rules: targets.map(target => ({ statements: [jump(target)] })) })
      elements.set(address, jump(name))
    }
    return {
      name: names.peerMap(eni.id, direction, number, family),
      keyType: addressType[family],
      elements,
    }
  })
  const rules = families.map(family => ({
    statements: [{ vmap: { key: context.peer(family), data: `@${names.peerMap(eni.id, direction, number, family)}` } }],
  }))
  return { rules, chains: [...classes.values()], verdictMaps, memberGroupIds: [] }
}

/** Up to this many port ranges of a group are compared one by one: cheaper than a lookup, and no set to fill. */
const fewRanges = 3

/** Members of a group are looked up before their ports, so all its boxes are of one block. */
const anyAddress = makeCidr('ip', 0n, 0)

/** What the members of one group may do; returns when nothing matches. */
function makeGroupChain(
  context: Context,
  name: string,
  rules: readonly RuleIr[],
  verdict: RuleVerdict,
): { readonly chain: Chain; readonly intervalSets: readonly IntervalSet[] } {
  const broad = rules.filter(rule => !isNarrow(rule))
  const lookups = makeGroupIntervalSets(rules.filter(isNarrow))
  const ports = (['tcp', 'udp'] as const).map(protocol => makePortRules(context, protocol, broad, verdict))
  const others = broad
    .filter(rule => !hasPorts(rule.protocol))
    .map(
      (rule): NftRule => ({
        statements: [...wholeProtocol(rule), count(null), context.outcomes.goTo(verdict, 'rule')],
        ruleId: rule.id,
      }),
    )
  return {
    chain: {
      name,
      rules: [
        ...ports.flatMap(part => part.rules),
        ...lookups.map(lookup => lookupRule(context, lookup, verdict)),
        ...others,
      ],
    },
    intervalSets: [...ports.flatMap(part => part.intervalSets), ...lookups.map(lookup => lookup.set)],
  }
}

function makePortRules(
  context: Context,
  protocol: 'tcp' | 'udp',
  rules: readonly RuleIr[],
  verdict: RuleVerdict,
): { readonly rules: readonly NftRule[]; readonly intervalSets: readonly IntervalSet[] } {
  const boxes = rules
    .filter(rule => rule.protocol === protocol)
    .map(rule => ({ cidr: anyAddress, range: rule.ports, ruleId: rule.id }))
  const pieces: readonly Box[] = makeDisjoint(boxes)[0] ?? []
  const port = context.keys.destinationPort
  const decided = context.outcomes.goTo(verdict, 'rule')
  if (pieces.length <= fewRanges) {
    const lines = pieces.flatMap(({ range, ruleId }) =>
      families.map(
        (family): NftRule => ({
          statements: [...sessionIs(family, protocol), equals(port, rangeOperand(range)), count(null), decided],
          ruleId,
        }),
      ),
    )
    return { rules: lines, intervalSets: [] }
  }
  const set = makePortSet(protocol, pieces)
  const key: Expression = { concat: [{ ct: { key: 'protocol' } }, port] }
  const lines = families.map(
    (family): NftRule => ({ statements: [...sessionIs(family, protocol), isIn(key, set.name), decided] }),
  )
  return { rules: lines, intervalSets: [set] }
}

/** `icmp` is ICMPv4 only and `icmpv6` ICMPv6 only; `gre` follows the family of the member. */
function wholeProtocol(rule: RuleIr): readonly Statement[] {
  switch (rule.protocol) {
    case 'icmp':
      return sessionIs('ip', 'icmp')
    case 'icmpv6':
      return sessionIs('ip6', 'icmpv6')
    case 'gre':
      return [protocolIs('gre')]
    default:
      return []
  }
}
