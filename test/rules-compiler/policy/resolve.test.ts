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

test('what the IR is does not depend on the order of the file', () => {
  const groups = [
    `{ id: sg-1, members: [198.18.0.9, 198.18.0.10], rules: [{ ${ssh} }, { ${ssh}, priority: 2 }] }`,
    `{ id: sg-2, rules: [{ ${ssh} }, { direction: ingress, policy: accept, ipProtocol: all, sourceGroupId: sg-1 }] }`,
  ]
  const enis = [
    '{ id: eni-1, device: eth0, securityGroupIds: [sg-1, sg-2] }',
    '{ id: eni-2, device: eth1, securityGroupIds: [sg-2] }',
    '{ id: eni-3, device: eth2, securityGroupIds: [] }',
    '{ id: eni-4, device: eth3, securityGroupIds: [] }',
  ]
  const forward = resolve(`interfaces: [${enis}]\nsecurityGroups: [${groups}]`)
  const backward = resolve(
    `interfaces: [${enis.toReversed()}]\nsecurityGroups: [${groups.toReversed()}]`
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
  const ir = resolve('settings: { sessionTimeout: 60, revocation: drain, ctMarkMask: 0xffff }')
  assert.deepEqual(ir, {
    enis: [],
    unattachedEnis: [],
    groups: new Map(),
    sessionTimeoutSeconds: 60,
    revocation: 'drain',
    ctMarkMask: 0xffff,
    scrub: makeScrubIr(),
  })
})
