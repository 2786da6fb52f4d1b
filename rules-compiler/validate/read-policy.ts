/** Policy files: text in, a checked policy or every fault out. */
import type { Policy } from '../model/policy.ts'
import { buildPolicy } from './build-policy.ts'
import { makeContext } from './check-context.ts'
import { checks } from './checks.ts'
import type { Problem } from './problem.ts'
import { readShape, type Schema, type Sound } from './read-shape.ts'
import { type ReadOptions, readText } from './read-text.ts'
import { Report } from './report.ts'
import { type PolicyFile, policySchema } from './schema.ts'

/** The problems stand in the order found: shape, in the order of the file, then one check after the other. */
export type PolicyReading =
  | { readonly policy: Policy; readonly problems: readonly [] }
  | { readonly policy: null; readonly problems: readonly Problem[] }

/** Reads and checks a policy file. Nothing in the text makes it throw; docs/policy-file.md says what may stand there. */
export function readPolicy(text: string, options: ReadOptions = {}): PolicyReading {
  const report = new Report()
  const value = readText(text, report, options)
  return report.problems.length > 0 ? { policy: null, problems: report.problems } : checkPolicy(value)
}

/** The same for a policy that has been parsed already: a value as JSON.parse gives it. */
export function checkPolicy(value: unknown): PolicyReading {
  const report = new Report()
  const file = readShape(policySchema as unknown as Schema, value, '', report) as Sound<PolicyFile> | undefined
  if (file === undefined) return { policy: null, problems: report.problems }
  const context = makeContext(file, report)
  for (const check of checks) check(context)
  if (report.problems.length > 0) return { policy: null, problems: report.problems }
  return { policy: buildPolicy(context), problems: [] }
}
