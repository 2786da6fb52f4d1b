/**
 * Names of chains, sets, maps and counters; made here only. They read from the ENI or group inwards. The slash keeps
 * them apart from one another, because ids hold none, and every name has one, because a bare word such as `drop` or
 * `accept` would be a keyword of nft's text syntax. What belongs to no ENI is under `_host`, which no id can be: ids
 * begin with a letter.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Family } from '../address/cidr.ts'
import type { Direction } from '../model/policy.ts'

export const baseChains = { prerouting: '_host/prerouting', postrouting: '_host/postrouting' } as const
export const untrackedChain = '_host/untracked'
export const dropChain = '_host/drop'

export type Hook = keyof typeof baseChains

/** Maps from a device to the chain of its ENI, by name (survives a new device of that name) and by index (a rename). */
export const deviceMap = (hook: Hook, by: 'name' | 'index') => `_host/${hook}/${by}`

export const hookChain = (eniId: string, hook: Hook) => `${eniId}/${hook}`
export const sourceGuardChain = (eniId: string) => `${eniId}/source-guard`
export const judgeChain = (eniId: string, direction: Direction) => `${eniId}/${direction}`
export const acceptChain = (eniId: string, direction: Direction) => `${eniId}/${direction}/accept`

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
export type CounterReason = 'default' | 'inner-access' | 'exception' | 'smtp' | 'source-guard' | 'invalid'
export const reasonCounter = (eniId: string, direction: Direction, reason: CounterReason) =>
  `${eniId}/${direction}/${reason}`

/** Interval sets are named by what is in them, so that equal content is one set and other content another name. */
export const intervalSet = (kind: string, content: string) => `${kind}/${contentHash(content)}`

/** 64 bits of SHA-256: tenants write rules, so a collision must be beyond their reach, not only unlikely. */
function contentHash(content: string): string {
  return bytesToHex(sha256(utf8ToBytes(content)).subarray(0, 8))
}
