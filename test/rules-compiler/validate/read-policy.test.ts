import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { defaultInstance, type GroupRule, type Policy } from '../../../rules-compiler/model/policy.ts'
import { readPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import { readValidPolicy } from '../../support/policies.ts'

/** A policy with one group, `sg-1`, of these rules. Written as YAML flow mappings. */
function policyOf(rules: readonly string[], group = ''): Policy {
  return readValidPolicy(`
apiVersion: ringwall/v1
interfaces: [{ id: eni-1, device: eth0, addresses: [198.18.0.2], securityGroupIds: [sg-1] }]
securityGroups:
  - { id: sg-1, ${group} rules: [${rules.join(', ')}] }
  - { id: sg-2, ${group} ownerAccount: "1234567890123456" }
prefixLists: [{ id: pl-1, entries: [203.0.113.9/24, "2001:DB8::1"] }]`)
}

function ruleOf(fields: string, group = ''): GroupRule {
  return policyOf([`{ policy: accept, ${fields} }`], group).securityGroups[0]!.rules[0]!
}

/** The parts of a rule that rows ask about, as text. */
function ruleText(rule: GroupRule): string {
  const { direction, policy, priority, protocol, ports, sourcePorts, peer, local, nicType } = rule
  const peerText =
    peer.kind === 'cidr' ? peer.cidr.text : peer.kind === 'group' ? peer.groupId : `list ${peer.prefixListId}`
  const range = ({ first, last }: typeof ports) => `${first}-${last}`
  return [direction, policy, priority, protocol, range(sourcePorts), range(ports), peerText, local?.text, nicType].join(
    ' ',
  )
}

const ingress = 'direction: ingress, sourceCidrIp: 0.0.0.0/0'
const vpcRules: readonly [name: string, fields: string, expected: string][] = [
  [
    'defaults',
    `${ingress}, ipProtocol: tcp, portRange: 22/22`,
    'ingress accept 1 tcp 0-65535 22-22 0.0.0.0/0  internet',
  ],
  ['upper case', `${ingress}, ipProtocol: ICMPv6`, 'ingress accept 1 icmpv6 0-65535 0-65535 0.0.0.0/0  internet'],
  [
    'written out -1/-1',
    `${ingress}, ipProtocol: gre, portRange: -1/-1, sourcePortRange: -1/-1`,
    'ingress accept 1 gre 0-65535 0-65535 0.0.0.0/0  internet',
  ],
  [
    'quintuple',
    `${ingress}, ipProtocol: udp, portRange: 1/65535, sourcePortRange: 53/53, destCidrIp: 198.18.0.2, priority: 100`,
    'ingress accept 100 udp 53-53 1-65535 0.0.0.0/0 198.18.0.2/32 internet',
  ],
  [
    'host bits masked off',
    'direction: ingress, ipProtocol: all, sourceCidrIp: 198.18.7.9/20, destCidrIp: 198.18.0.2/31',
    'ingress accept 1 all 0-65535 0-65535 198.18.0.0/20 198.18.0.2/31 internet',
  ],
  [
    'IPv6, in its short form',
    'direction: ingress, ipProtocol: all, ipv6SourceCidrIp: "2001:DB8:0:0:0::9/64", ipv6DestCidrIp: "2001:db8::2"',
    'ingress accept 1 all 0-65535 0-65535 2001:db8::/64 2001:db8::2/128 internet',
  ],
  [
    'egress to a block, narrowed',
    'direction: egress, ipProtocol: all, destCidrIp: 10.0.0.0/8, sourceCidrIp: 198.18.0.2',
    'egress accept 1 all 0-65535 0-65535 10.0.0.0/8 198.18.0.2/32 internet',
  ],
  [
    'group, narrowed',
    'direction: ingress, ipProtocol: all, sourceGroupId: sg-2, ipv6DestCidrIp: "2001:db8::2"',
    'ingress accept 1 all 0-65535 0-65535 sg-2 2001:db8::2/128 intranet',
  ],
  [
    'its own group',
    'direction: ingress, ipProtocol: all, sourceGroupId: sg-1, nicType: intranet',
    'ingress accept 1 all 0-65535 0-65535 sg-1  intranet',
  ],
  [
    'group and its owner',
    'direction: egress, ipProtocol: all, destGroupId: sg-2, destGroupOwnerAccount: "1234567890123456"',
    'egress accept 1 all 0-65535 0-65535 sg-2  intranet',
  ],
  [
    'prefix list of both families, narrowed',
    'direction: ingress, ipProtocol: all, sourcePrefixListId: pl-1, ipv6DestCidrIp: "2001:db8::2"',
    'ingress accept 1 all 0-65535 0-65535 list pl-1 2001:db8::2/128 internet',
  ],
  [
    'icmp from IPv6, which never matches',
    'direction: ingress, ipProtocol: icmp, ipv6SourceCidrIp: "::/0"',
    'ingress accept 1 icmp 0-65535 0-65535 ::/0  internet',
  ],
]

const classicRules: typeof vpcRules = [
  ['internet by default', `${ingress}, ipProtocol: all`, 'ingress accept 1 all 0-65535 0-65535 0.0.0.0/0  internet'],
  [
    'intranet ingress from one address',
    'direction: ingress, ipProtocol: all, nicType: intranet, sourceCidrIp: 198.18.0.9',
    'ingress accept 1 all 0-65535 0-65535 198.18.0.9/32  intranet',
  ],
  [
    'intranet egress to a block',
    'direction: egress, ipProtocol: all, nicType: intranet, destCidrIp: 10.0.0.0/8',
    'egress accept 1 all 0-65535 0-65535 10.0.0.0/8  intranet',
  ],
  [
    'group, always intranet',
    'direction: ingress, ipProtocol: all, sourceGroupId: sg-2',
    'ingress accept 1 all 0-65535 0-65535 sg-2  intranet',
  ],
]

suite('rules that are read', () => {
  for (const [name, fields, expected] of vpcRules) {
    test(name, () => assert.equal(ruleText(ruleOf(fields)), expected))
  }
  for (const [name, fields, expected] of classicRules) {
    test(`classic: ${name}`, () => assert.equal(ruleText(ruleOf(fields, 'networkType: classic,')), expected))
  }
  test('a description of 512 characters, two UTF-16 units each', () => {
    const description = '\u{1f600}'.repeat(512)
    assert.equal(ruleOf(`${ingress}, ipProtocol: all, description: ${description}`).description, description)
  })
})

suite('rules that are one rule', () => {
  const base = '{ direction: ingress, policy: accept, ipProtocol: tcp, portRange: 22/22, sourceCidrIp: 10.0.0.0/8'
  const rows: readonly [name: string, rules: readonly string[], descriptions: readonly (string | null)[]][] = [
    ['but for their description', [`${base}, description: first }`, `${base}, description: second }`], ['first']],
    [
      'written differently',
      [`${base} }`, `${base.replace('10.0.0.0', '10.1.2.3')}, priority: 1, description: b }`],
      [null],
    ],
    ['but for their id', [`${base}, id: sgr-a, description: a }`, `${base}, id: sgr-b, description: b }`], ['a']],
    ['not, with another priority', [`${base} }`, `${base}, priority: 2, description: b }`], [null, 'b']],
  ]
  for (const [name, rules, descriptions] of rows) {
    test(name, () => {
      const read = policyOf(rules).securityGroups[0]!.rules
      assert.deepEqual(
        read.map(rule => rule.description),
        descriptions,
      )
    })
  }
  test('count once against the limit', () => {
    const text = `apiVersion: ringwall/v1
securityGroups: [{ id: sg-1, rules: [${base} }, ${base}, description: again }] }]
settings: { limits: { rulesPerGroup: 1 } }`
    assert.equal(readValidPolicy(text).securityGroups[0]!.rules.length, 1)
  })
})

suite('made rule ids', () => {
  const ssh = '{ direction: ingress, policy: accept, ipProtocol: tcp, portRange: 22/22, sourceCidrIp: 10.0.0.0/8'
  const dns = '{ direction: egress, policy: drop, ipProtocol: udp, portRange: 53/53, destGroupId: sg-2'
  const ids = (rules: readonly string[]) => policyOf(rules).securityGroups[0]!.rules.map(rule => rule.id)
  const [sshId, dnsId] = ids([`${ssh} }`, `${dns} }`])

  test('look like ids', () => assert.match(sshId!, /^sgr-[0-9a-f]{12}$/))
  test('stay as they are from version to version', () => assert.equal(sshId, 'sgr-a826fbb0f0d0'))
  test('do not depend on order or description', () => {
    assert.deepEqual(ids([`${dns}, description: d }`, `${ssh}, description: s }`]), [dnsId, sshId])
  })
  test('depend on the group', () => {
    const rules = `rules: [${ssh} }]`
    const policy = readValidPolicy(
      `apiVersion: ringwall/v1\nsecurityGroups: [{ id: sg-1, ${rules} }, { id: sg-3, ${rules} }]`,
    )
    const [one, three] = policy.securityGroups.map(group => group.rules[0]!.id)
    assert.equal(one, sshId)
    assert.notEqual(three, sshId)
  })
  test('give way to a given id', () => assert.deepEqual(ids([`${ssh}, id: sgr-ssh }`]), ['sgr-ssh']))
})

test('the least file', () => {
  assert.deepEqual(readValidPolicy('apiVersion: ringwall/v1'), {
    instances: [],
    interfaces: [],
    securityGroups: [],
    prefixLists: [],
    settings: {
      sessionTimeoutSeconds: 910,
      revocation: 'immediate',
      ctMarkMask: 0xffffff00,
      controlConnections: [],
      rescue: [],
      trafficScope: 'internet',
      scrubbing: {
        secondsOver: 1,
        holdTime: 60,
        blackHoleThreshold: 5000,
        blackHoleHoldTime: 1800,
        mostBlackHoleHoldTime: 86400,
        allowList: [],
      },
      logging: { drops: true, sessions: false, perSecond: 100, nflogGroup: 21079 },
      limits: {
        rulesPerGroup: 200,
        groupsPerEni: 5,
        basicGroupPrivateIps: 2000,
        advancedGroupEnis: 50000,
        authorizationObjectsPerRequest: 10,
        keyPairsPerAccount: 500,
      },
    },
  } satisfies Policy)
})

test('an ENI and a group with every default', () => {
  const policy = readValidPolicy(`
apiVersion: ringwall/v1
interfaces: [{ id: eni-1, device: eth0, securityGroupIds: [sg-1] }]
securityGroups: [{ id: sg-1 }]`)
  assert.deepEqual(policy.instances, [
    {
      id: 'i-host',
      instanceType: null,
      smtpUnblocked: false,
      ddosThreshold: null,
      scrubbingCancelled: false,
      ddosOrder: null,
    },
  ])
  assert.deepEqual(policy.interfaces, [
    {
      id: 'eni-1',
      instanceId: 'i-host',
      device: 'eth0',
      placement: 'host',
      addresses: [],
      securityGroupIds: ['sg-1'],
      nicType: 'internet',
      mode: 'enforce',
    },
  ])
  assert.deepEqual(policy.securityGroups, [
    {
      id: 'sg-1',
      name: null,
      description: null,
      tags: {},
      type: 'basic',
      networkType: 'vpc',
      vpcId: null,
      ownerAccount: null,
      innerAccessPolicy: 'accept',
      mode: 'enforce',
      members: [],
      rules: [],
    },
  ])
})

test('an ENI and a group with everything said', () => {
  const policy = readValidPolicy(`
apiVersion: ringwall/v1
instances: [{ id: i-1, instanceType: not.published, smtpUnblocked: true }]
interfaces:
  - { id: eni-1, device: tap%d-$1, placement: guest, addresses: ["2001:DB8::2", 198.18.0.2], securityGroupIds: [sg-1], nicType: intranet, mode: observe }
securityGroups:
  - { id: sg-1, name: Web, description: all of it, tags: { team: web, __proto__: x }, type: advanced, vpcId: vpc-1,
      ownerAccount: "0000000000000001", innerAccessPolicy: accept, mode: observe, members: [198.18.0.9, "2001:db8:0::2", 198.18.0.9] }
prefixLists: [{ id: pl-1, name: mine, entries: [10.1.2.3/8] }]
settings: { sessionTimeout: 1, revocation: drain, ctMarkMask: "0xFF0", controlConnections: [{ address: "2001:DB8::1", port: 443 }],
  rescue: [{ source: 198.18.9.9/24, port: 22 }],
  logging: { drops: false, sessions: true, perSecond: 10000, nflogGroup: 1 } }`)
  assert.deepEqual(policy.instances, [
    { ...defaultInstance, id: 'i-1', instanceType: 'not.published', smtpUnblocked: true },
  ])
  assert.deepEqual(policy.interfaces[0], {
    id: 'eni-1',
    instanceId: 'i-1',
    device: 'tap%d-$1',
    placement: 'guest',
    addresses: ['2001:db8::2', '198.18.0.2'],
    securityGroupIds: ['sg-1'],
    nicType: 'intranet',
    mode: 'observe',
  })
  const [group] = policy.securityGroups
  assert.deepEqual(Object.entries(group!.tags), [
    ['team', 'web'],
    ['__proto__', 'x'],
  ])
  assert.deepEqual(group!.members, ['198.18.0.9', '2001:db8::2', '198.18.0.2'])
  assert.equal(group!.mode, 'observe')
  assert.equal(group!.innerAccessPolicy, 'drop', 'an advanced group has no inner access')
  assert.deepEqual(
    policy.prefixLists.map(list => [list.id, list.name, ...list.entries.map(entry => entry.text)]),
    [['pl-1', 'mine', '10.0.0.0/8']],
  )
  assert.deepEqual(
    {
      ...policy.settings,
      rescue: policy.settings.rescue.map(({ source, port }) => [source.text, port]),
      scrubbing: null,
      limits: null,
    },
    {
      sessionTimeoutSeconds: 1,
      revocation: 'drain',
      ctMarkMask: 0xff0,
      controlConnections: [{ address: '2001:db8::1', port: 443 }],
      rescue: [['198.18.9.0/24', 22]],
      trafficScope: 'internet',
      scrubbing: null,
      logging: { drops: false, sessions: true, perSecond: 10_000, nflogGroup: 1 },
      limits: null,
    },
  )
})

test('an ENI without groups has no policy yet', () => {
  const policy = readValidPolicy(
    'apiVersion: ringwall/v1\ninterfaces: [{ id: eni-1, device: eth0, securityGroupIds: [] }]',
  )
  assert.deepEqual(policy.interfaces[0]!.securityGroupIds, [])
})

test('2,000 members besides those of the file’s ENIs are within the limit', () => {
  const members = Array.from({ length: 2000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
  const { policy } = readPolicy(
    JSON.stringify({
      apiVersion: 'ringwall/v1',
      interfaces: [{ id: 'eni-1', device: 'eth0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
      securityGroups: [{ id: 'sg-1', members }],
    }),
  )
  assert.equal(policy?.securityGroups[0]?.members.length, 2001)
})

suite('masks that are read', () => {
  const rows: readonly [text: string, expected: number][] = [
    ['0xffffff00', 0xffffff00],
    ['"0xffffffff"', 0xffffffff],
    ['255', 0xff],
    ['0xff000000', 0xff000000],
  ]
  for (const [text, expected] of rows) {
    test(text, () => {
      const policy = readValidPolicy(`apiVersion: ringwall/v1\nsettings: { ctMarkMask: ${text} }`)
      assert.equal(policy.settings.ctMarkMask, expected)
    })
  }
})
