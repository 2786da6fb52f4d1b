/** Who is not let in, and what the vendor's own clients make of it; and what has gone wrong with other servers before. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import { keyOf } from '../../daemon/model/documents.ts'
import { accountId, otherAccountId } from '../support/api.ts'
import { accountKey, userKey } from '../support/ram.ts'
import { type RpcKey, type RpcOptions, sign, type WireRequest } from '../support/rpc-client.ts'
import { SdkRefusal, sdkClients } from '../support/sdk/clients.ts'
import { type SdkEndpoint, startEndpoint } from '../support/sdk/endpoint.ts'
import { send as sendTo } from '../support/sdk/send.ts'

let plain: SdkEndpoint
let secure: SdkEndpoint
let root: RpcKey
before(async () => {
  plain = await startEndpoint('http')
  secure = await startEndpoint('https')
  root = await accountKey(plain.api)
})
after(async () => {
  await plain[Symbol.asyncDispose]()
  await secure[Symbol.asyncDispose]()
})

const RegionId = 'local'
const names = Object.keys(sdkClients)
const clientOf = (name: string, key: RpcKey, { endpoint }: SdkEndpoint = plain) => sdkClients[name]!(endpoint, key)

async function refusal(call: Promise<unknown>): Promise<SdkRefusal> {
  const error = await call.then(
    answer => assert.fail(`answered: ${JSON.stringify(answer)}`),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof SdkRefusal)) throw error
  return error
}

for (const name of names) {
  describe(name, () => {
    const describeGroups = (key: RpcKey, on = plain) =>
      clientOf(name, key, on).ask('ecs', 'DescribeSecurityGroups', { RegionId })

    test('a wrong secret is told from an unknown key, by 400', async () => {
      const wrong = await refusal(describeGroups({ ...root, secret: `${root.secret}x` }))
      assert.deepEqual([wrong.code, wrong.status ?? 400], ['SignatureDoesNotMatch', 400])
      assert.ok(!`${wrong.message}${JSON.stringify(wrong.original.data)}`.includes(root.secret))
      const unknown = await refusal(describeGroups({ ...root, accessKeyId: 'RWnobody' }))
      assert.deepEqual([unknown.code, unknown.status ?? 400], ['InvalidAccessKeyId.NotFound', 400])
    })

    test('a key that is switched off is told so, and works again when it is on', async () => {
      const key = await accountKey(plain.api, otherAccountId)
      const doc = plain.api.world.get('accessKey', key.accessKeyId)
      const set = (status: string) =>
        plain.api.store.commit({ writes: [{ key: keyOf('accessKey', key.accessKeyId), value: { ...doc, status } }] })
      await set('Inactive')
      assert.equal((await refusal(describeGroups(key))).code, 'InvalidAccessKeyId.Inactive')
      await set('Active')
      await describeGroups(key)
    })

    test('a session needs its own token', async () => {
      const { session, other } = await sessions()
      const answer = await clientOf(name, session).ask('sts', 'GetCallerIdentity')
      assert.equal(answer.IdentityType, 'AssumedRoleUser')
      const rows: readonly [string, RpcKey][] = [
        ['InvalidSecurityToken.MismatchWithAccessKey', { ...session, securityToken: other.securityToken! }],
        ['InvalidSecurityToken.MismatchWithAccessKey', { ...session, securityToken: `${session.securityToken}x` }],
        ['SignatureDoesNotMatch', { ...session, secret: other.secret }],
      ]
      for (const [code, key] of rows) assert.equal((await refusal(describeGroups(key))).code, code)
      const { securityToken: _, ...withoutToken } = session
      // Without it, its id is no key that is kept.
      assert.equal((await refusal(describeGroups(withoutToken))).code, 'InvalidAccessKeyId.NotFound')
      assert.match(
        (await refusal(describeGroups({ ...root, securityToken: session.securityToken! }))).code,
        /^InvalidSecurityToken\./,
      )
    })

    test('who may not is told why, in the fields that the SDK looks at', async () => {
      const key = await userKey(plain.api, `bob${names.indexOf(name)}`, {
        [`look${names.indexOf(name)}`]: [
          { Effect: 'Allow', Action: 'ecs:Describe*', Resource: '*' },
          { Effect: 'Deny', Action: 'ecs:DeleteSecurityGroup', Resource: '*' },
        ],
      })
      const { ask } = clientOf(name, key)
      await ask('ecs', 'DescribeSecurityGroups', { RegionId })
      const implicit = await refusal(ask('ecs', 'CreateSecurityGroup', { RegionId }))
      assert.deepEqual([implicit.code, implicit.status ?? 403], ['Forbidden.RAM', 403])
      const { AuthAction, AuthPrincipalType, AuthPrincipalOwnerId, NoPermissionType } =
        implicit.original.data.AccessDeniedDetail
      assert.deepEqual(
        [AuthAction, AuthPrincipalType, AuthPrincipalOwnerId, NoPermissionType],
        ['ecs:CreateSecurityGroup', 'SubUser', accountId, 'ImplicitDeny'],
      )
      // pop-core leaves it in the body.
      if (!name.startsWith('pop-core')) {
        assert.equal(implicit.original.accessDeniedDetail.NoPermissionType, 'ImplicitDeny')
      }
      const explicit = await refusal(ask('ecs', 'DeleteSecurityGroup', { RegionId, SecurityGroupId: 'sg-none' }))
      assert.equal(explicit.original.data.AccessDeniedDetail.NoPermissionType, 'ExplicitDeny')
    })

    test('what there is not yet is refused, and no crash', async () => {
      const { ask } = clientOf(name, root)
      const missing = await refusal(ask('ecs', 'CreateKeyPair', { RegionId, KeyPairName: 'key' }))
      assert.deepEqual([missing.code, missing.status ?? 400], ['UnsupportedOperation', 400])
    })

    test('empty lists and empty texts are sent and taken as nothing', async () => {
      const { ask } = clientOf(name, root)
      const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId, Description: '', Tag: [] })
      await ask('ecs', 'AuthorizeSecurityGroup', {
        RegionId,
        SecurityGroupId,
        Permissions: [
          { IpProtocol: 'TCP', PortRange: '1/2', SourceCidrIp: '10.0.0.0/8', SourceGroupId: '', Description: '' },
        ],
      })
      await ask('ecs', 'DeleteSecurityGroup', { RegionId, SecurityGroupId })
    })
  })
}

/** Two sessions of a role that may look. */
async function sessions(): Promise<{ readonly session: RpcKey; readonly other: RpcKey }> {
  assumer ??= await makeAssumer(plain)
  return { session: await assume(plain, assumer), other: await assume(plain, assumer) }
}
let assumer: RpcKey | undefined

/** A role that may look, and a user who may assume it. */
async function makeAssumer({ api }: SdkEndpoint): Promise<RpcKey> {
  const nowMs = Date.now()
  const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: `acs:ram::${accountId}:root` } }
  const role = {
    id: '7',
    accountId,
    name: 'looker',
    description: null,
    trustPolicy: JSON.stringify({ Version: '1', Statement: [trust] }),
    maxSessionSeconds: 3600,
    policies: [{ type: 'System', name: 'AliyunECSReadOnlyAccess', attachedAtMs: nowMs }],
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  }
  await api.store.commit({ writes: [{ key: keyOf('ramRole', `${accountId}.looker`), value: role }] })
  return userKey(api, 'assumer', { assume: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }] })
}

async function assume(on: SdkEndpoint, user: RpcKey): Promise<RpcKey> {
  const { Credentials } = await clientOf('SDK, ACS3', user, on).ask('sts', 'AssumeRole', {
    RoleArn: `acs:ram::${accountId}:role/looker`,
    RoleSessionName: 'work',
    DurationSeconds: 900,
  })
  const { AccessKeyId, AccessKeySecret, SecurityToken } = Credentials
  return { accessKeyId: AccessKeyId, secret: AccessKeySecret, securityToken: SecurityToken }
}

test('a session ends', async () => {
  // Clients go by the machine's clock: the daemon's is slow at first, within what it allows.
  let lateMs = 14 * 60_000
  await using slow = await startEndpoint('http', { now: () => Date.now() - lateMs })
  const session = await assume(slow, await makeAssumer(slow))
  await clientOf('SDK, ACS3', session, slow).ask('ecs', 'DescribeSecurityGroups', { RegionId })
  lateMs = -2 * 60_000
  for (const name of names) {
    const { code } = await refusal(clientOf(name, session, slow).ask('ecs', 'DescribeSecurityGroups', { RegionId }))
    assert.equal(code, 'InvalidSecurityToken.Expired')
  }
})

describe('requests of clients that come a second time, late or changed', () => {
  const schemes: readonly RpcOptions['scheme'][] = ['v1', 'acs3']
  const identity = { version: '2015-04-01' }

  const send = (request: WireRequest) => sendTo(plain.endpoint, request)

  for (const scheme of schemes) {
    test(`${scheme}: once is enough`, async () => {
      const request = sign(root, 'GetCallerIdentity', {}, { ...identity, scheme: scheme! })
      assert.equal((await send(request)).status, 200)
      const { status, body } = await send(request)
      assert.deepEqual([status, body.Code], [400, 'SignatureNonceUsed'])
    })

    test(`${scheme}: a nonce is of one key`, async () => {
      const other = await accountKey(plain.api)
      const nonce = `shared-${scheme}`
      for (const key of [root, other]) {
        const request = sign(key, 'GetCallerIdentity', {}, { ...identity, scheme: scheme!, nonce })
        assert.equal((await send(request)).status, 200)
      }
    })

    for (const minutes of [-16, 16]) {
      test(`${scheme}: signed ${minutes} minutes from now`, async () => {
        const nowMs = Date.now() + minutes * 60_000
        const { status, body } = await send(
          sign(root, 'GetCallerIdentity', {}, { ...identity, scheme: scheme!, nowMs }),
        )
        assert.deepEqual([status, body.Code], [400, 'InvalidTimeStamp.Expired'])
      })
    }

    const tampered: readonly [string, RpcOptions][] = [
      ['a parameter more', { tamper: request => ({ ...request, url: `${request.url}${glue(request.url)}More=1` }) }],
      [
        'a value changed',
        { tamper: request => ({ ...request, url: request.url.replace('RegionId=a', 'RegionId=b') }) },
      ],
      [
        'a form body that was not signed',
        { method: 'POST', inForm: true, tamper: r => ({ ...r, body: `${r.body}&X=1` }) },
      ],
    ]
    for (const [what, options] of tampered) {
      test(`${scheme}: ${what}`, async () => {
        const request = sign(root, 'GetCallerIdentity', { RegionId: 'a' }, { ...identity, ...options, scheme: scheme! })
        const { status, body } = await send(request)
        assert.deepEqual([status, body.Code], [400, 'SignatureDoesNotMatch'])
      })
    }
  }

  test('acs3: another Host, as a proxy would write it, is another request', async () => {
    const request = sign(root, 'GetCallerIdentity', {}, { ...identity, scheme: 'acs3' })
    const { body } = await send({ ...request, headers: { ...request.headers, host: 'elsewhere' } })
    assert.equal(body.Code, 'SignatureDoesNotMatch')
    // The older scheme does not sign it.
    const old = sign(root, 'GetCallerIdentity', {}, { ...identity, scheme: 'v1' })
    assert.equal((await send({ ...old, headers: { ...old.headers, host: 'elsewhere' } })).status, 200)
  })

  test('acs3: headers of a retry are signed with the others', async () => {
    const request = sign(root, 'GetCallerIdentity', {}, { ...identity, scheme: 'acs3' })
    const { status } = await send({ ...request, headers: { ...request.headers, 'x-acs-retry-attempts': '1' } })
    assert.equal(status, 200)
  })

  test('v1: what the older Go SDK sends beside is signed and passed over', async () => {
    const more = { SignatureType: '', SignatureMethodX: '', Empty: '' }
    const { status, body } = await send(sign(root, 'GetCallerIdentity', more, identity))
    assert.equal(status, 200, JSON.stringify(body))
  })
})

const glue = (url: string) => (url.includes('?') ? '&' : '?')

describe('too many requests', () => {
  test('are told as throttling, with how long to wait, and other keys go on', async () => {
    await using small = await startEndpoint('http', { requestsPerMinute: 5 })
    const key = await accountKey(small.api)
    const { ask } = clientOf('SDK, ACS3', key, small)
    const rejected: unknown[] = []
    for (let count = 0; count < 7; count += 1) {
      await ask('sts', 'GetCallerIdentity').catch(error => void rejected.push(error))
    }
    assert.equal(rejected.length, 2)
    const { original, code, status } = rejected[0] as SdkRefusal
    assert.deepEqual([original.name, code, status], ['ThrottlingError', 'Throttling.User', 400])
    assert.ok(original.retryAfter > 0 && original.retryAfter <= 60_000, `${original.retryAfter}`)
    const other = await accountKey(small.api)
    await clientOf('pop-core, GET', other, small).ask('sts', 'GetCallerIdentity')
  })
})

describe('roles assumed by the vendor’s own provider of credentials', () => {
  const { default: Credential, Config } = createRequire(import.meta.url)('@alicloud/credentials')

  test('are good for requests, and a wrong secret is told by its message', async () => {
    const statements = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: `acs:ram::${accountId}:root` } }
    const rootOfSecure = await accountKey(secure.api)
    const admin = clientOf('SDK, ACS3', rootOfSecure, secure)
    await admin.ask('ram', 'CreateRole', {
      RoleName: 'Deploy',
      AssumeRolePolicyDocument: JSON.stringify({ Version: '1', Statement: [statements] }),
    })
    await admin.ask('ram', 'AttachPolicyToRole', {
      PolicyType: 'System',
      PolicyName: 'AliyunECSFullAccess',
      RoleName: 'Deploy',
    })
    const user = await userKey(secure.api, 'robot', {
      assume: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }],
    })
    const credentialOf = ({ accessKeyId, secret }: RpcKey) =>
      new Credential(
        new Config({
          type: 'ram_role_arn',
          accessKeyId,
          accessKeySecret: secret,
          roleArn: `acs:ram::${accountId}:role/deploy`,
          roleSessionName: 'robot',
          roleSessionExpiration: 900,
          stsEndpoint: secure.endpoint.host,
          timeout: 60_000,
          connectTimeout: 60_000,
        }),
      )
    const given = await credentialOf(user).getCredential()
    assert.match(given.accessKeyId, /^STS\./)
    const session = {
      accessKeyId: given.accessKeyId,
      secret: given.accessKeySecret,
      securityToken: given.securityToken,
    }
    for (const name of names) {
      const { SecurityGroupId } = await clientOf(name, session, secure).ask('ecs', 'CreateSecurityGroup', { RegionId })
      assert.match(SecurityGroupId, /^sg-/)
    }
    // It compares the message of the endpoint with what it signed itself.
    await assert.rejects(credentialOf({ ...user, secret: 'wrong' }).getCredential(), /the access key secret is invalid/)
  })
})
