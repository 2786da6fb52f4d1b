/** An attack goes on while the agent dies, or the daemon is away: cleaning stays, and there is one event, told once. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type SwitchedHost, startSwitchedFleet } from '../../lab/switched.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import { type Flood, floodFrames } from '../support/flood/frames.ts'
import { between, windows } from '../support/flood/observer.ts'
import { FloodRig } from '../support/flood/rig.ts'
import { FloodSender } from '../support/flood/sender.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

const thresholds = { bps: 5, pps: 1000 }
const packetsPerSecond = 10 * thresholds.pps
/** Longer than a sender is held up for: one flood is one event. */
const scrubbing = { secondsOver: 1, holdTime: 5 }
const flood: Flood = { kind: 'udp', family: 'ip', sources: 10_000, packetBytes: 60 }

/** Both at once: they wait more than they work. */
describe('faults in the middle of an attack', { skip: needsKernel, concurrency: true }, () => {
  test('an agent that is killed: cleaning stays, and it goes on with the event', { timeout: 240_000 }, async () => {
    await using stack = new AsyncDisposableStack()
    const rig = await FloodRig.start(stack, { thresholds, scrubbing })
    await using sender = await rig.sender(flood)
    const sending = sender.send({ packetsPerSecond, seconds: 110 })
    await rig.until(({ phase }) => phase === 'cleaning')
    const [begun] = await rig.events()

    await rig.killKept(begun!.id)
    const killedAtMs = performance.now()
    const alone = () => rig.observer.observations.filter(({ askedAtMs }) => askedAtMs >= killedAtMs)
    const isMuch = (packets: number) => packets > 3 * packetsPerSecond
    await eventually(async () => {
      const [first, last] = [alone()[0], alone().at(-1)]
      assert.ok(first !== undefined && last !== undefined && isMuch(between(first, last).offered.packets))
    }, 60_000)
    for (const each of windows(alone(), 1)) {
      assert.ok(each.passed.packets < 2 * thresholds.pps * each.seconds, `${each.passed.packets} packets have passed`)
    }

    await rig.startAgent()
    const { eventId } = await rig.until(({ phase }) => phase === 'cleaning')
    assert.equal(eventId, begun!.id)
    await sending.stop()
    await rig.until(({ phase }) => phase === 'normal')
    const events = await rig.events()
    assert.deepEqual(
      events.map(({ id, phase }) => ({ id, phase })),
      [{ id: begun!.id, phase: 'ended' }],
    )
    assert.equal(events[0]!.startTime, begun!.startTime)
  })

  test('a daemon that is away: scrubbing goes on, and the event arrives later, once', {
    timeout: 240_000,
  }, async () => {
    await using stack = new AsyncDisposableStack()
    const { control, hosts } = await startSwitchedFleet(stack, {
      hosts: { web: ['sg-web'], attacker: ['sg-attacker'] },
    })
    await control.call('PUT', '/v1/instances/i-web/ddos-threshold', thresholds)
    const { enforcement } = await control.call<{ enforcement: { state: string } }>(
      'PATCH',
      '/v1/settings?wait=enforced&timeout=60',
      { scrubbing },
    )
    assert.equal(enforcement.state, 'enforced')
    const web = hosts.get('web')!
    const attacker = hosts.get('attacker')!
    await control.kill()
    const macs = { source: await macOf(attacker), destination: await macOf(web) }
    const frames = floodFrames(flood, { addresses: web.addresses, port: 7000, macs })
    await using sender = await FloodSender.create(attacker.namespace, 'eth0', frames)
    await sender.send({ packetsPerSecond, seconds: 4 }).sent
    await eventually(async () => {
      const { stdout } = await web.namespace.run(ringwallProgram, ['ddos', 'events', '--local'])
      assert.match(stdout, / ended /)
    }, 60_000)
    await control.restart()
    const events = await eventually(async () => {
      const { items } = await control.call<{ items: readonly DdosEvent[] }>('GET', '/v1/ddos/events')
      if (items[0]?.phase !== 'ended')
        throw new Error(`The daemon does not know that it ended: ${JSON.stringify(items)}`)
      return items
    }, 60_000)
    assert.equal(events.length, 1)
    const [{ instanceId, attackTypes, offered }] = events as [DdosEvent]
    assert.equal(instanceId, 'i-web')
    assert.deepEqual(
      attackTypes.map(({ type }) => type),
      ['udp'],
    )
    assert.ok(offered.packets > 2.5 * packetsPerSecond, `${offered.packets} packets offered`)
  })
})

async function macOf({ namespace }: SwitchedHost): Promise<string> {
  const { stdout } = await namespace.run('cat', ['/sys/class/net/eth0/address'])
  return stdout.trim()
}
