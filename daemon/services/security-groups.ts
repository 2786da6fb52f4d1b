/** Security groups: made, changed, copied and deleted. Their rules are in rules.ts. */
import { ApiError, type FieldError, fieldError, refused } from '../errors.ts'
import { type EniDoc, type GroupDoc, keyOf, type RuleDoc } from '../model/documents.ts'
import { fileRule } from '../model/file-rule.ts'
import { isoTime } from '../schemas/fields.ts'
import type { AskedPermission } from '../schemas/rules.ts'
import type { GroupTypeWord, GroupWithRules, ShownGroup } from '../schemas/security-groups.ts'
import type { World } from '../state/world.ts'
import { ensureDefaultGroup } from './default-group.ts'
import type { Plan } from './executor.ts'
import { firstOf, heldBy } from './held-by.ts'
import { newId } from './ids.ts'
import { countObserved, type Mode, modeOf, withMode } from './modes.ts'
import { type Asked, type AskedRule, askFor, itemOf, showPermission } from './permissions.ts'
import { accountFor, mayRead, type Principal } from './principal.ts'
import { checkRules } from './rule-check.ts'
import { addRules, type GroupCall, writeGroup } from './rules.ts'
import { type TemplateName, templates } from './templates.ts'

export function showGroup(world: World, group: GroupDoc, revision: number): ShownGroup {
  const eniIds = world.enisOfGroup(group.id)
  const instanceIds = new Set<string>()
  for (const id of eniIds) {
    const instanceId = world.get('eni', id)?.instanceId
    if (typeof instanceId === 'string') instanceIds.add(instanceId)
  }
  return {
    ...describeGroup(group),
    ruleCount: group.rules.length,
    networkInterfaceCount: eniIds.size,
    observedCount: countObserved(world, group),
    ecsCount: instanceIds.size,
    revision,
  }
}

/** What the group itself says, without its rules. */
export function describeGroup(group: GroupDoc) {
  return {
    securityGroupId: group.id,
    accountId: group.accountId,
    securityGroupName: group.name,
    description: group.description,
    tags: group.tags,
    securityGroupType: group.type === 'basic' ? 'normal' : 'enterprise',
    networkType: group.networkType,
    vpcId: group.vpcId,
    innerAccessPolicy: group.innerAccessPolicy,
    mode: modeOf(group),
    isDefault: group.isDefault,
    createTime: isoTime(group.createdAtMs),
  } as const
}

export function showGroupWithRules(world: World, group: GroupDoc, revision: number): GroupWithRules {
  return { securityGroup: showGroup(world, group, revision), permissions: group.rules.map(showPermission) }
}

/** The published API and policy files have different words for the two types. */
export function groupTypeOf(word: GroupTypeWord): GroupDoc['type'] {
  return word === 'normal' || word === 'basic' ? 'basic' : 'advanced'
}

export type Caller = Omit<GroupCall, 'group'>

export interface NewGroup {
  readonly accountId?: string
  readonly securityGroupId?: string
  readonly securityGroupName?: string | null
  readonly description?: string | null
  readonly tags?: GroupDoc['tags']
  readonly securityGroupType?: GroupTypeWord
  readonly networkType?: GroupDoc['networkType']
  readonly vpcId?: string | null
  readonly innerAccessPolicy?: GroupDoc['innerAccessPolicy']
  readonly mode?: Mode
  readonly template?: TemplateName
  readonly permissions?: readonly AskedPermission[]
}

/** @throws {ApiError} with everything that is wrong with the group and its rules */
export function createGroup(caller: Caller, given: NewGroup): Plan<GroupWithRules> {
  const { world, principal, nowMs } = caller
  const type = groupTypeOf(given.securityGroupType ?? 'normal')
  const made: GroupDoc = {
    id: newId(world, 'group', given.securityGroupId, 'securityGroupId'),
    accountId: accountFor(world, principal, given.accountId),
    name: given.securityGroupName ?? null,
    description: given.description ?? null,
    tags: given.tags ?? {},
    type,
    networkType: given.networkType ?? 'vpc',
    vpcId: given.vpcId ?? null,
    innerAccessPolicy: given.innerAccessPolicy ?? (type === 'basic' ? 'accept' : 'drop'),
    isDefault: false,
    rules: [],
    createdAtMs: nowMs,
  }
  const group = withMode(made, given.mode)
  const asked = askFor(given.permissions ?? [], {
    objectsPerPermission: world.settings.limits.authorizationObjectsPerRequest,
  })
  return makeGroup(caller, group, {
    rules: [...rulesOfTemplate(given.template ?? 'custom'), ...asked.rules],
    errors: [...innerAccessFaults(group), ...asked.errors],
  })
}

/** A new group with the rules asked for. */
function makeGroup(caller: Caller, group: GroupDoc, asked: Asked): Plan<GroupWithRules> {
  const checked = checkRules({ ...caller, group, asked })
  const { rules } = addRules([], checked, caller.nowMs)
  return writeWithRules(caller.world, { ...group, rules })
}

function rulesOfTemplate(template: TemplateName): readonly AskedRule[] {
  return templates[template].map(fields => ({
    fields,
    tell: error => ({ ...error, field: 'template' }),
  }))
}

function innerAccessFaults({ type, innerAccessPolicy }: GroupDoc): readonly FieldError[] {
  if (type === 'basic' || innerAccessPolicy === 'drop') return []
  const expected = '"drop", the only inner access policy of an enterprise group'
  return [fieldError('conflict', 'innerAccessPolicy', { action: 'use', value: innerAccessPolicy, expected })]
}

export interface DefaultGroupWish {
  readonly accountId?: string
  readonly networkType?: GroupDoc['networkType']
  readonly vpcId?: string | null
  readonly webPorts?: boolean
}

/** The default group of an account and network, made where there is none. */
export function provideDefaultGroup(
  caller: Caller,
  { accountId: given, networkType = 'vpc', vpcId = null, webPorts = false }: DefaultGroupWish,
): Plan<GroupWithRules> {
  const { world, principal, nowMs } = caller
  const accountId = accountFor(world, principal, given)
  const { groupId, writes } = ensureDefaultGroup(world, { accountId, network: { networkType, vpcId }, webPorts }, nowMs)
  const group = (writes[0]?.value as GroupDoc | undefined) ?? world.get('group', groupId)!
  checkRules({ ...caller, group, asked: { rules: [], errors: [] } })
  return {
    writes,
    body: revisionOf => showGroupWithRules(world, group, revisionOf('group', groupId)),
  }
}

export interface GroupChanges {
  readonly securityGroupName?: string | null
  readonly description?: string | null
  readonly tags?: GroupDoc['tags'] | null
  readonly innerAccessPolicy?: GroupDoc['innerAccessPolicy']
  readonly mode?: Mode
}

export function modifyGroup({ world, group }: GroupCall, changes: GroupChanges): Plan<{ securityGroup: ShownGroup }> {
  const { securityGroupName, description, tags, innerAccessPolicy, mode } = changes
  const changed: GroupDoc = {
    ...withMode(group, mode),
    ...(securityGroupName !== undefined && { name: securityGroupName }),
    ...(description !== undefined && { description }),
    ...(tags !== undefined && { tags: tags ?? {} }),
    ...(innerAccessPolicy !== undefined && { innerAccessPolicy }),
  }
  const faults = innerAccessFaults(changed)
  if (faults.length > 0) throw refused(faults)
  return {
    writes: [writeGroup(changed)],
    body: revisionOf => ({ securityGroup: showGroup(world, changed, revisionOf('group', group.id)) }),
  }
}

/** @throws {ApiError} 409 while ENIs have it or rules of other groups name it */
export function deleteGroup({ world, principal, group }: GroupCall): Plan<{ securityGroupId: string }> {
  const holders = {
    eni: [...world.enisOfGroup(group.id)],
    group: [...world.groupsNaming(group.id)].filter(id => id !== group.id),
  }
  if (holders.eni.length + holders.group.length > 0) throw heldError(world, principal, group, holders)
  return {
    writes: [{ key: keyOf('group', group.id), value: null }],
    body: () => ({ securityGroupId: group.id }),
  }
}

function heldError(
  world: World,
  principal: Principal,
  group: GroupDoc,
  holders: Readonly<Record<'eni' | 'group', readonly string[]>>,
): ApiError {
  const isShown = (kind: 'eni' | 'group') => (id: string) => mayRead(principal, world.get(kind, id)!.accountId)
  const networkInterfaceIds = holders.eni.filter(isShown('eni')).sort()
  const securityGroupIds = holders.group.filter(isShown('group')).sort()
  const hidden = holders.eni.length + holders.group.length - networkInterfaceIds.length - securityGroupIds.length
  const holding = [
    ...firstOf([...networkInterfaceIds, ...securityGroupIds]),
    ...(hidden > 0 ? ['another account'] : []),
  ]
  const message = `Cannot delete security group "${group.id}": expected nothing to hold it, but there is ${holding.join(', ')}`
  return new ApiError(409, 'DependencyViolation', message, {
    details: heldBy({ networkInterfaceIds, securityGroupIds }),
  })
}

export interface CloneWish extends Pick<NewGroup, 'securityGroupId' | 'accountId' | 'securityGroupName'> {
  readonly securityGroupType?: GroupTypeWord
  readonly networkType?: GroupDoc['networkType']
  readonly vpcId?: string | null
}

/**
 * A copy with rules of its own, which may be of the other type, in another network or account. Rules that name the
 * original itself name the copy. It is enforced, whatever the mode of the original: observing is a trial of that one.
 * @throws {ApiError} with every rule that may not stand there
 */
export function cloneGroup(call: GroupCall, wish: CloneWish): Plan<GroupWithRules> {
  const { world, principal, group: original, nowMs } = call
  const type = wish.securityGroupType === undefined ? original.type : groupTypeOf(wish.securityGroupType)
  const networkType = wish.networkType ?? original.networkType
  const clone: GroupDoc = {
    ...withMode(original, 'enforce'),
    id: newId(world, 'group', wish.securityGroupId, 'securityGroupId'),
    accountId: accountFor(world, principal, wish.accountId ?? original.accountId),
    name: wish.securityGroupName === undefined ? original.name : wish.securityGroupName,
    type,
    networkType,
    vpcId: wish.vpcId !== undefined ? wish.vpcId : networkType === original.networkType ? original.vpcId : null,
    innerAccessPolicy: type === 'advanced' ? 'drop' : original.innerAccessPolicy,
    isDefault: false,
    rules: [],
    createdAtMs: nowMs,
  }
  const rules = original.rules.map((rule, index) => ({
    fields: copiedFields(world, rule, { original, clone }),
    tell: tellOfCopy(rule, itemOf('permissions', index), { original, clone }),
  }))
  return makeGroup(call, clone, { rules, errors: [] })
}

/** What is wrong with a copied rule is told of the rule that is there. */
function tellOfCopy(rule: RuleDoc, tell: AskedRule['tell'], { original, clone }: Copying): AskedRule['tell'] {
  return error => {
    const message = `rule ${rule.id}: ${error.message.replaceAll(clone.id, original.id)}`
    return tell({ ...error, message, value: error.value === clone.id ? original.id : error.value })
  }
}

interface Copying {
  readonly original: GroupDoc
  readonly clone: GroupDoc
}

function copiedFields(world: World, rule: RuleDoc, { original, clone }: Copying): AskedRule['fields'] {
  const { id: _, sourceGroupOwnerAccount: _source, destGroupOwnerAccount: _dest, ...text } = fileRule(original, rule)
  const { portRangeListId } = rule
  const fields = portRangeListId === undefined ? text : { ...text, portRange: '', portRangeListId }
  const side = rule.direction === 'ingress' ? 'source' : 'dest'
  const named = rule[`${side}GroupId`]
  if (named === undefined) return fields
  if (named === original.id) return { ...fields, [`${side}GroupId`]: clone.id }
  return { ...fields, [`${side}GroupOwnerAccount`]: world.get('group', String(named))!.accountId }
}

export function showReferences({ world, principal, group }: Omit<GroupCall, 'nowMs'>) {
  const naming = [...world.groupsNaming(group.id)]
    .filter(id => id !== group.id)
    .sort()
    .map(id => world.get('group', id)!)
  return {
    securityGroupId: group.id,
    referencedBy: naming
      .filter(({ accountId }) => mayRead(principal, accountId))
      .map(({ id, accountId, rules }) => ({
        securityGroupId: id,
        accountId,
        securityGroupRuleIds: rules
          .filter(rule => rule.sourceGroupId === group.id || rule.destGroupId === group.id)
          .map(rule => rule.id),
      })),
  }
}

/** ENIs in it that the principal may see. */
export function membersOf({ world, principal, group }: Omit<GroupCall, 'nowMs'>): readonly EniDoc[] {
  const enis = [...world.enisOfGroup(group.id)].map(id => world.get('eni', id)!)
  return enis.filter(({ accountId }) => mayRead(principal, accountId))
}

export function showMember({ id, instanceId, addresses }: EniDoc) {
  return { networkInterfaceId: id, instanceId, addresses: [...addresses] }
}

function writeWithRules(world: World, group: GroupDoc): Plan<GroupWithRules> {
  return {
    writes: [writeGroup(group)],
    body: revisionOf => showGroupWithRules(world, group, revisionOf('group', group.id)),
  }
}
