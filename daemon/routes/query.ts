/** Query parameters that schemas cannot say all of. */
import { ApiError } from '../errors.ts'

/**
 * Milliseconds since 1970; null where it is left out. ISO 8601 with a time zone: without one it would be that of the
 * daemon's host.
 * @param field  `?since`
 * @throws {ApiError} 400
 */
export function readTime(value: string | undefined, field: string): number | null {
  if (value === undefined) return null
  const isIso = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(value)
  const timeMs = isIso ? Date.parse(value) : Number.NaN
  if (!Number.isNaN(timeMs)) return timeMs
  const message = `Cannot read time ${JSON.stringify(value)}: expected 2026-01-31 or 2026-01-31T12:00:00Z`
  throw refuseQuery(field, message, value)
}

export function refuseQuery(field: string, message: string, value?: string): ApiError {
  return new ApiError(400, 'InvalidParameter', message, {
    errors: [{ code: 'invalid-value', field, message, ...(value !== undefined && { value }) }],
  })
}
