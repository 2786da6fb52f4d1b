/** Addresses of a group, sorted as the policy IR has them, changed without sorting all of them again. Values never change. */
import { familyOf, parseAddress } from '../../rules-compiler/address/cidr.ts'
import { firstIndex } from '../../rules-compiler/address/first-index.ts'
import type { GroupMembers } from '../../rules-compiler/policy/ir.ts'

export interface MemberList extends GroupMembers {
  /** All of them are addresses in canonical text. */
  readonly canonical: boolean
}

export interface MemberChange {
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

/** Beyond this many changes sorting anew is quicker than making room for each. */
const mostInsertions = 256

/** @param addresses  in any order, duplicates allowed */
export function makeMemberList(addresses: Iterable<string>): MemberList {
  const ip: string[] = []
  const ip6: string[] = []
  let canonical = true
  for (const address of new Set(addresses)) {
    if (familyOf(address) === 'ip') ip.push(address)
    else ip6.push(address)
    canonical &&= parseAddress(address) === address
  }
  return { ip: ip.sort(), ip6: ip6.sort(), canonical }
}

/**
 * What is removed goes before what is added comes. Adding what is there changes nothing, nor does the reverse.
 * @returns the same list where nothing changes
 */
export function changeMembers(list: MemberList, change: MemberChange): MemberList {
  // Sets: an address that is said twice must not take its neighbour with it.
  const remove = new Set(change.remove.filter(address => has(list, address)))
  const add = new Set(change.add.filter(address => remove.has(address) || !has(list, address)))
  if (add.size + remove.size === 0) return list
  if (add.size + remove.size > mostInsertions || !list.canonical) {
    const kept = allMembers(list).filter(address => !remove.has(address))
    return makeMemberList([...kept, ...add])
  }
  const next = { ip: [...list.ip], ip6: [...list.ip6] }
  for (const address of remove) {
    const addresses = next[familyOf(address)]
    addresses.splice(placeOf(addresses, address), 1)
  }
  for (const address of add) insert(next[familyOf(address)], address)
  return { ...next, canonical: [...add].every(address => parseAddress(address) === address) }
}

/** @returns the list itself where it has all of them */
export function includeMembers(list: GroupMembers, more: GroupMembers): GroupMembers {
  const missing = [...more.ip, ...more.ip6].filter(address => !has(list, address))
  if (missing.length === 0) return list
  const next = { ip: [...list.ip], ip6: [...list.ip6] }
  for (const address of missing) insert(next[familyOf(address)], address)
  return next
}

/** Sorted as text. */
export function allMembers({ ip, ip6 }: GroupMembers): readonly string[] {
  return [...ip, ...ip6].sort()
}

function has(list: GroupMembers, address: string): boolean {
  const addresses = list[familyOf(address)]
  return addresses[placeOf(addresses, address)] === address
}

function insert(addresses: string[], address: string): void {
  const place = placeOf(addresses, address)
  if (addresses[place] !== address) addresses.splice(place, 0, address)
}

/** The index of the first address that does not stand before this one. */
function placeOf(addresses: readonly string[], address: string): number {
  return firstIndex(addresses.length, index => addresses[index]! >= address)
}
