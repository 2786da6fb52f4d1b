/**
 * What policies must allow for each route of `/v1`: an action and what it is done to. In one place, so that none is
 * forgotten: a route without an entry is closed to everybody whom policies judge.
 */
import type { FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { sourceAddressOf } from '../http/source-address.ts'
import { keyOf } from '../model/documents.ts'
import type { AskedResource } from '../ram/evaluate.ts'
import { ddosResource, type Owner, ringwallResource } from '../ram/resource-names.ts'
import { type AccessNeed, requireAccess } from '../services/access.ts'
import { entityNames, type NamedKind as RamKind } from '../services/ram/ram-call.ts'
import { type EcsKind, ecsTarget, ramTarget } from '../services/ram/targets.ts'
import { type RuleAction, ruleActions, ruleActionsIn } from '../services/rule-actions.ts'
import type { World } from '../state/world.ts'
import type { Api } from './route.ts'

type Kind = EcsKind | RamKind | 'accessKey'

/** Fields of paths and bodies that name objects, one or many. */
const namingFields: Readonly<Record<string, Kind>> = {
  securityGroupId: 'group',
  securityGroupIds: 'group',
  instanceId: 'instance',
  instanceIds: 'instance',
  networkInterfaceId: 'eni',
  networkInterfaceIds: 'eni',
  prefixListId: 'prefixList',
  portRangeListId: 'portRangeList',
  userName: 'ramUser',
  groupName: 'ramGroup',
  policyName: 'ramPolicy',
  roleName: 'ramRole',
  accessKeyId: 'accessKey',
}

interface Rule {
  /** Of a read; writes say theirs at the route. */
  readonly action?: string
  /** What is meant where the path names nothing: all of these. */
  readonly on?: Kind | 'ddos' | 'nothing'
  /** Fields of the body that name further objects it is done to. */
  readonly also?: readonly string[]
  /** What must be allowed where that is not, or not only, the route's own action. */
  readonly actions?: Actions
}

type Actions = (own: string, asked: AskedWrite) => readonly string[]

/** What a write says; of one that its schema has refused, anything. */
interface AskedWrite {
  readonly body: Readonly<Record<string, unknown>>
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly world: World
}

/** Needs nothing but to be somebody: what one is, and what is the same for all. */
const everybody = 'everybody'

const reads: Readonly<Record<string, Rule | typeof everybody>> = {
  '/v1/whoami': everybody,
  '/v1/limits': { action: 'ringwall:DescribeLimits', on: 'nothing' },
  '/v1/security-group-templates': everybody,
  '/v1/accounts': { action: 'ringwall:DescribeAccounts', on: 'nothing' },
  '/v1/accounts/:accountId': { action: 'ringwall:DescribeAccounts', on: 'nothing' },
  '/v1/changes': { action: 'ringwall:DescribeChanges', on: 'nothing' },
  '/v1/changes/:revision': { action: 'ringwall:DescribeChanges', on: 'nothing' },
  '/v1/health-report': { action: 'ringwall:DescribeHealthReport', on: 'group' },
  '/v1/security-groups': { action: 'ecs:DescribeSecurityGroups', on: 'group' },
  '/v1/security-groups/:securityGroupId': { action: 'ecs:DescribeSecurityGroupAttribute' },
  '/v1/security-groups/:securityGroupId/references': { action: 'ecs:DescribeSecurityGroupReferences' },
  '/v1/security-groups/:securityGroupId/members': { action: 'ecs:DescribeNetworkInterfaces' },
  '/v1/security-groups/:securityGroupId/rules': { action: 'ecs:DescribeSecurityGroupAttribute' },
  '/v1/security-groups/:securityGroupId/export': { action: 'ecs:DescribeSecurityGroupAttribute' },
  '/v1/security-groups/:securityGroupId/observed': { action: 'ecs:DescribeSecurityGroupAttribute' },
  '/v1/prefix-lists': { action: 'ecs:DescribePrefixLists', on: 'prefixList' },
  '/v1/prefix-lists/:prefixListId': { action: 'ecs:DescribePrefixListAttributes' },
  '/v1/prefix-lists/:prefixListId/associations': { action: 'ecs:DescribePrefixListAssociations' },
  '/v1/port-range-lists': { action: 'ecs:DescribePortRangeLists', on: 'portRangeList' },
  '/v1/port-range-lists/:portRangeListId': { action: 'ecs:DescribePortRangeListEntries' },
  '/v1/port-range-lists/:portRangeListId/associations': { action: 'ecs:DescribePortRangeListAssociations' },
  '/v1/network-interfaces': { action: 'ecs:DescribeNetworkInterfaces', on: 'eni' },
  '/v1/network-interfaces/:networkInterfaceId': { action: 'ecs:DescribeNetworkInterfaces' },
  '/v1/network-interfaces/:networkInterfaceId/observed': { action: 'ecs:DescribeNetworkInterfaces' },
  '/v1/instances': { action: 'ecs:DescribeInstances', on: 'instance' },
  '/v1/instances/:instanceId': { action: 'ecs:DescribeInstances' },
  '/v1/instances/:instanceId/ddos-threshold': { action: 'yundun-ddos:DescribeDdosThreshold' },
  '/v1/ddos/instances': { action: 'yundun-ddos:DescribeInstance', on: 'ddos' },
  '/v1/ddos/instances/:instanceId': { action: 'yundun-ddos:DescribeInstance' },
  '/v1/ddos/events': { action: 'yundun-ddos:DescribeDdosEventList', on: 'ddos' },
  '/v1/ddos/events/:eventId': { action: 'yundun-ddos:DescribeDdosEventList', on: 'ddos' },
  '/v1/ddos/samples': { action: 'yundun-ddos:DescribeInstance', on: 'ddos' },
  '/v1/ram/users': { action: 'ram:ListUsers', on: 'ramUser' },
  '/v1/ram/users/:userName': { action: 'ram:GetUser' },
  '/v1/ram/users/:userName/simulate': { action: 'ram:SimulateUser' },
  '/v1/ram/groups': { action: 'ram:ListGroups', on: 'ramGroup' },
  '/v1/ram/groups/:groupName': { action: 'ram:GetGroup' },
  '/v1/ram/policies': { action: 'ram:ListPolicies', on: 'ramPolicy' },
  '/v1/ram/policies/:policyName': { action: 'ram:GetPolicy' },
  '/v1/ram/roles': { action: 'ram:ListRoles', on: 'ramRole' },
  '/v1/ram/roles/:roleName': { action: 'ram:GetRole' },
  '/v1/ram/access-keys': { action: 'ram:ListAccessKeys', on: 'ramUser' },
}

/** For the table in docs/access-control.md: route, action, and what is meant where the path names nothing. */
export function describeReads(): readonly (readonly [route: string, action: string])[] {
  const all = {
    ...reads,
    ...Object.fromEntries(Object.entries(readsByPost).map(([url, rule]) => [`POST ${url}`, rule])),
  }
  return Object.entries(all).map(([url, rule]) => [
    url.includes(' ') ? url : `GET ${url}`,
    rule === everybody ? everybody : (rule.action ?? ''),
  ])
}

/** Reads that come by POST. */
const readsByPost: Readonly<Record<string, Rule>> = {
  '/v1/explain': { action: 'ecs:DescribeSecurityGroupAttribute', on: 'eni', also: ['networkInterfaceId'] },
}

/** A write of `/v1` may do what the published API has several actions for: whoever is denied one is denied it here too. */
const modifyPolicy = ['ecs:ModifySecurityGroupPolicy']
/** They are replaced. */
const modifyTags = { tags: ['ecs:TagResources', 'ecs:UntagResources'] }
const modifyAddresses = {
  privateIpAddresses: ['ecs:AssignPrivateIpAddresses', 'ecs:UnassignPrivateIpAddresses'],
  ipv6Addresses: ['ecs:AssignIpv6Addresses', 'ecs:UnassignIpv6Addresses'],
}

/** @param fields  those with actions of their own; all others are the route's */
function actionsOfFields(fields: Readonly<Record<string, readonly string[]>>): Actions {
  return (own, { body }) => {
    const names = Object.keys(body)
    return names.length === 0 ? [own] : names.flatMap(name => (Object.hasOwn(fields, name) ? fields[name]! : [own]))
  }
}

/** Of what the body says of rules, and of those of the group that path or body name; the route's own where none is known. */
function actionsOfRules(change: RuleAction): Actions {
  return (own, { body, params, world }) => {
    const ids = new Set([body.securityGroupRuleIds ?? [], params.securityGroupRuleId ?? []].flat())
    const { rules = [] } = world.get('group', params.securityGroupId ?? '') ?? {}
    const known = [body.permissions ?? [], body, rules.filter(({ id }) => ids.has(id))].flat()
    const directions = new Set(known.map(each => (each as { readonly direction?: unknown } | null)?.direction))
    const actions = ruleActionsIn(change, directions)
    return actions.length === 0 ? [own] : actions
  }
}

const actionsOfNewGroup: Actions = (own, asked) => {
  const { permissions, template, mode, innerAccessPolicy } = asked.body
  const { authorize } = ruleActions
  return [
    own,
    ...(permissions === undefined ? [] : actionsOfRules('authorize')(authorize.ingress, asked)),
    ...(template === undefined ? [] : [authorize.ingress]),
    ...(mode === undefined && innerAccessPolicy === undefined ? [] : modifyPolicy),
  ]
}

/** The copy is given the rules of the original, and shows them. */
const actionsOfClone: Actions = (own, { params, world }) => {
  const { rules = [] } = world.get('group', params.securityGroupId ?? '') ?? {}
  const directions = new Set(rules.map(({ direction }) => direction))
  return [own, ...ruleActionsIn('authorize', directions), 'ecs:DescribeSecurityGroupAttribute']
}

/** A file of CSV may hold rules of either direction, and so may what is replaced. */
const actionsOfImport: Actions = (own, asked) => {
  const { authorize, revoke } = ruleActions
  const isJson = asked.body.permissions !== undefined
  return [
    ...(isJson ? actionsOfRules('authorize')(own, asked) : Object.values(authorize)),
    ...(asked.query.mode === 'replace' ? Object.values(revoke) : []),
  ]
}

/** Writes whose path and action do not say all that they do, and to what. */
const writes: Readonly<Record<string, Rule>> = {
  'POST /v1/security-groups': { on: 'group', actions: actionsOfNewGroup },
  'POST /v1/security-groups/default': { on: 'group' },
  'POST /v1/security-groups/:securityGroupId/clone': { actions: actionsOfClone },
  'PATCH /v1/security-groups/:securityGroupId': {
    actions: actionsOfFields({ ...modifyTags, innerAccessPolicy: modifyPolicy, mode: modifyPolicy }),
  },
  'POST /v1/security-groups/:securityGroupId/rules': { actions: actionsOfRules('authorize') },
  'POST /v1/security-groups/:securityGroupId/rules/revoke': { actions: actionsOfRules('revoke') },
  'PATCH /v1/security-groups/:securityGroupId/rules/:securityGroupRuleId': { actions: actionsOfRules('modify') },
  'DELETE /v1/security-groups/:securityGroupId/rules/:securityGroupRuleId': { actions: actionsOfRules('revoke') },
  'POST /v1/security-groups/:securityGroupId/import': { actions: actionsOfImport },
  'POST /v1/security-groups/:securityGroupId/join': { also: ['instanceIds', 'networkInterfaceIds'] },
  'POST /v1/security-groups/:securityGroupId/leave': { also: ['instanceIds', 'networkInterfaceIds'] },
  'POST /v1/prefix-lists': { on: 'prefixList' },
  'PATCH /v1/prefix-lists/:prefixListId': { actions: actionsOfFields(modifyTags) },
  'POST /v1/port-range-lists': { on: 'portRangeList' },
  'PATCH /v1/port-range-lists/:portRangeListId': { actions: actionsOfFields(modifyTags) },
  'POST /v1/instances': { on: 'instance' },
  'PATCH /v1/instances/:instanceId': { actions: actionsOfFields(modifyTags) },
  'POST /v1/network-interfaces': { on: 'eni', also: ['instanceId', 'securityGroupIds'] },
  'POST /v1/network-interfaces/:networkInterfaceId/attach': { also: ['instanceId'] },
  'POST /v1/network-interfaces/:networkInterfaceId/detach': { also: ['instanceId'] },
  'PATCH /v1/network-interfaces/:networkInterfaceId': {
    also: ['securityGroupIds'],
    actions: actionsOfFields({ ...modifyTags, ...modifyAddresses }),
  },
  'POST /v1/ram/users': { on: 'ramUser' },
  'POST /v1/ram/groups': { on: 'ramGroup' },
  'POST /v1/ram/policies': { on: 'ramPolicy' },
  'POST /v1/ram/roles': { on: 'ramRole' },
  'POST /v1/ram/access-keys': { also: ['userName'] },
}

/** @throws {ApiError} 403 where a policy denies it, or none allows it */
export function requireRouteAccess(request: FastifyRequest, api: Api): void {
  const { principal } = request
  if (principal?.ram === undefined) return
  const { routeOptions, protocol } = request
  const needs = needsOf(request, api, principal.ram.accountId)
  if (needs === null) {
    const what = `${request.method} ${routeOptions.url}`
    throw new ApiError(403, 'Forbidden', `Cannot answer ${what} to a user of an account: it is for operators' tokens`)
  }
  const facts = { sourceAddress: sourceAddressOf(request), isSecure: protocol === 'https', nowMs: api.now() }
  for (const need of needs) requireAccess(principal, need, facts)
}

/** None for what everybody may; null for what is the operator's alone. */
function needsOf(request: FastifyRequest, api: Api, accountId: string): readonly AccessNeed[] | null {
  const { method, routeOptions } = request
  const { url = '', config } = routeOptions
  const rule =
    method === 'GET'
      ? reads[url]
      : (readsByPost[url] ?? writes[`${method} ${url}`] ?? (config.action === undefined ? undefined : {}))
  if (rule === undefined) return null
  if (rule === everybody) return []
  const own = rule.action ?? config.action
  const owner = { regionId: api.regionId, accountId }
  const resources = resourcesOf(request, rule, { world: api.world, owner })
  if (own === undefined || resources.length === 0) return null
  const actions = rule.actions?.(own, askedWrite(request, api)) ?? [own]
  return [...new Set(actions)].map(action => ({
    action,
    resources: isOfDdos(action) ? [ddosResource(owner)] : resources,
  }))
}

/** It knows no single resources, whatever the path names. */
const isOfDdos = (action: string) => action.startsWith('yundun-ddos:')

/** What a write is audited as by what it asks for: each action once, and none for what it looks at. None for reads. */
export function actionsAsked(request: FastifyRequest, api: Api): readonly string[] {
  const { method, routeOptions } = request
  const { action } = routeOptions.config
  if (action === undefined) return []
  const { actions } = writes[`${method} ${routeOptions.url}`] ?? {}
  const asked = actions?.(action, askedWrite(request, api)) ?? [action]
  return [...new Set(asked)].filter(each => !each.includes(':Describe'))
}

/**
 * Keys of what a request would have been done to, for the audit log: what the path names, and the body as far as policies
 * are asked about it.
 */
export function objectsAsked(request: FastifyRequest, { world, regionId }: Api): readonly string[] {
  const { method, principal, query, routeOptions } = request
  const asked = (query as { readonly accountId?: unknown } | undefined)?.accountId
  const [only, another] = world.all('account')
  const owner = principal?.ram?.accountId ?? asked ?? (another === undefined ? only?.id : undefined)
  if (owner === undefined) return []
  const rule = writes[`${method} ${routeOptions.url}`] ?? {}
  const resources = resourcesOf(request, rule, { world, owner: { regionId, accountId: String(owner) } })
  return resources.flatMap(({ key }) => (key === undefined || key.length > longestKey ? [] : [key]))
}

/** What is longer is no name: the body may be refused for just that. */
const longestKey = 200

function askedWrite({ body, params, query }: FastifyRequest, { world }: Api): AskedWrite {
  const isObject = typeof body === 'object' && body !== null
  return { body: isObject ? body : {}, params, query, world } as AskedWrite
}

interface Naming {
  readonly world: World
  readonly owner: Owner
}

function resourcesOf(request: FastifyRequest, { on, also = [] }: Rule, naming: Naming): readonly AskedResource[] {
  const named = Object.entries((request.params ?? {}) as Readonly<Record<string, string>>).flatMap(([field, id]) =>
    resourcesNamed(field, [id], naming),
  )
  const body = (request.body ?? {}) as Readonly<Record<string, unknown>>
  const further = also.flatMap(field => resourcesNamed(field, [body[field] ?? []].flat().map(String), naming))
  const meant = on === undefined || (named.length > 0 && on !== 'ddos') ? named : resourceOf(on, naming)
  return [...meant, ...further]
}

function resourcesNamed(field: string, ids: readonly string[], { world, owner }: Naming): readonly AskedResource[] {
  const kind = Object.hasOwn(namingFields, field) ? namingFields[field] : undefined
  if (kind === undefined) return []
  return ids.map(id => {
    if (kind === 'accessKey') return keyResource(world, owner.accountId, id)
    if (isRamKind(kind)) return ramTarget(owner.accountId, kind, id)
    return ecsTarget(world, owner, kind, id)
  })
}

function resourceOf(on: Exclude<Rule['on'], undefined>, { world, owner }: Naming): readonly AskedResource[] {
  if (on === 'ddos') return [ddosResource(owner)]
  if (on === 'nothing') return [ringwallResource(owner)]
  if (on === 'accessKey') return [ramTarget(owner.accountId, 'ramUser', '*')]
  if (isRamKind(on)) return [ramTarget(owner.accountId, on, '*')]
  return [ecsTarget(world, owner, on, '*')]
}

/** Keys are judged by whose they are. */
function keyResource(world: World, accountId: string, id: string): AskedResource {
  const key = world.get('accessKey', id)
  const owner = (key?.accountId === accountId ? key.userName : null) ?? '*'
  return { ...ramTarget(accountId, 'ramUser', owner), key: keyOf('accessKey', id) }
}

function isRamKind(kind: Kind): kind is RamKind {
  return Object.hasOwn(entityNames, kind)
}
