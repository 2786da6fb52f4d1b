/** Changes and the audit log over the API. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { EnforcementBoard } from '../../../daemon/services/enforcement.ts'
import { CompactedError } from '../../../daemon/store/store.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'

async function makeInstances(api: TestApi, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1)
    await post(api, '/v1/instances', { accountId, instanceId: `i-${number}` })
}

async function pages(api: TestApi, url: string): Promise<Record<string, unknown>[]> {
  const items = []
  let nextToken: string | null = null
  do {
    const answer = await api.request('GET', `${url}${nextToken === null ? '' : `&nextToken=${nextToken}`}`)
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    assert.equal(answer.body.totalCount, null)
    items.push(...answer.body.items)
    nextToken = answer.body.nextToken
  } while (nextToken !== null)
  return items
}

describe('changes', () => {
  test('are listed newest first, page by page, also over many that are nobody’s business', async () => {
    await using api = await startApi()
    await makeInstances(api, 5)
    for (let number = 0; number < 230; number += 1) {
      const value = { fingerprint: '', status: 200, body: null, revision: 0, expiresAtMs: 0 }
      await api.store.commit({ writes: [{ key: `idempotency/${number}`, value }] })
    }
    await post(api, '/v1/instances', { accountId, instanceId: 'i-last' })
    const items = await pages(api, '/v1/changes?maxResults=2')
    assert.deepEqual(items.map(({ keys }) => (keys as string[])[0]).slice(0, 6), [
      'instance/i-last',
      'instance/i-5',
      'instance/i-4',
      'instance/i-3',
      'instance/i-2',
      'instance/i-1',
    ])
    assert.equal(items.at(-1)!.action, null)
    assert.equal(items[0]!.action, 'ecs:RunInstances')
    assert.deepEqual(items[0]!.principal, { kind: 'token', id: 'token-test0', name: 'token-test0' })
  })

  test('are looked up one by one, so that a list keeps nobody waiting', async () => {
    let turn = 0
    let next = setImmediate(function count() {
      turn += 1
      next = setImmediate(count)
    })
    const turns: number[] = []
    const board: EnforcementBoard = {
      status: async revision => {
        turns.push(turn)
        return { revision, state: 'enforced', agents: 0, enforced: 0, behind: [] }
      },
      awaitEnforced: async revision => ({ revision, state: 'enforced', agents: 0, enforced: 0, behind: [] }),
      agentsTouchedBy: () => [],
    }
    try {
      await using api = await startApi({ board })
      await makeInstances(api, 4)
      await api.request('GET', '/v1/changes')
    } finally {
      clearImmediate(next)
    }
    assert.ok(turns.length >= 4)
    assert.equal(new Set(turns).size, turns.length)
  })

  test('say who is behind', async () => {
    const behind = { agentId: 'agent-1', hostName: 'web1', state: 'refusing', sinceMs: 0, error: 'nft' } as const
    const board: EnforcementBoard = {
      status: async revision => ({ revision, state: 'pending', agents: 3, enforced: 2, behind: [behind] }),
      awaitEnforced: async revision => ({ revision, state: 'enforced', agents: 0, enforced: 0, behind: [] }),
      agentsTouchedBy: () => [],
    }
    await using api = await startApi({ board })
    await makeInstances(api, 1)
    const { body } = await api.request('GET', `/v1/changes/${api.store.head()}`)
    assert.deepEqual(body.enforcement, {
      state: 'pending',
      agents: 3,
      enforced: 2,
      behind: [
        { agentId: 'agent-1', hostName: 'web1', state: 'refusing', since: '1970-01-01T00:00:00.000Z', error: 'nft' },
      ],
    })
    assert.deepEqual(body.keys, ['instance/i-1'])
  })

  test('that were compacted are not there, and the oldest that is, is said', async () => {
    await using api = await startApi()
    await makeInstances(api, 6)
    await api.store.compact(5)
    const answer = await api.request('GET', '/v1/changes/4')
    assert.deepEqual(
      [answer.status, answer.body.code, answer.body.oldestRevision],
      [404, 'InvalidRevision.NotFound', 5],
    )
    const items = await pages(api, '/v1/changes?maxResults=3')
    assert.deepEqual(
      items.map(({ revision }) => revision),
      [8, 7, 6, 5],
    )
    assert.equal((await api.request('GET', '/v1/changes/9')).status, 404)
  })

  test('whose enforcement is not known any more are listed without it', async () => {
    const board: EnforcementBoard = {
      status: async revision => {
        throw new CompactedError(revision, 99)
      },
      awaitEnforced: async revision => ({ revision, state: 'enforced', agents: 0, enforced: 0, behind: [] }),
      agentsTouchedBy: () => [],
    }
    await using api = await startApi({ board })
    await makeInstances(api, 1)
    const { items } = (await api.request('GET', '/v1/changes')).body
    assert.equal(items[0].enforcement, null)
    assert.equal((await api.request('GET', `/v1/changes/${api.store.head()}`)).status, 404)
  })
})

describe('the audit log', () => {
  test('has every write, done and refused, and is searched and paged', async () => {
    await using api = await startApi()
    await makeInstances(api, 3)
    const refused = await api.request('DELETE', '/v1/instances/i-none')
    await api.request('PATCH', '/v1/instances/i-2', { instanceName: 'two' })
    await api.request('GET', '/v1/instances/i-none')
    await api.request('DELETE', '/v1/instances/i-none?dryRun=true')
    await api.audit.settled()
    const items = await pages(api, '/v1/audit?maxResults=2')
    assert.deepEqual(
      items.map(({ action, outcome, code }) => [action, outcome, code]),
      [
        ['ecs:ModifyInstanceAttribute', 'done', null],
        ['ecs:DeleteInstance', 'refused', 'InvalidInstanceId.NotFound'],
        ...Array.from({ length: 3 }, () => ['ecs:RunInstances', 'done', null]),
      ],
    )
    assert.deepEqual(items[0]!.changes, [
      { key: 'instance/i-2', before: { instanceName: null }, after: { instanceName: 'two' } },
    ])
    const count = async (query: string) => (await pages(api, `/v1/audit?${query}`)).length
    assert.deepEqual(
      [
        await count('outcome=refused'),
        await count('key=instance/i-2'),
        await count('key=instance/i-none'),
        await count(`requestId=${refused.body.requestId}`),
        await count('principalId=token-test0'),
        await count('action=ecs:RunInstances'),
        await count('since=2100-01-01T00:00:00Z'),
        await count('until=2100-01-01T00:00:00%2B02:00'),
      ],
      [1, 2, 1, 1, 5, 3, 0, 5],
    )
  })
})
