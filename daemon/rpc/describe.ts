/** What actions ask for, made from the actions themselves: the table in docs/ecs-api/actions.md, and for who asks beforehand. */
import { code, markdownTable } from '../../common/markdown.ts'
import { ApiError } from '../errors.ts'
import type { AskedResource } from '../ram/evaluate.ts'
import type { Owner } from '../ram/resource-names.ts'
import type { AccessNeed } from '../services/access.ts'
import { accountPrincipal } from '../services/ram/identity.ts'
import { World } from '../state/world.ts'
import { type Product, type RpcAction, type RpcCall, versions } from './action.ts'
import { publishedActions } from './published.ts'

const products: Readonly<Record<Product, string>> = {
  ecs: 'ECS: security groups, instances, network interfaces, lists, tags',
  vpc: 'VPC',
  ram: 'RAM: users, groups, policies, roles, access keys',
  sts: 'STS: who one is, and what one may become',
  'antiddos-public': 'Anti-DDoS: thresholds, attacks',
}

const head = `# Actions of the published API

<!-- Made by npm run generate from daemon/rpc/actions: change those. -->

Every action that the daemon knows, by the product and version under which clients ask for it. *Allowed* is what policies must allow,
and on which resources, behind \`acs:<code>:<region>:<account>:\` ([access control](../access-control.md)). Of *not yet* a request
is answered with 400 \`UnsupportedOperation\` and the reason; what is not here at all with 400 \`InvalidAction.NotFound\`.

What holds for all of them, and how each client is set up: [the published API](README.md).
`

export function actionsPage(actions: readonly RpcAction[]): string {
  const sections = (Object.keys(versions) as Product[]).flatMap(product => {
    const own = actions.filter(action => action.product === product)
    return own.length === 0 ? [] : [sectionOf(product, own)]
  })
  return `${head}\n${shareLines(actions).join('\n')}\n\n${sections.join('\n')}`
}

/** How many of the published actions work. */
function shareLines(actions: readonly RpcAction[]): readonly string[] {
  const working = new Set(actions.filter(action => !('missing' in action)).map(nameOf))
  const rows = Object.entries(publishedActions).map(([product, names]) => ({
    product,
    all: names.length,
    work: names.filter(name => working.has(nameOf({ product: product as Product, name }))).length,
  }))
  const known = new Set(actions.map(nameOf))
  const unknown = Object.entries(publishedActions).flatMap(([product, names]) =>
    names
      .filter(name => !known.has(nameOf({ product: product as Product, name })))
      .map(name => `${code(name)} (${product})`),
  )
  const [all, work] = [rows.reduce((sum, row) => sum + row.all, 0), rows.reduce((sum, row) => sum + row.work, 0)]
  const table = markdownTable(
    ['product', 'published', 'work'],
    rows.map(row => [row.product, String(row.all), String(row.work)]),
  )
  return [
    `Of the ${all} published actions that have to do with what Ringwall keeps, ${work} work: ${Math.floor((100 * work) / all)} %.`,
    '',
    table.trimEnd(),
    ...(unknown.length === 0 ? [] : ['', `Not known at all: ${unknown.join(', ')}.`]),
  ]
}

const nameOf = ({ product, name }: { readonly product: Product; readonly name: string }) => `${product} ${name}`

function sectionOf(product: Product, actions: readonly RpcAction[]): string {
  const title = `## ${products[product]} (${code(product)}, ${versions[product]})`
  const rows = actions.map(action => {
    const isMissing = 'missing' in action
    const notes = isMissing ? `**not yet**: ${action.missing}` : (action.differs ?? '')
    return [code(action.name), action.summary, isMissing ? '' : allowedText(action), notes]
  })
  return `${title}\n\n${markdownTable(['action', 'does', 'allowed', 'differs'], rows)}`
}

function allowedText(action: Exclude<RpcAction, { missing: string }>): string {
  if (action.needs !== undefined) return action.needs
  if (action.access === undefined) return 'nothing'
  const need = needOf(action.access, action.parameters, anyOwner)
  const names = need.resources.map(({ name }) => code(name.split(':').slice(4).join(':')))
  return `${code(need.action)} on ${[...new Set(names)].join(', ')}`
}

/**
 * Everything of its kind that an action is done to, for who asks beforehand; null for one that asks for nothing, or that
 * the RPC API does not have.
 * @param name  as policies write it: `ecs:JoinSecurityGroup`
 */
export function resourcesOfAction(
  actions: readonly RpcAction[],
  name: string,
  owner: Owner,
): readonly AskedResource[] | null {
  const wanted = name.toLowerCase()
  for (const action of actions) {
    if ('missing' in action || action.access === undefined) continue
    if (!wanted.endsWith(`:${action.name.toLowerCase()}`)) continue
    const need = needOf(action.access, action.parameters, owner)
    if (need.action.toLowerCase() !== wanted) continue
    const names = new Set(need.resources.map(resource => resource.name.replace(sampleId, '*')))
    return [...names].map(each => ({ name: each }))
  }
  return null
}

const emptyWorld = new World({ revision: 0, entries: [] })
const anyOwner: Owner = { regionId: 'local', accountId: '1000000000000000' }
const sampleId = '…'

/**
 * Of a request that names everything it can, so that every resource shows; where some exclude each other, all but one.
 * @throws {Error} where none will do
 */
function needOf(
  access: (world: World, call: RpcCall<never>) => AccessNeed,
  parameters: Sampled,
  owner: Owner,
): AccessNeed {
  const { required = [] } = parameters
  const all = { ...(sampleOf(parameters) as object), ...samples(parameters) }
  const names = Object.keys(all).filter(name => !required.includes(name))
  for (const left of [null, ...names]) {
    const given = Object.fromEntries(Object.entries(all).filter(([name]) => name !== left))
    try {
      return access(emptyWorld, sampleCall(given, owner))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
    }
  }
  throw new Error(`Cannot tell what must be allowed: no choice of ${names.join(', ')} will do`)
}

function sampleCall(parameters: Readonly<Record<string, unknown>>, { regionId, accountId }: Owner): RpcCall<never> {
  return {
    principal: accountPrincipal(accountId),
    accountId,
    countedAs: '',
    parameters: parameters as never,
    regionId,
    nowMs: 0,
    facts: { sourceAddress: '', isSecure: true, nowMs: 0 },
    api: { regionId, world: emptyWorld } as never,
  }
}

/** Parameters whose texts are words. */
const wordSamples: Readonly<Record<string, unknown>> = { ResourceType: 'securitygroup' }

function samples({ properties = {} }: Sampled): object {
  return Object.fromEntries(Object.entries(wordSamples).filter(([name]) => Object.hasOwn(properties, name)))
}

interface Sampled {
  readonly type?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly items?: Sampled
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Sampled>>
}

function sampleOf({ type, enum: words, minimum = 1, items, properties = {} }: Sampled): unknown {
  if (words !== undefined) return words[0]
  switch (type) {
    case 'object':
      return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, sampleOf(schema)]))
    case 'array':
      return items === undefined ? [] : [sampleOf(items)]
    case 'integer':
      return minimum
    case 'boolean':
      return true
    default:
      return sampleId
  }
}
