import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { analyze } from '../../../rules-compiler/analyze/analyze.ts'
import type { Finding } from '../../../rules-compiler/analyze/finding.ts'
import { defaultInstance, type Policy } from '../../../rules-compiler/model/policy.ts'
import { evaluate, peerAddress } from '../../../rules-compiler/policy/evaluate.ts'
import type { Packet } from '../../../rules-compiler/policy/packet.ts'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { packetText } from '../../../rules-compiler/policy/rule-text.ts'
import { loadCases } from '../../support/cases.ts'
import { readValidPolicy } from '../../support/policies.ts'
import { makeRandom } from '../../support/random.ts'
import { makePackets } from '../../support/random-packets.ts'
import { makePolicyDocument } from '../../support/random-policy.ts'

/** What a finding claims, proved by its witness with `evaluate`. */
function prove(policy: Policy, finding: Finding): void {
  if (finding.witness === null) return
  const place = finding.witness.eniId === '' ? attach(policy, finding.groupId) : policy
  const packet = { ...finding.witness, eniId: finding.witness.eniId || 'eni-imaginary' }
  const ruleId = finding.ruleIds[0]!
  const isIt = ({ id, groupId }: { id: string; groupId: string }) => id === ruleId && groupId === finding.groupId
  const { verdict, reason, matching } = evaluate(resolvePolicy(place), packet)
  const told = `${finding.kind} ${finding.groupId} ${ruleId}: ${packetText(packet)}`
  assert.ok(matching.some(isIt), `${told}: the rule matches`)
  switch (finding.kind) {
    case 'shadowed':
      assert.ok(reason.kind !== 'rule' || !isIt(reason.rule), `${told}: another decides`)
      return
    case 'redundant':
      assert.equal(evaluate(resolvePolicy(withoutRule(place, finding.groupId, ruleId)), packet).verdict, verdict, told)
      return
    default:
      if (isMember(policy, packet)) return
      assert.equal(verdict, 'accept', told)
  }
}

function attach(policy: Policy, groupId: string): Policy {
  const eni = {
    id: 'eni-imaginary',
    instanceId: 'i-imaginary',
    device: 'eth0',
    placement: 'host',
    addresses: [],
    securityGroupIds: [groupId],
    nicType: 'internet',
    mode: 'enforce',
  } as const
  const instance = { ...defaultInstance, id: 'i-imaginary', smtpUnblocked: true }
  return { ...policy, instances: [...policy.instances, instance], interfaces: [eni] }
}

function withoutRule(policy: Policy, groupId: string, ruleId: string): Policy {
  return {
    ...policy,
    securityGroups: policy.securityGroups.map(group =>
      group.id === groupId ? { ...group, rules: group.rules.filter(({ id }) => id !== ruleId) } : group,
    ),
  }
}

function isMember(policy: Policy, packet: Packet): boolean {
  return policy.securityGroups.some(({ members }) => members.includes(peerAddress(packet)))
}

/** `high shadowed sg-1 sgr-a by sg-1 sgr-b at eni-1`: what stands in a finding but for its message and witness. */
function findingText({ severity, kind, groupId, ruleIds, coveredBy, eniIds }: Finding): string {
  const by = coveredBy.length === 0 ? [] : ['by', ...coveredBy.map(cover => `${cover.groupId}/${cover.ruleId}`)]
  const at = eniIds.length === 0 ? [] : ['at', ...eniIds]
  return [severity, kind, groupId, ...ruleIds, ...by, ...at].join(' ')
}

const head = 'apiVersion: ringwall/v1\n'
const oneEni = `${head}interfaces: [{ id: eni-1, device: eth0, addresses: [198.18.0.2, "2001:db8::2"], securityGroupIds: [sg-1] }]\n`
const oneGroup = (...rules: readonly string[]) =>
  `${oneEni}securityGroups:\n  - id: sg-1\n    rules:\n${rules.map(rule => `      - { ${rule} }\n`).join('')}`
const accept = 'direction: ingress, policy: accept'
const drop = 'direction: ingress, policy: drop'

interface Row {
  readonly name: string
  readonly text: string
  readonly expected: readonly string[]
}

const rows: readonly Row[] = [
  {
    name: 'nothing to say',
    text: oneGroup(`id: a, ${accept}, ipProtocol: tcp, portRange: 443/443, sourceCidrIp: 0.0.0.0/0`),
    expected: [],
  },
  {
    name: 'an accept behind a drop of equal priority',
    text: oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.0/24`,
      `id: b, ${drop}, ipProtocol: all, sourceCidrIp: 203.0.113.0/24`,
    ),
    // Without b, a would come to life: b is not redundant.
    expected: ['medium shadowed sg-1 a by sg-1/b'],
  },
  {
    name: 'a drop behind stronger accepts that cover it only together',
    text: oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.0/25`,
      `id: b, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.128/25`,
      `id: c, ${drop}, priority: 2, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.0/24`,
    ),
    expected: ['high shadowed sg-1 c by sg-1/a sg-1/b'],
  },
  {
    name: 'the same accepts leave a gap',
    text: oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.0/25`,
      `id: b, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.192/26`,
      `id: c, ${drop}, priority: 2, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.0/24`,
    ),
    expected: ['low redundant sg-1 c'],
  },
  {
    name: 'a narrow accept beside a wider, weaker one',
    text: oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.9`,
      `id: b, ${accept}, priority: 9, ipProtocol: tcp, portRange: 80/81, sourceCidrIp: 203.0.113.0/24`,
    ),
    expected: ['low redundant sg-1 a by sg-1/b'],
  },
  {
    name: 'a drop between keeps the narrow accept',
    text: oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.9`,
      `id: b, ${accept}, priority: 9, ipProtocol: tcp, portRange: 80/81, sourceCidrIp: 203.0.113.0/24`,
      `id: c, ${drop}, priority: 5, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.0/28`,
    ),
    expected: [],
  },
  {
    name: 'icmp with an IPv6 block',
    text:
      oneGroup(`id: a, ${accept}, ipProtocol: icmpv6, sourcePrefixListId: pl-1`) +
      'prefixLists: [{ id: pl-1, entries: [203.0.113.0/24] }]\n',
    expected: ['medium never-matches sg-1 a'],
  },
  {
    name: 'a group without member, and one without a member of the family',
    text: `${oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceGroupId: sg-empty`,
      `id: b, ${accept}, ipProtocol: icmpv6, sourceGroupId: sg-v4`,
    )}  - { id: sg-empty }\n  - { id: sg-v4, members: [198.18.0.9] }\n`,
    expected: ['low never-matches sg-1 a', 'low never-matches sg-1 b', 'low empty-group sg-empty'],
  },
  {
    name: 'a block covers a group only if it is the whole family, in both families',
    text: `${oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 0.0.0.0/0`,
      `id: b, ${drop}, priority: 2, ipProtocol: tcp, portRange: 80/80, sourceGroupId: sg-v4`,
      `id: c, ${accept}, ipProtocol: tcp, portRange: 81/81, ipv6SourceCidrIp: "::/0"`,
      `id: d, ${accept}, ipProtocol: tcp, portRange: 81/81, sourceCidrIp: 0.0.0.0/0`,
      `id: e, ${drop}, priority: 2, ipProtocol: tcp, portRange: 81/81, sourceGroupId: sg-v4`,
    )}  - { id: sg-v4, members: [198.18.0.9] }\n`,
    expected: ['high shadowed sg-1 e by sg-1/c sg-1/d', 'low redundant sg-1 b'],
  },
  {
    name: 'inner access stands before rules about the own group',
    text: oneGroup(`id: a, ${drop}, ipProtocol: all, sourceGroupId: sg-1`),
    expected: ['high shadowed sg-1 a'],
  },
  {
    name: 'open to the world, but not where a drop stands before it',
    text: oneGroup(
      `id: a, ${accept}, ipProtocol: tcp, portRange: 20/25, sourceCidrIp: 0.0.0.0/0`,
      `id: b, ${accept}, priority: 2, ipProtocol: tcp, portRange: 3306/3306, sourceCidrIp: 0.0.0.0/0`,
      `id: c, ${drop}, ipProtocol: tcp, portRange: 3306/3306, sourceCidrIp: 0.0.0.0/1`,
      `id: d, ${drop}, ipProtocol: tcp, portRange: 3306/3306, sourceCidrIp: 128.0.0.0/2`,
      `id: e, ${drop}, ipProtocol: tcp, portRange: 3306/3306, sourceCidrIp: 192.0.0.0/9`,
    ),
    expected: ['high open-to-world sg-1 a', 'high open-to-world sg-1 b'],
  },
  {
    name: 'open only to private ranges',
    text: oneGroup(
      `id: b, ${accept}, priority: 2, ipProtocol: tcp, portRange: 3306/3306, sourceCidrIp: 0.0.0.0/0`,
      ...[
        '0.0.0.0/5',
        '8.0.0.0/7',
        '11.0.0.0/8',
        '12.0.0.0/6',
        '16.0.0.0/4',
        '32.0.0.0/3',
        '64.0.0.0/2',
        '128.0.0.0/1',
      ].map((block, index) => `id: c${index}, ${drop}, ipProtocol: all, sourceCidrIp: ${block}`),
    ),
    expected: [],
  },
  {
    name: 'everything from anywhere',
    text: oneGroup(`id: a, ${accept}, ipProtocol: all, ipv6SourceCidrIp: "::/0"`),
    expected: ['high all-from-anywhere sg-1 a'],
  },
  {
    name: 'the world in two halves',
    text:
      oneGroup(`id: a, ${accept}, ipProtocol: tcp, portRange: 22/22, sourcePrefixListId: pl-1`) +
      'prefixLists: [{ id: pl-1, entries: [0.0.0.0/1, 128.0.0.0/1] }]\n',
    expected: ['high open-to-world sg-1 a'],
  },
  {
    name: 'wide ranges',
    text: oneGroup(
      `id: a, ${accept}, ipProtocol: udp, portRange: 30000/40000, sourceCidrIp: 0.0.0.0/0`,
      `id: b, ${accept}, ipProtocol: tcp, portRange: 1/65535, sourceCidrIp: 203.0.113.0/24`,
      `id: c, ${accept}, ipProtocol: tcp, portRange: 2001/3000, sourceCidrIp: 0.0.0.0/0`,
    ),
    expected: ['high open-to-world sg-1 c', 'medium wide-port-range sg-1 a', 'low wide-port-range sg-1 b'],
  },
  {
    name: 'rules of two groups of an ENI',
    text: `${head}interfaces:
  - { id: eni-1, device: eth0, addresses: [198.18.0.2], securityGroupIds: [sg-1, sg-2] }
  - { id: eni-2, device: eth1, addresses: [198.18.0.3], securityGroupIds: [sg-1] }
securityGroups:
  - { id: sg-1, rules: [{ id: a, ${drop}, priority: 5, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 203.0.113.0/24 }, { id: b, ${accept}, priority: 9, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 0.0.0.0/0 }] }
  - { id: sg-2, rules: [{ id: c, ${accept}, ipProtocol: all, sourceCidrIp: 203.0.112.0/23 }] }
`,
    expected: ['high shadowed sg-1 a by sg-2/c at eni-1'],
  },
  {
    name: 'groups nobody has',
    text: `${head}securityGroups:
  - { id: sg-1, rules: [{ id: a, ${accept}, ipProtocol: tcp, portRange: 22/22, sourceCidrIp: 0.0.0.0/0 }, { id: b, ${accept}, priority: 2, ipProtocol: tcp, portRange: 22/22, sourceCidrIp: 0.0.0.0/0 }] }
`,
    expected: ['high open-to-world sg-1 a', 'low shadowed sg-1 b by sg-1/a', 'low unused-group sg-1'],
  },
  {
    name: 'an attached group without rules',
    text: `${oneEni}securityGroups: [{ id: sg-1 }]\n`,
    expected: ['low no-rules sg-1'],
  },
  {
    name: 'observe mode of a group that is attached, and of an ENI that has a group',
    text: `${head}interfaces:
  - { id: eni-1, device: eth0, addresses: [198.18.0.2], securityGroupIds: [sg-1], mode: observe }
  - { id: eni-2, device: eth1, addresses: [198.18.0.3], securityGroupIds: [sg-2, sg-1] }
  - { id: eni-3, device: eth2, securityGroupIds: [], mode: observe }
securityGroups:
  - { id: sg-1, rules: [{ ${accept}, ipProtocol: tcp, portRange: 443/443, sourceCidrIp: 0.0.0.0/0 }] }
  - { id: sg-2, mode: observe, rules: [{ ${accept}, ipProtocol: tcp, portRange: 80/80, sourceCidrIp: 0.0.0.0/0 }] }
  - { id: sg-3, mode: observe }
`,
    expected: ['low observed sg-1 at eni-1', 'low observed sg-2', 'low unused-group sg-3'],
  },
]

suite('findings', () => {
  for (const { name, text, expected } of rows) {
    test(name, () => {
      const policy = readValidPolicy(text)
      const findings = analyze(policy)
      assert.deepEqual(findings.map(findingText), expected)
      for (const finding of findings) prove(policy, finding)
    })
  }
})

suite('witnesses', () => {
  test('prove every finding about the cases', () => {
    for (const { policy } of loadCases()) for (const finding of analyze(policy)) prove(policy, finding)
  })

  test('prove every finding about random policies', () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 50; seed += 1) {
      const policy = readValidPolicy(JSON.stringify(makePolicyDocument(makeRandom(seed), 'host')))
      for (const finding of analyze(policy)) {
        prove(policy, finding)
        if (finding.witness !== null) seen.add(finding.kind)
      }
    }
    assert.ok(seen.has('shadowed') && seen.has('redundant') && seen.has('all-from-anywhere'), [...seen].join())
  })
})

test('all superfluous rules of a random policy taken out at once change no verdict', () => {
  for (let seed = 201; seed <= 220; seed += 1) {
    const random = makeRandom(seed)
    const policy = readValidPolicy(JSON.stringify(makePolicyDocument(random, 'host')))
    const superfluous = analyze(policy).filter(({ kind }) => kind === 'shadowed' || kind === 'redundant')
    const reduced = superfluous.reduce((rest, { groupId, ruleIds }) => withoutRule(rest, groupId, ruleIds[0]!), policy)
    const [before, after] = [resolvePolicy(policy), resolvePolicy(reduced)]
    for (const packet of makePackets(random, before, before.enis[0]!, 200)) {
      assert.equal(evaluate(after, packet).verdict, evaluate(before, packet).verdict, `${seed}: ${packetText(packet)}`)
    }
  }
})

test('the order of rules and groups in the file does not matter', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const document = makePolicyDocument(makeRandom(seed), 'guest')
    const policy = readValidPolicy(JSON.stringify(document))
    const turned = {
      ...policy,
      securityGroups: policy.securityGroups.toReversed().map(group => ({ ...group, rules: group.rules.toReversed() })),
    }
    assert.deepEqual(analyze(turned).map(findingText), analyze(policy).map(findingText))
  }
})
