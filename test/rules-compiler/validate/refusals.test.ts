/** One row for each refusal: what is wrong with a file, and the line that says so. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { formatProblem } from '../../../rules-compiler/validate/problem.ts'
import { checkPolicy } from '../../../rules-compiler/validate/read-policy.ts'

type Fields = Record<string, unknown>

/** What is wrong, the file, the lines that say so. */
type Row = readonly [name: string, file: unknown, ...lines: string[]]

const valid = {
  apiVersion: 'ringwall/v1',
  instances: [{ id: 'i-1' }],
  interfaces: [{ id: 'eni-1', device: 'eth0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
  securityGroups: [{ id: 'sg-1' }, { id: 'sg-2' }],
  prefixLists: [{ id: 'pl-1', entries: ['203.0.113.0/24'] }],
}

const validRule = {
  direction: 'ingress',
  policy: 'accept',
  ipProtocol: 'tcp',
  portRange: '22/22',
  sourceCidrIp: '0.0.0.0/0',
}

const { sourceCidrIp: _, ...ruleWithoutObject } = validRule

/** The valid file with other fields at its top; undefined takes a field away. */
function file(fields: Fields): Fields {
  return without({ ...valid, ...fields })
}

function eni(fields: Fields): Fields {
  return file({ interfaces: [without({ ...valid.interfaces[0], ...fields })] })
}

/** Two ENIs, the second of device eth1. */
function secondEni(fields: Fields, others: Fields = {}): Fields {
  const second = { id: 'eni-2', device: 'eth1', securityGroupIds: ['sg-1'], ...fields }
  return file({ interfaces: [valid.interfaces[0], without(second)], ...others })
}

/** The group sg-1 with other fields, sg-2 beside it. */
function group(fields: Fields, other: Fields = {}): Fields {
  return file({ securityGroups: [without({ id: 'sg-1', ...fields }), { id: 'sg-2', ...other }] })
}

function rule(fields: Fields, groupFields: Fields = {}, other: Fields = {}): Fields {
  return group({ ...groupFields, rules: [without({ ...validRule, ...fields })] }, other)
}

/** A rule of sg-1 whose object is what the fields say. */
function ruleTo(fields: Fields, groupFields: Fields = {}, other: Fields = {}): Fields {
  return group({ ...groupFields, rules: [without({ ...ruleWithoutObject, ...fields })] }, other)
}

function settings(fields: Fields): Fields {
  return file({ settings: fields })
}

function instance(fields: Fields): Fields {
  return file({ instances: [without({ id: 'i-1', ...fields })] })
}

/** A good threshold with other fields, of an instance without type or of one. */
function threshold(fields: Fields, instanceType?: string): Fields {
  return instance({ instanceType, ddosThreshold: { bps: 500, pps: 100_000, ...fields } })
}

function scrubbing(fields: Fields): Fields {
  return settings({ scrubbing: fields })
}

function without(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

const account = (digit: number) => String(digit).repeat(16)

function rulesOfPorts(count: number): Fields[] {
  return Array.from({ length: count }, (_, index) => ({ ...validRule, portRange: `${index + 1}/${index + 1}` }))
}

function membersOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
}

const shape: readonly Row[] = [
  ['no object', [], '(whole file): Cannot read a list of 0: expected an object'],
  ['nothing', null, '(whole file): Cannot read the value "null": expected an object'],
  [
    'no apiVersion',
    file({ apiVersion: undefined }),
    'apiVersion: Cannot do without apiVersion: expected "ringwall/v1"',
  ],
  [
    'another apiVersion',
    file({ apiVersion: 'ringwall/v2' }),
    'apiVersion: Cannot read "ringwall/v2": expected "ringwall/v1"',
  ],
  [
    'an unknown field at the top',
    file({ securityGroup: [] }),
    'securityGroup: Cannot read field "securityGroup": expected a known field; is "securityGroups" meant?',
  ],
  [
    'an unknown field like none',
    file({ colour: 'red' }),
    'colour: Cannot read field "colour": expected one of the fields apiVersion, instances, interfaces, securityGroups, prefixLists, settings',
  ],
  [
    'a field that every object inherits',
    JSON.parse('{"apiVersion":"ringwall/v1","__proto__":{},"toString":1}'),
    '__proto__: Cannot read field "__proto__": expected one of the fields apiVersion, instances, interfaces, securityGroups, prefixLists, settings',
    'toString: Cannot read field "toString": expected one of the fields apiVersion, instances, interfaces, securityGroups, prefixLists, settings',
  ],
  [
    'a field in another case',
    rule({ portrange: '22/22', portRange: undefined, ipProtocol: 'gre' }),
    'securityGroups[0].rules[0].portrange: Cannot read field "portrange": expected a known field; is "portRange" meant?',
  ],
  ['a list that is an object', file({ instances: {} }), 'instances: Cannot read an object: expected a list'],
  [
    'a list that is null',
    group({ rules: null }),
    'securityGroups[0].rules: Cannot read the value "null": expected a list',
  ],
  [
    'a rule that is text',
    group({ rules: ['accept all'] }),
    'securityGroups[0].rules[0]: Cannot read the text "accept all": expected an object',
  ],
  [
    'a group that is a list',
    file({ interfaces: [], securityGroups: [[]] }),
    'securityGroups[0]: Cannot read a list of 0: expected an object',
  ],
  [
    'two faults in one rule',
    rule({ policy: 'allow', priority: 101 }),
    'securityGroups[0].rules[0].policy: Cannot read "allow": expected "accept" or "drop"',
    'securityGroups[0].rules[0].priority: Cannot read "101": expected a whole number from 1 to 100',
  ],
  [
    'an id of no characters',
    file({ instances: [{ id: '' }] }),
    'instances[0].id: Cannot read id "": expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
  [
    'an id of 65 characters',
    file({ instances: [{ id: 'i'.repeat(65) }] }),
    'instances[0].id: Cannot read id "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii": expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
  [
    'an id with a quote',
    file({ instances: [{ id: 'i-"1"' }] }),
    'instances[0].id: Cannot read id "i-\\"1\\"": expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
  [
    'an id with a line break',
    file({ instances: [{ id: 'i-1\n' }] }),
    'instances[0].id: Cannot read id "i-1\\n": expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
  [
    'an id that is a number',
    file({ instances: [{ id: 1 }] }),
    'instances[0].id: Cannot read id "1": expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
  [
    'an instance without id',
    file({ instances: [{}] }),
    'instances[0].id: Cannot do without id: expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
  [
    'an instance type without characters',
    file({ instances: [{ id: 'i-1', instanceType: '' }] }),
    'instances[0].instanceType: Cannot read "": expected text of 1 to 64 characters',
  ],
  [
    'smtpUnblocked as text',
    file({ instances: [{ id: 'i-1', smtpUnblocked: 'true' }] }),
    'instances[0].smtpUnblocked: Cannot read the text "true": expected true or false',
  ],
  [
    'a group name of 129 characters',
    group({ name: 'n'.repeat(129) }),
    'securityGroups[0].name: Cannot read "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn…": expected text of 1 to 128 characters',
  ],
  [
    'a group description without characters',
    group({ description: '' }),
    'securityGroups[0].description: Cannot read "": expected text of 1 to 512 characters',
  ],
  [
    'a tag that is a number',
    group({ tags: { team: 5 } }),
    'securityGroups[0].tags.team: Cannot read the number "5": expected text of 0 to 128 characters',
  ],
  ['tags as a list', group({ tags: ['team'] }), 'securityGroups[0].tags: Cannot read a list of 1: expected an object'],
  [
    'a group type by its wire name',
    group({ type: 'enterprise' }),
    'securityGroups[0].type: Cannot read "enterprise": expected "basic" or "advanced"',
  ],
  [
    'an unknown network type',
    group({ networkType: 'vlan' }),
    'securityGroups[0].networkType: Cannot read "vlan": expected "vpc" or "classic"',
  ],
  [
    'an unknown inner access policy',
    group({ innerAccessPolicy: 'Accept' }),
    'securityGroups[0].innerAccessPolicy: Cannot read "Accept": expected "accept" or "drop"',
  ],
  [
    'an account that is a number',
    group({ ownerAccount: 1234567890123456 }),
    'securityGroups[0].ownerAccount: Cannot read account "1234567890123456": expected 16 digits as text (in quotes)',
  ],
  [
    'an account of 15 digits',
    group({ ownerAccount: '123456789012345' }),
    'securityGroups[0].ownerAccount: Cannot read account "123456789012345": expected 16 digits as text (in quotes)',
  ],
]

const interfaces: readonly Row[] = [
  [
    'no device',
    eni({ device: undefined }),
    'interfaces[0].device: Cannot do without device: expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'the loopback device',
    eni({ device: 'lo' }),
    'interfaces[0].device: Cannot read device "lo": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'a device of 16 characters',
    eni({ device: 'a23456789012345' + '6' }),
    'interfaces[0].device: Cannot read device "a234567890123456": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'a device without characters',
    eni({ device: '' }),
    'interfaces[0].device: Cannot read device "": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'a device with a slash',
    eni({ device: 'eth/0' }),
    'interfaces[0].device: Cannot read device "eth/0": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'a device with a space',
    eni({ device: 'eth 0' }),
    'interfaces[0].device: Cannot read device "eth 0": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'a device with a wildcard',
    eni({ device: 'eth*' }),
    'interfaces[0].device: Cannot read device "eth*": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'the device "."',
    eni({ device: '.' }),
    'interfaces[0].device: Cannot read device ".": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'a device beyond ASCII',
    eni({ device: 'ethö' }),
    'interfaces[0].device: Cannot read device "ethö": expected 1 to 15 printable ASCII characters, no space and none of / : " * \\, and not "lo", "." or ".."',
  ],
  [
    'an unknown placement',
    eni({ placement: 'bridge' }),
    'interfaces[0].placement: Cannot read "bridge": expected "host" or "guest"',
  ],
  [
    'an address with prefix length',
    eni({ addresses: ['198.18.0.2/32'] }),
    'interfaces[0].addresses[0]: Cannot read address "198.18.0.2/32": expected one IPv4 or IPv6 address, without prefix length',
  ],
  [
    'an address with leading zeros',
    eni({ addresses: ['198.18.0.02'] }),
    'interfaces[0].addresses[0]: Cannot read address "198.18.0.02": expected one IPv4 or IPv6 address, without prefix length',
  ],
  [
    'an IPv4-mapped address',
    eni({ addresses: ['::ffff:198.18.0.2'] }),
    'interfaces[0].addresses[0]: Cannot read address "::ffff:198.18.0.2": expected one IPv4 or IPv6 address, without prefix length',
  ],
  [
    'an address with a zone',
    eni({ addresses: ['fe80::1%eth0'] }),
    'interfaces[0].addresses[0]: Cannot read address "fe80::1%eth0": expected one IPv4 or IPv6 address, without prefix length',
  ],
  [
    'an address that is a number',
    eni({ addresses: ['198.18.0.2', 5] }),
    'interfaces[0].addresses[1]: Cannot read address "5": expected one IPv4 or IPv6 address, without prefix length',
  ],
  [
    'no groups named',
    eni({ securityGroupIds: undefined }),
    'interfaces[0].securityGroupIds: Cannot do without securityGroupIds: expected a list',
  ],
  [
    'six groups',
    file({
      interfaces: [{ ...valid.interfaces[0], securityGroupIds: ['sg-1', 'sg-2', 'sg-3', 'sg-4', 'sg-5', 'sg-6'] }],
      securityGroups: [1, 2, 3, 4, 5, 6].map(number => ({ id: `sg-${number}` })),
    }),
    'interfaces[0].securityGroupIds: Cannot accept a count of "6": expected at most 5 groups on an ENI (limits.groupsPerEni)',
  ],
  [
    'a group twice',
    eni({ securityGroupIds: ['sg-1', 'sg-2', 'sg-1'] }),
    'interfaces[0].securityGroupIds[2]: Cannot use a second time "sg-1": expected each group once',
  ],
  [
    'an unknown group',
    eni({ securityGroupIds: ['sg-1', 'web'] }),
    'interfaces[0].securityGroupIds[1]: Cannot find group "web": expected the id of one of securityGroups',
  ],
  [
    'an unknown instance',
    eni({ instanceId: 'i-2' }),
    'interfaces[0].instanceId: Cannot find instance "i-2": expected the id of one of instances',
  ],
  [
    'an instance where the file has none',
    file({ instances: undefined, interfaces: [{ ...valid.interfaces[0], instanceId: 'i-1' }] }),
    'interfaces[0].instanceId: Cannot find instance "i-1": expected the id of one of instances',
  ],
  [
    'no instance named where there are two',
    file({ instances: [{ id: 'i-1' }, { id: 'i-2' }] }),
    'interfaces[0].instanceId: Cannot do without instanceId: expected the id of one of the 2 instances',
  ],
  [
    'a device twice',
    secondEni({ device: 'eth0' }),
    'interfaces[1].device: Cannot use device "eth0": expected a device that no other ENI is, but interfaces[0] is this one',
  ],
  [
    'an address on two ENIs',
    secondEni({ addresses: ['198.18.0.3', '198.18.0.2'] }),
    'interfaces[1].addresses[1]: Cannot use address "198.18.0.2": expected an address that no other ENI has, but interfaces[0] has this one',
  ],
  [
    'an address on two ENIs, written otherwise',
    file({
      interfaces: [
        { ...valid.interfaces[0], addresses: ['2001:db8::1'] },
        { id: 'eni-2', device: 'eth1', addresses: ['2001:DB8:0::1'], securityGroupIds: [] },
      ],
    }),
    'interfaces[1].addresses[0]: Cannot use address "2001:db8::1": expected an address that no other ENI has, but interfaces[0] has this one',
  ],
  [
    'basic and advanced groups on an ENI',
    file({
      interfaces: [{ ...valid.interfaces[0], securityGroupIds: ['sg-1', 'sg-2'] }],
      securityGroups: [{ id: 'sg-1', type: 'advanced' }, { id: 'sg-2' }],
    }),
    'interfaces[0].securityGroupIds[1]: Cannot use group "sg-2": expected a group that is advanced, as sg-1 is: an instance has all its ENIs in groups of one type',
  ],
  [
    'basic and advanced groups on an instance',
    secondEni(
      { securityGroupIds: ['sg-2'], instanceId: 'i-1' },
      { securityGroups: [{ id: 'sg-1' }, { id: 'sg-2', type: 'advanced' }] },
    ),
    'interfaces[1].securityGroupIds[0]: Cannot use group "sg-2": expected a group that is basic, as sg-1 is: an instance has all its ENIs in groups of one type',
  ],
  [
    'groups of two VPCs on an ENI',
    file({
      interfaces: [{ ...valid.interfaces[0], securityGroupIds: ['sg-1', 'sg-2'] }],
      securityGroups: [
        { id: 'sg-1', vpcId: 'vpc-1' },
        { id: 'sg-2', vpcId: 'vpc-2' },
      ],
    }),
    'interfaces[0].securityGroupIds[1]: Cannot use group "sg-2": expected a group in VPC "vpc-1", as sg-1 is, but it is in VPC "vpc-2"',
  ],
  [
    'a nicType of no network',
    eni({ nicType: 'public' }),
    'interfaces[0].nicType: Cannot read "public": expected "internet" or "intranet"',
  ],
]

const duplicateIds: readonly Row[] = [
  [
    'of instances',
    file({ instances: [{ id: 'i-1' }, { id: 'i-1' }], interfaces: [] }),
    'instances[1].id: Cannot use a second time "i-1": expected an id that no other of instances has',
  ],
  [
    'of interfaces',
    secondEni({ id: 'eni-1' }),
    'interfaces[1].id: Cannot use a second time "eni-1": expected an id that no other of interfaces has',
  ],
  [
    'of groups',
    file({ securityGroups: [{ id: 'sg-1' }, { id: 'sg-1' }] }),
    'securityGroups[1].id: Cannot use a second time "sg-1": expected an id that no other of securityGroups has',
  ],
  [
    'of prefix lists',
    file({
      prefixLists: [
        { id: 'pl-1', entries: [] },
        { id: 'pl-1', entries: [] },
      ],
    }),
    'prefixLists[1].id: Cannot use a second time "pl-1": expected an id that no other of prefixLists has',
  ],
  [
    'of two rules of a group',
    group({
      rules: [
        { ...validRule, id: 'sgr-1' },
        { ...validRule, id: 'sgr-1', priority: 2 },
      ],
    }),
    'securityGroups[0].rules[1].id: Cannot use a second time "sgr-1": expected an id that no other rule has',
  ],
  [
    'of rules of two groups',
    group({ rules: [{ ...validRule, id: 'sgr-1' }] }, { rules: [{ ...validRule, id: 'sgr-1' }] }),
    'securityGroups[1].rules[0].id: Cannot use a second time "sgr-1": expected an id that no other rule has',
  ],
]

const ruleFields: readonly Row[] = [
  [
    'no direction',
    rule({ direction: undefined }),
    'securityGroups[0].rules[0].direction: Cannot do without direction: expected "ingress" or "egress"',
  ],
  [
    'an unknown direction',
    rule({ direction: 'in' }),
    'securityGroups[0].rules[0].direction: Cannot read "in": expected "ingress" or "egress"',
  ],
  [
    'no policy',
    rule({ policy: undefined }),
    'securityGroups[0].rules[0].policy: Cannot do without policy: expected "accept" or "drop"',
  ],
  [
    'an unknown policy',
    rule({ policy: 'reject' }),
    'securityGroups[0].rules[0].policy: Cannot read "reject": expected "accept" or "drop"',
  ],
  [
    'priority 0',
    rule({ priority: 0 }),
    'securityGroups[0].rules[0].priority: Cannot read "0": expected a whole number from 1 to 100',
  ],
  [
    'priority 101',
    rule({ priority: 101 }),
    'securityGroups[0].rules[0].priority: Cannot read "101": expected a whole number from 1 to 100',
  ],
  [
    'priority 1.5',
    rule({ priority: 1.5 }),
    'securityGroups[0].rules[0].priority: Cannot read the number "1.5": expected a whole number from 1 to 100',
  ],
  [
    'priority as text',
    rule({ priority: '1' }),
    'securityGroups[0].rules[0].priority: Cannot read the text "1": expected a whole number from 1 to 100',
  ],
  [
    'no protocol',
    rule({ ipProtocol: undefined }),
    'securityGroups[0].rules[0].ipProtocol: Cannot do without ipProtocol: expected one of all, tcp, udp, icmp, icmpv6, gre',
  ],
  [
    'an unknown protocol',
    rule({ ipProtocol: 'sctp' }),
    'securityGroups[0].rules[0].ipProtocol: Cannot read protocol "sctp": expected one of all, tcp, udp, icmp, icmpv6, gre',
  ],
  [
    'a protocol by number',
    rule({ ipProtocol: 6 }),
    'securityGroups[0].rules[0].ipProtocol: Cannot read protocol "6": expected one of all, tcp, udp, icmp, icmpv6, gre',
  ],
  [
    'an empty description',
    rule({ description: '' }),
    'securityGroups[0].rules[0].description: Cannot read "": expected text of 1 to 512 characters',
  ],
  [
    'a description of 513 characters',
    rule({ description: '\u{1f600}'.repeat(513) }),
    'securityGroups[0].rules[0].description: Cannot read "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀…": expected text of 1 to 512 characters',
  ],
  [
    'a rule id that is none',
    rule({ id: 'sgr 1' }),
    'securityGroups[0].rules[0].id: Cannot read id "sgr 1": expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
]

const ports: readonly Row[] = [
  [
    'none with tcp',
    rule({ portRange: undefined }),
    'securityGroups[0].rules[0].portRange: Cannot do without portRange for tcp: expected "start/end", both from 1 to 65535; "1/65535" for every port',
  ],
  [
    'none with udp',
    rule({ portRange: undefined, ipProtocol: 'UDP' }),
    'securityGroups[0].rules[0].portRange: Cannot do without portRange for udp: expected "start/end", both from 1 to 65535; "1/65535" for every port',
  ],
  [
    '-1/-1 with tcp',
    rule({ portRange: '-1/-1' }),
    'securityGroups[0].rules[0].portRange: Cannot use with tcp port range "-1/-1": expected "start/end", both from 1 to 65535; "1/65535" for every port',
  ],
  [
    '-1/-1 with udp',
    rule({ portRange: '-1/-1', ipProtocol: 'udp' }),
    'securityGroups[0].rules[0].portRange: Cannot use with udp port range "-1/-1": expected "start/end", both from 1 to 65535; "1/65535" for every port',
  ],
  [
    '-1/-1 as source ports of tcp',
    rule({ sourcePortRange: '-1/-1' }),
    'securityGroups[0].rules[0].sourcePortRange: Cannot use with tcp port range "-1/-1": expected "start/end", both from 1 to 65535; "1/65535" for every port',
  ],
  [
    'port 0',
    rule({ portRange: '0/80' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "0/80": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'port 65536',
    rule({ portRange: '80/65536' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "80/65536": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'start above end',
    rule({ portRange: '90/80' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "90/80": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'one port',
    rule({ portRange: '80' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "80": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'a number',
    rule({ portRange: 80 }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "80": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'leading zeros',
    rule({ portRange: '080/080' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "080/080": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'spaces',
    rule({ portRange: '80 / 90' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "80 / 90": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'three ports',
    rule({ portRange: '1/2/3' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "1/2/3": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'two ranges',
    rule({ portRange: '80/80,443/443' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "80/80,443/443": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'half of -1/-1',
    rule({ portRange: '-1/80' }),
    'securityGroups[0].rules[0].portRange: Cannot read port range "-1/80": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'source ports from 0',
    rule({ sourcePortRange: '0/65535' }),
    'securityGroups[0].rules[0].sourcePortRange: Cannot read port range "0/65535": expected "start/end", both from 1 to 65535 and start not above end, or "-1/-1" where the protocol has no ports',
  ],
  [
    'ports with all',
    rule({ ipProtocol: 'all', portRange: '1/65535' }),
    'securityGroups[0].rules[0].portRange: Cannot use with all port range "1/65535": expected "-1/-1", or nothing',
  ],
  [
    'ports with icmp',
    rule({ ipProtocol: 'icmp', portRange: '8/8' }),
    'securityGroups[0].rules[0].portRange: Cannot use with icmp port range "8/8": expected "-1/-1", or nothing',
  ],
  [
    'ports with icmpv6',
    rule({ ipProtocol: 'icmpv6', portRange: '128/128' }),
    'securityGroups[0].rules[0].portRange: Cannot use with icmpv6 port range "128/128": expected "-1/-1", or nothing',
  ],
  [
    'ports with gre',
    rule({ ipProtocol: 'gre', portRange: '1/65535' }),
    'securityGroups[0].rules[0].portRange: Cannot use with gre port range "1/65535": expected "-1/-1", or nothing',
  ],
  [
    'source ports with icmp',
    rule({ ipProtocol: 'icmp', portRange: '-1/-1', sourcePortRange: '1/1' }),
    'securityGroups[0].rules[0].sourcePortRange: Cannot use with icmp port range "1/1": expected "-1/-1", or nothing',
  ],
]

const objects: readonly Row[] = [
  [
    'none',
    ruleTo({}),
    'securityGroups[0].rules[0]: Cannot do without an authorization object: expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'none but a narrowing block',
    ruleTo({ destCidrIp: '198.18.0.2' }),
    'securityGroups[0].rules[0]: Cannot do without an authorization object: expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'none on egress',
    ruleTo({ direction: 'egress' }),
    'securityGroups[0].rules[0]: Cannot do without an authorization object: expected exactly one of destCidrIp, ipv6DestCidrIp, destGroupId, destPrefixListId',
  ],
  [
    'both families',
    rule({ ipv6SourceCidrIp: '::/0' }),
    'securityGroups[0].rules[0].ipv6SourceCidrIp: Cannot use, beside sourceCidrIp, the field "ipv6SourceCidrIp": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'block and group',
    rule({ sourceGroupId: 'sg-2' }),
    'securityGroups[0].rules[0].sourceGroupId: Cannot use, beside sourceCidrIp, the field "sourceGroupId": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'group and prefix list',
    ruleTo({ sourceGroupId: 'sg-2', sourcePrefixListId: 'pl-1' }),
    'securityGroups[0].rules[0].sourcePrefixListId: Cannot use, beside sourceGroupId, the field "sourcePrefixListId": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'three',
    rule({ sourceGroupId: 'sg-2', sourcePrefixListId: 'pl-1' }),
    'securityGroups[0].rules[0].sourceGroupId: Cannot use, beside sourceCidrIp, the field "sourceGroupId": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
    'securityGroups[0].rules[0].sourcePrefixListId: Cannot use, beside sourceCidrIp, the field "sourcePrefixListId": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'two on egress',
    ruleTo({ direction: 'egress', destCidrIp: '0.0.0.0/0', destGroupId: 'sg-2' }),
    'securityGroups[0].rules[0].destGroupId: Cannot use, beside destCidrIp, the field "destGroupId": expected exactly one of destCidrIp, ipv6DestCidrIp, destGroupId, destPrefixListId',
  ],
  [
    'a faulty one is not missed as well',
    ruleTo({ sourceCidrIp: '300.0.0.0/8' }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot read CIDR block "300.0.0.0/8": expected an IPv4 address or CIDR block',
  ],
  [
    'destination group on ingress',
    rule({ destGroupId: 'sg-2' }),
    'securityGroups[0].rules[0].destGroupId: Cannot use in an ingress rule the field "destGroupId": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'destination prefix list on ingress',
    rule({ destPrefixListId: 'pl-1' }),
    'securityGroups[0].rules[0].destPrefixListId: Cannot use in an ingress rule the field "destPrefixListId": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'destination owner on ingress',
    rule({ destGroupOwnerAccount: account(1) }),
    'securityGroups[0].rules[0].destGroupOwnerAccount: Cannot use in an ingress rule the field "destGroupOwnerAccount": expected exactly one of sourceCidrIp, ipv6SourceCidrIp, sourceGroupId, sourcePrefixListId',
  ],
  [
    'source group on egress',
    ruleTo({ direction: 'egress', destCidrIp: '0.0.0.0/0', sourceGroupId: 'sg-2' }),
    'securityGroups[0].rules[0].sourceGroupId: Cannot use in an egress rule the field "sourceGroupId": expected exactly one of destCidrIp, ipv6DestCidrIp, destGroupId, destPrefixListId',
  ],
  [
    'source prefix list on egress',
    ruleTo({ direction: 'egress', destCidrIp: '0.0.0.0/0', sourcePrefixListId: 'pl-1' }),
    'securityGroups[0].rules[0].sourcePrefixListId: Cannot use in an egress rule the field "sourcePrefixListId": expected exactly one of destCidrIp, ipv6DestCidrIp, destGroupId, destPrefixListId',
  ],
  [
    'source owner on egress',
    ruleTo({ direction: 'egress', destCidrIp: '0.0.0.0/0', sourceGroupOwnerId: account(1) }),
    'securityGroups[0].rules[0].sourceGroupOwnerId: Cannot use in an egress rule the field "sourceGroupOwnerId": expected exactly one of destCidrIp, ipv6DestCidrIp, destGroupId, destPrefixListId',
  ],
  [
    'IPv6 text in an IPv4 field',
    rule({ sourceCidrIp: '2001:db8::/32' }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot read CIDR block "2001:db8::/32": expected an IPv4 address or CIDR block',
  ],
  [
    'IPv4 text in an IPv6 field',
    ruleTo({ ipv6SourceCidrIp: '10.0.0.0/8' }),
    'securityGroups[0].rules[0].ipv6SourceCidrIp: Cannot read CIDR block "10.0.0.0/8": expected an IPv6 address or CIDR block',
  ],
  [
    'a block that is a number',
    rule({ sourceCidrIp: 10 }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot read CIDR block "10": expected an IPv4 address or CIDR block',
  ],
  [
    'a prefix length of 33',
    rule({ sourceCidrIp: '10.0.0.0/33' }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot read CIDR block "10.0.0.0/33": expected an IPv4 address or CIDR block',
  ],
  [
    'a prefix length of 129',
    ruleTo({ ipv6SourceCidrIp: '::/129' }),
    'securityGroups[0].rules[0].ipv6SourceCidrIp: Cannot read CIDR block "::/129": expected an IPv6 address or CIDR block',
  ],
  [
    'a netmask',
    rule({ sourceCidrIp: '10.0.0.0/255.0.0.0' }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot read CIDR block "10.0.0.0/255.0.0.0": expected an IPv4 address or CIDR block',
  ],
  [
    'two blocks in one field',
    rule({ sourceCidrIp: '10.0.0.0/8,192.168.0.0/16' }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot read CIDR block "10.0.0.0/8,192.168.0.0/16": expected an IPv4 address or CIDR block',
  ],
  [
    'no text',
    rule({ sourceCidrIp: '' }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot read CIDR block "": expected an IPv4 address or CIDR block',
  ],
  [
    'an unknown group',
    ruleTo({ sourceGroupId: 'sg-3' }),
    'securityGroups[0].rules[0].sourceGroupId: Cannot find group "sg-3": expected the id of one of securityGroups; is "sg-1" meant?',
  ],
  [
    'an unknown prefix list',
    ruleTo({ sourcePrefixListId: 'list' }),
    'securityGroups[0].rules[0].sourcePrefixListId: Cannot find prefix list "list": expected the id of one of prefixLists',
  ],
  [
    'a faulty prefix list entry',
    file({ prefixLists: [{ id: 'pl-1', entries: ['10.0.0.0/8', '10.0.0/8'] }] }),
    'prefixLists[0].entries[1]: Cannot read CIDR block "10.0.0/8": expected an IPv4 or IPv6 address or CIDR block',
  ],
  [
    'a prefix list without entries',
    file({ prefixLists: [{ id: 'pl-1' }] }),
    'prefixLists[0].entries: Cannot do without entries: expected a list',
  ],
]

const narrowing: readonly Row[] = [
  [
    'IPv6 beside an IPv4 source',
    rule({ ipv6DestCidrIp: '2001:db8::2' }),
    'securityGroups[0].rules[0].ipv6DestCidrIp: Cannot narrow to "2001:db8::2/128": expected the family of the authorization object, IPv4',
  ],
  [
    'IPv4 beside an IPv6 source',
    ruleTo({ ipv6SourceCidrIp: '::/0', destCidrIp: '198.18.0.2' }),
    'securityGroups[0].rules[0].destCidrIp: Cannot narrow to "198.18.0.2/32": expected the family of the authorization object, IPv6',
  ],
  [
    'IPv6 beside an IPv4 destination on egress',
    ruleTo({ direction: 'egress', destCidrIp: '0.0.0.0/0', ipv6SourceCidrIp: '2001:db8::2' }),
    'securityGroups[0].rules[0].ipv6SourceCidrIp: Cannot narrow to "2001:db8::2/128": expected the family of the authorization object, IPv4',
  ],
  [
    'IPv6 beside a prefix list of IPv4',
    ruleTo({ sourcePrefixListId: 'pl-1', ipv6DestCidrIp: '2001:db8::2' }),
    'securityGroups[0].rules[0].ipv6DestCidrIp: Cannot narrow to "2001:db8::2/128": expected the family of the authorization object, IPv4',
  ],
  [
    'both families',
    ruleTo({ sourceGroupId: 'sg-2', destCidrIp: '198.18.0.2', ipv6DestCidrIp: '2001:db8::2' }),
    'securityGroups[0].rules[0].ipv6DestCidrIp: Cannot use the field "ipv6DestCidrIp": expected at most one of destCidrIp, ipv6DestCidrIp',
  ],
]

const owners: readonly Row[] = [
  [
    'an owner without group',
    rule({ sourceGroupOwnerAccount: account(1) }),
    'securityGroups[0].rules[0].sourceGroupOwnerAccount: Cannot use the field "sourceGroupOwnerAccount": expected sourceGroupId beside it',
  ],
  [
    'another than the group’s',
    ruleTo({ sourceGroupId: 'sg-2', sourceGroupOwnerAccount: account(1) }, {}, { ownerAccount: account(2) }),
    'securityGroups[0].rules[0].sourceGroupOwnerAccount: Cannot use account "1111111111111111": expected "2222222222222222", the owner of sg-2',
  ],
  [
    'another than the group’s, as id, on egress',
    ruleTo(
      { direction: 'egress', destGroupId: 'sg-2', destGroupOwnerId: account(1) },
      {},
      { ownerAccount: account(2) },
    ),
    'securityGroups[0].rules[0].destGroupOwnerId: Cannot use account "1111111111111111": expected "2222222222222222", the owner of sg-2',
  ],
  [
    'two that disagree',
    ruleTo({ sourceGroupId: 'sg-2', sourceGroupOwnerAccount: account(1), sourceGroupOwnerId: account(2) }),
    'securityGroups[0].rules[0].sourceGroupOwnerId: Cannot use account "2222222222222222": expected "1111111111111111", the owner of sg-2',
  ],
]

const advanced: readonly Row[] = [
  [
    'a drop rule',
    rule({ policy: 'drop' }, { type: 'advanced' }),
    'securityGroups[0].rules[0].policy: Cannot use "drop": expected "accept" in an advanced group, which drops whatever no rule accepts',
  ],
  [
    'priority 2',
    rule({ priority: 2 }, { type: 'advanced' }),
    'securityGroups[0].rules[0].priority: Cannot use priority "2": expected 1, the only one in an advanced group',
  ],
  [
    'a source group',
    ruleTo({ sourceGroupId: 'sg-2' }, { type: 'advanced' }),
    'securityGroups[0].rules[0].sourceGroupId: Cannot name group "sg-2": expected a CIDR block or a prefix list in an advanced group',
  ],
  [
    'a destination group',
    ruleTo({ direction: 'egress', destGroupId: 'sg-2' }, { type: 'advanced' }),
    'securityGroups[0].rules[0].destGroupId: Cannot name group "sg-2": expected a CIDR block or a prefix list in an advanced group',
  ],
  [
    'on a classic network',
    group({ type: 'advanced', networkType: 'classic' }),
    'securityGroups[0].networkType: Cannot use "classic": expected "vpc": advanced groups are for VPCs only',
  ],
]

const networks: readonly Row[] = [
  [
    'a VPC on a classic network',
    group({ networkType: 'classic', vpcId: 'vpc-1' }),
    'securityGroups[0].vpcId: Cannot use "vpc-1": expected no vpcId in a classic group',
  ],
  [
    'a nicType in a VPC',
    rule({ nicType: 'internet' }),
    'securityGroups[0].rules[0].nicType: Cannot use "internet": expected no nicType: a rule of a VPC group is for every ENI',
  ],
  [
    'the intranet nicType in a VPC',
    rule({ nicType: 'intranet' }),
    'securityGroups[0].rules[0].nicType: Cannot use "intranet": expected no nicType: a rule of a VPC group is for every ENI',
  ],
  [
    'an internet rule between groups',
    ruleTo({ sourceGroupId: 'sg-2', nicType: 'internet' }, { networkType: 'classic' }, { networkType: 'classic' }),
    'securityGroups[0].rules[0].nicType: Cannot use "internet": expected "intranet", which rules with a group object are',
  ],
  [
    'a block of the intranet',
    rule({ sourceCidrIp: '198.18.0.0/31', nicType: 'intranet' }, { networkType: 'classic' }),
    'securityGroups[0].rules[0].sourceCidrIp: Cannot use "198.18.0.0/31": expected a single IPv4 address (/32) for intranet ingress on a classic network',
  ],
  [
    'an IPv6 address of the intranet',
    ruleTo({ ipv6SourceCidrIp: '2001:db8::2', nicType: 'intranet' }, { networkType: 'classic' }),
    'securityGroups[0].rules[0].ipv6SourceCidrIp: Cannot use "2001:db8::2/128": expected a single IPv4 address (/32) for intranet ingress on a classic network',
  ],
  [
    'a list of blocks of the intranet',
    ruleTo({ sourcePrefixListId: 'pl-1', nicType: 'intranet' }, { networkType: 'classic' }),
    'securityGroups[0].rules[0].sourcePrefixListId: Cannot use "203.0.113.0/24": expected a single IPv4 address (/32) for intranet ingress on a classic network',
  ],
  [
    'a group of another VPC',
    ruleTo({ sourceGroupId: 'sg-2' }, { vpcId: 'vpc-1' }, { vpcId: 'vpc-2' }),
    'securityGroups[0].rules[0].sourceGroupId: Cannot use group "sg-2": expected a group in VPC "vpc-1", as sg-1 is, but it is in VPC "vpc-2"',
  ],
  [
    'a group of the VPC without name',
    ruleTo({ direction: 'egress', destGroupId: 'sg-2' }, { vpcId: 'vpc-1' }),
    'securityGroups[0].rules[0].destGroupId: Cannot use group "sg-2": expected a group in VPC "vpc-1", as sg-1 is, but it is in the VPC without name',
  ],
  [
    'a group of the classic network',
    ruleTo({ sourceGroupId: 'sg-2' }, {}, { networkType: 'classic' }),
    'securityGroups[0].rules[0].sourceGroupId: Cannot use group "sg-2": expected a group in the VPC without name, as sg-1 is, but it is in the classic network',
  ],
]

const limits: readonly Row[] = [
  [
    '201 rules',
    group({ rules: rulesOfPorts(201) }),
    'securityGroups[0].rules: Cannot accept a count of "201": expected at most 200 rules in a group (limits.rulesPerGroup)',
  ],
  [
    '2 rules where 1 is the limit',
    file({ securityGroups: [{ id: 'sg-1', rules: rulesOfPorts(2) }], settings: { limits: { rulesPerGroup: 1 } } }),
    'securityGroups[0].rules: Cannot accept a count of "2": expected at most 1 rules in a group (limits.rulesPerGroup)',
  ],
  [
    '2,001 members of a basic group',
    file({ interfaces: [], securityGroups: [{ id: 'sg-1', members: membersOf(2001) }] }),
    'securityGroups[0].members: Cannot accept a count of "2001": expected at most 2000 private addresses in a basic group (limits.basicGroupPrivateIps)',
  ],
  [
    '2 addresses of ENIs where 1 is the limit',
    file({
      interfaces: [{ ...valid.interfaces[0], addresses: ['198.18.0.2', '198.18.0.3'] }],
      settings: { limits: { basicGroupPrivateIps: 1 } },
    }),
    'securityGroups[0].members: Cannot accept a count of "2": expected at most 1 private addresses in a basic group (limits.basicGroupPrivateIps)',
  ],
  [
    '2 ENIs in an advanced group where 1 is the limit',
    secondEni(
      {},
      { securityGroups: [{ id: 'sg-1', type: 'advanced' }], settings: { limits: { advancedGroupEnis: 1 } } },
    ),
    'securityGroups[0]: Cannot accept a count of "2": expected at most 1 ENIs in an advanced group (limits.advancedGroupEnis)',
  ],
  [
    '2 groups on an ENI where 1 is the limit',
    file({
      interfaces: [{ ...valid.interfaces[0], securityGroupIds: ['sg-1', 'sg-2'] }],
      settings: { limits: { groupsPerEni: 1 } },
    }),
    'interfaces[0].securityGroupIds: Cannot accept a count of "2": expected at most 1 groups on an ENI (limits.groupsPerEni)',
  ],
]

const settingsRows: readonly Row[] = [
  [
    'a session timeout of 911',
    settings({ sessionTimeout: 911 }),
    'settings.sessionTimeout: Cannot read "911": expected a whole number from 1 to 910',
  ],
  [
    'a session timeout of 0',
    settings({ sessionTimeout: 0 }),
    'settings.sessionTimeout: Cannot read "0": expected a whole number from 1 to 910',
  ],
  [
    'a session timeout as text',
    settings({ sessionTimeout: '910s' }),
    'settings.sessionTimeout: Cannot read the text "910s": expected a whole number from 1 to 910',
  ],
  [
    'an unknown revocation',
    settings({ revocation: 'later' }),
    'settings.revocation: Cannot read "later": expected "immediate" or "drain"',
  ],
  [
    'an unknown limit',
    settings({ limits: { rulesPerGroups: 5 } }),
    'settings.limits.rulesPerGroups: Cannot read field "rulesPerGroups": expected a known field; is "rulesPerGroup" meant?',
  ],
  [
    'a limit of 0',
    settings({ limits: { rulesPerGroup: 0 } }),
    'settings.limits.rulesPerGroup: Cannot read "0": expected a whole number, 1 or more',
  ],
  [
    'a mask of 7 bits',
    settings({ ctMarkMask: 0x7f }),
    'settings.ctMarkMask: Cannot read mark mask "127": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask of 6 bits',
    settings({ ctMarkMask: 0x3f }),
    'settings.ctMarkMask: Cannot read mark mask "63": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask of 9 bits',
    settings({ ctMarkMask: 0x1ff }),
    'settings.ctMarkMask: Cannot read mark mask "511": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask of two runs',
    settings({ ctMarkMask: '0xff00ff00' }),
    'settings.ctMarkMask: Cannot read mark mask "0xff00ff00": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask of 33 bits',
    settings({ ctMarkMask: '0x1ffffffff' }),
    'settings.ctMarkMask: Cannot read mark mask "0x1ffffffff": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask of no bits',
    settings({ ctMarkMask: 0 }),
    'settings.ctMarkMask: Cannot read mark mask "0": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask below 0',
    settings({ ctMarkMask: -256 }),
    'settings.ctMarkMask: Cannot read mark mask "-256": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask without 0x',
    settings({ ctMarkMask: 'ffffff00' }),
    'settings.ctMarkMask: Cannot read mark mask "ffffff00": expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a mask that is a list',
    settings({ ctMarkMask: [255] }),
    'settings.ctMarkMask: Cannot read mark mask a list of 1: expected a number or "0x" text of 32 bits whose ones stand together, an even number of them and 8 at least',
  ],
  [
    'a control connection without port',
    settings({ controlConnections: [{ address: '198.18.0.1' }] }),
    'settings.controlConnections[0].port: Cannot do without port: expected a whole number from 1 to 65535',
  ],
  [
    'a control connection to a name',
    settings({ controlConnections: [{ address: 'control.example', port: 443 }] }),
    'settings.controlConnections[0].address: Cannot read address "control.example": expected one IPv4 or IPv6 address, without prefix length',
  ],
  [
    'a rescue address that is a name',
    settings({ rescue: [{ source: 'bastion.example', port: 22 }] }),
    'settings.rescue[0].source: Cannot read CIDR block "bastion.example": expected an IPv4 or IPv6 address or CIDR block',
  ],
  [
    'a rescue address without port',
    settings({ rescue: [{ source: '198.18.0.0/24' }] }),
    'settings.rescue[0].port: Cannot do without port: expected a whole number from 1 to 65535',
  ],
  [
    'a control connection to port 65536',
    settings({ controlConnections: [{ address: '198.18.0.1', port: 65536 }] }),
    'settings.controlConnections[0].port: Cannot read "65536": expected a whole number from 1 to 65535',
  ],
]

const thresholdRows: readonly Row[] = [
  [
    'a number',
    instance({ ddosThreshold: 500 }),
    'instances[0].ddosThreshold: Cannot read the number "500": expected an object',
  ],
  [
    'null',
    instance({ ddosThreshold: null }),
    'instances[0].ddosThreshold: Cannot read the value "null": expected an object',
  ],
  [
    'bps alone',
    instance({ ddosThreshold: { bps: 500 } }),
    'instances[0].ddosThreshold.pps: Cannot do without pps: expected a whole number from 1 to 1000000000',
  ],
  [
    'pps alone',
    instance({ ddosThreshold: { pps: 500 } }),
    'instances[0].ddosThreshold.bps: Cannot do without bps: expected a whole number from 1 to 10000000',
  ],
  [
    'another word for bps',
    threshold({ mbps: 5 }),
    'instances[0].ddosThreshold.mbps: Cannot read field "mbps": expected a known field; is "bps" meant?',
  ],
  [
    'none',
    threshold({ bps: 0, pps: 0 }),
    'instances[0].ddosThreshold.bps: Cannot read "0": expected a whole number from 1 to 10000000',
    'instances[0].ddosThreshold.pps: Cannot read "0": expected a whole number from 1 to 1000000000',
  ],
  [
    'fractions',
    threshold({ bps: 0.5, pps: 1e9 + 0.5 }),
    'instances[0].ddosThreshold.bps: Cannot read the number "0.5": expected a whole number from 1 to 10000000',
    'instances[0].ddosThreshold.pps: Cannot read the number "1000000000.5": expected a whole number from 1 to 1000000000',
  ],
  [
    'text',
    threshold({ bps: '500' }),
    'instances[0].ddosThreshold.bps: Cannot read the text "500": expected a whole number from 1 to 10000000',
  ],
  [
    'more than there is',
    threshold({ bps: 10_000_001, pps: 1_000_000_001 }),
    'instances[0].ddosThreshold.bps: Cannot read "10000001": expected a whole number from 1 to 10000000',
    'instances[0].ddosThreshold.pps: Cannot read "1000000001": expected a whole number from 1 to 1000000000',
  ],
  [
    'the type as its source',
    threshold({ source: 'type' }),
    'instances[0].ddosThreshold.source: Cannot read "type": expected "manual" or "auto"',
  ],
  [
    'above the maximum in bps',
    threshold({ bps: 1001, pps: 300_000 }, 'ecs.g5.large'),
    'instances[0].ddosThreshold.bps: Cannot set threshold bps to "1001": expected at most 1000, the maximum of instance type "ecs.g5.large"',
  ],
  [
    'above the maximum in pps',
    threshold({ bps: 1000, pps: 300_001 }, 'ecs.g5.large'),
    'instances[0].ddosThreshold.pps: Cannot set threshold pps to "300001": expected at most 300000, the maximum of instance type "ecs.g5.large"',
  ],
  [
    'above the maximum in one, faulty in the other',
    threshold({ bps: 1001, pps: 'many' }, 'ecs.g5.large'),
    'instances[0].ddosThreshold.pps: Cannot read the text "many": expected a whole number from 1 to 1000000000',
    'instances[0].ddosThreshold.bps: Cannot set threshold bps to "1001": expected at most 1000, the maximum of instance type "ecs.g5.large"',
  ],
  [
    'of a type that is no text',
    instance({ instanceType: 5, ddosThreshold: { bps: 1, pps: 1 } }),
    'instances[0].instanceType: Cannot read the number "5": expected text of 1 to 64 characters',
  ],
]

const scrubbedInstances: readonly Row[] = [
  [
    'cancelled in words',
    instance({ scrubbingCancelled: 'yes' }),
    'instances[0].scrubbingCancelled: Cannot read the text "yes": expected true or false',
  ],
  [
    'an order without id',
    instance({ ddosOrder: { action: 'lift' } }),
    'instances[0].ddosOrder.id: Cannot do without id: expected a letter, then up to 63 of letters, digits, "-", "_" and "."',
  ],
  [
    'an order to do nothing',
    instance({ ddosOrder: { id: 'order-1' } }),
    'instances[0].ddosOrder.action: Cannot do without action: expected "black-hole" or "lift"',
  ],
  [
    'an order to do something else',
    instance({ ddosOrder: { id: 'order-1', action: 'blackhole' } }),
    'instances[0].ddosOrder.action: Cannot read "blackhole": expected "black-hole" or "lift"',
  ],
  [
    'a black hole of no time',
    instance({ ddosOrder: { id: 'order-1', action: 'black-hole', holdSeconds: 0 } }),
    'instances[0].ddosOrder.holdSeconds: Cannot read "0": expected a whole number from 1 to 604800',
  ],
  [
    'a black hole of more than a week',
    instance({ ddosOrder: { id: 'order-1', action: 'black-hole', holdSeconds: 604_801 } }),
    'instances[0].ddosOrder.holdSeconds: Cannot read "604801": expected a whole number from 1 to 604800',
  ],
  [
    'a lift with a time',
    instance({ ddosOrder: { id: 'order-1', action: 'lift', holdSeconds: 60 } }),
    'instances[0].ddosOrder.holdSeconds: Cannot take holdSeconds "60": expected it with action "black-hole" only',
  ],
  [
    'several orders',
    instance({ ddosOrder: [] }),
    'instances[0].ddosOrder: Cannot read a list of 0: expected an object',
  ],
]

const scrubbingRows: readonly Row[] = [
  [
    'another scope',
    settings({ trafficScope: 'none' }),
    'settings.trafficScope: Cannot read "none": expected "internet" or "all"',
  ],
  [
    'settings that are a word',
    settings({ scrubbing: 'on' }),
    'settings.scrubbing: Cannot read the text "on": expected an object',
  ],
  [
    'times below their bounds',
    scrubbing({ secondsOver: 0, holdTime: 0, blackHoleThreshold: -1, blackHoleHoldTime: 0, mostBlackHoleHoldTime: 0 }),
    'settings.scrubbing.secondsOver: Cannot read "0": expected a whole number from 1 to 60',
    'settings.scrubbing.holdTime: Cannot read "0": expected a whole number from 1 to 86400',
    'settings.scrubbing.blackHoleThreshold: Cannot read "-1": expected a whole number from 0 to 10000000',
    'settings.scrubbing.blackHoleHoldTime: Cannot read "0": expected a whole number from 1 to 604800',
    'settings.scrubbing.mostBlackHoleHoldTime: Cannot read "0": expected a whole number from 1 to 604800',
  ],
  [
    'times above their bounds',
    scrubbing({
      secondsOver: 61,
      holdTime: 86_401,
      blackHoleThreshold: 10_000_001,
      blackHoleHoldTime: 604_801,
      mostBlackHoleHoldTime: 604_801,
    }),
    'settings.scrubbing.secondsOver: Cannot read "61": expected a whole number from 1 to 60',
    'settings.scrubbing.holdTime: Cannot read "86401": expected a whole number from 1 to 86400',
    'settings.scrubbing.blackHoleThreshold: Cannot read "10000001": expected a whole number from 0 to 10000000',
    'settings.scrubbing.blackHoleHoldTime: Cannot read "604801": expected a whole number from 1 to 604800',
    'settings.scrubbing.mostBlackHoleHoldTime: Cannot read "604801": expected a whole number from 1 to 604800',
  ],
  [
    'half a second',
    scrubbing({ secondsOver: 1.5 }),
    'settings.scrubbing.secondsOver: Cannot read the number "1.5": expected a whole number from 1 to 60',
  ],
  [
    'a longest time below the first',
    scrubbing({ blackHoleHoldTime: 600, mostBlackHoleHoldTime: 599 }),
    'settings.scrubbing.mostBlackHoleHoldTime: Cannot set the longest hold time to "599": expected 600 or more, which is blackHoleHoldTime',
  ],
  [
    'a longest time below the first that is the default',
    scrubbing({ mostBlackHoleHoldTime: 1799 }),
    'settings.scrubbing.mostBlackHoleHoldTime: Cannot set the longest hold time to "1799": expected 1800 or more, which is blackHoleHoldTime',
  ],
  [
    'a longest time beside a first that is faulty',
    scrubbing({ blackHoleHoldTime: 'long', mostBlackHoleHoldTime: 1 }),
    'settings.scrubbing.blackHoleHoldTime: Cannot read the text "long": expected a whole number from 1 to 604800',
  ],
  [
    'an allow-list of names',
    scrubbing({ allowList: ['203.0.113.0/24', 'monitor.example', '203.0.113.0/33'] }),
    'settings.scrubbing.allowList[1]: Cannot read CIDR block "monitor.example": expected an IPv4 or IPv6 address or CIDR block',
    'settings.scrubbing.allowList[2]: Cannot read CIDR block "203.0.113.0/33": expected an IPv4 or IPv6 address or CIDR block',
  ],
  [
    'an allow-list of 501',
    scrubbing({ allowList: membersOf(501) }),
    'settings.scrubbing.allowList: Cannot read a list of 501: expected a list of at most 500',
  ],
  [
    'a setting that is one of settings',
    settings({ holdTime: 60 }),
    'settings.holdTime: Cannot read field "holdTime": expected one of the fields sessionTimeout, revocation, ctMarkMask, controlConnections, rescue, trafficScope, scrubbing, logging, limits',
  ],
]

const logging = (fields: object) => settings({ logging: fields })

const loggingRows: readonly Row[] = [
  [
    'a mode that is none',
    group({ mode: 'audit' }),
    'securityGroups[0].mode: Cannot read "audit": expected "enforce" or "observe"',
  ],
  [
    'a rate that is none or too high',
    logging({ perSecond: 0, nflogGroup: 65_536 }),
    'settings.logging.perSecond: Cannot read "0": expected a whole number from 1 to 10000',
    'settings.logging.nflogGroup: Cannot read "65536": expected a whole number from 1 to 65535',
  ],
  [
    'group 0, which is not for programs',
    logging({ nflogGroup: 0 }),
    'settings.logging.nflogGroup: Cannot read "0": expected a whole number from 1 to 65535',
  ],
  [
    'a setting of nothing',
    logging({ drop: true }),
    'settings.logging.drop: Cannot read field "drop": expected a known field; is "drops" meant?',
  ],
]

const parts = {
  shape,
  interfaces,
  'duplicate ids': duplicateIds,
  'rule fields': ruleFields,
  ports,
  'authorization object': objects,
  narrowing,
  'group owner': owners,
  'advanced group': advanced,
  networks,
  limits,
  settings: settingsRows,
  'thresholds of scrubbing': thresholdRows,
  'scrubbed instances': scrubbedInstances,
  'settings of scrubbing': scrubbingRows,
  'mode and logging': loggingRows,
}

for (const [name, rows] of Object.entries(parts)) {
  suite(`refused: ${name}`, () => {
    for (const [row, document, ...lines] of rows) {
      test(row, () => {
        const { policy, problems } = checkPolicy(document)
        assert.equal(policy, null)
        assert.deepEqual(problems.map(formatProblem), lines)
      })
    }
  })
}

test('the file that the refused ones are made from is valid', () => {
  assert.deepEqual(checkPolicy(rule({})).problems, [])
})

test('a member of a group that is no address', () => {
  const [problem] = checkPolicy(group({ members: ['198.18.0.9', 'web-1'] })).problems
  assert.deepEqual(problem, {
    code: 'invalid-value',
    path: 'securityGroups[0].members[1]',
    value: 'web-1',
    expected: 'one IPv4 or IPv6 address, without prefix length',
    message: 'Cannot read address "web-1": expected one IPv4 or IPv6 address, without prefix length',
  })
})
