/** What an agent is told: which objects, and what they say. Pure over the world. */
import { type ViewKey, type ViewKind, type ViewObject, viewKey } from '../../wire/view.ts'
import { type Documents, type GroupDoc, type PortRangeListDoc, type RuleDoc, settingsId } from '../model/documents.ts'
import { expandRule, fileRule } from '../model/file-rule.ts'
import type { World } from '../state/world.ts'

export const settingsKey: ViewKey = viewKey('settings', settingsId)

/**
 * The keys of an agent's view: settings, its instances, their ENIs, the groups of those, the members of groups that
 * decide about its packets, and the prefix lists those groups' rules name. Every key has an object.
 */
export function viewKeysOf(world: World, agentId: string): Set<ViewKey> {
  const keys = new Set<ViewKey>([settingsKey])
  for (const instanceId of world.instancesOfAgent(agentId)) {
    keys.add(viewKey('instance', instanceId))
    for (const eniId of world.enisOfInstance(instanceId)) addEni(world, eniId, keys)
  }
  return keys
}

/** Stands for the instance of an ENI that has none yet; no instance is called so. */
const noInstance = 'none'

/** The part of a view that decides about one ENI, whether or not an agent serves it, or it has an instance at all. */
export function viewKeysOfEni(world: World, eniId: string): Set<ViewKey> {
  const keys = new Set<ViewKey>([settingsKey])
  const eni = world.get('eni', eniId)
  if (eni === undefined) return keys
  keys.add(viewKey('instance', eni.instanceId ?? noInstance))
  addEni(world, eniId, keys)
  return keys
}

function addEni(world: World, eniId: string, keys: Set<ViewKey>): void {
  keys.add(viewKey('eni', eniId))
  for (const groupId of world.get('eni', eniId)?.securityGroupIds ?? []) addGroup(world, groupId, keys)
}

function addGroup(world: World, groupId: string, keys: Set<ViewKey>): void {
  const key = viewKey('group', groupId)
  const group = world.get('group', groupId)
  if (group === undefined || keys.has(key)) return
  keys.add(key)
  if (hasInnerAccess(group)) keys.add(viewKey('members', groupId))
  const { groupIds, prefixListIds } = namedBy(group)
  for (const id of groupIds) if (world.get('group', id) !== undefined) keys.add(viewKey('members', id))
  for (const id of prefixListIds) if (world.get('prefixList', id) !== undefined) keys.add(viewKey('prefixList', id))
}

/** Its members may reach each other whatever the rules say. */
export function hasInnerAccess({ innerAccessPolicy }: GroupDoc): boolean {
  return innerAccessPolicy === 'accept'
}

interface Named {
  readonly groupIds: ReadonlySet<string>
  readonly prefixListIds: ReadonlySet<string>
  readonly portRangeListIds: ReadonlySet<string>
}

/** Documents are only ever replaced whole, and asked about once for each agent that sees them. */
const namedByDocument = new WeakMap<GroupDoc, Named>()

function namedBy(group: GroupDoc): Named {
  const known = namedByDocument.get(group)
  if (known !== undefined) return known
  const given = (fields: readonly (keyof RuleDoc)[]) =>
    new Set(
      group.rules.flatMap(rule => fields.flatMap(field => (rule[field] === undefined ? [] : [String(rule[field])]))),
    )
  const named: Named = {
    groupIds: given(['sourceGroupId', 'destGroupId']),
    prefixListIds: given(['sourcePrefixListId', 'destPrefixListId']),
    portRangeListIds: given(['portRangeListId']),
  }
  namedByDocument.set(group, named)
  return named
}

/** @returns null where there is no such object, or the key is of no kind */
export function viewObject(world: World, key: ViewKey): ViewObject | null {
  const { kind, id } = splitKey(key)
  switch (kind) {
    case 'settings':
      return id === settingsId ? settingsObject(world.settings) : null
    case 'instance':
      return id === noInstance
        ? { kind: 'instance', id, value: { id, smtpUnblocked: false } }
        : objectOf(world.get('instance', id), instanceObject)
    case 'eni':
      return objectOf(world.get('eni', id), eniObject)
    case 'group':
      return objectOf(world.get('group', id), group => groupObject(group, listId => world.get('portRangeList', listId)))
    case 'members':
      return objectOf(world.get('group', id), group => membersObject(group, world.membersOf(id).keys()))
    case 'prefixList':
      return objectOf(world.get('prefixList', id), prefixListObject)
    default:
      return null
  }
}

/** The revision that changed last what an object says; 0 where there is none. Members have one of their own. */
export function revisionOfObject(world: World, kind: Exclude<ViewKind, 'members'>, id: string): number {
  const own = world.revisionOf(kind, id)
  const group = kind === 'group' ? world.get('group', id) : undefined
  if (group === undefined) return own
  // Ranges of lists stand in the rules that name them.
  const lists = [...namedBy(group).portRangeListIds].map(listId => world.revisionOf('portRangeList', listId))
  return Math.max(own, ...lists)
}

/** @returns as kind whatever stands before the first slash, which need be none */
export function splitKey(key: ViewKey): { readonly kind: ViewKind; readonly id: string } {
  const slash = key.indexOf('/')
  return { kind: key.slice(0, slash) as ViewKind, id: key.slice(slash + 1) }
}

function objectOf<D>(doc: D | undefined, make: (doc: D) => ViewObject): ViewObject | null {
  return doc === undefined ? null : make(doc)
}

export function settingsObject(settings: Documents['settings']): ViewObject {
  const { sessionTimeout, revocation, limits, trafficScope, scrubbing, logging } = settings
  const told = {
    ...(trafficScope !== undefined && { trafficScope }),
    ...(scrubbing !== undefined && { scrubbing }),
    ...(logging !== undefined && { logging }),
  }
  return { kind: 'settings', id: settingsId, value: { sessionTimeout, revocation, limits, ...told } }
}

export function instanceObject(instance: Documents['instance']): ViewObject {
  const { id, instanceType, smtpUnblocked, ddosThreshold, scrubbingCancelled, ddosOrder } = instance
  const value = {
    id,
    ...(instanceType !== null && { instanceType }),
    smtpUnblocked,
    ...(ddosThreshold !== undefined && { ddosThreshold }),
    ...(scrubbingCancelled !== undefined && { scrubbingCancelled }),
    ...(ddosOrder !== undefined && { ddosOrder }),
  }
  return { kind: 'instance', id, value }
}

export function eniObject(eni: Documents['eni']): ViewObject {
  const { id, instanceId, macAddress, device, placement, addresses, securityGroupIds, nicType, mode } = eni
  const bound = {
    id,
    instanceId: instanceId ?? noInstance,
    macAddress,
    device,
    placement,
    addresses,
    securityGroupIds,
    nicType,
  }
  const value = { ...bound, ...(mode !== undefined && { mode }) }
  return { kind: 'eni', id, value }
}

type PortRangesOf = (portRangeListId: string) => PortRangeListDoc | undefined

/** @param listOf  the lists of ports that its rules name */
export function groupObject(group: GroupDoc, listOf: PortRangesOf = () => undefined): ViewObject {
  const { id, type, innerAccessPolicy, mode } = group
  // What people wrote about a rule is nobody's who only enforces it.
  const rules = group.rules
    .flatMap(({ description: _, ...rule }) => expandRule(rule, listOf))
    .map(rule => fileRule(group, rule))
  const told = { ...networkOf(group), innerAccessPolicy, ...(mode !== undefined && { mode }), rules }
  return { kind: 'group', id, value: { id, type, ...told } }
}

export function membersObject(group: GroupDoc, addresses: Iterable<string>): ViewObject {
  return { kind: 'members', id: group.id, value: { ...networkOf(group), addresses: [...addresses].sort() } }
}

export function prefixListObject({ id, entries }: Documents['prefixList']): ViewObject {
  return { kind: 'prefixList', id, value: { id, entries: entries.map(({ cidr }) => cidr) } }
}

function networkOf({ networkType, vpcId, accountId }: GroupDoc) {
  return { networkType, ...(vpcId !== null && { vpcId }), ownerAccount: accountId }
}
