/** Names of RAM's objects in policies: `acs:ram::<account>:user/alice`, in any case. */
import { keyOf } from '../../model/documents.ts'
import { ramId } from '../../model/ram.ts'
import type { AskedResource } from '../../ram/evaluate.ts'
import { ramResource } from '../../ram/resource-names.ts'
import type { NamedKind } from './ram-call.ts'

const words = { ramUser: 'user', ramGroup: 'group', ramPolicy: 'policy', ramRole: 'role' } as const satisfies Record<
  NamedKind,
  string
>
const kinds = Object.fromEntries(Object.entries(words).map(([kind, word]) => [word, kind])) as Readonly<
  Record<string, NamedKind>
>

/** @param name  `*` for all, or for one that is to be made */
export function ramTarget(accountId: string, kind: NamedKind, name: string): AskedResource {
  const resource = ramResource(accountId, `${words[kind]}/${name}`)
  return name === '*' ? resource : { ...resource, key: keyOf(kind, ramId(accountId, name)) }
}

/** @param relative  `user/Alice` */
export function ramTargetOf(accountId: string, relative: string): AskedResource {
  const [, word = '', name = ''] = /^([a-z]+)\/(.*)$/s.exec(relative) ?? []
  const kind = Object.hasOwn(kinds, word) ? kinds[word] : undefined
  return kind === undefined ? ramResource(accountId, relative) : ramTarget(accountId, kind, name)
}
