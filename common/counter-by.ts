import { Counter, type Registry } from 'prom-client'

export interface CounterByOptions<L extends string> {
  readonly name: string
  readonly help: string
  readonly label: L
  readonly values: readonly string[]
  readonly registers: Registry[]
}

/** A counter with one label and each of its values from the start: the rate of what never happened is 0, and not missing. */
export function counterBy<L extends string>({ label, values, ...options }: CounterByOptions<L>): Counter<L> {
  const counter = new Counter<L>({ ...options, labelNames: [label] })
  for (const value of values) counter.labels(value).inc(0)
  return counter
}
