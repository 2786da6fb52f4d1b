/** What the agent of this network namespace answers, or why there is nothing. */
import type { Answer } from '../../agent/lock.ts'
import { exitFailed, OperationError } from '../command.ts'

/** No agent answers here, or none that can. */
export class AgentAwayError extends OperationError {
  constructor(lines: readonly string[]) {
    super(lines, exitFailed)
    this.name = 'AgentAwayError'
  }
}

/**
 * @param answer  null where nobody answers
 * @param advice  lines for whoever has no agent here
 * @throws {AgentAwayError} unless it is what was asked for
 */
export function requireAnswer<A extends Pick<Answer, 'status'>>(answer: A | null, advice: readonly string[] = []): A {
  if (answer?.status === 200) return answer
  if (answer === null || answer.status === 404) throw away('none runs in this network namespace', advice)
  throw away(answer.status === 503 ? 'it is starting, or too many ask' : `it answers with status ${answer.status}`)
}

function away(reason: string, advice: readonly string[] = []): AgentAwayError {
  return new AgentAwayError([`Cannot ask the agent on this host: ${reason}`, ...advice])
}
