/** What actions are done to, as policies know it. */

import { keyOf } from '../model/documents.ts'
import type { AskedResource } from '../ram/evaluate.ts'
import { type EcsType, ecsResource } from '../ram/resource-names.ts'
import type { AccessNeed } from '../services/access.ts'
import type { World } from '../state/world.ts'
import type { RpcCall } from './action.ts'

type Call = Pick<RpcCall<never>, 'accountId' | 'api'>

const types = {
  group: 'securitygroup',
  instance: 'instance',
  eni: 'eni',
  prefixList: 'prefixlist',
  portRangeList: 'portrangelist',
} as const satisfies {
  readonly [kind: string]: EcsType
}
export type ResourceKind = keyof typeof types

/**
 * The object with what policies know of it. One that is not there is asked for by its id all the same, and so is one of
 * another account: for who asks it is not there.
 */
export function resourceOf(world: World, call: Call, kind: ResourceKind, id: string): AskedResource {
  const doc = world.get(kind, id)
  const tags = doc?.accountId === call.accountId ? doc.tags : {}
  const { regionId } = call.api
  const resource = ecsResource({ regionId, accountId: call.accountId }, types[kind], id, tags)
  return id === '*' || id === '' ? resource : { ...resource, key: keyOf(kind, id) }
}

/** For one that is to be made. */
export function anyResource({ accountId, api }: Call, kind: ResourceKind): AskedResource {
  return ecsResource({ regionId: api.regionId, accountId }, types[kind], '*')
}

/** Those that are named, or all where none is. */
export function askedResources(world: World, call: Call, kind: ResourceKind, ids: readonly string[] = []) {
  return ids.length === 0 ? [anyResource(call, kind)] : ids.map(id => resourceOf(world, call, kind, id))
}

/** What an action of ECS asks for that is done to the one object that a parameter names. */
export function accessByField<Field extends string>(name: string, kind: ResourceKind, field: Field) {
  return (world: World, call: Call & { readonly parameters: Readonly<Record<Field, string>> }): AccessNeed => ({
    action: `ecs:${name}`,
    resources: [resourceOf(world, call, kind, call.parameters[field])],
  })
}
