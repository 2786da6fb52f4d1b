/**
 * The whole state in memory: every document by kind and id, and the questions that services ask of all of them at once.
 * It is fed by the store's commits alone, in their order, and equals what the store holds at `revision`.
 */

import { defaultLimits } from '../../rules-compiler/model/policy.ts'
import { type Documents, type Kind, kinds, parseKey, settingsId } from '../model/documents.ts'
import type { Commit, Listing } from '../store/store.ts'
import { MultiMap } from './multi-map.ts'

/** A document, and the revision that wrote it. */
export interface Standing<D> {
  readonly doc: D
  readonly revision: number
}

/** Where addresses are unique and groups can name each other. */
export type Network = { readonly networkType: 'vpc' | 'classic'; readonly vpcId: string | null }

export function networkKey({ networkType, vpcId }: Network): string {
  return networkType === 'classic' ? 'classic' : `vpc ${vpcId ?? ''}`
}

const defaultSettings: Documents['settings'] = { sessionTimeout: 910, revocation: 'immediate', limits: defaultLimits }

export class World {
  readonly #documents: { readonly [K in Kind]: Map<string, Standing<Documents[K]>> }
  #revision = 0
  readonly #enisOfInstance = new MultiMap()
  readonly #enisOfGroup = new MultiMap()
  readonly #instancesOfAgent = new MultiMap()
  readonly #groupsNaming = new MultiMap()
  readonly #groupsUsingPrefixList = new MultiMap()
  readonly #groupsUsingPortRangeList = new MultiMap()
  readonly #enisWithAddress = new MultiMap()
  readonly #enisWithMac = new MultiMap()
  /** Those whose own mode is `observe`. */
  readonly #observing = { eni: new Set<string>(), group: new Set<string>() }
  readonly #eventsOfInstance = new MultiMap()
  readonly #eventsOfAgent = new MultiMap()
  /** How many ENIs of a group have each address, keyed by group. */
  readonly #members = new Map<string, Map<string, number>>()

  constructor(listing: Listing = { revision: 0, entries: [] }) {
    this.#documents = Object.fromEntries(kinds.map(kind => [kind, new Map()])) as never
    this.#revision = listing.revision
    for (const { key, value, revision } of listing.entries) this.#put(key, value, revision)
  }

  /** Of the last commit it has taken in. */
  get revision(): number {
    return this.#revision
  }

  apply(commit: Commit): void {
    for (const { key, value } of commit.changes) this.#put(key, value, commit.revision)
    this.#revision = commit.revision
  }

  get<K extends Kind>(kind: K, id: string): Documents[K] | undefined {
    return this.#documents[kind].get(id)?.doc
  }

  /** In the order they were first written. */
  *all<K extends Kind>(kind: K): Generator<Documents[K]> {
    for (const { doc } of this.#documents[kind].values()) yield doc
  }

  /** The same with the revisions that wrote them. */
  standings<K extends Kind>(kind: K): Iterable<Standing<Documents[K]>> {
    return this.#documents[kind].values()
  }

  standing<K extends Kind>(kind: K, id: string): Standing<Documents[K]> | undefined {
    return this.#documents[kind].get(id)
  }

  /** The documents with their ids, which not every document has in itself. */
  *entries<K extends Kind>(kind: K): Generator<readonly [id: string, doc: Documents[K]]> {
    for (const [id, { doc }] of this.#documents[kind]) yield [id, doc]
  }

  count(kind: Kind): number {
    return this.#documents[kind].size
  }

  /** The revision that wrote the document last; 0 where there is none. */
  revisionOf(kind: Kind, id: string): number {
    return this.#documents[kind].get(id)?.revision ?? 0
  }

  get settings(): Documents['settings'] {
    return this.get('settings', settingsId) ?? defaultSettings
  }

  enisOfInstance(instanceId: string): ReadonlySet<string> {
    return this.#enisOfInstance.get(instanceId)
  }

  /** The agent that enforces at it; null where nobody does. */
  agentOfEni({ instanceId }: Documents['eni']): string | null {
    return instanceId === null ? null : (this.get('instance', instanceId)?.agentId ?? null)
  }

  enisOfGroup(groupId: string): ReadonlySet<string> {
    return this.#enisOfGroup.get(groupId)
  }

  instancesOfAgent(agentId: string): ReadonlySet<string> {
    return this.#instancesOfAgent.get(agentId)
  }

  /** Groups with a rule that names this one; itself among them where it names itself. */
  groupsNaming(groupId: string): ReadonlySet<string> {
    return this.#groupsNaming.get(groupId)
  }

  groupsUsingPrefixList(prefixListId: string): ReadonlySet<string> {
    return this.#groupsUsingPrefixList.get(prefixListId)
  }

  groupsUsingPortRangeList(portRangeListId: string): ReadonlySet<string> {
    return this.#groupsUsingPortRangeList.get(portRangeListId)
  }

  enisWithAddress(network: Network, address: string): ReadonlySet<string> {
    return this.#enisWithAddress.get(`${networkKey(network)} ${address}`)
  }

  enisWithMac(macAddress: string): ReadonlySet<string> {
    return this.#enisWithMac.get(macAddress)
  }

  /** ENIs or groups whose own mode is `observe`. */
  observing(kind: 'eni' | 'group'): ReadonlySet<string> {
    return this.#observing[kind]
  }

  /** Attacks on it that are kept; of an instance that is gone too. */
  eventsOfInstance(instanceId: string): ReadonlySet<string> {
    return this.#eventsOfInstance.get(instanceId)
  }

  /** Attacks that are kept and that it told of last. */
  eventsOfAgent(agentId: string): ReadonlySet<string> {
    return this.#eventsOfAgent.get(agentId)
  }

  /** Addresses of all ENIs of the group, and how many ENIs have each. */
  membersOf(groupId: string): ReadonlyMap<string, number> {
    return this.#members.get(groupId) ?? noMembers
  }

  #put(key: string, value: unknown, revision: number): void {
    const { kind, id } = parseKey(key)
    const documents = this.#documents[kind] as Map<string, Standing<unknown>>
    const before = documents.get(id)?.doc
    if (before !== undefined) this.#index(kind, id, before, false)
    if (value === null) {
      documents.delete(id)
    } else {
      documents.set(id, { doc: value, revision })
      this.#index(kind, id, value, true)
    }
  }

  #index(kind: Kind, id: string, doc: unknown, present: boolean): void {
    const note = (index: MultiMap, key: string) => (present ? index.add(key, id) : index.delete(key, id))
    if (kind === 'eni' || kind === 'group') {
      const observes = present && (doc as Documents['eni' | 'group']).mode === 'observe'
      if (observes) this.#observing[kind].add(id)
      else this.#observing[kind].delete(id)
    }
    switch (kind) {
      case 'instance': {
        const { agentId } = doc as Documents['instance']
        if (agentId !== null) note(this.#instancesOfAgent, agentId)
        break
      }
      case 'eni': {
        const eni = doc as Documents['eni']
        if (eni.instanceId !== null) note(this.#enisOfInstance, eni.instanceId)
        if (eni.macAddress !== null) note(this.#enisWithMac, eni.macAddress)
        for (const address of eni.addresses) note(this.#enisWithAddress, `${networkKey(eni)} ${address}`)
        for (const groupId of eni.securityGroupIds) {
          note(this.#enisOfGroup, groupId)
          this.#countMembers(groupId, eni.addresses, present ? 1 : -1)
        }
        break
      }
      case 'ddosEvent': {
        const { event, agentId } = doc as Documents['ddosEvent']
        note(this.#eventsOfInstance, event.instanceId)
        note(this.#eventsOfAgent, agentId)
        break
      }
      case 'group':
        for (const rule of (doc as Documents['group']).rules) {
          const { sourceGroupId = rule.destGroupId, sourcePrefixListId = rule.destPrefixListId } = rule
          if (sourceGroupId !== undefined) note(this.#groupsNaming, String(sourceGroupId))
          if (sourcePrefixListId !== undefined) note(this.#groupsUsingPrefixList, String(sourcePrefixListId))
          if (rule.portRangeListId !== undefined) note(this.#groupsUsingPortRangeList, rule.portRangeListId)
        }
        break
    }
  }

  #countMembers(groupId: string, addresses: readonly string[], by: 1 | -1): void {
    const counts = this.#members.get(groupId) ?? new Map<string, number>()
    for (const address of addresses) {
      const count = (counts.get(address) ?? 0) + by
      if (count === 0) counts.delete(address)
      else counts.set(address, count)
    }
    if (counts.size === 0) this.#members.delete(groupId)
    else this.#members.set(groupId, counts)
  }
}

const noMembers: ReadonlyMap<string, number> = new Map()
