/** Who sends: counters of set elements that come and go, merged over an event. */
import type { TrafficAmount, TrafficRate } from '../../rules-compiler/model/traffic.ts'
import type { DdosSource } from '../../wire/ddos.ts'
import { addAmounts, noAmount, rateOf, shareOf } from './rates.ts'

type Counted = TrafficAmount & { readonly address: string }

/** What the kernel's sets say of an instance now. Elements time out, and count from zero when they come back. */
export interface SourceReading {
  readonly takenAtMs: number
  /** Dropped for being above their share: what was dropped of each. */
  readonly heavy: readonly Counted[]
  /** Sources of one packet in so many. */
  readonly sampled: readonly Counted[]
  readonly sampledOneIn: number
}

/** Memory is bounded: `mostWatched` sources. */
export interface WatchedSources {
  /** In scope, offered while sources were watched. */
  readonly offeredPackets: number
  /** Of the last reading; monotonic. */
  readonly readAtMs: number
  /** What the heaviest source that was not dropped sent between the last two readings; null before the second. */
  readonly heaviest: TrafficRate | null
  /** Heaviest first. */
  readonly sources: readonly WatchedSource[]
}

export interface WatchedSource {
  readonly address: string
  readonly heavy: Accumulated
  /** Scaled to all packets. */
  readonly sampled: Accumulated
}

interface Accumulated extends TrafficAmount {
  /** The last reading of the element; nothing where there is none now. */
  readonly last: TrafficAmount
}

const mostWatched = 200
const mostTold = 10
const nothing: Accumulated = { ...noAmount, last: noAmount }

export function watchSources(
  watched: WatchedSources | null,
  reading: SourceReading | null,
  offeredPackets: number,
): WatchedSources | null {
  // Packets count from the first reading on.
  if (reading === null) {
    return watched && { ...watched, offeredPackets: watched.offeredPackets + offeredPackets }
  }
  const heavy = new Map(reading.heavy.map(source => [source.address, source]))
  const sampled = new Map(reading.sampled.map(source => [source.address, source]))
  const before = new Map(watched?.sources.map(source => [source.address, source]))
  const addresses = new Set([...before.keys(), ...heavy.keys(), ...sampled.keys()])
  const sources = [...addresses].map(address => ({
    address,
    heavy: accumulate(before.get(address)?.heavy, heavy.get(address), 1),
    sampled: accumulate(before.get(address)?.sampled, sampled.get(address), reading.sampledOneIn),
  }))
  const sinceMs = watched === null ? 0 : reading.takenAtMs - watched.readAtMs
  return {
    offeredPackets: (watched?.offeredPackets ?? 0) + offeredPackets,
    readAtMs: reading.takenAtMs,
    heaviest: sinceMs > 0 ? heaviestRate(before, sources, sinceMs) : null,
    sources: heaviestOf(sources),
  }
}

/** Of those watched before: what others show may be as old as their elements. A heavy one is watched from its first reading on. */
function heaviestRate(
  before: ReadonlyMap<string, WatchedSource>,
  now: readonly WatchedSource[],
  sinceMs: number,
): TrafficRate {
  let packets = 0
  let bytes = 0
  for (const { address, sampled } of now) {
    const so = before.get(address)?.sampled
    if (so === undefined) continue
    packets = Math.max(packets, sampled.packets - so.packets)
    bytes = Math.max(bytes, sampled.bytes - so.bytes)
  }
  return rateOf({ packets, bytes }, sinceMs)
}

/** An element lower than before has timed out and come back: all it shows is new. So it is with one not seen before. */
function accumulate(so: Accumulated = nothing, now: TrafficAmount = noAmount, times: number): Accumulated {
  const isNew = now.packets < so.last.packets || now.bytes < so.last.bytes
  const { packets, bytes } = isNew ? noAmount : so.last
  return {
    packets: so.packets + (now.packets - packets) * times,
    bytes: so.bytes + (now.bytes - bytes) * times,
    last: { packets: now.packets, bytes: now.bytes },
  }
}

/** Heaviest first, 10 at most. */
export function topSources(watched: WatchedSources | null): readonly DdosSource[] {
  if (watched === null) return []
  return watched.sources
    .map(source => ({ address: source.address, ...amountOf(source) }))
    .filter(({ packets }) => packets > 0)
    .slice(0, mostTold)
    .map(source => ({ ...source, share: shareOf(source.packets, watched.offeredPackets) }))
}

/** What the ten heaviest have of all packets, 0 to 1; null before sources were watched. */
export function sourceConcentration(watched: WatchedSources | null): number | null {
  if (watched === null || watched.offeredPackets === 0) return null
  const packets = topSources(watched).reduce((sum, source) => sum + source.packets, 0)
  return shareOf(packets, watched.offeredPackets)
}

/** Packets are sampled after heavy sources were dropped, so these come on top. */
function amountOf({ heavy, sampled }: WatchedSource): TrafficAmount {
  return addAmounts([heavy, sampled])
}

/** There may be tens of thousands. */
function heaviestOf(sources: readonly WatchedSource[]): readonly WatchedSource[] {
  return sources
    .map(source => ({ source, packets: source.heavy.packets + source.sampled.packets }))
    .sort((a, b) => b.packets - a.packets || (a.source.address < b.source.address ? -1 : 1))
    .slice(0, mostWatched)
    .map(({ source }) => source)
}
