/** Names of RAM's objects in policies: `acs:ram::<account>:user/alice`, as they were written when they were made. */
import { keyOf } from '../../model/documents.ts'
import { ramId } from '../../model/ram.ts'
import type { AskedResource } from '../../ram/evaluate.ts'
import { ramResource } from '../../ram/resource-names.ts'
import type { World } from '../../state/world.ts'
import type { NamedKind } from './ram-call.ts'

const words = { ramUser: 'user', ramGroup: 'group', ramPolicy: 'policy', ramRole: 'role' } as const satisfies Record<
  NamedKind,
  string
>
const kinds = Object.fromEntries(Object.entries(words).map(([kind, word]) => [word, kind])) as Readonly<
  Record<string, NamedKind>
>

/**
 * Names are the same in any case, patterns of policies are not: who asks for `ADMIN` means the user that policies call
 * `admin`.
 * @param name  `*` for all, or for one that is to be made
 */
export function ramTarget(world: World, accountId: string, kind: NamedKind, name: string): AskedResource {
  const id = ramId(accountId, name)
  const { name: made = name } = world.get(kind, id) ?? {}
  return { ...ramResource(accountId, `${words[kind]}/${made}`), ...(name !== '*' && { key: keyOf(kind, id) }) }
}

/** @param relative  `user/Alice` */
export function ramTargetOf(world: World, accountId: string, relative: string): AskedResource {
  const [, word = '', name = ''] = /^([a-z]+)\/(.*)$/s.exec(relative) ?? []
  const kind = Object.hasOwn(kinds, word) ? kinds[word] : undefined
  return kind === undefined ? ramResource(accountId, relative) : ramTarget(world, accountId, kind, name)
}
