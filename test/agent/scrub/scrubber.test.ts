/** The loop, second by second: on an nft in memory, with a clock that the test moves. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Registry } from 'prom-client'
import { NftError } from '../../../agent/nft/errors.ts'
import { createFakeNft, type FakeNft } from '../../../agent/nft/fake.ts'
import type { Nft } from '../../../agent/nft/nft.ts'
import type { Device } from '../../../agent/reconcile/devices.ts'
import { KeptState } from '../../../agent/scrub/kept-state.ts'
import { createScrubMetrics } from '../../../agent/scrub/metrics.ts'
import { Scrubber, type ScrubberOptions } from '../../../agent/scrub/scrubber.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import type { ScrubInstance, ScrubIr } from '../../../rules-compiler/scrub/ir.ts'
import {
  defenceChain,
  eniChain,
  heavySet,
  offeredCounter,
  scrubTableName,
} from '../../../rules-compiler/scrub/names.ts'
import type { DdosEvent, DdosStatus } from '../../../wire/ddos.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { makeEni, makeIr, makeScrubIr } from '../../support/ir.ts'

const thresholds = { bpsMbit: 10, pps: 1_000, source: 'manual' } as const
const eth0: Device = { index: 7, name: 'eth0' }
const udp = offeredCounter('eni-1', 'udp')

interface Rig {
  readonly nft: FakeNft
  readonly clock: HandClock
  readonly scrubber: Scrubber
  readonly events: DdosEvent[]
  readonly log: string[]
  readonly registry: Registry
  statuses: readonly DdosStatus[]
  /** The next second, with so many UDP packets of 100 bytes in it before. */
  second(packets?: number): Promise<void>
  settled(): Promise<void>
}

/** To be closed before the folder they write to goes. */
const rigs: Rig[] = []

interface RigOptions extends Partial<Pick<ScrubberOptions, 'kept' | 'bootId'>> {
  readonly nft?: FakeNft
  /** Stands before the nft of the scrubber. */
  readonly through?: (nft: FakeNft) => Nft
  readonly clock?: HandClock
  readonly policy?: PolicyIr
  readonly links?: readonly Device[]
}

function policyOf(instances: readonly Partial<ScrubInstance>[], facts: Partial<ScrubIr> = {}): PolicyIr {
  return { ...makeIr(makeEni([])), scrub: makeScrubIr(instances, facts) }
}

async function makeRig(options: RigOptions = {}): Promise<Rig> {
  const {
    nft = createFakeNft(),
    clock = new HandClock(1_000_000),
    policy = policyOf([{ thresholds }], { holdSeconds: 3 }),
  } = options
  const registry = new Registry()
  const log: string[] = []
  const note = (level: string) => (_: unknown, message?: string) => void log.push(`${level}: ${message ?? String(_)}`)
  const logger = { debug() {}, info: note('info'), warn: note('warn'), error: note('error') }
  const through = options.through?.(nft) ?? nft
  const rig: Rig = {
    nft,
    clock,
    events: [],
    log,
    registry,
    statuses: [],
    scrubber: new Scrubber({
      nft: through,
      inspector: nft,
      log: logger as unknown as ScrubberOptions['log'],
      metrics: createScrubMetrics(registry),
      clock: {
        monotonicMs: () => clock.now(),
        wallMs: () => clock.now() + 1e12,
        after: (ms, task) => clock.after(ms, task),
      },
      kept: options.kept ?? null,
      bootId: options.bootId ?? 'boot-1',
      onSecond: statuses => {
        rig.statuses = statuses
      },
      onEvent: event => rig.events.push(event),
      onNotice() {},
    }),
    async second(packets = 0) {
      if (packets > 0) nft.count(scrubTableName, udp, { packets, bytes: packets * 100 })
      clock.advance(Math.max(0, clock.waits[0] ?? 1000))
      await rig.settled()
    },
    async settled() {
      // The next second is planned when this one is done; what is read or written meanwhile takes some turns.
      for (let turns = 0; turns < 200; turns += 1) await new Promise(resolve => setImmediate(resolve))
    },
  }
  rigs.push(rig)
  await rig.scrubber.start(options.links ?? [eth0])
  rig.scrubber.setPolicy(policy)
  await rig.settled()
  return rig
}

/** Of ENIs and instances. */
async function chainsOf(nft: FakeNft): Promise<readonly string[]> {
  const objects = (await nft.list('inet', scrubTableName)) ?? []
  const names = objects.flatMap(object => ('chain' in object ? [(object.chain as { name: string }).name] : []))
  return names.filter(name => !name.startsWith('_host/'))
}

async function metric(rig: Rig, name: string): Promise<number | undefined> {
  const found = (await rig.registry.metrics())
    .split('\n')
    .find(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  return found === undefined ? undefined : Number(found.split(' ').at(-1))
}

describe('the scrubber', () => {
  test('measures, cleans above a threshold within the second, and ends after the hold time', async () => {
    const rig = await makeRig()
    assert.deepEqual(await chainsOf(rig.nft), [eniChain('eni-1')])
    await rig.second()
    await rig.second(1_000)
    assert.equal(rig.statuses[0]?.phase, 'normal')
    assert.equal(rig.statuses[0]?.sample?.offered.packetsPerSecond, 1_000)
    await rig.second(1_001)
    assert.equal(rig.statuses[0]?.phase, 'cleaning')
    assert.ok((await chainsOf(rig.nft)).includes(defenceChain('i-1')))
    for (let second = 0; second < 3; second += 1) await rig.second(10)
    assert.equal(rig.statuses[0]?.phase, 'normal')
    assert.deepEqual(await chainsOf(rig.nft), [eniChain('eni-1')])
    assert.equal(rig.events.at(-1)?.phase, 'ended')
    assert.equal(rig.events.at(-1)?.offered.packets, 1_031)
    assert.equal(new Set(rig.events.map(event => event.id)).size, 1)
  })

  test('changes nothing in seconds without news', async () => {
    const rig = await makeRig()
    const before = rig.nft.transactions.length
    for (let second = 0; second < 20; second += 1) await rig.second(500)
    assert.equal(rig.nft.transactions.length, before)
    assert.equal(rig.scrubber.hourOf('i-1')?.length, 20)
  })

  test('takes a late second for what it is', async () => {
    const rig = await makeRig()
    await rig.second()
    rig.nft.count(scrubTableName, udp, { packets: 2_500, bytes: 250_000 })
    // The timer is served three seconds late.
    rig.clock.delay(3_000)
    await rig.second()
    assert.equal(rig.statuses[0]?.phase, 'normal')
    assert.equal(rig.statuses[0]?.sample?.offered.packetsPerSecond, 833)
    assert.equal(rig.statuses[0]?.sample?.intervalSeconds, 3)
    assert.ok(((await metric(rig, 'ringwall_agent_ddos_late_ticks_total')) ?? 0) >= 1)
    await rig.second(600)
    assert.equal(rig.statuses[0]?.sample?.intervalSeconds, 1)
  })

  test('goes on when nft fails, says so once, and what stood stays', async () => {
    const rig = await makeRig()
    await rig.second()
    rig.nft.refuseNext(...Array.from({ length: 3 }, () => new NftError('unknown', 'change', 'Error: no')))
    await rig.second(5_000)
    await rig.second(5_000)
    assert.deepEqual(await chainsOf(rig.nft), [eniChain('eni-1')])
    assert.equal(rig.statuses[0]?.phase, 'cleaning')
    assert.equal(rig.log.filter(line => line.startsWith('error: traffic scrubbing fails')).length, 1)
    assert.equal(rig.scrubber.problems().length, 1)
    await rig.second(5_000)
    assert.ok((await chainsOf(rig.nft)).includes(defenceChain('i-1')))
    assert.deepEqual(rig.scrubber.problems(), [])
  })

  test('goes on when the counters cannot be read', async () => {
    let fails = false
    const rig = await makeRig({
      through: nft => ({
        ...nft,
        listCounters: (...given) =>
          fails ? Promise.reject(new NftError('timeout', 'list', 'too slow')) : nft.listCounters(...given),
      }),
    })
    await rig.second()
    fails = true
    await rig.second(700)
    await rig.second(700)
    assert.equal(rig.statuses[0]?.sample?.offered.packetsPerSecond, 0)
    fails = false
    await rig.second(700)
    assert.equal(rig.statuses[0]?.sample?.offered.packetsPerSecond, 700)
    assert.equal(rig.statuses[0]?.sample?.intervalSeconds, 3)
  })

  test('has no sample of a second of which some packets were counted unread', async () => {
    let interrupted = false
    const rig = await makeRig({
      through: nft => ({
        ...nft,
        async resetCounters(family, table) {
          const counters = await nft.resetCounters(family, table)
          if (!interrupted) return counters
          interrupted = false
          throw new NftError('busy', 'reset', 'Interrupted system call')
        },
      }),
    })
    await rig.second()
    await rig.second(5_000)
    await rig.second(4_000)
    interrupted = true
    await rig.second(3_000)
    assert.equal(rig.statuses[0]?.sample?.offered.packetsPerSecond, 4_000)
    await rig.second(2_000)
    assert.equal(rig.statuses[0]?.sample?.offered.packetsPerSecond, 2_000)
    assert.equal(rig.statuses[0]?.sample?.intervalSeconds, 1)
    assert.deepEqual(rig.scrubber.problems(), [])
  })

  test('does one second at a time, however slow nft is', async () => {
    let underWay = 0
    let most = 0
    const rig = await makeRig({
      through: nft => ({
        ...nft,
        async listCounters(family, table) {
          underWay += 1
          most = Math.max(most, underWay)
          await new Promise<void>(resolve => rig.clock.after(2_500, resolve))
          underWay -= 1
          return nft.listCounters(family, table)
        },
      }),
    })
    for (let step = 0; step < 40; step += 1) {
      rig.clock.advance(500)
      await rig.settled()
    }
    assert.equal(most, 1)
    assert.ok(rig.statuses.length > 0)
  })

  for (const { name, deed } of [
    { name: 'flushes the ruleset', deed: [{ flush: { ruleset: null } }] },
    {
      name: 'takes a rule away',
      deed: [{ flush: { chain: { family: 'inet', table: scrubTableName, name: eniChain('eni-1') } } }],
    },
  ]) {
    test(`puts the table back whole when somebody ${name}, with the defence that should stand`, async () => {
      const rig = await makeRig()
      await rig.second()
      await rig.second(5_000)
      const before = await chainsOf(rig.nft)
      await rig.nft.applyAsOther(deed)
      await rig.scrubber.lookForDrift()
      await rig.settled()
      assert.deepEqual((await chainsOf(rig.nft)).toSorted(), before.toSorted())
      const rules = ((await rig.nft.list('inet', scrubTableName)) ?? []).filter(object => 'rule' in object)
      assert.ok(rules.length > 5)
      assert.equal(await metric(rig, 'ringwall_agent_ddos_table_rebuilt_total'), 1)
      await rig.second()
      await rig.second(5_000)
      assert.equal(rig.statuses[0]?.phase, 'cleaning')
      assert.equal(new Set(rig.events.map(event => event.id)).size, 1)
    })
  }

  test('finds a missing table by itself within a second', async () => {
    const rig = await makeRig()
    await rig.second()
    await rig.nft.applyAsOther([{ flush: { ruleset: null } }])
    await rig.second()
    assert.deepEqual(await chainsOf(rig.nft), [eniChain('eni-1')])
  })

  test("leaves the table alone when a stranger's change has nothing to do with it", async () => {
    const rig = await makeRig()
    await rig.second(10)
    const before = rig.nft.transactions.length
    await rig.nft.applyAsOther([{ add: { table: { family: 'inet', name: 'other' } } }])
    await rig.scrubber.lookForDrift()
    await rig.settled()
    // One of them the stranger's, one that wakes a table put to sleep.
    assert.equal(rig.nft.transactions.length, before + 2)
    assert.equal(await metric(rig, 'ringwall_agent_ddos_table_rebuilt_total'), 0)
  })

  test('follows devices: one that comes is measured at once, one that goes makes no spike, a renamed one stays', async () => {
    const rig = await makeRig({ links: [] })
    assert.deepEqual(await chainsOf(rig.nft), [])
    rig.scrubber.noteLinks([eth0])
    await rig.settled()
    assert.deepEqual(await chainsOf(rig.nft), [eniChain('eni-1')])
    await rig.second()
    await rig.second(400)
    rig.scrubber.noteLinks([{ ...eth0, name: 'wan0' }])
    await rig.settled()
    await rig.second(500)
    assert.equal(rig.statuses[0]?.sample?.offered.packetsPerSecond, 500)
    rig.scrubber.noteLinks([])
    await rig.settled()
    await rig.second()
    await rig.second()
    assert.deepEqual(await chainsOf(rig.nft), [])
    assert.equal(rig.statuses[0]?.phase, 'normal')
    assert.deepEqual(rig.scrubber.problems(), [])
  })

  test('has no table without instances', async () => {
    const rig = await makeRig()
    await rig.second()
    rig.scrubber.setPolicy(policyOf([]))
    await rig.settled()
    assert.equal(await rig.nft.list('inet', scrubTableName), null)
    await rig.second()
    assert.equal(await rig.nft.list('inet', scrubTableName), null)
    rig.scrubber.setPolicy(policyOf([{ thresholds }]))
    await rig.settled()
    assert.deepEqual(await chainsOf(rig.nft), [eniChain('eni-1')])
  })

  test('tries again in the next second to remove the table of the last instance', async () => {
    const rig = await makeRig()
    rig.nft.refuseNext(new NftError('busy', 'change', 'Error: no'))
    rig.scrubber.setPolicy(policyOf([]))
    await assert.rejects(rig.scrubber.settled(), /no/)
    assert.notEqual(await rig.nft.list('inet', scrubTableName), null)
    await rig.second()
    await rig.scrubber.settled()
    assert.equal(await rig.nft.list('inet', scrubTableName), null)
  })

  test('ends the event of an instance that goes', async () => {
    const rig = await makeRig()
    await rig.second()
    await rig.second(5_000)
    rig.scrubber.setPolicy(policyOf([]))
    await rig.settled()
    assert.equal(rig.events.at(-1)?.endReason, 'withdrawn')
    assert.deepEqual(rig.statuses, [])
  })

  test('reads the sources of what is cleaned', async () => {
    const rig = await makeRig()
    await rig.second()
    await rig.second(5_000)
    const counter = { packets: 900, bytes: 90_000 }
    rig.nft.learn(scrubTableName, heavySet('i-1', 'ip'), [{ elem: { val: '203.0.113.9', counter } }])
    await rig.second(5_000)
    await rig.second(5_000)
    assert.equal(rig.statuses[0]?.topSources[0]?.address, '203.0.113.9')
  })

  test('keeps totals over counters that are made anew', async () => {
    const rig = await makeRig()
    await rig.second()
    await rig.second(300)
    await rig.nft.applyAsOther([{ flush: { ruleset: null } }])
    await rig.second()
    await rig.second(200)
    await rig.second(100)
    assert.ok(
      (await rig.registry.metrics()).includes(
        'ringwall_agent_ddos_inbound_packets_total{instance_id="i-1",type="udp"} 600',
      ),
    )
  })
})

describe('a scrubber that starts again', () => {
  async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'ringwall-scrub-'))
    rigs.length = 0
    try {
      await work(folder)
    } finally {
      for (const rig of rigs.splice(0)) await rig.scrubber.close()
      await rm(folder, { recursive: true })
    }
  }

  /** Resolves when what was given to be written last is on disk, or the disk has refused it. */
  let written = Promise.resolve()

  class WatchedState extends KeptState {
    override write(kept: Parameters<KeptState['write']>[0]): Promise<void> {
      written = super.write(kept)
      return written
    }
  }

  const keptIn = (folder: string) =>
    new WatchedState(folder, { warn() {}, error() {}, info() {} } as unknown as ConstructorParameters<
      typeof KeptState
    >[1])

  test('goes on from what stands, in the same event, and touches nothing', async () => {
    await inFolder(async folder => {
      const first = await makeRig({ kept: keptIn(folder) })
      await first.second()
      await first.second(5_000)
      await first.second(4_000)
      await written
      const { length } = first.nft.transactions
      // The first one is killed: nothing is told to it. Packets go on while none runs.
      first.nft.count(scrubTableName, udp, { packets: 7_000, bytes: 700_000 })
      const counter = { packets: 1, bytes: 100 }
      first.nft.learn(scrubTableName, heavySet('i-1', 'ip'), [{ elem: { val: '203.0.113.9', counter } }])
      const clock = new HandClock(first.clock.now() + 2_000)
      const second = await makeRig({ nft: first.nft, kept: keptIn(folder), clock })
      assert.equal(first.nft.transactions.length, length)
      assert.ok(second.log.includes('info: traffic scrubbing goes on from what stands in the kernel'))
      await second.second(3_000)
      assert.equal(second.statuses[0]?.phase, 'cleaning')
      assert.equal(second.statuses[0]?.eventId, first.statuses[0]?.eventId)
      for (let more = 0; more < 3; more += 1) await second.second(10)
      assert.equal(second.events.at(-1)?.phase, 'ended')
      assert.equal(second.events.at(-1)?.id, first.events[0]?.id)
      assert.equal(second.events.at(-1)?.offered.packets, 19_030)
    })
  })

  test('replaces what somebody changed meanwhile, in one transaction, with the defence', async () => {
    await inFolder(async folder => {
      const first = await makeRig({ kept: keptIn(folder) })
      await first.second()
      await first.second(5_000)
      await written
      await first.nft.applyAsOther([
        { flush: { chain: { family: 'inet', table: scrubTableName, name: defenceChain('i-1') } } },
      ])
      const before = first.nft.transactions.length
      const second = await makeRig({
        nft: first.nft,
        kept: keptIn(folder),
        clock: new HandClock(first.clock.now() + 500),
      })
      assert.equal(first.nft.transactions.length, before + 1)
      assert.ok((await chainsOf(first.nft)).includes(defenceChain('i-1')))
      await second.second()
      await second.second(5_000)
      assert.equal(second.statuses[0]?.eventId, first.statuses[0]?.eventId)
    })
  })

  test('ends the event after another boot', async () => {
    await inFolder(async folder => {
      const first = await makeRig({ kept: keptIn(folder) })
      await first.second()
      await first.second(5_000)
      await written
      const second = await makeRig({ kept: keptIn(folder), bootId: 'boot-2', clock: new HandClock(10_000) })
      await second.second()
      assert.equal(second.events[0]?.endReason, 'host-restarted')
      assert.equal(second.events[0]?.id, first.events[0]?.id)
      assert.equal(second.statuses[0]?.phase, 'normal')
    })
  })

  for (const [name, damage] of [
    ['is cut off', (text: string) => text.slice(0, text.length / 2)],
    ['is of another program', () => '{"hello": "world"}\n'],
    ['is empty', () => ''],
    ['has states of another shape', (text: string) => text.replaceAll('"phase"', '"shade"')],
  ] as const) {
    test(`begins anew where the file ${name}`, async () => {
      await inFolder(async folder => {
        const first = await makeRig({ kept: keptIn(folder) })
        await first.second()
        await first.second(5_000)
        await written
        const path = join(folder, 'ddos.json')
        await writeFile(path, damage(await readFile(path, 'utf8')))
        const second = await makeRig({
          nft: first.nft,
          kept: keptIn(folder),
          clock: new HandClock(first.clock.now() + 500),
        })
        await second.second()
        await second.second(5_000)
        assert.equal(second.statuses[0]?.phase, 'cleaning')
        assert.notEqual(second.statuses[0]?.eventId, first.statuses[0]?.eventId)
      })
    })
  }

  test('scrubs on where the disk refuses', async () => {
    await inFolder(async folder => {
      await writeFile(join(folder, 'file'), '')
      const rig = await makeRig({ kept: keptIn(join(folder, 'file', 'below')) })
      await rig.second()
      await rig.second(5_000)
      await rig.settled()
      assert.equal(rig.statuses[0]?.phase, 'cleaning')
      assert.ok((await chainsOf(rig.nft)).includes(defenceChain('i-1')))
      await written
      assert.match(rig.scrubber.problems().join(), /cannot be kept on disk/)
    })
  })

  test('carries an order out once', async () => {
    await inFolder(async folder => {
      const order = { id: 'o-1', action: 'black-hole', holdSeconds: 2 } as const
      const policy = policyOf([{ thresholds, order }], { holdSeconds: 1 })
      const first = await makeRig({ kept: keptIn(folder), policy })
      await first.second()
      assert.equal(first.statuses[0]?.phase, 'black-hole')
      for (let more = 0; more < 6; more += 1) await first.second(1)
      assert.equal(first.statuses[0]?.phase, 'normal')
      assert.equal(first.statuses[0]?.orderId, 'o-1')
      await written
      const second = await makeRig({
        nft: first.nft,
        kept: keptIn(folder),
        policy,
        clock: new HandClock(first.clock.now() + 500),
      })
      await second.second()
      await second.second(1)
      assert.equal(second.statuses[0]?.phase, 'normal')
      assert.deepEqual(second.events, [])
    })
  })
})
