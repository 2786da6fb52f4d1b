/** Well-behaved traffic goes on while floods are cleaned, by the ruleset alone: what is known comes first. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { families } from '../../rules-compiler/address/cidr.ts'
import type { TrafficRate } from '../../rules-compiler/model/traffic.ts'
import type { Cleaning, Defence } from '../../rules-compiler/scrub/defence.ts'
import { Customers } from '../support/flood/customers.ts'
import { floodFrames, type PureFloodKind } from '../support/flood/frames.ts'
import { buildScene } from '../support/flood/scene.ts'
import { FloodSender } from '../support/flood/sender.ts'
import { makeScrubIr } from '../support/ir.ts'
import { needsKernel } from '../support/requirements.ts'
import { makeCleaning, ScrubbedHost } from '../support/scrub-table.ts'

const total: TrafficRate = { packetsPerSecond: 1000, bitsPerSecond: 5_000_000 }
const thresholds = { bpsMbit: 5, pps: 1000, source: 'manual' } as const
/** A third of the total in bits. */
const downloadBytesPerSecond = 200_000
const lane: TrafficRate = { packetsPerSecond: 300, bitsPerSecond: 1_000_000 }

const floods: readonly { readonly kind: PureFloodKind; readonly name: string; readonly cleaning: Partial<Cleaning> }[] =
  [
    { kind: 'udp', name: 'limited with everything else', cleaning: {} },
    { kind: 'udp', name: 'in a lane', cleaning: { lanes: new Map([['udp', lane]]) } },
    { kind: 'syn', name: 'in a lane', cleaning: { lanes: new Map([['syn', lane]]) } },
    { kind: 'ack', name: 'without sessions', cleaning: { dropSessionless: true } },
  ]

describe('service during floods of ten times the threshold', { skip: needsKernel, concurrency: 4 }, () => {
  for (const { kind, name, cleaning } of floods) {
    for (const family of families) {
      test(`${kind}, ${name}, ${family}`, async () => {
        await using stack = new AsyncDisposableStack()
        const scene = await buildScene(stack)
        const host = new ScrubbedHost(scene.host)
        const defend = (defence: Defence) =>
          host.load({
            // With thresholds conntrack follows sessions before it is needed.
            ir: makeScrubIr([{ enis: [{ id: 'eni-1', device: scene.device, placement: 'host' }], thresholds }]),
            devices: new Set([scene.device]),
            defences: new Map([['i-1', defence]]),
          })
        await defend({ kind: 'none' })
        const rates = { downloadBytesPerSecond, knocksPerSecond: 3, patienceMs: 10_000 }
        const customers = stack.use(await Customers.start(scene, rates))
        await defend(makeCleaning({ total, ...cleaning }))
        const frames = floodFrames({ kind, family, sources: 10_000, packetBytes: 100 }, scene.target)
        await using sender = await FloodSender.create(scene.internet, scene.internetDevice, frames)
        // Sources become known with their first packets after cleaning began.
        await sender.send({ packetsPerSecond: 10_000, seconds: 2 }).sent
        await customers.service()
        await sender.send({ packetsPerSecond: 10_000, seconds: 6 }).sent
        const service = await customers.service()
        assert.deepEqual(service.brokenSessions, [])
        assert.ok(service.answered >= service.asked * 0.9, `${service.answered} of ${service.asked} answered`)
        // As many as there were to download: a server that was held up by a busy machine has less.
        assert.ok(
          service.downloadedBytes > service.wantedBytes * 0.8,
          `${service.downloadedBytes} of ${service.wantedBytes} bytes`,
        )
        assert.ok(service.connectMs.length > 0, 'no newcomer was answered')
      })
    }
  }
})
