/**
 * Names of chains, sets, maps and counters; made here only. They read from the ENI or group inwards. The slash keeps
 * them apart from one another, because ids hold none, and every name has one, because a bare word such as `drop` or
 * `accept` would be a keyword of nft's text syntax. What belongs to no ENI is under `_host`, which no id can be: ids
 * begin with a letter.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Family } from '../address/cidr.ts'
import type { Direction, RuleVerdict } from '../model/policy.ts'
import type { LogCause } from './log-prefix.ts'
import type { Side } from './stamps.ts'

export const baseChains = { prerouting: '_host/prerouting', postrouting: '_host/postrouting' } as const
export const untrackedChain = '_host/untracked'
/** Lets pass what the kernel hands back to the host that has sent it. */
export const loopedChain = '_host/looped'
export const dropChain = '_host/drop'
/** Where packets of a session go that are refused at an observed ENI, on one side of the host. */
export const passChain = (side: Side) => `_host/pass/${side}`

export type Hook = keyof typeof baseChains

/** Maps from a device to the chain of its ENI, by name (survives a new device of that name) and by index (a rename). */
export const deviceMap = (hook: Hook, by: 'name' | 'index') => `_host/${hook}/${by}`

export const hookChain = (eniId: string, hook: Hook) => `${eniId}/${hook}`
export const sourceGuardChain = (eniId: string) => `${eniId}/source-guard`
export const judgeChain = (eniId: string, direction: Direction) => `${eniId}/${direction}`
export const acceptChain = (eniId: string, direction: Direction) => `${eniId}/${direction}/accept`
/** Where everything goes that is refused, whatever then becomes of it. */
export const refuseChain = (eniId: string, direction: Direction) => `${eniId}/${direction}/drop`
/** Logs what is accepted or refused for one cause. */
export const logChain = (eniId: string, direction: Direction, verdict: RuleVerdict, cause: LogCause) =>
  `${eniId}/${direction}/${verdict}/${cause}`
/** What one limit of logging is for; `going-on`: packets of sessions that are only let through, but the first. */
export type Limited = RuleVerdict | 'going-on'
/** A limit's rate cannot be changed in place, so another rate is another name. */
export const logLimit = (eniId: string, direction: Direction, limited: Limited, perSecond: number) =>
  `${eniId}/${direction}/${limited}/${perSecond}`

const layerName = (eniId: string, direction: Direction, layer: number) => `${eniId}/${direction}/${layer}`
/** Ports of the rules that name one group in one layer. */
export const groupChain = (eniId: string, direction: Direction, layer: number, groupId: string) =>
  `${layerName(eniId, direction, layer)}/${groupId}`
/** Jumps to the chains of several groups, for peers that are members of all of them. */
export const classChain = (eniId: string, direction: Direction, layer: number, groupIds: readonly string[]) =>
  `${layerName(eniId, direction, layer)}/classes/${contentHash(groupIds.join(' '))}`
export const peerMap = (eniId: string, direction: Direction, layer: number, family: Family) =>
  `${layerName(eniId, direction, layer)}/peers/${family}`

export const memberSet = (groupId: string, family: Family) => `${groupId}/${family}`
export const sessionTimeout = (seconds: number) => `session/${seconds}`

/** Why a packet was judged without a rule; each has a counter. */
export type CounterReason = Exclude<LogCause, 'rule'>
export const reasonCounter = (eniId: string, direction: Direction, reason: CounterReason) =>
  `${eniId}/${direction}/${reason}`

/** Interval sets are named by what is in them, so that equal content is one set and other content another name. */
export const intervalSet = (kind: string, content: string) => `${kind}/${contentHash(content)}`

/** 64 bits of SHA-256: tenants write rules, so a collision must be beyond their reach, not only unlikely. */
function contentHash(content: string): string {
  return bytesToHex(sha256(utf8ToBytes(content)).subarray(0, 8))
}
