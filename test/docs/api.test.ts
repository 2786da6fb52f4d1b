/** docs/api.md names every route that there is, and the action that a write is audited as. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { startApi } from '../support/api.ts'
import { startOperator } from '../support/operator.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/api.md'), 'utf8')
const api = await startApi()
after(() => api[Symbol.asyncDispose]())

/** Of each line that asks, what it answers. */
async function runWithCurl(): Promise<readonly Record<string, unknown>[]> {
  await using operator = await startOperator()
  const [, commands = ''] = /^## With curl\n[\s\S]*?^```sh\n([\s\S]*?)^```$/m.exec(page) ?? []
  const here = commands
    .replace('http://127.0.0.1:9480', operator.url)
    .replace('/var/lib/ringwall-daemon', join(operator.folder, 'daemon'))
    // Bodies are JSON without a newline at their end.
    .replaceAll(/^curl .*$/gm, line => `${line}; echo`)
  const { stdout } = await promisify(execFile)('sh', ['-euc', here], { cwd: operator.folder })
  return stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
}

const needsCurl = spawnSync('curl', ['--version']).status === 0 ? false : 'needs curl'

test('what the page does with curl does what it says', { skip: needsCurl }, async () => {
  const [whoami, group, rules, deletion] = await runWithCurl()
  assert.equal(whoami?.name, 'first')
  assert.deepEqual(group?.permissions, [])
  assert.deepEqual(rules?.enforcement, { state: 'enforced', agents: 0, enforced: 0, behind: [] })
  assert.equal(deletion?.dryRun, true)
})

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

/** Where each object that the page describes is listed. */
const listed: Readonly<Record<string, string>> = {
  SecurityGroup: '/v1/security-groups',
  Permission: '/v1/security-groups/{securityGroupId}/rules',
  PrefixList: '/v1/prefix-lists',
  PortRangeList: '/v1/port-range-lists',
  Instance: '/v1/instances',
  NetworkInterface: '/v1/network-interfaces',
  Agent: '/v1/agents',
  User: '/v1/ram/users',
  Group: '/v1/ram/groups',
  Policy: '/v1/ram/policies',
  Role: '/v1/ram/roles',
  AccessKey: '/v1/ram/access-keys',
  Account: '/v1/accounts',
  Token: '/v1/tokens',
}

interface Operation {
  readonly summary?: string
  readonly responses?: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>
  >
  readonly tags?: readonly string[]
  readonly 'x-action'?: string
}

/** `GET /v1/accounts`, as the page and OpenAPI write it; a row may name several. */
const documented = [...page.matchAll(/^\| (`(?:GET|POST|PATCH|PUT|DELETE) [^|]*) \|/gm)].flatMap(([, cell = '']) =>
  [...cell.matchAll(/`((?:GET|POST|PATCH|PUT|DELETE) \/[^`]*)`/g)].map(([, route = '']) => route),
)
/** Those that need no token are not the API's: OpenAPI leaves them out. */
const open = ['GET /health', 'GET /metrics', 'GET /openapi.json', 'GET /docs']

describe('the page of the REST API', () => {
  const { paths } = api.app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> }
  const served = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(method => `${method.toUpperCase()} ${path}`),
  )

  test('names the routes that are served, each once', () => {
    assert.deepEqual(documented.toSorted(), [...served, ...open].toSorted())
  })

  test('names the action of each write', () => {
    const wrong = documented.filter(route => {
      const [method = '', path = ''] = route.split(' ')
      const action = paths[path]?.[method.toLowerCase()]?.['x-action']
      return action !== undefined && !page.includes(`| \`${route}\` | \`${action}\` |`)
    })
    assert.deepEqual(wrong, [])
  })

  test('names every field of what is listed', () => {
    const described = [...page.matchAll(/`(\w+)`: `([^`]+)`/g)]
    const lists = Object.entries(paths).flatMap(([path, { get }]) => {
      const { items } = get?.responses?.['200']?.content?.['application/json']?.schema?.properties ?? {}
      return items?.items?.properties === undefined ? [] : [{ path, fields: Object.keys(items.items.properties) }]
    })
    const lacking = described.flatMap(([, name = '', text = '']) => {
      const list = lists.find(({ path }) => listed[name] === path)
      const missing = list?.fields.filter(field => !new RegExp(`\\b${field}\\b`).test(text)) ?? []
      return missing.map(field => `${name}.${field}`)
    })
    assert.deepEqual(lacking, [])
    const known = described.map(([, name = '']) => name)
    assert.deepEqual(
      Object.keys(listed).filter(name => !known.includes(name)),
      [],
    )
  })

  // Those two change nothing: a backup is audited all the same, by its own hand.
  test('and OpenAPI has an action for all that change something', () => {
    const changing = Object.entries(paths).flatMap(([path, { get: _, ...operations }]) =>
      Object.entries(operations).map(([method, operation]) => ({
        route: `${method} ${path}`,
        action: operation['x-action'],
      })),
    )
    const without = changing.filter(({ action }) => action === undefined).map(({ route }) => route)
    assert.deepEqual(without.sort(), ['post /v1/backup', 'post /v1/explain'])
  })

  test('and OpenAPI says of each what it is for, and where it belongs', () => {
    const bare = Object.values(paths)
      .flatMap(operations => Object.values(operations))
      .filter(({ summary, tags }) => !summary || tags?.length !== 1)
    assert.deepEqual(bare, [])
  })
})
