/** Users, groups, policies, roles and access keys by `/v1`, and what a user may, asked beforehand. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { userKey } from '../../support/ram.ts'
import { inject, sign } from '../../support/rpc-client.ts'

let api: TestApi
before(async () => {
  api = await startApi({ accounts: [accountId] })
})
after(() => api[Symbol.asyncDispose]())

async function ask(method: string, path: string, body?: unknown, token?: string) {
  const answer = await api.request(method, `/v1/ram/${path}`, body, token === undefined ? {} : { token })
  return { status: answer.status, ...answer.body }
}
async function did(method: string, path: string, body?: unknown) {
  const answer = await ask(method, path, body)
  assert.ok(answer.status < 300, JSON.stringify(answer))
  return answer
}
const statement = (Effect: string, Action: unknown, Resource: unknown = '*', Condition?: object) => ({
  Effect,
  Action,
  Resource,
  ...(Condition && { Condition }),
})
const document = (...Statement: readonly object[]) => ({ Version: '1', Statement })
const newPolicy = (policyName: string, ...statements: readonly object[]) =>
  did('POST', 'policies', { policyName, document: document(...statements) })

async function tokenOf(userName: string): Promise<string> {
  const made = await api.request('POST', '/v1/tokens', { name: userName, user: { accountId, userName } })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  return made.body.token
}

describe('users and groups', () => {
  test('are made, shown, changed, listed and deleted', async () => {
    const { user, revision } = await did('POST', 'users', { userName: 'Alice', displayName: 'A.' })
    assert.partialDeepStrictEqual(user, {
      accountId,
      userName: 'Alice',
      arn: `acs:ram::${accountId}:user/Alice`,
      displayName: 'A.',
      comments: null,
      groups: [],
      policies: [],
      revision,
    })
    assert.deepEqual((await did('GET', 'users/ALICE')).user, user)
    const changed = await did('PATCH', 'users/alice', { displayName: null, comments: 'ops' })
    assert.deepEqual([changed.user.displayName, changed.user.comments], [null, 'ops'])
    await did('POST', 'groups', { groupName: 'ops', comments: 'on duty' })
    await did('PUT', 'groups/ops/users/alice')
    assert.equal((await ask('PUT', 'groups/ops/users/alice')).code, 'EntityAlreadyExists.User.Group')
    assert.deepEqual((await did('GET', 'groups/ops')).group.userNames, ['Alice'])
    assert.equal((await did('GET', 'users/alice')).user.groups[0].groupName, 'ops')
    assert.deepEqual(
      (await did('GET', 'users?userName=al*')).items.map(({ userName }: { userName: string }) => userName),
      ['Alice'],
    )
    assert.equal((await did('GET', 'groups')).items[0].comments, 'on duty')
    const held = await ask('DELETE', 'users/alice')
    assert.deepEqual([held.status, held.code], [409, 'DeleteConflict.User.Group'])
    assert.deepEqual([held.heldBy, held.heldByCounts], [{ ram: ['membership of ops'] }, { ram: 1 }])
    assert.equal((await ask('DELETE', 'groups/ops')).code, 'DeleteConflict.Group.User')
    await did('DELETE', 'groups/ops/users/alice')
    await did('DELETE', 'groups/ops')
    await did('DELETE', 'users/alice')
    assert.deepEqual((await did('GET', 'users')).items, [])
  })

  test('are changed by If-Match and dry runs as all else', async () => {
    const { revision } = await did('POST', 'users', { userName: 'match' })
    const patch = (ifMatch: number) =>
      api.request('PATCH', '/v1/ram/users/match', { comments: 'x' }, { headers: { 'if-match': `"${ifMatch}"` } })
    assert.equal((await patch(revision - 1)).status, 412)
    assert.equal((await patch(revision)).status, 200)
    const before = api.world.revision
    const dry = await did('DELETE', 'users/match?dryRun=true')
    assert.deepEqual([dry.dryRun, dry.changes.length, api.world.revision], [true, 1, before])
    await did('DELETE', 'users/match')
  })

  for (const [method, path, body, expected] of [
    ['POST', 'users', { userName: 'a b' }, '400 InvalidParameter'],
    ['POST', 'users', {}, '400 MissingParameter'],
    ['POST', 'users', { userName: 'x', admin: true }, '400 InvalidParameter'],
    ['POST', `users?accountId=${otherAccountId}`, { userName: 'x' }, '400 InvalidAccountId.NotFound'],
    ['GET', 'users/nobody', undefined, '404 EntityNotExist.User'],
    ['PATCH', 'users/nobody', { comments: 'x' }, '404 EntityNotExist.User'],
    ['DELETE', 'users/nobody', undefined, '404 EntityNotExist.User'],
    ['PUT', 'groups/none/users/nobody', undefined, '404 EntityNotExist.User'],
    ['POST', 'groups', { groupName: '/' }, '400 InvalidParameter'],
    ['GET', 'groups/none', undefined, '404 EntityNotExist.Group'],
    ['POST', 'roles', { roleName: 'r' }, '400 MissingParameter'],
    ['POST', 'roles', { roleName: 'r', trustPolicy: {} }, '400 MalformedPolicyDocument'],
    ['GET', 'roles/none', undefined, '404 EntityNotExist.Role'],
    ['POST', 'policies', { policyName: 'p', document: { Version: '2' } }, '400 MalformedPolicyDocument'],
    ['POST', 'policies', { policyName: 'p', document: 'text' }, '400 InvalidParameter'],
    [
      'POST',
      'policies',
      { policyName: 'AdministratorAccess', document: document(statement('Allow', '*')) },
      '409 EntityAlreadyExists.Policy',
    ],
    ['DELETE', 'policies/AdministratorAccess', undefined, '404 EntityNotExist.Policy'],
    ['GET', 'policies/none', undefined, '404 EntityNotExist.Policy'],
    ['PUT', 'policies/none/default-version', { versionId: 'v1' }, '404 EntityNotExist.Policy'],
    ['POST', 'access-keys', { userName: 'nobody' }, '404 EntityNotExist.User'],
    ['POST', 'access-keys', {}, '400 MissingParameter'],
    ['PATCH', 'access-keys/RWnone', { status: 'Inactive' }, '404 EntityNotExist.User.AccessKey'],
    ['DELETE', 'access-keys/RWnone', undefined, '404 EntityNotExist.User.AccessKey'],
    ['GET', 'users/nobody/simulate?action=ecs:X', undefined, '404 EntityNotExist.User'],
    ['GET', 'users/nobody/simulate?action=X', undefined, '400 InvalidParameter'],
  ] as const) {
    test(`${method} ${path} ${JSON.stringify(body) ?? ''}: ${expected}`, async () => {
      const { revision } = api.world
      const answer = await ask(method, path, body)
      assert.equal(`${answer.status} ${answer.code}`, expected, answer.detail)
      assert.equal(api.world.revision, revision)
    })
  }
})

describe('policies', () => {
  test('have versions, and are given to users, groups and roles', async () => {
    await newPolicy('looks', statement('Allow', 'ecs:Describe*'))
    await did('POST', 'users', { userName: 'holder' })
    const trustPolicy = document({
      Effect: 'Allow',
      Action: 'sts:AssumeRole',
      Principal: { RAM: [`acs:ram::${accountId}:user/holder`] },
    })
    const { role } = await did('POST', 'roles', { roleName: 'Night', trustPolicy, maxSessionSeconds: 7200 })
    assert.deepEqual(role.trustPolicy, trustPolicy)
    await did('PATCH', 'roles/night', { description: 'at night' })
    await did('PUT', 'users/holder/policies/looks')
    await did('PUT', 'roles/night/policies/ReadOnlyAccess')
    const { policy } = await did('GET', 'policies/looks')
    assert.deepEqual(policy.attachedTo, { userNames: ['holder'], groupNames: [], roleNames: [] })
    assert.deepEqual(policy.versions[0].document, document(statement('Allow', 'ecs:Describe*')))
    const system = (await did('GET', 'policies/ReadOnlyAccess')).policy
    assert.deepEqual([system.accountId, system.attachedTo.roleNames, system.attachmentCount], [null, ['Night'], 1])
    assert.equal((await did('GET', 'roles/night')).role.policies[0].policyType, 'System')

    const { versionId } = await did('POST', 'policies/looks/versions', { document: document(statement('Deny', '*')) })
    assert.equal(versionId, 'v2')
    await did('PUT', 'policies/looks/default-version', { versionId })
    assert.equal((await ask('DELETE', 'policies/looks/versions/v2')).code, 'DeleteConflict.Policy.Version.Default')
    await did('DELETE', 'policies/looks/versions/v1')
    assert.equal((await ask('DELETE', 'policies/looks')).code, 'DeleteConflict.Policy.User')
    assert.equal((await ask('PUT', 'users/holder/policies/looks')).code, 'EntityAlreadyExists.User.Policy')
    await did('DELETE', 'users/holder/policies/looks')
    assert.equal((await ask('DELETE', 'users/holder/policies/looks')).code, 'EntityNotExist.User.Policy')
    await did('DELETE', 'policies/looks')
    const listed = await did('GET', `policies?policyType=Custom&accountId=${accountId}`)
    assert.deepEqual(listed.items, [])
    assert.ok((await did('GET', 'policies')).items.length > 5)
    await did('DELETE', 'roles/night/policies/ReadOnlyAccess')
    await did('DELETE', 'roles/night')
    assert.deepEqual((await did('GET', 'roles')).items, [])
  })
})

describe('access keys', () => {
  const signs = async (accessKeyId: string, secret: string) => {
    const request = sign({ accessKeyId, secret }, 'GetCallerIdentity', {}, { version: '2015-04-01' })
    return (await inject(api.app, request)).body
  }

  test('are made with a secret that is shown once, switched off, and deleted', async () => {
    await did('POST', 'users', { userName: 'signer' })
    const { accessKey, accessKeySecret } = await did('POST', 'access-keys', { userName: 'Signer' })
    assert.equal((await signs(accessKey.accessKeyId, accessKeySecret)).IdentityType, 'RAMUser')
    const { items } = await did('GET', 'access-keys?userName=signer')
    assert.equal(items.length, 1)
    assert.notEqual(items[0].lastUsedTime, null)
    assert.ok(!JSON.stringify(items).includes(accessKeySecret))
    const path = `access-keys/${accessKey.accessKeyId}`
    assert.equal((await did('PATCH', path, { status: 'Inactive' })).accessKey.status, 'Inactive')
    assert.equal((await signs(accessKey.accessKeyId, accessKeySecret)).Code, 'InvalidAccessKeyId.Inactive')
    await did('PATCH', path, { status: 'Active' })
    await did('POST', 'access-keys', { userName: 'signer' })
    assert.equal((await ask('POST', 'access-keys', { userName: 'signer' })).code, 'LimitExceeded.User.AccessKey')
    assert.equal((await ask('DELETE', 'users/signer')).code, 'DeleteConflict.User.AccessKey')
    await did('DELETE', path)
    assert.equal((await signs(accessKey.accessKeyId, accessKeySecret)).Code, 'InvalidAccessKeyId.NotFound')
    const dry = await did('POST', 'access-keys?dryRun=true', { userName: 'signer' })
    assert.ok(!JSON.stringify(dry.changes).includes('sealedSecret'), JSON.stringify(dry))
  })

  test('leave no secret in the store, the audit log, or for repetitions', async () => {
    await did('POST', 'users', { userName: 'quiet' })
    const repeated = await api.request(
      'POST',
      '/v1/ram/access-keys',
      { userName: 'quiet' },
      {
        headers: { 'idempotency-key': 'again' },
      },
    )
    assert.deepEqual([repeated.status, repeated.body.code], [400, 'InvalidParameter'])
    const { accessKey, accessKeySecret } = await did('POST', 'access-keys', { userName: 'quiet' })
    await api.audit.settled()
    const audit = (await api.request('GET', '/v1/audit?action=ram:CreateAccessKey')).body
    assert.ok(audit.items.length > 0)
    const change = (await api.request('GET', `/v1/changes/${api.world.revision}`)).body
    const stored = api.world.get('accessKey', accessKey.accessKeyId)
    assert.ok(stored!.sealedSecret.startsWith('v1.'))
    for (const where of [audit, change, stored]) assert.ok(!JSON.stringify(where).includes(accessKeySecret))
    assert.ok(!JSON.stringify(audit).includes(stored!.sealedSecret))
  })

  test('of the account are the operators’ to make', async () => {
    const { accessKey, accessKeySecret } = await did('POST', 'access-keys', { userName: null })
    assert.equal((await signs(accessKey.accessKeyId, accessKeySecret)).IdentityType, 'Account')
    await userKey(api, 'mighty', { all: [statement('Allow', '*')] })
    const token = await tokenOf('mighty')
    const refused = await ask('POST', 'access-keys', { userName: null }, token)
    assert.equal(refused.status, 403, JSON.stringify(refused))
    for (const [method, body] of [
      ['PATCH', { status: 'Inactive' }],
      ['DELETE', undefined],
    ] as const) {
      const { status, code } = await ask(method, `access-keys/${accessKey.accessKeyId}`, body, token)
      assert.deepEqual([status, code], [403, 'NoPermission'])
    }
    const seen = (await ask('GET', 'access-keys', undefined, token)).items
    assert.ok(seen.length > 0 && seen.every(({ userName }: { userName: unknown }) => userName !== null))
    await did('DELETE', `access-keys/${accessKey.accessKeyId}`)
  })
})

describe('users of RAM', () => {
  test('look and change here as far as their policies go', async () => {
    await userKey(api, 'keeper', {
      keeps: [
        statement('Allow', 'ram:*'),
        statement('Deny', 'ram:*', [`acs:ram:*:${accountId}:user/mighty`, `acs:ram:*:*:policy/AdministratorAccess`]),
      ],
    })
    const token = await tokenOf('keeper')
    for (const [method, path, body, expected] of [
      ['GET', 'users', undefined, 200],
      ['POST', 'users', { userName: 'made-by-keeper' }, 201],
      ['GET', 'users/MIGHTY', undefined, 403],
      ['DELETE', 'users/Mighty', undefined, 403],
      ['POST', 'access-keys', { userName: 'mighty' }, 403],
      ['PUT', 'users/keeper/policies/AdministratorAccess', undefined, 403],
      ['PUT', 'users/made-by-keeper/policies/ReadOnlyAccess', undefined, 200],
      ['GET', 'users/mighty/simulate?action=ecs:X', undefined, 403],
      ['GET', 'users/keeper/simulate?action=ecs:X', undefined, 200],
      ['GET', 'policies', undefined, 200],
      ['POST', 'groups', { groupName: 'g' }, 201],
      ['DELETE', 'groups/g', undefined, 200],
    ] as const) {
      const answer = await ask(method, path, body, token)
      assert.equal(answer.status, expected, `${method} ${path}: ${JSON.stringify(answer)}`)
    }
    const keysOfMighty = (await did('GET', 'access-keys?userName=mighty')).items
    const { status } = await ask('DELETE', `access-keys/${keysOfMighty[0].accessKeyId}`, undefined, token)
    assert.equal(status, 403)
  })

  test('who are given nothing reach nothing', async () => {
    await userKey(api, 'nothing', {})
    const token = await tokenOf('nothing')
    const { paths } = api.app.swagger() as unknown as { paths: Record<string, Record<string, unknown>> }
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      path.startsWith('/v1/ram/') ? Object.keys(methods).map(method => ({ method: method.toUpperCase(), path })) : [],
    )
    assert.ok(routes.length > 25, String(routes.length))
    const bodies: Readonly<Record<string, unknown>> = {
      'POST /v1/ram/users': { userName: 'x' },
      'POST /v1/ram/groups': { groupName: 'x' },
      'POST /v1/ram/roles': { roleName: 'x', trustPolicy: {} },
      'PATCH /v1/ram/roles/{roleName}': {},
      'PATCH /v1/ram/users/{userName}': {},
      'POST /v1/ram/policies': { policyName: 'x', document: {} },
      'POST /v1/ram/policies/{policyName}/versions': { document: {} },
      'PUT /v1/ram/policies/{policyName}/default-version': { versionId: 'v1' },
      'POST /v1/ram/access-keys': { userName: 'mighty' },
      'PATCH /v1/ram/access-keys/{accessKeyId}': { status: 'Active' },
    }
    for (const { method, path } of routes) {
      const query = path.endsWith('/simulate') ? '?action=ecs:X' : ''
      const url = `${path.replace(/\{versionId\}/, 'v1').replace(/\{\w+\}/g, 'x')}${query}`
      const answer = await api.request(method, url, bodies[`${method} ${path}`], { token })
      assert.deepEqual([answer.status, answer.body.code], [403, 'NoPermission'], `${method} ${path}`)
    }
  })
})

describe('what a user may', () => {
  before(async () => {
    await api.request('POST', '/v1/security-groups', { accountId, securityGroupId: 'sg-web', tags: { team: 'web' } })
    await api.request('POST', '/v1/security-groups', { accountId, securityGroupId: 'sg-db' })
    await newPolicy(
      'office',
      statement('Allow', 'ecs:*', '*', { IpAddress: { 'acs:SourceIp': '198.18.0.0/16' } }),
      statement('Deny', ['ecs:AuthorizeSecurityGroup', 'ecs:RevokeSecurityGroup'], '*', {
        StringEquals: { 'ecs:tag/team': 'web' },
      }),
    )
    await did('POST', 'users', { userName: 'sim' })
    await did('POST', 'groups', { groupName: 'staff' })
    await did('PUT', 'groups/staff/users/sim')
    await did('PUT', 'groups/staff/policies/office')
    await did('PUT', 'users/sim/policies/AliyunECSReadOnlyAccess')
  })

  const rows: readonly [string, string, string, string][] = [
    ['ecs:AuthorizeSecurityGroup', 'sg-web', '198.18.0.1', 'deny Custom/office 2 Deny staff'],
    ['ecs:AuthorizeSecurityGroup', 'sg-db', '198.18.0.1', 'allow Custom/office 1 Allow staff'],
    ['ecs:AuthorizeSecurityGroup', 'sg-db', '198.19.0.1', 'nothing'],
    ['ecs:DescribeSecurityGroups', '', '198.19.0.1', 'allow System/AliyunECSReadOnlyAccess 1 Allow null'],
    [
      'ecs:authorizesecuritygroup',
      `acs:ecs:local:${accountId}:securitygroup/sg-web`,
      '198.18.0.1',
      'deny Custom/office 2 Deny staff',
    ],
    ['ram:GetUser', 'user/SIM', '198.18.0.1', 'nothing'],
  ]
  for (const [action, resource, sourceAddress, expected] of rows) {
    test(`${action} on ${resource} from ${sourceAddress}: ${expected}`, async () => {
      const query = new URLSearchParams({ action, ...(resource !== '' && { resource }), sourceAddress })
      const { simulation } = await did('GET', `users/Sim/simulate?${query}`)
      const [first] = simulation.statements
      const shown = first?.isDeciding
        ? ` ${first.policyType}/${first.policyName} ${first.statement} ${first.effect} ${first.groupName}`
        : ''
      assert.equal(`${simulation.decidedBy}${shown}`, expected, JSON.stringify(simulation))
      assert.equal(simulation.isAllowed, simulation.decidedBy === 'allow')
    })
  }

  test('is judged on all that an action is done to, where nothing is named', async () => {
    await newPolicy('joins', statement('Allow', 'ecs:JoinSecurityGroup', `acs:ecs:*:${accountId}:securitygroup/*`))
    await did('POST', 'users', { userName: 'joiner' })
    await did('PUT', 'users/joiner/policies/joins')
    const ask = async (query: string) => (await did('GET', `users/joiner/simulate?action=${query}`)).simulation
    const whole = await ask('ecs:JoinSecurityGroup')
    assert.deepEqual([whole.isAllowed, whole.decidedBy, whole.statements.length], [false, 'nothing', 1])
    const name = (relative: string) => `acs:ecs:local:${accountId}:${relative}`
    assert.equal(whole.resources[0], name('instance/*'))
    assert.ok(whole.resources.includes(name('securitygroup/*')), whole.resources)
    assert.equal((await ask('ecs:JoinSecurityGroup&resource=sg-web')).isAllowed, true)
    assert.deepEqual((await ask('ringwall:DescribeChanges')).resources, [`acs:ringwall:local:${accountId}:*`])
    assert.deepEqual((await ask('yundun-ddos:DescribeInstance')).resources, [`acs:yundun-ddos:local:${accountId}:*`])
    assert.deepEqual((await ask('ram:createuser')).resources, [`acs:ram::${accountId}:user/*`])
  })

  test('agrees with what is done', async () => {
    const token = await tokenOf('sim')
    const permissions = [{ direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '198.18.0.0/16' }]
    for (const id of ['sg-web', 'sg-db']) {
      const { simulation } = await did('GET', `users/sim/simulate?action=ecs:AuthorizeSecurityGroup&resource=${id}`)
      const { status } = await api.request('POST', `/v1/security-groups/${id}/rules`, { permissions }, { token })
      assert.deepEqual([simulation.isAllowed, status], [false, 403], id)
    }
  })
})
