/** Policy IR written by hand, for tests of what reads it. */
import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import { allPorts, type PortRange } from '../../rules-compiler/address/port-range.ts'
import { defaultLogging } from '../../rules-compiler/model/policy.ts'
import type { EniIr, GroupMembers, PolicyIr, RuleIr } from '../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import type { ScrubInstance, ScrubIr } from '../../rules-compiler/scrub/ir.ts'

export interface RuleSketch extends Partial<Omit<RuleIr, 'peer' | 'ports' | 'sourcePorts' | 'local'>> {
  /** One block, several with commas between as of a prefix list, or the id of a group. */
  readonly peer?: string
  readonly ports?: PortRange | number
  readonly sourcePorts?: PortRange | number
  readonly local?: string
}

/** Accepts everything from anywhere in IPv4 unless the sketch says otherwise. */
export function makeRule({ peer = '0.0.0.0/0', ports, sourcePorts, local, ...sketch }: RuleSketch): RuleIr {
  const cidrs = peer
    .split(',')
    .map(parseCidr)
    .filter(cidr => cidr !== null)
  const prefixListId = cidrs.length > 1 ? 'pl-1' : null
  return {
    id: 'sgr-1',
    groupId: 'sg-1',
    direction: 'ingress',
    verdict: 'accept',
    priority: 1,
    protocol: 'all',
    ...sketch,
    ports: rangeOf(ports),
    sourcePorts: rangeOf(sourcePorts),
    peer: cidrs.length === 0 ? { kind: 'group', groupId: peer } : { kind: 'cidrs', cidrs, prefixListId },
    local: local === undefined ? null : parseCidr(local),
  }
}

function rangeOf(ports: PortRange | number | undefined): PortRange {
  return typeof ports === 'number' ? { first: ports, last: ports } : (ports ?? allPorts)
}

/** In deciding order, as the IR promises: priority, drop before accept, id. */
export function sortRules(rules: readonly RuleIr[]): readonly RuleIr[] {
  const key = ({ priority, verdict, id }: RuleIr) =>
    `${String(priority).padStart(3, '0')} ${verdict === 'drop' ? 0 : 1} ${id}`
  return rules.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** One ENI, `eni-1` on a host, with one basic group; rules go to their direction. */
export function makeEni(rules: readonly RuleIr[], facts: Partial<EniIr> = {}): EniIr {
  const sorted = sortRules(rules)
  return {
    id: 'eni-1',
    instanceId: 'i-1',
    device: 'eth0',
    placement: 'host',
    addresses: ['198.18.0.2', '2001:db8::2'],
    securityGroupIds: ['sg-1'],
    isObserved: false,
    smtpBlocked: true,
    innerGroupIds: [],
    controlConnections: [],
    rescue: [],
    ingress: { rules: sorted.filter(rule => rule.direction === 'ingress'), defaultVerdict: 'drop' },
    egress: { rules: sorted.filter(rule => rule.direction === 'egress'), defaultVerdict: 'accept' },
    ...facts,
  }
}

export function makeIr(eni: EniIr, groups: Readonly<Record<string, GroupMembers>> = {}): PolicyIr {
  return {
    enis: [eni],
    unattachedEnis: [{ id: 'eni-bare', device: 'eth9' }],
    groups: new Map(Object.entries(groups)),
    sessionTimeoutSeconds: 910,
    revocation: 'immediate',
    ctMarkMask: 0xffffff00,
    logging: defaultLogging,
    scrub: makeScrubIr([{ id: eni.instanceId, enis: [{ id: eni.id, device: eni.device, placement: eni.placement }] }]),
  }
}

/** Instances `i-1` of an unknown type, without thresholds, unless a sketch says otherwise; all settings are defaults. */
export function makeScrubIr(instances: readonly Partial<ScrubInstance>[] = [], facts: Partial<ScrubIr> = {}): ScrubIr {
  return {
    instances: instances.map(sketch => ({
      id: 'i-1',
      instanceType: null,
      enis: [{ id: 'eni-1', device: 'eth0', placement: 'host' }],
      addresses: [],
      maximum: null,
      thresholds: null,
      scrubbing: 'on',
      order: null,
      ...sketch,
    })),
    trafficScope: 'internet',
    allowList: [],
    controlConnections: [],
    secondsOver: 1,
    holdSeconds: 60,
    blackHoleMbit: 5000,
    blackHoleHoldSeconds: 1800,
    mostBlackHoleHoldSeconds: 86_400,
    ...facts,
  }
}

/** TCP 22 from 203.0.113.9 to 198.18.0.2, coming in at `eni-1`. */
export function makePacket(facts: Partial<Packet> = {}): Packet {
  return {
    eniId: 'eni-1',
    direction: 'ingress',
    protocol: 6,
    source: '203.0.113.9',
    destination: '198.18.0.2',
    sourcePort: 40_000,
    destinationPort: 22,
    ...facts,
  }
}
