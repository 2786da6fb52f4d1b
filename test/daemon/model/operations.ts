/** Operations on the API as data: what is asked over REST, what the model says to it, and how to make them at random. */
import fc from 'fast-check'
import type {
  AttachEni,
  CloneGroup,
  CreateEni,
  CreateGroup,
  CreateInstance,
  CreatePortList,
  CreatePrefixList,
  DetachEni,
  Membership,
  Mode,
  ModelFleet,
  ModelLimits,
  ModelLogging,
  ModifyEni,
  ModifyGroup,
  ModifyInstance,
  ModifyPortList,
  ModifyPrefixList,
  ModifyScrubbing,
  SetThreshold,
  Verdict,
} from './fleet.ts'
import type { Asked } from './rules.ts'
import {
  accountA,
  accountB,
  accountC,
  addresses,
  agentIds,
  badBlocks,
  badPorts,
  blocks,
  eniIds,
  type Family,
  goodPorts,
  groupIds,
  instanceIds,
  instanceTypes,
  portListIds,
  portsOfService,
  prefixListIds,
  ranges,
  type Who,
} from './vocabulary.ts'

export type Operation = { readonly as: Who } & (
  | { readonly op: 'createAccount'; readonly body: { readonly accountId: string; readonly name: string } }
  | { readonly op: 'deleteAccount'; readonly id: string }
  | { readonly op: 'createGroup'; readonly body: CreateGroup }
  | { readonly op: 'cloneGroup'; readonly id: string; readonly body: CloneGroup }
  | {
      readonly op: 'defaultGroup'
      readonly body: {
        readonly accountId?: string
        readonly networkType?: 'vpc' | 'classic'
        readonly webPorts?: boolean
      }
    }
  | { readonly op: 'modifyGroup'; readonly id: string; readonly body: ModifyGroup }
  | { readonly op: 'deleteGroup'; readonly id: string }
  | { readonly op: 'addRules'; readonly id: string; readonly permissions: readonly Asked[] }
  | {
      readonly op: 'importRules'
      readonly id: string
      readonly mode: 'append' | 'replace'
      readonly permissions: readonly Asked[]
    }
  | {
      readonly op: 'copyRules'
      readonly id: string
      readonly to: string
      readonly mode: 'append' | 'replace'
      readonly format: 'json' | 'csv'
    }
  /** Rules by their place in the group, since the daemon makes their ids. */
  | { readonly op: 'modifyRule'; readonly id: string; readonly rule: number; readonly changes: Asked }
  | { readonly op: 'deleteRule'; readonly id: string; readonly rule: number }
  | { readonly op: 'revokeByIds'; readonly id: string; readonly rules: readonly number[] }
  | { readonly op: 'revokeByContent'; readonly id: string; readonly permissions: readonly Asked[] }
  | { readonly op: 'createPrefixList'; readonly body: CreatePrefixList }
  | { readonly op: 'modifyPrefixList'; readonly id: string; readonly body: ModifyPrefixList }
  | { readonly op: 'deletePrefixList'; readonly id: string }
  | { readonly op: 'createPortList'; readonly body: CreatePortList }
  | { readonly op: 'modifyPortList'; readonly id: string; readonly body: ModifyPortList }
  | { readonly op: 'deletePortList'; readonly id: string }
  | { readonly op: 'createInstance'; readonly body: CreateInstance }
  | { readonly op: 'modifyInstance'; readonly id: string; readonly body: ModifyInstance }
  | { readonly op: 'deleteInstance'; readonly id: string }
  | { readonly op: 'setThreshold'; readonly id: string; readonly body: SetThreshold }
  | { readonly op: 'cancelScrubbing' | 'resumeScrubbing' | 'liftBlackHole'; readonly id: string }
  | { readonly op: 'blackHole'; readonly id: string; readonly body: { readonly holdSeconds?: number } }
  | { readonly op: 'modifyScrubbing'; readonly body: ModifyScrubbing }
  | { readonly op: 'modifyLogging'; readonly logging: Partial<ModelLogging> }
  | { readonly op: 'createEni'; readonly body: CreateEni }
  | { readonly op: 'modifyEni'; readonly id: string; readonly body: ModifyEni }
  | { readonly op: 'deleteEni'; readonly id: string }
  | { readonly op: 'attachEni'; readonly id: string; readonly body: AttachEni }
  | { readonly op: 'detachEni'; readonly id: string; readonly body: DetachEni }
  | { readonly op: 'join' | 'leave'; readonly id: string; readonly body: Membership }
  | { readonly op: 'modifyLimits'; readonly limits: Partial<ModelLimits> }
)

export interface Request {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

/** @param fleet  knows the ids of rules */
export function requestFor(operation: Operation, fleet: ModelFleet): Request {
  const group = (id: string) => `/v1/security-groups/${id}`
  switch (operation.op) {
    case 'createAccount':
      return { method: 'POST', path: '/v1/accounts', body: operation.body }
    case 'deleteAccount':
      return { method: 'DELETE', path: `/v1/accounts/${operation.id}` }
    case 'createGroup':
      return { method: 'POST', path: '/v1/security-groups', body: operation.body }
    case 'cloneGroup':
      return { method: 'POST', path: `${group(operation.id)}/clone`, body: operation.body }
    case 'defaultGroup':
      return { method: 'POST', path: '/v1/security-groups/default', body: operation.body }
    case 'modifyGroup':
      return { method: 'PATCH', path: group(operation.id), body: operation.body }
    case 'deleteGroup':
      return { method: 'DELETE', path: group(operation.id) }
    case 'addRules':
      return { method: 'POST', path: `${group(operation.id)}/rules`, body: { permissions: operation.permissions } }
    case 'importRules':
      return {
        method: 'POST',
        path: `${group(operation.id)}/import?mode=${operation.mode}`,
        body: { permissions: operation.permissions },
      }
    case 'copyRules':
      // What is exported goes into the body; see sequences.ts.
      return { method: 'POST', path: `${group(operation.to)}/import?mode=${operation.mode}` }
    case 'modifyRule':
      return {
        method: 'PATCH',
        path: `${group(operation.id)}/rules/${fleet.ruleIdAt(operation.id, operation.rule)}`,
        body: operation.changes,
      }
    case 'deleteRule':
      return { method: 'DELETE', path: `${group(operation.id)}/rules/${fleet.ruleIdAt(operation.id, operation.rule)}` }
    case 'revokeByIds': {
      const securityGroupRuleIds = operation.rules.map(rule => fleet.ruleIdAt(operation.id, rule))
      return { method: 'POST', path: `${group(operation.id)}/rules/revoke`, body: { securityGroupRuleIds } }
    }
    case 'revokeByContent':
      return {
        method: 'POST',
        path: `${group(operation.id)}/rules/revoke`,
        body: { permissions: operation.permissions },
      }
    case 'createPrefixList':
      return { method: 'POST', path: '/v1/prefix-lists', body: operation.body }
    case 'modifyPrefixList':
      return { method: 'PATCH', path: `/v1/prefix-lists/${operation.id}`, body: operation.body }
    case 'deletePrefixList':
      return { method: 'DELETE', path: `/v1/prefix-lists/${operation.id}` }
    case 'createPortList':
      return { method: 'POST', path: '/v1/port-range-lists', body: operation.body }
    case 'modifyPortList':
      return { method: 'PATCH', path: `/v1/port-range-lists/${operation.id}`, body: operation.body }
    case 'deletePortList':
      return { method: 'DELETE', path: `/v1/port-range-lists/${operation.id}` }
    case 'createInstance':
      return { method: 'POST', path: '/v1/instances', body: operation.body }
    case 'modifyInstance':
      return { method: 'PATCH', path: `/v1/instances/${operation.id}`, body: operation.body }
    case 'deleteInstance':
      return { method: 'DELETE', path: `/v1/instances/${operation.id}` }
    case 'setThreshold':
      return { method: 'PUT', path: `/v1/instances/${operation.id}/ddos-threshold`, body: operation.body }
    case 'cancelScrubbing':
      return { method: 'POST', path: `/v1/instances/${operation.id}/scrubbing/cancel` }
    case 'resumeScrubbing':
      return { method: 'POST', path: `/v1/instances/${operation.id}/scrubbing/resume` }
    case 'blackHole':
      return { method: 'POST', path: `/v1/instances/${operation.id}/black-hole`, body: operation.body }
    case 'liftBlackHole':
      return { method: 'POST', path: `/v1/instances/${operation.id}/black-hole/lift` }
    case 'modifyScrubbing':
      return { method: 'PATCH', path: '/v1/settings', body: operation.body }
    case 'modifyLogging':
      return { method: 'PATCH', path: '/v1/settings', body: { logging: operation.logging } }
    case 'createEni':
      return { method: 'POST', path: '/v1/network-interfaces', body: operation.body }
    case 'modifyEni':
      return { method: 'PATCH', path: `/v1/network-interfaces/${operation.id}`, body: operation.body }
    case 'deleteEni':
      return { method: 'DELETE', path: `/v1/network-interfaces/${operation.id}` }
    case 'attachEni':
      return { method: 'POST', path: `/v1/network-interfaces/${operation.id}/attach`, body: operation.body }
    case 'detachEni':
      return { method: 'POST', path: `/v1/network-interfaces/${operation.id}/detach`, body: operation.body }
    case 'join':
    case 'leave':
      return { method: 'POST', path: `${group(operation.id)}/${operation.op}`, body: operation.body }
    case 'modifyLimits':
      return { method: 'PATCH', path: '/v1/settings', body: { limits: operation.limits } }
    default:
      return operation satisfies never
  }
}

export function verdictOn(operation: Operation, fleet: ModelFleet): Verdict {
  const { as } = operation
  const ruleIds = (id: string, rules: readonly number[]) => rules.map(rule => fleet.ruleIdAt(id, rule))
  switch (operation.op) {
    case 'createAccount':
      return fleet.createAccount(as, operation.body)
    case 'deleteAccount':
      return fleet.deleteAccount(as, operation.id)
    case 'createGroup':
      return fleet.createGroup(as, operation.body)
    case 'cloneGroup':
      return fleet.cloneGroup(as, operation.id, operation.body)
    case 'defaultGroup':
      return fleet.defaultGroup(as, operation.body)
    case 'modifyGroup':
      return fleet.modifyGroup(as, operation.id, operation.body)
    case 'deleteGroup':
      return fleet.deleteGroup(as, operation.id)
    case 'addRules':
      return fleet.addRules(as, operation.id, operation.permissions)
    case 'importRules':
      return fleet.importRules(as, operation.id, operation.mode, operation.permissions)
    case 'copyRules':
      return fleet.copyRules(as, operation.id, operation.to, operation.mode)
    case 'modifyRule':
      return fleet.modifyRule(as, operation.id, fleet.ruleIdAt(operation.id, operation.rule), operation.changes)
    case 'deleteRule':
      return fleet.deleteRule(as, operation.id, fleet.ruleIdAt(operation.id, operation.rule))
    case 'revokeByIds':
      return fleet.revokeByIds(as, operation.id, ruleIds(operation.id, operation.rules))
    case 'revokeByContent':
      return fleet.revokeByContent(as, operation.id, operation.permissions)
    case 'createPrefixList':
      return fleet.createPrefixList(as, operation.body)
    case 'modifyPrefixList':
      return fleet.modifyPrefixList(as, operation.id, operation.body)
    case 'deletePrefixList':
      return fleet.deletePrefixList(as, operation.id)
    case 'createPortList':
      return fleet.createPortList(as, operation.body)
    case 'modifyPortList':
      return fleet.modifyPortList(as, operation.id, operation.body)
    case 'deletePortList':
      return fleet.deletePortList(as, operation.id)
    case 'createInstance':
      return fleet.createInstance(as, operation.body)
    case 'modifyInstance':
      return fleet.modifyInstance(as, operation.id, operation.body)
    case 'deleteInstance':
      return fleet.deleteInstance(as, operation.id)
    case 'setThreshold':
      return fleet.setThreshold(as, operation.id, operation.body)
    case 'cancelScrubbing':
      return fleet.cancelScrubbing(as, operation.id, true)
    case 'resumeScrubbing':
      return fleet.cancelScrubbing(as, operation.id, false)
    case 'blackHole':
      return fleet.orderScrubbing(as, operation.id, 'black-hole', operation.body.holdSeconds ?? null)
    case 'liftBlackHole':
      return fleet.orderScrubbing(as, operation.id, 'lift', null)
    case 'modifyScrubbing':
      return fleet.modifyScrubbing(as, operation.body)
    case 'modifyLogging':
      return fleet.modifyLogging(as, operation.logging)
    case 'createEni':
      return fleet.createEni(as, operation.body)
    case 'modifyEni':
      return fleet.modifyEni(as, operation.id, operation.body)
    case 'deleteEni':
      return fleet.deleteEni(as, operation.id)
    case 'attachEni':
      return fleet.attachEni(as, operation.id, operation.body)
    case 'detachEni':
      return fleet.detachEni(as, operation.id, operation.body)
    case 'join':
      return fleet.join(as, operation.id, operation.body)
    case 'leave':
      return fleet.leave(as, operation.id, operation.body)
    case 'modifyLimits':
      return fleet.modifyLimits(as, operation.limits)
    default:
      return operation satisfies never
  }
}

/** On one line, to be read and to be typed into a test. */
export function tellOperation({ op, as, ...rest }: Operation): string {
  return `${as}: ${op} ${JSON.stringify(rest)}`
}

// At random. The first choice is the plainest: that is where shrinking ends.

const who = fc.oneof(
  { weight: 14, arbitrary: fc.constant<Who>('admin') },
  { weight: 5, arbitrary: fc.constant<Who>('writer-a') },
  { weight: 2, arbitrary: fc.constantFrom<Who>('writer-b', 'reader-a', 'reader') },
)
const pick = <T>(...items: readonly T[]) => fc.constantFrom(...items)
const often = <T>(arbitrary: fc.Arbitrary<T>, weight: number) =>
  fc.oneof({ weight: 10, arbitrary: fc.constant(undefined) }, { weight, arbitrary })
const rarely = <T>(arbitrary: fc.Arbitrary<T>) => often(arbitrary, 1)
const sometimes = <T>(arbitrary: fc.Arbitrary<T>) => often(arbitrary, 8)
const mostlyGiven = <T>(arbitrary: fc.Arbitrary<T>) => often(arbitrary, 90)

/** Fields that are undefined are left out, as JSON leaves them out. */
function given<T>(fields: { readonly [K in keyof T]-?: fc.Arbitrary<T[K] | undefined> }): fc.Arbitrary<T> {
  const record = fc.record(fields as Record<string, fc.Arbitrary<unknown>>)
  return record.map(
    object => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T,
  )
}

const accountId = fc.oneof(
  { weight: 12, arbitrary: pick(accountA) },
  { weight: 2, arbitrary: pick(accountB) },
  { weight: 1, arbitrary: pick(accountC) },
)
/** The first ones are there from the beginning, the last ones are not: what asks for one mostly finds one. */
const mostly = <T>(there: readonly T[], absent: readonly T[]) =>
  fc.oneof({ weight: 9, arbitrary: pick(...there) }, { weight: 1, arbitrary: pick(...absent) })
const groupId = mostly([...groupIds.slice(0, 2), ...groupIds.slice(0, 2), ...groupIds.slice(0, 6)], groupIds)
const newGroupId = mostly(groupIds.slice(6), groupIds)
const instanceId = mostly(instanceIds.slice(0, 5), instanceIds)
const newInstanceId = mostly(instanceIds.slice(5), instanceIds)
const eniId = mostly(eniIds.slice(0, 6), eniIds)
const newEniId = mostly(eniIds.slice(6), eniIds)
const prefixListId = mostly(prefixListIds.slice(0, 1), prefixListIds)
const newPrefixListId = mostly(prefixListIds.slice(1), prefixListIds)
const portListId = mostly(portListIds.slice(0, 1), portListIds)
const newPortListId = mostly(portListIds.slice(1), portListIds)
const vpcId = pick('vpc-1')
const inner = pick<'accept' | 'drop'>('accept', 'drop')
const networkType = pick<'vpc' | 'classic'>('vpc', 'classic')
const mode = pick<Mode>('enforce', 'observe')
const groupType = pick<'basic' | 'advanced'>('basic', 'advanced')
const name = pick('web', 'db', 'app-1')

const blocksOf = (family: Family) => [...blocks].filter(([, block]) => block.family === family).map(([text]) => text)
const addressesOf = (family: Family) =>
  [...addresses].filter(([, address]) => address.family === family).map(([text]) => text)

const protocolAndPorts: fc.Arbitrary<Asked> = fc.oneof(
  {
    weight: 2,
    arbitrary: given<Asked>({
      ipProtocol: mostly(['tcp', 'UDP'], ['icmp', 'sctp']),
      portRangeListId: portListId,
      portRange: rarely(pick(...goodPorts)),
    } as never),
  },
  { weight: 6, arbitrary: fc.record({ ipProtocol: pick('tcp', 'TCP', 'udp'), portRange: pick(...goodPorts) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      ipProtocol: pick('tcp'),
      portRange: pick(...goodPorts),
      sourcePortRange: pick('1024/65535', '90/80'),
    }),
  },
  {
    weight: 3,
    arbitrary: given<Asked>({
      ipProtocol: pick('all', 'icmp', 'ICMPv6', 'gre'),
      portRange: sometimes(pick('-1/-1')),
    } as never),
  },
  { weight: 2, arbitrary: fc.record({ service: pick(...portsOfService.keys()) }) },
  {
    weight: 1,
    arbitrary: pick<Asked>(
      ...badPorts.map(portRange => ({ ipProtocol: 'tcp', portRange })),
      { ipProtocol: 'udp', portRange: '-1/-1' },
      { ipProtocol: 'udp' },
      { ipProtocol: 'icmp', portRange: '80/80' },
      { ipProtocol: 'sctp', portRange: '80/80' },
      { service: 'gopher' },
      { service: 'ssh', portRange: '22/22' },
    ),
  },
)

type Side = 'source' | 'dest'
const cidrField = (side: Side, family: Family) =>
  ({ source: { ip: 'sourceCidrIp', ip6: 'ipv6SourceCidrIp' }, dest: { ip: 'destCidrIp', ip6: 'ipv6DestCidrIp' } })[
    side
  ][family]

/** Up to four of them, separated by commas. */
const several = (texts: readonly string[]) =>
  fc.oneof(
    { weight: 4, arbitrary: pick(...texts) },
    { weight: 1, arbitrary: fc.array(pick(...texts), { minLength: 2, maxLength: 4 }).map(all => all.join(',')) },
  )

function objectOn(side: Side): fc.Arbitrary<Asked> {
  const blockOf = (family: Family) => several(blocksOf(family)).map(text => ({ [cidrField(side, family)]: text }))
  return fc.oneof(
    { weight: 6, arbitrary: blockOf('ip') },
    { weight: 2, arbitrary: blockOf('ip6') },
    {
      weight: 4,
      arbitrary: given<Asked>({
        [`${side}GroupId`]: fc.oneof(
          { weight: 4, arbitrary: several(groupIds.slice(0, 2)) },
          { weight: 1, arbitrary: several(groupIds) },
        ),
        [`${side}GroupOwnerAccount`]: rarely(pick(accountA, accountB)),
      } as never),
    },
    {
      weight: 2,
      arbitrary: mostly(['pl-1'], [...prefixListIds, 'pl-1,pl-2']).map(text => ({ [`${side}PrefixListId`]: text })),
    },
    {
      weight: 1,
      arbitrary: pick<Asked>(
        {},
        ...badBlocks.map(text => ({ [cidrField(side, 'ip')]: text })),
        { [cidrField(side, 'ip')]: '::/0' },
        { [cidrField(side, 'ip')]: '0.0.0.0/0', [cidrField(side, 'ip6')]: '::/0' },
      ),
    },
  )
}

/** Values that most permissions leave out, and some have wrong. */
const options = given<Asked>({
  policy: sometimes(pick('accept', 'accept', 'drop')),
  priority: sometimes(mostly([1, 1, 2, 100], [0, 101])),
  nicType: rarely(pick('internet', 'intranet')),
  description: rarely(pick('first', 'second')),
} as never)

const narrowingOn = (side: Side) =>
  rarely(pick<Asked>({ [cidrField(side, 'ip')]: '198.18.0.9/24' }, { [cidrField(side, 'ip6')]: '2001:DB8::1/32' }))

const permission: fc.Arbitrary<Asked> = pick('ingress', 'ingress', 'egress').chain(direction => {
  const [object, narrowing] = direction === 'ingress' ? (['source', 'dest'] as const) : (['dest', 'source'] as const)
  return fc
    .tuple(protocolAndPorts, objectOn(object), narrowingOn(narrowing), options)
    .map(parts => Object.assign({ direction }, ...parts.filter(part => part !== undefined)))
})
const permissions = fc.oneof(
  { weight: 3, arbitrary: permission.map(one => [one]) },
  { weight: 1, arbitrary: fc.array(permission, { minLength: 2, maxLength: 3 }) },
)

/** Fields that do not change what kind of object the rule has, but one. */
const ruleChanges: fc.Arbitrary<Asked> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ priority: pick(1, 2, 100, 101) }) },
  { weight: 2, arbitrary: fc.record({ description: pick('first', 'second', null) }) },
  { weight: 2, arbitrary: fc.record({ portRangeListId: fc.option(portListId) }) },
  { weight: 1, arbitrary: fc.record({ portRange: pick(...goodPorts), portRangeListId: fc.option(portListId) }) },
  { weight: 2, arbitrary: fc.record({ portRange: pick(...goodPorts, ...badPorts) }) },
  { weight: 2, arbitrary: fc.record({ ipProtocol: pick('tcp', 'udp', 'icmp', 'all') }) },
  {
    weight: 1,
    arbitrary: pick<Asked>(
      { ipProtocol: 'icmp', portRange: null },
      { ipProtocol: 'icmp', portRange: '-1/-1' },
      { ipProtocol: 'tcp', portRange: '80/80' },
    ),
  },
  { weight: 1, arbitrary: fc.record({ policy: pick('accept', 'drop') }) },
  {
    weight: 2,
    arbitrary: fc.record({ sourceCidrIp: pick(...blocksOf('ip'), badBlocks[0], null, '10.1.2.3/8,203.0.113.7') }),
  },
  { weight: 1, arbitrary: fc.record({ sourceCidrIp: pick(null), ipv6SourceCidrIp: pick('::/0') }) },
  { weight: 1, arbitrary: fc.record({ sourceGroupId: groupId }) },
  { weight: 1, arbitrary: fc.record({ direction: pick('egress') }) },
  { weight: 1, arbitrary: pick({}) },
)

const entry = (family: Family) =>
  fc.oneof(
    { weight: 12, arbitrary: pick(...blocksOf(family)).map(cidr => ({ cidr })) },
    { weight: 1, arbitrary: pick('everything', ...blocksOf(family === 'ip' ? 'ip6' : 'ip')).map(cidr => ({ cidr })) },
  )
const entries = (family: Family) => fc.array(entry(family), { maxLength: 3 })

const rangeEntries = fc
  .array(mostly([...ranges.keys()], ['90/80', '0/1', '80/80']), { maxLength: 3 })
  .map(texts => texts.map(portRange => ({ portRange })))
const createPortList = given<CreatePortList>({
  accountId: sometimes(accountId),
  portRangeListId: newPortListId,
  portRangeListName: name,
  maxEntries: mostlyGiven(fc.integer({ min: 1, max: 3 })),
  entries: sometimes(rangeEntries),
} as never)
const modifyPortList = given<ModifyPortList>({
  maxEntries: rarely(fc.integer({ min: 1, max: 7 })),
  addEntries: sometimes(rangeEntries),
  removeEntries: sometimes(rangeEntries),
} as never)
const createPrefixList: fc.Arbitrary<CreatePrefixList> = pick('IPv4' as const, 'IPv4' as const, 'IPv6' as const).chain(
  addressFamily =>
    given<CreatePrefixList>({
      accountId,
      prefixListId: newPrefixListId,
      prefixListName: name,
      addressFamily: fc.constant(addressFamily),
      maxEntries: mostlyGiven(fc.integer({ min: 1, max: 3 })),
      entries: sometimes(entries(addressFamily === 'IPv4' ? 'ip' : 'ip6')),
    } as never),
)

const modifyPrefixList = pick<Family>('ip', 'ip', 'ip6').chain(family =>
  given<ModifyPrefixList>({
    maxEntries: rarely(fc.integer({ min: 1, max: 7 })),
    addEntries: sometimes(entries(family)),
    removeEntries: sometimes(entries(family)),
  }),
)

const eniFields = {
  mode: rarely(mode),
  placement: rarely(pick<'host' | 'guest'>('host', 'guest')),
  nicType: rarely(pick<'internet' | 'intranet'>('internet', 'intranet')),
  ipv6Addresses: rarely(fc.array(pick(...addressesOf('ip6'), '198.18.0.1'), { maxLength: 2 })),
} as const
const privateIpAddresses = fc.oneof(
  { weight: 8, arbitrary: fc.array(pick(...addressesOf('ip')), { maxLength: 2 }) },
  { weight: 1, arbitrary: pick(addressesOf('ip'), ['2001:db8::1'], ['198.18.0.1/32']) },
)
const someGroups = fc.oneof(
  { weight: 6, arbitrary: pick(['sg-1'], ['sg-2'], ['sg-1', 'sg-2'], ['sg-3'], ['sg-4'], ['sg-5'], ['sg-6']) },
  { weight: 2, arbitrary: fc.array(groupId, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: pick<string[]>([]) },
)
const device = pick('eth0', 'eth1', 'tap0')

const membership: fc.Arbitrary<Membership> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ networkInterfaceIds: fc.array(eniId, { minLength: 1, maxLength: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ instanceIds: fc.array(instanceId, { minLength: 1, maxLength: 2 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      instanceIds: fc.array(instanceId, { maxLength: 1 }),
      networkInterfaceIds: fc.array(eniId, { maxLength: 2 }),
    }),
  },
)

const kinds: readonly (readonly [weight: number, arbitrary: fc.Arbitrary<object>])[] = [
  [1, fc.record({ op: pick('createAccount'), body: fc.record({ accountId: pick(accountC, accountB), name }) })],
  [1, fc.record({ op: pick('deleteAccount'), id: pick(accountC, accountB) })],
  [
    5,
    fc.record({
      op: pick('createGroup'),
      body: given<CreateGroup>({
        accountId: mostlyGiven(accountId),
        securityGroupId: newGroupId,
        securityGroupName: rarely(name),
        securityGroupType: rarely(groupType),
        networkType: rarely(networkType),
        vpcId: rarely(vpcId),
        innerAccessPolicy: sometimes(inner),
        mode: rarely(mode),
        permissions: sometimes(permissions),
      } as never),
    }),
  ],
  [
    3,
    fc.record({
      op: pick('cloneGroup'),
      id: groupId,
      body: given<CloneGroup>({
        securityGroupId: newGroupId,
        accountId: rarely(accountId),
        securityGroupName: rarely(name),
        securityGroupType: rarely(groupType),
        networkType: rarely(networkType),
        vpcId: rarely(pick('vpc-1', null)),
      } as never),
    }),
  ],
  [
    1,
    fc.record({
      op: pick('defaultGroup'),
      body: given({
        accountId: mostlyGiven(accountId),
        networkType: rarely(networkType),
        webPorts: sometimes(fc.boolean()),
      } as never),
    }),
  ],
  [
    2,
    fc.record({
      op: pick('modifyGroup'),
      id: groupId,
      body: given<ModifyGroup>({
        securityGroupName: rarely(pick('web', null)),
        description: rarely(pick('of the web', null)),
        innerAccessPolicy: sometimes(inner),
        mode: sometimes(mode),
      } as never),
    }),
  ],
  [2, fc.record({ op: pick('deleteGroup'), id: groupId })],
  [8, fc.record({ op: pick('addRules'), id: groupId, permissions })],
  [2, fc.record({ op: pick('importRules'), id: groupId, mode: pick('append', 'replace'), permissions })],
  [
    2,
    fc.record({
      op: pick('copyRules'),
      id: groupId,
      to: groupId,
      mode: pick('append', 'replace'),
      format: pick('json', 'csv'),
    }),
  ],
  [4, fc.record({ op: pick('modifyRule'), id: groupId, rule: fc.nat(5), changes: ruleChanges })],
  [1, fc.record({ op: pick('deleteRule'), id: groupId, rule: fc.nat(5) })],
  [1, fc.record({ op: pick('revokeByIds'), id: groupId, rules: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }) })],
  [1, fc.record({ op: pick('revokeByContent'), id: groupId, permissions })],
  [2, fc.record({ op: pick('createPortList'), body: createPortList })],
  [3, fc.record({ op: pick('modifyPortList'), id: portListId, body: modifyPortList })],
  [1, fc.record({ op: pick('deletePortList'), id: portListId })],
  [2, fc.record({ op: pick('createPrefixList'), body: createPrefixList })],
  [3, fc.record({ op: pick('modifyPrefixList'), id: prefixListId, body: modifyPrefixList })],
  [1, fc.record({ op: pick('deletePrefixList'), id: prefixListId })],
  [
    2,
    fc.record({
      op: pick('createInstance'),
      body: given<CreateInstance>({
        accountId: mostlyGiven(accountId),
        instanceId: newInstanceId,
        instanceName: rarely(name),
        instanceType: sometimes(pick(...instanceTypes)),
        agentId: sometimes(pick(...agentIds, null, 'agent-none')),
      } as never),
    }),
  ],
  [
    2,
    fc.record({
      op: pick('modifyInstance'),
      id: instanceId,
      body: given<ModifyInstance>({
        instanceName: rarely(pick('web', null)),
        instanceType: rarely(pick(...instanceTypes)),
        agentId: sometimes(pick(...agentIds, null)),
        smtpUnblocked: rarely(fc.boolean()),
      } as never),
    }),
  ],
  [1, fc.record({ op: pick('deleteInstance'), id: instanceId })],
  [
    3,
    fc.record({
      op: pick('setThreshold'),
      id: instanceId,
      body: fc.oneof(
        { weight: 4, arbitrary: fc.record({ bps: pick(100, 500, 501, 1001), pps: pick(70_000, 100_001, 300_001) }) },
        { weight: 1, arbitrary: pick<SetThreshold>({ source: 'type' }, { source: 'auto' }, { bps: 100 }) },
        {
          weight: 1,
          arbitrary: pick<SetThreshold>({ source: 'type', bps: 100 }, { source: 'manual', bps: 1, pps: 1 }),
        },
      ),
    }),
  ],
  [2, fc.record({ op: pick('cancelScrubbing', 'resumeScrubbing', 'liftBlackHole'), id: instanceId })],
  [
    1,
    fc.record({
      op: pick('blackHole'),
      id: instanceId,
      body: given({ holdSeconds: sometimes(pick(60, 600)) } as never),
    }),
  ],
  [
    1,
    fc.record({
      op: pick('modifyScrubbing'),
      body: given<ModifyScrubbing>({
        trafficScope: sometimes(pick('internet', 'all')),
        scrubbing: sometimes(
          given({
            holdTime: sometimes(pick(30, 60)),
            blackHoleHoldTime: rarely(pick(600, 1800)),
            mostBlackHoleHoldTime: rarely(pick(1200, 86_400)),
            allowList: sometimes(
              fc.array(pick('203.0.113.7', '10.1.2.3/8', '198.18.0.9/24', '2001:DB8::1/32', 'everybody'), {
                maxLength: 3,
              }),
            ),
          } as never),
        ),
      } as never),
    }),
  ],
  [
    1,
    fc.record({
      op: pick('modifyLogging'),
      logging: given<Partial<ModelLogging>>({
        drops: rarely(fc.boolean()),
        sessions: sometimes(fc.boolean()),
        perSecond: sometimes(pick(100, 1, 10_000, 0, 10_001)),
        nflogGroup: rarely(pick(21_079, 1, 65_535, 0, 65_536)),
      } as never),
    }),
  ],
  [
    6,
    fc.record({
      op: pick('createEni'),
      body: given<CreateEni>({
        networkInterfaceId: newEniId,
        instanceId: often(instanceId, 25),
        accountId: rarely(accountId),
        networkType: rarely(networkType),
        vpcId: rarely(vpcId),
        device: sometimes(device),
        privateIpAddresses,
        securityGroupIds: mostlyGiven(someGroups),
        ...eniFields,
      } as never),
    }),
  ],
  [
    5,
    fc.record({
      op: pick('modifyEni'),
      id: eniId,
      body: given<ModifyEni>({
        device: rarely(fc.option(device)),
        privateIpAddresses: sometimes(privateIpAddresses),
        securityGroupIds: sometimes(someGroups),
        ...eniFields,
      } as never),
    }),
  ],
  [1, fc.record({ op: pick('deleteEni'), id: eniId })],
  [
    4,
    fc.record({
      op: pick('attachEni'),
      id: fc.oneof({ weight: 1, arbitrary: eniId }, { weight: 1, arbitrary: newEniId }),
      body: given<AttachEni>({ instanceId, device: sometimes(device) } as never),
    }),
  ],
  [3, fc.record({ op: pick('detachEni'), id: eniId, body: given<DetachEni>({ instanceId: rarely(instanceId) }) })],
  [4, fc.record({ op: pick('join'), id: groupId, body: membership })],
  [3, fc.record({ op: pick('leave'), id: groupId, body: membership })],
  [
    1,
    fc.record({
      op: pick('modifyLimits'),
      limits: given<Partial<ModelLimits>>({
        rulesPerGroup: rarely(fc.integer({ min: 5, max: 8 })),
        groupsPerEni: rarely(fc.integer({ min: 1, max: 3 })),
        basicGroupPrivateIps: rarely(fc.integer({ min: 2, max: 5 })),
        advancedGroupEnis: rarely(fc.integer({ min: 1, max: 3 })),
        authorizationObjectsPerRequest: rarely(fc.integer({ min: 2, max: 4 })),
      } as never),
    }),
  ],
]

export const arbitraryOperation: fc.Arbitrary<Operation> = fc
  .tuple(who, fc.oneof(...kinds.map(([weight, arbitrary]) => ({ weight, arbitrary }))))
  .map(([as, rest]) => ({ as, ...rest }) as Operation)
