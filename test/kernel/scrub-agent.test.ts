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
const scrubbing = { holdTime: 2 }
const table = `inet ${scrubTableName}`

const isRebuilt = ({ msg }: LogLine) => msg.startsWith('somebody removed or changed the table of traffic scrubbing')
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
    const packetsPerSecond = 4_000
    const sending = sender.send({ packetsPerSecond, seconds: 60 })
    const { eventId } = await rig.until(({ phase }) => phase === 'cleaning')
    await rig.untilKept(eventId!)
    await rig.agent.kill()
    await setTimeout(1_500)
    await rig.startAgent()
    await rig.agent.line(goesOn)
    assert.equal((await rig.until(({ phase }) => phase === 'cleaning')).eventId, eventId)
    await setTimeout(1_500)
    const { packets, bytes } = await sending.stop()
    await rig.until(({ phase }) => phase === 'normal', 20_000)
    const [event, ...more] = await rig.events()
    assert.deepEqual(more, [])
    assert.equal(event?.id, eventId)
    const { offered, passed, dropped } = event!
    // The second in which it began may have been under the threshold, and one may be lost with the agent.
    const missing = packets - offered.packets
    assert.ok(missing >= 0 && missing < 2.5 * packetsPerSecond, `${missing} of ${packets} packets are not in the event`)
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
    const before = await eventually(() => rig.table())
    const chain = `${eniId}/inbound`
    for (const { name, text } of deeds) {
      // Looked at once more before the next deed, or that could be taken for the agent's own.
      await setTimeout(300)
      const from = rig.agent.log.length
      const { stdout } = await host.run('nft', ['-a', 'list', 'chain', 'inet', scrubTableName, chain])
      const handle = /# handle (\d+)\n\t\t/.exec(stdout.split('\n').slice(3).join('\n'))?.[1] ?? ''
      await host.run('nft', ['-f', '-'], { input: `${text.replace('CHAIN', chain).replace('HANDLE', handle)}\n` })
      await rig.agent.line(isRebuilt, { from })
      await eventually(async () => assert.equal(await rig.table(), before, name))
    }
    // Other tables are none of its business.
    const from = rig.agent.log.length
    await host.run('nft', ['add', 'table', 'inet', 'other'])
    await setTimeout(500)
    assert.deepEqual(rig.agent.log.slice(from).filter(isRebuilt), [])
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
    const sending = sender.send({ packetsPerSecond: 3_000, seconds: 60 })
    const { eventId } = await rig.until(({ phase }) => phase === 'cleaning')
    await rig.scene.host.run('nft', ['-f', '-'], { input: `delete table inet ringwall\ndelete table ${table}\n` })
    await eventually(async () => assert.match(await rig.table(), new RegExp(`${instanceId}/defence`)))
    await setTimeout(2_000)
    const status = await rig.status()
    assert.equal(status.eventId, eventId)
    assert.ok(status.sample!.passed.packetsPerSecond < 2 * thresholds.pps)
    await sending.stop()
  })

  test('measures a device that comes, is renamed, or goes and comes again', async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    const { host, internet } = rig.scene
    const measured = async (packets: number) => {
      const seen = async () => (await rig.status()).sample?.all.packetsPerSecond ?? 0
      await host.run('ip', ['neigh', 'replace', '198.18.0.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'eth0'], {
        allowFailure: true,
      })
      const ping = internet.run('ping', ['-q', '-c', String(packets), '-i', '0.02', '198.18.0.2'], {
        allowFailure: true,
      })
      await eventually(async () => assert.ok((await seen()) >= 10))
      await ping
      await eventually(async () => assert.ok((await seen()) < 10))
    }
    await measured(100)
    await renameDevices(host, ['eth0', 'wan0'])
    await eventually(async () => assert.match(await rig.table(), /"wan0"/))
    await measured(100)
    await host.run('ip', ['link', 'delete', 'wan0'])
    await eventually(async () => assert.doesNotMatch(await rig.table(), /inbound/))
    await connect(
      { namespace: internet, device: 'up0', mac: '02:00:00:00:00:01', addresses: ['198.18.0.1/24'] },
      { namespace: host, device: 'eth0', mac: '02:00:00:00:00:02', addresses: ['198.18.0.2/24'] },
    )
    await eventually(async () => assert.match(await rig.table(), /"eth0"/))
    await measured(100)
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
