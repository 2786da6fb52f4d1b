/** What is no attack makes no event: a download close below a threshold, a burst that is over soon, a private backup. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Customers } from '../support/flood/customers.ts'
import type { Flood } from '../support/flood/frames.ts'
import { FloodRig } from '../support/flood/rig.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const thresholds = { bps: 5, pps: 1000 }
const burst: Flood = { kind: 'udp', family: 'ip', sources: 1000, packetBytes: 60 }

describe('traffic that is no attack', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let rig: FloodRig
  let customers: Customers

  before(async () => {
    rig = await FloodRig.start(stack, { thresholds, scrubbing: { secondsOver: 3, holdTime: 5 } })
    // With headers and the sessions some 4.3 Mbit/s.
    const options = { downloadBytesPerSecond: 500_000, knocksPerSecond: 2, patienceMs: 3000 }
    customers = stack.use(await Customers.start(rig.scene, options))
  })
  after(() => stack.disposeAsync())

  test('a download close below the threshold, and a backup from a private address far above', async () => {
    await customers.backUp(rig.scene, 5_000_000)
    // Were the backup counted, no second of it would be below. The download may have one above, where it was held up before.
    await rig.until(({ sample }) => {
      if (sample === null) return false
      return sample.all.bitsPerSecond > 2 * thresholds.bps * 1e6 && sample.offered.bitsPerSecond < thresholds.bps * 1e6
    })
    // A busy machine may not have as much at once.
    await eventually(async () => {
      await customers.service()
      await setTimeout(4000)
      const { bytesPerSecond } = await customers.service()
      assert.ok(bytesPerSecond * 8 > 0.6 * thresholds.bps * 1e6, `the download has ${bytesPerSecond} bytes a second`)
    }, 60_000)
    assert.deepEqual(await rig.events(), [])
  })

  test('a burst that is over before so many seconds', async () => {
    await using own = new AsyncDisposableStack()
    // Long enough to be looked at, and far from so many seconds, whoever is held up for one or two.
    const patient = await FloodRig.start(own, { thresholds, scrubbing: { secondsOver: 12, holdTime: 2 } })
    await using sender = await patient.sender(burst)
    const sending = sender.send({ packetsPerSecond: 10 * thresholds.pps, seconds: 4 })
    await patient.until(({ phase }) => phase === 'over')
    await sending.sent
    await patient.until(({ phase }) => phase === 'normal')
    assert.deepEqual(await patient.events(), [])
  })

  test('one that lasts longer is an event, a little above the threshold too', async () => {
    await using sender = await rig.sender(burst)
    const sending = sender.send({ packetsPerSecond: 1.1 * thresholds.pps, seconds: 110 })
    await rig.until(({ phase }) => phase === 'cleaning')
    await sending.stop()
    await rig.until(({ phase }) => phase === 'normal')
    const events = await rig.events()
    assert.equal(events.length, 1)
    const [{ trigger, phase }] = events as [(typeof events)[number]]
    assert.deepEqual({ trigger, phase }, { trigger: 'pps', phase: 'ended' })
  })
})
