/**
 * A table of its own that counts what arrives in scope, before traffic scrubbing and behind it: what the agent says of a
 * flood is compared with it.
 *
 * | hook       | priority | counts                                                                        |
 * | ---------- | -------- | ----------------------------------------------------------------------------- |
 * | ingress    | -510     | offered; scrubbing's own hook there is -500                                   |
 * | ingress    | -490     | fragments that passed it: conntrack holds them back until their packet is whole |
 * | prerouting | -151     | all else that passed; between scrubbing and the policy (-150)                 |
 */
import { setTimeout } from 'node:timers/promises'
import type { Namespace } from '../../../lab/netns.ts'
import type { TrafficAmount } from '../../../rules-compiler/model/traffic.ts'

const closeLookMs = 10

const outOfScope = `
    ip saddr { 10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16 } return
    ip6 saddr { fc00::/7, fe80::/10 } return`

const table = (device: string, ideal: string | null) => `
table inet observer {
  counter offered { }
  counter ideal { }
  counter fragments { }
  counter passed { }
  chain offered {
    type filter hook ingress device "${device}" priority -510
    ${outOfScope}
    meta protocol { ip, ip6 } counter name offered
    ${ideal === null ? '' : `meta protocol { ip, ip6 } limit rate ${ideal} counter name ideal`}
  }
  chain fragments {
    type filter hook ingress device "${device}" priority -490
    ${outOfScope}
    ip frag-off & 0x3fff != 0 counter name fragments
    exthdr frag exists counter name fragments
  }
  chain passed {
    type filter hook prerouting priority -151
    iifname != "${device}" return
    ${outOfScope}
    counter name passed
  }
}`

/** On performance.now()'s clock: the kernel was asked after `askedAtMs` and had answered before `atMs`. */
export interface Observed {
  readonly askedAtMs: number
  readonly atMs: number
  readonly offered: TrafficAmount
  /** What an ideal limit would pass of what is offered. */
  readonly ideal: TrafficAmount
  readonly passed: TrafficAmount
}

/** What was seen between two observations. */
export interface Interval {
  readonly fromMs: number
  /** As many as it may have been: on a busy machine each answer comes late by another time. */
  readonly seconds: number
  readonly offered: TrafficAmount
  readonly passed: TrafficAmount
}

export class Observer implements AsyncDisposable {
  readonly #namespace: Namespace
  readonly #stopping = new AbortController()
  /** One each second or so, from the start on. */
  readonly observations: Observed[] = []
  #watching: Promise<void> = Promise.resolve()

  private constructor(namespace: Namespace) {
    this.#namespace = namespace
  }

  /** @param ideal  rate and burst of a limit, in nft's words: what it would pass of what is offered is counted */
  static async start(namespace: Namespace, device: string, ideal: string | null = null): Promise<Observer> {
    await namespace.run('nft', ['-f', '-'], { input: table(device, ideal) })
    const observer = new Observer(namespace)
    observer.#watching = observer.#watch()
    return observer
  }

  async look(): Promise<Observed> {
    const askedAtMs = performance.now()
    const { stdout } = await this.#namespace.run('nft', ['-j', 'list', 'counters', 'table', 'inet', 'observer'])
    const { nftables }: { nftables: { counter?: TrafficAmount & { name: string } }[] } = JSON.parse(stdout)
    const amountOf = (wanted: string): TrafficAmount => {
      const { packets, bytes } = nftables.find(({ counter }) => counter?.name === wanted)!.counter!
      return { packets, bytes }
    }
    const passed = add(amountOf('passed'), amountOf('fragments'))
    return { askedAtMs, atMs: performance.now(), offered: amountOf('offered'), ideal: amountOf('ideal'), passed }
  }

  /** The first look at which it holds, from now on, and the one before. @throws {Error} if there is none in time */
  async until(
    holds: (seen: Observed) => boolean,
    timeoutMs: number,
  ): Promise<{ readonly before: Observed; readonly first: Observed }> {
    const deadline = performance.now() + timeoutMs
    let before = await this.look()
    for (;;) {
      await setTimeout(closeLookMs)
      const first = await this.look()
      if (holds(first)) return { before, first }
      if (first.atMs > deadline) throw new Error(`What was waited for did not arrive: ${JSON.stringify(first)}`)
      before = first
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await this.#watching
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      this.observations.push(await this.look())
      await setTimeout(1000, null, { signal }).catch(() => {})
    }
  }
}

export function between(earlier: Observed, later: Observed): Interval {
  return {
    fromMs: earlier.atMs,
    seconds: (later.atMs - earlier.askedAtMs) / 1000,
    offered: subtract(later.offered, earlier.offered),
    passed: subtract(later.passed, earlier.passed),
  }
}

function add(a: TrafficAmount, b: TrafficAmount): TrafficAmount {
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes }
}

function subtract(a: TrafficAmount, b: TrafficAmount): TrafficAmount {
  return { packets: a.packets - b.packets, bytes: a.bytes - b.bytes }
}

/** Every stretch of observations that is so long, or as little longer as can be. */
export function windows(observations: readonly Observed[], seconds: number): readonly Interval[] {
  // What is observed each second comes a little late each time, and a timer may be a little early.
  const leastMs = seconds * 1000 - 50
  return observations.flatMap((from, index) => {
    const to = observations.slice(index + 1).find(({ atMs }) => atMs - from.atMs >= leastMs)
    return to === undefined ? [] : [between(from, to)]
  })
}
