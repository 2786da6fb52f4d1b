/** What holds for every write: dry runs, If-Match, Idempotency-Key, waiting, and many at once. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { EnforcementBoard } from '../../../daemon/services/enforcement.ts'
import { sweepIdempotency } from '../../../daemon/services/idempotency.ts'
import { CompactedError } from '../../../daemon/store/store.ts'
import { accountId, startApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'

const instances = '/v1/instances'
const withKey = (key: string) => ({ headers: { 'idempotency-key': key } })

describe('If-Match', () => {
  test('of two writers who read the same, one is told to read again', async () => {
    await using api = await startApi()
    await post(api, instances, { accountId, instanceId: 'i-1' })
    await post(api, '/v1/network-interfaces', { networkInterfaceId: 'eni-1', instanceId: 'i-1', securityGroupIds: [] })
    const url = '/v1/network-interfaces/eni-1'
    const { etag } = (await api.request('GET', url)).headers
    const answers = await Promise.all(
      ['one', 'two'].map(description =>
        api.request('PATCH', url, { description }, { headers: { 'if-match': String(etag) } }),
      ),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412])
    const winner = answers.find(({ status }) => status === 200)!
    const loser = answers.find(({ status }) => status === 412)!
    assert.equal(loser.body.code, 'PreconditionFailed')
    assert.equal(loser.body.currentRevision, winner.body.revision)
    const now = await api.request('GET', url)
    assert.equal(now.body.networkInterface.description, winner.body.networkInterface.description)
    assert.equal(now.headers.etag, winner.headers.etag)
  })

  test('of two writers on a group too', async () => {
    await using api = await startApi()
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-1' })
    const { etag } = (await api.request('GET', '/v1/security-groups/sg-1')).headers
    const headers = { 'if-match': String(etag) }
    const answers = await Promise.all(
      ['one', 'two'].map(name =>
        api.request('PATCH', '/v1/security-groups/sg-1', { securityGroupName: name }, { headers }),
      ),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412])
  })

  for (const [header, expected] of [
    ['"0"', '412 PreconditionFailed'],
    ['"999"', '412 PreconditionFailed'],
    ['7', '400 InvalidParameter'],
    ['W/"7"', '400 InvalidParameter'],
    ['"-1"', '400 InvalidParameter'],
    ['*', '200 undefined'],
  ]) {
    test(`${header} is answered ${expected}`, async () => {
      await using api = await startApi()
      await post(api, instances, { accountId, instanceId: 'i-1' })
      const headers = { 'if-match': header! }
      const answer = await api.request('PATCH', `${instances}/i-1`, { instanceName: 'x' }, { headers })
      assert.equal(`${answer.status} ${answer.body.code}`, expected)
    })
  }

  test('is refused where the path names no object', async () => {
    await using api = await startApi()
    for (const header of ['"1"', '*']) {
      const answer = await api.request('POST', instances, { accountId }, { headers: { 'if-match': header } })
      assert.deepEqual([answer.status, answer.body.errors[0].field], [400, 'If-Match'])
    }
    assert.equal(api.world.count('instance'), 0)
  })
})

describe('Idempotency-Key', () => {
  test('the same request again gets the first answer, and is carried out once', async () => {
    await using api = await startApi()
    const first = await api.request('POST', instances, { accountId }, withKey('k1'))
    const head = api.store.head()
    const again = await api.request('POST', instances, { accountId }, withKey('k1'))
    assert.deepEqual([again.status, again.body], [201, first.body])
    assert.deepEqual([first.headers['idempotent-replayed'], again.headers['idempotent-replayed']], [undefined, 'true'])
    assert.deepEqual([api.store.head(), api.world.count('instance')], [head, 1])
  })

  test('another request under the key is refused', async () => {
    await using api = await startApi()
    await api.request('POST', instances, { accountId }, withKey('k1'))
    for (const [method, url, body] of [
      ['POST', instances, { accountId, instanceName: 'x' }],
      ['POST', `${instances}?timeout=5`, { accountId }],
      ['POST', '/v1/accounts', { name: 'x' }],
    ] as const) {
      const answer = await api.request(method, url, body, withKey('k1'))
      assert.deepEqual([answer.status, answer.body.code], [422, 'IdempotentParameterMismatch'], url)
    }
    assert.equal(api.world.count('instance'), 1)
  })

  test('a refused request is not kept: it may succeed later', async () => {
    await using api = await startApi()
    const body = { accountId, instanceId: 'i-1' }
    await post(api, instances, body)
    assert.equal((await api.request('POST', instances, body, withKey('k'))).status, 409)
    await api.request('DELETE', `${instances}/i-1`)
    assert.equal((await api.request('POST', instances, body, withKey('k'))).status, 201)
  })

  test('twenty at once make one', async () => {
    await using api = await startApi()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => api.request('POST', instances, { accountId }, withKey('k'))),
    )
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
    assert.equal(new Set(answers.map(({ body }) => body.instance.instanceId)).size, 1)
    assert.equal(api.world.count('instance'), 1)
  })

  test('keys are each token’s own', async () => {
    await using api = await startApi()
    const token = await api.makeToken([{ accountId, access: 'write' }])
    await api.request('POST', instances, { accountId }, withKey('k'))
    const other = await api.request('POST', instances, { accountId }, { token, ...withKey('k') })
    assert.deepEqual([other.status, other.headers['idempotent-replayed']], [201, undefined])
    assert.equal(api.world.count('instance'), 2)
  })

  test('it holds over a restart, and is over after a day', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ringwall-writes-'))
    let nowMs = Date.parse('2026-01-01T00:00:00Z')
    const now = () => nowMs
    try {
      let token: string
      let first: unknown
      {
        await using api = await startApi({ folder, now })
        token = api.token
        first = (await api.request('POST', instances, { accountId }, withKey('k'))).body
      }
      await using api = await startApi({ folder, now, accounts: [] })
      nowMs += 24 * 3600 * 1000 - 1
      const again = await api.request('POST', instances, { accountId }, { token, ...withKey('k') })
      assert.deepEqual([again.headers['idempotent-replayed'], again.body], ['true', first])
      assert.deepEqual(sweepIdempotency(api.world, nowMs), [])
      nowMs += 1
      const swept = sweepIdempotency(api.world, nowMs)
      assert.equal(swept.length, 1)
      await api.store.commit({ writes: swept })
      assert.equal(api.world.count('idempotency'), 0)
      const later = await api.request('POST', instances, { accountId }, { token, ...withKey('k') })
      assert.equal(later.headers['idempotent-replayed'], undefined)
      assert.equal(api.world.count('instance'), 2)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a request that changes nothing is remembered too', async () => {
    await using api = await startApi()
    await post(api, instances, { accountId, instanceId: 'i-1' })
    const answer = await api.request('PATCH', `${instances}/i-1`, {}, withKey('k'))
    const again = await api.request('PATCH', `${instances}/i-1`, {}, withKey('k'))
    assert.deepEqual(again.body, answer.body)
    assert.equal(again.headers['idempotent-replayed'], 'true')
  })

  test('secrets are not kept, so that a key is refused where there is one', async () => {
    await using api = await startApi()
    const body = { name: 'x', scopes: [{ accountId, access: 'read' }] }
    const answer = await api.request('POST', '/v1/tokens', body, withKey('k'))
    assert.deepEqual([answer.status, api.world.count('token')], [400, 1])
  })

  for (const key of ['', 'a'.repeat(65), 'with space', 'ünicode']) {
    test(`${JSON.stringify(key.slice(0, 12))} is no key`, async () => {
      await using api = await startApi()
      assert.equal((await api.request('POST', instances, { accountId }, withKey(key))).status, 400)
      assert.equal(api.world.count('instance'), 0)
    })
  }
})

describe('at once', () => {
  test('a hundred writers pass no limit together', async () => {
    await using api = await startApi()
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-1' })
    await api.request('PATCH', '/v1/settings', { limits: { basicGroupPrivateIps: 40 } })
    await post(api, instances, { accountId, instanceId: 'i-1' })
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        api.request('POST', '/v1/network-interfaces', {
          instanceId: 'i-1',
          privateIpAddresses: [`198.18.3.${index}`],
          securityGroupIds: ['sg-1'],
        }),
      ),
    )
    const counts = Map.groupBy(answers, ({ status }) => status)
    assert.deepEqual([counts.get(201)?.length, counts.get(403)?.length], [40, 60])
    assert.equal(api.world.membersOf('sg-1').size, 40)
    const { limits } = (await api.request('GET', '/v1/limits')).body
    const use = limits.find(({ limit }: { limit: string }) => limit === 'basicGroupPrivateIps')
    assert.deepEqual([use.maximum, use.highest, use.where], [40, 40, 'sg-1'])
  })

  test('of ten who want one address, one gets it', async () => {
    await using api = await startApi()
    await post(api, instances, { accountId, instanceId: 'i-1' })
    const body = { instanceId: 'i-1', privateIpAddresses: ['198.18.0.1'], securityGroupIds: [] }
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => api.request('POST', '/v1/network-interfaces', body)),
    )
    assert.equal(answers.filter(({ status }) => status === 201).length, 1)
    assert.ok(answers.every(({ status }) => status === 201 || status === 409))
  })
})

describe('?wait=enforced', () => {
  const behind = { agentId: 'agent-1', hostName: 'web1', state: 'away', sinceMs: 0, error: null } as const
  const waits: unknown[] = []
  const board: EnforcementBoard = {
    status: async revision => ({ revision, state: 'pending', agents: 2, enforced: 1, behind: [behind] }),
    awaitEnforced: async (revision, timeoutMs) => {
      waits.push([revision, timeoutMs])
      return { revision, state: 'pending', agents: 2, enforced: 1, behind: [behind] }
    },
    agentsTouchedBy: () => ['agent-1'],
  }

  test('asks for the revision of the commit and says who is behind', async () => {
    await using api = await startApi({ board })
    const answer = await api.request('POST', `${instances}?wait=enforced&timeout=3`, { accountId })
    assert.deepEqual(waits.at(-1), [answer.body.revision, 3000])
    assert.deepEqual(answer.body.enforcement.behind, [
      { agentId: 'agent-1', hostName: 'web1', state: 'away', since: '1970-01-01T00:00:00.000Z', error: null },
    ])
  })

  test('for what is there already asks for the commit that made it so', async () => {
    await using api = await startApi({ board })
    await post(api, '/v1/security-groups', { accountId, securityGroupId: 'sg-1' })
    const url = '/v1/security-groups/sg-1/rules'
    const body = {
      permissions: [{ direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '0.0.0.0/0' }],
    }
    const added = await api.request('POST', url, body)
    await post(api, instances, { accountId, instanceId: 'i-1' })
    const again = await api.request('POST', `${url}?wait=enforced`, body)
    assert.equal(again.body.revision, api.world.revision)
    assert.deepEqual(waits.at(-1), [added.body.revision, 10_000])
  })

  test('of a revision whose history is gone asks for the present one', async () => {
    const forgetful: EnforcementBoard = {
      ...board,
      awaitEnforced: async (revision, timeoutMs) => {
        if (revision < api.world.revision) throw new CompactedError(revision, api.world.revision)
        return board.awaitEnforced(revision, timeoutMs)
      },
    }
    await using api = await startApi({ board: forgetful })
    await post(api, instances, { accountId, instanceId: 'i-1' })
    await post(api, instances, { accountId, instanceId: 'i-2' })
    const again = await api.request('PATCH', `${instances}/i-1?wait=enforced`, { description: null })
    assert.deepEqual([again.status, waits.at(-1)], [200, [api.world.revision, 10_000]])
  })

  test('is over when the client is gone', async () => {
    const begun = Promise.withResolvers<void>()
    const over = Promise.withResolvers<void>()
    const endless: EnforcementBoard = {
      ...board,
      awaitEnforced: async (revision, timeoutMs, signal) => {
        begun.resolve()
        await once(signal!, 'abort')
        over.resolve()
        return board.awaitEnforced(revision, timeoutMs)
      },
    }
    await using api = await startApi({ board: endless })
    await api.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = api.app.server.address() as AddressInfo
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method: 'POST',
      path: `${instances}?wait=enforced&timeout=300`,
      headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/json' },
    }).on('error', () => {})
    request.end(JSON.stringify({ accountId }))
    await begun.promise
    request.destroy()
    await over.promise
  })

  for (const query of ['wait=yes', 'wait=enforced&timeout=0', 'wait=enforced&timeout=301', 'dryRun=maybe']) {
    test(`${query} is refused`, async () => {
      await using api = await startApi({ board })
      assert.equal((await api.request('POST', `${instances}?${query}`, { accountId })).status, 400)
      assert.equal(api.world.count('instance'), 0)
    })
  }

  test('a dry run names the agents, and is no refused write', async () => {
    await using api = await startApi({ board })
    const answer = await api.request('POST', `${instances}?dryRun=true`, { accountId })
    assert.deepEqual([answer.status, answer.body.dryRun, answer.body.agents], [200, true, ['agent-1']])
    const refused = await api.request('POST', `${instances}?dryRun=true`, { accountId, agentId: 'agent-none' })
    assert.deepEqual([refused.status, api.refused.length, api.world.count('instance')], [400, 0, 0])
  })
})
