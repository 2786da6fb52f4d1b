/** Lists in pages: complete whatever is added or deleted meanwhile, sorted, filtered, and never slow. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'

const url = '/v1/instances'

describe('lists', () => {
  let api: TestApi
  before(async () => {
    api = await startApi()
    for (let number = 10; number < 35; number += 1) {
      await post(api, url, {
        accountId,
        instanceId: `i-${number}`,
        instanceName: number % 5 === 0 ? null : `Name ${number % 3}`,
        tags: { number: String(number), parity: number % 2 === 0 ? 'even' : 'odd', ...(number === 12 && { lone: '' }) },
      })
    }
  })
  after(() => api[Symbol.asyncDispose]())

  /** Every page after the other; `between` runs after each. */
  async function pages(query: string, between: (page: number) => Promise<void> = async () => {}): Promise<string[]> {
    const ids: string[] = []
    let nextToken: string | null = null
    for (let page = 0; page === 0 || nextToken !== null; page += 1) {
      const more: string = nextToken === null ? '' : `&nextToken=${encodeURIComponent(nextToken)}`
      const answer = await api.request('GET', `${url}?${query}${more}`)
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      ids.push(...answer.body.items.map((item: { instanceId: string }) => item.instanceId))
      nextToken = answer.body.nextToken
      await between(page)
    }
    return ids
  }

  const all = Array.from({ length: 25 }, (_, index) => `i-${index + 10}`)

  test('every item once, in the order of ids, page by page', async () => {
    assert.deepEqual(await pages('maxResults=4'), all)
    assert.deepEqual(await pages('maxResults=25'), all)
    assert.deepEqual(await pages('maxResults=4&sort=-instanceId'), all.toReversed())
  })

  test('pages do not move by what is added or deleted meanwhile', async () => {
    const ids = await pages('maxResults=5', async page => {
      // Before what was shown, after it, and the very item the next page goes on from.
      if (page === 0) await post(api, url, { accountId, instanceId: 'i-05' })
      if (page === 0) await post(api, url, { accountId, instanceId: 'i-29x' })
      if (page === 1) await api.request('DELETE', `${url}/i-19`)
    })
    assert.deepEqual(ids, [...all.slice(0, 20), 'i-29x', ...all.slice(20)])
    for (const id of ['i-05', 'i-29x']) await api.request('DELETE', `${url}/${id}`)
    await post(api, url, {
      accountId,
      instanceId: 'i-19',
      tags: { number: '19', parity: 'odd' },
      instanceName: 'Name 1',
    })
  })

  test('sorted by a field, by id where that is equal, nulls first', async () => {
    const names = new Map(
      (await api.request('GET', url)).body.items.map((item: Record<string, string>) => [
        item.instanceId,
        item.instanceName,
      ]),
    )
    const key = (id: string) => `${names.get(id) ?? ''} ${id}`
    const expected = all.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))
    assert.deepEqual(await pages('maxResults=4&sort=instanceName'), expected)
    assert.deepEqual(await pages('maxResults=4&sort=-instanceName'), expected.toReversed())
  })

  for (const [query, expected] of [
    ['tag=parity:even&tag=number:12', 'i-12'],
    ['tag=lone', 'i-12'],
    ['tag=lone:', 'i-12'],
    ['tag=parity:even&tag=number:13', ''],
    ['tag=constructor', ''],
    ['tag=__proto__', ''],
    ['instanceName=name%200&tag=number:12', 'i-12'],
    ['instanceName=*E%200&tag=number:12', 'i-12'],
    ['instanceName=N*m*%200&tag=number:12', 'i-12'],
    ['instanceName=Name&tag=number:12', ''],
    ['instanceName=*&tag=number:12', 'i-12'],
    ['instanceName=Name%200*0&tag=number:12', ''],
  ] as const) {
    test(`?${query} finds ${expected || 'nothing'}`, async () => {
      assert.equal((await pages(query)).join(' '), expected)
    })
  }

  test('totalCount is that of all pages', async () => {
    const { body } = await api.request('GET', `${url}?maxResults=2&tag=parity:even`)
    assert.deepEqual([body.items.length, body.totalCount], [2, 13])
  })

  test('a pattern of a hundred stars that does not match is answered as fast as any', async () => {
    await post(api, url, { accountId, instanceId: 'i-long', instanceName: 'a'.repeat(128) })
    const answer = await api.request('GET', `${url}?instanceName=${'*a'.repeat(100)}*b`)
    assert.deepEqual([answer.status, answer.body.totalCount], [200, 0])
    const matching = await api.request('GET', `${url}?instanceName=${'*a'.repeat(100)}*`)
    assert.equal(matching.body.totalCount, 1)
    await api.request('DELETE', `${url}/i-long`)
  })

  test('an empty filter finds what has nothing there', async () => {
    const unnamed = all.filter(id => Number(id.slice(2)) % 5 === 0)
    assert.deepEqual(await pages('instanceName='), unnamed)
    assert.deepEqual(await pages('agentId='), all)
  })

  for (const path of [
    '/v1/security-groups?networkType=vcp',
    '/v1/security-groups?securityGroupType=simple',
    '/v1/security-groups?mode=off',
    '/v1/security-groups/sg-1/rules?direction=in',
    '/v1/security-groups/sg-1/rules?policy=deny',
    '/v1/security-groups/sg-1/rules?ipProtocol=tpc',
    '/v1/prefix-lists?addressFamily=ipv4',
    '/v1/network-interfaces?enforcement=yes',
    '/v1/agents?state=alive',
    '/v1/ddos/instances?phase=calm',
  ]) {
    test(`${path} asks for what can never be, and is refused`, async () => {
      await api.request('POST', '/v1/security-groups', { accountId, securityGroupId: 'sg-1' })
      const answer = await api.request('GET', path)
      assert.deepEqual([answer.status, answer.body.errors[0].field], [400, `?${/\?(\w+)=/.exec(path)![1]}`])
      assert.match(answer.body.errors[0].message, /^Cannot read .* expected /)
    })
  }

  for (const query of [
    'maxResults=0',
    'maxResults=501',
    'maxResults=ten',
    'maxResults=1.5',
    'sort=agentId',
    'sort=-',
    'nextToken=',
    'nextToken=!!!',
    `nextToken=${Buffer.from('["instanceId",{},"x"]').toString('base64url')}`,
    `nextToken=${Buffer.from('["-instanceId","x","x"]').toString('base64url')}`,
    `nextToken=${Buffer.from('{"length":3}').toString('base64url')}`,
    'unknown=1',
    'instanceName=a&instanceName=b',
    '__proto__=1',
    `${Array.from({ length: 21 }, () => 'tag=a').join('&')}`,
  ]) {
    test(`?${query.slice(0, 40)} is refused`, async () => {
      const answer = await api.request('GET', `${url}?${query}`)
      assert.deepEqual([answer.status, answer.body.code], [400, 'InvalidParameter'], JSON.stringify(answer.body))
      assert.match(answer.body.errors[0].field, /^\?/)
    })
  }
})
