/** The log of the view: what is on disk when an update may go to the kernel, whatever happens to disk and agent. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { openKeptView } from '../../../agent/link/kept-view.ts'
import { createLinkMetrics } from '../../../agent/link/metrics.ts'
import { View, type ViewUpdate } from '../../../agent/link/view.ts'
import { ViewLog, type ViewLogOptions } from '../../../agent/link/view-log.ts'
import { createMetrics } from '../../../agent/metrics.ts'
import { createLogger } from '../../../common/log.ts'
import { type Step, watchFiles } from '../../support/failing-files.ts'
import { eventually } from '../../support/sessions.ts'
import { acceptPort, groupObject, smallView } from '../../support/view-objects.ts'

/** In memory where the machine has such a place: what is tried here syncs many thousand times, and plays the disk itself. */
const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

let home: string
let folder: string
let runs = 0
/** Of the agent that was started last. */
let lastLog: ViewLog | null = null
beforeEach(async () => {
  home = await mkdtemp(join(place, 'ringwall-view-log-'))
  folder = join(home, 'state')
})
afterEach(() => rm(home, { recursive: true }))

/** What an agent does with updates, as far as the disk is concerned. */
async function startKeeping(
  in_: string,
  // However long a busy disk takes, it is waited for.
  {
    mostLogBytes = 1024 * 1024,
    patienceMs = 3_600_000,
  }: Partial<Pick<ViewLogOptions, 'mostLogBytes' | 'patienceMs'>> = {},
) {
  const kept = await openKeptView(in_)
  const { registry } = createMetrics()
  const lines: string[] = []
  const viewLog = new ViewLog({
    folder: in_,
    kept,
    log: createLogger('test', 'info', { write: line => lines.push(JSON.parse(line).msg) }),
    metrics: createLinkMetrics(registry, { lifeLeftMs: () => 0, lifeMs: () => 1 }),
    mostLogBytes,
    patienceMs,
  })
  lastLog = viewLog
  const { view } = kept
  return {
    kept,
    viewLog,
    lines,
    /** Resolves when it may go to the kernel. */
    async take(update: ViewUpdate): Promise<string> {
      assert.equal(view.apply(update), null)
      await viewLog.keep(update.type === 'delta' ? update : null, view.image()!)
      return stateOf(view)
    },
    async stop(): Promise<void> {
      viewLog.close()
      await viewLog.settled()
    },
    async metric(name: string) {
      return (await registry.getSingleMetric(`ringwall_agent_link_${name}`)!.get()).values[0]?.value
    },
  }
}

function stateOf(view: View): string {
  return JSON.stringify([view.position, view.image()?.objects()])
}

/** What the next agent finds when the one before is done: it works on, though its update may have gone to the kernel. */
async function readAgain(from = folder) {
  await lastLog?.idle()
  return readNow(from)
}

async function readNow(from: string) {
  const { view, log } = await openKeptView(from)
  await log?.file.close()
  return { state: view.position && stateOf(view), isNewest: log !== null }
}

const snapshot = (revision: number, storeId = 's'): ViewUpdate => ({
  type: 'snapshot',
  storeId,
  revision,
  objects: smallView([443], [`198.18.7.${revision}`]),
})
const delta = (
  revision: number,
  change: { readonly add?: string; readonly port?: number },
  storeId = 's',
): ViewUpdate => ({
  type: 'delta',
  storeId,
  revision,
  set: change.port === undefined ? [] : [groupObject('sg-1', [acceptPort(change.port)])],
  remove: [],
  members: change.add === undefined ? [] : [{ id: 'sg-app', add: [change.add], remove: ['198.18.7.1'] }],
})

/** The view is written anew several times on the way: its log may be no longer than itself. */
const updates: readonly ViewUpdate[] = [
  snapshot(1),
  ...[2, 3, 4, 5, 6, 7, 8].map(revision => delta(revision, { add: `198.18.8.${revision}` })),
  delta(9, { port: 80 }),
  snapshot(3, 'another'),
  ...[5, 6, 7, 8].map(revision => delta(revision, { port: revision }, 'another')),
  snapshot(2, 'another'),
  delta(4, { add: '198.18.8.99' }, 'another'),
]

class Dead extends Error {}

describe('an update that may go to the kernel is on disk', () => {
  test('appended, or whole where it is a snapshot', async () => {
    const agent = await startKeeping(folder)
    await agent.take(snapshot(1))
    assert.deepEqual((await readdir(folder)).sort(), ['view.json', 'view.log'])
    const whole = readFileSync(join(folder, 'view.json'), 'utf8')
    const state = await agent.take(delta(2, { add: '198.18.8.1' }))
    assert.deepEqual(await readAgain(), { state, isNewest: true })
    assert.equal(readFileSync(join(folder, 'view.json'), 'utf8'), whole)
    assert.equal(readFileSync(join(folder, 'view.log'), 'utf8').split('\n').length, 2)
    assert.equal(statSync(join(folder, 'view.log')).mode & 0o777, 0o600)
    await agent.take(snapshot(3))
    assert.equal(readFileSync(join(folder, 'view.log'), 'utf8'), '')
    await agent.stop()
  })

  test('and goes on where the last agent ended', async () => {
    for (const update of updates) {
      const agent = await startKeeping(folder)
      const state = await agent.take(update)
      assert.deepEqual(await readAgain(), { state, isNewest: true })
      await agent.stop()
      assert.deepEqual(await readAgain(), { state, isNewest: true })
    }
  })

  test('several at once in their order', async () => {
    const agent = await startKeeping(folder, { mostLogBytes: 0 })
    const states = await Promise.all(updates.map(update => agent.take(update)))
    assert.equal(agent.viewLog.pending, null)
    assert.deepEqual(await readAgain(), { state: states.at(-1), isNewest: true })
    await agent.stop()
  })

  test('whatever file operation the agent is killed at, and of a write after its half', async () => {
    const steps = await countSteps()
    assert.ok(steps > 60, `${steps} steps`)
    for (let killAt = 0; killAt < steps; killAt += 1) {
      const { given, under, names } = await runUntil(killAt, 'kill')
      const found = await readAgain(folder)
      const newest = given.at(-1) ?? null
      const where = `killed at step ${killAt}, ${names.at(-1)}`
      assert.ok(found.state === newest || found.state === under, `${where}: neither the newest nor the one under way`)
      // The next agent goes on from there.
      const next = await startKeeping(folder)
      const { position } = next.kept.view
      const update = position === null ? snapshot(50) : delta(50, { port: 50 }, position.storeId)
      const state = await next.take(update)
      assert.deepEqual(await readAgain(), { state, isNewest: true }, where)
      await next.stop()
    }
  })

  test('also when power is lost there', async () => {
    const steps = await countSteps()
    for (let cutAt = 0; cutAt < steps; cutAt += 1) {
      const { given, under, names } = await runUntil(cutAt, 'power')
      const { state } = await readAgain(folder)
      assert.ok(
        state === (given.at(-1) ?? null) || state === under,
        `power lost at step ${cutAt}, ${names.at(-1)}: neither the newest nor the one under way`,
      )
    }
  })

  const failures: readonly {
    readonly name: string
    readonly fails: (step: Step, index: number, at: number) => boolean
  }[] = [
    { name: 'one', fails: (_, index, at) => index === at },
    {
      name: 'all that need room, from one on,',
      fails: (step, index, at) => index >= at && !/^(rename|rm|truncate)/.test(step),
    },
    { name: 'all, from one on,', fails: (_, index, at) => index >= at },
  ]
  for (const { name, fails } of failures) {
    test(`or the disk says that it may be old, whatever file operation fails: ${name}`, async context => {
      // It is tried again by `keep` alone.
      context.mock.timers.enable({ apis: ['setTimeout'] })
      const steps = await countSteps()
      let old = 0
      for (let at = 0; at < steps; at += 1) {
        folder = join(home, `state-${++runs}`)
        let index = 0
        const names: Step[] = []
        using _files = watchFiles({
          folder,
          onStep(step) {
            names.push(step)
            if (fails(step, index++, at)) throw new Error('ENOSPC')
          },
        })
        const agent = await startKeeping(folder, { mostLogBytes: 0 })
        for (const update of updates) {
          const state = await agent.take(update)
          // Killed here: the next agent has the same disk.
          const found = await readAgain()
          if (found.isNewest) assert.equal(found.state, state, `${at}: ${names[at]}`)
          else old += 1
        }
        await agent.stop()
      }
      assert.ok(old > 0)
    })
  }
})

/** With files that refuse, and what is told of it. */
describe('a full disk', () => {
  test('keeps nothing from the kernel, is told once, and is tried again', async context => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    let isFull = false
    using _files = watchFiles({
      folder,
      onStep(step) {
        if (isFull && /^(open|write|append)/.test(step)) throw new Error('ENOSPC: no space left on device')
      },
    })
    const agent = await startKeeping(folder)
    const before = await agent.take(snapshot(1))
    isFull = true
    await agent.take(delta(2, { port: 80 }))
    await agent.take(delta(3, { port: 81 }))
    assert.deepEqual(await readAgain(), { state: before, isNewest: false })
    assert.match(agent.viewLog.fault ?? '', /ENOSPC/)
    assert.deepEqual([await agent.metric('kept'), await agent.metric('keep_failures_total')], [0, 1])
    context.mock.timers.tick(1_000)
    while ((await agent.metric('keep_failures_total')) === 1) await new Promise(setImmediate)
    assert.equal(agent.lines.length, 1)
    isFull = false
    context.mock.timers.tick(1_999)
    assert.notEqual(agent.viewLog.fault, null)
    context.mock.timers.tick(1)
    const state = await agent.take(delta(4, { port: 82 }))
    assert.deepEqual(await readAgain(), { state, isNewest: true })
    assert.deepEqual([agent.viewLog.fault, await agent.metric('kept')], [null, 1])
    assert.deepEqual(agent.lines, [
      'cannot keep what the daemon says; it gets in force all the same, and the disk is tried again',
      'what the daemon says is kept again',
    ])
    assert.deepEqual((await readdir(folder)).sort(), ['view.json', 'view.log'])
    await agent.stop()
  })

  test('that has room again is not taken for the newest while it is behind', async () => {
    let isFull = true
    let meanwhile: Promise<string> | null = null
    using _files = watchFiles({
      folder,
      onStep(step) {
        if (isFull) throw new Error('ENOSPC')
        if (step === 'write view.json.new') meanwhile ??= agent.take(delta(2, { port: 80 }))
      },
    })
    const agent = await startKeeping(folder)
    await agent.take(snapshot(1))
    isFull = false
    const settled = agent.viewLog.settled()
    await new Promise(setImmediate)
    while (meanwhile === null) await new Promise(setImmediate)
    const state = await meanwhile
    const found = await readNow(folder)
    if (found.isNewest) assert.equal(found.state, state)
    await settled
    await agent.stop()
    assert.deepEqual(await readAgain(), { state, isNewest: true })
  })

  test('is tried again by itself also after it was waited for in vain, and no more when the agent has stopped', async () => {
    let isFull = true
    let steps = 0
    using _files = watchFiles({
      folder,
      onStep() {
        steps += 1
        if (isFull) throw new Error('ENOSPC')
      },
    })
    const agent = await startKeeping(folder)
    const state = await agent.take(snapshot(1))
    await agent.viewLog.settled()
    isFull = false
    await eventually(async () => assert.deepEqual(await readAgain(), { state, isNewest: true }), 20_000)
    isFull = true
    await agent.take(snapshot(3))
    await agent.stop()
    const before = steps
    await sleep(1500)
    assert.equal(steps, before)
  })

  test('that has room again when the agent stops has all', async () => {
    let isFull = true
    using _files = watchFiles({
      folder,
      onStep() {
        if (isFull) throw new Error('ENOSPC')
      },
    })
    const agent = await startKeeping(folder)
    const state = await agent.take(snapshot(1))
    isFull = false
    await agent.stop()
    assert.deepEqual(await readAgain(), { state, isNewest: true })
  })

  test('in whose room the view does not fit, but its log does, lacks nothing', async () => {
    let isFull = false
    using _files = watchFiles({
      folder,
      onStep(step) {
        if (isFull && step === 'write view.json.new') throw new Error('ENOSPC')
      },
    })
    const agent = await startKeeping(folder, { mostLogBytes: 0 })
    await agent.take(snapshot(1))
    isFull = true
    let state = ''
    for (let revision = 2; revision < 40; revision += 1) state = await agent.take(delta(revision, { port: revision }))
    assert.deepEqual(await readAgain(), { state, isNewest: true })
    await agent.stop()
    assert.deepEqual(await readAgain(), { state, isNewest: true })
    const told = agent.lines.length
    assert.ok(told > 0 && told < 8, `told ${told} times`)
    assert.equal(agent.lines[0], 'cannot write the view anew; its log grows on')
  })

  test('that can only be read is taken for older than the kernel', async () => {
    const agent = await startKeeping(folder)
    await agent.take(snapshot(1))
    await agent.stop()
    using _files = watchFiles({
      folder,
      onStep() {
        throw new Error('EROFS: read-only file system')
      },
    })
    const { kept, metric } = await startKeeping(folder)
    assert.deepEqual([kept.log, kept.view.position?.revision, await metric('kept')], [null, 1, 0])
    assert.match(kept.faults.join(), /EROFS/)
  })
})

test('a disk that hangs does not keep an update from the kernel for long', async context => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const before = await startKeeping(folder)
  await before.take(snapshot(1))
  await before.stop()
  const agent = await startKeeping(folder, { patienceMs: 500 })
  const { file } = agent.kept.log!
  const append = file.appendFile.bind(file)
  const { promise: way, resolve: free } = Promise.withResolvers<void>()
  file.appendFile = async (...given) => {
    await way
    await append(...given)
  }
  const taken = agent.take(delta(2, { port: 80 }))
  context.mock.timers.tick(500)
  await taken
  free()
  await agent.stop()
  assert.equal((await readAgain()).isNewest, true)
})

test('cut at any byte, the files give a state that was given to the kernel, the newest that is whole in them', async () => {
  const change = fc.record({
    add: fc.option(
      fc.integer({ min: 1, max: 250 }).map(last => `198.18.9.${last}`),
      { nil: undefined },
    ),
    port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
    isSnapshot: fc.integer({ min: 0, max: 9 }).map(dice => dice === 0),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), fc.nat(), async (changes, where) => {
      const from = join(home, `state-${++runs}`)
      const agent = await startKeeping(from, { mostLogBytes: 600 })
      const given = [await agent.take(snapshot(1))]
      for (const [index, { isSnapshot, add, port }] of changes.entries()) {
        const revision = index + 2
        const one = { ...(add !== undefined && { add }), ...(port !== undefined && { port }) }
        given.push(await agent.take(isSnapshot ? snapshot(revision) : delta(revision, one)))
      }
      const killed = `${from}-killed`
      await agent.viewLog.idle()
      cpSync(from, killed, { recursive: true })
      assert.deepEqual(await readAgain(killed), { state: given.at(-1), isNewest: true })
      const log = readFileSync(join(killed, 'view.log'))
      const cut = where % (log.length + 1)
      const whole = log.toString('utf8', 0, log.lastIndexOf('\n', cut - 1) + 1)
      const numbers = [readFileSync(join(killed, 'view.json'), 'utf8'), ...(cut === 0 ? '' : whole).trim().split('\n')]
        .filter(Boolean)
        .map(json => JSON.parse(json).number)
      const expected = given[Math.max(...numbers) - 1]
      truncateSync(join(killed, 'view.log'), cut)
      assert.deepEqual(await readAgain(killed), { state: expected, isNewest: true })
      // Whatever stands in place of the rest is no update.
      writeFileSync(join(killed, 'view.log'), Buffer.concat([log.subarray(0, cut), Buffer.alloc(log.length - cut)]))
      assert.equal((await readAgain(killed)).state, expected)
      await agent.stop()
    }),
    { numRuns: 60 },
  )
})

async function countSteps(): Promise<number> {
  return (await runUntil(Number.POSITIVE_INFINITY, 'kill')).names.length
}

/**
 * Takes the updates in a folder of its own until the step at which the agent ends.
 * @returns the states that were given to the kernel, the one that was under way, and the steps done
 */
async function runUntil(endAt: number, how: 'kill' | 'power') {
  folder = join(home, `state-${++runs}`)
  const names: Step[] = []
  let isDead = false
  using files = watchFiles({
    folder,
    onStep(step) {
      isDead ||= names.length >= endAt
      if (isDead) throw new Dead()
      names.push(step)
    },
  })
  const agent = await startKeeping(folder, { mostLogBytes: 0 })
  const shadow = new View()
  const given: string[] = []
  let under: string | null = null
  for (const update of updates) {
    shadow.apply(update)
    under = stateOf(shadow)
    const state = await agent.take(update)
    if (isDead) break
    given.push(state)
    under = null
  }
  await agent.stop()
  if (how === 'power') files.losePower()
  return { given, under, names }
}
