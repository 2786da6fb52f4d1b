/** What is done about one instance's inbound traffic; the scrubber decides it, compile.ts makes it nftables objects. */
import type { LaneType, TrafficRate } from '../model/traffic.ts'

export type Defence =
  | { readonly kind: 'none' }
  | ({ readonly kind: 'clean' } & Cleaning)
  /** Everything in scope. The kernel ends it by itself after that time, whether or not an agent still lives. */
  | { readonly kind: 'black-hole'; readonly remainingSeconds: number }

/**
 * Packets meet these in order; each is counted under its own `ScrubStep`. A source with an assured session (conntrack
 * has seen both sides talk, so the address is not forged) is known: it skips the lanes, and has a share of its own.
 */
export interface Cleaning {
  /** Of everything that passes, known sources first. */
  readonly total: TrafficRate
  /** A source above its share is dropped for some seconds. */
  readonly shares: { readonly known: TrafficRate; readonly unknown: TrafficRate }
  /** TCP connections one source may open a second; null for any number. */
  readonly connectionsPerSource: number | null
  /** What sources that are not known may send of each flood type that stands out; the others are not held down. */
  readonly lanes: ReadonlyMap<LaneType, TrafficRate>
  /** Whether TCP that belongs to no session and opens none is dropped, right after conntrack. */
  readonly dropSessionless: boolean
}
