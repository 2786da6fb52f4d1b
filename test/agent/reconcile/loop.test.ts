/** The reconcile loop on nftables in memory. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { NftError } from '../../../agent/nft/errors.ts'
import { createFakeNft, type FakeNft } from '../../../agent/nft/fake.ts'
import { bindDevices, type Device, deviceIndexes } from '../../../agent/reconcile/devices.ts'
import { type LoopParts, type Outcome, ReconcileLoop, reconcileOnce } from '../../../agent/reconcile/loop.ts'
import { readStamps } from '../../../agent/reconcile/plan.ts'
import type { ReadMarks } from '../../../agent/reconcile/stamp-pool.ts'
import { deleteTable, type NftCommand } from '../../../rules-compiler/nft/commands.ts'
import { compile } from '../../../rules-compiler/nft/compile.ts'
import { readRuleset } from '../../../rules-compiler/nft/read-ruleset.ts'
import { tableFamily, tableName } from '../../../rules-compiler/nft/ruleset.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { withoutLogs } from '../../../rules-compiler/policy/without-logs.ts'
import { arbitraryIr } from '../../support/arbitrary-ir.ts'
import { makeEni, makeIr, makeRule, makeScrubIr } from '../../support/ir.ts'
import { judgedState, namesIn } from '../../support/transactions.ts'

const eth0: Device = { index: 2, name: 'eth0' }
/** A policy that accepts these TCP ports. */
const accepting = (...ports: number[]): PolicyIr =>
  makeIr(makeEni(ports.map(port => makeRule({ id: `tcp-${port}`, protocol: 'tcp', ports: port }))))
const busy = () => new NftError('busy', 'a change', 'Error: Device or resource busy\n')
const inTable = { family: tableFamily, table: tableName } as const
const strangersRule: NftCommand = { insert: { rule: { ...inTable, chain: 'eni-1/ingress', expr: [{ accept: null }] } } }

class Host {
  readonly nft: FakeNft
  readonly canLog: boolean
  readonly outcomes: Outcome[] = []
  readonly loop: ReconcileLoop
  devices: readonly Device[] = [eth0]
  listings = 0
  /** Done in the middle of the next listing, as if it happened meanwhile. */
  whileListing: (() => Promise<void>) | null = null

  constructor({
    nft = createFakeNft(),
    readMarks = async () => new Set(),
    canLog = true,
  }: { nft?: FakeNft; readMarks?: ReadMarks; canLog?: boolean } = {}) {
    this.nft = nft
    this.canLog = canLog
    const counting: FakeNft = {
      ...nft,
      list: async (...args) => {
        this.listings += 1
        const objects = await nft.list(...args)
        const meanwhile = this.whileListing
        this.whileListing = null
        await meanwhile?.()
        return objects
      },
    }
    this.loop = new ReconcileLoop({
      ...this.partsWith(counting),
      readMarks,
      trackOpenSessions: async () => null,
      onOutcome: outcome => this.outcomes.push(outcome),
    })
  }

  partsWith(nft: FakeNft): Omit<LoopParts, 'onOutcome'> {
    return {
      nft,
      listDevices: async () => this.devices,
      readMarks: async () => new Set(),
      trackOpenSessions: async () => null,
      jsonCtTimeout: false,
      canLog: this.canLog,
    }
  }

  /** `policy applied`, one text for each run so far. */
  get told(): readonly string[] {
    return this.outcomes.map(({ cause, kind }) => `${cause} ${kind}`)
  }

  async enforce(policy: PolicyIr): Promise<void> {
    this.loop.setPolicy(policy)
    await this.loop.settled()
  }

  /** Whether the table is what this policy makes at once, but for the stamps, which depend on what came before. */
  async assertHolds(policy: PolicyIr): Promise<void> {
    const actual = readRuleset((await this.nft.list(tableFamily, tableName)) ?? [])
    const stamps = readStamps(actual, policy.ctMarkMask)
    assert.equal(new Set(stamps.values()).size, policy.enis.length * 2, 'each ENI and direction has a stamp of its own')
    const indexes = deviceIndexes(bindDevices(policy, this.devices, new Map()))
    const expected = compile(policy, { stamps, deviceIndexes: indexes })
    assert.deepEqual(namesIn(actual), namesIn(expected))
    assert.deepEqual(judgedState(actual), judgedState(expected))
    assert.equal(actual.foreign.length, 0)
  }
}

describe('the loop', () => {
  test('makes the table, and then finds nothing to do', async () => {
    const host = new Host()
    await host.enforce(accepting(22))
    host.loop.resync('check')
    await host.loop.settled()
    assert.deepEqual(host.told, ['policy applied', 'check unchanged'])
  })

  test('reads the table once, not at every change', async () => {
    const host = new Host()
    for (const port of [22, 80, 443]) await host.enforce(accepting(port))
    assert.equal(host.listings, 1)
    assert.deepEqual(host.told, ['policy applied', 'policy applied', 'policy applied'])
  })

  test('has a policy in force at once that differs in traffic scrubbing alone', async () => {
    const host = new Host()
    await host.enforce(accepting(22))
    const scrubbed: PolicyIr = { ...accepting(22), scrub: makeScrubIr([{ scrubbing: 'cancelled' }]) }
    await host.enforce(scrubbed)
    assert.deepEqual(host.told, ['policy applied', 'policy unchanged'])
    const last = host.outcomes.at(-1)!
    assert.equal(last.kind !== 'refused' && last.policy, scrubbed)
  })

  test('loads the ruleset without logs where the kernel has none, and says that the policy is in force', async () => {
    const host = new Host({ canLog: false })
    const policy = accepting(22)
    await host.enforce(policy)
    host.loop.resync('check')
    await host.loop.settled()
    assert.deepEqual(host.told, ['policy applied', 'check unchanged'])
    await host.assertHolds(withoutLogs(policy))
    const last = host.outcomes.at(-1)!
    assert.equal(last.kind !== 'refused' && last.policy, policy)
  })

  test('gives up, to try again later, where the table never reads back as it was loaded', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const nft = createFakeNft()
    const { list } = nft
    // As nft 0.9.8, which takes a set whose elements count, and makes one that does not.
    const withoutCounters = (_: string, value: unknown) =>
      typeof value === 'object' && value !== null && 'stmt' in value ? { ...value, stmt: undefined } : value
    nft.list = async (...args) => JSON.parse(JSON.stringify(await list(...args), withoutCounters))
    const host = new Host({ nft })
    await host.enforce(accepting(22))
    host.loop.resync('check')
    await host.loop.settled()
    const last = host.outcomes.at(-1)!
    assert.ok(host.outcomes.length < 10, host.told.join())
    assert.equal(last.kind, 'refused')
    assert.match(last.kind === 'refused' ? last.error.message : '', /^Cannot read back what nft has loaded/)
    await host.loop.close()
  })

  test('does nothing before there is a policy', async () => {
    const host = new Host()
    host.loop.devicesChanged()
    host.loop.resync('drift')
    await host.loop.settled()
    assert.deepEqual(host.outcomes, [])
    await host.enforce(accepting(22))
    assert.deepEqual(host.told, ['policy applied'])
  })

  test('serves many policies of one turn by one run, with the last', async () => {
    const host = new Host()
    for (let port = 1; port <= 50; port += 1) host.loop.setPolicy(accepting(port))
    await host.loop.settled()
    assert.equal(host.outcomes.length, 1)
    await host.assertHolds(accepting(50))
  })

  test('serves many policies that come during a run by one more', async () => {
    const host = new Host()
    host.whileListing = async () => {
      for (let port = 1; port <= 50; port += 1) host.loop.setPolicy(accepting(port))
    }
    await host.enforce(accepting(100))
    assert.deepEqual(host.told, ['policy applied', 'policy applied'])
    await host.assertHolds(accepting(50))
  })

  test('misses no policy, whenever it comes', async () => {
    for (let turns = 0; turns < 60; turns += 1) {
      const host = new Host()
      host.loop.setPolicy(accepting(22))
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
      await host.enforce(accepting(80))
      await host.assertHolds(accepting(80))
    }
  })

  test('binds a device that comes, and follows it when it is renamed', async () => {
    const host = new Host()
    host.devices = []
    await host.enforce(accepting(22))
    host.devices = [eth0]
    host.loop.devicesChanged()
    await host.loop.settled()
    host.devices = [{ ...eth0, name: 'wan' }]
    host.loop.devicesChanged()
    await host.loop.settled()
    assert.deepEqual(host.told, ['policy applied', 'device applied', 'device unchanged'])
    const last = host.outcomes.at(-1)!
    assert.deepEqual(last.kind !== 'refused' && deviceIndexes(last.bindings), new Map([['eni-1', 2]]))
  })

  test('gives an ENI that comes back new stamps', async () => {
    const host = new Host()
    await host.enforce(accepting(22, 80))
    const before = stampsOf(host)
    await host.enforce({ ...accepting(), enis: [] })
    await host.enforce(accepting(22))
    for (const stamp of stampsOf(host)) assert.ok(!before.includes(stamp), `${stamp} of ${before}`)
  })

  test('gives every ENI new stamps under another mask', async () => {
    const host = new Host({ readMarks: async mask => new Set(mask === 0xffff ? [0x0101] : []) })
    await host.enforce(accepting(22))
    await host.enforce({ ...accepting(22), ctMarkMask: 0xffff })
    // 1 and 2 were current, and 1 is on a session under the new mask too.
    assert.deepEqual(stampsOf(host), [3, 4])
  })
})

function stampsOf(host: Host): readonly number[] {
  const last = host.outcomes.at(-1)!
  return last.kind === 'applied' ? [...last.plan.stamps.values()] : []
}

describe('a refused change', () => {
  const firstDelays = [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]

  test('leaves the ruleset before it, and is tried again later each time', async context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const host = new Host()
    await host.enforce(accepting(22))
    host.nft.refuseNext(...firstDelays.map(busy))
    await host.enforce(accepting(80))
    for (const delay of firstDelays) {
      await host.assertHolds(accepting(22))
      const last = host.outcomes.at(-1)!
      assert.equal(last.kind === 'refused' && last.retryInMs, delay)
      const runs = host.outcomes.length
      context.mock.timers.tick(delay - 1)
      await host.loop.settled()
      assert.equal(host.outcomes.length, runs)
      context.mock.timers.tick(1)
      await host.loop.settled()
    }
    assert.equal(host.told.at(-1), 'retry applied')
    await host.assertHolds(accepting(80))
  })

  test('begins with short delays again after one that was taken', async context => {
    const host = await refusedTwice(context)
    context.mock.timers.tick(500)
    await host.loop.settled()
    host.nft.refuseNext(busy())
    await host.enforce(accepting(443))
    const last = host.outcomes.at(-1)!
    assert.equal(last.kind === 'refused' && last.retryInMs, 250)
  })

  test('is tried at once with a new policy, and not again after that', async context => {
    const host = await refusedTwice(context)
    await host.enforce(accepting(443))
    context.mock.timers.tick(60_000)
    await host.loop.settled()
    assert.deepEqual(host.told, ['policy applied', 'policy refused', 'retry refused', 'policy applied'])
  })

  test('after what was prepared leaves nothing behind in the end', async context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    // New blocks mean a new interval set, which is made before the switch.
    const next = makeIr(
      makeEni([makeRule({ id: 'blocks', protocol: 'tcp', ports: 22, peer: '203.0.113.0/24,10.0.0.0/8' })]),
    )
    const nft = createFakeNft()
    const host = new Host({ nft: refusingSwitches(nft, 1) })
    await host.enforce(next)
    assert.deepEqual(host.told, ['policy refused'])
    assert.notEqual(await nft.list(tableFamily, tableName), null, 'prepared')
    await host.enforce(accepting(80))
    await host.assertHolds(accepting(80))
  })

  test('by a device listing that fails is tried again', async context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const outcomes: Outcome[] = []
    let failures = 1
    const loop = new ReconcileLoop({
      ...new Host().partsWith(createFakeNft()),
      listDevices: async () => {
        if (failures-- > 0) throw new Error('Cannot list network devices: ip not found')
        return [eth0]
      },
      onOutcome: outcome => outcomes.push(outcome),
    })
    loop.setPolicy(accepting(22))
    await loop.settled()
    context.mock.timers.tick(250)
    await loop.settled()
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['refused', 'applied'],
    )
  })
})

async function refusedTwice(context: TestContext): Promise<Host> {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const host = new Host()
  await host.enforce(accepting(22))
  host.nft.refuseNext(busy(), busy())
  await host.enforce(accepting(80))
  context.mock.timers.tick(250)
  await host.loop.settled()
  return host
}

/** Refuses so many transactions that make a rule. */
function refusingSwitches(nft: FakeNft, times: number): FakeNft {
  let left = times
  return {
    ...nft,
    apply: async commands => {
      const switches = commands.some(({ add }) => add !== null && typeof add === 'object' && 'rule' in add)
      if (switches && left-- > 0) throw busy()
      await nft.apply(commands)
    },
  }
}

describe("a stranger's change", () => {
  const drifted = (outcome: Outcome | undefined) => outcome?.kind === 'applied' && outcome.drifted

  for (const [name, commands] of [
    ['a rule more', [strangersRule]],
    ['a chain flushed', [{ flush: { chain: { ...inTable, name: 'eni-1/ingress' } } }]],
    ['the table gone', [deleteTable]],
    ['the ruleset gone', [{ flush: { ruleset: null } }]],
  ] as const) {
    test(`is put right: ${name}`, async () => {
      const host = new Host()
      await host.enforce(accepting(22))
      await host.nft.applyAsOther(commands)
      host.loop.resync('drift')
      await host.loop.settled()
      assert.deepEqual(host.told, ['policy applied', 'drift applied'])
      assert.ok(drifted(host.outcomes.at(-1)))
      await host.assertHolds(accepting(22))
    })
  }

  test('has the sessions of every ENI judged again', async () => {
    const host = new Host()
    await host.enforce(accepting(22))
    await host.nft.applyAsOther([strangersRule])
    host.loop.resync('drift')
    await host.loop.settled()
    const last = host.outcomes.at(-1)!
    assert.deepEqual(last.kind === 'applied' && last.plan.raised, ['eni-1/ingress', 'eni-1/egress'])
  })

  test('that the regular check finds counts as one too', async () => {
    const host = new Host()
    await host.enforce(accepting(22))
    await host.nft.applyAsOther([strangersRule])
    host.loop.resync('check')
    await host.loop.settled()
    assert.ok(drifted(host.outcomes.at(-1)))
  })

  test('in another table, just before a new policy, is not one', async () => {
    const host = new Host()
    await host.enforce(accepting(22))
    host.loop.resync('drift')
    await host.enforce(accepting(80))
    assert.deepEqual(host.told, ['policy applied', 'drift applied'])
    assert.equal(drifted(host.outcomes.at(-1)), false)
  })

  test('heard of while the table is read leads to reading again', async () => {
    const host = new Host()
    await host.enforce(accepting(22))
    host.whileListing = async () => {
      await host.nft.applyAsOther([strangersRule])
      host.loop.resync('drift')
    }
    host.loop.resync('check')
    await host.loop.settled()
    assert.deepEqual(host.told, ['policy applied', 'check unchanged', 'drift applied'])
    await host.assertHolds(accepting(22))
  })

  test('heard of between reading and changing leads to reading again', async () => {
    const host = new Host()
    await host.enforce(accepting(22))
    host.whileListing = async () => {
      await host.nft.applyAsOther([strangersRule])
      host.loop.resync('drift')
    }
    host.loop.resync('check')
    await host.enforce(accepting(22, 80))
    await host.assertHolds(accepting(22, 80))
    assert.equal(host.listings, 3)
  })

  test('that gives a name of ours another type: made anew, in two runs, with the session timeout at the end', async () => {
    const host = new Host()
    const policy = makeIr(makeEni([makeRule({ id: 'app', peer: 'sg-app' })]), {
      'sg-app': { ip: ['198.18.0.9'], ip6: [] },
    })
    await host.enforce(policy)
    await host.nft.applyAsOther([
      deleteTable,
      { add: { table: { family: tableFamily, name: tableName } } },
      { add: { set: { ...inTable, name: 'sg-app/ip', type: 'ether_addr' } } },
    ])
    host.loop.resync('drift')
    await host.loop.settled()
    assert.deepEqual(host.told, ['policy applied', 'drift applied', 'check applied'])
    await host.assertHolds(policy)
  })
})

describe('closing', () => {
  test('finishes the run under way and makes no further one', async () => {
    const host = new Host()
    const { promise: closed, resolve } = Promise.withResolvers<Promise<void>>()
    host.whileListing = async () => {
      host.loop.setPolicy(accepting(80))
      resolve(host.loop.close())
    }
    host.loop.setPolicy(accepting(22))
    await await closed
    assert.deepEqual(host.told, ['policy applied'])
    await host.assertHolds(accepting(22))
  })

  test('during a run that is refused leaves no timer', async context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const host = new Host()
    host.nft.refuseNext(busy())
    host.loop.setPolicy(accepting(22))
    await host.loop.close()
    context.mock.timers.tick(60_000)
    await host.loop.settled()
    assert.ok(host.outcomes.length <= 1)
    assert.equal(await host.nft.list(tableFamily, tableName), null)
  })

  test('ends a retry that waits', async context => {
    const host = await refusedTwice(context)
    await host.loop.close()
    context.mock.timers.tick(60_000)
    await host.loop.settled()
    assert.equal(host.outcomes.length, 3)
  })

  test('is for good', async () => {
    const host = new Host()
    await host.loop.close()
    await host.enforce(accepting(22))
    assert.deepEqual(host.outcomes, [])
  })
})

describe('one run', () => {
  test('that is dry changes nothing and says what it would do', async () => {
    const { nft, ...host } = new Host()
    const parts = new Host().partsWith(nft)
    const outcome = await reconcileOnce(accepting(22), { ...parts, dryRun: true })
    assert.equal(outcome.kind, 'planned')
    assert.match(outcome.kind === 'planned' ? outcome.summary : '', /^add table ringwall, /)
    assert.deepEqual(nft.transactions, [])
    assert.deepEqual(host.outcomes, [])
  })

  test('that is refused is not tried again', async () => {
    const nft = createFakeNft()
    nft.refuseNext(busy())
    const outcome = await reconcileOnce(accepting(22), new Host().partsWith(nft))
    assert.equal(outcome.kind, 'refused')
    assert.equal(await nft.list(tableFamily, tableName), null)
  })
})

/** A quarter of a minute of processor time, which a busy machine makes minutes. */
const timeout = 600_000

test('whatever happens on the way, the table is that of the last policy at once', { timeout }, async context => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const step = fc.oneof(
    { weight: 5, arbitrary: arbitraryIr.map(policy => ({ kind: 'policy', policy }) as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'refusal' } as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'table gone' } as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'stranger' } as const) },
    { weight: 1, arbitrary: fc.constant({ kind: 'settle' } as const) },
    { weight: 1, arbitrary: fc.constantFrom('eth0', 'wan').map(name => ({ kind: 'device', name }) as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8, size: 'max' }), arbitraryIr, async (steps, last) => {
      const host = new Host()
      for (const each of steps) {
        switch (each.kind) {
          case 'policy':
            host.loop.setPolicy(each.policy)
            break
          case 'refusal':
            host.nft.refuseNext(busy())
            break
          case 'table gone':
            await host.nft.applyAsOther([{ add: { table: { family: tableFamily, name: tableName } } }, deleteTable])
            host.loop.resync('drift')
            break
          case 'stranger':
            await host.nft.applyAsOther([
              { add: { table: { family: tableFamily, name: tableName } } },
              { add: { chain: { ...inTable, name: 'stranger' } } },
            ])
            host.loop.resync('drift')
            break
          case 'settle':
            await host.loop.settled()
            break
          case 'device':
            host.devices = [{ index: 2, name: each.name }]
            host.loop.devicesChanged()
            break
          default:
            each satisfies never
        }
      }
      host.devices = [eth0]
      host.loop.devicesChanged()
      host.loop.setPolicy(last)
      for (let tries = 0; tries < 20; tries += 1) {
        await host.loop.settled()
        context.mock.timers.tick(30_000)
      }
      assert.notEqual(host.outcomes.at(-1)?.kind, 'refused')
      await host.assertHolds(last)
    }),
    { numRuns: 1000 },
  )
})
