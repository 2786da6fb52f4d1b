/**
 * Lists answer as if every item were shown, and what is shown filtered, sorted and cut into pages: for random states and
 * random queries. RINGWALL_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type InstanceDoc, type Kind, keyOf } from '../../../daemon/model/documents.ts'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, post } from '../../support/fleet-state.ts'
import { makeRandom, type Random } from '../../support/random.ts'

const seed = Number(process.env.RINGWALL_SEED ?? 20_261_127)
const queriesOfList = 100

type Item = Readonly<Record<string, unknown>>
type Asks = (item: Item, text: string) => boolean

interface List {
  readonly url: string
  /** Of the answer of one. */
  readonly field: string
  readonly idField: string
  /** What one is read by, where that is not the id. */
  readonly pathField?: string
  readonly filters: Readonly<Record<string, Asks>>
  readonly sorts: readonly string[]
  readonly hasTags?: boolean
}

const equals =
  (field: string): Asks =>
  (item, text) =>
    String(item[field] ?? '') === text
const like =
  (field: string): Asks =>
  (item, text) => {
    const parts = text.toLowerCase().split('*')
    const pattern = parts.map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')
    return new RegExp(`^${pattern}$`, 's').test(String(item[field] ?? '').toLowerCase())
  }
const holds =
  (field: string): Asks =>
  (item, text) =>
    (item[field] as readonly unknown[]).includes(text)
const allEquals = (...fields: readonly string[]) => Object.fromEntries(fields.map(field => [field, equals(field)]))

const lists: readonly List[] = [
  {
    url: '/v1/security-groups',
    field: 'securityGroup',
    idField: 'securityGroupId',
    filters: {
      ...allEquals('accountId', 'vpcId', 'networkType', 'mode', 'securityGroupType'),
      securityGroupName: like('securityGroupName'),
    },
    sorts: ['securityGroupName', 'createTime'],
    hasTags: true,
  },
  {
    url: '/v1/instances',
    field: 'instance',
    idField: 'instanceId',
    filters: { ...allEquals('accountId', 'instanceType', 'agentId'), instanceName: like('instanceName') },
    sorts: ['instanceName', 'createTime'],
    hasTags: true,
  },
  {
    url: '/v1/network-interfaces',
    field: 'networkInterface',
    idField: 'networkInterfaceId',
    filters: {
      ...allEquals('accountId', 'instanceId', 'vpcId', 'macAddress', 'mode', 'enforcement'),
      securityGroupId: holds('securityGroupIds'),
      address: (item, text) => [item.privateIpAddresses, item.ipv6Addresses].flat().includes(text),
    },
    sorts: ['createTime'],
    hasTags: true,
  },
  {
    url: '/v1/prefix-lists',
    field: 'prefixList',
    idField: 'prefixListId',
    filters: { ...allEquals('accountId', 'addressFamily'), prefixListName: like('prefixListName') },
    sorts: ['prefixListName', 'createTime'],
    hasTags: true,
  },
  {
    url: '/v1/port-range-lists',
    field: 'portRangeList',
    idField: 'portRangeListId',
    filters: { ...allEquals('accountId'), portRangeListName: like('portRangeListName') },
    sorts: ['portRangeListName', 'createTime'],
    hasTags: true,
  },
  {
    url: '/v1/agents',
    field: 'agent',
    idField: 'agentId',
    filters: { state: equals('state'), hostName: like('hostName') },
    sorts: ['hostName', 'createTime'],
  },
  {
    url: '/v1/accounts',
    field: 'account',
    idField: 'accountId',
    filters: { name: like('name') },
    sorts: ['name', 'createTime'],
  },
  {
    url: '/v1/ram/users',
    field: 'user',
    idField: 'arn',
    pathField: 'userName',
    filters: { accountId: equals('accountId'), userName: like('userName') },
    sorts: ['userName', 'createTime'],
  },
]

const names = ['web', 'Web-1', 'web-2', 'db', 'DB:main', 'web.2-old'] as const
const tags: readonly Readonly<Record<string, string>>[] = [
  {},
  { env: 'live' },
  { env: 'test', team: '' },
  { 'env live': 'x', team: 'a:b' },
]
const askedTags = ['env', 'env:live', 'env:test', 'team', 'team:', 'team:a:b', 'env live', 'none'] as const
const accounts = [accountId, otherAccountId] as const

/** More instances than are sorted at once. */
const instanceCount = 2200
const otherCount = 40

async function fill(api: TestApi, random: Random, tick: () => void): Promise<void> {
  for (const id of ['agent-1', 'agent-2', 'agent-3']) await addAgent(api, id, { hostName: random.pick(names) })
  await addAgent(api, 'agent-4', { hostName: random.pick(names), status: 'revoked', certificates: [], revokedAtMs: 1 })
  const named = (field: string) => ({ [field]: random.pick([null, ...names]) })
  await api.store.commit({
    writes: random.sample([...Array(instanceCount).keys()], instanceCount).map(number => {
      const instance: InstanceDoc = {
        id: `i-${number}`,
        accountId: accounts[number % 2]!,
        name: random.pick([null, ...names]),
        description: null,
        tags: random.pick(tags),
        instanceType: random.pick([null, 'ecs.g5.large', 'ecs.c5.large']),
        agentId: random.pick([null, 'agent-1', 'agent-2']),
        smtpUnblocked: false,
        createdAtMs: Date.parse('2026-01-01T00:00:00Z') + random.integer(0, 50) * 1000,
      }
      return { key: keyOf('instance', instance.id), value: instance }
    }),
  })
  for (let number = 0; number < otherCount; number += 1) {
    if (random.chance(0.5)) tick()
    const account = accounts[number % 2]!
    const basics = { accountId: account, tags: random.pick(tags) }
    await post(api, '/v1/security-groups', {
      ...basics,
      securityGroupId: `sg-${number}`,
      ...named('securityGroupName'),
      ...random.pick([{}, { vpcId: 'vpc-1' }, { networkType: 'classic' }, { securityGroupType: 'enterprise' }]),
      mode: random.pick(['enforce', 'observe']),
    })
    await post(api, '/v1/prefix-lists', {
      ...basics,
      prefixListId: `pl-${number}`,
      prefixListName: random.pick(names),
      addressFamily: random.pick(['IPv4', 'IPv6']),
    })
    await post(api, '/v1/port-range-lists', {
      ...basics,
      portRangeListId: `prl-${number}`,
      portRangeListName: random.pick(names),
    })
    await post(api, `/v1/ram/users?accountId=${account}`, { userName: `${random.pick(['ann', 'Bob'])}${number}` })
    const { networkType, vpcId, type } = api.world.get('group', `sg-${number}`)!
    const { instanceId } = random.pick([{}, { instanceId: `i-${number}` }]) as { instanceId?: string }
    await post(api, '/v1/network-interfaces', {
      ...basics,
      ...(instanceId !== undefined && { instanceId }),
      networkInterfaceId: `eni-${number}`,
      networkType,
      ...(vpcId !== null && { vpcId }),
      ...(type === 'advanced' || random.chance(0.7)
        ? { securityGroupIds: [`sg-${number}`] }
        : { securityGroupIds: [] }),
      macAddress: `02:00:00:00:00:${String(10 + number)}`,
      privateIpAddresses: [`198.18.0.${1 + number}`],
      ...(networkType === 'vpc' && { ipv6Addresses: [`2001:db8::${1 + number}`] }),
      mode: random.pick(['enforce', 'observe']),
    })
  }
}

/** Everything that the token may see, each read by itself. */
async function shownBySelf(api: TestApi, list: List, token: string): Promise<readonly Item[]> {
  const kinds: Readonly<Record<string, Kind>> = { securityGroup: 'group', networkInterface: 'eni', user: 'ramUser' }
  const kind = kinds[list.field] ?? (list.field as Kind)
  const items: Item[] = []
  for (const [id, doc] of api.world.entries(kind)) {
    const { name, accountId: owner } = doc as { readonly name?: string; readonly accountId?: string }
    const path = kind === 'ramUser' ? `${name}?accountId=${owner}` : id
    const { status, body } = await api.request('GET', `${list.url}/${path}`, undefined, { token })
    if (status === 200) items.push(body[list.field])
  }
  return items
}

interface Query {
  readonly filters: readonly (readonly [name: string, text: string])[]
  readonly tags: readonly string[]
  readonly sort: string | null
  readonly maxResults: number
}

function makeQuery(random: Random, list: List, items: readonly Item[]): Query {
  const asked = random.sample(Object.keys(list.filters), random.integer(0, 2))
  const word = random.pick([...list.sorts, list.idField])
  return {
    filters: asked.map(name => [name, textFor(random, name, items)]),
    tags: list.hasTags === true && random.chance(0.4) ? random.sample(askedTags, random.integer(1, 2)) : [],
    sort: random.chance(0.2) ? null : random.pick([word, `-${word}`]),
    maxResults: random.pick([1, 3, 7, 100, 500]),
  }
}

/** What some item has there, the same as a pattern, or something else. */
function textFor(random: Random, name: string, items: readonly Item[]): string {
  const item = random.pick(items)
  if (name === 'securityGroupId') return `sg-${random.integer(0, otherCount)}`
  if (name === 'address') return [item.privateIpAddresses, item.ipv6Addresses].flat().map(String)[0]!
  const text = String(item[name] ?? '')
  const isClosed = ['mode', 'enforcement', 'securityGroupType', 'networkType', 'addressFamily', 'state'].includes(name)
  if (isClosed || !/name/i.test(name)) return text
  return random.pick([text, text.toUpperCase(), `${text.slice(0, 2)}*`, `*${text.slice(1)}`, '*b*-*', '*', `${text}x`])
}

function expectedOf(list: List, items: readonly Item[], { filters, tags: wanted, sort }: Query): readonly Item[] {
  const matching = items.filter(
    item =>
      filters.every(([name, text]) => list.filters[name]!(item, text)) &&
      wanted.every(text => hasTag(item.tags as Readonly<Record<string, string>>, text)),
  )
  const [, minus, field] = /^(-?)(.*)$/.exec(sort ?? list.idField)!
  const sign = minus === '-' ? -1 : 1
  const order = (a: unknown, b: unknown) =>
    String(a ?? '') < String(b ?? '') ? -1 : String(a ?? '') > String(b ?? '') ? 1 : 0
  return matching.toSorted((a, b) => sign * (order(a[field!], b[field!]) || order(a[list.idField], b[list.idField])))
}

function hasTag(tagsOfItem: Readonly<Record<string, string>>, text: string): boolean {
  return Object.entries(tagsOfItem).some(([key, value]) => key === text || `${key}:${value}` === text)
}

describe('lists, beside all of their items', () => {
  const random = makeRandom(seed)
  let nowMs = Date.parse('2026-02-01T00:00:00Z')
  let api: TestApi
  let ofOneAccount: string
  before(async () => {
    api = await startApi({ now: () => nowMs })
    await fill(api, random, () => {
      nowMs += 1000
    })
    ofOneAccount = await api.makeToken([{ accountId: otherAccountId, access: 'read' }])
  })
  after(() => api[Symbol.asyncDispose]())

  for (const list of lists) {
    test(`${list.url}, ${queriesOfList} random queries of seed ${seed}`, async () => {
      const tokens = list.url === '/v1/agents' ? [api.token] : [api.token, ofOneAccount]
      let found = 0
      for (const token of tokens) {
        const items = await shownBySelf(api, list, token)
        for (let number = 0; number < queriesOfList / tokens.length; number += 1) {
          const query = makeQuery(random, list, items)
          found += await comparePages(list, { query, token, expected: expectedOf(list, items, query) })
        }
      }
      assert.ok(found > queriesOfList, `only ${found} items were found by all queries`)
    })
  }

  interface Compared {
    readonly query: Query
    readonly token: string
    readonly expected: readonly Item[]
  }

  /** Up to four pages from the beginning. @returns how many items there were */
  async function comparePages(list: List, { query, token, expected }: Compared): Promise<number> {
    const { filters, tags: wanted, sort, maxResults } = query
    const fixed = new URLSearchParams([
      ...filters,
      ...wanted.map(text => ['tag', text]),
      ...(sort === null ? [] : [['sort', sort]]),
      ['maxResults', String(maxResults)],
    ] as [string, string][])
    let nextToken: string | null = null
    for (let page = 0; page < 4 && (page === 0 || nextToken !== null); page += 1) {
      const url: string = `${list.url}?${fixed}${nextToken === null ? '' : `&nextToken=${nextToken}`}`
      const answer = await api.request('GET', url, undefined, { token })
      assert.equal(answer.status, 200, `${url}: ${JSON.stringify(answer.body)}`)
      const { items, totalCount } = answer.body
      const begin = page * maxResults
      assert.deepEqual(items, expected.slice(begin, begin + maxResults), `${url} of seed ${seed}`)
      assert.equal(totalCount, expected.length, url)
      nextToken = answer.body.nextToken
      assert.equal(nextToken === null, begin + maxResults >= expected.length, url)
    }
    return expected.length
  }
})
