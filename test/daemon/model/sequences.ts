/** One sequence of operations given to the API and to the model, and everything compared. */
import assert from 'node:assert/strict'
import { keyOf } from '../../../daemon/model/documents.ts'
import { viewKeysOf, viewObject } from '../../../daemon/push/views.ts'
import type { Listing } from '../../../daemon/store/store.ts'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { formatProblem } from '../../../rules-compiler/validate/problem.ts'
import { checkPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import { policyDocument } from '../../../wire/view.ts'
import { startApi, type TestApi } from '../../support/api.ts'
import { makeAgent } from '../../support/documents.ts'
import { ModelFleet, type ModelGroup, type ModelLimits } from './fleet.ts'
import { type Operation, requestFor, tellOperation, verdictOn } from './operations.ts'
import { type RuleFields, sameness } from './rules.ts'
import { accountA, accountB, agentIds, maximaOf, scopesOf, type Who } from './vocabulary.ts'

/** What a client asks, and what it is answered; over `inject` or a connection. */
export interface Client {
  request(
    method: string,
    path: string,
    options: { readonly as: Who; readonly body?: unknown; readonly contentType?: string },
  ): Promise<{ readonly status: number; readonly body: Answer }>
}

// biome-ignore lint/suspicious/noExplicitAny: answers are compared as they come
type Answer = any

/** Small, so that they are met often. */
export const smallLimits: ModelLimits = {
  rulesPerGroup: 6,
  groupsPerEni: 2,
  basicGroupPrivateIps: 3,
  advancedGroupEnis: 1,
  authorizationObjectsPerRequest: 3,
}

/** What every sequence finds. */
export const furniture: readonly Operation[] = [
  {
    as: 'admin',
    op: 'createGroup',
    body: { accountId: accountA, securityGroupId: 'sg-1', innerAccessPolicy: 'accept' },
  },
  { as: 'admin', op: 'createGroup', body: { accountId: accountA, securityGroupId: 'sg-2', innerAccessPolicy: 'drop' } },
  {
    as: 'admin',
    op: 'createGroup',
    body: { accountId: accountA, securityGroupId: 'sg-3', securityGroupType: 'advanced' },
  },
  { as: 'admin', op: 'createGroup', body: { accountId: accountA, securityGroupId: 'sg-4', networkType: 'classic' } },
  { as: 'admin', op: 'createGroup', body: { accountId: accountB, securityGroupId: 'sg-5' } },
  { as: 'admin', op: 'createGroup', body: { accountId: accountA, securityGroupId: 'sg-6', vpcId: 'vpc-1' } },
  {
    as: 'admin',
    op: 'createPrefixList',
    body: {
      accountId: accountA,
      prefixListId: 'pl-1',
      prefixListName: 'list',
      addressFamily: 'IPv4',
      maxEntries: 2,
      entries: [{ cidr: '203.0.113.7' }],
    },
  },
  {
    as: 'admin',
    op: 'createPortList',
    body: {
      accountId: accountA,
      portRangeListId: 'prl-1',
      portRangeListName: 'ports',
      maxEntries: 2,
      entries: [{ portRange: '80/80' }, { portRange: '8000/8100' }],
    },
  },
  { as: 'admin', op: 'createInstance', body: { accountId: accountA, instanceId: 'i-1', agentId: 'agent-1' } },
  { as: 'admin', op: 'createInstance', body: { accountId: accountA, instanceId: 'i-2', agentId: 'agent-2' } },
  { as: 'admin', op: 'createInstance', body: { accountId: accountB, instanceId: 'i-3', agentId: 'agent-2' } },
  {
    as: 'admin',
    op: 'createEni',
    body: {
      networkInterfaceId: 'eni-1',
      instanceId: 'i-1',
      device: 'eth0',
      privateIpAddresses: ['198.18.0.1'],
      securityGroupIds: ['sg-1'],
    },
  },
  {
    as: 'admin',
    op: 'createEni',
    body: {
      networkInterfaceId: 'eni-2',
      instanceId: 'i-2',
      device: 'eth0',
      privateIpAddresses: ['198.18.0.2'],
      securityGroupIds: ['sg-2'],
    },
  },
  {
    as: 'admin',
    op: 'createEni',
    body: {
      networkInterfaceId: 'eni-3',
      instanceId: 'i-1',
      device: 'eth1',
      privateIpAddresses: ['198.18.0.3'],
      securityGroupIds: ['sg-1', 'sg-2'],
    },
  },
  // The address of another ENI, in another network, on a host that nobody serves yet.
  { as: 'admin', op: 'createInstance', body: { accountId: accountA, instanceId: 'i-4' } },
  {
    as: 'admin',
    op: 'createEni',
    body: {
      networkInterfaceId: 'eni-4',
      instanceId: 'i-4',
      device: 'tap0',
      privateIpAddresses: ['198.18.0.1'],
      securityGroupIds: ['sg-6'],
    },
  },
  { as: 'admin', op: 'createInstance', body: { accountId: accountA, instanceId: 'i-5' } },
  {
    as: 'admin',
    op: 'createEni',
    body: {
      networkInterfaceId: 'eni-5',
      instanceId: 'i-5',
      device: 'eth0',
      privateIpAddresses: [],
      securityGroupIds: ['sg-3'],
    },
  },
  {
    as: 'admin',
    op: 'createEni',
    body: {
      networkInterfaceId: 'eni-6',
      instanceId: 'i-5',
      device: 'eth1',
      privateIpAddresses: [],
      securityGroupIds: [],
    },
  },
  {
    as: 'admin',
    op: 'addRules',
    id: 'sg-1',
    permissions: [
      { direction: 'ingress', ipProtocol: 'tcp', portRange: '443/443', sourceCidrIp: '0.0.0.0/0' },
      { direction: 'ingress', ipProtocol: 'all', sourceGroupId: 'sg-2' },
      { direction: 'egress', ipProtocol: 'udp', portRange: '80/80', destPrefixListId: 'pl-1' },
    ],
  },
  {
    as: 'admin',
    op: 'addRules',
    id: 'sg-2',
    permissions: [
      { direction: 'ingress', service: 'mysql', sourceGroupId: 'sg-1' },
      { direction: 'ingress', service: 'ssh', sourceGroupId: 'sg-5', sourceGroupOwnerAccount: accountB },
    ],
  },
  {
    as: 'admin',
    op: 'addRules',
    id: 'sg-4',
    permissions: [
      { direction: 'ingress', service: 'ssh', nicType: 'intranet', sourcePrefixListId: 'pl-1' },
      { direction: 'ingress', service: 'ssh', nicType: 'intranet', sourceCidrIp: '203.0.113.7' },
    ],
  },
]

export interface Tally {
  done: number
  refused: number
  /** How often each refusal was met. */
  readonly refusals: Map<string, number>
}

/** An API that sequences take in turns, each beginning with the same state. */
export class Stage implements AsyncDisposable {
  readonly tally: Tally = { done: 0, refused: 0, refusals: new Map() }
  readonly #api: TestApi
  readonly #tokens: ReadonlyMap<Who, string>
  readonly #model: ModelFleet
  readonly #beginning: Listing

  static async open(): Promise<Stage> {
    const api = await startApi({ accounts: [accountA, accountB] })
    await api.store.commit({ writes: agentIds.map(id => ({ key: keyOf('agent', id), value: makeAgent({ id }) })) })
    const tokens = new Map<Who, string>()
    for (const [who, scopes] of Object.entries(scopesOf)) tokens.set(who as Who, await api.makeToken(scopes))
    const model = new ModelFleet(smallLimits, agentIds)
    for (const id of [accountA, accountB]) model.accounts.set(id, `account ${id}`)
    await api.request('PATCH', '/v1/settings', { limits: smallLimits })
    const stage = new Stage(api, tokens, model, { revision: 0, entries: [] })
    for (const operation of furniture) await carryOut(operation, stage.client, model, stage.tally)
    return new Stage(api, tokens, model, await api.store.list(''))
  }

  private constructor(api: TestApi, tokens: ReadonlyMap<Who, string>, model: ModelFleet, beginning: Listing) {
    this.#api = api
    this.#tokens = tokens
    this.#model = model
    this.#beginning = beginning
  }

  get client(): Client {
    return {
      request: (method, path, { as, body, contentType }) =>
        this.#api.request(method, path, body, {
          token: this.#tokens.get(as)!,
          ...(contentType !== undefined && { headers: { 'content-type': contentType } }),
        }),
    }
  }

  /** @throws {Error} at the first operation where API and model differ, or at the end; tells the operations until then */
  async play(operations: readonly Operation[]): Promise<void> {
    await this.#beginAgain()
    const model = this.#model.clone()
    const played: string[] = []
    try {
      for (const operation of operations) {
        played.push(`  ${tellOperation(operation)}`)
        await carryOut(operation, this.client, model, this.tally)
      }
      await this.#compareAll(model)
    } catch (cause) {
      throw new Error(`after\n${played.join('\n')}\n${(cause as Error).message}`, { cause })
    }
  }

  async #compareAll(model: ModelFleet): Promise<void> {
    for (const who of ['admin', 'writer-a', 'writer-b'] as const) await compareState(this.client, model, who)
    for (const agentId of agentIds) this.#comparePolicy(agentId, model)
  }

  async #beginAgain(): Promise<void> {
    const { store } = this.#api
    const kept = new Set(this.#beginning.entries.map(({ key }) => key))
    const gone = (await store.list('')).entries.filter(({ key }) => !kept.has(key))
    await store.commit({ writes: [...this.#beginning.entries, ...gone.map(({ key }) => ({ key, value: null }))] })
  }

  /** What the agent is told is a policy without a fault, and means what the model means. */
  #comparePolicy(agentId: string, model: ModelFleet): void {
    const { world } = this.#api
    const objects = [...viewKeysOf(world, agentId)].flatMap(key => viewObject(world, key) ?? [])
    const told = irOf(policyDocument(objects, { deviceOf: eni => eni.device }), `the view of ${agentId}`)
    assert.deepEqual(told, irOf(documentOf(model, agentId), `the model's policy of ${agentId}`))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#api[Symbol.asyncDispose]()
  }
}

export async function carryOut(operation: Operation, client: Client, model: ModelFleet, tally: Tally): Promise<void> {
  const verdict = verdictOn(operation, model)
  const { method, path, body } = requestFor(operation, model)
  const { as } = operation
  const sent = operation.op === 'copyRules' ? await exported(operation, client) : { body }
  const answer = 'refused' in sent ? sent.refused : await client.request(method, path, { as, ...sent })
  const told = `${tellOperation(operation)}\n  was answered ${answer.status} ${JSON.stringify(answer.body).slice(0, 600)}`
  if ('refusals' in verdict) {
    const is = `${answer.status} ${answer.body?.code}`
    assert.ok(
      verdict.refusals.some(refusal => matches(is, refusal)),
      `${told}\n  expected one of: ${[...new Set(verdict.refusals)].join(', ')}`,
    )
    tally.refused += 1
    tally.refusals.set(is, (tally.refusals.get(is) ?? 0) + 1)
    return
  }
  assert.ok(answer.status < 300, `${told}\n  expected success`)
  verdict.apply(answer.body)
  tally.done += 1
  for (const group of model.groups.values()) {
    if (group.rules.some(({ id }) => id === '')) await learnRuleIds(group, client, told)
  }
}

function matches(is: string, refusal: string): boolean {
  return refusal.includes('*')
    ? is.startsWith(refusal.split('*')[0]!) && is.endsWith(refusal.split('*')[1]!)
    : is === refusal
}

/** The rules of a group as `export` gives them, to be imported; or its refusal. */
async function exported({ id, format, as }: Extract<Operation, { op: 'copyRules' }>, client: Client) {
  const answer = await client.request('GET', `/v1/security-groups/${id}/export?format=${format}`, { as })
  if (answer.status >= 300) return { refused: answer }
  return format === 'csv' ? { body: answer.body, contentType: 'text/csv' } : { body: answer.body }
}

/** Takes over the ids that the daemon has given to new rules. */
async function learnRuleIds(group: ModelGroup, client: Client, told: string): Promise<void> {
  const shown = await permissionsOf(group.id, client)
  const idOf = new Map(shown.map(({ id, fields }) => [sameness(fields), id]))
  for (const rule of group.rules) {
    if (rule.id === '') rule.id = idOf.get(sameness(rule.fields)) ?? ''
    assert.notEqual(
      rule.id,
      '',
      `${told}\n  ${group.id} lacks the rule ${JSON.stringify(rule.fields)}; it has ${JSON.stringify(shown)}`,
    )
  }
}

async function permissionsOf(
  groupId: string,
  client: Client,
): Promise<{ readonly id: string; readonly fields: RuleFields }[]> {
  const { body } = await client.request('GET', `/v1/security-groups/${groupId}`, { as: 'admin' })
  return body.permissions.map(({ securityGroupRuleId: id, createTime: _, ...fields }: Answer) => ({ id, fields }))
}

/** Everything that a token may see, by lists. */
async function compareState(client: Client, model: ModelFleet, as: Who): Promise<void> {
  const list = async (path: string) => {
    const { status, body } = await client.request('GET', `${path}?maxResults=500`, { as })
    assert.equal(status, 200)
    assert.equal(body.totalCount, body.items.length)
    return body.items as Answer[]
  }
  const visible = <T extends { readonly accountId: string }>(objects: Iterable<T>) =>
    [...objects].filter(({ accountId }) => model.isVisible(as, accountId))
  const compare = (actual: object[], expected: object[], what: string) =>
    assert.deepEqual(sorted(actual), sorted(expected), `${what} as ${as} sees them`)

  const groups = visible(model.groups.values())
  compare(
    (await list('/v1/security-groups')).map(
      ({ createTime: _, revision: __, tags: ___, description: ____, ...group }) => group,
    ),
    groups.map(group => ({
      securityGroupId: group.id,
      accountId: group.accountId,
      securityGroupName: group.name,
      securityGroupType: group.type === 'basic' ? 'normal' : 'enterprise',
      networkType: group.networkType,
      vpcId: group.vpcId,
      innerAccessPolicy: group.innerAccessPolicy,
      mode: group.mode,
      observedCount: model.enisIn(group.id).filter(eni => model.observersOf(eni).length > 0).length,
      isDefault: group.isDefault,
      ruleCount: group.rules.length,
      networkInterfaceCount: model.enisIn(group.id).length,
      ecsCount: new Set(model.enisIn(group.id).flatMap(({ instanceId }) => instanceId ?? [])).size,
    })),
    'security groups',
  )
  compare(
    (await list('/v1/port-range-lists')).map(
      ({ portRangeListId, accountId, maxEntries, entries, associationCount }) => ({
        portRangeListId,
        accountId,
        maxEntries,
        ranges: entries.map(({ portRange }: Answer) => portRange),
        associationCount,
      }),
    ),
    visible(model.portLists.values()).map(({ id, accountId, maxEntries, ranges }) => ({
      portRangeListId: id,
      accountId,
      maxEntries,
      ranges,
      associationCount: model.groupsWithPorts(id).length,
    })),
    'lists of ports',
  )
  compare(
    (await list('/v1/prefix-lists')).map(
      ({ prefixListId, accountId, addressFamily, maxEntries, entries, associationCount }) => ({
        prefixListId,
        accountId,
        addressFamily,
        maxEntries,
        cidrs: entries.map(({ cidr }: Answer) => cidr).sort(),
        associationCount,
      }),
    ),
    visible(model.prefixLists.values()).map(list => ({
      prefixListId: list.id,
      accountId: list.accountId,
      addressFamily: list.family === 'ip' ? 'IPv4' : 'IPv6',
      maxEntries: list.maxEntries,
      cidrs: [...list.cidrs].sort(),
      associationCount: model.associationsOf(list.id).length,
    })),
    'prefix lists',
  )
  const instances = visible(model.instances.values())
  compare(
    (await list('/v1/instances')).map(
      ({ instanceId, accountId, instanceName, agentId, smtpUnblocked, networkInterfaceIds }) => ({
        instanceId,
        accountId,
        instanceName,
        agentId,
        smtpUnblocked,
        primary: networkInterfaceIds[0] ?? null,
        networkInterfaceIds: [...networkInterfaceIds].sort(),
      }),
    ),
    instances.map(instance => ({
      instanceId: instance.id,
      accountId: instance.accountId,
      instanceName: instance.name,
      agentId: instance.agentId,
      smtpUnblocked: instance.smtpUnblocked,
      primary: model.enisOf(instance.id).find(({ isPrimary }) => isPrimary)?.id ?? null,
      networkInterfaceIds: model
        .enisOf(instance.id)
        .map(({ id }) => id)
        .sort(),
    })),
    'instances',
  )
  compare(
    (await list('/v1/ddos/instances')).map(({ instanceId, bps, pps, source, maxBps, scrubbingCancelled, order }) => ({
      instanceId,
      bps,
      pps,
      source,
      maxBps,
      scrubbingCancelled,
      order,
    })),
    instances.map(({ id, instanceType, threshold, scrubbingCancelled, order }) => {
      const maxima = maximaOf.get(instanceType)
      const { bps = null, pps = null } = threshold ?? maxima ?? {}
      return {
        instanceId: id,
        bps,
        pps,
        source: threshold !== null ? 'manual' : maxima !== undefined ? 'type' : null,
        maxBps: maxima?.bps ?? null,
        scrubbingCancelled,
        order: order === null ? null : { orderId: order.id, action: order.action, holdSeconds: order.holdSeconds },
      }
    }),
    'thresholds and orders',
  )
  compare(
    (await list('/v1/network-interfaces')).map(
      ({
        createTime: _,
        revision: __,
        tags: ___,
        description: ____,
        privateIpAddress: _____,
        macAddress: ______,
        networkInterfaceName: _______,
        vSwitchId: ________,
        ...eni
      }) => ({
        ...eni,
        securityGroupIds: [...eni.securityGroupIds].sort(),
        observedBy: [...eni.observedBy].sort(),
      }),
    ),
    [...model.enis.values()]
      .filter(({ accountId }) => model.isVisible(as, accountId))
      .map(eni => ({
        networkInterfaceId: eni.id,
        accountId: eni.accountId,
        instanceId: eni.instanceId,
        type: eni.isPrimary ? 'Primary' : 'Secondary',
        networkType: eni.networkType,
        vpcId: eni.vpcId,
        device: eni.device,
        placement: eni.placement,
        privateIpAddresses: eni.addresses.filter(address => !address.includes(':')),
        ipv6Addresses: eni.addresses.filter(address => address.includes(':')),
        securityGroupIds: [...eni.groupIds].sort(),
        nicType: eni.nicType,
        mode: eni.mode,
        enforcement: eni.groupIds.length === 0 ? 'none' : model.observersOf(eni).length > 0 ? 'observed' : 'enforced',
        observedBy: [...model.observersOf(eni)].sort(),
      })),
    'network interfaces',
  )
  if (as === 'admin') await compareGroups(client, model)
}

async function compareGroups(client: Client, model: ModelFleet): Promise<void> {
  for (const group of model.groups.values()) {
    const ask = async (path: string) =>
      (await client.request('GET', `/v1/security-groups/${group.id}${path}`, { as: 'admin' })).body
    assert.deepEqual(sorted(await permissionsOf(group.id, client)), sorted(group.rules), `rules of ${group.id}`)
    const members = (await ask('/members')).items.map(({ networkInterfaceId, addresses }: Answer) => [
      networkInterfaceId,
      [...addresses].sort(),
    ])
    assert.deepEqual(
      sorted(members),
      sorted(model.enisIn(group.id).map(eni => [eni.id, [...eni.addresses].sort()])),
      `members of ${group.id}`,
    )
    const { referencedBy } = await ask('/references')
    const referring = referencedBy.map(({ securityGroupId }: Answer) => securityGroupId)
    assert.deepEqual(
      referring.sort(),
      model
        .referencesOf(group.id)
        .map(({ id }) => id)
        .sort(),
      `references of ${group.id}`,
    )
  }
  const { body } = await client.request('GET', '/v1/settings', { as: 'admin' })
  const { keyPairsPerAccount: _, ...limits } = body.settings.limits
  assert.deepEqual(limits, model.limits)
  const { trafficScope, scrubbing, logging } = body.settings
  assert.deepEqual(logging, model.logging)
  const { secondsOver: _seconds, blackHoleThreshold: _threshold, ...told } = scrubbing
  assert.deepEqual({ trafficScope, ...told }, model.scrubbing)
}

/** By what they say, so that order means nothing. */
function sorted(items: readonly object[]): readonly object[] {
  const text = (item: object) => JSON.stringify(item, Array.isArray(item) ? undefined : Object.keys(item).sort())
  return [...items].sort((a, b) => (text(a) < text(b) ? -1 : 1))
}

function irOf(document: unknown, what: string) {
  const { policy, problems } = checkPolicy(document)
  assert.deepEqual(problems.map(formatProblem), [], `${what} has faults`)
  return resolvePolicy(policy!)
}

/** A rule that names a list of ports is one for each of its ranges. */
function rangesOf(model: ModelFleet, { id, fields }: ModelGroup['rules'][number]) {
  const { portRangeListId, ...rest } = fields
  if (portRangeListId === undefined) return [{ id, fields }]
  const { ranges = [] } = model.portLists.get(String(portRangeListId)) ?? {}
  return ranges.map((portRange): { id: string; fields: RuleFields } => ({ id, fields: { ...rest, portRange } }))
}

/** The policy of a host made of the model alone: every group there is, with all of its members. */
export function documentOf(model: ModelFleet, agentId: string) {
  const instances = [...model.instances.values()].filter(instance => instance.agentId === agentId)
  const {
    limits,
    scrubbing: { trafficScope, ...scrubbing },
    logging,
  } = model
  return {
    apiVersion: 'ringwall/v1',
    instances: instances.map(({ id, smtpUnblocked, instanceType, threshold, scrubbingCancelled, order }) => ({
      id,
      smtpUnblocked,
      scrubbingCancelled,
      ...(instanceType !== null && { instanceType }),
      ...(threshold !== null && { ddosThreshold: threshold }),
      ...(order !== null && {
        ddosOrder: {
          id: order.id,
          action: order.action,
          ...(order.holdSeconds !== null && { holdSeconds: order.holdSeconds }),
        },
      }),
    })),
    interfaces: instances
      .flatMap(({ id }) => model.enisOf(id))
      .flatMap(({ id, instanceId, device, placement, nicType, addresses, groupIds, mode }) =>
        device === null
          ? []
          : [{ id, instanceId, device, placement, nicType, addresses, securityGroupIds: groupIds, mode }],
      ),
    securityGroups: [...model.groups.values()].map(group => ({
      id: group.id,
      ownerAccount: group.accountId,
      type: group.type,
      networkType: group.networkType,
      ...(group.vpcId !== null && { vpcId: group.vpcId }),
      innerAccessPolicy: group.innerAccessPolicy,
      mode: group.mode,
      members: model.membersOf(group.id),
      rules: group.rules
        .flatMap(rule => rangesOf(model, rule))
        .map(({ id, fields: { nicType = '', ...fields } }) => ({
          id,
          ...fields,
          // In a VPC a rule is for every ENI, and a file does not say so.
          ...((group.networkType === 'classic' || nicType === 'intranet') && { nicType }),
        })),
    })),
    prefixLists: [...model.prefixLists.values()].map(({ id, cidrs }) => ({ id, entries: cidrs })),
    settings: { limits: { ...limits, keyPairsPerAccount: 500 }, trafficScope, scrubbing, logging },
  }
}
