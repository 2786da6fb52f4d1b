/**
 * The thresholds exactly, one packet and one byte above, with real packets and the kernel's counters: only the clock is
 * made up, so that a second is one. The pure decider has the single bit (test/agent/scrub/decide.test.ts).
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createNft } from '../../agent/nft/exec.ts'
import { decide, newState } from '../../agent/scrub/decide.ts'
import { type Reading, sampleInstances } from '../../agent/scrub/sample.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { compileScrub } from '../../rules-compiler/scrub/compile.ts'
import { scrubTableName } from '../../rules-compiler/scrub/names.ts'
import { scrubTransaction } from '../../rules-compiler/scrub/transaction.ts'
import { floodFrames } from '../support/flood/frames.ts'
import { buildScene, instanceId, type Scene, scrubPolicy } from '../support/flood/scene.ts'
import { FloodSender } from '../support/flood/sender.ts'
import { readValidPolicy } from '../support/policies.ts'
import { needsKernel } from '../support/requirements.ts'

/** A thousand packets of 125 bytes are exactly both. */
const thresholds = { bps: 1, pps: 1000 }

const rows = [
  { name: 'exactly both thresholds', packets: 1000, packetBytes: 125, phase: 'normal' },
  { name: 'one packet more, of fewer bits in all', packets: 1001, packetBytes: 100, phase: 'cleaning', trigger: 'pps' },
  {
    name: 'exactly the packets, a byte more in each',
    packets: 1000,
    packetBytes: 126,
    phase: 'cleaning',
    trigger: 'bps',
  },
] as const

describe('thresholds met and passed by real packets', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let scene: Scene

  before(async () => {
    scene = await buildScene(stack)
  })
  after(() => stack.disposeAsync())

  for (const { name, packets, packetBytes, phase, ...expected } of rows) {
    test(name, async () => {
      const policy = scrubPolicy(scene, { thresholds, scrubbing: { secondsOver: 1 } })
      const { scrub: ir } = resolvePolicy(readValidPolicy(JSON.stringify(policy)))
      const nft = createNft({ prefix: ['ip', 'netns', 'exec', scene.host.name] })
      await nft.apply(
        scrubTransaction(null, compileScrub({ ir, devices: new Set([scene.device]), defences: new Map() })),
      )
      const read = async (takenAtMs: number): Promise<Reading> => ({
        takenAtMs,
        counters: (await nft.listCounters('inet', scrubTableName))!,
      })
      const previous = await read(1000)
      await send(packets, packetBytes)
      const sample = sampleInstances(ir, previous, await read(2000)).get(instanceId)!
      assert.deepEqual(sample.amounts.offered, { packets, bytes: packets * packetBytes })
      const { status, event } = decide(newState(instanceId), {
        ir,
        instance: ir.instances[0]!,
        sample,
        sources: null,
        now: { monotonicMs: 2000, wallMs: 0 },
        newId: () => 'ddos-1',
      })
      assert.equal(status.phase, phase)
      assert.equal(event?.trigger, 'trigger' in expected ? expected.trigger : undefined)
    })
  }

  async function send(packets: number, packetBytes: number): Promise<void> {
    const frames = floodFrames({ kind: 'udp', family: 'ip', sources: 1, packetBytes }, scene.target)
    await using sender = await FloodSender.create(scene.internet, scene.internetDevice, frames)
    const sent = await sender.send({ packetsPerSecond: packets * 10, seconds: 0.1 }).sent
    assert.equal(sent.packets, packets)
  }
})
