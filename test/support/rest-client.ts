/** A client of the REST API that has one connection, and asks one thing after the other. */
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface RestAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
  readonly body: any
}

export class RestClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #port: number
  readonly #token: string

  constructor({ port, token }: { readonly port: number; readonly token: string }) {
    this.#port = port
    this.#token = token
  }

  /** @throws {Error} where the connection breaks before the answer is whole */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RestAnswer> {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const sent = request({
      host: '127.0.0.1',
      port: this.#port,
      agent: this.#agent,
      method,
      path,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(payload !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(payload),
        }),
        ...headers,
      },
    })
    const answered = new Promise<RestAnswer>((resolve, reject) => {
      sent.on('error', reject)
      sent.on('response', response => {
        const status = response.statusCode ?? 0
        const parse = (received: string) => {
          if (!response.complete) throw new Error('the answer is not whole')
          return received === '' ? null : JSON.parse(received)
        }
        text(response)
          .then(parse)
          .then(answer => resolve({ status, headers: response.headers, body: answer }), reject)
      })
    })
    sent.end(payload)
    return answered
  }

  /** @throws {Error} with the refusal where it is one */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<RestAnswer> {
    const answer = await this.ask(method, path, body, headers)
    if (answer.status < 300) return answer
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}
