/** The samples of the last hour of one instance, in arrays of numbers: an hour is 3,600 of them. */
import { type TrafficType, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import type { DdosSample } from '../../wire/ddos.ts'

/** What was dropped is the difference of the two; by which steps is kept in the event. */
export type RingSample = Omit<DdosSample, 'instanceId' | 'dropped'>

/** Interval, then offered, passed, all and each type, each as packets and bits a second. */
const columns = 1 + 2 * (3 + trafficTypes.length)
const rowBytes = columns * Float32Array.BYTES_PER_ELEMENT + Float64Array.BYTES_PER_ELEMENT
const firstRows = 64
const rowsOfAnHour = 3_600
const fewestRows = 300
/** For all instances of a host together: an hour of a hundred. */
const mostBytes = 32 * 1024 * 1024

/** How many samples each of so many instances may keep: an hour, and less from about a hundred instances on. */
export function ringCapacity(instances: number): number {
  const rows = Math.floor(mostBytes / rowBytes / Math.max(1, instances))
  return Math.min(rowsOfAnHour, Math.max(fewestRows, rows))
}

export class SampleRing {
  #capacity: number
  /** Milliseconds since 1970. */
  #times: Float64Array
  /** 24 bits of a rate are enough to look at. */
  #rates: Float32Array
  /** Row of the oldest. */
  #first = 0
  #length = 0

  constructor(capacity: number) {
    const rows = Math.min(firstRows, capacity)
    this.#capacity = capacity
    this.#times = new Float64Array(rows)
    this.#rates = new Float32Array(rows * columns)
  }

  get length(): number {
    return this.#length
  }

  /** The oldest are forgotten where there are more already. */
  setCapacity(capacity: number): void {
    if (capacity === this.#capacity) return
    this.#capacity = capacity
    if (this.#rows > capacity) this.#resize(capacity)
  }

  add(sample: DdosSample): void {
    if (this.#length === this.#rows && this.#rows < this.#capacity) {
      this.#resize(Math.min(this.#rows * 2, this.#capacity))
    }
    const row = (this.#first + this.#length) % this.#rows
    if (this.#length === this.#rows) this.#first = (this.#first + 1) % this.#rows
    else this.#length += 1
    this.#times[row] = Date.parse(sample.time)
    const { offered, passed, all, byType } = sample
    const rates = [offered, passed, all, ...trafficTypes.map(type => byType[type])]
    this.#rates.set(
      [sample.intervalSeconds, ...rates.flatMap(rate => [rate?.packetsPerSecond ?? 0, rate?.bitsPerSecond ?? 0])],
      row * columns,
    )
  }

  /** Oldest first. */
  list(): readonly RingSample[] {
    return Array.from({ length: this.#length }, (_, index) => this.#read((this.#first + index) % this.#rows))
  }

  get #rows(): number {
    return this.#times.length
  }

  #read(row: number): RingSample {
    const [intervalSeconds = 0, ...numbers] = this.#rates.subarray(row * columns, (row + 1) * columns)
    const rate = (index: number) => ({
      packetsPerSecond: numbers[2 * index] ?? 0,
      bitsPerSecond: numbers[2 * index + 1] ?? 0,
    })
    const byType: Partial<Record<TrafficType, ReturnType<typeof rate>>> = {}
    trafficTypes.forEach((type, index) => {
      const { packetsPerSecond, bitsPerSecond } = rate(3 + index)
      if (packetsPerSecond > 0) byType[type] = { packetsPerSecond, bitsPerSecond }
    })
    const time = new Date(this.#times[row] ?? 0).toISOString()
    return { time, intervalSeconds, offered: rate(0), passed: rate(1), all: rate(2), byType }
  }

  #resize(rows: number): void {
    const kept = Math.min(this.#length, rows)
    const times = new Float64Array(rows)
    const rates = new Float32Array(rows * columns)
    for (let index = 0; index < kept; index += 1) {
      const row = (this.#first + this.#length - kept + index) % this.#rows
      times[index] = this.#times[row] ?? 0
      rates.set(this.#rates.subarray(row * columns, (row + 1) * columns), index * columns)
    }
    this.#times = times
    this.#rates = rates
    this.#first = 0
    this.#length = kept
  }
}
