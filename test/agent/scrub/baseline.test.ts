import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Baseline, learn, noBaseline, propose, quantile, type Sketch } from '../../../agent/scrub/baseline.ts'
import { type Load, makeSample, Trial } from '../../support/traffic.ts'

const maximum = { maxBpsMbit: 1000, maxPps: 300_000 }

function learnt(seconds: number, load: Load | ((second: number) => Load), intervalMs = 1000): Baseline {
  let baseline = noBaseline
  for (let second = 0; second < seconds; second++) {
    const udp = typeof load === 'function' ? load(second) : load
    baseline = learn(baseline, makeSample({ udp }, { intervalMs }))
  }
  return baseline
}

describe('what is usual', () => {
  test('is nothing at first, and the average soon', () => {
    assert.equal(noBaseline.usual.udp.packetsPerSecond, 0)
    assert.equal(learnt(1, 500).usual.udp.packetsPerSecond, 500)
    assert.equal(learnt(10, second => second * 100).usual.udp.packetsPerSecond, 450)
  })

  test('follows within some minutes', () => {
    const usual = learnt(2400, second => (second < 1200 ? 1000 : 5000)).usual.udp.packetsPerSecond
    assert.ok(usual > 4300 && usual < 5000, `${usual}`)
  })

  test('is the same however long the samples are', () => {
    const late = learnt(10, 700, 5000)
    assert.deepEqual([late.seconds, late.usual.udp.packetsPerSecond], [50, 700])
  })

  test('is not learnt from an attack', () => {
    const trial = new Trial()
    trial.seconds(60, { udp: 1000 })
    const { baseline } = trial.state
    trial.seconds(30, { udp: 1_000_000 })
    trial.seconds(30, { udp: 200_000 })
    assert.deepEqual(trial.state.baseline, baseline)
  })
})

describe('a sketch', () => {
  test('gives any quantile, a bin too high at most', () => {
    const rates = fc.array(fc.integer({ min: 0, max: 1e9 }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(rates, fc.double({ min: 0.01, max: 1, noNaN: true }), (list, share) => {
        const sketch = learnt(list.length, second => list[second]!).sketches.packetsPerSecond
        const sorted = [...list].sort((x, y) => x - y)
        // Seconds fade by some hundredths of a percent meanwhile, and rates are rounded.
        const at = (place: number) =>
          sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(place * sorted.length) - 1))]!
        const found = quantile(sketch, share)
        assert.ok(found >= at(share - 0.005) - 1, `${found} of ${at(share)}`)
        assert.ok(found <= at(share + 0.005) * 1.1 + 2, `${found} of ${at(share)}`)
      }),
    )
    assert.equal(quantile([], 0.5), 0)
  })

  test('is bounded, whatever is seen', () => {
    const { sketches } = learnt(20_000, second => (second * 7919 * 104_729) % 1e9)
    assert.ok(sketches.packetsPerSecond.length < 300)
    assert.ok(JSON.stringify(sketches).length < 20_000)
  })

  test('forgets what was long ago', () => {
    const day = 24 * 3600
    const before: Sketch = learnt(1000, 200_000).sketches.packetsPerSecond
    let baseline: Baseline = { ...noBaseline, sketches: { packetsPerSecond: before, bitsPerSecond: before } }
    for (let hour = 0; hour < 24 * 10; hour++) {
      baseline = learn(baseline, makeSample({ udp: 100 }, { intervalMs: (day / 24) * 1000 }))
    }
    assert.ok(quantile(baseline.sketches.packetsPerSecond, 0.999) < 110)
  })
})

describe('a proposal', () => {
  test('is none before there is enough to go by', () => {
    assert.equal(propose(noBaseline, maximum, 0), null)
    assert.equal(propose(learnt(59, 5000), maximum, 60), null)
    assert.notEqual(propose(learnt(60, 5000), maximum, 60), null)
    assert.equal(propose(learnt(600, 5000), maximum), null)
  })

  const rows = [
    ['is twice what is seen', [20_000, 80e6], maximum, [160, 40_000]],
    ['is never above the maximum', [200_000, 800e6], maximum, [1000, 300_000]],
    ['is never so low that one download exceeds it', [10, 1000], maximum, [10, 2000]],
    ['is not above a maximum that is lower still', [10, 1000], { maxBpsMbit: 5, maxPps: 500 }, [5, 500]],
    ['needs no maximum', [2_000_000, 8e9], null, [16_000, 4_000_000]],
  ] as const
  for (const [name, load, most, [bpsMbit, pps]] of rows) {
    test(name, () => {
      const proposed = propose(learnt(100, load), most, 60)!
      assert.ok(proposed.bpsMbit >= bpsMbit && proposed.bpsMbit <= bpsMbit * 1.1, `${proposed.bpsMbit} Mbit/s`)
      assert.ok(proposed.pps >= pps && proposed.pps <= pps * 1.1, `${proposed.pps} packets/s`)
      assert.ok(proposed.pps <= (most?.maxPps ?? Number.POSITIVE_INFINITY))
    })
  }

  test('leaves out one second in two thousand', () => {
    const busy = propose(
      learnt(4000, second => (second % 2000 === 0 ? 100_000 : 5000)),
      maximum,
      60,
    )!
    assert.ok(busy.pps < 12_000, `${busy.pps}`)
  })

  test('is part of the status, and changes no threshold', () => {
    const trial = new Trial({ proposalAfterSeconds: 60 })
    assert.equal(trial.seconds(59, { udp: 5000 }).status.proposal, null)
    const { status, defence } = trial.second({ udp: 5000 })
    assert.ok(status.proposal !== null && status.proposal.pps < 12_000)
    assert.equal(defence.kind, 'none')
    assert.equal(trial.second({ udp: 250_000 }).status.phase, 'normal')
  })

  test('goes on after a restart', () => {
    const trial = new Trial({ proposalAfterSeconds: 60 })
    const before = trial.seconds(60, { udp: 5000 }).status.proposal
    trial.restart({ sameBoot: false })
    assert.deepEqual(trial.decide(null).status.proposal, before)
  })
})
