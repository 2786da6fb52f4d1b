/**
 * Every action that works, called by the vendor's own clients over loopback: both schemes of signatures, GET and POST,
 * query and form, in the clear and by TLS. An action that no client calls here is a failure.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { versions } from '../../daemon/rpc/action.ts'
import { rpcActions } from '../../daemon/rpc/actions.ts'
import { accountKey } from '../support/ram.ts'
import type { RpcKey } from '../support/rpc-client.ts'
import { answerFields, type SdkClient, sdkClients } from '../support/sdk/clients.ts'
import { type Exchange, type SdkEndpoint, startEndpoint } from '../support/sdk/endpoint.ts'
import { type Scenarios, stageOf } from '../support/sdk/stage.ts'
import { ddosScenarios } from './scenarios/ddos.ts'
import { groupScenarios } from './scenarios/groups.ts'
import { instanceScenarios } from './scenarios/instances.ts'
import { listScenarios } from './scenarios/lists.ts'
import { memberScenarios } from './scenarios/members.ts'
import { ramScenarios } from './scenarios/ram.ts'

/** A family of actions more is a line here. */
const scenarios: Scenarios = {
  ...groupScenarios,
  ...memberScenarios,
  ...instanceScenarios,
  ...listScenarios,
  ...ramScenarios,
  ...ddosScenarios,
}

/** By TLS those whose connections are made differently. */
const stages = [
  ...Object.keys(sdkClients).map(name => ({ protocol: 'http' as const, name })),
  ...['SDK, ACS3', 'pop-core, POST'].map(name => ({ protocol: 'https' as const, name })),
]
const scenarioNames = Object.keys(scenarios)
const accountOf = (stage: number, scenario: number) => `3${String(stage * 1000 + scenario).padStart(15, '0')}`
const accounts = stages.flatMap((_, stage) => scenarioNames.map((_name, scenario) => accountOf(stage, scenario)))

const endpoints: Partial<Record<'http' | 'https', SdkEndpoint>> = {}
before(async () => {
  for (const protocol of ['http', 'https'] as const) endpoints[protocol] = await startEndpoint(protocol, { accounts })
})
after(async () => {
  for (const endpoint of Object.values(endpoints)) await endpoint[Symbol.asyncDispose]()
})

/** What the SDK has no field for: its users do not see it. */
const unseen = new Set<string>()

for (const [stageIndex, { protocol, name }] of stages.entries()) {
  describe(`${name}, ${protocol}`, () => {
    for (const [index, scenario] of scenarioNames.entries()) {
      test(scenario, async () => {
        const { api, endpoint, exchanges } = endpoints[protocol]!
        const account = accountOf(stageIndex, index)
        const connect = (key: RpcKey) => {
          const client = sdkClients[name]!(endpoint, key)
          return name.startsWith('SDK') ? noting(client, exchanges) : client
        }
        await scenarios[scenario]!(stageOf(api, connect, { key: await accountKey(api, account), accountId: account }))
      })
    }
  })
}

function noting(client: SdkClient, exchanges: readonly Exchange[]): SdkClient {
  return {
    ...client,
    async ask(product, action, parameters) {
      const seen = await client.ask(product, action, parameters)
      const { body } = exchanges.at(-1)!
      for (const path of pathsOf(body)) if (!pathsOf(seen).has(path)) unseen.add(`${action} ${path}`)
      return seen
    },
  }
}

/** `Users.User[].UserName`, and so on. */
function pathsOf(value: unknown, path = ''): Set<string> {
  if (Array.isArray(value)) {
    return value.length === 0 ? new Set([`${path}[]`]) : new Set(value.flatMap(each => [...pathsOf(each, `${path}[]`)]))
  }
  if (typeof value !== 'object' || value === null) return new Set([path])
  return new Set(
    Object.entries(value).flatMap(([name, each]) => [...pathsOf(each, path === '' ? name : `${path}.${name}`)]),
  )
}

/** Also where a list that it stands in was always empty. */
function isTold(field: string, told: ReadonlySet<string>): boolean {
  if (told.has(field)) return true
  const lists = [...field.matchAll(/\[\]/g)].map(({ index }) => field.slice(0, index + 2))
  return lists.some(list => told.has(list) && ![...told].some(other => other.startsWith(`${list}.`)))
}

describe('all in all', () => {
  const exchanges = () => Object.values(endpoints).flatMap(endpoint => [...endpoint.exchanges])
  const working = rpcActions.filter(action => !('missing' in action))

  test('every action that works was carried out for a client of each scheme', () => {
    const done = new Set(
      exchanges()
        .filter(({ status }) => status === 200)
        .map(({ scheme, version, action }) => `${scheme} ${version} ${action}`),
    )
    const expected = working.flatMap(({ product, name }) =>
      (['HMAC-SHA1', 'ACS3-HMAC-SHA256'] as const).map(scheme => `${scheme} ${versions[product]} ${name}`),
    )
    assert.deepEqual(
      expected.filter(each => !done.has(each)),
      [],
    )
  })

  test('every write was carried out by GET and by POST', () => {
    const done = new Set(exchanges().map(({ method, action }) => `${method} ${action}`))
    const expected = working.flatMap(({ name }) => [`GET ${name}`, `POST ${name}`])
    assert.deepEqual(
      expected.filter(each => !done.has(each)),
      [],
    )
  })

  test('answers have the published shape: an id, and nothing that pop-core takes for an error', () => {
    for (const { status, body, action } of exchanges()) {
      assert.match(body.RequestId, /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/, action)
      assert.equal(Object.hasOwn(body, 'Code'), status !== 200, `${action} ${status}`)
      if (status !== 200) {
        const fields = ['RequestId', 'HostId', 'Code', 'Message', 'Recommend']
        if (status === 403 && /Forbidden|NoPermission/.test(body.Code)) fields.push('AccessDeniedDetail')
        assert.deepEqual(Object.keys(body), fields, action)
        // Terraform takes it for "is gone".
        assert.ok(!body.Message.includes('NotFound'), body.Message)
      }
    }
  })

  test('the SDK knows the fields of the answers', () => {
    // What was made or changed is told as it is described.
    const more =
      /^(Create|Update|ListUsers)|^DescribeInstanceAttribute DedicatedHostAttribute\.|Attachment\.MemberNetworkInterfaceIds\./
    assert.deepEqual([...unseen].filter(field => !more.test(field)).sort(), [])
  })

  test('answers have the fields that the SDK knows, but for hardware and what is bought', () => {
    const seen = new Map<string, Set<string>>()
    for (const { action, status, body } of exchanges()) {
      if (status !== 200) continue
      const fields = seen.get(action) ?? new Set()
      seen.set(action, fields)
      for (const path of pathsOf(body)) fields.add(path)
    }
    const missing = working.flatMap(({ product, name }) =>
      [...answerFields(product, name)]
        .filter(field => !isTold(field, seen.get(name)!))
        .map(field => `${name} ${field}`),
    )
    const leftOut = [
      /^DescribeInstanceTypes InstanceTypes\.InstanceType\[\]\./,
      /^DescribeInstances? .*(Options|Attr|Attribute|AdditionalInfo|EipAddress)\./,
      /^Describe\S+ \S*(Spot\w+|ISP|EnableNVS|LocalStorageCapacity|DeploymentSetGroupNo|JumboFrame|Encryption|SecureBoot)$/,
      /^Describe(InstanceAttribute|NetworkInterfaces) .*(Bandwidth|BandwidthWeighting|NetworkCardIndex|Ipv6Set\[\]\.Primary)$/,
      // Nothing of the kind is there to be shown.
      /^RunInstances (OrderId|TradePrice)$/,
      /^List(Policies|Roles) .*Tags\.Tag\[\]/,
      /^DescribePrefixLists \S+ResourceGroupId$/,
      /^AssumeRole SourceIdentity$/,
      /^GetPolicy Policy\.PolicyDocument$/,
      // On the last page there is none.
      /^List\w+ Marker$/,
    ]
    assert.deepEqual(missing.filter(field => !leftOut.some(form => form.test(field))).sort(), [])
  })
})
