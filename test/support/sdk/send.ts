/** Requests that were signed by code of our own, over the wire as they are. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { RpcAnswer, WireRequest } from '../rpc-client.ts'
import type { Endpoint } from './clients.ts'

/** With the `Host` that was signed, wherever it is sent. */
export async function send({ protocol, host }: Endpoint, request: WireRequest): Promise<RpcAnswer> {
  const { hostname, port } = new URL(`${protocol}://${host}`)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const { method, url, headers, body } = request
    const options = { host: hostname, port, method, path: url, headers, servername: '' }
    const sent = (protocol === 'https' ? httpsRequest : httpRequest)(options, resolve)
    sent.on('error', reject)
    sent.end(body)
  })
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode ?? 0, body: JSON.parse(text) }
}
