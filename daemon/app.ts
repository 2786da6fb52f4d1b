/** The REST API put together: what every request passes on its way to its route, and every answer on its way back. */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import type { Logger } from '../common/log.ts'
import { isLoopback, isLoopbackHost } from '../common/loopback.ts'
import { ApiError } from './errors.ts'
import { authenticate } from './http/authenticate.ts'
import { readBodyText } from './http/body-text.ts'
import { Crowd } from './http/crowd.ts'
import { completeDocument, documentTags } from './http/openapi.ts'
import { PathMethods } from './http/path-methods.ts'
import { asApiError, problemContentType, problemDocument } from './http/problem.ts'
import { localSocket, sourceAddressOf } from './http/source-address.ts'
import { UnreadableRequests } from './http/unreadable.ts'
import type { DaemonMetrics } from './metrics.ts'
import { notedActions, notedPrincipal, type RefusedWrite } from './model/note.ts'
import { actionsAsked, objectsAsked, requireRouteAccess } from './routes/access.ts'
import { addAccountRoutes } from './routes/accounts.ts'
import { addAgentRoutes } from './routes/agents.ts'
import { addAuditRoutes } from './routes/audit.ts'
import { addBackupRoutes } from './routes/backup.ts'
import { addChangeRoutes } from './routes/changes.ts'
import { addDdosRoutes } from './routes/ddos.ts'
import { addDdosSampleRoute } from './routes/ddos-samples.ts'
import { addExplainRoute } from './routes/explain.ts'
import { addHealthReportRoute } from './routes/health-report.ts'
import { addInstanceRoutes } from './routes/instances.ts'
import { addNetworkInterfaceRoutes } from './routes/network-interfaces.ts'
import { addObservedRoutes } from './routes/observed.ts'
import { addPortRangeListRoutes } from './routes/port-range-lists.ts'
import { addPrefixListRoutes } from './routes/prefix-lists.ts'
import { addRamRoutes } from './routes/ram.ts'
import { addAccessKeyRoutes, addPolicyRoutes } from './routes/ram-policies.ts'
import type { Api } from './routes/route.ts'
import { addRuleFileRoutes } from './routes/rule-files.ts'
import { addRuleRoutes } from './routes/rules.ts'
import { addScrubbingRoutes } from './routes/scrubbing.ts'
import { addSecurityGroupRoutes } from './routes/security-groups.ts'
import { addSettingsRoutes } from './routes/settings.ts'
import { addTokenRoutes } from './routes/tokens.ts'
import { rpcActions } from './rpc/actions.ts'
import { addRpcEndpoint, sendRpcError } from './rpc/endpoint.ts'
import { usualNonces } from './rpc/nonces.ts'
import { compileValidator } from './schemas/validator.ts'
import { everyAccount, mayRead } from './services/principal.ts'
import { findCredential } from './services/ram/identity.ts'
import { parseStrictJson } from './strict-json.ts'
import { sourceKey } from './throttle.ts'

export interface AppOptions {
  readonly api: Api
  readonly log: Logger
  readonly metrics: DaemonMetrics
  /** Of the daemon, for the OpenAPI document. */
  readonly version: string
  /** Null for plain HTTP, which is for loopback alone. */
  readonly tls: TlsPair | null
  /** Requests a minute of one token; of one address without a token a tenth of it. */
  readonly requestsPerMinute: number
  /** Told of every write that was refused. */
  readonly onRefused: (refused: RefusedWrite) => void
  /** At once; 2,000 where left out. */
  readonly maxConnections?: number
}

/** PEM. */
export interface TlsPair {
  readonly certificate: string
  readonly key: string
}

const requestTimeoutMs = 30_000
/** Clients of the RPC API put a hundred rules with their descriptions into the query of one request. */
const maxHeaderBytes = 128 * 1024
const maxBodyBytes = 1024 * 1024
const maxConnections = 2000

export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { api, metrics } = options
  const app = fastify({
    ...(options.tls === null
      ? { http: { maxHeaderSize: maxHeaderBytes } }
      : { https: { ...secureContextOf(options.tls), maxHeaderSize: maxHeaderBytes } }),
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: 72_000,
    genReqId: () => randomUUID(),
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 64 },
    exposeHeadRoutes: false,
    // Called for what fails before there is a route, or a request at all.
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) =>
      isRpc(request)
        ? sendRpcError(error, request, reply, rpcReports(options))
        : sendProblem(reply, asApiError(error), request),
    clientErrorHandler: (error: Error, socket: Socket) => unreadable.refuse(error, socket),
  } as never) as unknown as FastifyInstance
  const unreadable = new UnreadableRequests(app.server)
  const crowd = new Crowd(options.maxConnections ?? maxConnections)
  app.server.on('connection', (socket: Socket) => crowd.meet(socket))
  app.setValidatorCompiler(compileValidator)
  // Schemas of answers are for readers and tests; an answer is sent whole.
  app.setSerializerCompiler(() => value => JSON.stringify(value))
  app.addHook(
    'onRequest',
    async (request, reply) => void reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff' }),
  )
  readBodies(app)
  answerFaults(app, options)
  await documentRoutes(app, options.version)
  await limitRequests(app, options)
  requireTokens(app, api, crowd)
  countRequests(app, metrics)
  await app.register(async routes => {
    addAccountRoutes(routes, api)
    await addBackupRoutes(routes, api)
    addAuditRoutes(routes, api)
    addChangeRoutes(routes, api)
    addAgentRoutes(routes, api)
    addSettingsRoutes(routes, api)
    addTokenRoutes(routes, api)
    addRamRoutes(routes, api)
    addPolicyRoutes(routes, api)
    addAccessKeyRoutes(routes, api)
    addSecurityGroupRoutes(routes, api)
    addRuleRoutes(routes, api)
    await addRuleFileRoutes(routes, api)
    addPrefixListRoutes(routes, api)
    addPortRangeListRoutes(routes, api)
    addHealthReportRoute(routes, api)
    addExplainRoute(routes, api)
    addNetworkInterfaceRoutes(routes, api)
    addObservedRoutes(routes, api)
    addInstanceRoutes(routes, api)
    addScrubbingRoutes(routes, api)
    addDdosRoutes(routes, api)
    addDdosSampleRoute(routes, api)
  })
  addOpenRoutes(app, options)
  await addRpc(app, options, crowd)
  return app
}

/** For the start, and for a certificate that comes later. */
export function secureContextOf({ certificate, key }: TlsPair) {
  return { cert: certificate, key, minVersion: 'TLSv1.2' } as const
}

/** Bodies as text: nothing is parsed before the token was looked at. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, bytes: Buffer) =>
    // Clients send the type with requests that need no body.
    bytes.length === 0 ? undefined : parseStrictJson(readBodyText(request, bytes)),
  )
}

function answerFaults(app: FastifyInstance, options: AppOptions): void {
  const { log } = options
  app.setErrorHandler((thrown, request, reply) => {
    const error = asApiError(thrown)
    if (error.status >= 500) {
      log.error({ error: thrown, requestId: request.id, method: request.method, url: request.url }, 'cannot answer')
    }
    noteRefused(request, error, options)
    return sendProblem(reply, error, request)
  })
  const pathMethods = new PathMethods(app)
  app.setNotFoundHandler((request, reply) => {
    if (isRpc(request)) return sendRpcError(wrongMethod(request), request, reply, rpcReports(options))
    const allowed = pathMethods.of(request.url).join(', ')
    if (allowed !== '') reply.header('allow', allowed)
    return sendProblem(reply, allowed === '' ? noPath(request) : noMethod(request, allowed), request)
  })
}

function noPath({ method, url }: FastifyRequest): ApiError {
  return new ApiError(404, 'NotFound', `Cannot find ${method} ${url.split('?')[0]}: see /docs for what there is`)
}

function noMethod({ method, url }: FastifyRequest, allowed: string): ApiError {
  const message = `Cannot ${method} ${url.split('?')[0]}: expected one of ${allowed}`
  return new ApiError(405, 'MethodNotAllowed', message)
}

function sendProblem(reply: FastifyReply, error: ApiError, request: FastifyRequest) {
  if (error.status === 401) reply.header('www-authenticate', 'Bearer')
  return (
    reply
      .code(error.status)
      .header('content-type', problemContentType)
      // Of what fails before there is a route.
      .header('x-request-id', request.id)
      .serializer((value: unknown) => JSON.stringify(value))
      .send(problemDocument(error, request.id))
  )
}

const nobody = { kind: 'token', id: '', name: 'unknown' } as const

/** A dry run stores nothing, so that nothing is refused either. */
function noteRefused(request: FastifyRequest, error: ApiError, { api, onRefused }: AppOptions): void {
  const actions = actionsAsked(request, api)
  if (actions.length === 0 || (request.query as { dryRun?: unknown }).dryRun === true) return
  const principal = notedPrincipal(request.principal ?? nobody)
  onRefused({
    note: { ...notedActions(actions), principal, sourceAddress: sourceAddressOf(request), requestId: request.id },
    method: request.method,
    url: request.url,
    objects: objectsAsked(request, api),
    status: error.status,
    code: error.code,
    message: error.message,
  })
}

async function documentRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Ringwall',
        description:
          'Security groups, the machines in them, and whether it is all in force. What holds for every list and every write, with examples: docs/api.md. Every answer has its id in `X-Request-Id`.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        version,
      },
      servers: [{ url: '/', description: 'This daemon.' }],
      tags: documentTags.map(tag => ({ ...tag })),
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transformObject: document =>
      'openapiObject' in document ? completeDocument(document.openapiObject) : document.swaggerObject,
  })
  // The token that is typed in there is not kept: whoever listens at this address some day is the same page to a browser.
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: docsPolicy })
}

/** The page runs its own scripts alone, and stands in no frame of another, which could have it clicked. */
const docsPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/**
 * By token, so that one busy client does not slow the others; who has none that is good is counted by his address. Before
 * tokens are required, or guessing them would be free.
 */
async function limitRequests(app: FastifyInstance, { requestsPerMinute, api }: AppOptions): Promise<void> {
  await app.register(rateLimit, {
    global: false,
    timeWindow: 60_000,
    keyGenerator: request => tokenIdOf(request, api) ?? sourceKey(sourceAddressOf(request)),
    max: request => (tokenIdOf(request, api) === null ? Math.ceil(requestsPerMinute / 10) : requestsPerMinute),
    errorResponseBuilder: (_request, { after }) =>
      new ApiError(429, 'Throttling', `Cannot answer so many requests: try again in ${after}`),
  })
  const limit = app.rateLimit()
  app.addHook('onRequest', async function (request, reply) {
    // Whose they are is known when their signature was verified.
    if (request.routeOptions.config.isRpc !== true) await limit.call(this, request, reply)
  })
}

/** As long as a signature is good after its time; clocks that are ahead are rare. */
const nonceMinutes = 15

/** The RPC API, on the same listener. */
async function addRpc(app: FastifyInstance, options: AppOptions, crowd: Crowd): Promise<void> {
  const { api, requestsPerMinute } = options
  const { world, sealer, keyUsage, now } = api
  const keys = new WeakMap<FastifyRequest, string>()
  const ofKey = app.createRateLimit({
    timeWindow: 60_000,
    max: requestsPerMinute,
    keyGenerator: request => `access key ${keys.get(request)}`,
  })
  const ofAddress = app.createRateLimit({
    timeWindow: 60_000,
    max: Math.ceil(requestsPerMinute / 10),
    keyGenerator: request => `unsigned ${sourceKey(sourceAddressOf(request))}`,
  })
  await addRpcEndpoint(app, {
    api,
    actions: rpcActions,
    mostNonces: Math.max(usualNonces, nonceMinutes * requestsPerMinute),
    findKey: (accessKeyId, securityToken) =>
      findCredential(world, sealer, { accessKeyId, securityToken, nowMs: now() }),
    onUsed(accessKeyId, sourceAddress) {
      // Sessions are no keys that are kept.
      if (world.get('accessKey', accessKeyId) !== undefined) keyUsage.note(accessKeyId, { atMs: now(), sourceAddress })
    },
    ...rpcReports(options),
    async limit(request, accessKeyId) {
      if (accessKeyId !== null) {
        keys.set(request, accessKeyId)
        crowd.know(request.socket)
      }
      const limited = await (accessKeyId === null ? ofAddress(request) : ofKey(request))
      if (limited.isAllowed || !limited.isExceeded) return
      const message = `Cannot answer so many requests: try again in ${limited.ttlInSeconds} s`
      throw new ApiError(429, 'Throttling.User', message, { details: { retryAfterMs: limited.ttl } })
    },
  })
}

function rpcReports({ log, onRefused }: AppOptions) {
  return {
    onRefused,
    onFault: (error: unknown, requestId: string) => log.error({ error, requestId }, 'cannot answer'),
  }
}

/** Whoever asks there speaks the RPC API, also where the request is none that it has. */
function isRpc({ url }: FastifyRequest): boolean {
  return url === '/' || url.startsWith('/?')
}

function wrongMethod({ method }: FastifyRequest): ApiError {
  return new ApiError(405, 'InvalidHttpMethod', `Cannot answer ${method} here: expected GET or POST`)
}

/** Of a good one: whoever knows no more than its id must not use up the requests of who has it. */
function tokenIdOf(request: FastifyRequest, { world, now }: Api): string | null {
  try {
    return authenticate(world, request.headers.authorization, now()).id
  } catch {
    return null
  }
}

function requireTokens(app: FastifyInstance, api: Api, crowd: Crowd): void {
  const { world, now } = api
  app.addHook('onRequest', async request => {
    const { config } = request.routeOptions
    if (config.isOpen === true || request.is404 || isDocumentation(request)) return
    request.principal = authenticate(world, request.headers.authorization, now())
    crowd.know(request.socket)
  })
  // When it is known what the request says, and before anything is done.
  app.addHook('preHandler', async request => requireRouteAccess(request, api))
}

function isDocumentation({ routeOptions: { url = '' } }: FastifyRequest): boolean {
  return url === '/docs' || url.startsWith('/docs/')
}

function countRequests(app: FastifyInstance, { requests, requestDuration }: DaemonMetrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method } = request
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none')
    requests.inc({ method, route, code: reply.statusCode })
    const { wait } = request.query as { wait?: string }
    if (wait === undefined && request.routeOptions.config.isStream !== true)
      requestDuration.observe({ method }, reply.elapsedTime / 1000)
  })
}

function addOpenRoutes(app: FastifyInstance, { metrics, api }: AppOptions): void {
  const config = { isOpen: true }
  const schema = { hide: true }
  app.route({
    // Load balancers ask by HEAD.
    method: ['GET', 'HEAD'],
    url: '/health',
    config,
    schema,
    handler: async () => ({ healthy: true, revision: api.world.revision }),
  })
  app.get('/openapi.json', { config, schema }, async () => app.swagger())
  app.get('/metrics', { config, schema }, async (request, reply) => {
    if (!isOfThisMachine(request)) {
      const principal = authenticate(api.world, request.headers.authorization, api.now())
      if (!mayRead(principal, everyAccount))
        throw new ApiError(403, 'Forbidden', 'Cannot show metrics: expected read on "*"')
    }
    return reply
      .header('content-type', metrics.registry.contentType)
      .serializer(String)
      .send(await metrics.registry.metrics())
  })
}

/** Who asks there, and for whom: a proxy on this machine asks for others, a page in a browser by a name of its own. */
function isOfThisMachine(request: FastifyRequest): boolean {
  const { forwarded, 'x-forwarded-for': forwardedFor, host } = request.headers
  if (forwarded !== undefined || forwardedFor !== undefined) return false
  const sourceAddress = sourceAddressOf(request)
  return sourceAddress === localSocket || (isLoopback(sourceAddress) && isLoopbackHost(host))
}
