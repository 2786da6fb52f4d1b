/** Policy to policy IR: every reference followed, everything in one order whatever the order of the file. */
import { familyOf } from '../address/cidr.ts'
import { type InstanceTypeThresholds, thresholdsOfType } from '../model/instance-types.ts'
import type { Direction, Eni, GroupRule, Instance, Peer, Policy, Rescue, SecurityGroup } from '../model/policy.ts'
import type { ScrubInstance, ScrubIr, ScrubThresholds } from '../scrub/ir.ts'
import type { DirectionIr, EniIr, GroupMembers, PeerIr, PolicyIr, RuleIr } from './ir.ts'

/** The IR of a checked policy; its references are taken to lead somewhere. */
export function resolvePolicy(policy: Policy): PolicyIr {
  const world = indexPolicy(policy)
  const enis = [...policy.interfaces].sort((a, b) => compareText(a.id, b.id))
  const attached = enis.filter(eni => eni.securityGroupIds.length > 0).map(eni => resolveEni(eni, world))
  return {
    enis: attached,
    unattachedEnis: enis
      .filter(eni => eni.securityGroupIds.length === 0)
      .map(eni => ({ id: eni.id, device: eni.device })),
    groups: resolveGroups(attached, world),
    sessionTimeoutSeconds: policy.settings.sessionTimeoutSeconds,
    revocation: policy.settings.revocation,
    ctMarkMask: policy.settings.ctMarkMask,
    logging: policy.settings.logging,
    scrub: resolveScrub(policy),
  }
}

interface World {
  readonly policy: Policy
  readonly instances: ReadonlyMap<string, Instance>
  readonly groups: ReadonlyMap<string, SecurityGroup>
  readonly prefixLists: ReadonlyMap<string, PeerIr>
  /** What ENIs have in common that are in the same groups, each resolved once; filled as they come. */
  readonly directions: Map<string, DirectionIr>
}

function indexPolicy(policy: Policy): World {
  return {
    policy,
    instances: new Map(policy.instances.map(instance => [instance.id, instance])),
    groups: new Map(policy.securityGroups.map(group => [group.id, group])),
    prefixLists: new Map(
      policy.prefixLists.map(({ id, entries }) => {
        const cidrs = entries.toSorted((a, b) => compareText(a.text, b.text))
        return [id, { kind: 'cidrs', cidrs, prefixListId: id }]
      }),
    ),
    directions: new Map(),
  }
}

function resolveEni(eni: Eni, world: World): EniIr {
  const groups = [...new Set(eni.securityGroupIds)].sort(compareText).map(id => world.groups.get(id)!)
  return {
    id: eni.id,
    instanceId: eni.instanceId,
    device: eni.device,
    placement: eni.placement,
    addresses: eni.addresses,
    securityGroupIds: groups.map(group => group.id),
    isObserved: [eni, ...groups].some(({ mode }) => mode === 'observe'),
    smtpBlocked: !world.instances.get(eni.instanceId)!.smtpUnblocked,
    innerGroupIds: groups
      .filter(group => group.type === 'basic' && group.innerAccessPolicy === 'accept')
      .map(group => group.id),
    controlConnections: eni.placement === 'host' ? world.policy.settings.controlConnections : [],
    rescue: eni.placement === 'host' ? sortRescues(world.policy.settings.rescue) : [],
    ingress: resolveDirection('ingress', eni, groups, world),
    egress: resolveDirection('egress', eni, groups, world),
  }
}

function sortRescues(rescues: readonly Rescue[]): readonly Rescue[] {
  const byText = new Map(rescues.map(rescue => [`${rescue.source.text} ${rescue.port}`, rescue]))
  return [...byText].sort(([a], [b]) => compareText(a, b)).map(([, rescue]) => rescue)
}

function resolveDirection(direction: Direction, eni: Eni, groups: readonly SecurityGroup[], world: World): DirectionIr {
  const key = [direction, eni.nicType, ...groups.map(({ id }) => id)].join(' ')
  const known = world.directions.get(key)
  if (known !== undefined) return known
  const rules = groups.flatMap(group =>
    group.rules
      .filter(rule => rule.direction === direction)
      .filter(rule => group.networkType === 'vpc' || rule.nicType === eni.nicType)
      .map(rule => resolveRule(rule, group, world)),
  )
  const isOpen = direction === 'egress' && groups.every(group => group.type === 'basic')
  const resolved: DirectionIr = { rules: rules.sort(compareRules), defaultVerdict: isOpen ? 'accept' : 'drop' }
  world.directions.set(key, resolved)
  return resolved
}

function resolveRule(rule: GroupRule, group: SecurityGroup, world: World): RuleIr {
  return {
    id: rule.id,
    groupId: group.id,
    direction: rule.direction,
    verdict: rule.policy,
    priority: rule.priority,
    protocol: rule.protocol,
    ports: rule.ports,
    sourcePorts: rule.sourcePorts,
    peer: resolvePeer(rule.peer, world),
    local: rule.local,
  }
}

function resolvePeer(peer: Peer, world: World): PeerIr {
  switch (peer.kind) {
    case 'cidr':
      return { kind: 'cidrs', cidrs: [peer.cidr], prefixListId: null }
    case 'group':
      return peer
    case 'prefixList':
      return world.prefixLists.get(peer.prefixListId)!
    default:
      return peer satisfies never
  }
}

/** Deciding order: at one priority a drop wins, so it stands first. Id and group only make the order complete. */
function compareRules(a: RuleIr, b: RuleIr): number {
  if (a.priority !== b.priority) return a.priority - b.priority
  if (a.verdict !== b.verdict) return a.verdict === 'drop' ? -1 : 1
  return compareText(a.id, b.id) || compareText(a.groupId, b.groupId)
}

/** Members of the groups that the ENIs need, in the order of group ids. */
function resolveGroups(enis: readonly EniIr[], world: World): ReadonlyMap<string, GroupMembers> {
  const named = new Set<string>()
  for (const eni of enis) {
    for (const id of eni.innerGroupIds) named.add(id)
    for (const { peer } of [...eni.ingress.rules, ...eni.egress.rules]) {
      if (peer.kind === 'group') named.add(peer.groupId)
    }
  }
  return new Map([...named].sort(compareText).map(id => [id, splitMembers(world.groups.get(id)!.members)]))
}

function splitMembers(members: readonly string[]): GroupMembers {
  const ip: string[] = []
  const ip6: string[] = []
  for (const member of members) (familyOf(member) === 'ip' ? ip : ip6).push(member)
  // Without a function sort() compares UTF-16 units, as compareText does, and is several times as fast.
  return { ip: ip.sort(), ip6: ip6.sort() }
}

function resolveScrub({ instances, interfaces, settings }: Policy): ScrubIr {
  const { secondsOver, holdTime, blackHoleThreshold, blackHoleHoldTime, mostBlackHoleHoldTime } = settings.scrubbing
  const enis = Map.groupBy(interfaces, eni => eni.instanceId)
  return {
    instances: instances
      .map(instance => resolveScrubInstance(instance, enis.get(instance.id) ?? []))
      .sort((a, b) => compareText(a.id, b.id)),
    trafficScope: settings.trafficScope,
    allowList: settings.scrubbing.allowList,
    controlConnections: settings.controlConnections,
    secondsOver,
    holdSeconds: holdTime,
    blackHoleMbit: blackHoleThreshold,
    blackHoleHoldSeconds: blackHoleHoldTime,
    mostBlackHoleHoldSeconds: mostBlackHoleHoldTime,
  }
}

function resolveScrubInstance(instance: Instance, enis: readonly Eni[]): ScrubInstance {
  const { id, instanceType, scrubbingCancelled, ddosOrder } = instance
  const maximum = thresholdsOfType(instanceType)
  return {
    id,
    instanceType,
    enis: enis.map(({ id, device, placement }) => ({ id, device, placement })).sort((a, b) => compareText(a.id, b.id)),
    addresses: enis.flatMap(eni => eni.addresses).sort(compareText),
    maximum,
    thresholds: resolveThresholds(instance, maximum),
    scrubbing: scrubbingCancelled ? 'cancelled' : 'on',
    order: ddosOrder,
  }
}

function resolveThresholds(
  { ddosThreshold }: Instance,
  maximum: InstanceTypeThresholds | null,
): ScrubThresholds | null {
  if (ddosThreshold !== null) {
    const { bps, pps, source } = ddosThreshold
    return { bpsMbit: bps, pps, source }
  }
  return maximum && { bpsMbit: maximum.maxBpsMbit, pps: maximum.maxPps, source: 'type' }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
