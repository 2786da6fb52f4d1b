/**
 * What stands before a packet in the kernel's log group: which ENI and direction it was at, what became of it and why.
 * Made and read here only. Whoever reads records of a group that others log to as well knows ours by this form.
 */
import type { Direction } from '../model/policy.ts'

/** `observe`: it would have been dropped, had the ENI been enforced. */
export type LogAction = 'drop' | 'observe' | 'accept'

/** Why a packet was refused or a session accepted; what a rule, the default or an exception is, `evaluate` says. */
export const logCauses = ['rule', 'default', 'smtp', 'source-guard', 'invalid', 'inner-access', 'exception'] as const
export type LogCause = (typeof logCauses)[number]

export interface LogOrigin {
  readonly action: LogAction
  readonly direction: Direction
  readonly eniId: string
  readonly cause: LogCause
}

/**
 * The kernel keeps 127 characters of a prefix (NF_LOG_PREFIXLEN) and nft refuses more. The longest of ours has 84: an id
 * has 64 at most, `source-guard` 12.
 */
export const mostPrefixCharacters = 127

const actions = { drop: 'D', observe: 'O', accept: 'A' } as const satisfies Record<LogAction, string>
const directions = { ingress: 'i', egress: 'e' } as const satisfies Record<Direction, string>

/** `rw <D|O|A> <i|e> <eni id> <cause>` */
export function makeLogPrefix({ action, direction, eniId, cause }: LogOrigin): string {
  return `rw ${actions[action]} ${directions[direction]} ${eniId} ${cause}`
}

/** @returns null for a prefix that is not of Ringwall's making */
export function parseLogPrefix(prefix: string): LogOrigin | null {
  const [mark, actionText, directionText, eniId, causeText, ...more] = prefix.split(' ')
  const action = keyOf(actions, actionText)
  const direction = keyOf(directions, directionText)
  const cause = logCauses.find(known => known === causeText)
  if (mark !== 'rw' || more.length > 0) return null
  if (action === undefined || direction === undefined || cause === undefined || !eniId) return null
  return { action, direction, eniId, cause }
}

function keyOf<K extends string>(letters: Readonly<Record<K, string>>, letter: string | undefined): K | undefined {
  return (Object.keys(letters) as K[]).find(key => letters[key] === letter)
}
