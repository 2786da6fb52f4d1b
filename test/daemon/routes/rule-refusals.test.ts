/** What the model refuses of groups, rules and prefix lists: told where and why, and nothing stored. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'
import { assertRefused, type RefusedRequest } from '../../support/refused-requests.ts'

interface Row extends RefusedRequest {
  readonly name: string
}

let api: TestApi

before(async () => {
  api = await startApi()
  await makeGroups(api)
})
after(() => api[Symbol.asyncDispose]())

/** Of the first account: sg-1 with sgr of SSH and the rules named below, and one group of every other kind. */
async function makeGroups(api: TestApi): Promise<void> {
  await post(api, '/v1/prefix-lists', {
    accountId,
    prefixListId: 'pl-4',
    prefixListName: 'four',
    addressFamily: 'IPv4',
    maxEntries: 3,
    entries: [{ cidr: '198.18.0.1' }, { cidr: '198.18.0.2' }],
  })
  await post(api, '/v1/prefix-lists', {
    accountId: otherAccountId,
    prefixListId: 'pl-b',
    prefixListName: 'theirs',
    addressFamily: 'IPv4',
  })
  await post(api, '/v1/prefix-lists', {
    accountId,
    prefixListId: 'pl-wide',
    prefixListName: 'wide',
    addressFamily: 'IPv4',
    entries: [{ cidr: '198.18.0.0/15' }],
  })
  const groups = [
    { securityGroupId: 'sg-1' },
    { securityGroupId: 'sg-adv', securityGroupType: 'advanced' },
    { securityGroupId: 'sg-vpc1', vpcId: 'vpc-1' },
    { securityGroupId: 'sg-classic', networkType: 'classic' },
    { securityGroupId: 'sg-classic2', networkType: 'classic' },
    { securityGroupId: 'sg-named' },
  ]
  for (const group of groups) await post(api, '/v1/security-groups', { accountId, ...group })
  await post(api, '/v1/security-groups', { accountId: otherAccountId, securityGroupId: 'sg-b' })
  await post(api, '/v1/security-groups', { accountId: otherAccountId, securityGroupId: 'sg-b-vpc1', vpcId: 'vpc-1' })
  await post(api, `${group1}/rules`, {
    permissions: [
      { direction: 'ingress', service: 'ssh', sourceCidrIp: '198.18.0.0/15' },
      { direction: 'ingress', ipProtocol: 'all', policy: 'drop', sourceGroupId: 'sg-named' },
      { direction: 'ingress', ipProtocol: 'all', sourceGroupId: 'sg-1' },
    ],
  })
  await post(api, '/v1/security-groups/sg-classic/rules', {
    permissions: [
      { direction: 'ingress', ipProtocol: 'all', nicType: 'intranet', sourcePrefixListId: 'pl-4' },
      { direction: 'egress', ipProtocol: 'all', nicType: 'intranet', destCidrIp: '10.0.0.0/8' },
    ],
  })
}

const group1 = '/v1/security-groups/sg-1'
const base = { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '203.0.113.0/24' }

/** One rule for a group, sg-1 unless said otherwise; undefined takes a field of the base away. */
function rule(fields: Record<string, unknown>, groupId = 'sg-1'): Pick<Row, 'url' | 'body'> {
  return { url: `/v1/security-groups/${groupId}/rules`, body: { permissions: [{ ...base, ...fields }] } }
}

const at = (field: string) => `400 InvalidParameter permissions[0].${field}`
const missing = (field: string) => `400 MissingParameter permissions[0]${field}`
const noCidr = { sourceCidrIp: undefined }
const egress = { direction: 'egress', sourceCidrIp: undefined, destCidrIp: '203.0.113.0/24' }

const valueRows: readonly Row[] = [
  { name: 'no direction', ...rule({ direction: undefined }), expected: missing('.direction') },
  { name: 'a direction there is not', ...rule({ direction: 'both' }), expected: at('direction') },
  { name: 'a policy there is not', ...rule({ policy: 'reject' }), expected: at('policy') },
  { name: 'priority 0', ...rule({ priority: 0 }), expected: at('priority'), message: /from 1 to 100/ },
  { name: 'priority 101', ...rule({ priority: 101 }), expected: at('priority') },
  { name: 'priority 110 outside of an import', ...rule({ priority: 110 }), expected: at('priority') },
  { name: 'a priority that is no whole number', ...rule({ priority: 1.5 }), expected: at('priority') },
  { name: 'a priority as text', ...rule({ priority: '1' }), expected: at('priority') },
  { name: 'no protocol', ...rule({ ipProtocol: undefined }), expected: missing('.ipProtocol') },
  { name: 'a protocol there is not', ...rule({ ipProtocol: 'sctp' }), expected: at('ipProtocol') },
  { name: 'tcp without ports', ...rule({ portRange: undefined }), expected: missing('.portRange') },
  { name: 'tcp with -1/-1', ...rule({ portRange: '-1/-1' }), expected: at('portRange') },
  { name: 'udp with -1/-1', ...rule({ ipProtocol: 'UDP', portRange: '-1/-1' }), expected: at('portRange') },
  { name: 'icmp with ports', ...rule({ ipProtocol: 'icmp' }), expected: at('portRange') },
  { name: 'gre with ports', ...rule({ ipProtocol: 'gre' }), expected: at('portRange') },
  {
    name: 'all with source ports',
    ...rule({ ipProtocol: 'all', portRange: '-1/-1', sourcePortRange: '1/2' }),
    expected: at('sourcePortRange'),
  },
  { name: 'port 0', ...rule({ portRange: '0/80' }), expected: at('portRange') },
  { name: 'port 65536', ...rule({ portRange: '80/65536' }), expected: at('portRange') },
  {
    name: 'ports that end before they begin',
    ...rule({ portRange: '90/80' }),
    expected: at('portRange'),
    message: /Cannot read port range "90\/80"/,
  },
  { name: 'one port alone', ...rule({ portRange: '80' }), expected: at('portRange') },
  {
    name: 'source ports that end before they begin',
    ...rule({ sourcePortRange: '2/1' }),
    expected: at('sourcePortRange'),
  },
  { name: 'an empty description', ...rule({ description: '' }), expected: at('description') },
  { name: 'a description of 513 characters', ...rule({ description: 'x'.repeat(513) }), expected: at('description') },
  { name: 'a description of two lines', ...rule({ description: 'a\nb' }), expected: at('description') },
  { name: 'a nicType there is not', ...rule({ nicType: 'public' }), expected: at('nicType') },
  { name: 'a field there is not', ...rule({ port: 80 }), expected: at('port') },
  { name: 'an id of one’s own', ...rule({ securityGroupRuleId: 'sgr-1' }), expected: at('securityGroupRuleId') },
  {
    name: 'a service there is not',
    ...rule({ ipProtocol: undefined, portRange: undefined, service: 'gopher' }),
    expected: at('service'),
  },
  { name: 'a service beside a protocol', ...rule({ service: 'ssh' }), expected: at('ipProtocol') },
  { name: 'no rules', url: `${group1}/rules`, body: { permissions: [] }, expected: '400 InvalidParameter permissions' },
  {
    name: '101 rules',
    url: `${group1}/rules`,
    body: { permissions: Array(101).fill(base) },
    expected: '400 InvalidParameter permissions',
  },
]

const objectRows: readonly Row[] = [
  { name: 'no authorization object', ...rule(noCidr), expected: missing('') },
  {
    name: 'two authorization objects',
    ...rule({ ipv6SourceCidrIp: '2001:db8::/32' }),
    expected: at('ipv6SourceCidrIp'),
  },
  { name: 'a CIDR and a group', ...rule({ sourceGroupId: 'sg-named' }), expected: at('sourceGroupId') },
  { name: 'egress with the object of ingress', ...rule({ direction: 'egress' }), expected: missing('') },
  {
    name: 'ingress with a destination group beside',
    ...rule({ destGroupId: 'sg-named' }),
    expected: at('destGroupId'),
  },
  { name: 'an IPv6 block where IPv4 stands', ...rule({ sourceCidrIp: '2001:db8::/32' }), expected: at('sourceCidrIp') },
  {
    name: 'an IPv4 block where IPv6 stands',
    ...rule({ ...noCidr, ipv6SourceCidrIp: '203.0.113.0/24' }),
    expected: at('ipv6SourceCidrIp'),
  },
  { name: 'a prefix of 33 bits', ...rule({ sourceCidrIp: '203.0.113.0/33' }), expected: at('sourceCidrIp') },
  { name: 'an address with a leading zero', ...rule({ sourceCidrIp: '203.0.113.01' }), expected: at('sourceCidrIp') },
  {
    name: 'an IPv4-mapped address',
    ...rule({ ...noCidr, ipv6SourceCidrIp: '::ffff:203.0.113.1' }),
    expected: at('ipv6SourceCidrIp'),
  },
  { name: 'a name in place of an address', ...rule({ sourceCidrIp: 'example.com' }), expected: at('sourceCidrIp') },
  { name: 'narrowing of the other family', ...rule({ ipv6DestCidrIp: '2001:db8::1' }), expected: at('ipv6DestCidrIp') },
  {
    name: 'narrowing in both families',
    ...rule({ destCidrIp: '198.18.0.1', ipv6DestCidrIp: '2001:db8::1' }),
    expected: at('ipv6DestCidrIp'),
  },
  {
    name: 'eleven objects in one rule',
    ...rule({ sourceCidrIp: Array.from({ length: 11 }, (_, n) => `10.0.0.${n}`).join() }),
    expected: '403 LimitExceeded permissions[0].sourceCidrIp',
    message: /at most 10 authorization objects/,
  },
  {
    name: 'one bad object of several',
    ...rule({ sourceCidrIp: '10.0.0.1,10.0.0.300' }),
    expected: at('sourceCidrIp'),
    message: /"10\.0\.0\.300"/,
  },
  { name: 'an empty object of several', ...rule({ sourceCidrIp: '10.0.0.1,,10.0.0.2' }), expected: at('sourceCidrIp') },
  {
    name: 'two places to narrow to, separated by a comma',
    ...rule({ destCidrIp: '198.18.0.1,198.18.0.2' }),
    expected: at('destCidrIp'),
  },
]

const notFound = (kind: string, field: string) => `400 Invalid${kind}Id.NotFound permissions[0].${field}`

const referenceRows: readonly Row[] = [
  {
    name: 'a group there is not',
    ...rule({ ...noCidr, sourceGroupId: 'sg-none' }),
    expected: notFound('SecurityGroup', 'sourceGroupId'),
  },
  {
    name: 'a group named like what every object has',
    ...rule({ ...noCidr, sourceGroupId: 'constructor' }),
    expected: notFound('SecurityGroup', 'sourceGroupId'),
  },
  {
    name: 'a group of another account without its account',
    ...rule({ ...noCidr, sourceGroupId: 'sg-b' }),
    expected: notFound('SecurityGroup', 'sourceGroupId'),
  },
  {
    name: 'a group of another account on the way out',
    ...rule({ ...egress, destCidrIp: undefined, destGroupId: 'sg-b' }),
    expected: notFound('SecurityGroup', 'destGroupId'),
  },
  {
    name: 'a group with the wrong account',
    ...rule({ ...noCidr, sourceGroupId: 'sg-named', sourceGroupOwnerAccount: otherAccountId }),
    expected: notFound('SecurityGroup', 'sourceGroupId'),
  },
  {
    name: 'two words for the account that differ',
    ...rule({
      ...noCidr,
      sourceGroupId: 'sg-b',
      sourceGroupOwnerAccount: otherAccountId,
      sourceGroupOwnerId: accountId,
    }),
    expected: at('sourceGroupOwnerId'),
  },
  {
    name: 'an account without a group',
    ...rule({ sourceGroupOwnerAccount: otherAccountId }),
    expected: at('sourceGroupOwnerAccount'),
  },
  {
    name: 'a group of another VPC',
    ...rule({ ...noCidr, sourceGroupId: 'sg-vpc1' }),
    expected: at('sourceGroupId'),
    message: /expected a group in the VPC without name/,
  },
  {
    name: 'a VPC group in a classic one',
    ...rule({ ...noCidr, sourceGroupId: 'sg-1' }, 'sg-classic'),
    expected: at('sourceGroupId'),
  },
  {
    name: 'a prefix list there is not',
    ...rule({ ...noCidr, sourcePrefixListId: 'pl-none' }),
    expected: notFound('PrefixList', 'sourcePrefixListId'),
  },
  {
    name: 'a prefix list of another account',
    ...rule({ ...noCidr, sourcePrefixListId: 'pl-b' }),
    expected: notFound('PrefixList', 'sourcePrefixListId'),
  },
  {
    name: 'narrowing that a prefix list has no family for',
    ...rule({ ...noCidr, sourcePrefixListId: 'pl-4', ipv6DestCidrIp: '2001:db8::1' }),
    expected: at('ipv6DestCidrIp'),
  },
]

const networkRows: readonly Row[] = [
  { name: 'intranet in a VPC', ...rule({ nicType: 'intranet' }), expected: at('nicType') },
  {
    name: 'internet for a rule between groups',
    ...rule({ ...noCidr, sourceGroupId: 'sg-named', nicType: 'internet' }),
    expected: at('nicType'),
  },
  {
    name: 'intranet ingress from a block on a classic network',
    ...rule({ nicType: 'intranet' }, 'sg-classic'),
    expected: at('sourceCidrIp'),
    message: /single IPv4 address/,
  },
  {
    name: 'intranet ingress from IPv6 on a classic network',
    ...rule({ ...noCidr, ipv6SourceCidrIp: '2001:db8::1', nicType: 'intranet' }, 'sg-classic'),
    expected: at('ipv6SourceCidrIp'),
  },
  {
    name: 'intranet ingress from a list of blocks on a classic network',
    ...rule({ ...noCidr, sourcePrefixListId: 'pl-wide', nicType: 'intranet' }, 'sg-classic'),
    expected: at('sourcePrefixListId'),
  },
  { name: 'a drop in an advanced group', ...rule({ policy: 'drop' }, 'sg-adv'), expected: at('policy') },
  { name: 'a priority in an advanced group', ...rule({ priority: 2 }, 'sg-adv'), expected: at('priority') },
  {
    name: 'a group in an advanced group',
    ...rule({ ...noCidr, sourceGroupId: 'sg-named' }, 'sg-adv'),
    expected: at('sourceGroupId'),
  },
]

const groups = '/v1/security-groups'
const made = (fields: Record<string, unknown>): Pick<Row, 'url' | 'body'> => ({
  url: groups,
  body: { accountId, ...fields },
})

const groupRows: readonly Row[] = [
  { name: 'no account where there are two', url: groups, body: {}, expected: '400 MissingParameter accountId' },
  {
    name: 'an account there is not',
    ...made({ accountId: '9999999999999999' }),
    expected: '400 InvalidAccountId.NotFound accountId',
  },
  {
    name: 'an account of 15 digits',
    ...made({ accountId: '1'.repeat(15) }),
    expected: '400 InvalidParameter accountId',
  },
  {
    name: 'an id that is taken',
    ...made({ securityGroupId: 'sg-1' }),
    expected: '409 IdAlreadyExists securityGroupId',
  },
  {
    name: 'an id of the wrong form',
    ...made({ securityGroupId: 'web' }),
    expected: '400 InvalidParameter securityGroupId',
  },
  {
    name: 'a name of one letter',
    ...made({ securityGroupName: 'a' }),
    expected: '400 InvalidParameter securityGroupName',
  },
  {
    name: 'a name of 129 letters',
    ...made({ securityGroupName: 'a'.repeat(129) }),
    expected: '400 InvalidParameter securityGroupName',
  },
  {
    name: 'a name that begins with a digit',
    ...made({ securityGroupName: '1web' }),
    expected: '400 InvalidParameter securityGroupName',
  },
  {
    name: 'a name that is an address',
    ...made({ securityGroupName: 'http://web' }),
    expected: '400 InvalidParameter securityGroupName',
  },
  {
    name: 'a name with a space',
    ...made({ securityGroupName: 'web server' }),
    expected: '400 InvalidParameter securityGroupName',
  },
  { name: 'an empty description', ...made({ description: '' }), expected: '400 InvalidParameter description' },
  {
    name: '21 tags',
    ...made({ tags: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`k${n}`, ''])) }),
    expected: '400 InvalidParameter tags',
  },
  {
    name: 'a tag with a colon in its key',
    ...made({ tags: { 'a:b': '1' } }),
    expected: '400 InvalidParameter tags["a:b"]',
  },
  { name: 'a tag that is a number', ...made({ tags: { a: 1 } }), expected: '400 InvalidParameter tags.a' },
  {
    name: 'a type there is not',
    ...made({ securityGroupType: 'large' }),
    expected: '400 InvalidParameter securityGroupType',
  },
  {
    name: 'an advanced group on a classic network',
    ...made({ securityGroupType: 'enterprise', networkType: 'classic' }),
    expected: '400 InvalidParameter networkType',
  },
  {
    name: 'a VPC on a classic network',
    ...made({ networkType: 'classic', vpcId: 'vpc-1' }),
    expected: '400 InvalidParameter vpcId',
  },
  { name: 'a VPC id of the wrong form', ...made({ vpcId: 'vpc 1' }), expected: '400 InvalidParameter vpcId' },
  {
    name: 'inner access in an advanced group',
    ...made({ securityGroupType: 'enterprise', innerAccessPolicy: 'accept' }),
    expected: '400 InvalidParameter innerAccessPolicy',
  },
  {
    name: 'inner access given to an advanced group',
    method: 'PATCH',
    url: `${groups}/sg-adv`,
    body: { innerAccessPolicy: 'accept' },
    expected: '400 InvalidParameter innerAccessPolicy',
  },
  { name: 'a template there is not', ...made({ template: 'mail-server' }), expected: '400 InvalidParameter template' },
  {
    name: 'a group with one bad rule',
    ...made({ template: 'web-server-linux', permissions: [base, { ...base, priority: 200 }] }),
    expected: '400 InvalidParameter permissions[1].priority',
  },
  {
    name: 'a default group on a classic network with a VPC',
    url: `${groups}/default`,
    body: { accountId, networkType: 'classic', vpcId: 'vpc-1' },
    expected: '400 InvalidParameter vpcId',
  },
  {
    name: 'a change of what cannot be changed',
    method: 'PATCH',
    url: `${groups}/sg-1`,
    body: { networkType: 'classic' },
    expected: '400 InvalidParameter networkType',
  },
  {
    name: 'deleting a group that another names',
    method: 'DELETE',
    url: `${groups}/sg-named`,
    expected: '409 DependencyViolation',
  },
  {
    name: 'deleting a group there is not',
    method: 'DELETE',
    url: `${groups}/sg-none`,
    expected: '404 InvalidSecurityGroupId.NotFound',
  },
  {
    name: 'a clone as an advanced group, where two rules cannot be',
    url: `${group1}/clone`,
    body: { securityGroupType: 'enterprise' },
    expected: '400 InvalidParameter permissions[1].policy permissions[1].sourceGroupId permissions[2].sourceGroupId',
  },
  {
    name: 'a clone in another VPC, where a group that it names is not',
    url: `${group1}/clone`,
    body: { vpcId: 'vpc-2' },
    expected: '400 InvalidParameter permissions[1].sourceGroupId',
  },
  {
    name: 'a clone of intranet rules in a VPC',
    url: `${groups}/sg-classic/clone`,
    body: { networkType: 'vpc' },
    expected: '400 InvalidParameter permissions[0].nicType permissions[1].nicType',
  },
  {
    name: 'a clone in another account, which has not the prefix list',
    url: `${groups}/sg-classic/clone`,
    body: { accountId: otherAccountId },
    expected: '400 InvalidPrefixListId.NotFound permissions[0].sourcePrefixListId',
  },
  {
    name: 'a clone under an id that is taken',
    url: `${group1}/clone`,
    body: { securityGroupId: 'sg-1' },
    expected: '409 IdAlreadyExists securityGroupId',
  },
]

const lists = '/v1/prefix-lists'
const list4 = `${lists}/pl-4`
const madeList = (fields: Record<string, unknown>): Pick<Row, 'url' | 'body'> => ({
  url: lists,
  body: { accountId, prefixListName: 'list', addressFamily: 'IPv4', ...fields },
})
const many = (count: number) => Array.from({ length: count }, (_, n) => ({ cidr: `10.0.${n >> 8}.${n & 255}` }))

const prefixListRows: readonly Row[] = [
  { name: 'no name', ...madeList({ prefixListName: undefined }), expected: '400 MissingParameter prefixListName' },
  { name: 'no family', ...madeList({ addressFamily: undefined }), expected: '400 MissingParameter addressFamily' },
  {
    name: 'a family there is not',
    ...madeList({ addressFamily: 'IPv5' }),
    expected: '400 InvalidParameter addressFamily',
  },
  { name: 'maxEntries 0', ...madeList({ maxEntries: 0 }), expected: '400 InvalidParameter maxEntries' },
  { name: 'maxEntries 201', ...madeList({ maxEntries: 201 }), expected: '400 InvalidParameter maxEntries' },
  {
    name: 'more entries than maxEntries',
    ...madeList({ maxEntries: 2, entries: many(3) }),
    expected: '403 LimitExceeded entries',
  },
  { name: '201 entries', ...madeList({ entries: many(201) }), expected: '400 InvalidParameter entries' },
  {
    name: 'an entry of the other family',
    ...madeList({ entries: [{ cidr: '2001:db8::/32' }] }),
    expected: '400 InvalidParameter entries[0].cidr',
  },
  {
    name: 'every bad entry',
    ...madeList({ entries: [{ cidr: 'x' }, { cidr: '10.0.0.0/8' }, { cidr: '10.0.0.0/33' }] }),
    expected: '400 InvalidParameter entries[0].cidr entries[2].cidr',
  },
  {
    name: 'one block twice, once masked off',
    ...madeList({ entries: [{ cidr: '10.0.0.1/8' }, { cidr: '10.0.0.2/8' }] }),
    expected: '400 InvalidParameter entries[1].cidr',
  },
  { name: 'an id that is taken', ...madeList({ prefixListId: 'pl-4' }), expected: '409 IdAlreadyExists prefixListId' },
  {
    name: 'more entries than there is room for',
    method: 'PATCH',
    url: list4,
    body: { addEntries: many(2) },
    expected: '403 LimitExceeded addEntries',
  },
  {
    name: 'less room than there are entries',
    method: 'PATCH',
    url: list4,
    body: { maxEntries: 1 },
    expected: '403 LimitExceeded maxEntries',
  },
  {
    name: 'an added entry of the other family',
    method: 'PATCH',
    url: list4,
    body: { addEntries: [{ cidr: '::1' }] },
    expected: '400 InvalidParameter addEntries[0].cidr',
  },
  {
    name: 'a block where a classic intranet rule names the list',
    method: 'PATCH',
    url: list4,
    body: { removeEntries: [{ cidr: '198.18.0.1' }], addEntries: [{ cidr: '198.18.0.1' }, { cidr: '198.18.0.0/24' }] },
    expected: '400 InvalidParameter addEntries[1].cidr',
    message: /rule sgr-\w+ of sg-classic names the list/,
  },
  {
    name: 'another family',
    method: 'PATCH',
    url: list4,
    body: { addressFamily: 'IPv6' },
    expected: '400 InvalidParameter addressFamily',
  },
  { name: 'deleting a list that rules name', method: 'DELETE', url: list4, expected: '409 DependencyViolation' },
  {
    name: 'deleting a list there is not',
    method: 'DELETE',
    url: `${lists}/pl-none`,
    expected: '404 InvalidPrefixListId.NotFound',
  },
]

const tables = {
  'values of a rule': valueRows,
  'authorization objects': objectRows,
  references: referenceRows,
  'networks and types': networkRows,
  groups: groupRows,
  'prefix lists': prefixListRows,
}

for (const [title, rows] of Object.entries(tables)) {
  describe(`refuses, of ${title},`, () => {
    for (const row of rows) {
      test(row.name, async () => {
        await assertRefused(api, row)
      })
    }
  })
}

test('says what holds a group and a prefix list', async () => {
  const group = await assertRefused(api, {
    method: 'DELETE',
    url: `${groups}/sg-named`,
    expected: '409 DependencyViolation',
  })
  assert.deepEqual(group.heldBy, { networkInterfaceIds: [], securityGroupIds: ['sg-1'] })
  const list = await assertRefused(api, { method: 'DELETE', url: list4, expected: '409 DependencyViolation' })
  assert.deepEqual(list.heldBy, { securityGroupIds: ['sg-classic'] })
})

test('tells of several rules every one that is wrong', async () => {
  const permissions = [
    { ...base, portRange: '90/80' },
    base,
    { ...base, sourceCidrIp: undefined, sourceGroupId: 'sg-none' },
    { ...base, priority: 0, ipProtocol: 'x' },
  ]
  const expected =
    '400 InvalidParameter permissions[0].portRange permissions[2].sourceGroupId permissions[3].ipProtocol permissions[3].priority'
  await assertRefused(api, { url: `${group1}/rules`, body: { permissions }, expected })
})

test('of a hundred rules with a bad one stores none', async () => {
  const permissions = Array.from({ length: 100 }, (_, n) => ({ ...base, portRange: `${n + 1}/${n + 1}` }))
  permissions[57] = { ...base, portRange: '58/57' }
  await assertRefused(api, {
    url: `${group1}/rules`,
    body: { permissions },
    expected: '400 InvalidParameter permissions[57].portRange',
  })
})

test('tells a token nothing of a group of another account but that it can be named', async () => {
  const token = await api.makeToken([{ accountId, access: 'write' }])
  const named = (sourceGroupId: string, more = {}) => rule({ ...noCidr, sourceGroupId, ...more })
  const owner = { sourceGroupOwnerAccount: otherAccountId }
  const none = await assertRefused(api, {
    ...named('sg-none', owner),
    token,
    expected: notFound('SecurityGroup', 'sourceGroupId'),
  })
  const otherNetwork = await assertRefused(api, {
    ...named('sg-b-vpc1', owner),
    token,
    expected: notFound('SecurityGroup', 'sourceGroupId'),
  })
  assert.equal(otherNetwork.detail, none.detail.replaceAll('sg-none', 'sg-b-vpc1'))
  const answer = await api.request('POST', `${group1}/rules`, named('sg-b', owner).body, { token })
  assert.equal(answer.status, 200)
})
