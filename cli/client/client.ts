/**
 * The REST API as commands use it: JSON in and out, pages put together, and requests sent again where that is safe. A
 * write has an Idempotency-Key, so that one whose answer was lost is carried out once however often it is sent.
 */
import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { exitFailed, OperationError } from '../command.ts'
import type { Connection, Exchange, Reply } from './connection.ts'
import { RefusedError, readProblem, UnreachableError } from './errors.ts'
import { readEvents, type ServerEvent } from './event-stream.ts'

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly nextToken: string | null
  /** null where to count them would mean to read them all. */
  readonly totalCount: number | null
}

/** Opened anew for each time it is sent. */
export type Content =
  | { readonly type: 'text/csv'; readonly text: string }
  | { readonly type: 'application/vnd.sqlite3'; readonly bytes: number; readonly open: () => Readable }

export interface Write {
  readonly method: 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Query
  readonly body?: unknown
  /** In place of `body`: something else than JSON. */
  readonly content?: Content
  /** The revision the object must have been written last by. */
  readonly ifRevision?: number | undefined
  /** The answer has a secret, which the daemon does not keep for repetitions: sent again only if it never arrived. */
  readonly isSecret?: boolean
  /** How long the daemon may wait before it answers. */
  readonly waitSeconds?: number
}

export interface ClientOptions {
  /** Of silence, after which the daemon is given up; the time a write waits comes on top. */
  readonly timeoutMs?: number
  /** How often a request is sent again. */
  readonly retries?: number
  /** Told before each pause that the daemon asks for. */
  readonly onPause?: (seconds: number) => void
}

const defaultTimeoutMs = 30_000
const defaultRetries = 3
const firstPauseMs = 100
/** Who is asked to wait longer than this is told so instead. */
const longestPauseSeconds = 65

export class Client {
  readonly #connection: Connection
  readonly #timeoutMs: number
  readonly #retries: number
  readonly #onPause: (seconds: number) => void

  constructor(connection: Connection, options: ClientOptions = {}) {
    this.#connection = connection
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs
    this.#retries = options.retries ?? defaultRetries
    this.#onPause = options.onPause ?? (() => {})
  }

  /** @throws {RefusedError | UnreachableError} */
  async get<T>(path: string, query: Query = {}): Promise<T> {
    return parse(await this.getText(path, query))
  }

  /** An answer that may be other than JSON. */
  async getText(path: string, query: Query = {}): Promise<string> {
    return this.#answer(() => ({ method: 'GET', path: withQuery(path, query), timeoutMs: this.#timeoutMs }), always)
  }

  /** Asks with a body; nothing is written. */
  async ask<T>(path: string, body: unknown): Promise<T> {
    const exchange = {
      method: 'POST',
      path,
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      timeoutMs: this.#timeoutMs,
    }
    return parse(await this.#answer(() => exchange, always))
  }

  /**
   * All pages of a list, or the first items of it.
   * @param most  how many items are wanted; `nextToken` says whether there are more
   */
  async list<Item>(path: string, query: Query = {}, most = Number.POSITIVE_INFINITY): Promise<Page<Item>> {
    const items: Item[] = []
    let nextToken: string | undefined
    for (;;) {
      const maxResults = Math.min(pageSize, most - items.length)
      const page: Page<Item> = await this.get(path, { ...query, maxResults, nextToken })
      items.push(...page.items)
      if (page.nextToken === null || items.length >= most) return { ...page, items }
      nextToken = page.nextToken
    }
  }

  /** @throws {RefusedError | UnreachableError} */
  async write<T>(write: Write): Promise<T> {
    const { method, path, query = {}, ifRevision, isSecret = false, waitSeconds = 0 } = write
    const headers = {
      ...(ifRevision !== undefined && { 'if-match': `"${ifRevision}"` }),
      ...(!isSecret && { 'idempotency-key': randomUUID() }),
    }
    const timeoutMs = (isFile(write) ? fileTimeoutMs : this.#timeoutMs) + waitSeconds * 1000
    const exchange = (): Exchange => {
      const { headers: contentHeaders, ...content } = contentOf(write)
      return { method, path: withQuery(path, query), ...content, headers: { ...contentHeaders, ...headers }, timeoutMs }
    }
    try {
      return parse(await this.#answer(exchange, isSecret ? onlyIfUnseen : always))
    } catch (error) {
      if (isSecret && error instanceof UnreachableError && error.fault === 'broken') throw uncertain(error)
      throw error
    }
  }

  /** The answer to a POST without body, as a stream to be read whole. */
  async download(path: string): Promise<Reply> {
    const reply = await this.#connection.send({ method: 'POST', path, timeoutMs: fileTimeoutMs })
    if (reply.status >= 300) throw new RefusedError(readProblem(reply.status, await this.#connection.text(reply)))
    return reply
  }

  /**
   * Events of an answer that goes on, once: who wants to hear of what comes after a break asks again.
   * @throws {RefusedError | UnreachableError}
   */
  async *events(path: string, query: Query, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const reply = await this.#connection.send({
      method: 'GET',
      path: withQuery(path, query),
      headers: { accept: 'text/event-stream' },
      timeoutMs: this.#timeoutMs,
    })
    if (reply.status >= 300) throw new RefusedError(readProblem(reply.status, await this.#connection.text(reply)))
    yield* readEvents(this.#connection.chunks(reply, signal))
  }

  close(): void {
    this.#connection.close()
  }

  async #answer(exchange: () => Exchange, mayRepeat: (error: UnreachableError) => boolean): Promise<string> {
    for (let attempt = 0; ; attempt += 1) {
      const isLast = attempt >= this.#retries
      try {
        const reply = await this.#connection.send(exchange())
        const text = await this.#connection.text(reply)
        if (reply.status < 300) return text
        const pause = isLast ? null : pauseAsked(reply, attempt)
        if (pause === null) throw new RefusedError(readProblem(reply.status, text))
        if (pause >= 1000) this.#onPause(Math.ceil(pause / 1000))
        await delay(pause)
      } catch (error) {
        if (isLast || !(error instanceof UnreachableError) || !mayRepeat(error)) throw error
        await delay(backOff(attempt))
      }
    }
  }
}

function parse<T>(text: string): T {
  try {
    return JSON.parse(text) as T
  } catch (error) {
    throw new OperationError(
      [
        'Cannot read the answer: expected JSON. Is it a Ringwall daemon that answers? "ringwall context show" shows the address.',
      ],
      exitFailed,
      error,
    )
  }
}

const pageSize = 500
/** A daemon that makes or reads a large backup is silent for a while. */
const fileTimeoutMs = 300_000

const always = () => true
const onlyIfUnseen = ({ fault }: UnreachableError) => fault === 'not-sent'

function contentOf({ body, content }: Write): Pick<Exchange, 'body'> & { readonly headers: Record<string, string> } {
  if (content === undefined) {
    if (body === undefined) return { headers: {} }
    return { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  }
  if (content.type === 'text/csv') return { body: content.text, headers: { 'content-type': content.type } }
  const headers = { 'content-type': content.type, 'content-length': String(content.bytes) }
  return { body: content.open(), headers }
}

function isFile({ content }: Write): boolean {
  return content?.type === 'application/vnd.sqlite3'
}

/** Doubling, each time a random part of the last half: many clients do not come back at once. */
function backOff(attempt: number): number {
  return firstPauseMs * 2 ** attempt * (0.5 + Math.random() / 2)
}

/** How long to wait before the request is sent again, in milliseconds; null where that would not help. */
function pauseAsked({ status, headers }: Reply, attempt: number): number | null {
  if (status !== 429 && status !== 503) return null
  const seconds = Number(headers['retry-after'])
  if (!Number.isFinite(seconds) || seconds <= 0) return backOff(attempt)
  return seconds > longestPauseSeconds ? null : seconds * 1000
}

function uncertain(error: UnreachableError): UnreachableError {
  const lines = [
    ...error.lines.slice(0, 1),
    'The request was sent, and may have been carried out: list what there is before you try again.',
  ]
  return new UnreachableError('broken', lines, error)
}

function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value ?? []].flat()) parameters.append(name, String(each))
  }
  return parameters.size === 0 ? path : `${path}?${parameters}`
}
