/** The table of traffic scrubbing in a namespace's kernel, changed as the agent changes it. */
import { createNft } from '../../agent/nft/exec.ts'
import type { Nft } from '../../agent/nft/nft.ts'
import type { Namespace } from '../../lab/netns.ts'
import type { TrafficAmount } from '../../rules-compiler/model/traffic.ts'
import { compileScrub, type ScrubTable } from '../../rules-compiler/scrub/compile.ts'
import type { Cleaning, Defence } from '../../rules-compiler/scrub/defence.ts'
import { scrubTableName } from '../../rules-compiler/scrub/names.ts'
import type { ScrubRuleset } from '../../rules-compiler/scrub/ruleset.ts'
import { scrubTransaction } from '../../rules-compiler/scrub/transaction.ts'

export type Amounts = ReadonlyMap<string, TrafficAmount>

export class ScrubbedHost {
  readonly #namespace: Namespace
  readonly #nft: Nft
  #current: ScrubRuleset | null = null

  constructor(namespace: Namespace) {
    this.#namespace = namespace
    this.#nft = createNft({ prefix: ['ip', 'netns', 'exec', namespace.name] })
  }

  async load(table: ScrubTable): Promise<void> {
    const next = compileScrub(table)
    const commands = scrubTransaction(this.#current, next)
    await this.#nft.apply(commands)
    this.#current = next
  }

  async counters(): Promise<Amounts> {
    const objects = await this.#list(['counters', 'table', 'inet', scrubTableName])
    return new Map(
      objects.flatMap(({ counter }) =>
        counter === undefined ? [] : [[counter.name, { packets: counter.packets, bytes: counter.bytes }] as const],
      ),
    )
  }

  /** Elements of a set: `198.18.0.1` with what it counted, where it counts. */
  async elements(name: string): Promise<ReadonlyMap<string, TrafficAmount | null>> {
    const objects = await this.#list(['set', 'inet', scrubTableName, name])
    const elements = objects.flatMap(({ set }) => set?.elem ?? [])
    return new Map(
      elements.map(({ elem: { val, counter } }) => [
        typeof val === 'string' ? val : JSON.stringify(val),
        counter ?? null,
      ]),
    )
  }

  async #list(what: readonly string[]): Promise<readonly ListedObject[]> {
    const { stdout } = await this.#namespace.run('nft', ['-j', 'list', ...what])
    return (JSON.parse(stdout) as { nftables: ListedObject[] }).nftables
  }
}

interface ListedObject {
  readonly counter?: TrafficAmount & { readonly name: string }
  readonly set?: {
    readonly elem?: readonly { readonly elem: { readonly val: unknown; readonly counter?: TrafficAmount } }[]
  }
}

/** What was counted between, without what stayed as it was: `{ 'eni-1/offered/udp': 3 }`. */
export function packetsBetween(before: Amounts, after: Amounts): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...after].flatMap(([name, { packets }]) => {
      const more = packets - (before.get(name)?.packets ?? 0)
      return more === 0 ? [] : [[name, more]]
    }),
  )
}

/** Limits nothing that a test sends, but for what the sketch says. */
export function makeCleaning(sketch: Partial<Cleaning> = {}): Defence {
  const wide = { packetsPerSecond: 1_000_000, bitsPerSecond: 10_000_000_000 }
  return {
    kind: 'clean',
    total: wide,
    shares: { known: wide, unknown: wide },
    connectionsPerSource: null,
    lanes: new Map(),
    dropSessionless: false,
    ...sketch,
  }
}
