/** What the audit log has of a write that is refused: its action, who asked, and what it would have been done to. */

import type { FastifyRequest } from 'fastify'
import type { TObject } from 'typebox'
import { ApiError } from '../errors.ts'
import { sourceAddressOf } from '../http/source-address.ts'
import { keyOf } from '../model/documents.ts'
import { notedPrincipal, type RefusedWrite } from '../model/note.ts'
import type { Api } from '../routes/route.ts'
import { accountPrincipal, type FoundCredential } from '../services/ram/identity.ts'
import { policyName, type RpcAction, type RpcCall, type WriteAction } from './action.ts'
import { growTree } from './pairs.ts'
import { readableParameters } from './read-parameters.ts'
import type { Claim } from './signature.ts'

/** How far it is known who asks; filled in as it turns out. */
export interface Asker {
  /** Whose key it says it is; null where that is unknown. */
  owner: FoundCredential | null
  /** Whether the request is signed by it. */
  isProven: boolean
}

export type RpcRefusal = Pick<RefusedWrite, 'note' | 'objects'>

export const isWrite = (action: RpcAction | undefined): action is WriteAction =>
  action !== undefined && 'plan' in action

/** Ids are shorter; what nobody has signed may hold anything. */
const mostOfId = 64

export function refusalOf(
  action: WriteAction,
  { request, claim, asker, api }: { request: FastifyRequest; claim: Claim; asker: Asker; api: Api },
): RpcRefusal {
  const { owner, isProven } = asker
  const principal =
    owner !== null && isProven
      ? notedPrincipal(owner.principal)
      : { kind: 'key' as const, id: claim.accessKeyId.slice(0, mostOfId), name: 'unknown' }
  return {
    note: { action: policyName(action), principal, sourceAddress: sourceAddressOf(request), requestId: request.id },
    objects: objectsMeant(action, { claim, owner, api }),
  }
}

/** As far as the request can be read: what was wrong with it may be just that. */
function objectsMeant(
  action: WriteAction,
  { claim, owner, api }: { claim: Claim; owner: FoundCredential | null; api: Api },
): readonly string[] {
  // Names of RAM say nothing without an account.
  if (owner === null && action.product === 'ram') return []
  const accountId = owner?.accountId ?? ''
  try {
    const call: RpcCall<TObject> = {
      principal: owner?.principal ?? accountPrincipal(accountId),
      accountId,
      countedAs: owner?.countedAs ?? '',
      parameters: {
        ...unnamedIn(action.parameters),
        ...readableParameters(action.parameters, growTree(claim.parameters)),
      },
      regionId: api.regionId,
      nowMs: 0,
      facts: { sourceAddress: '', isSecure: false, nowMs: 0 },
      api,
    }
    const { resources = [] } = action.access?.(api.world, call) ?? {}
    const { kind, id } = action.subject?.(call) ?? {}
    const subject = kind === undefined || !id || id === unnamed ? [] : [keyOf(kind, id)]
    return [...new Set([...resources.flatMap(({ key }) => (key === undefined ? [] : [key])), ...subject])]
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return []
  }
}

/** Stands for every object, and so for none. */
const unnamed = '*'

/** For what the request does not say, and must. */
function unnamedIn({ required = [], properties }: Fields): Readonly<Record<string, unknown>> {
  return Object.fromEntries(required.map(name => [name, properties[name]?.type === 'array' ? [] : unnamed]))
}

interface Fields {
  readonly required?: readonly string[]
  readonly properties: Readonly<Record<string, { readonly type?: string }>>
}
