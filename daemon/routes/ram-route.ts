/** What routes of RAM have in common: whose names are meant, and how what has a name is listed, read and deleted. */
import type { FastifyInstance } from 'fastify'
import Type, { type Static, type TObject } from 'typebox'
import type { Documents } from '../model/documents.ts'
import { ramId } from '../model/ram.ts'
import { accountIdField, isoTime } from '../schemas/fields.ts'
import type { Plan, RevisionOf } from '../services/executor.ts'
import { accountFor, type Principal, readable } from '../services/principal.ts'
import { entityNames, findNamed, type NamedKind, type RamCall } from '../services/ram/ram-call.ts'
import type { Standing, World } from '../state/world.ts'
import { addListRoute } from './listing.ts'
import { type Api, addReadRoute, addWriteRoute } from './route.ts'

export const ramTag = 'Access control'

/** Names are unique within an account. */
export const accountQuery = Type.Object({
  accountId: Type.Optional(accountIdField('The account; the only one there is for the token if left out.')),
})

interface Asked {
  readonly principal: Principal
  readonly query: { readonly accountId?: string }
  readonly nowMs?: number
}

export function ramCall(world: World, { principal, query, nowMs = 0 }: Asked, access: 'read' | 'write'): RamCall {
  return { world, accountId: accountFor(world, principal, query.accountId, access), nowMs }
}

/** What `If-Match` is about. @param field  of the path, with the name */
export const namedSubject =
  <K extends NamedKind>(kind: K, field: string) =>
  (params: unknown, asked: Omit<Asked, 'nowMs'> & { readonly world: World }) => {
    const { accountId } = ramCall(asked.world, asked, 'write')
    return { kind, id: ramId(accountId, (params as Readonly<Record<string, string>>)[field] ?? '') }
  }

/** A plan whose answer is told otherwise. */
export function told<Made, Body>(plan: Plan<Made>, tell: (made: Made, revisionOf: RevisionOf) => Body): Plan<Body> {
  return { writes: plan.writes, body: revisionOf => tell(plan.body(revisionOf), revisionOf) }
}

export const idOf = ({ accountId, name }: { readonly accountId: string; readonly name: string }) =>
  ramId(accountId, name)

/** What has a name within an account. */
export interface Named<K extends NamedKind = NamedKind> {
  readonly kind: K
  /** Of the path: `users`. */
  readonly folder: string
  /** Of paths and answers: `userName`. */
  readonly nameField: string
  /** Of the path of one. */
  readonly params: TObject
}

export interface Shown<K extends NamedKind, S extends TObject> extends Named<K> {
  readonly schema: S
  /** By which one is told from those of other accounts. */
  readonly arnOf: (doc: Documents[K]) => string
  readonly show: (call: RamCall, doc: Documents[K], revisionOf: RevisionOf) => Static<S>
}

export function ramUrl({ folder, nameField }: Named): string {
  return `/v1/ram/${folder}/:${nameField}`
}

const nameIn = ({ nameField }: Named, params: unknown) => (params as Readonly<Record<string, string>>)[nameField] ?? ''

/** Adds those that list and read. @param read  the summary of the latter */
export function addLookRoutes<K extends NamedKind, S extends TObject>(
  app: FastifyInstance,
  api: Api,
  named: Shown<K, S>,
  { list, read }: { readonly list: string; readonly read: string },
): void {
  const { kind, folder, nameField, params, schema, arnOf, show } = named
  const answerField = entityNames[kind].toLowerCase()
  const plural = `${entityNames[kind]}s`
  const sorts = {
    [nameField]: ({ doc }: Standing<Documents[K]>) => doc.name,
    createTime: ({ doc }: Standing<Documents[K]>) => isoTime(doc.createdAtMs),
  }

  addListRoute(app, api, {
    url: `/v1/ram/${folder}`,
    summary: list,
    tag: ramTag,
    sources: (world, { principal }) => readable(world, principal, kind),
    item: schema,
    show: ({ doc, revision }, world, { nowMs }) =>
      show({ world, accountId: doc.accountId, nowMs }, doc, () => revision),
    idField: 'arn' as never,
    idOf: ({ doc }) => arnOf(doc),
    filters: {
      accountId: { equals: ({ doc }) => doc.accountId, description: `${plural} of this account.` },
      [nameField]: { like: ({ doc }) => doc.name, description: `${plural} of this name.` },
    },
    sorts: sorts as never,
  })

  addReadRoute(app, api, {
    url: ramUrl(named),
    summary: read,
    tag: ramTag,
    params,
    query: accountQuery,
    answer: Type.Object({ [answerField]: schema }),
    etag: answerField,
    read(world, input) {
      const call = ramCall(world, input, 'read')
      const doc = findNamed(call, kind, nameIn(named, input.params))
      return { [answerField]: show(call, doc, revisionsOf(world)) } as never
    },
  })
}

const revisionsOf =
  (world: World): RevisionOf =>
  (kind, id) =>
    world.revisionOf(kind, id)

/** @param text.description  what it is refused for */
export function addDeleteRoute(
  app: FastifyInstance,
  api: Api,
  named: Named,
  text: { readonly summary: string; readonly description: string },
  plan: (call: RamCall, name: string) => Plan<object>,
): void {
  const { kind, nameField, params } = named
  addWriteRoute(app, api, {
    method: 'DELETE',
    url: ramUrl(named),
    ...text,
    tag: ramTag,
    action: `ram:Delete${entityNames[kind]}`,
    params,
    query: accountQuery,
    answer: Type.Object({ [nameField]: Type.String() }),
    subject: namedSubject(kind, nameField),
    plan(world, input) {
      const name = nameIn(named, input.params)
      return told(plan(ramCall(world, input, 'write'), name), () => ({ [nameField]: name })) as never
    },
  })
}
