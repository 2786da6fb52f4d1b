/** An RPC endpoint that listens on loopback, in the clear or by TLS, and notes what comes and what it answers. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { startApi, type TestApi, type TestApiOptions } from '../api.ts'
import { issue, makeAuthority } from '../certificates.ts'
import type { Endpoint } from './clients.ts'

/** A request as it stood on the wire, and its answer. */
export interface Exchange {
  readonly method: string
  readonly scheme: 'ACS3-HMAC-SHA256' | 'HMAC-SHA1' | 'none'
  readonly version: string
  readonly action: string
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
  readonly body: any
}

export interface SdkEndpoint extends AsyncDisposable {
  readonly api: TestApi
  readonly endpoint: Endpoint
  readonly exchanges: readonly Exchange[]
}

const loopback = '127.0.0.1'

export async function startEndpoint(protocol: 'http' | 'https', options: TestApiOptions = {}): Promise<SdkEndpoint> {
  const api = await startApi({ ...options, ...(protocol === 'https' && { tls: await trustedPair() }) })
  const exchanges: Exchange[] = []
  // Before fastify's own listener, which answers.
  api.app.server.prependListener('request', (request, response) => noteExchange(request, response, exchanges))
  await api.app.listen({ host: loopback, port: 0 })
  const { port } = api.app.server.address() as AddressInfo
  return {
    api,
    endpoint: { protocol, host: `${loopback}:${port}` },
    exchanges,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  }
}

/** Some of the clients take no CA of their own: this process trusts the test's. */
async function trustedPair() {
  const authority = await makeAuthority()
  setDefaultCACertificates([...getCACertificates('default'), authority.certificate])
  const { certificate, privateKey } = await issue(authority, { usage: 'server', addresses: [loopback] })
  return { certificate, key: privateKey }
}

function noteExchange(request: IncomingMessage, response: ServerResponse, exchanges: Exchange[]): void {
  const form: Buffer[] = []
  // Beside the one who parses it; a listener here must not be the one who starts the stream.
  const { push } = request
  request.push = (chunk: Buffer | null, ...rest) => {
    if (chunk !== null) form.push(Buffer.from(chunk))
    return push.call(request, chunk, ...rest)
  }
  const { end } = response
  response.end = ((...given: readonly unknown[]) => {
    const [body] = given
    exchanges.push({ ...askedOf(request, Buffer.concat(form).toString()), ...answeredOf(response, String(body)) })
    return Reflect.apply(end, response, given)
  }) as typeof end
}

function askedOf({ method = '', url = '', headers }: IncomingMessage, form: string) {
  const pairs = new URLSearchParams(`${url.split('?')[1] ?? ''}&${form}`)
  const isAcs3 = headers.authorization?.startsWith('ACS3') === true
  if (isAcs3) {
    const [action, version] = ['x-acs-action', 'x-acs-version'].map(name => String(headers[name]))
    return { method, scheme: 'ACS3-HMAC-SHA256' as const, action: action!, version: version! }
  }
  const scheme = pairs.has('Signature') ? ('HMAC-SHA1' as const) : ('none' as const)
  return { method, scheme, action: pairs.get('Action') ?? '', version: pairs.get('Version') ?? '' }
}

function answeredOf({ statusCode }: ServerResponse, text: string) {
  try {
    return { status: statusCode, body: JSON.parse(text) }
  } catch {
    return { status: statusCode, body: text }
  }
}
