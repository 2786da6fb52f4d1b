/** JSON from clients: it says each key once, is not deep, and names nothing of JavaScript's own. */

import { readJson } from '../rules-compiler/validate/read-json.ts'
import { Report } from '../rules-compiler/validate/report.ts'
import { ApiError, type FieldError } from './errors.ts'

/** The deepest request that means something has five levels. */
const maxDepth = 12
/** The largest request that means something has a hundred rules of a dozen fields. */
const maxValues = 20_000
/** More faults than anybody reads. */
const maxErrors = 20

/** @throws {ApiError} 400 with the place of each fault */
export function parseStrictJson(text: string): unknown {
  requireModest(text)
  const report = new Report()
  const value = readJson(text, report)
  if (report.problems.length > 0) {
    const errors: FieldError[] = report.problems
      .slice(0, maxErrors)
      .map(({ code, path, message }) => ({ code, field: path, message }))
    throw new ApiError(400, 'InvalidParameter', `${errors[0]!.field}: ${errors[0]!.message}`, { errors })
  }
  return value
}

/** Before anything is made of it: depth and number cost time and memory further on. */
function requireModest(text: string): void {
  let depth = 0
  let values = 0
  let quoted = false
  for (let offset = 0; offset < text.length; offset += 1) {
    const code = text.charCodeAt(offset)
    if (quoted) {
      if (code === backslash) offset += 1
      else if (code === quote) quoted = false
    } else if (code === quote) {
      quoted = true
    } else if (code === openBrace || code === openBracket) {
      depth += 1
      if (depth > maxDepth) {
        throw new ApiError(
          400,
          'InvalidParameter',
          `Cannot read the body: expected at most ${maxDepth} levels of nesting`,
        )
      }
    } else if (code === closeBrace || code === closeBracket) {
      depth -= 1
    } else if (code === comma) {
      values += 1
      if (values > maxValues) {
        throw new ApiError(400, 'InvalidParameter', `Cannot read the body: expected at most ${maxValues} values in it`)
      }
    }
  }
}

const [quote, comma, backslash] = [0x22, 0x2c, 0x5c]
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d]
