/** What the agent asks of nftables. exec.ts does it with the host's `nft`, fake.ts in memory. */
import type { TrafficAmount } from '../../rules-compiler/model/traffic.ts'
import type { NftCommand } from '../../rules-compiler/nft/commands.ts'

export type { NftCommand }

/** One object of a listing, as libnftables-json(5) has it: `{ chain: { family, table, name, handle } }`. */
export type NftObject = Readonly<Record<string, unknown>>

export type NftFamily = 'ip' | 'ip6' | 'inet' | 'netdev' | 'arp' | 'bridge'

export interface Nft {
  /**
   * One transaction: whole or not at all. No commands is no transaction.
   * A set or map must exist before a rule of the same transaction refers to it, a chain before a jump to it.
   * @throws {NftError} if it was refused; nothing has changed then. After a `timeout` it is unknown whether the kernel
   *                    took it: read back
   */
  apply(commands: readonly NftCommand[]): Promise<void>
  /**
   * One statement in nft syntax, for what the host's nft gets wrong in JSON; a transaction of its own.
   * @throws {NftError}
   */
  applyText(statement: string): Promise<void>
  /**
   * One table with all that is in it, without the `metainfo` object: the table, objects, sets and maps, chains, rules,
   * each kind in order of making and rules in their order in the chain. Sets of other tables are not read: one listing
   * costs the same whatever else is on the host.
   * @param options.terse  leave out the elements of sets and maps. They are not read then (0.3 s for 50,000), but the
   *                       rules of the family's other tables are: nft 1.0.6 spares the one only with the other
   * @returns null where there is no such table
   */
  list(
    family: 'inet' | 'netdev',
    table: string,
    options?: { readonly terse?: boolean },
  ): Promise<readonly NftObject[] | null>
  /**
   * The counter objects of one table, by name. nft 1.0.6 reads all rules and elements of the table for it.
   * @returns null where there is no such table
   */
  listCounters(family: 'inet' | 'netdev', table: string): Promise<Counters | null>
  /**
   * The same, and each is zero from then on; no packet is lost between the two. Of nft 1.0.6 this is the one listing
   * that reads nothing else: 4 ms at 100 ENIs, where the other takes 50 and, with many elements, a second.
   * @throws {NftError} of kind `busy` where a transaction came in between: some may be zero then without having been read
   */
  resetCounters(family: 'inet' | 'netdev', table: string): Promise<Counters | null>
  /**
   * The elements of one set or map as libnftables-json(5) has them; those of others are not read (nft 1.0.6 lists one
   * set a call).
   * @returns null where there is no such set
   */
  listElements(family: 'inet' | 'netdev', table: string, set: string): Promise<readonly unknown[] | null>
  /** Base chains of every table in the network namespace, our own among them. */
  listBaseChains(): Promise<readonly BaseChain[]>
  /** Tables that hold a chain, by name; listing tables as such would read every interval set of the host (nft 1.0.6). */
  listTablesWithChains(): Promise<readonly { readonly family: NftFamily; readonly name: string }[]>
  /** `1.0.6`. */
  version(): Promise<string>
  /**
   * Whether a process that made a ruleset generation was a child of ours: `nft monitor` names the pid with each. The
   * last few hundred are remembered; in a pid namespace of its own the kernel names other numbers, and no pid is ours.
   */
  isOwnPid(pid: number): boolean
  /** The pid of the last child that changed something; 0 before the first. */
  readonly lastPid: number
}

/** By name. */
export type Counters = ReadonlyMap<string, TrafficAmount>

export interface BaseChain {
  readonly family: NftFamily
  readonly table: string
  readonly chain: string
  /** `filter`, `nat` or `route`. */
  readonly type: string
  readonly hook: string
  /** Lower runs first. */
  readonly hookPriority: number
  /** What happens to a packet that no rule of the chain decides. */
  readonly chainPolicy: 'accept' | 'drop'
}
