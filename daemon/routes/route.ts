/**
 * What all routes share: how requests are read, who may ask, how writes are made, waited for and answered. A route
 * itself says what is its own: its schema and its plan.
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static, type TObject, type TSchema } from 'typebox'
import type { AuditLog } from '../audit/audit-log.ts'
import type { NamedKind } from '../errors.ts'
import { ApiError } from '../errors.ts'
import { goneSignal } from '../http/client-gone.ts'
import { sourceAddressOf } from '../http/source-address.ts'
import { type EniDoc, parseKey } from '../model/documents.ts'
import type { Sealer } from '../ram/seal.ts'
import { patterned } from '../schemas/fields.ts'
import { maxListed } from '../schemas/observed.ts'
import type { Backups } from '../services/backups.ts'
import type { History } from '../services/changes.ts'
import type { DdosBoard } from '../services/ddos-board.ts'
import { describeDocument } from '../services/describe.ts'
import type { Enforcement, EnforcementBoard } from '../services/enforcement.ts'
import type { Call, Executor, Outcome, Plan, Subject } from '../services/executor.ts'
import type { Fleet } from '../services/fleet.ts'
import { enforcedBy, reportObserved } from '../services/observed.ts'
import type { ObservedBoard } from '../services/observed-board.ts'
import { rulesTouchedBy } from '../services/preview.ts'
import { mayRead, type Principal } from '../services/principal.ts'
import type { KeyUsage } from '../services/ram/key-usage.ts'
import type { NamedKind as RamKind } from '../services/ram/ram-call.ts'
import type { World } from '../state/world.ts'
import { type Change, CompactedError } from '../store/store.ts'
import { actionsAsked } from './access.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any route is entered; absent on the few that need no token. */
    principal: Principal
  }
  interface FastifyContextConfig {
    /** The action a write is audited as; left out for reads. */
    readonly action?: string
    /** Needs no token. */
    readonly isOpen?: boolean
    /** Goes on for as long as the client likes: how long says nothing. */
    readonly isStream?: boolean
  }
}

/** What routes work with. */
export interface Api {
  readonly world: World
  readonly executor: Executor
  readonly board: EnforcementBoard
  readonly fleet: Fleet
  readonly ddos: DdosBoard
  readonly observed: ObservedBoard
  readonly store: History
  readonly audit: Pick<AuditLog, 'search' | 'acted'>
  readonly backups: Backups
  /** Of the secrets of access keys. */
  readonly sealer: Sealer
  readonly keyUsage: KeyUsage
  /** The one region there is, as it stands in names of resources. */
  readonly regionId: string
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface RouteInput<P extends TObject, Q extends TObject, B extends TSchema> {
  readonly principal: Principal
  readonly params: Static<P>
  readonly query: Static<Q>
  readonly body: Static<B>
  readonly nowMs: number
}

interface RouteText<P extends TObject, Q extends TObject> {
  /** As fastify writes it: `/v1/security-groups/:securityGroupId`. */
  readonly url: string
  /** One line for the list of routes. */
  readonly summary: string
  readonly description?: string
  /** The heading it stands under: `Security groups`. */
  readonly tag: string
  readonly params?: P
  readonly query?: Q
}

/** By whom an object is named, where its name alone does not say which. */
interface Asker<Q extends TObject> {
  readonly world: World
  readonly principal: Principal
  readonly query: Static<Q>
}

export interface ReadRoute<P extends TObject, Q extends TObject, A extends TSchema> extends RouteText<P, Q> {
  readonly answer: A
  /** The object of the answer whose revision is the ETag: the name of its field, or `''` for the answer itself. */
  readonly etag?: string
  readonly read: (world: World, input: RouteInput<P, Q, TSchema>) => Static<A> | Promise<Static<A>>
}

export interface WriteRoute<P extends TObject, Q extends TObject, B extends TSchema, A extends TObject>
  extends RouteText<P, Q> {
  readonly method: 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  /** In the words of RAM policies. */
  readonly action: string
  /** What it is audited as, where what was done says it better than what was asked. */
  readonly actionsOf?: (changes: readonly Change[]) => readonly string[]
  /** Left out for a request without body. */
  readonly body?: B
  /** 200 where left out. */
  readonly status?: 200 | 201
  /** Without `revision`, which every answer to a write has. */
  readonly answer: A
  readonly etag?: string
  /** The object that the path names, for If-Match. */
  readonly subject?: (
    params: Static<P>,
    asker: Asker<Q>,
  ) => Subject & { readonly kind: NamedKind | RamKind | 'accessKey' | 'settings' }
  /** The answer has a secret, which must not be kept for repetitions. */
  readonly isSecret?: boolean
  readonly plan: (world: World, input: RouteInput<P, Q, B>) => Plan<Static<A>>
}

const noFields = Type.Object({}, { additionalProperties: false })
const maxWaitSeconds = 300

const writeQuery = {
  dryRun: Type.Optional(Type.Boolean({ description: 'Say what would change, and store nothing.', default: false })),
  wait: Type.Optional(
    Type.Enum(['enforced'], { description: 'Answer when every agent concerned has the change in its kernel.' }),
  ),
  timeout: Type.Optional(
    Type.Integer({
      description: 'How long to wait at most, in seconds.',
      minimum: 1,
      maximum: maxWaitSeconds,
      default: 10,
    }),
  ),
}

const ifMatch = {
  'if-match': Type.Optional(
    Type.String({ description: 'The revision the object must have been written last by, in quotes.', maxLength: 40 }),
  ),
}

const idempotencyKey = {
  'idempotency-key': Type.Optional(
    Type.String({
      description: 'The same request under the same key is carried out once.',
      minLength: 1,
      maxLength: 64,
      ...patterned('^[!-~]+$', 'printable ASCII characters without space'),
    }),
  ),
}

export const enforcementSchema = Type.Object(
  {
    state: Type.Enum(['enforced', 'pending']),
    agents: Type.Integer({ description: 'How many agents see something of the change.' }),
    enforced: Type.Integer({ description: 'How many of them have it in their kernel.' }),
    behind: Type.Array(
      Type.Object({
        agentId: Type.String(),
        hostName: Type.String(),
        state: Type.Enum(['behind', 'refusing', 'away']),
        since: Type.String({ format: 'date-time' }),
        error: Type.Union([Type.String(), Type.Null()]),
      }),
    ),
  },
  { description: 'Where the change is in force.' },
)

export function enforcementAnswer({ state, agents, enforced, behind }: Enforcement): Static<typeof enforcementSchema> {
  return {
    state,
    agents,
    enforced,
    behind: behind.map(({ sinceMs, ...agent }) => ({ ...agent, since: new Date(sinceMs).toISOString() })),
  }
}

/** Adds a route that reads from the state in memory. */
export function addReadRoute<P extends TObject, Q extends TObject, A extends TSchema>(
  app: FastifyInstance,
  api: Api,
  route: ReadRoute<P, Q, A>,
): void {
  app.route({
    method: 'GET',
    url: route.url,
    schema: schemaOf(route, { answer: route.answer, status: 200, headers: etagHeader(route) }),
    handler: async (request, reply) => {
      const answer = await route.read(api.world, inputOf(request, api))
      setEtag(reply, answer, route.etag)
      return answer
    },
  })
}

/** Adds a route that changes the state. */
export function addWriteRoute<P extends TObject, Q extends TObject, B extends TSchema, A extends TObject>(
  app: FastifyInstance,
  api: Api,
  route: WriteRoute<P, Q, B, A>,
): void {
  const status = route.status ?? 200
  app.route({
    method: route.method,
    url: route.url,
    config: { action: route.action },
    schema: {
      ...schemaOf(
        {
          ...route,
          query: Type.Object({ ...route.query?.properties, ...writeQuery }, { additionalProperties: false }),
        },
        { answer: writeAnswer(route.answer), status, headers: { ...etagHeader(route), ...replayedHeader(route) } },
      ),
      headers: Type.Object({
        ...(route.subject !== undefined && ifMatch),
        ...(route.isSecret !== true && idempotencyKey),
      }),
      // What the audit log has, and what a policy will name.
      'x-action': route.action,
      ...(route.body !== undefined && { body: route.body }),
    },
    handler: async (request, reply) => {
      if (route.body === undefined) requireNoBody(request)
      if (route.subject === undefined) requireNoIfMatch(request)
      const actionsOf = route.actionsOf ?? (() => actionsAsked(request, api))
      const call: Call = { ...callOf(request, route), actionsOf }
      const asker = { world: api.world, principal: request.principal, query: request.query as Static<Q> }
      const subject = route.subject?.(request.params as Static<P>, asker) ?? null
      const input = inputOf<P, Q, B>(request, api)
      const outcome = await api.executor.execute(call, { subject, status }, world => route.plan(world, input))
      return answerWrite(outcome, { request, reply, api, status, subject, etag: route.etag })
    },
  })
}

/** Every answer to a write has the revision, and where it was waited for, how far the change has come. */
function writeAnswer(answer: TObject): TObject {
  return Type.Object({
    ...answer.properties,
    revision: Type.Integer({
      description: 'The revision that made the change; the present one if there was none to make.',
    }),
    enforcement: Type.Optional(enforcementSchema),
  })
}

function schemaOf(
  { summary, description, tag, params = noFields, query = noFields }: RouteText<TObject, TObject>,
  { answer, status, headers }: { readonly answer: TSchema; readonly status: number; readonly headers: object },
) {
  return {
    summary,
    ...(description !== undefined && { description }),
    tags: [tag],
    params,
    querystring: query,
    response: { [status]: { ...answer, headers } },
  }
}

function etagHeader({ etag }: { readonly etag?: string }) {
  return etag === undefined ? {} : { ETag: Type.String({ description: 'The revision of the object, in quotes.' }) }
}

function replayedHeader({ isSecret = false }: { readonly isSecret?: boolean }) {
  if (isSecret) return {}
  return {
    'Idempotent-Replayed': Type.String({ description: '`true` where the first answer under the key is told again.' }),
  }
}

function inputOf<P extends TObject, Q extends TObject, B extends TSchema>(
  { principal, params, query, body }: FastifyRequest,
  { now }: Api,
): RouteInput<P, Q, B> {
  return {
    principal,
    params: params as Static<P>,
    query: query as Static<Q>,
    body: body as Static<B>,
    nowMs: now(),
  }
}

interface WriteFlags {
  readonly dryRun?: boolean
  readonly wait?: 'enforced'
  readonly timeout?: number
}

function callOf(
  request: FastifyRequest,
  { action, isSecret = false }: { readonly action: string; readonly isSecret?: boolean },
): Call {
  const { dryRun = false } = request.query as WriteFlags
  const key = request.headers['idempotency-key'] as string | undefined
  if (key !== undefined && isSecret) {
    throw new ApiError(
      400,
      'InvalidParameter',
      'Cannot take an Idempotency-Key here: the answer has a secret, which is not kept',
    )
  }
  return {
    principal: request.principal,
    action,
    requestId: request.id,
    sourceAddress: sourceAddressOf(request),
    dryRun,
    ifMatch: readIfMatch(request.headers['if-match']),
    idempotency: key === undefined ? null : { key, fingerprint: fingerprintOf(request) },
  }
}

/** Whoever sends it believes that somebody else's write is noticed. */
function requireNoIfMatch({ headers: { 'if-match': header } }: FastifyRequest): void {
  if (header === undefined) return
  throw refuseIfMatch(header, 'Cannot take If-Match here: the path names no object that was written')
}

function readIfMatch(header: string | undefined): number | null {
  if (header === undefined || header === '*') return null
  const [, digits] = /^"(\d{1,15})"$/.exec(header.trim()) ?? []
  if (digits !== undefined) return Number(digits)
  const expected = 'a revision in quotes, as an ETag has it'
  throw refuseIfMatch(header, `Cannot read If-Match ${JSON.stringify(header)}: expected ${expected}`)
}

function refuseIfMatch(value: string, message: string): ApiError {
  return new ApiError(400, 'InvalidParameter', message, {
    errors: [{ code: 'invalid-value', field: 'If-Match', message, value }],
  })
}

function fingerprintOf({ method, url, body, headers }: FastifyRequest): string {
  const text = JSON.stringify([method, url, headers['if-match'] ?? null, body ?? null])
  return createHash('sha256').update(text).digest('hex')
}

/** A body where none is expected is a mistake, not something to pass over. */
function requireNoBody({ body }: FastifyRequest): void {
  if (body === undefined || body === null) return
  if (typeof body === 'object' && Object.keys(body).length === 0) return
  throw new ApiError(400, 'InvalidParameter', 'Cannot take a body here: expected none')
}

interface AnswerParts {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly api: Api
  readonly status: number
  readonly etag: string | undefined
  readonly subject: Subject | null
}

async function answerWrite(outcome: Outcome<unknown>, { request, reply, api, status, subject, etag }: AnswerParts) {
  const { wait, timeout = 10 } = request.query as WriteFlags
  if (outcome.kind === 'preview') {
    const { changes, body } = outcome
    return reply
      .code(200)
      .send({ dryRun: true, ...(body as object), ...(await previewOf(changes, api, request.principal)) })
  }
  const { body, revision } = outcome
  if (outcome.kind === 'replayed') reply.header('idempotent-replayed', 'true')
  const enforcement =
    wait === undefined
      ? null
      : await awaitEnforced(outcome, { api, subject, timeoutSeconds: timeout, signal: goneSignal(reply) })
  setEtag(reply, body, etag)
  reply.code(outcome.kind === 'replayed' ? outcome.status : status)
  return {
    ...(body as object),
    revision,
    ...(enforcement !== null && { enforcement: enforcementAnswer(enforcement) }),
  }
}

type Written = Exclude<Outcome<unknown>, { readonly kind: 'preview' }>

interface Waiting {
  readonly api: Api
  /** The object that was written, where the request names one. */
  readonly subject: Subject | null
  readonly timeoutSeconds: number
  /** Of who asks: a client that is gone waits for nothing. */
  readonly signal: AbortSignal
}

/** How far a write has come, when it is in force everywhere or the time is over. */
export async function awaitEnforced(outcome: Written, waiting: Waiting): Promise<Enforcement> {
  const { api, subject, timeoutSeconds, signal } = waiting
  const { board, world } = api
  try {
    return await board.awaitEnforced(waitedRevision(outcome, api, subject), timeoutSeconds * 1000, signal)
  } catch (error) {
    // Of a revision whose history is gone nothing is known but that every later one is newer.
    if (!(error instanceof CompactedError)) throw error
    return board.awaitEnforced(world.revision, timeoutSeconds * 1000, signal)
  }
}

/** Where there was nothing to do, what was asked for came about by the last write of the object. */
function waitedRevision(outcome: Written, { world }: Api, subject: Subject | null): number {
  if (outcome.kind === 'replayed' || outcome.changed || subject === null) return outcome.revision
  return world.revisionOf(subject.kind, subject.id) || outcome.revision
}

async function previewOf(changes: readonly Change[], api: Api, principal: Principal) {
  return {
    changes: changes
      .filter(change => isShown(change, principal))
      .map(({ key, before, value }) => ({
        key,
        before: describeDocument(key, before),
        after: describeDocument(key, value),
      })),
    agents: api.board.agentsTouchedBy(changes),
    rules: rulesTouchedBy(api.world, changes).filter(({ securityGroupId }) => {
      const { accountId = null } = api.world.get('group', securityGroupId) ?? {}
      return accountId === null || mayRead(principal, accountId)
    }),
    ...(await previewOfDrops(changes, api, principal)),
  }
}

/** What was seen that would be dropped from then on, where the write ends that something is only observed. */
async function previewOfDrops(changes: readonly Change[], api: Api, principal: Principal) {
  const isReadable = ({ accountId }: EniDoc) => mayRead(principal, accountId)
  const { enforced, stillObserved } = enforcedBy(api.world, changes)
  if (enforced.length + stillObserved.length === 0) return {}
  const still = stillObserved.filter(isReadable).map(({ id }) => id)
  return {
    observed: {
      ...(await reportObserved(api, enforced.filter(isReadable))),
      stillObservedIds: still.slice(0, maxListed),
      stillObservedCount: still.length,
    },
  }
}

/** What holds secrets or belongs to accounts he may not read is not shown. */
function isShown({ key, before, value }: Change, principal: Principal): boolean {
  const { kind } = parseKey(key)
  if (kind === 'accessKey') return false
  const { accountId } = (value ?? before) as { accountId?: string }
  if (accountId !== undefined) return mayRead(principal, accountId)
  return kind === 'account' || kind === 'settings'
}

function setEtag(reply: FastifyReply, answer: unknown, etag: string | undefined): void {
  if (etag === undefined) return
  const object = etag === '' ? answer : (answer as Record<string, unknown>)[etag]
  const { revision } = object as { revision?: number }
  if (revision !== undefined) reply.header('etag', `"${revision}"`)
}
