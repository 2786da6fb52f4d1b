/** What actions are done to, as policies know it: names, and what conditions can be about. */
import { keyOf } from '../../model/documents.ts'
import { ramId } from '../../model/ram.ts'
import type { AskedResource } from '../../ram/evaluate.ts'
import { type EcsType, ecsResource, type Owner, ramResource } from '../../ram/resource-names.ts'
import type { World } from '../../state/world.ts'
import type { NamedKind } from './ram-call.ts'

/** What policies call the kinds of ECS. */
const ecsTypes = {
  group: 'securitygroup',
  instance: 'instance',
  eni: 'eni',
  prefixList: 'prefixlist',
  portRangeList: 'portrangelist',
} as const satisfies Readonly<Record<string, EcsType>>
export type EcsKind = keyof typeof ecsTypes

export const ecsKinds: ReadonlyMap<string, EcsKind> = new Map(
  Object.entries(ecsTypes).map(([kind, type]) => [type, kind as EcsKind]),
)

/**
 * The object with what policies know of it. One that is not there is asked for by its id all the same, and so is one of
 * another account: for who asks it is not there.
 * @param id  `*` for all, or for one that is to be made
 */
export function ecsTarget(world: World, owner: Owner, kind: EcsKind, id: string): AskedResource {
  const doc = world.get(kind, id)
  const tags = doc?.accountId === owner.accountId ? doc.tags : {}
  return { ...ecsResource(owner, ecsTypes[kind], id, tags), ...(isOne(id) && { key: keyOf(kind, id) }) }
}

const words = { ramUser: 'user', ramGroup: 'group', ramPolicy: 'policy', ramRole: 'role' } as const satisfies Record<
  NamedKind,
  string
>
const ramKinds: ReadonlyMap<string, NamedKind> = new Map(
  Object.entries(words).map(([kind, word]) => [word, kind as NamedKind]),
)

/** Names are in any case. @param name  `*` for all, or for one that is to be made */
export function ramTarget(accountId: string, kind: NamedKind, name: string): AskedResource {
  const key = isOne(name) && { key: keyOf(kind, ramId(accountId, name)) }
  return { ...ramResource(accountId, `${words[kind]}/${name}`), ...key }
}

/** @param relative  `user/Alice` */
export function ramTargetOf(accountId: string, relative: string): AskedResource {
  const [, word = '', name = ''] = /^([a-z]+)\/(.*)$/s.exec(relative) ?? []
  const kind = ramKinds.get(word)
  return kind === undefined ? ramResource(accountId, relative) : ramTarget(accountId, kind, name)
}

const isOne = (name: string) => name !== '*' && name !== ''
