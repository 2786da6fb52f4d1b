/**
 * The reference model: what the security-group model and docs/api.md say of accounts, groups, prefix lists, instances and
 * ENIs, on plain maps and in the plainest way. Written without a look at the daemon's services, whose judge it is.
 */
import {
  type Asked,
  distinct,
  type GroupOfRule,
  isSingleIpv4List,
  overLimit,
  type PortListOfRule,
  type PrefixListOfRule,
  type Refusal,
  type RuleFields,
  readPermission,
  type Surroundings,
  sameness,
  wrong,
} from './rules.ts'
import { addresses, blocks, maximaOf, ranges, type Scope, scopesOf, type Who } from './vocabulary.ts'

export type Mode = 'enforce' | 'observe'

export interface ModelRule {
  id: string
  readonly fields: RuleFields
}

export interface ModelGroup extends GroupOfRule {
  readonly name: string | null
  readonly description: string | null
  readonly innerAccessPolicy: 'accept' | 'drop'
  readonly mode: Mode
  readonly isDefault: boolean
  readonly rules: readonly ModelRule[]
}

export interface ModelPrefixList extends PrefixListOfRule {
  readonly id: string
  readonly maxEntries: number
}

export interface ModelPortList extends PortListOfRule {
  readonly id: string
  /** Stored. */
  readonly ranges: readonly string[]
}

export interface ModelInstance {
  readonly id: string
  readonly accountId: string
  readonly name: string | null
  readonly agentId: string | null
  readonly smtpUnblocked: boolean
  readonly instanceType: string | null
  /** null: those of the type. */
  readonly threshold: { readonly bps: number; readonly pps: number } | null
  readonly scrubbingCancelled: boolean
  readonly order: ModelOrder | null
}

export interface ModelOrder {
  readonly id: string
  readonly action: 'black-hole' | 'lift'
  readonly holdSeconds: number | null
}

/** An instance of which nothing is said. */
export const plainInstance = {
  name: null,
  agentId: null,
  smtpUnblocked: false,
  instanceType: null,
  threshold: null,
  scrubbingCancelled: false,
  order: null,
} as const satisfies Omit<ModelInstance, 'id' | 'accountId'>

export interface ModelScrubbing {
  readonly trafficScope: 'internet' | 'all'
  readonly holdTime: number
  readonly blackHoleHoldTime: number
  readonly mostBlackHoleHoldTime: number
  /** Stored. */
  readonly allowList: readonly string[]
}

export interface ModelEni {
  readonly id: string
  readonly accountId: string
  /** null: it is of none yet. */
  readonly instanceId: string | null
  readonly isPrimary: boolean
  readonly networkType: 'vpc' | 'classic'
  readonly vpcId: string | null
  readonly device: string | null
  readonly placement: 'host' | 'guest'
  readonly nicType: 'internet' | 'intranet'
  /** Stored, IPv4 before IPv6. */
  readonly addresses: readonly string[]
  readonly groupIds: readonly string[]
  readonly mode: Mode
}

export interface ModelLogging {
  readonly drops: boolean
  readonly sessions: boolean
  readonly perSecond: number
  readonly nflogGroup: number
}

export interface ModelLimits {
  readonly rulesPerGroup: number
  readonly groupsPerEni: number
  readonly basicGroupPrivateIps: number
  readonly advancedGroupEnis: number
  readonly authorizationObjectsPerRequest: number
}

/** Refused for one of these, or done: the change, given what the daemon made up itself (ids, that is). */
export type Verdict = { readonly refusals: readonly Refusal[] } | { readonly apply: (answer: AnswerBody) => void }

// biome-ignore lint/suspicious/noExplicitAny: the model looks into answers for ids only
export type AnswerBody = any

const forbidden: Refusal = '403 Forbidden'
const taken: Refusal = '409 *AlreadyExists'
const held: Refusal = '409 DependencyViolation'
const conflict: Refusal = '409 Conflict'
const lastGroup: Refusal = '409 InstanceLastSecurityGroup'
const wrongState: Refusal = '409 InvalidOperation.InvalidEniState'
const primaryStays: Refusal = '409 InvalidOperation.DetachPrimaryEniNotAllowed'

const notFoundCodes = {
  account: 'InvalidAccountId.NotFound',
  group: 'InvalidSecurityGroupId.NotFound',
  rule: 'InvalidSecurityGroupRuleId.NotFound',
  prefixList: 'InvalidPrefixListId.NotFound',
  portList: 'InvalidPortRangeListId.NotFound',
  instance: 'InvalidInstanceId.NotFound',
  eni: 'InvalidEniId.NotFound',
  agent: 'InvalidAgentId.NotFound',
} as const
type NamedKind = keyof typeof notFoundCodes

/** In the path 404, in the body 400. */
const missing = (kind: NamedKind): Refusal => `404 ${notFoundCodes[kind]}`
const unknown = (kind: NamedKind): Refusal => `400 ${notFoundCodes[kind]}`

const refuse = (...refusals: readonly Refusal[]): Verdict => ({ refusals })

/** Refused if there is a reason for it. */
function unless(refusals: readonly Refusal[], apply: (answer: AnswerBody) => void): Verdict {
  // Several reasons that have no code in common are told as InvalidParameter.
  if (new Set(refusals).size > 1) return refuse(...refusals, wrong)
  return refusals.length > 0 ? refuse(...refusals) : { apply }
}

export class ModelFleet {
  accounts = new Map<string, string>()
  groups = new Map<string, ModelGroup>()
  prefixLists = new Map<string, ModelPrefixList>()
  portLists = new Map<string, ModelPortList>()
  instances = new Map<string, ModelInstance>()
  enis = new Map<string, ModelEni>()
  limits: ModelLimits
  scrubbing: ModelScrubbing = {
    trafficScope: 'internet',
    holdTime: 60,
    blackHoleHoldTime: 1800,
    mostBlackHoleHoldTime: 86_400,
    allowList: [],
  }
  logging: ModelLogging = { drops: true, sessions: false, perSecond: 100, nflogGroup: 21_079 }
  readonly #agentIds: ReadonlySet<string>

  constructor(limits: ModelLimits, agentIds: readonly string[]) {
    this.limits = limits
    this.#agentIds = new Set(agentIds)
  }

  /** Its values are only ever replaced, so that the maps are all there is to copy. */
  clone(): ModelFleet {
    const copy = new ModelFleet(this.limits, [...this.#agentIds])
    copy.accounts = new Map(this.accounts)
    copy.groups = new Map(
      [...this.groups].map(([id, group]) => [id, { ...group, rules: group.rules.map(rule => ({ ...rule })) }]),
    )
    copy.prefixLists = new Map(this.prefixLists)
    copy.portLists = new Map(this.portLists)
    copy.instances = new Map(this.instances)
    copy.enis = new Map(this.enis)
    copy.scrubbing = this.scrubbing
    copy.logging = this.logging
    return copy
  }

  // Accounts

  createAccount(who: Who, { accountId, name }: { readonly accountId: string; readonly name: string }): Verdict {
    if (!mayWrite(who, '*')) return refuse(forbidden)
    return unless(this.accounts.has(accountId) ? [taken] : [], () => void this.accounts.set(accountId, name))
  }

  deleteAccount(who: Who, accountId: string): Verdict {
    if (!mayWrite(who, '*')) return refuse(forbidden)
    if (!this.accounts.has(accountId)) return refuse(missing('account'))
    const owned = [this.groups, this.prefixLists, this.portLists, this.instances, this.enis].flatMap(objects => [
      ...objects.values(),
    ])
    const isNamed = Object.values(scopesOf).some(scopes => scopes.some(scope => scope.accountId === accountId))
    const isHeld = isNamed || owned.some(object => object.accountId === accountId)
    return unless(isHeld ? [held] : [], () => void this.accounts.delete(accountId))
  }

  // Groups

  createGroup(who: Who, body: CreateGroup): Verdict {
    const { account, refusals } = this.#accountFor(who, body.accountId)
    const { securityGroupId: id, networkType = 'vpc', vpcId = null, securityGroupType = 'basic' } = body
    const group: ModelGroup = {
      id,
      accountId: account,
      name: body.securityGroupName ?? null,
      description: null,
      type: securityGroupType,
      networkType,
      vpcId,
      innerAccessPolicy: body.innerAccessPolicy ?? (securityGroupType === 'advanced' ? 'drop' : 'accept'),
      mode: body.mode ?? 'enforce',
      isDefault: false,
      rules: [],
    }
    const { rules, refusals: wrongRules } = this.#readRules(body.permissions ?? [], group)
    refusals.push(...this.#newGroupRefusals(group, rules), ...wrongRules)
    return unless(refusals, () => this.#putRules(group, rules))
  }

  cloneGroup(who: Who, id: string, body: CloneGroup): Verdict {
    const original = this.#visible(who, this.groups, id)
    if (original === undefined) return refuse(missing('group'))
    const { account, refusals } = this.#accountFor(who, body.accountId ?? original.accountId)
    const networkType = body.networkType ?? original.networkType
    const type = body.securityGroupType ?? original.type
    const clone: ModelGroup = {
      ...original,
      id: body.securityGroupId,
      accountId: account,
      name: body.securityGroupName ?? original.name,
      type,
      networkType,
      vpcId: body.vpcId !== undefined ? body.vpcId : networkType === original.networkType ? original.vpcId : null,
      innerAccessPolicy: type === 'advanced' ? 'drop' : original.innerAccessPolicy,
      mode: 'enforce',
      isDefault: false,
      rules: [],
    }
    const asked = original.rules.map(({ fields }) => this.#asAskedIn(clone, original, fields))
    const { rules, refusals: wrongRules } = this.#readRules(asked, clone)
    refusals.push(...this.#newGroupRefusals(clone, rules), ...wrongRules)
    return unless(refusals, () => this.#putRules(clone, rules))
  }

  defaultGroup(
    who: Who,
    body: { readonly accountId?: string; readonly networkType?: 'vpc' | 'classic'; readonly webPorts?: boolean },
  ): Verdict {
    const { account, refusals } = this.#accountFor(who, body.accountId)
    if (refusals.length > 0) return refuse(...refusals)
    const network = { networkType: body.networkType ?? 'vpc', vpcId: null }
    const ports = ['22/22', '3389/3389', ...(body.webPorts === true ? ['80/80', '443/443'] : [])]
    const made = this.#defaultGroupOf(account, network) === undefined
    const over = made && ports.length + 1 > this.limits.rulesPerGroup ? [overLimit] : []
    return unless(over, ({ securityGroup }) => {
      if (made) this.#makeDefaultGroup(securityGroup.securityGroupId, account, network, ports)
    })
  }

  modifyGroup(who: Who, id: string, body: ModifyGroup): Verdict {
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    const changed = {
      ...group,
      ...(body.securityGroupName !== undefined && { name: body.securityGroupName }),
      ...(body.description !== undefined && { description: body.description }),
      ...(body.innerAccessPolicy !== undefined && { innerAccessPolicy: body.innerAccessPolicy }),
      ...(body.mode !== undefined && { mode: body.mode }),
    }
    const isWrong = group.type === 'advanced' && changed.innerAccessPolicy === 'accept'
    return unless(isWrong ? [wrong] : [], () => void this.groups.set(id, changed))
  }

  deleteGroup(who: Who, id: string): Verdict {
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    const isHeld = this.enisIn(id).length > 0 || this.referencesOf(id).length > 0
    return unless(isHeld ? [held] : [], () => void this.groups.delete(id))
  }

  // Rules

  addRules(who: Who, id: string, permissions: readonly Asked[]): Verdict {
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    const { rules, refusals } = this.#readRules(permissions, group)
    const present = group.rules.map(({ fields }) => fields)
    const all = distinct([...present, ...rules])
    const weighs = all.length > present.length ? this.#weightRefusals(all) : []
    return unless([...refusals, ...this.#ruleCountRefusals(all), ...weighs], () => this.#putRules(group, all))
  }

  importRules(who: Who, id: string, mode: 'append' | 'replace', permissions: readonly Asked[]): Verdict {
    if (mode === 'append') return this.addRules(who, id, permissions)
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    const { rules, refusals } = this.#readRules(permissions, group)
    const all = distinct(rules)
    const over = [...this.#ruleCountRefusals(all), ...this.#weightRefusals(all)]
    return unless([...refusals, ...over], () => this.#putRules(group, all))
  }

  /** The rules of one group put into another of the same account, as `export` shows them. */
  copyRules(who: Who, from: string, to: string, mode: 'append' | 'replace'): Verdict {
    const source = this.#visible(who, this.groups, from)
    if (source === undefined) return refuse(missing('group'))
    return this.importRules(
      who,
      to,
      mode,
      source.rules.map(({ fields }) => fields),
    )
  }

  modifyRule(who: Who, id: string, ruleId: string, changes: Asked): Verdict {
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    const rule = group.rules.find(each => each.id === ruleId)
    if (rule === undefined) return refuse(missing('rule'))
    const before: Asked = {
      ...withoutPorts(rule.fields, changes),
      ...withoutOwner(rule.fields, changes),
    }
    const left = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null)
    const asked = Object.fromEntries(left)
    const { rules, refusals } = this.#readRules([asked], group)
    const [changed] = rules
    if (rules.length !== 1 || changed === undefined) refusals.push(wrong)
    const isThere = group.rules.some(
      each => each !== rule && changed !== undefined && sameness(each.fields) === sameness(changed),
    )
    if (isThere) refusals.push(taken, conflict)
    const others = group.rules.filter(each => each !== rule).map(({ fields }) => fields)
    if (changed !== undefined) refusals.push(...this.#weightRefusals([...others, changed]))
    return unless(refusals, () => {
      const changedRules = group.rules.map(each => (each === rule ? { id: ruleId, fields: changed! } : each))
      this.groups.set(id, { ...group, rules: changedRules })
    })
  }

  deleteRule(who: Who, id: string, ruleId: string): Verdict {
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    if (!group.rules.some(rule => rule.id === ruleId)) return refuse(missing('rule'))
    return { apply: () => this.#removeRules(group, new Set([ruleId])) }
  }

  revokeByIds(who: Who, id: string, ruleIds: readonly string[]): Verdict {
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    const isUnknown = ruleIds.some(ruleId => !group.rules.some(rule => rule.id === ruleId))
    return unless(isUnknown ? [unknown('rule')] : [], () => this.#removeRules(group, new Set(ruleIds)))
  }

  revokeByContent(who: Who, id: string, permissions: readonly Asked[]): Verdict {
    const group = this.#writable(who, this.groups, id, missing('group'))
    if ('refusals' in group) return group
    const { rules, refusals } = this.#readRules(permissions, group, true)
    const asked = new Set(rules.map(sameness))
    const found = group.rules.filter(({ fields }) => asked.has(sameness(fields)))
    return unless(refusals, () => this.#removeRules(group, new Set(found.map(rule => rule.id))))
  }

  // Prefix lists

  createPrefixList(who: Who, body: CreatePrefixList): Verdict {
    const { account, refusals } = this.#accountFor(who, body.accountId)
    const family = body.addressFamily === 'IPv4' ? 'ip' : 'ip6'
    const { cidrs, refusals: wrongEntries } = readEntries(body.entries ?? [], family)
    const list = {
      id: body.prefixListId,
      accountId: account,
      family,
      cidrs,
      maxEntries: body.maxEntries ?? Math.max(20, body.entries?.length ?? 0),
    } as const
    refusals.push(...wrongEntries)
    if (this.prefixLists.has(list.id)) refusals.push(taken)
    if (cidrs.length > list.maxEntries) refusals.push(overLimit)
    return unless(refusals, () => void this.prefixLists.set(list.id, list))
  }

  modifyPrefixList(who: Who, id: string, body: ModifyPrefixList): Verdict {
    const list = this.#writable(who, this.prefixLists, id, missing('prefixList'))
    if ('refusals' in list) return list
    const removed = readEntries(body.removeEntries ?? [], list.family)
    const added = readEntries(body.addEntries ?? [], list.family)
    const left = new Set(list.cidrs).difference(new Set(removed.cidrs))
    const changed = {
      ...list,
      cidrs: [...left.union(new Set(added.cidrs))],
      maxEntries: body.maxEntries ?? list.maxEntries,
    }
    const refusals = [...removed.refusals, ...added.refusals]
    if (changed.cidrs.length > changed.maxEntries) refusals.push(overLimit)
    // What a rule may not say, a list must not make it say.
    if (!isSingleIpv4List(changed) && this.#classicIntranetUses(id)) refusals.push(wrong)
    if (changed.cidrs.length > 0 && this.#narrowsOtherwise(id, list.family)) refusals.push(wrong)
    if (changed.maxEntries > list.maxEntries) {
      const after = this.clone()
      after.prefixLists.set(id, changed)
      for (const { rules } of after.associationsOf(id)) {
        refusals.push(...after.#weightRefusals(rules.map(({ fields }) => fields)))
      }
    }
    return unless(refusals, () => void this.prefixLists.set(id, changed))
  }

  deletePrefixList(who: Who, id: string): Verdict {
    const list = this.#writable(who, this.prefixLists, id, missing('prefixList'))
    if ('refusals' in list) return list
    return unless(this.associationsOf(id).length > 0 ? [held] : [], () => void this.prefixLists.delete(id))
  }

  // Lists of ports

  createPortList(who: Who, body: CreatePortList): Verdict {
    const { account, refusals } = this.#accountFor(who, body.accountId)
    const read = readRanges(body.entries ?? [])
    const { portRangeListId: id, maxEntries = 20 } = body
    refusals.push(...read.refusals)
    if (this.portLists.has(id)) refusals.push(taken)
    if (read.ranges.length > maxEntries) refusals.push(overLimit)
    return unless(
      refusals,
      () => void this.portLists.set(id, { id, accountId: account, maxEntries, ranges: read.ranges }),
    )
  }

  modifyPortList(who: Who, id: string, body: ModifyPortList): Verdict {
    const list = this.#writable(who, this.portLists, id, missing('portList'))
    if ('refusals' in list) return list
    const [removed, added] = [readRanges(body.removeEntries ?? []), readRanges(body.addEntries ?? [])]
    const left = new Set(list.ranges).difference(new Set(removed.ranges))
    const { maxEntries = list.maxEntries } = body
    const changed = { ...list, maxEntries, ranges: [...left.union(new Set(added.ranges))] }
    const refusals = [...removed.refusals, ...added.refusals]
    if (changed.ranges.length > maxEntries) refusals.push(overLimit)
    if (maxEntries > list.maxEntries) {
      const after = this.clone()
      after.portLists.set(id, changed)
      for (const { rules } of after.groupsWithPorts(id)) {
        refusals.push(...after.#weightRefusals(rules.map(({ fields }) => fields)))
      }
    }
    return unless(refusals, () => void this.portLists.set(id, changed))
  }

  deletePortList(who: Who, id: string): Verdict {
    const list = this.#writable(who, this.portLists, id, missing('portList'))
    if ('refusals' in list) return list
    return unless(this.groupsWithPorts(id).length > 0 ? [held] : [], () => void this.portLists.delete(id))
  }

  // Instances

  createInstance(who: Who, body: CreateInstance): Verdict {
    const { account, refusals } = this.#accountFor(who, body.accountId)
    if (refusals.length > 0) return refuse(...refusals)
    const { instanceId: id, agentId = null } = body
    const faults: Refusal[] = []
    if (agentId !== null && !mayWrite(who, '*')) faults.push(forbidden)
    if (agentId !== null && !this.#agentIds.has(agentId)) faults.push(unknown('agent'))
    if (this.instances.has(id)) faults.push(taken)
    const { instanceName: name = null, instanceType = null } = body
    return unless(
      faults,
      () => void this.instances.set(id, { ...plainInstance, id, accountId: account, name, agentId, instanceType }),
    )
  }

  modifyInstance(who: Who, id: string, body: ModifyInstance): Verdict {
    const instance = this.#writable(who, this.instances, id, missing('instance'))
    if ('refusals' in instance) return instance
    const faults: Refusal[] = []
    const isForAdministrators = body.agentId !== undefined || body.smtpUnblocked !== undefined
    if (isForAdministrators && !mayWrite(who, '*')) faults.push(forbidden)
    const {
      agentId = instance.agentId,
      smtpUnblocked = instance.smtpUnblocked,
      instanceName: name = instance.name,
      instanceType = instance.instanceType,
    } = body
    if (agentId !== null && !this.#agentIds.has(agentId)) faults.push(unknown('agent'))
    // What was ordered was for the agent there was.
    const order = agentId === instance.agentId ? instance.order : null
    const moved: ModelInstance = { ...instance, name, agentId, smtpUnblocked, instanceType, order }
    if (body.instanceType !== undefined && instance.threshold !== null && isAbove(instance.threshold, instanceType)) {
      faults.push(conflict)
    }
    for (const eni of this.enisOf(id)) faults.push(...this.#bindingRefusals(eni, moved))
    return unless(faults, () => void this.instances.set(id, moved))
  }

  deleteInstance(who: Who, id: string): Verdict {
    const instance = this.#writable(who, this.instances, id, missing('instance'))
    if ('refusals' in instance) return instance
    return {
      apply: () => {
        for (const eni of this.enisOf(id)) this.enis.delete(eni.id)
        this.instances.delete(id)
      },
    }
  }

  setThreshold(who: Who, id: string, { bps, pps, source = 'manual' }: SetThreshold): Verdict {
    const instance = this.#writable(who, this.instances, id, missing('instance'))
    if ('refusals' in instance) return instance
    const set = (threshold: ModelInstance['threshold']): Verdict => ({
      apply: () => void this.instances.set(id, { ...instance, threshold }),
    })
    if (source !== 'manual') {
      if (bps !== undefined || pps !== undefined) return refuse(wrong)
      // Nobody proposes anything here.
      return source === 'auto' ? refuse(conflict) : set(null)
    }
    if (bps === undefined || pps === undefined) return refuse('400 MissingParameter')
    return isAbove({ bps, pps }, instance.instanceType) ? refuse(wrong) : set({ bps, pps })
  }

  cancelScrubbing(who: Who, id: string, scrubbingCancelled: boolean): Verdict {
    const instance = this.#writable(who, this.instances, id, missing('instance'))
    if ('refusals' in instance) return instance
    return { apply: () => void this.instances.set(id, { ...instance, scrubbingCancelled }) }
  }

  orderScrubbing(who: Who, id: string, action: ModelOrder['action'], holdSeconds: number | null): Verdict {
    const instance = this.#writable(who, this.instances, id, missing('instance'))
    if ('refusals' in instance) return instance
    return unless(instance.agentId === null ? [conflict] : [], ({ scrubbing }) => {
      this.instances.set(id, { ...instance, order: { id: scrubbing.order.orderId, action, holdSeconds } })
    })
  }

  // Network interfaces

  createEni(who: Who, body: CreateEni): Verdict {
    const instance =
      body.instanceId === undefined ? null : this.#writable(who, this.instances, body.instanceId, unknown('instance'))
    if (instance !== null && 'refusals' in instance) return instance
    const { networkInterfaceId: id, securityGroupIds } = body
    const { stored, refusals } = readAddresses(body)
    const owner = instance === null ? this.#ownerAlone(who, body) : { account: instance.accountId, refusals: [] }
    if (owner.refusals.length > 0) return refuse(...owner.refusals)
    const accountId = owner.account
    if (body.accountId !== undefined && body.accountId !== accountId) refusals.push(wrong)
    if (instance === null && body.device !== undefined) refusals.push(wrong)
    if (this.enis.has(id)) refusals.push(taken)
    if (body.networkType === 'classic' && body.vpcId !== undefined) refusals.push(wrong)
    const siblings = instance === null ? [] : this.enisOf(instance.id)
    const network = this.#networkOf(body, siblings)
    const byDefault = securityGroupIds === undefined ? this.#defaultGroupOf(accountId, network) : undefined
    const eni: ModelEni = {
      id,
      accountId,
      instanceId: instance?.id ?? null,
      isPrimary: instance !== null && siblings.length === 0,
      ...network,
      device: body.device ?? null,
      placement: body.placement ?? 'host',
      nicType: body.nicType ?? 'internet',
      addresses: stored,
      groupIds: securityGroupIds ?? (byDefault === undefined ? [] : [byDefault.id]),
      mode: body.mode ?? 'enforce',
    }
    if (eni.networkType === 'vpc' && body.nicType === 'intranet') refusals.push(wrong)
    refusals.push(...this.#attachmentRefusals(who, eni))
    refusals.push(...this.#addressRefusals(eni), ...this.#bindingRefusals(eni, instance))
    const makesDefault = securityGroupIds === undefined && byDefault === undefined
    if (makesDefault) {
      if (this.#typesOn(eni.instanceId, id).has('advanced')) refusals.push(wrong)
      if (this.limits.rulesPerGroup < 3 || stored.length > this.limits.basicGroupPrivateIps) refusals.push(overLimit)
    }
    return unless(refusals, ({ networkInterface }) => {
      const { securityGroupIds: made } = networkInterface
      if (makesDefault) this.#makeDefaultGroup(made[0], accountId, network, ['22/22', '3389/3389'])
      this.enis.set(id, makesDefault ? { ...eni, groupIds: made } : eni)
    })
  }

  modifyEni(who: Who, id: string, body: ModifyEni): Verdict {
    const eni = this.#visibleEni(who, id)
    if (eni === undefined) return refuse(missing('eni'))
    const instance = eni.instanceId === null ? null : this.instances.get(eni.instanceId)!
    if (!mayWrite(who, eni.accountId)) return refuse(forbidden)
    const given = {
      privateIpAddresses: body.privateIpAddresses ?? eni.addresses.filter(address => !address.includes(':')),
      ipv6Addresses: body.ipv6Addresses ?? eni.addresses.filter(address => address.includes(':')),
    }
    const { stored, refusals } = readAddresses(given)
    const changed: ModelEni = {
      ...eni,
      device: body.device !== undefined ? body.device : eni.device,
      placement: body.placement ?? eni.placement,
      nicType: body.nicType ?? eni.nicType,
      addresses: stored,
      groupIds: body.securityGroupIds ?? eni.groupIds,
      mode: body.mode ?? eni.mode,
    }
    if (eni.networkType === 'vpc' && body.nicType === 'intranet') refusals.push(wrong)
    if (changed.groupIds.length === 0 && eni.groupIds.length > 0) refusals.push(lastGroup)
    if (instance === null && typeof body.device === 'string') refusals.push(wrong)
    refusals.push(...this.#attachmentRefusals(who, changed))
    refusals.push(...this.#addressRefusals(changed), ...this.#bindingRefusals(changed, instance))
    return unless(refusals, () => void this.enis.set(id, changed))
  }

  deleteEni(who: Who, id: string): Verdict {
    const eni = this.#visibleEni(who, id)
    if (eni === undefined) return refuse(missing('eni'))
    if (!mayWrite(who, eni.accountId)) return refuse(forbidden)
    return unless(this.#isFirstOfSeveral(eni) ? [held] : [], () => void this.enis.delete(id))
  }

  attachEni(who: Who, id: string, { instanceId, device }: AttachEni): Verdict {
    const eni = this.#writable(who, this.enis, id, missing('eni'))
    if ('refusals' in eni) return eni
    const instance = this.#writable(who, this.instances, instanceId, unknown('instance'))
    if ('refusals' in instance) return instance
    if (eni.instanceId !== null) return refuse(wrongState)
    // No agent here has said anything of its devices.
    if (device !== undefined && eni.addresses.length === 0) return refuse(wrong)
    if (instance.accountId !== eni.accountId) return refuse(wrong)
    const attached: ModelEni = {
      ...eni,
      instanceId,
      isPrimary: this.enisOf(instanceId).length === 0,
      device: device ?? null,
    }
    const refusals = [...this.#attachmentRefusals(who, attached), ...this.#bindingRefusals(attached, instance)]
    return unless(refusals, () => void this.enis.set(id, attached))
  }

  detachEni(who: Who, id: string, { instanceId }: DetachEni): Verdict {
    const eni = this.#writable(who, this.enis, id, missing('eni'))
    if ('refusals' in eni) return eni
    if (eni.instanceId === null || (instanceId !== undefined && instanceId !== eni.instanceId))
      return refuse(wrongState)
    return unless(this.#isFirstOfSeveral(eni) ? [primaryStays] : [], () => {
      this.enis.set(id, { ...eni, instanceId: null, isPrimary: false, device: null })
    })
  }

  #isFirstOfSeveral({ isPrimary, instanceId }: ModelEni): boolean {
    return isPrimary && instanceId !== null && this.enisOf(instanceId).length > 1
  }

  /** Of an ENI of no instance: as it says, or that of its first group. */
  #ownerAlone(who: Who, { accountId, securityGroupIds: [first = ''] = [] }: CreateEni) {
    return this.#accountFor(who, accountId ?? this.#visible(who, this.groups, first)?.accountId)
  }

  join(who: Who, groupId: string, body: Membership): Verdict {
    const group = this.#writable(who, this.groups, groupId, missing('group'))
    if ('refusals' in group) return group
    const { enis, refusals } = this.#targets(who, body)
    const after = this.clone()
    const joining = enis.filter(eni => !eni.groupIds.includes(groupId))
    for (const eni of joining) after.enis.set(eni.id, { ...eni, groupIds: [...eni.groupIds, groupId] })
    for (const { id } of joining) {
      const eni = after.enis.get(id)!
      if (!mayWrite(who, eni.accountId)) refusals.push(forbidden)
      refusals.push(...after.#attachmentRefusals(who, eni))
    }
    return unless(refusals, () => {
      this.enis = after.enis
    })
  }

  leave(who: Who, groupId: string, body: Membership): Verdict {
    const group = this.#writable(who, this.groups, groupId, missing('group'))
    if ('refusals' in group) return group
    const { enis, refusals } = this.#targets(who, body)
    for (const eni of enis) {
      if (!mayWrite(who, eni.accountId)) refusals.push(forbidden)
      if (!eni.groupIds.includes(groupId)) refusals.push('400 InvalidSecurityGroupAssociation.NotFound')
      else if (eni.groupIds.length === 1) refusals.push(lastGroup)
    }
    return unless(refusals, () => {
      for (const eni of enis) {
        this.enis.set(eni.id, { ...eni, groupIds: eni.groupIds.filter(id => id !== groupId) })
      }
    })
  }

  // Settings

  modifyLimits(who: Who, limits: Partial<ModelLimits>): Verdict {
    if (!mayWrite(who, '*')) return refuse(forbidden)
    const changed = { ...this.limits, ...limits }
    const groups = [...this.groups.values()]
    const isBelow =
      groups.some(({ rules }) => this.#countOf(rules.map(({ fields }) => fields)) > changed.rulesPerGroup) ||
      [...this.enis.values()].some(({ groupIds }) => groupIds.length > changed.groupsPerEni) ||
      groups.some(({ id, type }) =>
        type === 'basic'
          ? this.membersOf(id).length > changed.basicGroupPrivateIps
          : this.enisIn(id).length > changed.advancedGroupEnis,
      )
    return unless(isBelow ? [conflict, overLimit] : [], () => {
      this.limits = changed
    })
  }

  modifyScrubbing(who: Who, { trafficScope, scrubbing = {} }: ModifyScrubbing): Verdict {
    if (!mayWrite(who, '*')) return refuse(forbidden)
    const { allowList: asked, ...numbers } = scrubbing
    const allowList = asked === undefined ? this.scrubbing.allowList : storedBlocks(asked)
    const changed = { ...this.scrubbing, ...numbers, ...(trafficScope !== undefined && { trafficScope }) }
    const isShorter = changed.mostBlackHoleHoldTime < changed.blackHoleHoldTime
    if (allowList === null || isShorter) return refuse(wrong)
    return {
      apply: () => {
        this.scrubbing = { ...changed, allowList }
      },
    }
  }

  modifyLogging(who: Who, change: Partial<ModelLogging>): Verdict {
    const logging = { ...this.logging, ...change }
    const isWithin = (value: number, most: number) => value >= 1 && value <= most
    const isGood = isWithin(logging.perSecond, 10_000) && isWithin(logging.nflogGroup, 65_535)
    // What has not the shape is refused before anybody asks who wants it.
    if (!isGood) return refuse(wrong)
    if (!mayWrite(who, '*')) return refuse(forbidden)
    return {
      apply: () => {
        this.logging = logging
      },
    }
  }

  // Questions

  /** Whose mode it is that nothing is dropped at the ENI; an ENI without group has nothing to observe. */
  observersOf({ id, mode, groupIds }: ModelEni): readonly string[] {
    if (groupIds.length === 0) return []
    const observing = groupIds.filter(groupId => this.groups.get(groupId)?.mode === 'observe')
    return mode === 'observe' ? [id, ...observing] : observing
  }

  enisOf(instanceId: string): readonly ModelEni[] {
    return [...this.enis.values()].filter(eni => eni.instanceId === instanceId)
  }

  enisIn(groupId: string): readonly ModelEni[] {
    return [...this.enis.values()].filter(eni => eni.groupIds.includes(groupId))
  }

  membersOf(groupId: string): readonly string[] {
    return [...new Set(this.enisIn(groupId).flatMap(eni => eni.addresses))].sort()
  }

  /** Other groups with a rule that names it. */
  referencesOf(groupId: string): readonly ModelGroup[] {
    return [...this.groups.values()].filter(
      ({ id, rules }) =>
        id !== groupId &&
        rules.some(({ fields }) => fields.sourceGroupId === groupId || fields.destGroupId === groupId),
    )
  }

  associationsOf(prefixListId: string): readonly ModelGroup[] {
    return [...this.groups.values()].filter(({ rules }) =>
      rules.some(
        ({ fields }) => fields.sourcePrefixListId === prefixListId || fields.destPrefixListId === prefixListId,
      ),
    )
  }

  groupsWithPorts(portListId: string): readonly ModelGroup[] {
    return [...this.groups.values()].filter(({ rules }) =>
      rules.some(({ fields }) => fields.portRangeListId === portListId),
    )
  }

  isVisible(who: Who, accountId: string): boolean {
    return mayRead(who, accountId)
  }

  ruleIdAt(groupId: string, index: number): string {
    const rules = this.groups.get(groupId)?.rules ?? []
    return rules.length === 0 ? 'sgr-none' : rules[index % rules.length]!.id
  }

  // Parts of verdicts

  #visible<T extends { readonly accountId: string }>(
    who: Who,
    objects: ReadonlyMap<string, T>,
    id: string,
  ): T | undefined {
    const object = objects.get(id)
    return object !== undefined && mayRead(who, object.accountId) ? object : undefined
  }

  #writable<T extends { readonly accountId: string }>(
    who: Who,
    objects: ReadonlyMap<string, T>,
    id: string,
    absent: Refusal,
  ): T | { readonly refusals: readonly Refusal[] } {
    const object = this.#visible(who, objects, id)
    if (object === undefined) return { refusals: [absent] }
    return mayWrite(who, object.accountId) ? object : { refusals: [forbidden] }
  }

  #visibleEni(who: Who, id: string): ModelEni | undefined {
    return this.#visible(who, this.enis, id)
  }

  /** No account where it is refused: of what else is wrong, any may be told. */
  #accountFor(who: Who, given: string | undefined): { readonly account: string; readonly refusals: Refusal[] } {
    if (given !== undefined) {
      if (!this.accounts.has(given) || !mayRead(who, given)) return { account: '', refusals: [unknown('account')] }
      return { account: given, refusals: mayWrite(who, given) ? [] : [forbidden] }
    }
    const [only, another] = [...this.accounts.keys()].filter(id => mayWrite(who, id))
    if (only === undefined || another !== undefined) return { account: '', refusals: ['400 MissingParameter'] }
    return { account: only, refusals: [] }
  }

  #newGroupRefusals(group: ModelGroup, rules: readonly RuleFields[]): readonly Refusal[] {
    const refusals: Refusal[] = [...this.#ruleCountRefusals(rules), ...this.#weightRefusals(rules)]
    if (this.groups.has(group.id)) refusals.push(taken)
    if (group.networkType === 'classic' && (group.type === 'advanced' || group.vpcId !== null)) refusals.push(wrong)
    if (group.type === 'advanced' && group.innerAccessPolicy === 'accept') refusals.push(wrong)
    return refusals
  }

  /** A list counts for what it may grow to, and two of one rule for each combination. */
  #weightRefusals(rules: readonly RuleFields[]): readonly Refusal[] {
    return this.#weightOf(rules) > this.limits.rulesPerGroup ? [overLimit] : []
  }

  /** Of rules that are all different. */
  #countOf(rules: readonly RuleFields[]): number {
    return Math.max(rules.length, this.#weightOf(rules))
  }

  #weightOf(rules: readonly RuleFields[]): number {
    let weight = 0
    let namesLists = false
    for (const { portRangeListId, sourcePrefixListId, destPrefixListId } of rules) {
      const ports = this.portLists.get(String(portRangeListId))
      const blocks = this.prefixLists.get(String(sourcePrefixListId ?? destPrefixListId))
      namesLists ||= ports !== undefined || blocks !== undefined
      weight += (ports?.maxEntries ?? 1) * (blocks?.maxEntries ?? 1)
    }
    return namesLists ? weight : 0
  }

  #ruleCountRefusals(rules: readonly RuleFields[]): readonly Refusal[] {
    return rules.length > this.limits.rulesPerGroup ? [overLimit] : []
  }

  #readRules(
    permissions: readonly Asked[],
    group: ModelGroup,
    isLookup = false,
  ): { rules: readonly RuleFields[]; refusals: Refusal[] } {
    const surroundings: Surroundings = {
      group: id => this.groups.get(id),
      prefixList: id => this.prefixLists.get(id),
      portList: id => this.portLists.get(id),
      objectsPerRule: this.limits.authorizationObjectsPerRequest,
      isLookup,
    }
    const readings = permissions.map(asked => readPermission(asked, group, surroundings))
    return {
      rules: distinct(readings.flatMap(({ rules }) => rules)),
      refusals: readings.flatMap(({ refusals }) => refusals),
    }
  }

  /** A rule of the original as it would be asked for in the clone. */
  #asAskedIn(clone: ModelGroup, original: ModelGroup, fields: RuleFields): Asked {
    for (const side of ['source', 'dest']) {
      const named = fields[`${side}GroupId`]
      if (named === undefined) continue
      if (named === original.id) return { ...fields, [`${side}GroupId`]: clone.id }
      // The group it named is still of the account it was of.
      return { ...fields, [`${side}GroupOwnerAccount`]: fields[`${side}GroupOwnerAccount`] ?? original.accountId }
    }
    return fields
  }

  /** Rules that are there keep their ids; those of new ones come with `learn`. */
  #putRules(group: ModelGroup, rules: readonly RuleFields[]): void {
    const idOf = new Map(group.rules.map(({ id, fields }) => [sameness(fields), id]))
    this.groups.set(group.id, {
      ...group,
      rules: rules.map(fields => ({ id: idOf.get(sameness(fields)) ?? '', fields })),
    })
  }

  #removeRules(group: ModelGroup, ids: ReadonlySet<string>): void {
    this.groups.set(group.id, { ...group, rules: group.rules.filter(({ id }) => !ids.has(id)) })
  }

  #defaultGroupOf(
    accountId: string,
    { networkType, vpcId }: Pick<ModelEni, 'networkType' | 'vpcId'>,
  ): ModelGroup | undefined {
    return [...this.groups.values()].find(
      group =>
        group.isDefault && group.accountId === accountId && group.networkType === networkType && group.vpcId === vpcId,
    )
  }

  #makeDefaultGroup(
    id: string,
    accountId: string,
    network: Pick<ModelEni, 'networkType' | 'vpcId'>,
    ports: readonly string[],
  ): void {
    const rule = {
      direction: 'ingress',
      policy: 'accept',
      priority: 100,
      sourceCidrIp: '0.0.0.0/0',
      nicType: 'internet',
    }
    const rules = [
      { ...rule, ipProtocol: 'icmp', portRange: '-1/-1' },
      ...ports.map(portRange => ({ ...rule, ipProtocol: 'tcp', portRange })),
    ]
    this.groups.set(id, {
      id,
      accountId,
      name: 'default',
      description: null,
      type: 'basic',
      ...network,
      innerAccessPolicy: 'accept',
      mode: 'enforce',
      isDefault: true,
      rules: rules.map(fields => ({ id: '', fields })),
    })
  }

  /** An ENI of classic networks whose intranet rules may name single addresses only names this list. */
  #classicIntranetUses(prefixListId: string): boolean {
    return this.associationsOf(prefixListId).some(
      ({ networkType, rules }) =>
        networkType === 'classic' &&
        rules.some(({ fields }) => fields.sourcePrefixListId === prefixListId && fields.nicType === 'intranet'),
    )
  }

  /** A rule that names the list narrows to addresses of the other family. */
  #narrowsOtherwise(prefixListId: string, family: 'ip' | 'ip6'): boolean {
    const [ingress, egress] = family === 'ip' ? ['ipv6DestCidrIp', 'ipv6SourceCidrIp'] : ['destCidrIp', 'sourceCidrIp']
    return [...this.groups.values()].some(({ rules }) =>
      rules.some(
        ({ fields }) =>
          (fields.sourcePrefixListId === prefixListId && fields[ingress!] !== undefined) ||
          (fields.destPrefixListId === prefixListId && fields[egress!] !== undefined),
      ),
    )
  }

  #networkOf(
    { networkType, vpcId, securityGroupIds = [] }: CreateEni,
    siblings: readonly ModelEni[],
  ): Pick<ModelEni, 'networkType' | 'vpcId'> {
    if (networkType !== undefined || vpcId !== undefined)
      return { networkType: networkType ?? 'vpc', vpcId: vpcId ?? null }
    const [first = ''] = securityGroupIds
    const like = this.groups.get(first) ?? siblings.find(({ isPrimary }) => isPrimary)
    return like === undefined
      ? { networkType: 'vpc', vpcId: null }
      : { networkType: like.networkType, vpcId: like.vpcId }
  }

  /** Whether the ENI, as it is to be, may be in its groups. */
  #attachmentRefusals(who: Who, eni: ModelEni): readonly Refusal[] {
    const refusals: Refusal[] = []
    if (new Set(eni.groupIds).size < eni.groupIds.length) refusals.push(wrong)
    if (eni.groupIds.length > this.limits.groupsPerEni) refusals.push(overLimit)
    const groups = eni.groupIds.flatMap(id => {
      const group = this.#visible(who, this.groups, id)
      if (group === undefined) refusals.push(unknown('group'))
      return group ?? []
    })
    for (const group of groups) {
      if (group.accountId !== eni.accountId) refusals.push(wrong)
      if (group.networkType !== eni.networkType || group.vpcId !== eni.vpcId) refusals.push(wrong)
      const others = this.enisIn(group.id).filter(({ id }) => id !== eni.id)
      const members = new Set([...others.flatMap(other => other.addresses), ...eni.addresses])
      const isFull =
        group.type === 'basic'
          ? members.size > this.limits.basicGroupPrivateIps
          : others.length + 1 > this.limits.advancedGroupEnis
      if (isFull) refusals.push(overLimit)
    }
    const types = new Set([...groups.map(({ type }) => type), ...this.#typesOn(eni.instanceId, eni.id)])
    if (types.size > 1) refusals.push(wrong)
    return refusals
  }

  /** Types of the groups that the other ENIs of an instance are in. */
  #typesOn(instanceId: string | null, exceptEniId: string): Set<'basic' | 'advanced'> {
    const others = (instanceId === null ? [] : this.enisOf(instanceId)).filter(({ id }) => id !== exceptEniId)
    return new Set(others.flatMap(({ groupIds }) => groupIds.flatMap(id => this.groups.get(id)?.type ?? [])))
  }

  /** An address is one ENI's in its network. */
  #addressRefusals(eni: ModelEni): readonly Refusal[] {
    const others = [...this.enis.values()].filter(
      other => other.id !== eni.id && other.networkType === eni.networkType && other.vpcId === eni.vpcId,
    )
    const used = new Set(others.flatMap(other => other.addresses))
    return eni.addresses.some(address => used.has(address)) ? [conflict] : []
  }

  /** A device is one ENI, and an address is one ENI's, on a host: docs/policy-file.md. */
  #bindingRefusals(eni: ModelEni, instance: ModelInstance | null): readonly Refusal[] {
    if (instance === null) return []
    const ofHost = [...this.enis.values()].filter(other => {
      if (other.id === eni.id || other.instanceId === null) return false
      if (other.instanceId === instance.id) return true
      return instance.agentId !== null && this.instances.get(other.instanceId)!.agentId === instance.agentId
    })
    const isTaken = ofHost.some(
      other =>
        (eni.device !== null && other.device === eni.device) ||
        // Without an agent nobody makes one policy of them.
        (instance.agentId !== null && other.addresses.some(address => eni.addresses.includes(address))),
    )
    return isTaken ? [conflict] : []
  }

  #targets(
    who: Who,
    { instanceIds = [], networkInterfaceIds = [] }: Membership,
  ): { readonly enis: readonly ModelEni[]; readonly refusals: Refusal[] } {
    const refusals: Refusal[] = []
    if (instanceIds.length + networkInterfaceIds.length === 0) refusals.push(wrong, '400 MissingParameter')
    const found = new Map<string, ModelEni>()
    for (const id of instanceIds) {
      const instance = this.#visible(who, this.instances, id)
      const primary = instance === undefined ? undefined : this.enisOf(id).find(({ isPrimary }) => isPrimary)
      if (instance === undefined) refusals.push(unknown('instance'))
      else if (primary === undefined) refusals.push(wrong)
      else found.set(primary.id, primary)
    }
    for (const id of networkInterfaceIds) {
      const eni = this.#visibleEni(who, id)
      if (eni === undefined) refusals.push(unknown('eni'))
      else found.set(id, eni)
    }
    return { enis: [...found.values()], refusals }
  }
}

export interface CreateGroup {
  readonly accountId?: string
  readonly securityGroupId: string
  readonly securityGroupName?: string
  readonly securityGroupType?: 'basic' | 'advanced'
  readonly networkType?: 'vpc' | 'classic'
  readonly vpcId?: string
  readonly innerAccessPolicy?: 'accept' | 'drop'
  readonly mode?: Mode
  readonly permissions?: readonly Asked[]
}

export interface CloneGroup {
  readonly securityGroupId: string
  readonly accountId?: string
  readonly securityGroupName?: string
  readonly securityGroupType?: 'basic' | 'advanced'
  readonly networkType?: 'vpc' | 'classic'
  readonly vpcId?: string | null
}

export interface ModifyGroup {
  readonly securityGroupName?: string | null
  readonly description?: string | null
  readonly innerAccessPolicy?: 'accept' | 'drop'
  readonly mode?: Mode
}

interface Entry {
  readonly cidr: string
}

export interface CreatePrefixList {
  readonly accountId?: string
  readonly prefixListId: string
  readonly prefixListName: string
  readonly addressFamily: 'IPv4' | 'IPv6'
  readonly maxEntries?: number
  readonly entries?: readonly Entry[]
}

export interface ModifyPrefixList {
  readonly maxEntries?: number
  readonly addEntries?: readonly Entry[]
  readonly removeEntries?: readonly Entry[]
}

interface RangeEntry {
  readonly portRange: string
}

export interface CreatePortList {
  readonly accountId?: string
  readonly portRangeListId: string
  readonly portRangeListName: string
  readonly maxEntries?: number
  readonly entries?: readonly RangeEntry[]
}

export interface ModifyPortList {
  readonly maxEntries?: number
  readonly addEntries?: readonly RangeEntry[]
  readonly removeEntries?: readonly RangeEntry[]
}

function readRanges(entries: readonly RangeEntry[]) {
  const found = entries.map(({ portRange }) => ranges.get(portRange) ?? '')
  const isWrong = found.includes('') || new Set(found).size < found.length
  return { ranges: found, refusals: isWrong ? [wrong] : [] }
}

/** A range and a list of them are said in place of each other. */
function withoutPorts(fields: RuleFields, changes: Asked): Asked {
  const { portRange, portRangeListId, ...rest } = fields
  if (typeof changes.portRangeListId === 'string' || typeof changes.portRange === 'string') return rest
  return { ...rest, portRange, ...(portRangeListId !== undefined && { portRangeListId }) }
}

function isAbove({ bps, pps }: NonNullable<ModelInstance['threshold']>, instanceType: string | null): boolean {
  const maxima = maximaOf.get(instanceType)
  return maxima !== undefined && (bps > maxima.bps || pps > maxima.pps)
}

/** In the order of addresses, without those that another has in it; null where one is none. */
function storedBlocks(asked: readonly string[]): readonly string[] | null {
  const texts = asked.map(text => blocks.get(text)?.text)
  if (texts.some(text => text === undefined)) return null
  const order = ['10.0.0.0/8', '198.18.0.0/24', '203.0.113.7/32', '203.0.113.8/32', '2001:db8::/32']
  const wanted = new Set(texts)
  return order.filter(text => wanted.has(text))
}

export interface CreateInstance {
  readonly accountId?: string
  readonly instanceId: string
  readonly instanceName?: string
  readonly instanceType?: string | null
  readonly agentId?: string | null
}

export interface SetThreshold {
  readonly bps?: number
  readonly pps?: number
  readonly source?: 'type' | 'manual' | 'auto'
}

export interface ModifyScrubbing {
  readonly trafficScope?: 'internet' | 'all'
  readonly scrubbing?: Partial<Omit<ModelScrubbing, 'trafficScope'>>
}

export interface ModifyInstance {
  readonly instanceName?: string | null
  readonly instanceType?: string | null
  readonly agentId?: string | null
  readonly smtpUnblocked?: boolean
}

export interface CreateEni {
  readonly networkInterfaceId: string
  readonly instanceId?: string
  readonly accountId?: string
  readonly networkType?: 'vpc' | 'classic'
  readonly vpcId?: string
  readonly device?: string
  readonly placement?: 'host' | 'guest'
  readonly nicType?: 'internet' | 'intranet'
  readonly privateIpAddresses: readonly string[]
  readonly ipv6Addresses?: readonly string[]
  readonly securityGroupIds?: readonly string[]
  readonly mode?: Mode
}

export interface AttachEni {
  readonly instanceId: string
  readonly device?: string
}

export interface DetachEni {
  readonly instanceId?: string
}

export interface ModifyEni {
  readonly device?: string | null
  readonly placement?: 'host' | 'guest'
  readonly nicType?: 'internet' | 'intranet'
  readonly privateIpAddresses?: readonly string[]
  readonly ipv6Addresses?: readonly string[]
  readonly securityGroupIds?: readonly string[]
  readonly mode?: Mode
}

export interface Membership {
  readonly instanceIds?: readonly string[]
  readonly networkInterfaceIds?: readonly string[]
}

/** The account of a group that a rule names goes when the rule is changed to another group. */
function withoutOwner(fields: RuleFields, changes: Asked): Asked {
  const sides = ['source', 'dest'].filter(side => {
    const changed = changes[`${side}GroupId`]
    return changed !== undefined && changed !== fields[`${side}GroupId`]
  })
  return Object.fromEntries(sides.map(side => [`${side}GroupOwnerAccount`, null]))
}

function covers(scope: Scope, accountId: string): boolean {
  return scope.accountId === '*' || scope.accountId === accountId
}

function mayRead(who: Who, accountId: string): boolean {
  return scopesOf[who].some(scope => covers(scope, accountId))
}

function mayWrite(who: Who, accountId: string): boolean {
  return scopesOf[who].some(scope => scope.access === 'write' && covers(scope, accountId))
}

function readEntries(
  entries: readonly Entry[],
  family: 'ip' | 'ip6',
): { readonly cidrs: readonly string[]; readonly refusals: Refusal[] } {
  const found = entries.map(({ cidr }) => blocks.get(cidr))
  const cidrs = found.map(block => (block?.family === family ? block.text : ''))
  const isWrong = cidrs.includes('') || new Set(cidrs).size < cidrs.length
  return { cidrs, refusals: isWrong ? [wrong] : [] }
}

function readAddresses({
  privateIpAddresses,
  ipv6Addresses = [],
}: Pick<CreateEni, 'privateIpAddresses' | 'ipv6Addresses'>): {
  readonly stored: readonly string[]
  readonly refusals: Refusal[]
} {
  const read = (given: readonly string[], family: 'ip' | 'ip6') =>
    given.map(text => {
      const known = addresses.get(text) ?? [...addresses.values()].find(address => address.text === text)
      return known?.family === family ? known.text : ''
    })
  const stored = [...read(privateIpAddresses, 'ip'), ...read(ipv6Addresses, 'ip6')]
  const isWrong = stored.includes('') || new Set(stored).size < stored.length
  return { stored, refusals: isWrong ? [wrong] : [] }
}
