/** What passes when everything is flooded: within 5 % of the threshold over ten seconds, no second above twice of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { families } from '../../rules-compiler/address/cidr.ts'
import type { TrafficAmount, TrafficRate } from '../../rules-compiler/model/traffic.ts'
import { type Flood, floodFrames } from '../support/flood/frames.ts'
import { between, type Interval, type Observed, Observer, windows } from '../support/flood/observer.ts'
import { buildScene, type Scene } from '../support/flood/scene.ts'
import { FloodSender } from '../support/flood/sender.ts'
import { makeScrubIr } from '../support/ir.ts'
import { needsKernel } from '../support/requirements.ts'
import { makeCleaning, ScrubbedHost } from '../support/scrub-table.ts'

const threshold: TrafficRate = { packetsPerSecond: 1000, bitsPerSecond: 5_000_000 }

interface Case {
  readonly name: string
  readonly flood: Omit<Flood, 'family'>
  readonly packetsPerSecond: number
  /** An amount, as a part of what the threshold is in that time. */
  readonly part: (amount: TrafficAmount, seconds: number) => number
}

/** Eight times the threshold, and of many sources, so that only the total holds them. */
const cases: readonly Case[] = [
  {
    name: 'packets',
    flood: { kind: 'udp', sources: 5000, packetBytes: 60 },
    packetsPerSecond: 8000,
    part: ({ packets }, seconds) => packets / seconds / threshold.packetsPerSecond,
  },
  {
    name: 'bits',
    flood: { kind: 'udp', sources: 5000, packetBytes: 1400 },
    packetsPerSecond: 3600,
    part: ({ bytes }, seconds) => (bytes * 8) / seconds / threshold.bitsPerSecond,
  },
  {
    // They get no further than the device.
    name: 'packets that are fragments',
    flood: { kind: 'fragments', sources: 5000, packetBytes: 60 },
    packetsPerSecond: 8000,
    part: ({ packets }, seconds) => packets / seconds / threshold.packetsPerSecond,
  },
]

/** They take their time and little else. */
describe('what passes', { skip: needsKernel, concurrency: true }, () => {
  for (const family of families) {
    for (const { name, flood, packetsPerSecond, part } of cases) {
      test(`${name}, ${family}`, async () => {
        await using stack = new AsyncDisposableStack()
        const scene = await buildScene(stack)
        await new ScrubbedHost(scene.host).load({
          ir: makeScrubIr([{ enis: [{ id: 'eni-1', device: scene.device, placement: 'host' }] }]),
          devices: new Set([scene.device]),
          defences: new Map([['i-1', makeCleaning({ total: threshold })]]),
        })
        const frames = floodFrames({ ...flood, family }, scene.target)
        await using sender = await FloodSender.create(scene.internet, scene.internetDevice, frames)
        const observations = await observe(scene, sender, packetsPerSecond)
        const passed = ({ passed, seconds }: Interval) => part(passed, seconds)
        const seconds = windows(observations, 1).map(passed)
        const tens = windows(observations, 10).map(passed)
        const text = [seconds, tens].map(parts => parts.map(each => each.toFixed(3)).join(' ')).join('; ')
        assert.ok(tens.length > 0)
        assert.ok(
          seconds.every(each => each <= 2),
          text,
        )
        assert.ok(
          tens.every(each => each <= 1.05),
          text,
        )
        // On a busy machine the flood may have a break, in which nothing can pass.
        const brokenOff = observations.findIndex((to, index) => {
          const from = observations[index - 1]
          if (from === undefined) return false
          const { offered, seconds } = between(from, to)
          return part(offered, seconds) < 1
        })
        const flooded = brokenOff === -1 ? observations : observations.slice(0, brokenOff)
        const [first, last] = [flooded[0]!, flooded.at(-1)!]
        const leastSeconds = (last.askedAtMs - first.atMs) / 1000
        assert.ok(leastSeconds > 2, `flooded for ${leastSeconds} s`)
        assert.ok(part(between(first, last).passed, leastSeconds) >= 0.85, text)
      })
    }
  }
})

/** Once a second, from the first packet of a flood, which finds all buckets full. */
async function observe(scene: Scene, sender: FloodSender, packetsPerSecond: number): Promise<readonly Observed[]> {
  await using observer = await Observer.start(scene.host, scene.device)
  const begun = await observer.look()
  const sending = sender.send({ packetsPerSecond, seconds: 60 })
  const { before: last } = await observer.until(seen => seen.offered.packets > begun.offered.packets, 20_000)
  const observations = [last]
  for (let second = 0; second < 12; second += 1) {
    await setTimeout(1000)
    observations.push(await observer.look())
  }
  await sending.stop()
  return observations
}
