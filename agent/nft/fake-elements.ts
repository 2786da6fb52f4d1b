/** Elements of sets and maps as the fake keeps them: what the kernel and nft 1.0.6 accept, refuse and delete. */
import { addressValue, familyOf, makeCidr } from '../../rules-compiler/address/cidr.ts'
import { protocolNumber } from '../../rules-compiler/nft/canonical.ts'
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import type { NftErrorKind } from './errors.ts'

export interface FakeElement {
  /** As given, without the wrapping: what a listing shows. */
  readonly val: unknown
  /** First and last value of each field, in the order of the set's type; a name stands for itself. */
  readonly box: readonly Interval[]
  /** Maps only. */
  readonly data?: unknown
  readonly comment?: string
  readonly counter?: Hits
}

export interface Hits {
  readonly packets: number
  readonly bytes: number
}

type Interval = readonly [first: bigint | string, last: bigint | string]

/** How elements of a set stand in one another's way. */
export type ElementRules = 'hash' | 'interval' | 'concatenated interval'

export type Refusal = readonly [kind: NftErrorKind, message: string]

/** @param counted  whether the set has a counter in each element */
export function readElement(given: unknown, isMap: boolean, counted: boolean): FakeElement {
  const [key, data] = isMap && Array.isArray(given) ? given : [given, undefined]
  const body: Readonly<Record<string, unknown>> = isRecord(key) && isRecord(key.elem) ? key.elem : { val: key }
  const comment = body.comment
  return {
    val: body.val,
    box: readBox(body.val),
    ...(data !== undefined && { data }),
    ...(typeof comment === 'string' && { comment }),
    ...(counted && { counter: isRecord(body.counter) ? (body.counter as unknown as Hits) : noHits }),
  }
}

export const noHits: Hits = { packets: 0, bytes: 0 }

/** Whether the element may be added; null where it may, and `same` where it is there already. */
export function refusalToAdd(
  elements: ReadonlyMap<string, FakeElement>,
  added: FakeElement,
  rules: ElementRules,
): Refusal | 'same' | null {
  const twin = elements.get(elementKey(added))
  if (twin !== undefined) return equal(twin.data, added.data) ? 'same' : ['exists', 'File exists']
  if (rules === 'hash') return null
  const overlaps = [...elements.values()].some(element =>
    rules === 'interval' ? boxesMeet(element, added) : holdsStart(element, added) || holdsEnd(element, added),
  )
  if (!overlaps) return null
  return ['exists', rules === 'interval' ? 'interval overlaps with an existing one' : 'File exists']
}

/**
 * Which element a deletion takes away. In a concatenated interval set that is the first one that holds the start of
 * the key, though it may be another (baselines of nft 1.0.6 on Linux 6.18): callers delete only what they have read.
 * @returns the key it is kept under, or null where there is none
 */
export function elementToDelete(
  elements: ReadonlyMap<string, FakeElement>,
  deleted: FakeElement,
  rules: ElementRules,
): string | null {
  const key = elementKey(deleted)
  if (elements.has(key)) return key
  if (rules !== 'concatenated interval') return null
  for (const [name, element] of elements) if (holdsStart(element, deleted)) return name
  return null
}

export function elementKey(element: FakeElement): string {
  return element.box.map(([first, last]) => `${first}-${last}`).join(' ')
}

/** As `nft -j list` shows it. */
export function elementListing(element: FakeElement): unknown {
  const { val, data, comment, counter } = element
  const wrapped = comment !== undefined || counter !== undefined
  const key = wrapped ? { elem: { val, ...(comment !== undefined && { comment }), ...(counter && { counter }) } } : val
  return data === undefined ? key : [key, data]
}

function readBox(val: unknown): readonly Interval[] {
  if (isRecord(val) && Array.isArray(val.concat)) return val.concat.map(readInterval)
  return [readInterval(val)]
}

function readInterval(part: unknown): Interval {
  if (isRecord(part) && Array.isArray(part.range)) {
    const [first, last] = part.range
    return [readValue(first), readValue(last)]
  }
  if (isRecord(part) && isRecord(part.prefix)) {
    const { addr, len } = part.prefix
    const cidr = makeCidr(familyOf(String(addr)), addressValue(String(addr)), Number(len))
    return [cidr.first, cidr.last]
  }
  return [readValue(part), readValue(part)]
}

/** Addresses, numbers and names of protocols become numbers; anything else, a device say, stays a name. */
function readValue(value: unknown): bigint | string {
  if (typeof value === 'number') return BigInt(value)
  const text = String(value)
  if (/^[\d.]+$/.test(text) && text.includes('.')) return addressValue(text)
  if (/^[\da-f:.]+$/i.test(text) && text.includes(':')) return addressValue(text)
  const number = protocolNumber(text)
  return typeof number === 'number' ? BigInt(number) : text
}

function holdsStart(outer: FakeElement, inner: FakeElement): boolean {
  return outer.box.every(([first, last], index) => within(first, last, inner.box[index]?.[0]))
}

function holdsEnd(outer: FakeElement, inner: FakeElement): boolean {
  return outer.box.every(([first, last], index) => within(first, last, inner.box[index]?.[1]))
}

function boxesMeet(a: FakeElement, b: FakeElement): boolean {
  return a.box.every(([first, last], index) => {
    const other = b.box[index]
    return other !== undefined && first <= other[1] && other[0] <= last
  })
}

function within(first: bigint | string, last: bigint | string, value: bigint | string | undefined): boolean {
  return value !== undefined && first <= value && value <= last
}

function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
