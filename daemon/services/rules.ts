/** Rules of a group: added, changed and taken away. */
import { ApiError, type FieldError, refused } from '../errors.ts'
import { type GroupDoc, keyOf, type RuleDoc, type RuleFields } from '../model/documents.ts'
import type { FileRuleText } from '../model/file-rule.ts'
import type { AskedPermission, Permission, RuleChanges } from '../schemas/rules.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { madeId } from './ids.ts'
import { type Asked, askFor, showPermission } from './permissions.ts'
import type { Principal } from './principal.ts'
import { type CheckedRule, checkRules, contentOf, readRules } from './rule-check.ts'

/** Who asks, of which group, on which state. */
export interface GroupCall {
  readonly world: World
  readonly principal: Principal
  readonly group: GroupDoc
  /** Milliseconds since 1970. */
  readonly nowMs: number
}

/** @throws {ApiError} with every permission that is wrong; then none is added */
export function authorize(
  call: GroupCall,
  { permissions }: { readonly permissions: readonly AskedPermission[] },
): Plan<{ permissions: Permission[] }> {
  const checked = checkRules({ ...call, asked: askForAll(call, permissions) })
  const { rules, meant } = addRules(call.group.rules, checked, call.nowMs)
  return {
    writes: [writeGroup({ ...call.group, rules })],
    body: () => ({ permissions: meant.map(showPermission) }),
  }
}

/**
 * The rules with those added that are not there yet.
 * @returns also what was meant: each rule asked for once, be it new or not
 */
export function addRules(
  present: readonly RuleDoc[],
  checked: readonly CheckedRule[],
  nowMs: number,
): { readonly rules: readonly RuleDoc[]; readonly meant: readonly RuleDoc[] } {
  const known = new Map(present.map(rule => [contentOf(rule), rule]))
  const added: RuleDoc[] = []
  const meant = new Set<RuleDoc>()
  for (const { fields, content } of checked) {
    const there = known.get(content)
    const rule = there ?? makeRule(fields, nowMs)
    if (there === undefined) added.push(rule)
    known.set(content, rule)
    meant.add(rule)
  }
  return { rules: [...present, ...added], meant: [...meant] }
}

export function makeRule(fields: RuleFields, nowMs: number): RuleDoc {
  return { id: madeId('rule'), ...fields, createdAtMs: nowMs }
}

/** The rule keeps its id and its time. @throws {ApiError} 404, 400 with all that is wrong, 409 where another rule is the same */
export function modifyRule(call: GroupCall, ruleId: string, changes: RuleChanges): Plan<{ permission: Permission }> {
  const { group } = call
  const rule = findRule(group, ruleId)
  const others = group.rules.filter(({ id }) => id !== ruleId)
  const fields = changedFields(rule, changes, group)
  const asked: Asked = { rules: [{ fields, tell: error => error }], errors: [] }
  const [checked] = checkRules({ ...call, group: { ...group, rules: others }, asked })
  const same = others.find(other => contentOf(other) === checked!.content)
  if (same !== undefined) {
    const message = `Cannot change rule "${ruleId}": expected it to differ from the others, but ${same.id} says the same`
    throw new ApiError(409, 'SecurityGroupRuleAlreadyExists', message, { details: { securityGroupRuleId: same.id } })
  }
  const changed: RuleDoc = { id: rule.id, ...checked!.fields, createdAtMs: rule.createdAtMs }
  return {
    writes: [writeGroup({ ...group, rules: group.rules.map(each => (each === rule ? changed : each)) })],
    body: () => ({ permission: showPermission(changed) }),
  }
}

function changedFields(rule: RuleDoc, changes: RuleChanges, group: GroupDoc): FileRuleText {
  const { id: _, createdAtMs: _time, nicType, sourceGroupOwnerAccount, destGroupOwnerAccount, ...rest } = rule
  // Of a rule that names a group it follows from that; it must not stay behind when the rule names something else.
  const isOwn = group.networkType === 'classic' && rule.sourceGroupId === undefined && rule.destGroupId === undefined
  const stays = (field: 'sourceGroupId' | 'destGroupId') =>
    (changes[field] ?? rule[field]) === rule[field] && changes[field] !== null
  const namesGroup = typeof changes.sourceGroupId === 'string' || typeof changes.destGroupId === 'string'
  const merged = {
    ...rest,
    ...(isOwn && !namesGroup && { nicType }),
    // The account is that of the group, and goes with it.
    ...(stays('sourceGroupId') && { sourceGroupOwnerAccount }),
    ...(stays('destGroupId') && { destGroupOwnerAccount }),
    ...changes,
  }
  const said = Object.entries({ ...merged, ...portsOf(rule, changes) }).filter(
    ([, value]) => value != null && value !== '',
  )
  return Object.fromEntries(said) as FileRuleText
}

/** Ports and a list of ports are said in place of each other. */
function portsOf(rule: RuleDoc, { portRange, portRangeListId }: RuleChanges) {
  if (portRangeListId != null) return { portRange, portRangeListId }
  if (portRange != null) return { portRange, portRangeListId }
  return {
    portRange: portRange === null ? null : rule.portRange,
    portRangeListId: portRangeListId === null ? null : rule.portRangeListId,
  }
}

/** @throws {ApiError} 404 */
export function findRule(group: GroupDoc, ruleId: string): RuleDoc {
  const rule = group.rules.find(({ id }) => id === ruleId)
  if (rule === undefined) throw ruleNotFound(group, ruleId)
  return rule
}

function ruleNotFound(group: GroupDoc, ruleId: string): ApiError {
  const message = `Cannot find rule "${ruleId}": security group "${group.id}" has none with this id`
  return new ApiError(404, ruleNotFoundCode, message)
}

const ruleNotFoundCode = 'InvalidSecurityGroupRuleId.NotFound'

export function deleteRule({ group }: GroupCall, ruleId: string): Plan<{ securityGroupRuleId: string }> {
  const rule = findRule(group, ruleId)
  return {
    writes: [writeGroup({ ...group, rules: group.rules.filter(each => each !== rule) })],
    body: () => ({ securityGroupRuleId: ruleId }),
  }
}

export interface Revocation {
  readonly securityGroupRuleIds?: readonly string[]
  readonly permissions?: readonly AskedPermission[]
}

/**
 * Rules by id, which must be there, or by content, which need not.
 * @throws {ApiError} 400 with every id that is unknown and every permission that is none
 */
export function revoke(
  call: GroupCall,
  { securityGroupRuleIds, permissions }: Revocation,
): Plan<{ revoked: Permission[] }> {
  const { group } = call
  if ((securityGroupRuleIds === undefined) === (permissions === undefined)) {
    const message = 'Cannot revoke: expected either securityGroupRuleIds or permissions'
    const code = permissions === undefined ? 'MissingParameter' : 'InvalidParameter'
    throw new ApiError(400, code, message, {
      errors: [{ code: permissions === undefined ? 'missing' : 'conflict', field: 'securityGroupRuleIds', message }],
    })
  }
  const going = new Set(
    permissions === undefined ? rulesById(group, securityGroupRuleIds ?? []) : rulesMeantBy(call, permissions),
  )
  return {
    writes: [writeGroup({ ...group, rules: group.rules.filter(rule => !going.has(rule)) })],
    body: () => ({ revoked: [...going].map(showPermission) }),
  }
}

function rulesById(group: GroupDoc, ids: readonly string[]): readonly RuleDoc[] {
  const byId = new Map(group.rules.map(rule => [rule.id, rule]))
  const unknown = ids.flatMap((id, index): FieldError[] => {
    if (byId.has(id)) return []
    const { message } = ruleNotFound(group, id)
    return [{ code: ruleNotFoundCode, field: `securityGroupRuleIds[${index}]`, message, value: id }]
  })
  if (unknown.length > 0) throw refused(unknown)
  return ids.map(id => byId.get(id)!)
}

/** Those of the group that say what is asked for, whatever their description. */
export function rulesMeantBy(call: GroupCall, permissions: readonly AskedPermission[]): readonly RuleDoc[] {
  const wanted = readRules(call.group, askForAll(call, permissions))
  const byContent = new Map(call.group.rules.map(rule => [contentOf(rule), rule]))
  return wanted.flatMap(content => byContent.get(content) ?? [])
}

function askForAll({ world }: GroupCall, permissions: readonly AskedPermission[]): Asked {
  return askFor(permissions, { objectsPerPermission: world.settings.limits.authorizationObjectsPerRequest })
}

export function writeGroup(group: GroupDoc) {
  return { key: keyOf('group', group.id), value: group }
}
