/** Documents of the daemon's state, with everything filled in that a test does not speak of. */
import type {
  AgentDoc,
  EniDoc,
  GroupDoc,
  InstanceDoc,
  PortRangeListDoc,
  PrefixListDoc,
  RuleDoc,
} from '../../daemon/model/documents.ts'
import { keyOf } from '../../daemon/model/documents.ts'
import { impactOf } from '../../daemon/push/impact.ts'
import { World } from '../../daemon/state/world.ts'
import type { Change, Write } from '../../daemon/store/store.ts'
import type { HostReport } from '../../wire/messages.ts'

export const account = '1234567890123456'
const described = { description: null, tags: {}, createdAtMs: 1 }

export function makeGroup(doc: Partial<GroupDoc> & { readonly id: string }): GroupDoc {
  return {
    accountId: account,
    name: null,
    type: 'basic',
    networkType: 'vpc',
    vpcId: null,
    innerAccessPolicy: 'drop',
    isDefault: false,
    rules: [],
    ...described,
    ...doc,
  }
}

export function makeRuleDoc(rule: Partial<RuleDoc> & { readonly id: string }): RuleDoc {
  return {
    direction: 'ingress',
    policy: 'accept',
    priority: 1,
    ipProtocol: 'tcp',
    portRange: '443/443',
    nicType: 'intranet',
    createdAtMs: 1,
    ...rule,
  }
}

export function makeInstance(doc: Partial<InstanceDoc> & { readonly id: string }): InstanceDoc {
  return {
    accountId: account,
    name: null,
    instanceType: null,
    agentId: null,
    smtpUnblocked: false,
    ...described,
    ...doc,
  }
}

export function makeEniDoc(doc: Partial<EniDoc> & Pick<EniDoc, 'id' | 'instanceId'>): EniDoc {
  return {
    accountId: account,
    type: 'Primary',
    networkType: 'vpc',
    vpcId: null,
    macAddress: null,
    device: 'eth0',
    placement: 'host',
    addresses: [],
    securityGroupIds: [],
    nicType: 'intranet',
    ...described,
    ...doc,
  }
}

export function makePrefixList(id: string, cidrs: readonly string[]): PrefixListDoc {
  const entries = cidrs.map(cidr => ({ cidr, description: null }))
  return { id, accountId: account, name: null, addressFamily: 'IPv4', maxEntries: 100, entries, ...described }
}

export function makePortRangeList(id: string, ranges: readonly string[]): PortRangeListDoc {
  const entries = ranges.map(portRange => ({ portRange, description: null }))
  return { id, accountId: account, name: null, maxEntries: 20, entries, ...described }
}

export function makeAgent(doc: Partial<AgentDoc> & { readonly id: string }): AgentDoc {
  return {
    hostName: doc.id,
    status: 'active',
    certificates: [],
    report: null,
    createdAtMs: 1,
    revokedAtMs: null,
    ...doc,
  }
}

export const hostReport: HostReport = {
  hostName: 'host-1',
  kernel: '6.12.0',
  agentVersion: '0.1.0',
  nftVersion: '1.0.6',
  capabilities: { ctTimeout: 'json', observe: 'counters' },
  devices: [{ name: 'eth0', macAddress: '02:00:00:00:00:01', kind: null, up: true, addresses: ['198.18.0.2'] }],
}

/** A write of a document that has its id. */
export function put<D extends { readonly id: string }>(
  kind: 'group' | 'instance' | 'eni' | 'prefixList' | 'portRangeList' | 'agent' | 'enrolment' | 'account',
  doc: D,
): Write {
  return { key: keyOf(kind, doc.id), value: doc }
}

/** The changes that writes make to a world. */
export function changesIn(world: World, writes: readonly Write[]): Change[] {
  return writes.map(({ key, value }) => {
    const [kind, id] = key.split('/') as ['group', string]
    return { key, value, before: world.get(kind, id) ?? null }
  })
}

export function worldOf(...writes: readonly Write[]): World {
  return new World({ revision: 1, entries: writes.map(({ key, value }) => ({ key, value, revision: 1 })) })
}

/** Sorted, for comparing. */
export function impactOn(world: World, writes: readonly Write[]) {
  const { viewKeys, agentIds } = impactOf(world, changesIn(world, writes))
  return { viewKeys: [...viewKeys].sort(), agentIds: [...agentIds].sort() }
}
