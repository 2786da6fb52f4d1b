/**
 * What an agent must be told to know the present state: one function for those that are connected and those that come
 * back. Names objects only; encoder.ts writes them out.
 */
import type { Position } from '../../wire/messages.ts'
import type { ViewKey } from '../../wire/view.ts'
import type { World } from '../state/world.ts'
import type { MemberFold, MemberLog } from './member-log.ts'
import { revisionOfObject, settingsKey, splitKey, viewKeysOf } from './views.ts'

/** What the agent knows: these objects, as they were at the revision. */
export interface Held {
  readonly keys: ReadonlySet<ViewKey>
  readonly revision: number
}

export type Update =
  | { readonly kind: 'snapshot'; readonly keys: ReadonlySet<ViewKey> }
  | {
      readonly kind: 'delta'
      /** All that it knows afterwards. */
      readonly keys: ReadonlySet<ViewKey>
      readonly set: readonly ViewKey[]
      readonly remove: readonly ViewKey[]
      readonly members: readonly MembersUpdate[]
    }

export interface MembersUpdate extends MemberFold {
  readonly id: string
  /** Equal for equal folds of the group, as long as the world is at one revision. */
  readonly place: number
}

/**
 * @param world  at the revision of the last commit that the log has
 * @param held   null where it knows nothing, or not of this store
 */
export function deltaSince(world: World, log: MemberLog, agentId: string, held: Held | null): Update {
  const keys = viewKeysOf(world, agentId)
  if (held === null || held.revision > world.revision || held.revision < log.floor) return { kind: 'snapshot', keys }
  const set: ViewKey[] = []
  const members: MembersUpdate[] = []
  for (const key of keys) {
    const change = changeOf(world, log, key, held)
    if (change === 'set') set.push(key)
    else if (change !== null) members.push(change)
  }
  return { kind: 'delta', keys, set, remove: [...held.keys.difference(keys)], members }
}

function changeOf(world: World, log: MemberLog, key: ViewKey, held: Held): 'set' | MembersUpdate | null {
  if (!held.keys.has(key)) return 'set'
  const { kind, id } = splitKey(key)
  if (kind === 'members') return membersSince(world, log, id, held.revision)
  const written = revisionOfObject(world, kind, id)
  return written > held.revision || (key === settingsKey && log.isRenewed(key, held.revision)) ? 'set' : null
}

function membersSince(world: World, log: MemberLog, id: string, revision: number): 'set' | MembersUpdate | null {
  const fold = log.fold(world, id, revision)
  if (fold === null) return 'set'
  const changed = fold.add.length + fold.remove.length
  // Where most have changed, all of them are shorter to say.
  if (changed > world.membersOf(id).size) return 'set'
  return changed === 0 ? null : { id, place: log.place(id, revision), ...fold }
}

/** What a `hello` says of the view it holds, as far as it is of this store. */
export function heldOf(view: (Position & { readonly keys: readonly ViewKey[] }) | null, storeId: string): Held | null {
  return view === null || view.storeId !== storeId ? null : { keys: new Set(view.keys), revision: view.revision }
}
