/** One rule by itself, for callers that keep rules one by one. */
import { type BuiltRule, buildRule } from './build-rule.ts'
import { readShape, type Schema, type Sound } from './read-shape.ts'
import { Report } from './report.ts'
import { type FileRule, ruleSchema } from './schema.ts'

/**
 * A rule in the words of a policy file, to a rule of the model and its content. Whether it may stand in its group is
 * for `checkPolicy` to say.
 * @param groupId  goes into a made rule id
 * @returns null where the rule is faulty in itself
 */
export function readRule(value: unknown, groupId: string): BuiltRule | null {
  const report = new Report()
  const rule = readShape(ruleSchema as unknown as Schema, value, '', report) as Sound<FileRule> | undefined
  return rule === undefined || report.problems.length > 0 ? null : buildRule(rule, groupId)
}
