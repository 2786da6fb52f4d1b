/** The fleet that is measured: what each agent's view holds is the same whatever the number of agents. */
import { type Kind, keyOf, type RuleDoc } from '../../daemon/model/documents.ts'
import type { Write } from '../../daemon/store/store.ts'
import type { HostReport } from '../../wire/messages.ts'

export const account = '1234567890123456'
/** Every group of the fleet names this one, so that all agents see who is in it. */
const sharedGroup = 'sg-shared'
export const enisPerAgent = 5
export const sharedMembers = 1000
export const rulesPerGroup = 50
/** Agents whose ENIs are in one group. */
const agentsPerGroup = 50

const described = { description: null, tags: {}, createdAtMs: 1 }
const inVpc = { networkType: 'vpc', vpcId: null } as const

export function agentIdOf(index: number): string {
  return `agent-${index}`
}

/** What the agent said when it enrolled, and says again. */
export function reportOf(agentId: string): HostReport {
  const device = { name: 'eth0', macAddress: '02:00:00:00:00:01', kind: null, up: true, addresses: ['198.18.0.2'] }
  const versions = { kernel: '6.12.0', agentVersion: '0.1.0', nftVersion: '1.0.6' }
  return { hostName: agentId, ...versions, capabilities: { ctTimeout: 'json' }, devices: [device] }
}

/** All that stands before the first agent connects, without the agents' own documents. */
export function* fleetWrites(agents: number): Generator<Write> {
  yield write('account', { id: account, name: 'bench', description: null, createdAtMs: 1 })
  yield group(sharedGroup, [])
  yield instance('i-shared', null)
  for (let member = 0; member < sharedMembers; member += 1) yield sharedMember(member)
  for (let index = 0; index * agentsPerGroup < agents; index += 1) {
    const rules = Array.from({ length: rulesPerGroup }, (_, number) => rule(number))
    yield group(`sg-${index}`, rules)
  }
  for (let index = 0; index < agents; index += 1) {
    yield instance(`i-${index}`, agentIdOf(index))
    for (let number = 0; number < enisPerAgent; number += 1) {
      const groups = [`sg-${Math.floor(index / agentsPerGroup)}`]
      yield eni(`eni-${index}-${number}`, `i-${index}`, address(10, index * enisPerAgent + number), groups)
    }
  }
}

/** An ENI of a host that has no agent. @param member  from 0; those below `sharedMembers` are there from the start */
export function sharedMember(member: number): Write {
  return eni(`eni-shared-${member}`, 'i-shared', address(11, member), [sharedGroup])
}

function group(id: string, rules: readonly RuleDoc[]): Write {
  const doc = { type: 'basic', innerAccessPolicy: 'drop', name: null, isDefault: false, ...inVpc, ...described }
  return write('group', { id, accountId: account, rules, ...doc })
}

/** One names the shared group, the others a port and a block each. */
function rule(number: number): RuleDoc {
  const peer = number === 0 ? { sourceGroupId: sharedGroup } : { sourceCidrIp: `198.18.${number}.0/24` }
  const portRange = `${1000 + number}/${1000 + number}`
  const fields = {
    direction: 'ingress',
    policy: 'accept',
    priority: 1,
    ipProtocol: 'tcp',
    nicType: 'intranet',
  } as const
  return { id: `sgr-${number}`, ...fields, portRange, ...peer, createdAtMs: 1 }
}

function instance(id: string, agentId: string | null): Write {
  const doc = { accountId: account, name: null, instanceType: null, agentId, smtpUnblocked: false, ...described }
  return write('instance', { id, ...doc })
}

function eni(id: string, instanceId: string, ip: string, securityGroupIds: readonly string[]): Write {
  const where = { instanceId, macAddress: null, device: 'eth0', placement: 'host', addresses: [ip], ...inVpc }
  return write('eni', {
    id,
    accountId: account,
    type: 'Primary',
    ...where,
    securityGroupIds,
    nicType: 'intranet',
    ...described,
  })
}

/** Nothing is ever sent there: addresses are text here. */
function address(net: number, host: number): string {
  return `${net}.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`
}

function write(kind: Kind, doc: { readonly id: string; readonly [field: string]: unknown }): Write {
  return { key: keyOf(kind, doc.id), value: doc }
}
