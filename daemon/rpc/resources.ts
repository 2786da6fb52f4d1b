/** What actions are done to, by the parameters that name it. */
import type { Documents } from '../model/documents.ts'
import type { AskedResource } from '../ram/evaluate.ts'
import type { AccessNeed } from '../services/access.ts'
import { type EcsKind, ecsTarget } from '../services/ram/targets.ts'
import type { World } from '../state/world.ts'
import type { RpcCall } from './action.ts'

type Call = Pick<RpcCall<never>, 'accountId' | 'api'>

const ownerIn = ({ accountId, api }: Call) => ({ regionId: api.regionId, accountId })

export function resourceOf(world: World, call: Call, kind: EcsKind, id: string): AskedResource {
  return ecsTarget(world, ownerIn(call), kind, id)
}

/** For one that is to be made. */
export function anyResource(call: Call, kind: EcsKind): AskedResource {
  return ecsTarget(call.api.world, ownerIn(call), kind, '*')
}

/** Those that are named, or all where none is. */
export function askedResources(world: World, call: Call, kind: EcsKind, ids: readonly string[] = []) {
  return ids.length === 0 ? [anyResource(call, kind)] : ids.map(id => resourceOf(world, call, kind, id))
}

/** What an action of ECS asks for that is done to the one object that a parameter names. */
export function accessByField<Field extends string>(name: string, kind: EcsKind, field: Field) {
  return (world: World, call: Call & { readonly parameters: Readonly<Record<Field, string>> }): AccessNeed => ({
    action: `ecs:${name}`,
    resources: [resourceOf(world, call, kind, call.parameters[field])],
  })
}

/** Those that are there of those that are named, or all where no names are given: where many are filtered, most need no look. */
export function namedOrAll<K extends EcsKind>(
  world: World,
  kind: K,
  ids: Iterable<string> | undefined,
): Iterable<Documents[K]> {
  return ids === undefined ? world.all(kind) : [...new Set(ids)].flatMap(id => world.get(kind, id) ?? [])
}
