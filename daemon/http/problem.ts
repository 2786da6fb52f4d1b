/** Whatever went wrong, as the client is told: RFC 9457 (application/problem+json). */
import { STATUS_CODES } from 'node:http'
import Type, { type Static } from 'typebox'
import { ApiError } from '../errors.ts'
import { mostHeld } from '../services/held-by.ts'
import { StoreError } from '../store/store.ts'

export const problemSchema = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String({ description: 'Of the status.' }),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable, for machines: `InvalidParameter`, `InvalidSecurityGroupId.NotFound`.' }),
    detail: Type.String({ description: 'For people: what was attempted, the value, what was expected.' }),
    requestId: Type.String({ description: 'The audit log and the log of the daemon have it too.' }),
    errors: Type.Array(
      Type.Object({
        code: Type.String({ description: 'Stable, for machines.' }),
        field: Type.String({
          description:
            'In the body `permissions[3].portRange` or `line 4`, in the query `?sort`; a header by its name.',
        }),
        message: Type.String(),
        value: Type.Optional(Type.Unknown({ description: 'What stands there.' })),
      }),
      { description: 'Each fault of the request, where it is one of a field.' },
    ),
    heldBy: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String(), { maxItems: mostHeld }), {
        description: `What keeps an object from being deleted, by kind (\`networkInterfaceIds\`): of each the first ${mostHeld} that the token may see.`,
      }),
    ),
    heldByCounts: Type.Optional(
      Type.Record(Type.String(), Type.Integer(), {
        description: 'How many of each kind there are, those of `heldBy` too.',
      }),
    ),
  },
  { description: 'RFC 9457. Some have more: `currentRevision`.' },
)

export type ProblemDocument = Static<typeof problemSchema> & Readonly<Record<string, unknown>>

export const problemContentType = 'application/problem+json; charset=utf-8'

export function problemDocument(error: ApiError, requestId: string): ProblemDocument {
  const { status, code, message, errors, details } = error
  const title = STATUS_CODES[status] ?? 'Error'
  return { type: 'about:blank', title, status, code, detail: message, requestId, errors: [...errors], ...details }
}

/** Every error as one the client may see; what is not meant for him stays in `cause`, for the log. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof StoreError) {
    return new ApiError(503, 'StoreUnavailable', `Cannot store the change: ${storeFaults[error.kind]}`, {
      cause: error,
    })
  }
  const {
    code = '',
    statusCode = 500,
    message = '',
  } = error as { code?: string; statusCode?: number; message?: string }
  const known = fastifyFaults[code]
  if (known !== undefined) return new ApiError(known.status, known.code, known.message, { cause: error })
  if (statusCode >= 400 && statusCode < 500) {
    return new ApiError(statusCode, 'InvalidRequest', message, { cause: error })
  }
  return new ApiError(500, 'InternalError', 'Cannot answer, by a fault of the daemon; its log has the request id', {
    cause: error,
  })
}

const storeFaults: Readonly<Record<StoreError['kind'], string>> = {
  full: 'the disk is full; nothing was stored',
  corrupt: 'the store is damaged; nothing was stored',
  closed: 'the daemon is stopping; nothing was stored',
  busy: 'another process holds the store; nothing was stored',
  unusable: 'the store refuses; nothing was stored',
}

const mediaTypes = 'expected application/json, or text/csv where the route takes it'

const fastifyFaults: Readonly<Record<string, { status: number; code: string; message: string }>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    status: 413,
    code: 'RequestTooLarge',
    message: 'Cannot read the request: expected a body of at most 1 MiB',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    code: 'UnsupportedMediaType',
    message: `Cannot read the request: ${mediaTypes}`,
  },
  FST_ERR_CTP_EMPTY_TYPE: {
    status: 415,
    code: 'UnsupportedMediaType',
    message: `Cannot read the request: no Content-Type; ${mediaTypes}`,
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    code: 'InvalidRequest',
    message: 'Cannot read the request: expected a body as long as Content-Length says',
  },
  FST_ERR_BAD_URL: { status: 400, code: 'InvalidRequest', message: 'Cannot read the path: expected a well-formed URL' },
  FST_ERR_MAX_PARAM_LENGTH: {
    status: 414,
    code: 'InvalidRequest',
    message: 'Cannot read the path: expected ids of at most 64 characters',
  },
}
