/** Who may do what: policies as an operator writes them, judged. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ConditionContext } from '../../../daemon/ram/conditions.ts'
import { type Access, decide, type Grants, judgeTrust } from '../../../daemon/ram/evaluate.ts'
import { matchesGlob, matchesResource } from '../../../daemon/ram/glob.ts'
import { readPolicyDocument } from '../../../daemon/ram/policy-document.ts'
import { systemPolicies, systemPolicyNamed } from '../../../daemon/ram/system-policies.ts'

const account = '1234567890123456'
const group = `acs:ecs:local:${account}:securitygroup/sg-1`
const otherGroup = `acs:ecs:local:${account}:securitygroup/sg-2`
const anyGroup = `acs:ecs:local:${account}:securitygroup/*`

interface StatementText {
  readonly Effect: string
  readonly [element: string]: unknown
}

const allow = (action: unknown, resource: unknown = '*', condition?: object): StatementText => ({
  Effect: 'Allow',
  Action: action,
  Resource: resource,
  ...(condition && { Condition: condition }),
})
const deny = (action: unknown, resource: unknown = '*', condition?: object): StatementText => ({
  ...allow(action, resource, condition),
  Effect: 'Deny',
})
const allowBut = (action: unknown, resource: unknown = '*') => ({
  Effect: 'Allow',
  NotAction: action,
  Resource: resource,
})

function named(name: string, statements: readonly StatementText[]) {
  return { name, document: readPolicyDocument(JSON.stringify({ Version: '1', Statement: statements }), 'identity') }
}

function grants(statements: readonly StatementText[], session: readonly StatementText[] | null = null): Grants {
  return {
    kind: 'policies',
    identity: statements.map((statement, index) => named(`p${index}`, [statement])),
    session: session === null ? null : named('session', session),
  }
}

const context = (keys: Readonly<Record<string, string | readonly string[]>> = {}): ConditionContext =>
  new Map(Object.entries(keys).map(([key, value]) => [key.toLowerCase(), typeof value === 'string' ? [value] : value]))

/** `allow`, or what denied: `explicit`, `implicit`, behind `session:` where that did. */
function outcome(access: Access): string {
  if (access.isAllowed) return 'allow'
  const kind = access.by === 'explicit-deny' ? 'explicit' : 'implicit'
  return access.of === 'identity' ? kind : `${access.of}:${kind}`
}

interface Row {
  readonly name: string
  readonly policies: readonly StatementText[]
  readonly session?: readonly StatementText[]
  readonly action?: string
  readonly resources?: readonly string[]
  readonly keys?: Readonly<Record<string, string | readonly string[]>>
  readonly expected: string
}

const authorize = 'ecs:AuthorizeSecurityGroup'
const rows: readonly Row[] = [
  // Order of decisions.
  { name: 'no policy at all', policies: [], expected: 'implicit' },
  { name: 'an allow', policies: [allow(authorize)], expected: 'allow' },
  { name: 'an allow of something else', policies: [allow('ecs:RevokeSecurityGroup')], expected: 'implicit' },
  { name: 'a deny alone', policies: [deny(authorize)], expected: 'explicit' },
  { name: 'a deny after an allow', policies: [allow('*'), deny(authorize)], expected: 'explicit' },
  { name: 'a deny before an allow', policies: [deny(authorize), allow('*')], expected: 'explicit' },
  { name: 'a deny of something else', policies: [allow('*'), deny('ecs:RevokeSecurityGroup')], expected: 'allow' },
  { name: 'two allows', policies: [allow('ecs:*'), allow('*')], expected: 'allow' },
  // The denials of the guidance.
  {
    name: 'who may not authorize, revoke or modify rules: authorize',
    policies: [
      allow('ecs:*'),
      deny(['ecs:AuthorizeSecurityGroup*', 'ecs:RevokeSecurityGroup*', 'ecs:ModifySecurityGroup*']),
    ],
    expected: 'explicit',
  },
  {
    name: 'the same: authorize egress',
    policies: [allow('ecs:*'), deny(['ecs:AuthorizeSecurityGroup*'])],
    action: 'ecs:AuthorizeSecurityGroupEgress',
    expected: 'explicit',
  },
  {
    name: 'the same: revoke',
    policies: [allow('ecs:*'), deny(['ecs:RevokeSecurityGroup*'])],
    action: 'ecs:RevokeSecurityGroup',
    expected: 'explicit',
  },
  {
    name: 'the same: modify a rule',
    policies: [allow('ecs:*'), deny(['ecs:ModifySecurityGroup*'])],
    action: 'ecs:ModifySecurityGroupRule',
    expected: 'explicit',
  },
  {
    name: 'the same may look',
    policies: [allow('ecs:*'), deny(['ecs:AuthorizeSecurityGroup*', 'ecs:ModifySecurityGroup*'])],
    action: 'ecs:DescribeSecurityGroups',
    expected: 'allow',
  },
  {
    name: 'from the corporate network',
    policies: [allow('ecs:*', '*', { IpAddress: { 'acs:SourceIp': ['198.18.0.0/16', '2001:db8::/48'] } })],
    keys: { 'acs:SourceIp': '198.18.7.7' },
    expected: 'allow',
  },
  {
    name: 'from elsewhere',
    policies: [allow('ecs:*', '*', { IpAddress: { 'acs:SourceIp': ['198.18.0.0/16', '2001:db8::/48'] } })],
    keys: { 'acs:SourceIp': '203.0.113.9' },
    expected: 'implicit',
  },
  {
    name: 'denied from outside the corporate network',
    policies: [allow('*'), deny('*', '*', { NotIpAddress: { 'acs:SourceIp': '198.18.0.0/16' } })],
    keys: { 'acs:SourceIp': '203.0.113.9' },
    expected: 'explicit',
  },
  {
    name: 'not denied inside it',
    policies: [allow('*'), deny('*', '*', { NotIpAddress: { 'acs:SourceIp': '198.18.0.0/16' } })],
    keys: { 'acs:SourceIp': '198.18.255.255' },
    expected: 'allow',
  },
  // Actions.
  { name: 'an action in other case', policies: [allow('ECS:authorizesecuritygroup')], expected: 'allow' },
  { name: 'asked for in other case', policies: [allow(authorize)], action: authorize.toUpperCase(), expected: 'allow' },
  { name: 'a list of actions', policies: [allow(['ram:GetUser', authorize])], expected: 'allow' },
  { name: 'a service', policies: [allow('ecs:*')], expected: 'allow' },
  { name: 'another service', policies: [allow('ram:*')], expected: 'implicit' },
  { name: 'the end of a name', policies: [allow('ecs:*SecurityGroup')], expected: 'allow' },
  { name: 'a star that may be empty', policies: [allow('ecs:AuthorizeSecurityGroup*')], expected: 'allow' },
  { name: 'one character', policies: [allow('ecs:?uthorizeSecurityGroup')], expected: 'allow' },
  { name: 'one character too many', policies: [allow('ecs:?AuthorizeSecurityGroup')], expected: 'implicit' },
  { name: 'stars in between', policies: [allow('e*s:Auth*Sec*Group')], expected: 'allow' },
  { name: 'a prefix without a star', policies: [allow('ecs:Authorize')], expected: 'implicit' },
  { name: 'all but another', policies: [allowBut('ecs:RevokeSecurityGroup')], expected: 'allow' },
  { name: 'all but this', policies: [allowBut(authorize)], expected: 'implicit' },
  { name: 'all but this among others', policies: [allowBut(['ram:*', 'ecs:Auth*'])], expected: 'implicit' },
  {
    name: 'deny all but looking: a change',
    policies: [allow('*'), { Effect: 'Deny', NotAction: ['ecs:Describe*'], Resource: '*' }],
    expected: 'explicit',
  },
  {
    name: 'deny all but looking: a look',
    policies: [allow('*'), { Effect: 'Deny', NotAction: ['ecs:Describe*'], Resource: '*' }],
    action: 'ecs:DescribeInstances',
    expected: 'allow',
  },
  // Resources.
  { name: 'the very group', policies: [allow('ecs:*', group)], expected: 'allow' },
  { name: 'another group', policies: [allow('ecs:*', otherGroup)], expected: 'implicit' },
  { name: 'one of two groups', policies: [allow('ecs:*', [otherGroup, group])], expected: 'allow' },
  { name: 'every group', policies: [allow('ecs:*', 'acs:ecs:*:*:securitygroup/*')], expected: 'allow' },
  { name: 'every instance', policies: [allow('ecs:*', 'acs:ecs:*:*:instance/*')], expected: 'implicit' },
  { name: 'this account', policies: [allow('ecs:*', `acs:ecs:*:${account}:*`)], expected: 'allow' },
  { name: 'another account', policies: [allow('ecs:*', 'acs:ecs:*:6543210987654321:*')], expected: 'implicit' },
  { name: 'this region', policies: [allow('ecs:*', 'acs:ecs:local:*:*')], expected: 'allow' },
  { name: 'another region', policies: [allow('ecs:*', 'acs:ecs:cn-hangzhou:*:*')], expected: 'implicit' },
  { name: 'another service’s resources', policies: [allow('*', 'acs:ram:*:*:*')], expected: 'implicit' },
  {
    name: 'a star does not reach into the next part',
    policies: [allow('*', 'acs:ecs:*:other:securitygroup/sg-1')],
    resources: [`acs:ecs:local:mine:other:securitygroup/sg-1`],
    expected: 'implicit',
  },
  { name: 'a resource in other case', policies: [allow('ecs:*', group.replace('sg-1', 'SG-1'))], expected: 'implicit' },
  { name: 'a service in other case', policies: [allow('ecs:*', group.replace('ecs', 'ECS'))], expected: 'allow' },
  {
    name: 'names of RAM in other case',
    policies: [allow('*'), deny('*', `acs:ram::${account}:user/AL*`)],
    resources: [`acs:ram::${account}:user/alice`],
    expected: 'explicit',
  },
  { name: 'ids by their beginning', policies: [allow('ecs:*', `${anyGroup.slice(0, -1)}sg-*`)], expected: 'allow' },
  { name: 'ids by one character', policies: [allow('ecs:*', `${anyGroup.slice(0, -1)}sg-?`)], expected: 'allow' },
  {
    name: 'a list needs all of them: granted on one',
    policies: [allow('ecs:*', group)],
    resources: [anyGroup],
    expected: 'implicit',
  },
  {
    name: 'a list needs all of them: granted on all',
    policies: [allow('ecs:*', 'acs:ecs:*:*:securitygroup/*')],
    resources: [anyGroup],
    expected: 'allow',
  },
  {
    name: 'two resources, both granted',
    policies: [allow('ecs:*', [group, 'acs:ecs:*:*:instance/i-1'])],
    resources: [group, `acs:ecs:local:${account}:instance/i-1`],
    expected: 'allow',
  },
  {
    name: 'two resources, granted by two policies',
    policies: [allow('ecs:*', group), allow('ecs:*', 'acs:ecs:*:*:instance/i-1')],
    resources: [group, `acs:ecs:local:${account}:instance/i-1`],
    expected: 'allow',
  },
  {
    name: 'two resources, one not granted',
    policies: [allow('ecs:*', group)],
    resources: [group, `acs:ecs:local:${account}:instance/i-1`],
    expected: 'implicit',
  },
  {
    name: 'two resources, one denied',
    policies: [allow('*'), deny('ecs:*', 'acs:ecs:*:*:instance/i-1')],
    resources: [group, `acs:ecs:local:${account}:instance/i-1`],
    expected: 'explicit',
  },
  { name: 'a group denied by name', policies: [allow('*'), deny('*', group)], expected: 'explicit' },
  { name: 'another group denied', policies: [allow('*'), deny('*', otherGroup)], expected: 'allow' },
  // Sessions.
  { name: 'a session that allows', policies: [allow('*')], session: [allow('ecs:*')], expected: 'allow' },
  {
    name: 'a session that does not',
    policies: [allow('*')],
    session: [allow('ram:*')],
    expected: 'session:implicit',
  },
  { name: 'a session that denies', policies: [allow('*')], session: [deny('*')], expected: 'session:explicit' },
  { name: 'a session cannot widen', policies: [allow('ram:*')], session: [allow('*')], expected: 'implicit' },
  {
    name: 'a session and a role that denies',
    policies: [allow('*'), deny(authorize)],
    session: [allow('*')],
    expected: 'explicit',
  },
  {
    name: 'a session for one group alone',
    policies: [allow('*')],
    session: [allow('*', group)],
    resources: [otherGroup],
    expected: 'session:implicit',
  },
]

const names: readonly [condition: object, keys: Row['keys'], holds: boolean][] = [
  // Texts.
  [{ StringEquals: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringEquals: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': 'Web' }, false],
  [{ StringEquals: { 'ecs:tag/team': ['db', 'web'] } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringEquals: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': ['db', 'web'] }, true],
  [{ StringEquals: { 'ecs:tag/team': 'w*' } }, { 'ecs:tag/team': 'web' }, false],
  [{ StringEquals: { 'ecs:tag/team': 'web' } }, {}, false],
  [{ StringEquals: { 'ECS:Tag/Team': 'web' } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringNotEquals: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': 'db' }, true],
  [{ StringNotEquals: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': 'web' }, false],
  [{ StringNotEquals: { 'ecs:tag/team': ['web', 'db'] } }, { 'ecs:tag/team': 'db' }, false],
  [{ StringNotEquals: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': ['db', 'web'] }, false],
  [{ StringNotEquals: { 'ecs:tag/team': 'web' } }, {}, true],
  [{ StringEqualsIgnoreCase: { 'ecs:tag/team': 'WEB' } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringEqualsIgnoreCase: { 'ecs:tag/team': 'WEB' } }, { 'ecs:tag/team': 'db' }, false],
  [{ StringNotEqualsIgnoreCase: { 'ecs:tag/team': 'WEB' } }, { 'ecs:tag/team': 'web' }, false],
  [{ StringNotEqualsIgnoreCase: { 'ecs:tag/team': 'WEB' } }, { 'ecs:tag/team': 'db' }, true],
  [{ StringLike: { 'ecs:tag/team': 'w*' } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringLike: { 'ecs:tag/team': 'w?b' } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringLike: { 'ecs:tag/team': 'w?' } }, { 'ecs:tag/team': 'web' }, false],
  [{ StringLike: { 'ecs:tag/team': '*' } }, { 'ecs:tag/team': '' }, true],
  [{ StringLike: { 'ecs:tag/team': '*' } }, {}, false],
  [{ StringNotLike: { 'ecs:tag/team': 'w*' } }, { 'ecs:tag/team': 'web' }, false],
  [{ StringNotLike: { 'ecs:tag/team': 'w*' } }, { 'ecs:tag/team': 'db' }, true],
  [{ StringNotLike: { 'ecs:tag/team': 'w*' } }, {}, true],
  [{ StringEqualsIfExists: { 'ecs:tag/team': 'web' } }, {}, true],
  [{ StringEqualsIfExists: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': 'db' }, false],
  [{ StringEqualsIfExists: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringLikeIfExists: { 'ecs:tag/team': 'w*' } }, { 'ecs:tag/team': 'web' }, true],
  [{ StringLikeIfExists: { 'ecs:tag/team': 'w*' } }, {}, true],
  [{ StringNotEqualsIfExists: { 'ecs:tag/team': 'web' } }, {}, true],
  [{ StringNotEqualsIfExists: { 'ecs:tag/team': 'web' } }, { 'ecs:tag/team': 'web' }, false],
  // Addresses.
  [{ IpAddress: { 'acs:SourceIp': '198.18.0.1' } }, { 'acs:SourceIp': '198.18.0.1' }, true],
  [{ IpAddress: { 'acs:SourceIp': '198.18.0.1' } }, { 'acs:SourceIp': '198.18.0.2' }, false],
  [{ IpAddress: { 'acs:SourceIp': '198.18.0.0/24' } }, { 'acs:SourceIp': '198.18.0.255' }, true],
  [{ IpAddress: { 'acs:SourceIp': '198.18.0.0/24' } }, { 'acs:SourceIp': '198.18.1.0' }, false],
  [{ IpAddress: { 'acs:SourceIp': '198.18.0.9/24' } }, { 'acs:SourceIp': '198.18.0.1' }, true],
  [{ IpAddress: { 'acs:SourceIp': '0.0.0.0/0' } }, { 'acs:SourceIp': '203.0.113.9' }, true],
  [{ IpAddress: { 'acs:SourceIp': '0.0.0.0/0' } }, { 'acs:SourceIp': '2001:db8::1' }, false],
  [{ IpAddress: { 'acs:SourceIp': '::/0' } }, { 'acs:SourceIp': '198.18.0.1' }, false],
  [{ IpAddress: { 'acs:SourceIp': '2001:db8::/32' } }, { 'acs:SourceIp': '2001:db8:1::1' }, true],
  [{ IpAddress: { 'acs:SourceIp': '2001:DB8::/32' } }, { 'acs:SourceIp': '2001:db8:1::1' }, true],
  [{ IpAddress: { 'acs:SourceIp': '2001:db8::/32' } }, { 'acs:SourceIp': '2001:db9::1' }, false],
  [{ IpAddress: { 'acs:SourceIp': ['198.18.0.0/16', '203.0.113.0/24'] } }, { 'acs:SourceIp': '203.0.113.9' }, true],
  [{ IpAddress: { 'acs:SourceIp': '0.0.0.0/0' } }, {}, false],
  [{ IpAddress: { 'acs:SourceIp': '0.0.0.0/0' } }, { 'acs:SourceIp': 'local socket' }, false],
  [{ NotIpAddress: { 'acs:SourceIp': '198.18.0.0/16' } }, { 'acs:SourceIp': '203.0.113.9' }, true],
  [{ NotIpAddress: { 'acs:SourceIp': '198.18.0.0/16' } }, { 'acs:SourceIp': '198.18.0.1' }, false],
  [{ NotIpAddress: { 'acs:SourceIp': ['198.18.0.0/16', '203.0.113.0/24'] } }, { 'acs:SourceIp': '203.0.113.9' }, false],
  [{ NotIpAddress: { 'acs:SourceIp': '198.18.0.0/16' } }, {}, true],
  [{ IpAddressIfExists: { 'acs:SourceIp': '198.18.0.0/16' } }, {}, true],
  [{ IpAddressIfExists: { 'acs:SourceIp': '198.18.0.0/16' } }, { 'acs:SourceIp': '203.0.113.9' }, false],
  [{ NotIpAddressIfExists: { 'acs:SourceIp': '198.18.0.0/16' } }, {}, true],
  // True or false.
  [{ Bool: { 'acs:SecureTransport': 'true' } }, { 'acs:SecureTransport': 'true' }, true],
  [{ Bool: { 'acs:SecureTransport': true } }, { 'acs:SecureTransport': 'true' }, true],
  [{ Bool: { 'acs:SecureTransport': 'TRUE' } }, { 'acs:SecureTransport': 'true' }, true],
  [{ Bool: { 'acs:SecureTransport': 'false' } }, { 'acs:SecureTransport': 'false' }, true],
  [{ Bool: { 'acs:SecureTransport': 'true' } }, { 'acs:SecureTransport': 'false' }, false],
  [{ Bool: { 'acs:MFAPresent': 'true' } }, {}, false],
  [{ Bool: { 'acs:MFAPresent': 'false' } }, {}, false],
  [{ BoolIfExists: { 'acs:MFAPresent': 'true' } }, {}, true],
  [{ BoolIfExists: { 'acs:MFAPresent': 'true' } }, { 'acs:MFAPresent': 'false' }, false],
  // Numbers.
  [{ NumericEquals: { 'ram:n': '5' } }, { 'ram:n': '5' }, true],
  [{ NumericEquals: { 'ram:n': 5 } }, { 'ram:n': '5.0' }, true],
  [{ NumericEquals: { 'ram:n': '5' } }, { 'ram:n': '6' }, false],
  [{ NumericEquals: { 'ram:n': '5' } }, { 'ram:n': 'five' }, false],
  [{ NumericNotEquals: { 'ram:n': '5' } }, { 'ram:n': '6' }, true],
  [{ NumericNotEquals: { 'ram:n': '5' } }, { 'ram:n': '5' }, false],
  [{ NumericNotEquals: { 'ram:n': '5' } }, {}, true],
  [{ NumericLessThan: { 'ram:n': '5' } }, { 'ram:n': '4' }, true],
  [{ NumericLessThan: { 'ram:n': '5' } }, { 'ram:n': '5' }, false],
  [{ NumericLessThan: { 'ram:n': '10' } }, { 'ram:n': '9' }, true],
  [{ NumericLessThanEquals: { 'ram:n': '5' } }, { 'ram:n': '5' }, true],
  [{ NumericLessThanEquals: { 'ram:n': '5' } }, { 'ram:n': '6' }, false],
  [{ NumericGreaterThan: { 'ram:n': '5' } }, { 'ram:n': '6' }, true],
  [{ NumericGreaterThan: { 'ram:n': '5' } }, { 'ram:n': '5' }, false],
  [{ NumericGreaterThanEquals: { 'ram:n': '5' } }, { 'ram:n': '5' }, true],
  [{ NumericGreaterThanEquals: { 'ram:n': '5' } }, { 'ram:n': '-5' }, false],
  [{ NumericGreaterThanEquals: { 'ram:n': '-5' } }, { 'ram:n': '-4.5' }, true],
  [{ NumericGreaterThanIfExists: { 'ram:n': '5' } }, {}, true],
  [{ NumericGreaterThan: { 'ram:n': '5' } }, {}, false],
  // Times.
  [{ DateEquals: { 'acs:CurrentTime': '2026-03-01T10:00:00Z' } }, { 'acs:CurrentTime': '2026-03-01T10:00:00Z' }, true],
  [
    { DateEquals: { 'acs:CurrentTime': '2026-03-01T12:00:00+02:00' } },
    { 'acs:CurrentTime': '2026-03-01T10:00:00Z' },
    true,
  ],
  [
    { DateNotEquals: { 'acs:CurrentTime': '2026-03-01T10:00:00Z' } },
    { 'acs:CurrentTime': '2026-03-01T10:00:01Z' },
    true,
  ],
  [
    { DateLessThan: { 'acs:CurrentTime': '2026-03-01T10:00:00Z' } },
    { 'acs:CurrentTime': '2026-03-01T09:59:59Z' },
    true,
  ],
  [
    { DateLessThan: { 'acs:CurrentTime': '2026-03-01T10:00:00Z' } },
    { 'acs:CurrentTime': '2026-03-01T10:00:00Z' },
    false,
  ],
  [
    { DateLessThanEquals: { 'acs:CurrentTime': '2026-03-01T10:00:00Z' } },
    { 'acs:CurrentTime': '2026-03-01T10:00:00Z' },
    true,
  ],
  [
    { DateGreaterThan: { 'acs:CurrentTime': '2026-03-01T10:00:00Z' } },
    { 'acs:CurrentTime': '2026-03-01T10:00:00.001Z' },
    true,
  ],
  [
    { DateGreaterThanEquals: { 'acs:CurrentTime': '2026-03-01T10:00:00Z' } },
    { 'acs:CurrentTime': '2026-03-01T09:00:00Z' },
    false,
  ],
  [{ DateGreaterThan: { 'acs:CurrentTime': '2026-03-01T10:00Z' } }, {}, false],
  [{ DateGreaterThanIfExists: { 'acs:CurrentTime': '2026-03-01T10:00Z' } }, {}, true],
  // Several at once.
  [
    { Bool: { 'acs:SecureTransport': 'true' }, IpAddress: { 'acs:SourceIp': '198.18.0.0/16' } },
    { 'acs:SecureTransport': 'true', 'acs:SourceIp': '198.18.0.1' },
    true,
  ],
  [
    { Bool: { 'acs:SecureTransport': 'true' }, IpAddress: { 'acs:SourceIp': '198.18.0.0/16' } },
    { 'acs:SecureTransport': 'false', 'acs:SourceIp': '198.18.0.1' },
    false,
  ],
  [{ StringEquals: { 'ecs:tag/a': '1', 'ecs:tag/b': '2' } }, { 'ecs:tag/a': '1', 'ecs:tag/b': '2' }, true],
  [{ StringEquals: { 'ecs:tag/a': '1', 'ecs:tag/b': '2' } }, { 'ecs:tag/a': '1', 'ecs:tag/b': '1' }, false],
  [{ StringEquals: { 'ecs:tag/a': '1', 'ecs:tag/b': '2' } }, { 'ecs:tag/a': '1' }, false],
  [
    {
      DateGreaterThan: { 'acs:CurrentTime': '2026-03-01T00:00:00Z' },
      DateLessThan: { 'acs:CurrentTime': '2026-04-01T00:00:00Z' },
    },
    { 'acs:CurrentTime': '2026-03-15T00:00:00Z' },
    true,
  ],
]

describe('a request', () => {
  for (const { name, policies, session, action = authorize, resources = [group], keys, expected } of rows) {
    test(`${name}: ${expected}`, () => {
      const request = { action, resources: resources.map(each => ({ name: each })), context: context(keys) }
      assert.equal(outcome(decide(grants(policies, session ?? null), request)), expected)
    })
  }

  for (const [condition, keys, holds] of names) {
    test(`${JSON.stringify(condition)} of ${JSON.stringify(keys)} ${holds ? 'holds' : 'does not hold'}`, () => {
      const request = { action: authorize, resources: [{ name: group }], context: context(keys) }
      assert.equal(decide(grants([allow('*', '*', condition)]), request).isAllowed, holds)
      assert.equal(decide(grants([allow('*'), deny('*', '*', condition)]), request).isAllowed, !holds)
    })
  }

  test('of the account itself is always allowed', () => {
    const request = { action: authorize, resources: [{ name: group }], context: context() }
    assert.deepEqual(decide({ kind: 'everything' }, request), { isAllowed: true })
  })

  test('that is denied names the statement and what it was about', () => {
    const policies = [named('Custom/work', [allow('*'), deny('ecs:*', otherGroup)])]
    const resources = [{ name: group }, { name: otherGroup }]
    const request = { action: authorize, resources, context: context() }
    assert.deepEqual(decide({ kind: 'policies', identity: policies, session: null }, request), {
      isAllowed: false,
      by: 'explicit-deny',
      of: 'identity',
      resource: otherGroup,
      statement: { policy: 'Custom/work', index: 1 },
    })
  })

  test('about several resources is judged by the tags of each', () => {
    const tagged = (name: string, team: string) => ({ name, context: context({ 'ecs:tag/team': team }) })
    const own = grants([allow('*', '*', { StringEquals: { 'ecs:tag/team': 'web' } })])
    const ask = (...teams: readonly string[]) =>
      decide(own, { action: authorize, resources: teams.map(team => tagged(group, team)), context: context() })
    assert.equal(ask('web', 'web').isAllowed, true)
    assert.equal(ask('web', 'db').isAllowed, false)
  })
})

describe('a trust policy', () => {
  const trust = (...statements: readonly object[]) => ({
    name: 'trust',
    document: readPolicyDocument(JSON.stringify({ Version: '1', Statement: statements }), 'trust'),
  })
  const statement = (principal: object, more: object = {}) => ({
    Effect: 'Allow',
    Action: 'sts:AssumeRole',
    Principal: principal,
    ...more,
  })
  const user = { accountId: account, name: `acs:ram::${account}:user/alice` }
  const role = `acs:ram::${account}:role/ops`
  const cases: readonly [string, readonly object[], string][] = [
    ['of the whole account', [statement({ RAM: [`acs:ram::${account}:root`] })], 'allow'],
    ['of the user', [statement({ RAM: `acs:ram::${account}:user/alice` })], 'allow'],
    ['of another user', [statement({ RAM: `acs:ram::${account}:user/bob` })], 'trust:implicit'],
    ['of another account', [statement({ RAM: 'acs:ram::6543210987654321:root' })], 'trust:implicit'],
    ['of a service alone', [statement({ Service: 'ecs.aliyuncs.com' })], 'trust:implicit'],
    [
      'that denies the user',
      [
        statement({ RAM: `acs:ram::${account}:root` }),
        statement({ RAM: `acs:ram::${account}:user/alice` }, { Effect: 'Deny' }),
      ],
      'trust:explicit',
    ],
    [
      'with a condition that fails',
      [statement({ RAM: `acs:ram::${account}:root` }, { Condition: { Bool: { 'acs:MFAPresent': 'true' } } })],
      'trust:implicit',
    ],
    [
      'about another action',
      [statement({ RAM: `acs:ram::${account}:root` }, { Action: 'sts:Other' })],
      'trust:implicit',
    ],
  ]
  for (const [name, statements, expected] of cases) {
    test(`${name}: ${expected}`, () => {
      assert.equal(outcome(judgeTrust(trust(...statements), user, role, context())), expected)
    })
  }
})

describe('system policies', () => {
  const asked = (policy: string, action: string) => {
    const { name, document } = systemPolicyNamed.get(policy)!
    const held: Grants = { kind: 'policies', identity: [{ name, document }], session: null }
    return decide(held, { action, resources: [{ name: group }], context: context() }).isAllowed
  }
  const cases: readonly [string, string, boolean][] = [
    ['AdministratorAccess', 'ringwall:Restore', true],
    ['ReadOnlyAccess', 'ecs:DescribeSecurityGroups', true],
    ['ReadOnlyAccess', 'ram:ListUsers', true],
    ['ReadOnlyAccess', 'ecs:DeleteSecurityGroup', false],
    ['AliyunECSFullAccess', authorize, true],
    ['AliyunECSFullAccess', 'ram:CreateUser', false],
    ['AliyunECSFullAccess', 'ringwall:ModifySettings', false],
    ['AliyunECSReadOnlyAccess', 'ecs:DescribeInstances', true],
    ['AliyunECSReadOnlyAccess', 'ecs:ListTagResources', true],
    ['AliyunECSReadOnlyAccess', authorize, false],
    ['AliyunRAMFullAccess', 'ram:CreateUser', true],
    ['AliyunRAMReadOnlyAccess', 'ram:CreateUser', false],
    ['AliyunSTSAssumeRoleAccess', 'sts:AssumeRole', true],
    ['AliyunYundunDDosFullAccess', 'yundun-ddos:ModifyDefenseThreshold', true],
    ['AliyunYundunDDosReadOnlyAccess', 'yundun-ddos:ModifyDefenseThreshold', false],
  ]
  for (const [policy, action, expected] of cases) {
    test(`${policy} ${expected ? 'allows' : 'does not allow'} ${action}`, () => {
      assert.equal(asked(policy, action), expected)
    })
  }

  test('have names of their own', () => {
    assert.equal(new Set(systemPolicies.map(({ name }) => name)).size, systemPolicies.length)
  })
})

describe('patterns', () => {
  test('take no longer than their length times that of the text', () => {
    assert.equal(matchesGlob(`${'*a'.repeat(2000)}b`, 'a'.repeat(4000)), false)
    assert.equal(matchesGlob('**', ''), true)
    assert.equal(matchesGlob('', ''), true)
    assert.equal(matchesGlob('?', ''), false)
  })

  test('that are no resource match none', () => {
    assert.equal(matchesResource('acs:ecs', 'acs:ecs'), false)
    assert.equal(matchesResource('*', 'anything'), true)
  })
})
