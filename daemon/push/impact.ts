/** Which agents a change concerns, before it is made. Pure over the world as it is before. */
import { isDeepStrictEqual } from 'node:util'
import { type ViewKey, type ViewObject, viewKey } from '../../wire/view.ts'
import { type Documents, type Kind, parseKey, settingsId } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import type { Change } from '../store/store.ts'
import { countMembers } from './member-log.ts'
import {
  eniObject,
  groupObject,
  hasInnerAccess,
  instanceObject,
  membersObject,
  prefixListObject,
  settingsKey,
  settingsObject,
} from './views.ts'

export interface Impact {
  /** Objects that say something else afterwards, or are new or gone, whether or not an agent sees them. */
  readonly viewKeys: ReadonlySet<ViewKey>
  /** Agents whose view is another afterwards. */
  readonly agentIds: ReadonlySet<string>
}

/**
 * What the changes do to views, for a commit and for a dry run alike. Costs as much as there are ENIs in the groups
 * that the agents concerned are in, not as there are in the fleet.
 * @param world  as it is before the changes; what they were before is read from it
 */
export function impactOf(world: World, changes: readonly Change[]): Impact {
  return new Survey(world, changes).impact()
}

/**
 * The same for a commit of the past: who sees today what it changed then, and the agents of the ENIs and instances it
 * changed. What was changed is read from the commit.
 */
export function pastImpactOf(world: World, changes: readonly Change[]): Impact {
  return new Survey(world, changes, { isPast: true }).impact()
}

const unknownList = { accountId: '', name: null, description: null, tags: {}, maxEntries: 1, createdAtMs: 0 }

/** With lists of ports by their ids: what is in them changes by itself. */
function rulesObject(group: Documents['group']): ViewObject {
  const entriesOf = (id: string) => [{ portRange: id, description: null }]
  return groupObject(group, id => ({ ...unknownList, id, entries: entriesOf(id) }))
}

/** By kind and id: it is asked for every ENI of a group, for each of which a key would have to be made. */
type ChangedDocuments = ReadonlyMap<Kind, ReadonlyMap<string, unknown>>

interface ChangedDocument {
  readonly kind: Kind
  readonly id: string
  readonly before: unknown
  readonly after: unknown
}

function byKind(changed: readonly ChangedDocument[], side: 'before' | 'after'): ChangedDocuments {
  const kinds = Map.groupBy(changed, ({ kind }) => kind)
  return new Map([...kinds].map(([kind, those]) => [kind, new Map(those.map(each => [each.id, each[side]]))]))
}

class Survey {
  readonly #world: World
  readonly #isPast: boolean
  readonly #changed: readonly ChangedDocument[]
  /** Of documents that the world has otherwise. */
  readonly #before: ChangedDocuments
  readonly #after: ChangedDocuments
  readonly #viewKeys = new Set<ViewKey>()
  readonly #agentIds = new Set<string>()
  /** Groups whose ENIs' agents were noted already. */
  readonly #noted = new Set<string>()

  constructor(world: World, changes: readonly Change[], { isPast = false } = {}) {
    this.#world = world
    this.#isPast = isPast
    this.#changed = changes.map(({ key, before, value: after }) => ({ ...parseKey(key), before, after }))
    this.#before = isPast ? byKind(this.#changed, 'before') : new Map()
    this.#after = byKind(this.#changed, 'after')
  }

  impact(): Impact {
    for (const changed of this.#changed) this.#surveyDocument(changed)
    this.#surveyMembers()
    return { viewKeys: this.#viewKeys, agentIds: this.#agentIds }
  }

  #surveyDocument({ kind, id }: ChangedDocument): void {
    switch (kind) {
      case 'settings':
        if (id === settingsId && this.#differs('settings', id, settingsObject)) {
          this.#viewKeys.add(settingsKey)
          for (const agent of this.#world.all('agent')) this.#agentIds.add(agent.id)
        }
        break
      case 'instance':
        this.#surveyInstance(id)
        break
      case 'eni':
        if (this.#differs('eni', id, eniObject)) {
          this.#viewKeys.add(viewKey('eni', id))
          this.#noteAgent(this.#agentBefore(this.#documentBefore('eni', id)?.instanceId))
          this.#noteAgent(this.#agentAfter(this.#documentAfter('eni', id)?.instanceId))
        }
        break
      case 'group':
        if (this.#differs('group', id, rulesObject)) {
          this.#viewKeys.add(viewKey('group', id))
          this.#noteAttached(id)
        }
        if (this.#differs('group', id, group => membersObject(group, []))) this.#noteMembers(id)
        break
      case 'portRangeList':
        this.#surveyPortRangeList(id)
        break
      case 'prefixList':
        if (this.#differs('prefixList', id, prefixListObject)) {
          this.#viewKeys.add(viewKey('prefixList', id))
          for (const groupId of this.#world.groupsUsingPrefixList(id)) this.#noteAttached(groupId)
        }
        break
    }
  }

  /** Its ranges stand in the groups whose rules name it. */
  #surveyPortRangeList(id: string): void {
    const rangesOf = (doc: Documents['portRangeList'] | undefined) =>
      doc?.entries.map(({ portRange }) => portRange).join()
    if (rangesOf(this.#documentBefore('portRangeList', id)) === rangesOf(this.#documentAfter('portRangeList', id)))
      return
    for (const groupId of this.#world.groupsUsingPortRangeList(id)) {
      this.#viewKeys.add(viewKey('group', groupId))
      this.#noteAttached(groupId)
    }
  }

  /** One that changes agent leaves the view of one and comes into that of the other, with all its ENIs. */
  #surveyInstance(id: string): void {
    const before = this.#documentBefore('instance', id)?.agentId ?? null
    const after = this.#documentAfter('instance', id)?.agentId ?? null
    const differs = this.#differs('instance', id, instanceObject)
    if (differs) this.#viewKeys.add(viewKey('instance', id))
    if (!differs && before === after) return
    this.#noteAgent(before)
    this.#noteAgent(after)
  }

  #surveyMembers(): void {
    const enis = this.#changed.flatMap(({ kind, id, after }) =>
      kind === 'eni'
        ? [{ before: this.#documentBefore('eni', id) ?? null, after: after as Documents['eni'] | null }]
        : [],
    )
    for (const [groupId, counts] of countMembers(enis)) {
      const members = this.#world.membersOf(groupId)
      const changed = counts.entries().some(([address, by]) => {
        const count = members.get(address) ?? 0
        return this.#isPast || count > 0 !== count + by > 0
      })
      if (changed) this.#noteMembers(groupId)
    }
  }

  /** Whoever comes to see a group's members by this commit sees a change of a group or ENI of his own as well. */
  #noteMembers(groupId: string): void {
    this.#viewKeys.add(viewKey('members', groupId))
    const group = this.#world.get('group', groupId)
    if (group !== undefined && hasInnerAccess(group)) this.#noteAttached(groupId)
    for (const namingId of this.#world.groupsNaming(groupId)) this.#noteAttached(namingId)
  }

  #noteAttached(groupId: string): void {
    if (this.#noted.has(groupId)) return
    this.#noted.add(groupId)
    for (const eniId of this.#world.enisOfGroup(groupId)) {
      this.#noteAgent(this.#agentBefore(this.#world.get('eni', eniId)?.instanceId))
    }
  }

  #noteAgent(agentId: string | null): void {
    if (agentId !== null) this.#agentIds.add(agentId)
  }

  /** Null where it is of no instance, or that of no agent. */
  #agentBefore(instanceId: string | null | undefined): string | null {
    return instanceId === undefined || instanceId === null
      ? null
      : (this.#documentBefore('instance', instanceId)?.agentId ?? null)
  }

  #agentAfter(instanceId: string | null | undefined): string | null {
    return instanceId === undefined || instanceId === null
      ? null
      : (this.#documentAfter('instance', instanceId)?.agentId ?? null)
  }

  #documentBefore<K extends Kind>(kind: K, id: string): Documents[K] | undefined {
    return this.#documentIn(this.#before, kind, id)
  }

  #documentAfter<K extends Kind>(kind: K, id: string): Documents[K] | undefined {
    return this.#documentIn(this.#after, kind, id)
  }

  #documentIn<K extends Kind>(changed: ChangedDocuments, kind: K, id: string): Documents[K] | undefined {
    const those = changed.get(kind)
    if (those?.has(id) !== true) return this.#world.get(kind, id)
    return (those.get(id) as Documents[K] | null) ?? undefined
  }

  /** Only what agents are told counts: a new description is no news to them. */
  #differs<K extends Kind>(kind: K, id: string, objectOf: (doc: Documents[K]) => ViewObject): boolean {
    const before = this.#documentBefore(kind, id)
    const after = this.#documentAfter(kind, id)
    if (before === undefined || after === undefined) return before !== after
    return !isDeepStrictEqual(objectOf(before), objectOf(after))
  }
}
