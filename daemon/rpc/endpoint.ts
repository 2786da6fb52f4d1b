/**
 * The route of the RPC API: `GET` and `POST /`, whatever the action. A request is read, its signature verified, its
 * caller asked for; only then is anything done. Every answer has the published shape, errors before there is an action too.
 */

import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static, type TObject } from 'typebox'
import { ApiError } from '../errors.ts'
import { goneSignal } from '../http/client-gone.ts'
import { asApiError } from '../http/problem.ts'
import { sourceAddressOf } from '../http/source-address.ts'
import type { RefusedWrite } from '../model/note.ts'
import { type Api, awaitEnforced, enforcementAnswer } from '../routes/route.ts'
import { requireAccess } from '../services/access.ts'
import type { Call, Idempotency } from '../services/executor.ts'
import { policyName, type RpcAction, type RpcCall, versions, type WriteAction } from './action.ts'
import { authenticate, type DoorOptions, type Signed, withoutSigned } from './authenticate.ts'
import { answerOf, errorOf, rpcContentType, unknownAction } from './envelope.ts'
import { Nonces } from './nonces.ts'
import { growTree, type Pair } from './pairs.ts'
import { coded, readParameters } from './read-parameters.ts'
import { isWrite, type RpcRefusal, refusalOf } from './refused.ts'
import type { Claim } from './signature.ts'

export interface EndpointOptions extends DoorOptions {
  readonly actions: readonly RpcAction[]
  /** Of one key; what may be asked within a quarter of an hour, or more. */
  readonly mostNonces?: number
  readonly onRefused: (refused: RefusedWrite) => void
  readonly onFault: (error: unknown, requestId: string) => void
}

const maxBodyBytes = 1024 * 1024

/** Parameters that every action knows. */
const commonSchema = Type.Object({
  RegionId: Type.Optional(Type.String({ maxLength: 64, pattern: '^[\\w-]+$' })),
  ClientToken: Type.Optional(coded('InvalidParameter', Type.String({ maxLength: 64, pattern: '^[ -~]*$' }))),
  DryRun: Type.Optional(Type.Boolean()),
  RingwallWait: Type.Optional(Type.Enum(['enforced'])),
  RingwallWaitTimeout: Type.Optional(Type.Integer({ minimum: 1, maximum: 300, default: 10 })),
})
type Common = Static<typeof commonSchema>

/** A request that is somebody's. */
interface Authentic extends Signed {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly common: Common
}

export async function addRpcEndpoint(app: FastifyInstance, options: EndpointOptions): Promise<void> {
  const byName = new Map(options.actions.map(action => [`${versions[action.product]} ${action.name}`, action]))
  const actionOf = ({ version, action }: Claim) => byName.get(`${version} ${action}`)
  const nonces = new Nonces(options.api.now(), options.mostNonces)
  await app.register(async rpc => {
    rpc.removeAllContentTypeParsers()
    // Signatures are about the bytes, so nothing may parse them before.
    rpc.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: maxBodyBytes },
      async (_: FastifyRequest, body: Buffer) => body,
    )
    rpc.setErrorHandler((error, request, reply) => sendRpcError(error, request, reply, options))
    rpc.route({
      method: ['GET', 'POST'],
      url: '/',
      config: { isOpen: true, isRpc: true },
      schema: { hide: true },
      handler: async (request, reply) => {
        const { api } = options
        const { claim, found } = await authenticate(request, nonces, {
          ...options,
          onClaim(claim, asker) {
            const action = actionOf(claim)
            if (isWrite(action)) request.rpcRefusal = () => refusalOf(action, { request, claim, asker, api })
          },
        })
        const common = readParameters(commonSchema, growTree(commonPairs(claim.parameters)))
        const action = actionOf(claim)
        if (action === undefined) throw unknownAction(claim.version, claim.action)
        const answer = await carryOut(action, { request, reply, claim, found, common }, api)
        return sendRpc(reply, 200, answerOf(answer, request.id))
      },
    })
  })
}

/** Of any request to the endpoint's path, also where no route took it. */
export function sendRpcError(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { onFault, onRefused }: Pick<EndpointOptions, 'onFault' | 'onRefused'>,
) {
  const error = asApiError(thrown)
  if (error.status >= 500) onFault(thrown, request.id)
  const refusal = request.rpcRefusal?.()
  if (refusal !== undefined) {
    const { status, code, message } = error
    onRefused({ ...refusal, method: request.method, url: '/', status, code, message: withoutSigned(message) })
  }
  const { retryAfterMs } = error.details
  if (typeof retryAfterMs === 'number') reply.header('x-acs-retry-after', String(Math.ceil(retryAfterMs)))
  const { status, body } = errorOf(error, { requestId: request.id, host: request.headers.host ?? '' })
  return sendRpc(reply, status, body)
}

function sendRpc(reply: FastifyReply, status: number, body: object) {
  return reply
    .code(status)
    .header('content-type', rpcContentType)
    .serializer((value: unknown) => JSON.stringify(value))
    .send(body)
}

/** Parameters of an action are its own to read, and to complain of. */
function commonPairs(pairs: readonly Pair[]): readonly Pair[] {
  return pairs.filter(([name]) => Object.hasOwn(commonSchema.properties, name))
}

async function carryOut(action: RpcAction, authentic: Authentic, api: Api): Promise<object> {
  if ('missing' in action) {
    throw new ApiError(400, 'UnsupportedOperation', `Cannot carry out ${action.name} yet: ${action.missing}`)
  }
  const { request, claim, found, common } = authentic
  // A dry run stores nothing, so that nothing is refused either.
  if (common.DryRun === true) delete request.rpcRefusal
  const nowMs = api.now()
  const call: RpcCall<TObject> = {
    principal: found.principal,
    accountId: found.accountId,
    countedAs: found.countedAs,
    parameters: readParameters(action.parameters as TObject, growTree(claim.parameters)),
    regionId: common.RegionId ?? api.regionId,
    nowMs,
    facts: { sourceAddress: sourceAddressOf(request), isSecure: isSecure(request), nowMs },
    api,
  }
  const need = action.access?.(api.world, call)
  if (need !== undefined) requireAccess(found.principal, need, call.facts)
  if ('plan' in action) return write(action, call, authentic)
  if (common.DryRun === true) throw dryRun()
  return action.read(api.world, call)
}

async function write(action: WriteAction, call: RpcCall<TObject>, authentic: Authentic): Promise<object> {
  const { request, reply, claim, common } = authentic
  const { api, principal } = call
  const subject = action.subject?.(call) ?? null
  const executed: Call = {
    principal,
    action: policyName(action),
    requestId: request.id,
    sourceAddress: sourceAddressOf(request),
    dryRun: common.DryRun === true,
    ifMatch: null,
    idempotency: action.isSecret === true ? null : idempotencyOf(claim, common),
  }
  const outcome = await api.executor.execute(executed, { subject, status: 200 }, world => action.plan(world, call))
  if (outcome.kind === 'preview') throw dryRun()
  const body = outcome.body as object
  if (common.RingwallWait === undefined) return body
  const { RingwallWaitTimeout: timeoutSeconds = 10 } = common
  const enforcement = await awaitEnforced(outcome, { api, subject, timeoutSeconds, signal: goneSignal(reply) })
  return { ...body, RingwallEnforcement: enforcementAnswer(enforcement) }
}

/** Of one action, and of all that the request says but who asks and when. */
function idempotencyOf({ action, parameters }: Claim, { ClientToken: token }: Common): Idempotency | null {
  if (token === undefined || token === '') return null
  const said = parameters.filter(([name]) => !name.startsWith('RingwallWait')).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    key: `rpc ${action} ${token}`,
    fingerprint: createHash('sha256').update(JSON.stringify(said)).digest('hex'),
  }
}

/** The published service tells success of a dry run by an error. */
function dryRun(): ApiError {
  return new ApiError(400, 'DryRunOperation', 'Request validation has been passed with DryRun flag set.')
}

function isSecure({ protocol }: FastifyRequest): boolean {
  return protocol === 'https'
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What a refusal is audited as; set for writes of the RPC API as soon as it is known that they are. */
    rpcRefusal?: () => RpcRefusal
  }
  interface FastifyContextConfig {
    /** Errors are told in the shape of the RPC API. */
    readonly isRpc?: boolean
  }
}
