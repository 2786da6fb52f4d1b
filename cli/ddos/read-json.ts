/** JSON from the other side of a connection. */
import { exitFailed, OperationError } from '../command.ts'

/** @throws {OperationError} where it is none: the other side is of another kind, or the line was torn */
export function readJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T
  } catch (error) {
    throw new OperationError([`Cannot read "${text.slice(0, 80)}": expected JSON`], exitFailed, error)
  }
}
