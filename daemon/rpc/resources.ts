/** What actions are done to, as policies know it. */
import type { AskedResource } from '../ram/evaluate.ts'
import { type EcsType, ecsResource } from '../ram/resource-names.ts'
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

/** The object with what policies know of it; one that is not there is asked for by its id all the same. */
export function resourceOf(world: World, { accountId, api }: Call, kind: ResourceKind, id: string): AskedResource {
  const doc = world.get(kind, id)
  return ecsResource({ regionId: api.regionId, accountId: doc?.accountId ?? accountId }, types[kind], id, doc?.tags)
}

/** For one that is to be made. */
export function anyResource({ accountId, api }: Call, kind: ResourceKind): AskedResource {
  return ecsResource({ regionId: api.regionId, accountId }, types[kind], '*')
}

/** Those that are named, or all where none is. */
export function askedResources(world: World, call: Call, kind: ResourceKind, ids: readonly string[] = []) {
  return ids.length === 0 ? [anyResource(call, kind)] : ids.map(id => resourceOf(world, call, kind, id))
}
