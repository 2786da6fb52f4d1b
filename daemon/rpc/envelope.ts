/** Answers of the RPC API: JSON with a `RequestId`, and errors in the published shape, whatever went wrong. */
import { ApiError } from '../errors.ts'
import type { Plan } from '../services/executor.ts'

/** Header of every answer; clients look at it. */
export const rpcContentType = 'application/json;charset=utf-8'

export interface RpcError {
  readonly status: number
  readonly body: {
    readonly RequestId: string
    readonly HostId: string
    readonly Code: string
    readonly Message: string
    readonly Recommend: string
    readonly AccessDeniedDetail?: object
  }
}

/** As the published service writes them. */
function requestIdOf(id: string): string {
  return id.toUpperCase()
}

export function answerOf(body: object, requestId: string): object {
  return { RequestId: requestIdOf(requestId), ...body }
}

/**
 * Statuses that clients take for something else: 401 and 412 are unknown to them, 409 and 422 are errors of other
 * products, 429 is told by its code.
 */
const statuses: Readonly<Record<number, number>> = {
  401: 400,
  409: 400,
  412: 400,
  413: 400,
  415: 400,
  422: 400,
  429: 400,
}
/** Products whose conflicts are told by 409. */
const keeps409: ReadonlySet<string> = new Set(['EntityAlreadyExists', 'DeleteConflict', 'LimitExceeded'])

export function errorOf(
  error: ApiError,
  { requestId, host }: { readonly requestId: string; readonly host: string },
): RpcError {
  const isRam = error.status === 409 && keeps409.has(error.code.split('.')[0]!)
  const { accessDeniedDetail } = error.details
  return {
    status: isRam ? 409 : (statuses[error.status] ?? error.status),
    body: {
      RequestId: requestIdOf(requestId),
      HostId: host,
      Code: error.code,
      Message: error.message,
      Recommend: '',
      ...(typeof accessDeniedDetail === 'object' &&
        accessDeniedDetail !== null && { AccessDeniedDetail: accessDeniedDetail }),
    },
  }
}

/** What no action answers for. */
export function unknownAction(version: string, action: string): ApiError {
  const shown = `${shorten(version)} ${shorten(action)}`
  return new ApiError(400, 'InvalidAction.NotFound', `Cannot carry out "${shown}": there is no such action and version`)
}

const shorten = (text: string) => (text.length > 64 ? `${text.slice(0, 64)}…` : text)

/** A plan whose answer is told in the words of the RPC API. */
export function renamed<Body>(plan: Plan<Body>, tell: (body: Body) => object): Plan<object> {
  return { writes: plan.writes, body: revisionOf => tell(plan.body(revisionOf)) }
}
