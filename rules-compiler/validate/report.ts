/** Where the checks put what they find, in the order found. */
import { makeProblem, type Problem, type ProblemCode, type ProblemOptions } from './problem.ts'

export class Report {
  readonly problems: Problem[] = []

  add(code: ProblemCode, path: string, options: ProblemOptions): void {
    this.problems.push(makeProblem(code, path, options))
  }
}
