/** The OpenAPI document: every operation has a name of its own and says how it is refused; its examples work as they stand. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { documentTags } from '../../daemon/http/openapi.ts'
import { bodyExamples } from '../../daemon/schemas/examples.ts'
import { accountId, startApi, type TestApi } from '../support/api.ts'
import { addAgent, post } from '../support/fleet-state.ts'

interface Operation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly example?: string }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly example?: object }>> }
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly description?: string }>>
}

interface Placed {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

describe('the OpenAPI document', () => {
  let api: TestApi
  let document: { readonly paths: Record<string, Record<string, Operation>> }
  let operations: readonly Placed[]
  /** What stands in paths and is made by the daemon. */
  let made: Readonly<Record<string, string>>
  before(async () => {
    api = await startApi({ accounts: [accountId] })
    made = await furnish(api)
    document = (await api.request('GET', '/openapi.json', undefined, { token: null })).body
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    )
  })
  after(() => api[Symbol.asyncDispose]())

  test('names each operation once, in words for clients that are made of it', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index || !/^[a-z][a-zA-Z]+$/.test(id)),
      [],
    )
    for (const [route, id] of [
      ['GET /v1/security-groups', 'listSecurityGroups'],
      ['POST /v1/security-groups/{securityGroupId}/rules', 'createSecurityGroupRule'],
      ['POST /v1/security-groups/{securityGroupId}/rules/revoke', 'revokeSecurityGroupRules'],
      ['POST /v1/ram/policies', 'createRamPolicy'],
      ['POST /v1/explain', 'explain'],
    ]) {
      const found = operations.find(({ method, path }) => `${method} ${path}` === route)
      assert.equal(found?.operation.operationId, id, route)
    }
  })

  test('puts each under a heading that says what it is', () => {
    const headings = new Set<string>(documentTags.map(({ name }) => name))
    assert.deepEqual(
      operations.filter(({ operation }) => !operation.tags.every(tag => headings.has(tag))),
      [],
    )
    const used = new Set(operations.flatMap(({ operation }) => operation.tags))
    assert.deepEqual([...headings.difference(used)], [])
  })

  test('says of each how it is refused, and of what can be tried what a dry run answers', () => {
    for (const { method, path, operation } of operations) {
      const { responses, parameters = [] } = operation
      assert.deepEqual(responses['4XX'], { $ref: '#/components/responses/Refused' }, `${method} ${path}`)
      for (const { description, $ref } of Object.values(responses)) {
        assert.ok($ref !== undefined || (description !== undefined && description !== 'Default Response'), path)
      }
      if (parameters.some(({ name }) => name === 'dryRun')) assert.ok(responses['200'] !== undefined, path)
    }
  })

  test('refers to nothing that it does not have', () => {
    const text = JSON.stringify(document)
    const references = new Set([...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, pointer = '']) => pointer))
    assert.ok(references.size >= 4, `${[...references]}`)
    for (const pointer of references) {
      const found = pointer
        .split('/')
        .reduce<unknown>((inner, key) => (inner as Record<string, unknown>)?.[key], document)
      assert.notEqual(found, undefined, pointer)
    }
  })

  test('has an example of every body in JSON, and none of what there is not', () => {
    const ids = operations
      .filter(({ operation }) => operation.requestBody?.content['application/json'] !== undefined)
      .map(({ operation }) => operation.operationId)
    assert.deepEqual(ids.sort(), Object.keys(bodyExamples).sort())
  })

  test('has examples that are taken as they stand', async () => {
    const refused: string[] = []
    for (const { method, path, operation } of operations) {
      const example = operation.requestBody?.content['application/json']?.example
      if (example === undefined) continue
      const url = path.replace(/\{(\w+)\}/g, (_, name: string) => {
        const parameter = operation.parameters?.find(each => each.name === name)
        return encodeURIComponent(urlOf(operation)[name] ?? made[name] ?? parameter?.example ?? '')
      })
      const isWrite = operation.parameters?.some(({ name }) => name === 'dryRun') === true
      const answer = await api.request(method, `${url}${isWrite ? '?dryRun=true' : ''}`, example)
      if (answer.status !== 200) refused.push(`${method} ${url}: ${answer.status} ${answer.body.detail}`)
    }
    assert.deepEqual(refused, [])
  })

  /** One that is of no instance yet can be attached alone. */
  function urlOf({ operationId }: Operation): Readonly<Record<string, string>> {
    return operationId === 'attachNetworkInterface' ? { networkInterfaceId: 'eni-spare' } : {}
  }
})

/** What the examples name. @returns ids that the daemon chose, by their names in paths */
async function furnish(api: TestApi): Promise<Readonly<Record<string, string>>> {
  await addAgent(api, 'agent-1')
  const https = { direction: 'ingress', ipProtocol: 'tcp', portRange: '443/443', sourceCidrIp: '0.0.0.0/0' }
  const { permissions } = await post(api, '/v1/security-groups', { securityGroupId: 'sg-web', permissions: [https] })
  await post(api, '/v1/security-groups', { securityGroupId: 'sg-db' })
  await post(api, '/v1/prefix-lists', {
    prefixListId: 'pl-offices',
    prefixListName: 'offices',
    addressFamily: 'IPv4',
    entries: [{ cidr: '198.18.1.0/24' }],
  })
  await post(api, '/v1/port-range-lists', { portRangeListId: 'prl-web', portRangeListName: 'web' })
  await post(api, '/v1/instances', { instanceId: 'i-web1', instanceType: 'ecs.g5.large', agentId: 'agent-1' })
  const enis = [
    { networkInterfaceId: 'eni-web1', instanceId: 'i-web1', privateIpAddresses: ['198.18.2.1'] },
    { networkInterfaceId: 'eni-spare', privateIpAddresses: ['198.18.2.9'] },
  ]
  for (const eni of enis) await post(api, '/v1/network-interfaces', { ...eni, securityGroupIds: ['sg-web', 'sg-db'] })
  const document = { Version: '1', Statement: [{ Effect: 'Allow', Action: 'ecs:*', Resource: '*' }] }
  await post(api, '/v1/ram/users', { userName: 'alice' })
  await post(api, '/v1/ram/policies', { policyName: 'web-groups', document })
  await post(api, '/v1/ram/policies/web-groups/versions', { document })
  await post(api, '/v1/ram/roles', {
    roleName: 'deploy',
    trustPolicy: {
      Version: '1',
      Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: [`acs:ram::${accountId}:root`] } }],
    },
  })
  const { accessKey } = await post(api, '/v1/ram/access-keys', { userName: 'alice' })
  return {
    securityGroupRuleId: (permissions as { securityGroupRuleId: string }[])[0]!.securityGroupRuleId,
    accessKeyId: (accessKey as { accessKeyId: string }).accessKeyId,
  }
}
