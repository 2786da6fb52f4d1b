/** What actions of RAM have in common: names, what they are done to, and lists in pages. */
import Type, { type TObject, type TProperties } from 'typebox'
import type { Documents } from '../../../model/documents.ts'
import type { Plan } from '../../../services/executor.ts'
import { allNamed, entityNames, type NamedKind, type RamCall } from '../../../services/ram/ram-call.ts'
import { ramTargetOf } from '../../../services/ram/targets.ts'
import type { World } from '../../../state/world.ts'
import {
  type ReadAction,
  type RpcAction,
  type RpcCall,
  readAction,
  type WriteAction,
  writeAction,
} from '../../action.ts'
import { renamed } from '../../envelope.ts'
import { beginBehind, tokenOf } from '../../paging.ts'
import { coded } from '../../read-parameters.ts'

/** A name, with the published codes for what is none. */
const nameOf = (field: string, most: number, characters: string) =>
  coded(`InvalidParameter.${field}.InvalidChars`, Type.String({ pattern: `^[${characters}]{1,${most}}$` }))

export const UserName = nameOf('UserName', 64, 'A-Za-z0-9._-')
export const GroupName = nameOf('GroupName', 64, 'A-Za-z0-9._-')
export const RoleName = nameOf('RoleName', 64, 'A-Za-z0-9.-')
export const PolicyName = nameOf('PolicyName', 128, 'A-Za-z0-9-')
export const comments = Type.Optional(Type.String({ maxLength: 128 }))
export const description = Type.Optional(Type.String({ maxLength: 1024 }))
export const documentText = Type.String({ maxLength: 20_000 })

export const onUser = ({ UserName: name }: { readonly UserName: string }) => `user/${name}`
export const onGroup = ({ GroupName: name }: { readonly GroupName: string }) => `group/${name}`
export const onRole = ({ RoleName: name }: { readonly RoleName: string }) => `role/${name}`
export const onPolicy = ({ PolicyName: name }: { readonly PolicyName: string }) => `policy/${name}`

const ramCall = (world: World, { accountId, nowMs }: Pick<RpcCall<never>, 'accountId' | 'nowMs'>): RamCall => ({
  world,
  accountId,
  nowMs,
})

/** What an action of RAM says, once its name is known. */
interface Text<P extends TProperties> {
  readonly summary: string
  readonly parameters: P
  /** What it is done to, behind `acs:ram::<account>:`. */
  readonly on: (parameters: never, call: Pick<RpcCall<never>, 'principal'>) => string | readonly string[]
}

function accessOf<P extends TProperties>(name: string, on: Text<P>['on']) {
  return (_world: World, call: RpcCall<TObject<P>>) => ({
    action: `ram:${name}`,
    resources: [on(call.parameters as never, call)].flat().map(each => ramTargetOf(call.accountId, each)),
  })
}

export function reads<P extends TProperties>(
  name: string,
  text: Text<P>,
  read: (call: RamCall, parameters: RpcCall<TObject<P>>['parameters'], rpc: RpcCall<TObject<P>>) => object,
): ReadAction<TObject<P>> {
  return readAction({
    product: 'ram',
    name,
    summary: text.summary,
    parameters: Type.Object(text.parameters),
    access: accessOf(name, text.on),
    read: (world, call) => read(ramCall(world, call), call.parameters, call),
  })
}

export function writes<P extends TProperties>(
  name: string,
  text: Text<P> & Pick<WriteAction<TObject<P>>, 'isSecret' | 'subject'>,
  plan: (call: RamCall, parameters: RpcCall<TObject<P>>['parameters'], rpc: RpcCall<TObject<P>>) => Plan<object>,
): WriteAction<TObject<P>> {
  return writeAction({
    product: 'ram',
    name,
    summary: text.summary,
    parameters: Type.Object(text.parameters),
    ...(text.isSecret !== undefined && { isSecret: text.isSecret }),
    ...(text.subject !== undefined && { subject: text.subject }),
    access: accessOf(name, text.on),
    plan: (world, call) => plan(ramCall(world, call), call.parameters, call),
  })
}

export const silent = (plan: Plan<object>) => renamed(plan, () => ({}))

export const pageFields = {
  Marker: Type.Optional(Type.String({ maxLength: 200 })),
  MaxItems: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
}

/**
 * What RAM's lists are cut by; paging.ts has that of the other products.
 * @param items  in the order of their names, whose case says nothing
 */
export function pageByMarker<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  { Marker, MaxItems = 100 }: { readonly Marker?: string; readonly MaxItems?: number },
) {
  const orderOf = (item: T) => nameOf(item).toLowerCase()
  const begin = beginBehind(items, orderOf, { Marker })
  const shown = items.slice(begin, begin + MaxItems)
  const last = shown.at(-1)
  const isTruncated = last !== undefined && items.length > begin + shown.length
  return { shown, fields: { IsTruncated: isTruncated, ...(isTruncated && { Marker: tokenOf(orderOf(last)) }) } }
}

/** `ListUsers`, `ListGroups` and `ListRoles`: those of the account, by name. */
export function listsNamed<K extends NamedKind>(
  kind: K,
  name: string,
  summary: string,
  show: (doc: Documents[K]) => object,
): RpcAction {
  const word = entityNames[kind]
  return reads(name, { summary, parameters: pageFields, on: () => `${word.toLowerCase()}/*` }, (call, page) => {
    const { shown, fields } = pageByMarker(allNamed(call, kind), doc => doc.name, page)
    return { [`${word}s`]: { [word]: shown.map(show) }, ...fields }
  })
}
