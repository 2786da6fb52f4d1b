/** Requests that the API must refuse, and the proof that nothing came of them. */
import assert from 'node:assert/strict'
import { kinds } from '../../daemon/model/documents.ts'
import type { RequestOptions, TestApi } from './api.ts'

export interface RefusedRequest extends RequestOptions {
  /** POST where left out. */
  readonly method?: string
  readonly url: string
  readonly body?: unknown
  /** Status, code, then every field that is told, in order: `400 InvalidParameter permissions[0].portRange`. */
  readonly expected: string
  readonly message?: RegExp
}

/** The request is refused as expected, and state and store are what they were. */
export async function assertRefused(
  api: TestApi,
  { method = 'POST', url, body, expected, message, ...options }: RefusedRequest,
) {
  const before = await everything(api)
  const { status, body: problem } = await api.request(method, url, body, options)
  const fields = (problem.errors ?? []).map(({ field }: { field: string }) => field)
  assert.equal([status, problem.code, ...fields].join(' '), expected, JSON.stringify(problem, null, 2))
  if (message !== undefined)
    assert.match(
      [problem.detail, ...problem.errors.map((each: { message: string }) => each.message)].join('\n'),
      message,
    )
  assert.deepEqual(await everything(api), before)
  return problem
}

/** Head, every document in the store, and the state in memory. */
async function everything({ store, world }: TestApi) {
  const listing = await store.list('')
  const inMemory = kinds.flatMap(kind =>
    [...world.all(kind)].map(doc => [kind, doc, world.revisionOf(kind, (doc as { id?: string }).id ?? '')]),
  )
  return { head: store.head(), listing, revision: world.revision, inMemory }
}
