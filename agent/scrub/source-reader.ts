/** What the kernel's sets say of sources: of a few instances at once, and in no large part of the time. */
import { families } from '../../rules-compiler/address/cidr.ts'
import { sampledOneIn } from '../../rules-compiler/scrub/clean.ts'
import { heavySet, sampledSet } from '../../rules-compiler/scrub/names.ts'
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import type { SourceReading } from './sources.ts'
import type { ScrubTable } from './table.ts'

const intervalMs = 2_000
/** A second may begin so much early. */
const earlyMs = 300
/** Large sets take their time: reading them is to take a small part of it. */
const timesTook = 20
/** Four listings each. */
const instancesAtOnce = 4

export class SourceReader {
  readonly #table: Pick<ScrubTable, 'elements'>
  readonly #now: () => number
  /** When each was read last, by instance. */
  #readAtMs: ReadonlyMap<string, number> = new Map()
  #freeAtMs = 0

  /** @param now  CLOCK_MONOTONIC in milliseconds */
  constructor(table: Pick<ScrubTable, 'elements'>, now: () => number) {
    this.#table = table
    this.#now = now
  }

  /**
   * Those first that were not asked for the longest; none where it is too early.
   * @param cleaned  ids of the instances that are cleaned now
   * @param onError  told where nft fails; what was read before is given all the same
   */
  async read(
    cleaned: readonly string[],
    onError: (error: unknown) => void,
  ): Promise<ReadonlyMap<string, SourceReading>> {
    const read = new Map<string, SourceReading>()
    const startedAtMs = this.#now()
    if (startedAtMs < this.#freeAtMs) return read
    const readAtMs = new Map(cleaned.map(id => [id, this.#readAtMs.get(id) ?? Number.NEGATIVE_INFINITY]))
    this.#readAtMs = readAtMs
    const due = [...readAtMs]
      .filter(([, atMs]) => startedAtMs - atMs >= intervalMs - earlyMs)
      .sort(([, a], [, b]) => a - b)
      .slice(0, instancesAtOnce)
    if (due.length === 0) return read
    try {
      for (const [id] of due) {
        readAtMs.set(id, startedAtMs)
        read.set(id, {
          takenAtMs: this.#now(),
          heavy: await this.#readCounted(families.map(family => heavySet(id, family))),
          sampled: await this.#readCounted(families.map(family => sampledSet(id, family))),
          sampledOneIn,
        })
      }
    } catch (error) {
      onError(error)
    }
    this.#freeAtMs = startedAtMs + (this.#now() - startedAtMs) * timesTook
    return read
  }

  async #readCounted(sets: readonly string[]) {
    const elements = []
    for (const set of sets) elements.push(...(await this.#table.elements(set)))
    return elements.flatMap(readElement)
  }
}

/** `{ elem: { val, counter } }`; an element that has no counter yet has counted nothing. */
function readElement(element: unknown) {
  const elem = isRecord(element) ? element.elem : null
  if (!isRecord(elem) || typeof elem.val !== 'string' || !isRecord(elem.counter)) return []
  return [{ address: elem.val, packets: Number(elem.counter.packets), bytes: Number(elem.counter.bytes) }]
}
