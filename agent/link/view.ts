/**
 * What the daemon has told this agent, and the policy that follows from it; pure.
 *
 * A change of the view gives the same policy as reading the whole view anew would. Members are what there is most of
 * and what changes most often: a change of nothing else leaves the checked rest as it is and costs a copy of one list.
 */
import type { Policy } from '../../rules-compiler/model/policy.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { formatProblem } from '../../rules-compiler/validate/problem.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import type { Position, ToAgent } from '../../wire/messages.ts'
import {
  type PolicyDocumentOptions,
  policyDocument,
  type ViewEni,
  type ViewKey,
  type ViewMembers,
  type ViewObject,
  viewKey,
} from '../../wire/view.ts'
import { allMembers, changeMembers, includeMembers, type MemberList, makeMemberList } from './member-list.ts'

export type ViewUpdate = Extract<ToAgent, { type: 'snapshot' | 'delta' }>

/** What the agent adds to the view to make a policy of it. */
export interface Surroundings {
  /** The device each ENI is, by ENI id; an ENI without one is left out of the policy. */
  readonly devices: ReadonlyMap<string, string>
  readonly controlConnections: NonNullable<PolicyDocumentOptions['controlConnections']>
  readonly rescue: NonNullable<PolicyDocumentOptions['rescue']>
}

export type MadePolicy =
  | { readonly ir: PolicyIr; readonly faults: readonly [] }
  | { readonly ir: null; readonly faults: readonly string[] }

/** The view at one moment, for whoever needs it later. */
export interface ViewImage extends Position {
  readonly objects: () => readonly ViewObject[]
}

/** Members are held apart from what else is said of their group. */
type Held =
  | Exclude<ViewObject, { kind: 'members' }>
  | {
      readonly kind: 'members'
      readonly id: string
      readonly network: Omit<ViewMembers, 'addresses'>
      readonly list: MemberList
    }
type HeldObjects = ReadonlyMap<ViewKey, Held>

/** A policy without the members that the view names, and what of it members could still break. */
interface Skeleton {
  readonly surroundings: string
  readonly policy: Policy
  readonly ir: PolicyIr
}

export class View {
  #position: Position | null = null
  /** Replaced at each change, never changed: an image of it stays what it was. */
  #objects: HeldObjects = new Map()
  #skeleton: Skeleton | null = null
  #made: { readonly surroundings: string; readonly policy: MadePolicy } | null = null

  get position(): Position | null {
    return this.#position
  }

  keys(): readonly ViewKey[] {
    return [...this.#objects.keys()]
  }

  enis(): readonly ViewEni[] {
    return [...this.#objects.values()].flatMap(object => (object.kind === 'eni' ? [object.value] : []))
  }

  /** @returns null before the first snapshot */
  image(): ViewImage | null {
    const objects = this.#objects
    return this.#position && { ...this.#position, objects: () => [...objects.values()].map(whole) }
  }

  /**
   * All or nothing.
   * @returns null, or why it cannot be applied, in one sentence; the view is as it was then
   */
  apply(update: ViewUpdate): string | null {
    const next = update.type === 'snapshot' ? readSnapshot(update) : this.#changed(update)
    if (typeof next === 'string') return next
    const { storeId, revision } = update
    this.#position = { storeId, revision }
    if (next.objects === this.#objects) return null
    this.#objects = next.objects
    this.#made = null
    if (!next.onlyMembers) this.#skeleton = null
    return null
  }

  /**
   * The policy of the view as it is now. Where neither the view nor the surroundings have changed it is the same value
   * as the last time. Never throws: a view that trips the checks up is one that makes no policy.
   */
  makePolicy(surroundings: Surroundings): MadePolicy {
    const { devices, controlConnections, rescue } = surroundings
    const text = JSON.stringify([[...devices], controlConnections, rescue])
    if (this.#made?.surroundings === text) return this.#made.policy
    const policy = this.#make(surroundings, text)
    this.#made = { surroundings: text, policy }
    return policy
  }

  #make(surroundings: Surroundings, text: string): MadePolicy {
    try {
      if (this.#skeleton?.surroundings !== text) this.#skeleton = this.#makeSkeleton(surroundings, text)
      const ir = this.#skeleton && this.#fillIn(this.#skeleton)
      return ir === null ? check([...this.#objects.values()].map(whole), surroundings) : { ir, faults: [] }
    } catch (error) {
      return { ir: null, faults: [`Cannot read the view, by a fault of Ringwall's own: ${(error as Error).message}`] }
    }
  }

  /** @returns null where the view is faulty without its members already */
  #makeSkeleton(surroundings: Surroundings, text: string): Skeleton | null {
    const objects = [...this.#objects.values()].map(object =>
      object.kind === 'members' ? whole({ ...object, list: noMembers }) : object,
    )
    const { policy } = checkPolicy(documentOf(objects, surroundings))
    return policy && { surroundings: text, policy, ir: resolvePolicy(policy) }
  }

  /** @returns null where the members might break a check, so that all of them must be made */
  #fillIn({ policy, ir }: Skeleton): PolicyIr | null {
    const most = policy.settings.limits.basicGroupPrivateIps
    const lists = new Map<string, MemberList>()
    for (const object of this.#objects.values()) {
      if (object.kind !== 'members') continue
      if (!object.list.canonical) return null
      lists.set(object.id, object.list)
    }
    for (const { id, type } of policy.securityGroups) {
      const list = lists.get(id)
      if (type === 'basic' && list !== undefined && list.ip.length + list.ip6.length > most) return null
    }
    const groups = [...ir.groups].map(([id, own]) => [id, includeMembers(lists.get(id) ?? noMembers, own)] as const)
    return { ...ir, groups: new Map(groups.map(([id, { ip, ip6 }]) => [id, { ip, ip6 }])) }
  }

  #changed({ storeId, revision, set, remove, members }: Extract<ViewUpdate, { type: 'delta' }>): Change | string {
    const held = this.#position
    if (held === null) return 'Cannot apply a delta: no view is held'
    if (storeId !== held.storeId) return `Cannot apply a delta of store "${storeId}": expected "${held.storeId}"`
    if (revision < held.revision) {
      return `Cannot apply a delta to revision ${revision}: expected ${held.revision}, which is held, or a later one`
    }
    const next = new Map(this.#objects)
    for (const key of remove) next.delete(key)
    const added = putAll(next, set)
    if (added !== null) return added
    let changedMembers = false
    for (const change of members) {
      const key = viewKey('members', change.id)
      const object = next.get(key)
      if (object?.kind !== 'members') return `Cannot change the members of group "${change.id}": they are not held`
      const list = changeMembers(object.list, change)
      changedMembers ||= list !== object.list
      next.set(key, { ...object, list })
    }
    if (set.length + remove.length > 0) return { objects: next, onlyMembers: false }
    return { objects: changedMembers ? next : this.#objects, onlyMembers: true }
  }
}

interface Change {
  readonly objects: HeldObjects
  /** Nothing but which addresses are in groups. */
  readonly onlyMembers: boolean
}

const noMembers = makeMemberList([])

function readSnapshot({ objects }: Extract<ViewUpdate, { type: 'snapshot' }>): Change | string {
  const held = new Map<ViewKey, Held>()
  return putAll(held, objects) ?? { objects: held, onlyMembers: false }
}

/** @returns null, or why they cannot be put */
function putAll(held: Map<ViewKey, Held>, objects: readonly ViewObject[]): string | null {
  const seen = new Set<ViewKey>()
  for (const object of objects) {
    const key = viewKey(object.kind, object.id)
    if (seen.has(key)) return `Cannot take "${key}" a second time: expected each key once in a message`
    seen.add(key)
    held.set(key, hold(object))
  }
  return null
}

function hold(object: ViewObject): Held {
  if (object.kind !== 'members') return object
  const { addresses, ...network } = object.value
  return { kind: 'members', id: object.id, network, list: makeMemberList(addresses) }
}

function whole(object: Held): ViewObject {
  if (object.kind !== 'members') return object
  const { id, network, list } = object
  return { kind: 'members', id, value: { ...network, addresses: allMembers(list) } }
}

/** The policy file that says the same, as a value. */
export function documentOf(objects: Iterable<ViewObject>, { devices, controlConnections, rescue }: Surroundings) {
  return policyDocument(objects, { deviceOf: eni => devices.get(eni.id) ?? null, controlConnections, rescue })
}

function check(objects: readonly ViewObject[], surroundings: Surroundings): MadePolicy {
  const { policy, problems } = checkPolicy(documentOf(objects, surroundings))
  return policy === null ? { ir: null, faults: problems.map(formatProblem) } : { ir: resolvePolicy(policy), faults: [] }
}
