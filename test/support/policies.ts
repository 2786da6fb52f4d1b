/** Policies from text that is known to be valid. */
import type { Policy } from '../../rules-compiler/model/policy.ts'
import { formatProblem } from '../../rules-compiler/validate/problem.ts'
import { readPolicy } from '../../rules-compiler/validate/read-policy.ts'

/** @throws {Error} with every fault if the text is no valid policy after all */
export function readValidPolicy(text: string): Policy {
  const { policy, problems } = readPolicy(text)
  if (policy === null) throw new Error(problems.map(formatProblem).join('\n'))
  return policy
}
