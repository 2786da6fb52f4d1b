import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Decided, newState, resume, withdraw } from '../../../agent/scrub/decide.ts'
import { addAmounts } from '../../../agent/scrub/rates.ts'
import type { ScrubInstance, ScrubOrder } from '../../../rules-compiler/scrub/ir.ts'
import { type Loads, Trial, type TrialOptions } from '../../support/traffic.ts'

/** Thresholds are 1,000 Mbit/s and 300,000 packets/s; a black hole comes above 5,000 Mbit/s. */
const loads: Readonly<Record<string, Loads | null>> = {
  '-': { tcp: 100 },
  /** At both thresholds. */
  u: { udp: [300_000, 1_000_000_000] },
  p: { udp: [300_001, 1_000_000_000] },
  b: { udp: [300_000, 1_000_000_008] },
  o: { udp: [300_001, 1_000_000_008] },
  /** At the threshold of the black hole, and a byte above. */
  A: { udp: [600_000, 5_000_000_000] },
  B: { udp: [600_000, 5_000_000_008] },
  '.': null,
}

const letters = { normal: 'n', over: 'o', cleaning: 'c', uncleaned: 'x', 'black-hole': 'b' } as const

/** One letter a second; the phase after each. */
function play(trial: Trial, seconds: string): string {
  return [...seconds].map(letter => letters[trial.second(loads[letter]!).status.phase]).join('')
}

const hold: TrialOptions = { ir: { holdSeconds: 3 } }
const patient: TrialOptions = { ir: { holdSeconds: 3, secondsOver: 3 } }
const cancelled: TrialOptions = { ir: { holdSeconds: 3 }, instance: { scrubbing: 'cancelled' } }
const withoutThresholds: TrialOptions = { instance: { thresholds: null } }
const holes = { holdSeconds: 3, blackHoleHoldSeconds: 2, mostBlackHoleHoldSeconds: 7 }
const high = { bpsMbit: 8000, pps: 900_000, source: 'manual' } as const

const rows: readonly (readonly [name: string, options: TrialOptions, seconds: string, phases: string])[] = [
  ['quiet', hold, '-----', 'nnnnn'],
  ['at both thresholds', hold, 'uuuuu', 'nnnnn'],
  ['one packet above', hold, '-p', 'nc'],
  ['one byte above', hold, '-b', 'nc'],
  ['from the first second on', hold, 'o', 'c'],
  ['until the hold time is over', hold, '-ouuu-', 'ncccnn'],
  ['one second over begins the hold time anew', hold, '-ouuouuuo', 'nccccccnc'],
  ['seconds without a sample are not under', hold, '-ouu.....u', 'nccccccccn'],
  ['a burst of fewer seconds', patient, '-oo-oo-', 'noonoon'],
  ['as many seconds', patient, '-oooo', 'noocc'],
  ['a second without a sample breaks no row', patient, 'oo.o', 'oooc'],
  ['a long break does', patient, 'oo......oo', 'oooooonnoo'],
  ['cancelled', cancelled, '-ouuu-', 'nxxxnn'],
  ['without thresholds', withoutThresholds, '-oBo', 'nnnn'],
  ['at the threshold of the black hole', { ir: holes }, '-AA', 'ncc'],
  ['above it, then quiet', { ir: holes }, '-B------', 'nbbcccnn'],
  ['above it all the time', { ir: holes }, 'BBBBBBBBBBBBBB', 'bbbbbbbbbbbbbb'],
  ['above it, then over', { ir: holes }, 'BBoo', 'bbcc'],
  ['above it, without samples', { ir: holes }, 'B.....uuu', 'bbccccccn'],
  ['above it, cancelled', { ir: holes, instance: { scrubbing: 'cancelled' } }, '-B--', 'nbbx'],
  ['above it, not for long enough', { ir: { ...holes, secondsOver: 3 } }, 'oBBoBBB', 'ooccccb'],
  ['no black hole ever', { ir: { ...holes, blackHoleMbit: 0 } }, 'BBB', 'ccc'],
  ['thresholds above that of the black hole', { instance: { thresholds: high } }, 'BBB', 'nnn'],
]

describe('phases, second by second', () => {
  for (const [name, options, seconds, phases] of rows) {
    test(name, () => assert.equal(play(new Trial(options), seconds), phases))
  }
})

describe('a late tick', () => {
  test('counts for as many seconds as it is long', () => {
    const trial = new Trial(patient)
    trial.second(loads['-']!)
    assert.equal(trial.second(loads.o!, { intervalMs: 2000 }).status.phase, 'over')
    assert.equal(trial.second(loads.o!).status.phase, 'cleaning')
    const late = new Trial(patient)
    late.second(loads['-']!)
    assert.equal(late.second(loads.o!, { intervalMs: 3100 }).status.phase, 'cleaning')
  })

  test('does not stretch seconds that a timer makes a little short', () => {
    const trial = new Trial({ ir: { secondsOver: 5 } })
    trial.second(loads['-']!)
    for (let second = 1; second < 5; second++) trial.second(loads.o!, { intervalMs: 990 })
    assert.equal(trial.second(loads.o!, { intervalMs: 990 }).status.phase, 'cleaning')
  })

  test('nor the hold time, where they come to a little less by the clock', () => {
    const trial = new Trial(hold)
    trial.second(loads.o!)
    for (let second = 1; second < 3; second++) trial.second(loads.u!, { intervalMs: 999 })
    assert.equal(trial.second(loads.u!, { intervalMs: 999 }).status.phase, 'normal')
  })

  test('after a break does not complete the hold time', () => {
    const trial = new Trial({ ir: { holdSeconds: 10 } })
    trial.second(loads.o!)
    assert.equal(trial.second(loads.u!, { intervalMs: 3_600_000 }).status.phase, 'cleaning')
    assert.equal(play(trial, 'uuuuu'), 'ccccn')
  })
})

describe('the end of an event', () => {
  test('is told, with the hold time after the traffic went down', () => {
    const trial = new Trial({ ir: { holdSeconds: 60 } })
    trial.seconds(10, loads['-']!)
    trial.seconds(20, loads.o!)
    const downMs = trial.wallMs(trial.monotonicMs)
    const decided = trial.seconds(60, loads['-']!)
    const event = decided.event!
    assert.equal(event.phase, 'ended')
    assert.equal(event.endReason, 'subsided')
    assert.equal(Date.parse(event.endTime!) - downMs, 60_000)
    assert.equal(trial.second(loads['-']!).event, null)
    assert.deepEqual(kinds([decided]), ['end'])
  })

  test('by withdrawn thresholds', () => {
    const trial = new Trial()
    trial.second(loads.o!)
    trial.instance = { ...trial.instance, thresholds: null }
    const { event, status, defence } = trial.second(loads.o!)
    assert.deepEqual([event?.phase, event?.endReason, status.phase], ['ended', 'withdrawn', 'normal'])
    assert.deepEqual(defence, { kind: 'none' })
    assert.deepEqual(event?.thresholds, { bpsMbit: 1000, pps: 300_000 })
    assert.equal(play(trial, 'oo'), 'nn')
  })

  test('by withdrawn thresholds ends a black hole too, and says so', () => {
    const trial = new Trial()
    trial.second(loads.B!)
    trial.instance = { ...trial.instance, thresholds: null }
    const decided = trial.second(loads.B!)
    assert.deepEqual(kinds([decided]), ['lift', 'end'])
    assert.equal(decided.status.phase, 'normal')
  })

  test('of an instance that is no longer there', () => {
    const trial = new Trial()
    trial.second(loads.B!)
    const { event, notices } = withdraw(trial.state, trial.now())
    assert.deepEqual([event?.phase, event?.endReason, event?.version], ['ended', 'withdrawn', 2])
    assert.deepEqual(
      notices.map(({ kind }) => kind),
      ['lift', 'end'],
    )
    assert.deepEqual(withdraw(newState('i-1'), trial.now()), { event: null, notices: [] })
  })
})

describe('thresholds that change during an event', () => {
  test('are followed at once, and noted', () => {
    const trial = new Trial(hold)
    trial.second(loads.o!)
    trial.instance = withThresholds(trial, 500, 200_000)
    const lower = trial.second(loads.o!)
    assert.ok(lower.defence.kind === 'clean')
    assert.deepEqual(lower.defence.total, { packetsPerSecond: 200_000, bitsPerSecond: 500e6 })
    assert.deepEqual(lower.event?.thresholds, { bpsMbit: 500, pps: 200_000 })
    assert.deepEqual(kinds([lower]), ['thresholds'])
    trial.instance = withThresholds(trial, 2000, 600_000)
    assert.equal(play(trial, 'ooo'), 'ccn')
  })

  test('begin the hold time anew', () => {
    const trial = new Trial(hold)
    play(trial, 'ouu')
    trial.instance = withThresholds(trial, 1000, 300_001)
    assert.equal(play(trial, 'uuu'), 'ccn')
  })
})

describe('scrubbing cancelled', () => {
  test('and resumed in the middle of an event switches it, which goes on', () => {
    const trial = new Trial(hold)
    const set = (scrubbing: ScrubInstance['scrubbing']) => {
      trial.instance = { ...trial.instance, scrubbing }
    }
    const began = trial.second(loads.o!)
    set('cancelled')
    const stopped = trial.second(loads.o!)
    assert.deepEqual([stopped.status.phase, stopped.defence.kind], ['uncleaned', 'none'])
    set('on')
    const resumed = trial.second(loads.o!)
    assert.deepEqual([resumed.status.phase, resumed.defence.kind], ['cleaning', 'clean'])
    assert.deepEqual(kinds([stopped, resumed]), ['uncleaned', 'cleaning'])
    assert.equal(resumed.event?.id, began.event?.id)
  })
})

describe('black holes', () => {
  const ir = { holdSeconds: 3, blackHoleHoldSeconds: 10, mostBlackHoleHoldSeconds: 60 }

  test('last twice as long each time, up to the most', () => {
    const trial = new Trial({ ir })
    const told: number[] = []
    for (let second = 0; second < 300; second++) {
      const { notices } = trial.second(loads.B!)
      told.push(...notices.flatMap(({ kind, blackHole }) => (kind === 'black-hole' ? [blackHole!.holdSeconds] : [])))
    }
    assert.deepEqual(told, [10, 20, 40, 60, 60, 60, 60])
  })

  test('that follow one another are never the same defence, which the kernel would let end', () => {
    const trial = new Trial({ ir: { ...ir, mostBlackHoleHoldSeconds: 10 } })
    const defences = Array.from({ length: 60 }, () => JSON.stringify(trial.second(loads.B!).defence))
    const changes = defences.filter((defence, index) => defence !== defences[index - 1])
    assert.equal(changes.length, 6)
  })

  test('stay the same defence while they last', () => {
    const trial = new Trial({ ir })
    const defences = Array.from({ length: 10 }, () => JSON.stringify(trial.second(loads.B!).defence))
    assert.equal(new Set(defences).size, 1)
  })

  test('of the day before are forgotten', () => {
    const trial = new Trial({ ir })
    play(trial, `B${'-'.repeat(20)}`)
    trial.second(loads['-']!, { intervalMs: 24 * 3600 * 1000 })
    assert.equal(trial.second(loads.B!).status.blackHole?.holdSeconds, 10)
  })

  test('of the same day are not', () => {
    const trial = new Trial({ ir })
    play(trial, `B${'-'.repeat(20)}`)
    trial.second(loads['-']!, { intervalMs: 23 * 3600 * 1000 })
    assert.equal(trial.second(loads.B!).status.blackHole?.holdSeconds, 20)
  })

  test('begin the hold time anew, since traffic may have been taken away upstream', () => {
    const trial = new Trial({ ir })
    assert.equal(play(trial, `B${'-'.repeat(13)}`), `${'b'.repeat(10)}cccn`)
  })

  test('are told with their end', () => {
    const trial = new Trial({ ir })
    const { status, notices, event } = trial.second(loads.B!)
    assert.equal(Date.parse(status.blackHole!.endTime) - trial.wallMs(trial.monotonicMs), 10_000)
    assert.deepEqual(
      notices.map(({ kind }) => kind),
      ['start', 'black-hole', 'types'],
    )
    assert.deepEqual([event?.phase, event?.blackHoles], ['black-hole', 1])
  })
})

describe('orders', () => {
  const ir = { holdSeconds: 3, blackHoleHoldSeconds: 10, mostBlackHoleHoldSeconds: 60 }
  const give = (trial: Trial, order: ScrubOrder) => {
    trial.instance = { ...trial.instance, order }
  }
  const holeFor = (holdSeconds: number | null, id = 'o-1'): ScrubOrder => ({ id, action: 'black-hole', holdSeconds })
  const lift: ScrubOrder = { id: 'o-2', action: 'lift', holdSeconds: null }

  test('a black hole without an attack is an event of its own, once', () => {
    const trial = new Trial({ ir })
    give(trial, holeFor(2))
    const { event, status } = trial.second(loads['-']!)
    assert.deepEqual([event?.trigger, event?.phase, status.blackHole?.isManual], ['manual', 'black-hole', true])
    assert.equal(status.orderId, 'o-1')
    assert.equal(play(trial, '--------'), 'bcccnnnn')
  })

  test('are not carried out again after a restart, of the host either', () => {
    const trial = new Trial({ ir })
    give(trial, holeFor(2))
    play(trial, '------------')
    trial.restart()
    assert.equal(play(trial, '---'), 'nnn')
    trial.restart({ sameBoot: false })
    assert.equal(play(trial, '---'), 'nnn')
  })

  test('a black hole on an instance without thresholds ends the event with it', () => {
    const trial = new Trial({ ir, instance: { thresholds: null } })
    give(trial, holeFor(2))
    assert.equal(play(trial, '----'), 'bbnn')
    assert.equal(trial.events.at(-1)?.endReason, 'subsided')
  })

  test('a black hole in an event belongs to it; for the usual time if no other is said', () => {
    const trial = new Trial({ ir })
    const began = trial.second(loads.o!)
    give(trial, holeFor(null))
    const { event, status } = trial.second(loads.o!)
    assert.deepEqual([event?.id, event?.trigger], [began.event?.id, 'both'])
    assert.equal(status.blackHole?.holdSeconds, 10)
  })

  test('a black hole on top of one is another, from now on', () => {
    const trial = new Trial({ ir })
    const first = trial.second(loads.B!)
    give(trial, holeFor(10))
    const second = trial.second(loads.B!)
    assert.notDeepEqual(second.defence, first.defence)
    assert.equal(second.status.blackHole?.isManual, true)
  })

  test('a black hole that was ordered makes later ones no longer', () => {
    const trial = new Trial({ ir })
    give(trial, holeFor(1))
    play(trial, '------')
    assert.equal(trial.second(loads.B!).status.blackHole?.holdSeconds, 10)
  })

  test('a lift ends the black hole, and no other comes by itself for the hold time', () => {
    const trial = new Trial({ ir })
    play(trial, 'BB')
    give(trial, lift)
    assert.deepEqual(kinds([trial.second(loads.B!)]), ['lift', 'cleaning'])
    assert.equal(play(trial, 'BB'), 'cc')
    const again = trial.second(loads.B!)
    assert.deepEqual([again.status.phase, again.status.blackHole?.holdSeconds], ['black-hole', 20])
  })

  test('a lift without a black hole changes nothing', () => {
    const trial = new Trial({ ir })
    give(trial, lift)
    const decided = trial.second(loads['-']!)
    assert.deepEqual([decided.event, decided.status.phase, decided.status.orderId], [null, 'normal', 'o-2'])
  })
})

describe('a restart', () => {
  test('of the agent goes on with the event, and with what it does about it', () => {
    const trial = new Trial()
    const before = trial.seconds(5, loads.o!)
    trial.restart({ awayMs: 600_000 })
    const after = trial.second(null)
    assert.deepEqual(after.defence, before.defence)
    assert.equal(after.event?.id, before.status.eventId)
    assert.equal(trial.second(loads.o!).status.eventId, before.status.eventId)
  })

  test('of the agent while nobody looked is no time under the thresholds', () => {
    const trial = new Trial(hold)
    play(trial, 'ouu')
    trial.restart({ awayMs: 600_000 })
    assert.equal(trial.second(null).status.phase, 'cleaning')
  })

  test('of the agent leaves a black hole the time that it has left', () => {
    const trial = new Trial({ ir: { blackHoleHoldSeconds: 100 } })
    trial.second(loads.B!)
    trial.restart({ awayMs: 39_500 })
    assert.deepEqual(trial.decide(null).defence, { kind: 'black-hole', remainingSeconds: 61 })
    assert.deepEqual(trial.second(null).defence, { kind: 'black-hole', remainingSeconds: 61 })
  })

  test('of the agent finds a black hole at its end', () => {
    const trial = new Trial({ ir: { blackHoleHoldSeconds: 100 } })
    trial.second(loads.B!)
    trial.restart({ awayMs: 100_000 })
    assert.equal(trial.decide(null).status.phase, 'cleaning')
  })

  test('of the host ends the event, which is told once', () => {
    const trial = new Trial()
    const before = trial.seconds(20, loads.o!)
    trial.restart({ sameBoot: false })
    const { event, status, defence } = trial.decide(null)
    assert.deepEqual([event?.id, event?.endReason], [before.status.eventId, 'host-restarted'])
    assert.deepEqual([status.phase, defence.kind], ['normal', 'none'])
    const next = trial.second(loads.o!)
    assert.equal(next.event?.phase, 'cleaning')
    assert.notEqual(next.event?.id, event?.id)
  })

  test('of the host tells the end before another beginning', () => {
    const trial = new Trial()
    trial.second(loads.o!)
    trial.restart({ sameBoot: false })
    assert.equal(trial.second(loads.o!).event?.phase, 'ended')
    assert.equal(trial.second(loads.o!).event?.phase, 'cleaning')
  })

  test('of the host keeps what is usual, and how many black holes there were', () => {
    const trial = new Trial({ ir: { holdSeconds: 3, blackHoleHoldSeconds: 10, mostBlackHoleHoldSeconds: 100 } })
    trial.seconds(100, { tcp: 5000 })
    trial.second(loads.B!)
    const { baseline } = trial.state
    trial.restart({ sameBoot: false })
    assert.deepEqual(trial.state.baseline, baseline)
    assert.equal(trial.second(loads.B!).status.blackHole?.holdSeconds, 20)
  })

  test('of the host a day later forgets the black holes', () => {
    let offMs = 0
    const trial = new Trial({ wallMs: monotonicMs => Date.UTC(2026, 0, 1) + monotonicMs + offMs })
    trial.second(loads.B!)
    offMs = 25 * 3600 * 1000
    trial.restart({ sameBoot: false })
    assert.equal(trial.second(loads.B!).status.blackHole?.holdSeconds, 1800)
  })

  test('finds no state in what is not one', () => {
    const now = { monotonicMs: 0, wallMs: 0 }
    const read = (value: unknown) => resume(value, { sameBoot: true, now })
    for (const value of [undefined, null, 7, 'x', [], {}, { instanceId: 'i-1' }, { ...newState('i-1'), overMs: '1' }]) {
      assert.equal(read(value), null, JSON.stringify(value))
    }
    const whole = JSON.parse(JSON.stringify(stateInEvent()))
    assert.notEqual(read(whole), null)
    for (const path of pathsOf(whole)) assert.equal(read(without(whole, path)), null, path.join('.'))
  })

  test('takes anything from the disk without failing', () => {
    const now = { monotonicMs: 0, wallMs: 0 }
    fc.assert(fc.property(fc.anything(), value => resume(value, { sameBoot: false, now }) === null))
  })
})

function stateInEvent() {
  const trial = new Trial()
  const sources = {
    takenAtMs: 0,
    heavy: [{ address: '203.0.113.1', packets: 1, bytes: 2 }],
    sampled: [],
    sampledOneIn: 16,
  }
  trial.second(loads.B!, { sources, dropped: { 'black-hole': 7 } })
  trial.second(loads.B!, { sources, dropped: { 'black-hole': 7 } })
  return trial.state
}

/** Of every field that must be there: those by type, step, lane or sign may be left out. */
function pathsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return []
  const isPartial = ['dropped', 'byType', 'lanes', 'againstMs'].includes(path.at(-1) ?? '')
  return Object.entries(value).flatMap(([name, below]) => [
    ...(isPartial || Array.isArray(value) ? [] : [[...path, name]]),
    ...pathsOf(below, [...path, name]),
  ])
}

function without(value: unknown, [name = '', ...rest]: readonly string[]): unknown {
  const copy = structuredClone(value) as Record<string, unknown>
  if (rest.length === 0) delete copy[name]
  else copy[name] = without(copy[name], rest)
  return copy
}

describe('what is told of an event', () => {
  test('begins with the first second over, though cleaning begins later', () => {
    const trial = new Trial(patient)
    trial.second(loads['-']!)
    const fromMs = trial.wallMs(trial.monotonicMs - 5)
    play(trial, 'ooo')
    const event = trial.events[0]!
    assert.equal(Date.parse(event.startTime), fromMs)
    assert.equal(event.offered.packets, 900_003)
  })

  test('each change once, when it happens', () => {
    const trial = new Trial(hold)
    const told = [...'-ouuu-'].map(letter => kinds([trial.second(loads[letter]!)]))
    assert.deepEqual(told, [[], ['start', 'types', 'cleaning'], [], [], ['end'], []])
    const changes = trial.events.at(-1)!.changes.map(({ kind }) => kind)
    assert.deepEqual(changes, told.flat())
  })

  test('what set it off', () => {
    for (const [seconds, trigger] of [
      ['p', 'pps'],
      ['b', 'bps'],
      ['o', 'both'],
    ] as const) {
      const trial = new Trial()
      play(trial, seconds)
      assert.equal(trial.events[0]?.trigger, trigger)
    }
  })

  test('the highest rate of each measure by itself', () => {
    const trial = new Trial(hold)
    trial.second({ udp: [900_000, 500e6] })
    trial.second({ udp: [10_000, 2000e6] })
    trial.seconds(3, loads['-']!)
    const { packetsPerSecond, bitsPerSecond } = trial.events.at(-1)!.peak
    assert.deepEqual({ packetsPerSecond, bitsPerSecond }, { packetsPerSecond: 900_000, bitsPerSecond: 2000e6 })
  })

  test('mere totals every five seconds, of a long event every minute, and nothing while nothing moves', () => {
    const trial = new Trial()
    trial.seconds(31, loads.o!)
    assert.equal(trial.events.length, 7)
    trial.seconds(3600, loads.o!)
    const before = trial.events.length
    assert.ok(before < 120, `${before} versions`)
    trial.seconds(600, loads.o!)
    assert.equal(trial.events.length, before + 10)
    trial.seconds(70, null)
    assert.ok(trial.events.length <= before + 11)
  })

  test('a peak that is more than twice the one noted', () => {
    const trial = new Trial()
    const decided = [3, 4, 7, 8, 9, 15, 16].map(times => trial.second({ udp: times * 110_000 }))
    assert.deepEqual(
      decided.map(({ notices }) => notices.filter(({ kind }) => kind === 'peak').length),
      [0, 0, 1, 0, 0, 1, 0],
    )
  })

  test('of many changes the first and the last', () => {
    const trial = new Trial()
    trial.second(loads.o!)
    for (let second = 1; second < 300; second++) {
      trial.instance = { ...trial.instance, scrubbing: second % 2 === 1 ? 'cancelled' : 'on' }
      trial.second(loads.o!)
    }
    const { changes } = trial.events.at(-1)!
    assert.equal(changes.length, 100)
    assert.deepEqual([changes[0]!.kind, changes.at(-1)!.kind], ['start', 'uncleaned'])
    assert.equal(changes.at(-1)!.time, trial.events.at(-1)!.changes.at(-1)!.time)
  })

  test('who sent, heaviest first, while it is cleaned', () => {
    const trial = new Trial(hold)
    trial.second(loads.o!)
    const sampled = Array.from({ length: 30 }, (_, index) => ({
      address: `203.0.113.${index}`,
      packets: index * 100,
      bytes: index * 10_000,
    }))
    const { status } = trial.second(loads.o!, { sources: { takenAtMs: 1, heavy: [], sampled, sampledOneIn: 16 } })
    assert.equal(status.topSources.length, 10)
    assert.deepEqual(status.topSources[0], {
      address: '203.0.113.29',
      packets: 46_400,
      bytes: 4_640_000,
      share: 46_400 / 300_001,
    })
    trial.seconds(3, loads['-']!)
    assert.equal(trial.events.at(-1)!.topSources.length, 10)
    assert.deepEqual(trial.second(loads['-']!).status.topSources, [])
  })
})

const letter = fc.constantFrom(...Object.keys(loads))
const change = fc.constantFrom('cancel', 'resume', 'withdraw', 'lower', 'raise', 'hole', 'lift', 'restart', 'reboot')
const script = fc.array(
  fc.record({
    letter,
    change: fc.option(change, { freq: 8, nil: null }),
    intervalMs: fc.constantFrom(1000, 1000, 1000, 990, 1500, 4000, 30_000),
  }),
  { maxLength: 120 },
)
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never

function act(trial: Trial, name: string | null, index: number): void {
  const { instance } = trial
  switch (name) {
    case 'cancel':
    case 'resume':
      trial.instance = { ...instance, scrubbing: name === 'cancel' ? 'cancelled' : 'on' }
      break
    case 'withdraw':
      trial.instance = { ...instance, thresholds: null }
      break
    case 'lower':
      trial.instance = withThresholds(trial, 100, 30_000)
      break
    case 'raise':
      trial.instance = withThresholds(trial, 1000, 300_000)
      break
    case 'hole':
      trial.instance = { ...instance, order: { id: `o-${index}`, action: 'black-hole', holdSeconds: 5 } }
      break
    case 'lift':
      trial.instance = { ...instance, order: { id: `o-${index}`, action: 'lift', holdSeconds: null } }
      break
    case 'restart':
      trial.restart({ awayMs: 7000 })
      break
    case 'reboot':
      trial.restart({ sameBoot: false })
  }
}

function run(trial: Trial, steps: Script): readonly Decided[] {
  return steps.map(({ letter: name, change: what, intervalMs }, index) => {
    act(trial, what, index)
    return trial.second(loads[name]!, { intervalMs })
  })
}

const settings: TrialOptions = {
  ir: { holdSeconds: 4, secondsOver: 2, blackHoleHoldSeconds: 3, mostBlackHoleHoldSeconds: 9 },
}

describe('whatever happens', () => {
  // Trial checks much more in each second.
  test('an event is what its samples were', () => {
    fc.assert(
      fc.property(script, steps => {
        const trial = new Trial(settings)
        run(
          trial,
          steps.map(step => ({ ...step, change: step.change === 'hole' ? null : step.change })),
        )
        for (const { id } of trial.events) {
          const last = trial.events.findLast(event => event.id === id)!
          const samples = trial.samples.filter(({ takenAtMs, intervalMs }) => {
            const from = Date.UTC(2026, 0, 1) + takenAtMs - intervalMs
            return from >= Date.parse(last.startTime)
          })
          if (last.phase !== 'ended') continue
          const within = samples.filter(
            ({ takenAtMs }) => Date.UTC(2026, 0, 1) + takenAtMs <= Date.parse(last.endTime!),
          )
          if (steps.some(({ change: what }) => what === 'reboot')) continue
          assert.deepEqual(last.offered, addAmounts(within.map(({ amounts }) => amounts.offered)))
        }
      }),
    )
  })

  test('each defence goes with its phase, and settles when the traffic does', () => {
    fc.assert(
      fc.property(script, steps => {
        const trial = new Trial(settings)
        run(trial, steps)
        trial.instance = withThresholds(trial, 1000, 300_000)
        const last = trial.seconds(20, loads['-']!)
        assert.deepEqual([last.status.phase, last.defence.kind, trial.state.event], ['normal', 'none', null])
      }),
    )
  })

  test('the wall clock changes nothing but labels', () => {
    const wall = fc.array(fc.integer({ min: -8e15, max: 8e15 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(script, wall, (steps, clocks) => {
        let tick = 0
        const stepping = new Trial({ ...settings, wallMs: () => clocks[tick++ % clocks.length]! })
        const steady = new Trial(settings)
        // Another boot has nothing else to go by.
        const sameBoot = steps.map(step => ({ ...step, change: step.change === 'reboot' ? null : step.change }))
        assert.deepEqual(run(stepping, sameBoot).map(withoutTimes), run(steady, sameBoot).map(withoutTimes))
      }),
    )
  })
})

/** What was decided, without any text that is a time. */
function withoutTimes({ defence, event, status, notices }: Decided): unknown {
  const times = ['time', 'since', 'startTime', 'endTime']
  const json = JSON.stringify({ defence, event, status, notices }, (name, value) =>
    value instanceof Map ? [...value] : times.includes(name) && value !== null ? 'time' : value,
  )
  return JSON.parse(json)
}

function withThresholds(trial: Trial, bpsMbit: number, pps: number): ScrubInstance {
  return { ...trial.instance, thresholds: { bpsMbit, pps, source: 'manual' } }
}

function kinds(decided: readonly Decided[]): readonly string[] {
  return decided.flatMap(({ notices }) => notices.map(({ kind }) => kind))
}
