/** Whether rules may stand in a group: the policy's own checks, asked about the group and what its rules name. */

import type { Problem } from '../../rules-compiler/validate/problem.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import { readRule } from '../../rules-compiler/validate/read-rule.ts'
import { type FieldError, fieldError, notFound, refused } from '../errors.ts'
import type { GroupDoc, PrefixListDoc, RuleDoc, RuleFields } from '../model/documents.ts'
import {
  anyPorts,
  type FileRuleText,
  fileRule,
  listsNamedBy,
  ruleFieldsOf,
  type WeighedList,
  weightOfRule,
} from '../model/file-rule.ts'
import { networkKey, type World } from '../state/world.ts'
import { firstOf } from './held-by.ts'
import type { Asked, AskedRule } from './permissions.ts'
import { mayRead, type Principal } from './principal.ts'

export interface RuleCheck {
  readonly world: World
  readonly principal: Principal
  /** As it will be, with the rules that stay; faults of those are nobody's now. */
  readonly group: GroupDoc
  readonly asked: Asked
}

export interface CheckedRule {
  readonly fields: RuleFields
  /** Equal for rules that are the same rule. */
  readonly content: string
}

/**
 * The rules asked for in canonical form, in their order, each also where another is the same.
 * @throws {ApiError} 400 or 403 with everything that is wrong
 */
export function checkRules(whole: RuleCheck): readonly CheckedRule[] {
  const { world, group } = whole
  const { asked, listIds } = apartFromLists(whole.asked, {
    isThere: id => world.get('portRangeList', id)?.accountId === group.accountId,
  })
  const check = { ...whole, asked }
  const references = asked.rules.map(rule => findReference(rule, check))
  const problems = problemsOf(check, references)
  const errors = errorsOf(problems, check, references)
  if (errors.length > 0) throw refused(inOrder(errors))
  const checked = asked.rules.map(({ fields }, index) => {
    const { rule, content } = readRule(fields, group.id)!
    const named = rule.peer.kind === 'group' && rule.peer.groupId !== group.id ? rule.peer.groupId : null
    const owner = named === null ? group.accountId : world.get('group', named)!.accountId
    return withList({ fields: ruleFieldsOf(rule, owner === group.accountId ? null : owner), content }, listIds[index])
  })
  requireWeightWithin(world, group, checked)
  return checked
}

/** As they stand in the request: those of `permissions[3].portRange` or `line 4` behind what is said of all of it. */
function inOrder(errors: readonly FieldError[]): readonly FieldError[] {
  const placeOf = ({ field }: FieldError) => Number(/\d+/.exec(field)?.[0] ?? -1)
  return errors.toSorted((a, b) => placeOf(a) - placeOf(b))
}

/**
 * The contents of the rules asked for, in their order, as far as they are rules at all: what they name need not be there.
 * @throws {ApiError} 400 with everything that is wrong
 */
export function readRules(group: GroupDoc, whole: Asked): readonly string[] {
  const { asked, listIds } = apartFromLists(whole, { isThere: () => true })
  const { problems } = checkPolicy({
    apiVersion: 'ringwall/v1',
    securityGroups: [{ ...fileGroup(group), rules: asked.rules.map(({ fields }) => said(fields, group)) }],
  })
  const ofRules = problems.filter(({ code }) => code !== 'limit')
  const errors = errorsOf(ofRules, { group: { ...group, rules: [] }, asked })
  if (errors.length > 0) throw refused(errors)
  return asked.rules.map(({ fields }, index) => contentWith(readRule(fields, group.id)!.content, listIds[index]))
}

interface ApartFromLists {
  /** With any port where a list is named, for the policy's own checks, which know of no lists. */
  readonly asked: Asked
  /** Of each rule; undefined for those that name none. */
  readonly listIds: readonly (string | undefined)[]
}

function apartFromLists(asked: Asked, { isThere }: { readonly isThere: (listId: string) => boolean }): ApartFromLists {
  const errors: FieldError[] = [...asked.errors]
  const listIds: (string | undefined)[] = []
  const rules = asked.rules.map((rule): AskedRule => {
    const { portRangeListId, portRange, ...fields } = rule.fields
    const hasRange = portRange !== undefined && portRange !== ''
    listIds.push(portRangeListId === undefined ? undefined : String(portRangeListId))
    if (portRangeListId === undefined) return hasRange ? rule : { ...rule, fields }
    const error = faultOfList(String(portRangeListId), { fields, hasRange, isThere })
    if (error !== null) errors.push(rule.tell(error))
    const hasPorts = /^(tcp|udp)$/i.test(String(fields.ipProtocol))
    return { ...rule, fields: { ...fields, ...(hasPorts && { portRange: anyPorts }) } }
  })
  return { asked: { rules, errors }, listIds }
}

interface NamedList {
  readonly fields: FileRuleText
  readonly hasRange: boolean
  readonly isThere: (listId: string) => boolean
}

function faultOfList(listId: string, { fields, hasRange, isThere }: NamedList): FieldError | null {
  const field = 'portRangeListId'
  if (hasRange)
    return fieldError('conflict', field, {
      action: 'use, beside portRange, list',
      value: listId,
      expected: 'one or the other',
    })
  if (!/^(tcp|udp)$/i.test(String(fields.ipProtocol))) {
    return fieldError('conflict', field, {
      action: 'use list of ports',
      value: listId,
      expected: 'one for tcp and udp alone',
    })
  }
  return isThere(listId) ? null : notFound('portRangeList', listId.slice(0, 64), field).errors[0]!
}

function contentWith(content: string, listId: string | undefined): string {
  return listId === undefined ? content : `${content} ports of ${listId}`
}

function withList({ fields, content }: CheckedRule, listId: string | undefined): CheckedRule {
  if (listId === undefined) return { fields, content }
  return { fields: { ...fields, portRange: '', portRangeListId: listId }, content: contentWith(content, listId) }
}

/**
 * A list weighs what it may grow to, so that a group never has more rules than it may when it has grown.
 * @throws {ApiError} 403; where no list is named, the policy's own checks have counted
 */
function requireWeightWithin(world: World, group: GroupDoc, checked: readonly CheckedRule[]): void {
  const known = new Set(group.rules.map(contentOf))
  const added = new Map(
    checked.filter(({ content }) => !known.has(content)).map(({ content, fields }) => [content, fields]),
  )
  const rules = [...group.rules, ...added.values()]
  if (added.size === 0 || rules.every(rule => listsNamedBy(rule).length === 0)) return
  // One that is too full already, as stored when lists weighed less, may be changed, and get no fuller.
  const present = world.get('group', group.id)?.rules ?? []
  if (weightOf(rules, listIn(world)) <= weightOf(present, listIn(world))) return
  const error = faultOfWeight(world, rules, { field: 'permissions', listOf: listIn(world) })
  if (error !== null) throw refused([error])
}

export interface WeighedBy {
  readonly field: string
  readonly listOf: WeighedList
}

export function listIn(world: Pick<World, 'get'>): WeighedList {
  return id => world.get('portRangeList', id) ?? world.get('prefixList', id)
}

/** Groups that name the list, whose rules would count for more than they may if it were so. */
export function faultsOfWeight(
  world: World,
  groups: readonly GroupDoc[],
  changed: { readonly id: string; readonly maxEntries: number },
): readonly FieldError[] {
  const listOf: WeighedList = id => (id === changed.id ? changed : listIn(world)(id))
  return groups.flatMap(group => {
    const error = faultOfWeight(world, group.rules, { field: 'maxEntries', listOf })
    return error === null ? [] : [{ ...error, message: `${group.id} has rules that name the list: ${error.message}` }]
  })
}

function weightOf(rules: readonly RuleFields[], listOf: WeighedList): number {
  return rules.reduce((sum, rule) => sum + weightOfRule(rule, listOf), 0)
}

/** @returns null where the rules weigh no more than a group may have */
export function faultOfWeight(
  { settings }: World,
  rules: readonly RuleFields[],
  { field, listOf }: WeighedBy,
): FieldError | null {
  const weight = weightOf(rules, listOf)
  const { rulesPerGroup } = settings.limits
  if (weight <= rulesPerGroup) return null
  const expected = `at most ${rulesPerGroup} rules in a group (limits.rulesPerGroup), where one that names a list counts for its maxEntries${listsText(rules, listOf)}`
  return fieldError('limit', field, { action: 'accept a count of', value: weight, expected })
}

/** Whoever is refused can make one smaller: those with most room first. */
function listsText(rules: readonly RuleFields[], listOf: WeighedList): string {
  const named = [...new Set(rules.flatMap(listsNamedBy))].map(id => ({ id, room: listOf(id)?.maxEntries ?? 1 }))
  const texts = named.toSorted((a, b) => b.room - a.room).map(({ id, room }) => `${id} ${room}`)
  return texts.length === 0 ? '' : ` (${firstOf(texts).join(', ')})`
}

const contents = new WeakMap<RuleDoc, string>()

/** The content of a stored rule, to tell whether another is the same. */
export function contentOf(rule: RuleDoc): string {
  const known = contents.get(rule)
  if (known !== undefined) return known
  const { createdAtMs: _, portRangeListId, ...rest } = rule
  const fields = portRangeListId === undefined ? rest : { ...rest, portRange: anyPorts }
  const content = contentWith(readRule(fields, '')!.content, portRangeListId)
  contents.set(rule, content)
  return content
}

/** What a rule names by id; nothing where that is not there for who asks, and then the error says so. */
interface Reference {
  readonly group: GroupDoc | null
  readonly prefixList: PrefixListDoc | null
  readonly error: FieldError | null
}

const noReference: Reference = { group: null, prefixList: null, error: null }

function findReference({ fields, tell }: AskedRule, { world, principal, group }: RuleCheck): Reference {
  const side = fields.direction === 'egress' ? 'dest' : 'source'
  const groupId = fields[`${side}GroupId`]
  const prefixListId = fields[`${side}PrefixListId`]
  if (groupId !== undefined) {
    const owner = fields[`${side}GroupOwnerAccount`] ?? fields[`${side}GroupOwnerId`] ?? group.accountId
    const named = groupId === group.id ? group : world.get('group', String(groupId))
    if (named !== undefined && named.accountId === owner && isNameable(named, group, principal)) {
      return { ...noReference, group: named }
    }
    return { ...noReference, error: tell(referenceError('group', String(groupId), `${side}GroupId`)) }
  }
  if (prefixListId !== undefined) {
    const named = world.get('prefixList', String(prefixListId))
    if (named?.accountId === group.accountId) return { ...noReference, prefixList: named }
    return { ...noReference, error: tell(referenceError('prefixList', String(prefixListId), `${side}PrefixListId`)) }
  }
  return noReference
}

/** Of a group that he may not read one learns only that it can be named, so not either that it is in another network. */
function isNameable(named: GroupDoc, group: GroupDoc, principal: Principal): boolean {
  return mayRead(principal, named.accountId) || networkKey(named) === networkKey(group)
}

function referenceError(kind: 'group' | 'prefixList', id: string, field: string): FieldError {
  return notFound(kind, id.slice(0, 64), field).errors[0]!
}

function problemsOf({ world, group, asked }: RuleCheck, references: readonly Reference[]): readonly Problem[] {
  const present = group.rules.map(rule => findNamed(world, rule))
  const rules = [
    ...group.rules.map(rule => fileRule(group, rule)),
    ...asked.rules.map(({ fields }) => said(fields, group)),
  ]
  return checkGroup(world, { group, rules, references: [...present, ...references] })
}

/**
 * What is wrong with the rules of a group once a prefix list that they name is another.
 * @returns errors in the words of the rule
 */
export function faultsWithList(
  world: World,
  group: GroupDoc,
  list: PrefixListDoc,
): readonly { readonly rule: RuleDoc; readonly error: FieldError }[] {
  const rules = group.rules.filter(rule => rule.sourcePrefixListId === list.id || rule.destPrefixListId === list.id)
  const references = [{ ...noReference, prefixList: list }]
  const problems = checkGroup(world, { group, rules: rules.map(rule => fileRule(group, rule)), references })
  return problems.flatMap(({ code, path, message, value }) => {
    const { ruleIndex, field } = placeOf(path)
    const rule = rules[Number(ruleIndex)]
    return rule === undefined ? [] : [{ rule, error: { code, field, message, value } }]
  })
}

interface GroupFile {
  readonly group: GroupDoc
  readonly rules: readonly FileRuleText[]
  /** What the rules name, each as often as it is named. */
  readonly references: readonly Reference[]
}

function checkGroup(world: World, { group, rules, references }: GroupFile): readonly Problem[] {
  const groups = new Map(references.flatMap(({ group: named }) => (named === null ? [] : [[named.id, named]])))
  const lists = new Map(
    references.flatMap(({ prefixList }) => (prefixList === null ? [] : [[prefixList.id, prefixList]])),
  )
  groups.delete(group.id)
  return checkPolicy({
    apiVersion: 'ringwall/v1',
    securityGroups: [{ ...fileGroup(group), rules }, ...[...groups.values()].map(fileGroup)],
    prefixLists: [...lists.values()].map(({ id, entries }) => ({ id, entries: entries.map(({ cidr }) => cidr) })),
    settings: { limits: world.settings.limits },
  }).problems
}

/** What a stored rule names is there: whoever deletes it is refused. */
function findNamed(world: World, rule: RuleDoc): Reference {
  const groupId = rule.sourceGroupId ?? rule.destGroupId
  const prefixListId = rule.sourcePrefixListId ?? rule.destPrefixListId
  return {
    group: groupId === undefined ? null : (world.get('group', String(groupId)) ?? null),
    prefixList: prefixListId === undefined ? null : (world.get('prefixList', String(prefixListId)) ?? null),
    error: null,
  }
}

/** Everything of a group but its rules, in the words of a policy file. */
function fileGroup({ id, accountId, type, networkType, vpcId }: GroupDoc) {
  return { id, type, networkType, ...(vpcId !== null && { vpcId }), ownerAccount: accountId }
}

/** In a VPC `internet`, the default, says nothing; rules that were read here say it. */
function said(fields: FileRuleText, { networkType }: GroupDoc): FileRuleText {
  const { nicType, ...rest } = fields
  const namesGroup = fields.sourceGroupId !== undefined || fields.destGroupId !== undefined
  return networkType === 'vpc' && nicType === 'internet' && !namesGroup ? rest : fields
}

/** In the words of the request and in its order: what is wrong with the group, then rule by rule. */
function errorsOf(
  problems: readonly Problem[],
  { group, asked }: Pick<RuleCheck, 'group' | 'asked'>,
  references: readonly Reference[] = [],
): readonly FieldError[] {
  const ofGroup: FieldError[] = []
  const ofRules = asked.rules.map((_, index) => [references[index]?.error ?? []].flat())
  for (const { code, path, message, value } of problems) {
    const { ruleIndex, field } = placeOf(path)
    if (ruleIndex === undefined) {
      ofGroup.push({ code, field: groupField(field), message, value })
      continue
    }
    const index = Number(ruleIndex) - group.rules.length
    // Faults of rules that are there already are not this request's.
    if (index < 0 || code === 'unknown-reference') continue
    // That a reference leads nowhere was told before, and says all that may be known of it.
    if (references[index]?.error && /GroupId$|GroupOwner|PrefixListId$/.test(field)) continue
    ofRules[index]!.push(asked.rules[index]!.tell({ code, field, message, value }))
  }
  return withoutRepetitions([...ofGroup, ...asked.errors, ...ofRules.flat()])
}

/** How requests call what policy files call otherwise. */
function groupField(field: string): string {
  return groupFields.get(field) ?? field
}

const groupFields: ReadonlyMap<string, string> = new Map([
  ['id', 'securityGroupId'],
  ['type', 'securityGroupType'],
  ['ownerAccount', 'accountId'],
  ['rules', 'permissions'],
])

/** Where a problem of the group is: in which of its rules, if in one, and in which field. */
function placeOf(path: string): { readonly ruleIndex: string | undefined; readonly field: string } {
  const [, ruleIndex, field = ''] = /^securityGroups\[0\](?:\.rules\[(\d+)\])?\.?(.*)$/.exec(path) ?? []
  return { ruleIndex, field }
}

/** A permission of several objects is several rules, with the same faults but for those of the objects. */
function withoutRepetitions(errors: readonly FieldError[]): readonly FieldError[] {
  return [...new Map(errors.map(error => [`${error.field} ${error.message}`, error])).values()]
}
