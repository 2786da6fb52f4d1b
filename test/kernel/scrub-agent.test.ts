/** Traffic scrubbing by a running agent: what its events tell, over a kill too, and what others do to its table. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { connect } from '../../lab/netns.ts'
import { scrubTableName } from '../../rules-compiler/scrub/names.ts'
import type { LogLine } from '../support/agent.ts'
import type { Flood } from '../support/flood/frames.ts'
import { FloodRig } from '../support/flood/rig.ts'
import { eniId, instanceId } from '../support/flood/scene.ts'
import { renameDevices } from '../support/rename-devices.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const thresholds = { bps: 10, pps: 500 }
const flood: Flood = { kind: 'udp', family: 'ip', sources: 1_000, packetBytes: 100 }
/** Longer than a sender is held up for. */
const scrubbing = { holdTime: 10 }
const table = `inet ${scrubTableName}`

const isRebuilt = ({ msg }: LogLine) => msg.startsWith('somebody removed or changed the table of traffic scrubbing')
const timeOf = ({ time }: LogLine) => Date.parse(String(time))
const goesOn = ({ msg }: LogLine) => msg === 'traffic scrubbing goes on from what stands in the kernel'

/** In nft's words; CHAIN is what an ENI's packets go through, HANDLE its first rule. */
const deeds: readonly { readonly name: string; readonly text: string }[] = [
  { name: 'deletes the table', text: `delete table ${table}` },
  { name: 'deletes all that is Ringwall’s', text: `delete table inet ringwall\ndelete table ${table}` },
  { name: 'flushes the table of its rules', text: `flush table ${table}` },
  { name: 'flushes a chain', text: `flush chain ${table} CHAIN` },
  { name: 'puts a rule first', text: `insert rule ${table} CHAIN accept` },
  { name: 'deletes a rule', text: `delete rule ${table} CHAIN handle HANDLE` },
  { name: 'replaces a rule', text: `replace rule ${table} CHAIN handle HANDLE drop` },
  {
    name: 'adds a chain that drops',
    text: `add chain ${table} mine { type filter hook input priority 0; policy drop; }`,
  },
  { name: 'adds a set', text: `add set ${table} mine { type ipv4_addr; }` },
  { name: 'adds a counter', text: `add counter ${table} mine` },
]

/** Each has a host of its own, and mostly waits. */
describe('an agent that scrubs', { skip: needsKernel, concurrency: 3 }, () => {
  test('tells what was sent, over a kill too, and goes on from what stands', async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    await using sender = await rig.sender(flood)
    const sending = sender.send({ packetsPerSecond: 4_000, seconds: 110 })
    const offeredTo = async (least: number) =>
      (await rig.observer.until(({ offered }) => offered.packets >= least, 60_000)).first.offered.packets
    const { eventId } = await rig.until(({ phase }) => phase === 'cleaning')
    const [told] = await rig.events()
    await rig.killKept(eventId!)
    const killedAt = await offeredTo(0)
    await offeredTo(killedAt + 6_000)
    await rig.startAgent()
    await rig.agent.line(goesOn)
    assert.equal((await rig.until(({ phase }) => phase === 'cleaning')).eventId, eventId)
    const { packets, bytes } = await sending.stop()
    const sinceKilled = (await offeredTo(0)) - killedAt
    await rig.until(({ phase }) => phase === 'normal')
    const [event, ...more] = await rig.events()
    assert.deepEqual(more, [])
    assert.equal(event?.id, eventId)
    const { offered, passed, dropped } = event!
    // The beginning, as long as it was under the threshold, is no part of it; all that came while there was no agent is.
    const least = told!.offered.packets + sinceKilled
    assert.ok(offered.packets <= packets, `${offered.packets} in the event, ${packets} sent`)
    assert.ok(offered.packets >= least, `${offered.packets} in the event, ${least} at least`)
    assert.equal(Math.round(offered.bytes / offered.packets), Math.round(bytes / packets))
    const lost = Object.values(dropped).reduce((sum, amount) => sum + amount.packets, 0)
    assert.equal(passed.packets + lost, offered.packets)
    assert.deepEqual(
      event!.attackTypes.map(({ type }) => type),
      ['udp'],
    )
  })

  test('puts its table back, whatever somebody does to it', async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    const { host } = rig.scene
    const before = await rig.table()
    const chain = `${eniId}/inbound`
    let putAtMs = 0
    for (const { name, text } of deeds) {
      // Looked at once more before the next deed, or that could be taken for the agent's own.
      await rig.untilLookedAt(putAtMs)
      const deedAtMs = Date.now()
      const { stdout } = await host.run('nft', ['-a', 'list', 'chain', 'inet', scrubTableName, chain])
      const handle = /# handle (\d+)\n\t\t/.exec(stdout.split('\n').slice(3).join('\n'))?.[1] ?? ''
      await host.run('nft', ['-f', '-'], { input: `${text.replace('CHAIN', chain).replace('HANDLE', handle)}\n` })
      putAtMs = timeOf(await rig.agent.line(line => isRebuilt(line) && timeOf(line) >= deedAtMs))
      await eventually(async () => assert.equal(await rig.table(), before, name))
    }
    // Other tables are none of its business.
    await rig.untilLookedAt(putAtMs)
    const addedAtMs = Date.now()
    await host.run('nft', ['add', 'table', 'inet', 'other'])
    await setTimeout(500)
    assert.deepEqual(
      rig.agent.log.filter(line => isRebuilt(line) && timeOf(line) >= addedAtMs),
      [],
    )
  })

  test('wakes its table when somebody has put it to sleep', async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    await rig.scene.host.run('nft', [`add table ${table} { flags dormant; }`])
    await eventually(async () => assert.doesNotMatch(await rig.table(), /dormant/))
  })

  test('goes on cleaning, in the same event, when somebody deletes its tables', async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    await using sender = await rig.sender(flood)
    const sending = sender.send({ packetsPerSecond: 3_000, seconds: 110 })
    const { eventId } = await rig.until(({ phase }) => phase === 'cleaning')
    await rig.scene.host.run('nft', ['-f', '-'], { input: `delete table inet ringwall\ndelete table ${table}\n` })
    await eventually(async () => assert.match(await rig.table(), new RegExp(`${instanceId}/defence`)))
    const againAtMs = Date.now()
    const cleaned = await rig.until(
      ({ sample }) =>
        sample !== null &&
        Date.parse(sample.time) > againAtMs &&
        sample.offered.packetsPerSecond > thresholds.pps &&
        sample.passed.packetsPerSecond < 2 * thresholds.pps,
    )
    assert.equal(cleaned.eventId, eventId)
    await sending.stop()
  })

  test('measures a device that comes, is renamed, or goes and comes again', async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    const { host, internet } = rig.scene
    const measured = async () => {
      const seen = async () => (await rig.status()).sample?.all.packetsPerSecond ?? 0
      await host.run('ip', ['neigh', 'replace', '198.18.0.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'eth0'], {
        allowFailure: true,
      })
      const ping = internet.spawn('ping', ['-q', '-i', '0.02', '-w', '100', '198.18.0.2'], { stdio: 'ignore' })
      await eventually(async () => assert.ok((await seen()) >= 10))
      ping.kill()
      await eventually(async () => assert.ok((await seen()) < 10))
    }
    await measured()
    await renameDevices(host, ['eth0', 'wan0'])
    await eventually(async () => assert.match(await rig.table(), /"wan0"/))
    await measured()
    await host.run('ip', ['link', 'delete', 'wan0'])
    await eventually(async () => assert.doesNotMatch(await rig.table(), /inbound/))
    await connect(
      { namespace: internet, device: 'up0', mac: '02:00:00:00:00:01', addresses: ['198.18.0.1/24'] },
      { namespace: host, device: 'eth0', mac: '02:00:00:00:00:02', addresses: ['198.18.0.2/24'] },
    )
    await eventually(async () => assert.match(await rig.table(), /"eth0"/))
    await measured()
    assert.deepEqual((await rig.events()).length, 0)
    assert.deepEqual(
      rig.agent.log.filter(({ level }) => level === 'error'),
      [],
    )
  })

  test('leaves its table when it stops, and goes on from it', async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    const before = await rig.table()
    await rig.agent.stop()
    assert.equal(await rig.table(), before)
    await rig.startAgent()
    await rig.agent.line(goesOn)
  })
})
