/**
 * The table of traffic scrubbing in the kernel: changed by one transaction at a time, its counters read, and looked at
 * whether somebody else has changed it.
 *
 * What rules learn (elements of sets, counters, how full limits are) is not compared; what they are, is: a terse listing
 * is taken after each change of ours, and again when a stranger has changed some ruleset of the namespace. That listing
 * reads the rules of other tables too, so nothing waits for it; it goes by an `nft` of its own.
 */
import { createHash } from 'node:crypto'
import { tableFamily } from '../../rules-compiler/nft/ruleset.ts'
import { scrubTableName } from '../../rules-compiler/scrub/names.ts'
import type { ScrubRuleset } from '../../rules-compiler/scrub/ruleset.ts'
import { addScrubTable, deleteScrubTable, scrubTransaction } from '../../rules-compiler/scrub/transaction.ts'
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import { NftError } from '../nft/errors.ts'
import type { Counters, Nft, NftObject } from '../nft/nft.ts'
import { addAmounts, noAmount } from './rates.ts'
import type { Reading } from './sample.ts'

export interface ScrubTableOptions {
  readonly nft: Nft
  /** For listings that may take their time. */
  readonly inspector: Nft
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly now: () => number
}

/** What an agent that starts must find in the kernel, to go on from it. */
export interface KeptTable {
  /** Of the ruleset that was put there. */
  readonly rulesetHash: string
  /** Of what the kernel listed then. */
  readonly fingerprint: string
  /** The last reading; null before the first. */
  readonly reading: KeptReading | null
}

export interface KeptReading {
  readonly takenAtMs: number
  /** Name, packets and bytes counted, and of those what the kernel's counter does not have any more. */
  readonly counters: readonly (readonly [
    name: string,
    packets: number,
    bytes: number,
    gonePackets: number,
    goneBytes: number,
  ])[]
}

export type Inspected = 'as-left' | 'changed'

/** Up to here nft 1.0.6 needs hardly more for a listing that leaves the counters as they are. */
const fewCounters = 100
/** A reading that took longer is made again: nobody knows when in that time the kernel was asked. */
const exactMs = 60
/** Of the time when counters began; more would be seen in the rates of the first second. */
const mostInexactMs = 100
/** A black hole that has less than this left may be over before the listing. */
const nearlyOverMs = 2_000

export class ScrubTable {
  readonly #options: ScrubTableOptions
  /** What stands in the kernel; null where that is not known. */
  #standing: ScrubRuleset | null = null
  /** Raised with each change of ours. */
  #version = 0
  #fingerprint: string | null = null
  /** What was counted before the kernel's counters were set to zero. */
  readonly #gone = new Map<string, { readonly packets: number; readonly bytes: number }>()
  #reading: Reading | null = null
  /** When the elements that were put in from here are over, by set. */
  readonly #elementsEndAtMs = new Map<string, number>()

  constructor(options: ScrubTableOptions) {
    this.#options = options
  }

  /** Whether something of ours is known to stand. */
  get stands(): boolean {
    return this.#standing !== null
  }

  /** The last reading; null where what is read next must not be compared with it. */
  get reading(): Reading | null {
    return this.#reading
  }

  /**
   * At start: takes what stands for ours where it is what was left there.
   * @param to  what should stand
   * @returns false where it is something else: then nothing is known of it
   */
  async adopt(to: ScrubRuleset, kept: KeptTable): Promise<boolean> {
    if (kept.rulesetHash !== hashOf(to)) return false
    const objects = await this.#options.nft.list(tableFamily, scrubTableName, { terse: true })
    if (objects === null || fingerprintOf(objects) !== kept.fingerprint) return false
    this.#standing = to
    this.#fingerprint = kept.fingerprint
    this.#noteElements(null, to)
    const { reading } = kept
    if (reading === null) return true
    for (const [name, , , packets, bytes] of reading.counters) this.#gone.set(name, { packets, bytes })
    const counters = reading.counters.map(([name, packets, bytes]) => [name, { packets, bytes }] as const)
    this.#reading = { takenAtMs: reading.takenAtMs, counters: new Map(counters) }
    return true
  }

  /**
   * Makes the kernel have this, by one transaction. Where what stands is not known, or not as it was thought to be, it
   * is replaced whole, in one transaction too.
   * @throws {NftError} if nft refused both: what stood before stays, and nothing is taken for known any more
   */
  async put(to: ScrubRuleset): Promise<'unchanged' | 'changed' | 'replaced'> {
    const from = this.#standing
    const difference = scrubTransaction(from, to)
    if (difference.length === 0) return 'unchanged'
    this.forget()
    if (from !== null) {
      try {
        await this.#options.nft.apply(difference)
        this.#keep(from, to)
        return 'changed'
      } catch (error) {
        if (!(error instanceof NftError) || error.kind === 'timeout') throw error
      }
    }
    const { now } = this.#options
    const startedAtMs = now()
    await this.#options.nft.apply(scrubTransaction(null, to))
    const tookMs = now() - startedAtMs
    this.#gone.clear()
    const zeros = [...to.counters].map(name => [name, noAmount] as const)
    // All have counted from zero, from some time in between on.
    this.#reading = tookMs > mostInexactMs ? null : { takenAtMs: startedAtMs + tookMs / 2, counters: new Map(zeros) }
    this.#keep(null, to)
    return 'replaced'
  }

  /** Whatever stands is not known any more: the next `put` replaces it. */
  forget(): void {
    this.#standing = null
    this.#fingerprint = null
    this.#version += 1
  }

  /** @returns whether there was a table */
  async remove(): Promise<boolean> {
    this.forget()
    this.#reading = null
    this.#gone.clear()
    this.#elementsEndAtMs.clear()
    const { nft } = this.#options
    if ((await nft.list(tableFamily, scrubTableName, { terse: true })) === null) return false
    await nft.apply([deleteScrubTable])
    return true
  }

  /**
   * What was counted until now.
   * @returns null where the table is missing; `previous` is null where nothing can be said of the time since the last
   *          reading
   * @throws {NftError}
   */
  async read(): Promise<{ readonly previous: Reading | null; readonly current: Reading } | null> {
    const previous = this.#reading
    const first = await this.#readOnce()
    const again = first !== null && (first.tookMs > exactMs || !first.isWhole) ? await this.#readOnce() : null
    if (first === null) return null
    const reading = again === null ? first : { ...again, isWhole: again.isWhole && first.isWhole }
    this.#reading = { takenAtMs: reading.takenAtMs, counters: reading.counters }
    return { previous: reading.isWhole ? previous : null, current: this.#reading }
  }

  /** Elements of a set that the rules fill; empty where there is no such set. */
  async elements(set: string): Promise<readonly unknown[]> {
    if (!this.#standing?.sets.has(set)) return []
    return (await this.#options.nft.listElements(tableFamily, scrubTableName, set)) ?? []
  }

  /**
   * Whether what stands is what was put there last. A first look after a change of ours takes what it sees for that,
   * where it has the chains, rules, sets and counters that it should have.
   * @param after  whose change it is looked at for. A stranger may have put the table to sleep, which nft 1.0.6 does not
   *               list as JSON; adding it again wakes it
   * @throws {NftError}
   */
  async inspect(after: 'ours' | 'a stranger'): Promise<Inspected> {
    const version = this.#version
    const { nft, inspector } = this.#options
    if (this.#standing === null) return 'as-left'
    // In turn with our own changes: a table that is removed meanwhile must not come back.
    if (after === 'a stranger') await nft.apply([addScrubTable])
    const objects = await inspector.list(tableFamily, scrubTableName, { terse: true })
    const isOver = await this.#isAnyElementGone()
    // Ours has changed meanwhile, and there will be another look.
    if (version !== this.#version || this.#standing === null) return 'as-left'
    if (objects === null || isOver || !hasOutlineOf(objects, this.#standing)) return 'changed'
    const fingerprint = fingerprintOf(objects)
    this.#fingerprint ??= fingerprint
    return fingerprint === this.#fingerprint ? 'as-left' : 'changed'
  }

  /** @param counters  names of those to be kept */
  kept(counters: (name: string) => boolean): KeptTable | null {
    if (this.#standing === null || this.#fingerprint === null) return null
    return {
      rulesetHash: hashOf(this.#standing),
      fingerprint: this.#fingerprint,
      reading: this.#reading && {
        takenAtMs: this.#reading.takenAtMs,
        counters: [...this.#reading.counters].flatMap(([name, { packets, bytes }]) => {
          const gone = this.#gone.get(name) ?? noAmount
          return counters(name) ? [[name, packets, bytes, gone.packets, gone.bytes] as const] : []
        }),
      },
    }
  }

  #keep(from: ScrubRuleset | null, to: ScrubRuleset): void {
    this.#standing = to
    this.#version += 1
    for (const name of this.#gone.keys()) if (!to.counters.has(name)) this.#gone.delete(name)
    this.#noteElements(from, to)
  }

  #noteElements(from: ScrubRuleset | null, to: ScrubRuleset): void {
    const nowMs = this.#options.now()
    for (const name of this.#elementsEndAtMs.keys()) if (!to.sets.has(name)) this.#elementsEndAtMs.delete(name)
    for (const [name, { elements }] of to.sets) {
      if (elements.size === 0) continue
      const before = from?.sets.get(name)?.elements
      const isNew = before === undefined || [...elements].some(([key, seconds]) => (before.get(key) ?? 0) < seconds)
      if (isNew) this.#elementsEndAtMs.set(name, nowMs + Math.min(...elements.values()) * 1000)
    }
  }

  /** A terse listing does not show the devices of a black hole. */
  async #isAnyElementGone(): Promise<boolean> {
    for (const [name, endsAtMs] of this.#elementsEndAtMs) {
      if (endsAtMs - this.#options.now() < nearlyOverMs) continue
      const version = this.#version
      const there = await this.#options.inspector.listElements(tableFamily, scrubTableName, name)
      const expected = this.#standing?.sets.get(name)?.elements.size ?? 0
      if (version === this.#version && (there?.length ?? 0) < expected) return true
    }
    return false
  }

  async #readOnce() {
    const { now } = this.#options
    const startedAtMs = now()
    const { counters, isWhole } = await this.#readCounters()
    const tookMs = now() - startedAtMs
    // The kernel was asked somewhere in between.
    return counters === null ? null : { counters, isWhole, tookMs, takenAtMs: startedAtMs + tookMs / 2 }
  }

  async #readCounters(): Promise<{ readonly counters: Counters | null; readonly isWhole: boolean }> {
    const { nft } = this.#options
    const standing = this.#standing
    const isSmall = standing !== null && standing.sets.size === 0 && standing.counters.size <= fewCounters
    try {
      if (isSmall) return { counters: this.#sum(await nft.listCounters(tableFamily, scrubTableName)), isWhole: true }
      const counters = this.#sum(await nft.resetCounters(tableFamily, scrubTableName))
      for (const [name, amount] of counters ?? []) this.#gone.set(name, amount)
      return { counters, isWhole: true }
    } catch (error) {
      if (!(error instanceof NftError) || error.kind !== 'busy' || isSmall) throw error
    }
    // A transaction came in between, and some counters were set to zero unread: what they had is lost.
    const counters = this.#sum(await nft.resetCounters(tableFamily, scrubTableName))
    for (const [name, amount] of counters ?? []) this.#gone.set(name, amount)
    return { counters, isWhole: false }
  }

  #sum(read: Counters | null): Counters | null {
    if (read === null || this.#gone.size === 0) return read
    return new Map([...read].map(([name, amount]) => [name, addAmounts([amount, this.#gone.get(name) ?? noAmount])]))
  }
}

/** Elements have times that go by, so they are no part of it. */
function hashOf({ counters, limits, sets, chains }: ScrubRuleset): string {
  const lasting = [...sets].map(([name, { elements: _, ...set }]) => [name, set])
  return digest([[...counters], [...limits], lasting, [...chains]])
}

/** Of a terse listing, without what packets change in it: handles are given anew with each change of a chain. */
function fingerprintOf(objects: readonly NftObject[]): string {
  return digest(objects.map(object => withoutState(object)))
}

function withoutState(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutState)
  if (!isRecord(value)) return value
  const kept = Object.entries(value).filter(([key, inner]) => !isState(key, inner))
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutState(inner)]))
}

/** `count` is what nft 1.1.7 tells of a set: how many elements it has. */
function isState(key: string, value: unknown): boolean {
  return key === 'elem' || (typeof value === 'number' && ['handle', 'packets', 'bytes', 'count'].includes(key))
}

function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64')
}

/** Names of everything, and how many rules each chain has. */
function hasOutlineOf(objects: readonly NftObject[], ruleset: ScrubRuleset): boolean {
  const seen = new Map<string, number>()
  for (const object of objects) {
    const [kind = '', body] = Object.entries(object)[0] ?? []
    if (!isRecord(body) || kind === 'table') continue
    const name = kind === 'rule' ? `rule ${body.chain}` : `${kind} ${body.name}`
    seen.set(name, (seen.get(name) ?? 0) + 1)
  }
  const expected = new Map<string, number>()
  for (const name of ruleset.counters) expected.set(`counter ${name}`, 1)
  for (const name of ruleset.limits.keys()) expected.set(`limit ${name}`, 1)
  for (const name of ruleset.sets.keys()) expected.set(`set ${name}`, 1)
  for (const [name, { rules }] of ruleset.chains) {
    expected.set(`chain ${name}`, 1)
    if (rules.length > 0) expected.set(`rule ${name}`, rules.length)
  }
  return seen.size === expected.size && [...expected].every(([name, times]) => seen.get(name) === times)
}
