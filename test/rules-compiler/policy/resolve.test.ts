import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { DirectionIr, EniIr } from '../../../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { makeScrubIr } from '../../support/ir.ts'
import { readValidPolicy } from '../../support/policies.ts'

const ssh = 'direction: ingress, policy: accept, ipProtocol: tcp, portRange: 22/22, sourceCidrIp: 0.0.0.0/0'

function resolve(text: string) {
  return resolvePolicy(readValidPolicy(`apiVersion: ringwall/v1\n${text}`))
}

/** The ENI `eni-1` of a policy with these groups, in all of them. */
function eniIn(groups: readonly string[], fields = '', settings = ''): EniIr {
  const ids = groups.map((_, index) => `sg-${index + 1}`)
  const ir = resolve(`
interfaces: [{ id: eni-1, device: eth0, addresses: [198.18.0.2], securityGroupIds: [${ids.toReversed()}], ${fields} }]
securityGroups: [${groups.map((group, index) => `{ id: ${ids[index]}, ${group} }`).join(', ')}]
prefixLists: [{ id: pl-1, entries: [203.0.113.0/24, "2001:db8::/32"] }]
settings: { ${settings} }`)
  return ir.enis[0]!
}

const ruleIds = (direction: DirectionIr) => direction.rules.map(rule => rule.id)

suite('defaults of a direction', () => {
  const rows: readonly [type: string, ingress: string, egress: string][] = [
    ['basic', 'drop', 'accept'],
    ['advanced', 'drop', 'drop'],
  ]
  for (const [type, ingress, egress] of rows) {
    test(type, () => {
      const eni = eniIn([`type: ${type}`])
      assert.equal(eni.ingress.defaultVerdict, ingress)
      assert.equal(eni.egress.defaultVerdict, egress)
    })
  }
})

test('rules of all groups stand in deciding order', () => {
  const eni = eniIn([
    `rules: [{ id: sgr-b, ${ssh}, priority: 2 }, { id: sgr-c, ${ssh}, priority: 1 }]`,
    `rules: [{ id: sgr-z, ${ssh.replace('accept', 'drop')}, priority: 2 }, { id: sgr-a, ${ssh}, priority: 2 }, { id: sgr-y, ${ssh}, priority: 10 }]`,
  ])
  assert.deepEqual(ruleIds(eni.ingress), ['sgr-c', 'sgr-z', 'sgr-a', 'sgr-b', 'sgr-y'])
  assert.deepEqual(eni.securityGroupIds, ['sg-1', 'sg-2'])
  assert.deepEqual(eni.egress.rules, [])
})

test('ENIs in the same groups have the same lists of rules, which are compiled once', () => {
  const { enis } = resolve(`
interfaces:
  - { id: eni-1, device: tap1, addresses: [198.18.0.2], securityGroupIds: [sg-1, sg-2] }
  - { id: eni-2, device: tap2, addresses: [198.18.0.3], securityGroupIds: [sg-2, sg-1] }
  - { id: eni-3, device: tap3, addresses: [198.18.0.4], securityGroupIds: [sg-1] }
securityGroups: [{ id: sg-1, rules: [{ ${ssh} }] }, { id: sg-2 }]`)
  const [one, same, other] = enis
  assert.equal(one!.ingress, same!.ingress)
  assert.equal(one!.egress, same!.egress)
  assert.notEqual(one!.ingress, other!.ingress)
})

test('what the IR is does not depend on the order of the file', () => {
  const groups = [
    `{ id: sg-1, members: [198.18.0.9, 198.18.0.10], rules: [{ ${ssh} }, { ${ssh}, priority: 2 }] }`,
    `{ id: sg-2, rules: [{ ${ssh} }, { direction: ingress, policy: accept, ipProtocol: all, sourceGroupId: sg-1 }] }`,
  ]
  const enis = [
    '{ id: eni-1, instanceId: i-2, device: eth0, securityGroupIds: [sg-1, sg-2] }',
    '{ id: eni-2, instanceId: i-1, device: eth1, securityGroupIds: [sg-2] }',
    '{ id: eni-3, instanceId: i-2, device: eth2, securityGroupIds: [] }',
    '{ id: eni-4, instanceId: i-1, device: eth3, securityGroupIds: [] }',
  ]
  const instances = ['{ id: i-1, instanceType: ecs.g5.large }', '{ id: i-2, scrubbingCancelled: true }']
  const allowList = ['203.0.113.0/24', '203.0.113.9', '198.51.100.1']
  const forward = resolve(`instances: [${instances}]
interfaces: [${enis}]\nsecurityGroups: [${groups}]
settings: { scrubbing: { allowList: [${allowList}] } }`)
  const backward = resolve(
    `instances: [${instances.toReversed()}]
interfaces: [${enis.toReversed()}]\nsecurityGroups: [${groups.toReversed()}]
settings: { scrubbing: { allowList: [${allowList.toReversed()}] } }`
      .replace('198.18.0.9, 198.18.0.10', '198.18.0.10, 198.18.0.9')
      .replace('[sg-1, sg-2]', '[sg-2, sg-1]'),
  )
  assert.deepEqual(backward, forward)
  assert.deepEqual([...backward.groups], [...forward.groups], 'in one order')
  assert.deepEqual(forward.unattachedEnis, [
    { id: 'eni-3', device: 'eth2' },
    { id: 'eni-4', device: 'eth3' },
  ])
})

suite('rules of classic groups are for one kind of ENI', () => {
  const rules = `rules: [{ id: sgr-inter, ${ssh} }, { id: sgr-intra, ${ssh.replace('0.0.0.0/0', '10.0.0.1')}, nicType: intranet },
    { id: sgr-group, direction: ingress, policy: accept, ipProtocol: all, sourceGroupId: sg-1 }]`
  const rows: readonly [network: string, nicType: string, expected: readonly string[]][] = [
    ['classic', 'internet', ['sgr-inter']],
    ['classic', 'intranet', ['sgr-group', 'sgr-intra']],
    ['vpc', 'internet', ['sgr-group', 'sgr-inter']],
    ['vpc', 'intranet', ['sgr-group', 'sgr-inter']],
  ]
  for (const [network, nicType, expected] of rows) {
    test(`${network}, ${nicType}`, () => {
      const fitting = network === 'vpc' ? rules.replace(/\{ id: sgr-intra.*\},\n/, '') : rules
      const eni = eniIn([`networkType: ${network}, ${fitting}`], `nicType: ${nicType}`)
      assert.deepEqual(ruleIds(eni.ingress), expected)
    })
  }
})

test('inner access: basic groups whose policy is accept', () => {
  const basic = eniIn(['innerAccessPolicy: drop', 'innerAccessPolicy: accept', ''])
  assert.deepEqual(basic.innerGroupIds, ['sg-2', 'sg-3'])
  assert.deepEqual(eniIn(['type: advanced, innerAccessPolicy: accept']).innerGroupIds, [])
})

test('port 25 is blocked until the instance is unblocked', () => {
  const text = (unblocked: boolean) => `
instances: [{ id: i-1, smtpUnblocked: ${unblocked} }]
interfaces: [{ id: eni-1, device: eth0, securityGroupIds: [sg-1] }]
securityGroups: [{ id: sg-1 }]`
  assert.equal(resolve(text(false)).enis[0]!.smtpBlocked, true)
  assert.equal(resolve(text(true)).enis[0]!.smtpBlocked, false)
  assert.equal(eniIn(['']).smtpBlocked, true, 'on the instance that no file named')
})

test('control connections are the host’s, not its guests’', () => {
  const settings = 'controlConnections: [{ address: 198.18.9.9, port: 8443 }]'
  assert.deepEqual(eniIn([''], 'placement: host', settings).controlConnections, [{ address: '198.18.9.9', port: 8443 }])
  assert.deepEqual(eniIn([''], 'placement: guest', settings).controlConnections, [])
})

test('rescue is the host’s, not its guests’; each once, in one order', () => {
  const entries = [
    '198.18.9.0/24, port: 22',
    '"2001:db8::9", port: 22',
    '198.18.9.7/24, port: 22',
    '198.18.9.0/24, port: 2',
  ]
  const settings = `rescue: [${entries.map(entry => `{ source: ${entry} }`).join(', ')}]`
  const textsIn = (placement: string) =>
    eniIn([''], `placement: ${placement}`, settings).rescue.map(({ source, port }) => `${source.text} ${port}`)
  assert.deepEqual(textsIn('host'), ['198.18.9.0/24 2', '198.18.9.0/24 22', '2001:db8::9/128 22'])
  assert.deepEqual(textsIn('guest'), [])
})

test('a prefix list becomes its blocks, of both families, whatever their order in the file', () => {
  const rule = 'direction: egress, policy: accept, ipProtocol: all, destPrefixListId: pl-1'
  const { peer } = eniIn([`rules: [{ ${rule} }]`]).egress.rules[0]!
  assert.equal(peer.kind, 'cidrs')
  if (peer.kind !== 'cidrs') return
  assert.equal(peer.prefixListId, 'pl-1')
  assert.deepEqual(
    peer.cidrs.map(cidr => cidr.text),
    ['2001:db8::/32', '203.0.113.0/24'],
  )
})

test('groups: those that attached rules or inner access name, members sorted and split by family', () => {
  const { groups } = resolve(`
interfaces:
  - { id: eni-1, device: eth0, addresses: [198.18.0.2, "2001:db8::2"], securityGroupIds: [sg-own] }
  - { id: eni-2, device: eth1, addresses: [198.18.0.3], securityGroupIds: [sg-apart] }
securityGroups:
  - id: sg-own
    members: [198.18.0.9, "2001:db8::9", 198.18.0.10, 198.18.0.9]
    rules: [{ direction: ingress, policy: accept, ipProtocol: all, sourceGroupId: sg-named }]
  - { id: sg-named, members: [10.0.0.1] }
  - id: sg-apart
    innerAccessPolicy: drop
    members: [10.0.0.2]
  - id: sg-unattached
    members: [10.0.0.3]
    rules: [{ direction: ingress, policy: accept, ipProtocol: all, sourceGroupId: sg-unnamed }]
  - { id: sg-unnamed, members: [10.0.0.4] }`)
  assert.deepEqual(
    [...groups],
    [
      ['sg-named', { ip: ['10.0.0.1'], ip6: [] }],
      ['sg-own', { ip: ['198.18.0.10', '198.18.0.2', '198.18.0.9'], ip6: ['2001:db8::2', '2001:db8::9'] }],
    ],
  )
})

test('settings are passed on', () => {
  const ir = resolve(
    'settings: { sessionTimeout: 60, revocation: drain, ctMarkMask: 0xffff, logging: { sessions: true, perSecond: 9 } }',
  )
  assert.deepEqual(ir, {
    enis: [],
    unattachedEnis: [],
    groups: new Map(),
    sessionTimeoutSeconds: 60,
    revocation: 'drain',
    ctMarkMask: 0xffff,
    logging: { drops: true, sessions: true, perSecond: 9, nflogGroup: 21_079 },
    scrub: makeScrubIr(),
  })
})

suite('an ENI is observed where it or any of its groups is', () => {
  for (const eni of ['enforce', 'observe', null]) {
    for (const groups of [
      [null, null],
      ['enforce', 'observe'],
      ['observe', null],
    ]) {
      test(`ENI ${eni}, groups ${groups.join(' and ')}`, () => {
        const field = (mode: string | null | undefined) => (mode == null ? '' : `, mode: ${mode}`)
        const ir = resolve(`
interfaces: [{ id: eni-1, device: eth0, securityGroupIds: [sg-1, sg-2]${field(eni)} }]
securityGroups: [{ id: sg-1${field(groups[0])} }, { id: sg-2${field(groups[1])} }, { id: sg-3, mode: observe }]`)
        assert.equal(ir.enis[0]!.isObserved, [eni, ...groups].includes('observe'))
      })
    }
  }
})

suite('thresholds of scrubbing', () => {
  const large = { maxBpsMbit: 1000, maxPps: 300_000 }
  const rows: readonly [name: string, fields: string, thresholds: object | null, maximum: object | null][] = [
    ['no type', '', null, null],
    ['a type that is not published', 'instanceType: not.published', null, null],
    ['a published type', 'instanceType: ecs.g5.large', { bpsMbit: 1000, pps: 300_000, source: 'type' }, large],
    [
      'set lower',
      'instanceType: ecs.g5.large, ddosThreshold: { bps: 500, pps: 300000 }',
      { bpsMbit: 500, pps: 300_000, source: 'manual' },
      large,
    ],
    [
      'set to the maxima',
      'instanceType: ecs.g5.large, ddosThreshold: { bps: 1000, pps: 300000, source: manual }',
      { bpsMbit: 1000, pps: 300_000, source: 'manual' },
      large,
    ],
    [
      'taken over from a proposal',
      'instanceType: ecs.g5.large, ddosThreshold: { bps: 1, pps: 1, source: auto }',
      { bpsMbit: 1, pps: 1, source: 'auto' },
      large,
    ],
    [
      'set where no type is known',
      'instanceType: not.published, ddosThreshold: { bps: 10000000, pps: 1000000000 }',
      { bpsMbit: 10_000_000, pps: 1_000_000_000, source: 'manual' },
      null,
    ],
    ['set without type', 'ddosThreshold: { bps: 10, pps: 20 }', { bpsMbit: 10, pps: 20, source: 'manual' }, null],
  ]
  for (const [name, fields, thresholds, maximum] of rows) {
    test(name, () => {
      const [instance] = resolve(`instances: [{ id: i-1, ${fields} }]`).scrub.instances
      assert.deepEqual({ thresholds: instance!.thresholds, maximum: instance!.maximum }, { thresholds, maximum })
    })
  }
})

suite('scrubbing of an instance', () => {
  const rows: readonly [name: string, fields: string, expected: object][] = [
    ['as nothing is said', '', { scrubbing: 'on', order: null }],
    ['not cancelled', 'scrubbingCancelled: false', { scrubbing: 'on', order: null }],
    ['cancelled', 'scrubbingCancelled: true', { scrubbing: 'cancelled', order: null }],
    [
      'to be lifted',
      'ddosOrder: { id: lift-1, action: lift }',
      { scrubbing: 'on', order: { id: 'lift-1', action: 'lift', holdSeconds: null } },
    ],
    [
      'to be black-holed for the usual time',
      'scrubbingCancelled: true, ddosOrder: { id: hole-1, action: black-hole }',
      { scrubbing: 'cancelled', order: { id: 'hole-1', action: 'black-hole', holdSeconds: null } },
    ],
    [
      'to be black-holed for a time',
      'ddosOrder: { id: hole-2, action: black-hole, holdSeconds: 600 }',
      { scrubbing: 'on', order: { id: 'hole-2', action: 'black-hole', holdSeconds: 600 } },
    ],
  ]
  for (const [name, fields, expected] of rows) {
    test(name, () => {
      const { scrubbing, order } = resolve(`instances: [{ id: i-1, ${fields} }]`).scrub.instances[0]!
      assert.deepEqual({ scrubbing, order }, expected)
    })
  }
})

test('scrubbing knows every instance and all ENIs of each, with a group or without, in order', () => {
  const { scrub } = resolve(`
instances: [{ id: i-web }, { id: i-bare, instanceType: ecs.g5.large }, { id: i-db }]
interfaces:
  - { id: eni-3, instanceId: i-web, device: tap1, placement: guest, addresses: ["2001:db8::3", 198.18.0.3], securityGroupIds: [] }
  - { id: eni-2, instanceId: i-db, device: tap0, placement: guest, securityGroupIds: [sg-1] }
  - { id: eni-1, instanceId: i-web, device: eth0, addresses: [198.18.0.2], securityGroupIds: [sg-1] }
securityGroups: [{ id: sg-1 }]`)
  assert.deepEqual(scrub.instances.at(-1)?.addresses, ['198.18.0.2', '198.18.0.3', '2001:db8::3'])
  assert.deepEqual(
    scrub.instances.map(({ id, enis }) => ({ id, enis })),
    [
      { id: 'i-bare', enis: [] },
      { id: 'i-db', enis: [{ id: 'eni-2', device: 'tap0', placement: 'guest' }] },
      {
        id: 'i-web',
        enis: [
          { id: 'eni-1', device: 'eth0', placement: 'host' },
          { id: 'eni-3', device: 'tap1', placement: 'guest' },
        ],
      },
    ],
  )
})

test('the instance that no file named is measured, and has no thresholds', () => {
  const { scrub } = resolve('interfaces: [{ id: eni-1, device: eth0, securityGroupIds: [] }]')
  assert.deepEqual(scrub, makeScrubIr([{ id: 'i-host' }]))
})

test('settings of scrubbing', () => {
  const { scrub } = resolve(`settings:
  trafficScope: all
  controlConnections: [{ address: 203.0.113.99, port: 8443 }]
  scrubbing:
    secondsOver: 3
    holdTime: 120
    blackHoleThreshold: 0
    blackHoleHoldTime: 600
    mostBlackHoleHoldTime: 600
    allowList: [203.0.113.9, "2001:db8:1::5/48", 198.51.100.0/24, 203.0.113.77/25, "2001:db8:1::/64", 198.51.100.0/24]`)
  const { allowList, ...others } = scrub
  assert.deepEqual(
    allowList.map(({ text }) => text),
    ['198.51.100.0/24', '203.0.113.0/25', '2001:db8:1::/48'],
    'each address once',
  )
  assert.deepEqual(
    { ...others, allowList: [] },
    makeScrubIr([], {
      trafficScope: 'all',
      controlConnections: [{ address: '203.0.113.99', port: 8443 }],
      secondsOver: 3,
      holdSeconds: 120,
      blackHoleMbit: 0,
      blackHoleHoldSeconds: 600,
      mostBlackHoleHoldSeconds: 600,
    }),
  )
})

suite('the longest black hole', () => {
  const rows: readonly [settings: string, first: number, most: number][] = [
    ['', 1800, 86_400],
    ['mostBlackHoleHoldTime: 1800', 1800, 1800],
    ['blackHoleHoldTime: 86400', 86_400, 86_400],
    ['blackHoleHoldTime: 604800', 604_800, 604_800],
  ]
  for (const [settings, first, most] of rows) {
    test(settings || 'by default', () => {
      const { scrub } = resolve(`settings: { scrubbing: { ${settings} } }`)
      assert.deepEqual([scrub.blackHoleHoldSeconds, scrub.mostBlackHoleHoldSeconds], [first, most])
    })
  }
})
