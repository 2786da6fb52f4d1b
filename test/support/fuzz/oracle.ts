/** What must be true of every answer, whatever was asked. */
import type { FuzzRequest } from './requests.ts'

export interface FuzzAnswer {
  readonly status: number
  readonly contentType: string
  /** Text as it came. */
  readonly text: string
  readonly elapsedMs: number
}

/** Nothing here waits for anybody, so that this is a hang; a busy machine takes some seconds for what is milliseconds. */
export const longestMs = 20_000
/** But a report is made in a thread of its own, which has to be started, on a machine that may be busy. */
const longestReportMs = 30_000

/** What is wrong with the answer, as lines; empty if nothing is. */
export function faultsOf({ method, url }: Pick<FuzzRequest, 'method' | 'url'>, answer: FuzzAnswer): string[] {
  const { status, elapsedMs } = answer
  const faults: string[] = []
  if (status >= 500) faults.push(`status ${status}`)
  if (status < 200 || (status >= 300 && status < 400))
    faults.push(`status ${status}, which is neither success nor refusal`)
  if (elapsedMs > (url.startsWith('/v1/health-report') ? longestReportMs : longestMs))
    faults.push(`answered after ${Math.round(elapsedMs)} ms`)
  if (status >= 400 && method !== 'HEAD') faults.push(...problemFaults(answer))
  return faults
}

/** RFC 9457, and what docs/api.md adds to it. */
function problemFaults({ status, contentType, text }: FuzzAnswer): string[] {
  if (!contentType.startsWith('application/problem+json')) return [`a refusal of type "${contentType}"`]
  let problem: Record<string, unknown>
  try {
    problem = JSON.parse(text)
  } catch {
    return ['a refusal that is no JSON']
  }
  const faults: string[] = []
  const isText = (value: unknown) => typeof value === 'string' && value !== ''
  for (const name of ['type', 'title', 'code', 'detail', 'requestId']) {
    if (!isText(problem[name])) faults.push(`a refusal without ${name}`)
  }
  if (problem.status !== status) faults.push(`status ${status} that calls itself ${problem.status}`)
  if (!Array.isArray(problem.errors)) return [...faults, 'a refusal without errors']
  for (const error of problem.errors) {
    if (!isText(error.code) || typeof error.field !== 'string' || !isText(error.message)) {
      faults.push(`an error without code, field or message: ${JSON.stringify(error).slice(0, 200)}`)
    }
  }
  return faults
}

/** The request on one line, short enough to read and long enough to send again. */
export function tell({ method, url, headers, body }: FuzzRequest): string {
  const { authorization = '', ...others } = headers
  const shortAuthorization = authorization.replace(/_[\w-]{43}$/, '_…')
  const shown = body === undefined ? '' : ` ${JSON.stringify(body.toString('utf8')).slice(0, 1500)}`
  return `${method} ${url.slice(0, 500)} ${JSON.stringify({ authorization: shortAuthorization, ...others }).slice(0, 400)}${shown}`
}
