/** The RPC endpoint: who is let in, and in which shape he is told that he is not. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { keyOf } from '../../../daemon/model/documents.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { inject, type RpcKey, type RpcOptions, sign, type WireRequest } from '../../support/rpc-client.ts'

let api: TestApi
let root: RpcKey
before(async () => {
  api = await startApi()
  root = await accountKey(api)
})
after(() => api[Symbol.asyncDispose]())

const sts = { version: '2015-04-01' }
const ask = (key: RpcKey, options: RpcOptions = {}, action = 'GetCallerIdentity', parameters: object = {}) =>
  inject(api.app, sign(key, action, parameters, { ...sts, ...options }))

const variants: readonly RpcOptions[] = (['v1', 'acs3'] as const).flatMap(scheme =>
  (['GET', 'POST'] as const).flatMap(method => [false, true].map(inForm => ({ scheme, method, inForm }))),
)
const nameOf = ({ scheme, method, inForm }: RpcOptions) => `${scheme} ${method}${inForm ? ', form' : ''}`

describe('a signed request', () => {
  for (const variant of variants.filter(({ method, inForm }) => method === 'POST' || !inForm)) {
    test(`is answered: ${nameOf(variant)}`, async () => {
      const parameters = { Awkward: "~!'()* +&=中\u{1F600}", List: ['a', { B: 'c' }], Empty: '' }
      const { status, body } = await ask(root, variant, 'GetCallerIdentity', parameters)
      assert.equal(status, 200, JSON.stringify(body))
      const { RequestId, ...identity } = body
      assert.match(RequestId, /^[0-9A-F-]{36}$/)
      const Arn = `acs:ram::${accountId}:root`
      assert.deepEqual(identity, { IdentityType: 'Account', AccountId: accountId, PrincipalId: accountId, Arn })
    })
  }

  const moved = (request: WireRequest): WireRequest => ({
    ...request,
    url: `${request.url}${request.url.includes('?') ? '&' : '?'}More=1`,
  })
  const rows: readonly [string, Partial<RpcKey>, RpcOptions, string][] = [
    ['with a wrong secret', { secret: 'wrong' }, {}, 'SignatureDoesNotMatch'],
    ['with a wrong secret, ACS3', { secret: 'wrong' }, { scheme: 'acs3' }, 'SignatureDoesNotMatch'],
    ['with a parameter more', {}, { tamper: moved }, 'SignatureDoesNotMatch'],
    ['with a parameter more, ACS3', {}, { scheme: 'acs3', tamper: moved }, 'SignatureDoesNotMatch'],
    ['of an unknown key', { accessKeyId: 'RWnobody' }, {}, 'InvalidAccessKeyId.NotFound'],
    ['from too long ago', {}, { nowMs: Date.now() - 16 * 60_000 }, 'InvalidTimeStamp.Expired'],
    ['from the future', {}, { nowMs: Date.now() + 16 * 60_000 }, 'InvalidTimeStamp.Expired'],
    ['with a token that is none', { securityToken: 'x' }, {}, 'InvalidSecurityToken.Malformed'],
  ]
  for (const [name, key, options, code] of rows) {
    test(`${name} is refused: ${code}`, async () => {
      const { status, body } = await ask({ ...root, ...key }, options)
      assert.deepEqual([status, body.Code], [400, code])
      assert.deepEqual(Object.keys(body), ['RequestId', 'HostId', 'Code', 'Message', 'Recommend'])
      assert.ok(!JSON.stringify(body).includes(root.secret))
    })
  }

  test('says what was signed where the signature is wrong', async () => {
    const { body } = await ask({ ...root, secret: 'wrong' })
    assert.match(body.Message, /server string to sign is:GET&%2F&AccessKeyId%3D/)
  })

  test('counts once', async () => {
    const request = sign(root, 'GetCallerIdentity', {}, sts)
    assert.equal((await inject(api.app, request)).status, 200)
    const { status, body } = await inject(api.app, request)
    assert.deepEqual([status, body.Code], [400, 'SignatureNonceUsed'])
  })

  test('of a key that is inactive is refused', async () => {
    const key = await accountKey(api)
    const doc = api.world.get('accessKey', key.accessKeyId)
    await api.store.commit({
      writes: [{ key: keyOf('accessKey', key.accessKeyId), value: { ...doc, status: 'Inactive' } }],
    })
    assert.equal((await ask(key)).body.Code, 'InvalidAccessKeyId.Inactive')
  })

  test('for what there is not is refused', async () => {
    for (const [action, version] of [
      ['Nothing', '2015-04-01'],
      ['GetCallerIdentity', '2014-05-26'],
      ['__proto__', '1'],
    ]) {
      const { status, body } = await ask(root, { version: version! }, action!)
      assert.deepEqual([status, body.Code], [400, 'InvalidAction.NotFound'])
    }
  })
})

describe('whatever else comes to the endpoint', () => {
  const rows: readonly [string, WireRequest | (Omit<WireRequest, 'method'> & { method: string }), string][] = [
    ['nothing', { method: 'GET', url: '/', headers: {}, body: '' }, 'MissingParameter'],
    ['another method', { method: 'DELETE', url: '/', headers: {}, body: '' }, 'InvalidHttpMethod'],
    [
      'JSON',
      { method: 'POST', url: '/', headers: { 'content-type': 'application/json' }, body: '{' },
      'MissingParameter',
    ],
    ['a large body', { method: 'POST', url: '/', headers: {}, body: 'a'.repeat(1024 * 1024 + 1) }, 'RequestTooLarge'],
    [
      'a million parameters',
      {
        method: 'POST',
        url: '/',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'a&'.repeat(500_000),
      },
      'InvalidParameter',
    ],
    ['broken encoding', { method: 'GET', url: '/?Action=%', headers: {}, body: '' }, 'InvalidParameter'],
    ['a parameter twice', { method: 'GET', url: '/?Action=a&Action=b', headers: {}, body: '' }, 'MissingParameter'],
  ]
  for (const [name, request, code] of rows) {
    test(`${name} is refused in its shape: ${code}`, async () => {
      const { status, body } = await inject(api.app, request as WireRequest)
      assert.equal(body.Code, code)
      assert.ok(status >= 400 && status < 500)
      assert.match(body.RequestId, /^[0-9A-F-]{36}$/)
    })
  }

  test('does not stand in the OpenAPI document, nor take the place of /v1', async () => {
    const { body } = await api.request('GET', '/openapi.json')
    assert.equal(body.paths['/'], undefined)
    assert.equal((await api.request('GET', '/v1/whoami')).status, 200)
  })
})

describe('who has failed too often', () => {
  test('is told to wait, and good keys go on', async () => {
    await using small = await startApi({ requestsPerMinute: 50 })
    const key = await accountKey(small)
    const call = (secret: string) => inject(small.app, sign({ ...key, secret }, 'GetCallerIdentity', {}, sts))
    const codes: string[] = []
    for (let attempt = 0; attempt < 8; attempt += 1) codes.push((await call('wrong')).body.Code)
    assert.deepEqual([codes[0], codes.at(-1)], ['SignatureDoesNotMatch', 'Throttling.User'])
    assert.equal((await call(key.secret)).status, 200)
  })
})

describe('a session', () => {
  const trust = JSON.stringify({
    Version: '1',
    Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: `acs:ram::${accountId}:root` } }],
  })

  test('is had by who may assume the role, and is somebody of its own', async () => {
    const alice = await userKey(api, 'alice', {
      assume: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }],
    })
    const bob = await userKey(api, 'bob', {})
    const nowMs = Date.now()
    const role = {
      id: '1',
      accountId,
      name: 'Ops',
      description: null,
      trustPolicy: trust,
      maxSessionSeconds: 3600,
      policies: [],
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    }
    await api.store.commit({ writes: [{ key: keyOf('ramRole', `${accountId}.ops`), value: role }] })
    const wish = { RoleArn: `acs:ram::${accountId}:role/ops`, RoleSessionName: 'work' }
    const { body, status } = await ask(alice, {}, 'AssumeRole', wish)
    assert.equal(status, 200, JSON.stringify(body))
    const { AccessKeyId, AccessKeySecret, SecurityToken } = body.Credentials
    const session = { accessKeyId: AccessKeyId, secret: AccessKeySecret, securityToken: SecurityToken }
    for (const variant of variants.filter(({ inForm }) => !inForm)) {
      const answer = await ask(session, variant)
      assert.equal(answer.body.Arn, `acs:ram::${accountId}:assumed-role/ops/work`, JSON.stringify(answer.body))
    }
    const denied = await ask(bob, {}, 'AssumeRole', wish)
    assert.deepEqual([denied.status, denied.body.Code], [403, 'NoPermission'])
    assert.equal(denied.body.AccessDeniedDetail.NoPermissionType, 'ImplicitDeny')
  })
})

describe('RingwallWait', () => {
  test('says how far the write has come, and is over when the client is gone', async () => {
    const waits: unknown[] = []
    const enforced = { state: 'enforced', agents: 2, enforced: 2, behind: [] } as const
    await using waited = await startApi({
      board: {
        status: async revision => ({ revision, ...enforced }),
        awaitEnforced: async (revision, timeoutMs, signal) => {
          waits.push([revision, timeoutMs, signal?.aborted])
          return { revision, ...enforced }
        },
        agentsTouchedBy: () => [],
      },
    })
    const key = await accountKey(waited)
    const parameters = { RingwallWait: 'enforced', RingwallWaitTimeout: 7 }
    const request = sign(key, 'CreateSecurityGroup', parameters, { version: '2014-05-26' })
    const { status, body } = await inject(waited.app, request)
    assert.deepEqual([status, body.RingwallEnforcement], [200, enforced], JSON.stringify(body))
    assert.deepEqual(waits, [[waited.world.revision, 7000, false]])
  })
})
