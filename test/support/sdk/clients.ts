/**
 * The vendor's own clients, as their users call them, behind one interface: an action by its published name, parameters and
 * answer in published words. What each puts on the wire is its own affair, and what is tested.
 */
import { createRequire } from 'node:module'
import { type Product, versions } from '../../../daemon/rpc/action.ts'
import type { RpcKey } from '../rpc-client.ts'

export interface Endpoint {
  readonly protocol: 'http' | 'https'
  /** With its port: goes into `Host`. */
  readonly host: string
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
export type SdkAnswer = any

export interface SdkClient {
  readonly name: string
  /** @throws {SdkRefusal} whatever the endpoint refuses; other errors are the client's own */
  ask(product: Product, action: string, parameters?: object): Promise<SdkAnswer>
}

/** A refusal as the client's user sees it. */
export class SdkRefusal extends Error {
  readonly code: string
  /** pop-core shows none. */
  readonly status: number | null
  // biome-ignore lint/suspicious/noExplicitAny: as the client made it
  readonly original: any

  // biome-ignore lint/suspicious/noExplicitAny: as the client made it
  constructor(original: any) {
    super(original.message, { cause: original })
    this.code = original.code
    this.status = original.statusCode ?? original.entry?.response.statusCode ?? null
    this.original = original
  }
}

type MakeClient = (endpoint: Endpoint, key: RpcKey) => SdkClient

// Their own types are for whom they are written for: a type check of ours would read a thousand models.
// biome-ignore-start lint/suspicious/noExplicitAny: these packages are called by names that are data here
const load = createRequire(import.meta.url)
const sdkPackages: Readonly<Partial<Record<Product, string>>> = {
  ecs: '@alicloud/ecs20140526',
  ram: '@alicloud/ram20150501',
  sts: '@alicloud/sts20150401',
}
const products = new Map(Object.entries(sdkPackages).map(([product, name]) => [product, load(name!) as any]))
const dara = createRequire(load.resolve(sdkPackages.ecs!))('@darabonba/typescript') as any
const openApi = load('@alicloud/openapi-client') as any
const openApiUtil = createRequire(load.resolve('@alicloud/openapi-client'))('@alicloud/openapi-util').default as any
const PopCore = load('@alicloud/pop-core') as any
// biome-ignore-end lint/suspicious/noExplicitAny: see above

type SignatureAlgorithm = 'ACS3-HMAC-SHA256' | 'v2'

const timeoutMs = 60_000

const configOf = ({ host, protocol }: Endpoint, key: RpcKey, signatureAlgorithm: SignatureAlgorithm) => ({
  endpoint: host,
  protocol: protocol.toUpperCase(),
  regionId: 'local',
  accessKeyId: key.accessKeyId,
  accessKeySecret: key.secret,
  // Left out, it is 3 s: a busy machine may need more.
  connectTimeout: timeoutMs,
  readTimeout: timeoutMs,
  ...(key.securityToken !== undefined && { securityToken: key.securityToken, type: 'sts' }),
  // Left out, it is ACS3.
  ...(signatureAlgorithm === 'v2' && { signatureAlgorithm }),
})

/** The current SDK, with its models of requests and answers; products that have none are called in the generic way. */
function currentSdk(signatureAlgorithm: SignatureAlgorithm): MakeClient {
  return (endpoint, key) => {
    const config = configOf(endpoint, key, signatureAlgorithm)
    const generic = genericCall({ signatureAlgorithm, method: 'POST', place: 'query' })(endpoint, key)
    return {
      name: `SDK, ${signatureAlgorithm}`,
      async ask(product, action, parameters = {}) {
        const sdk = products.get(product)
        if (sdk === undefined) return generic.ask(product, action, parameters)
        const own = Object.entries(parameters).filter(([name]) => name.startsWith('Ringwall'))
        const published = Object.fromEntries(
          Object.entries(parameters).filter(([name]) => !name.startsWith('Ringwall')),
        )
        const runtime = new dara.RuntimeOptions({
          ...(own.length > 0 && {
            extendsParameters: new dara.ExtendsParameters({
              queries: Object.fromEntries(own.map(([name, value]) => [name, String(value)])),
            }),
          }),
        })
        const client = new sdk.default(config)
        const method = `${action[0]!.toLowerCase()}${action.slice(1)}WithOptions`
        const Model = sdk[`${action}Request`]
        const request = Model === undefined ? [] : [modelOf(Model, published)]
        const { body } = await refusals(() => client[method](...request, runtime))
        return body.toMap()
      },
    }
  }
}

/** @throws {Error} for a parameter that the SDK does not know: it would not be sent */
// biome-ignore lint/suspicious/noExplicitAny: a class of the SDK's
function modelOf(Model: any, parameters: object) {
  const known = new Set(Object.values(Model.names()))
  const unknown = Object.keys(parameters).find(name => !known.has(name))
  if (unknown !== undefined) throw new Error(`Cannot send ${unknown}: ${Model.name} has no such field`)
  return dara.cast(parameters, new Model({}))
}

/**
 * Fields that the SDK's model of an answer has: `Users.User[].UserName`. Lists of plain values are one field.
 * @returns none for a product without SDK
 */
export function answerFields(product: Product, action: string): ReadonlySet<string> {
  const fields = new Set<string>()
  const Model = products.get(product)?.[`${action}ResponseBody`]
  if (Model !== undefined) addFields(Model, '', fields)
  return fields
}

// biome-ignore lint/suspicious/noExplicitAny: a class of the SDK's
function addFields(Model: any, path: string, fields: Set<string>): void {
  const types = Model.types()
  for (const [name, wireName] of Object.entries(Model.names())) {
    const field = path === '' ? String(wireName) : `${path}.${wireName}`
    const type = types[name]
    if (typeof type === 'function') addFields(type, field, fields)
    else if (typeof type?.itemType === 'function') addFields(type.itemType, `${field}[]`, fields)
    else fields.add(type?.type === 'array' ? `${field}[]` : field)
  }
}

interface GenericCall {
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly method: 'GET' | 'POST'
  /** Of the parameters of the action. */
  readonly place: 'query' | 'form'
}

/** openapi-client's call of any action. */
function genericCall({ signatureAlgorithm, method, place }: GenericCall): MakeClient {
  return (endpoint, key) => {
    const client = new openApi.default(new openApi.Config(configOf(endpoint, key, signatureAlgorithm)))
    return {
      name: `generic call, ${signatureAlgorithm}, ${method}, ${place}`,
      async ask(product, action, parameters = {}) {
        const params = new openApi.Params({
          action,
          version: versions[product],
          protocol: endpoint.protocol.toUpperCase(),
          pathname: '/',
          method,
          authType: 'AK',
          style: 'RPC',
          reqBodyType: 'formData',
          bodyType: 'json',
        })
        const flat = openApiUtil.query(parameters)
        const request = new openApi.OpenApiRequest(place === 'query' ? { query: flat } : { body: flat })
        const { body } = await refusals(() => client.callApi(params, request, {}))
        return body
      },
    }
  }
}

/** The older client, by which tools still call what has no SDK. */
function popCore(method: 'GET' | 'POST'): MakeClient {
  return ({ protocol, host }, key) => {
    const config = {
      endpoint: `${protocol}://${host}`,
      accessKeyId: key.accessKeyId,
      accessKeySecret: key.secret,
      ...(key.securityToken !== undefined && { securityToken: key.securityToken }),
    }
    return {
      name: `pop-core, ${method}`,
      async ask(product, action, parameters = {}) {
        const client = new PopCore({ ...config, apiVersion: versions[product], opts: { timeout: timeoutMs } })
        const answer = await refusals(() => client.request(action, withoutObjects(parameters), { method }))
        // Its objects have no prototype.
        return structuredClone(answer)
      },
    }
  }
}

/** pop-core flattens lists alone. */
function withoutObjects(parameters: object): object {
  return Object.fromEntries(
    Object.entries(parameters).flatMap(([name, value]) =>
      typeof value !== 'object' || value === null || Array.isArray(value)
        ? [[name, value]]
        : Object.entries(withoutObjects(value)).map(([inner, each]) => [`${name}.${inner}`, each]),
    ),
  )
}

async function refusals(call: () => Promise<SdkAnswer>): Promise<SdkAnswer> {
  try {
    return await call()
  } catch (error) {
    // What has no body of the endpoint's is no refusal of it.
    if ((error as { data?: { Code?: unknown } }).data?.Code === undefined) throw error
    throw new SdkRefusal(error)
  }
}

/** Both schemes of signatures, both methods, query and form. */
export const sdkClients: Readonly<Record<string, MakeClient>> = {
  'SDK, ACS3': currentSdk('ACS3-HMAC-SHA256'),
  'SDK, v2': currentSdk('v2'),
  'generic call, ACS3, GET': genericCall({ signatureAlgorithm: 'ACS3-HMAC-SHA256', method: 'GET', place: 'query' }),
  'generic call, ACS3, POST of a form': genericCall({
    signatureAlgorithm: 'ACS3-HMAC-SHA256',
    method: 'POST',
    place: 'form',
  }),
  'generic call, v2, GET': genericCall({ signatureAlgorithm: 'v2', method: 'GET', place: 'query' }),
  'generic call, v2, POST of a form': genericCall({ signatureAlgorithm: 'v2', method: 'POST', place: 'form' }),
  'pop-core, GET': popCore('GET'),
  'pop-core, POST': popCore('POST'),
}
