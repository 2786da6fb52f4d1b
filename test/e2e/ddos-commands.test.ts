/** What an operator sees of a flood on the host itself, of the agent alone: `--local`. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import type { CommandResult } from '../../lab/netns.ts'
import { FloodRig } from '../support/flood/rig.ts'
import { Printed } from '../support/printed.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'

/** Longer than a sender is held up for: one flood is one event. */
const holdTime = 5

suite('the agent on this host', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let rig: FloodRig
  before(async () => {
    rig = await FloodRig.start(stack, { thresholds: { bps: 5, pps: 1000 }, scrubbing: { holdTime } })
  })
  after(() => stack.disposeAsync())

  const run = (...args: readonly string[]): Promise<CommandResult> =>
    rig.scene.host.run(ringwallProgram, [...args, '--local'], { allowFailure: true })

  async function printed(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await run(...args)
    assert.deepEqual([exitCode, stderr], [0, ''])
    return stdout
  }

  test('where no agent runs', async () => {
    for (const args of [['ddos', 'status'], ['ddos', 'events'], ['top'], ['top', '--once']]) {
      const { exitCode, stdout, stderr } = await rig.scene.internet.run(ringwallProgram, [...args, '--local'], {
        allowFailure: true,
      })
      assert.deepEqual([exitCode, stdout], [1, ''])
      assert.match(stderr, /^Cannot ask the agent on this host: none runs in this network namespace\nStart it with /)
    }
  })

  test('before a flood', async () => {
    await rig.until(({ phase, sample }) => phase === 'normal' && sample !== null)
    assert.match(await printed('ddos', 'status'), /^INSTANCE .*\ni-flooded +normal +\S+ \w*bit\/s +\S+ \w*pps .*\n$/)
    assert.match(
      await printed('ddos', 'status', 'i-flooded'),
      /^instance +i-flooded\nphase +normal since .*\nthresholds +5 Mbit\/s, 1 kpps, set by hand\n/,
    )
    assert.equal(await printed('ddos', 'events'), 'There were no attacks yet.\n')
    assert.match(await printed('top', '--once'), /^INSTANCE .*\ni-flooded +normal /)
    const other = await run('ddos', 'status', 'i-floded')
    assert.deepEqual(
      [other.exitCode, other.stderr],
      [1, 'no such instance "i-floded" on this host; did you mean "i-flooded"?\nIts agent knows ids, and no names.\n'],
    )
  })

  test('a flood is watched from its beginning to its end, over a restart of the agent', async () => {
    const child = rig.scene.host.spawn(ringwallProgram, ['top', '--local', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const closed = once(child, 'close')
    const seen = new Printed(child.stdout!)
    const said = new Printed(child.stderr!)
    await seen.until(/"phase":"normal".*\n/)

    const flood = { kind: 'udp', family: 'ip', sources: 1000, packetBytes: 60 } as const
    await using sender = await rig.sender(flood)
    const sending = sender.send({ packetsPerSecond: 10_000, seconds: 110 })
    await seen.until(/"phase":"cleaning".*"udp".*\n/)
    assert.match(await printed('ddos', 'status'), /^i-flooded +cleaning .* udp$/m)

    await rig.killKept((await rig.status()).eventId!)
    await said.until(/; trying again\.\n/)
    await rig.startAgent()
    await said.until(/\nIt answers again\.\n/)
    const before = seen.text.length
    await seen.until(new RegExp(`^[\\s\\S]{${before},}"phase":"cleaning".*\\n`))
    await sending.stop()
    await rig.until(({ phase }) => phase === 'normal')
    child.kill('SIGINT')
    assert.deepEqual(await closed, [0, null])
    for (const line of seen.text.trimEnd().split('\n')) assert.equal(JSON.parse(line).instanceId, 'i-flooded')

    const table = await printed('ddos', 'events')
    const [, id = ''] = /^(ddos-\S+) +i-flooded +.* ended .* udp$/m.exec(table) ?? []
    assert.equal(table.split('\n').length, 3, 'one flood, one event')
    const shown = await printed('ddos', 'show', id)
    assert.match(shown, /^phase +ended: the traffic went down$/m)
    assert.match(shown, /^DROPPED BY .*\n/m)
    assert.match(shown, /^udp +\S+% .*$/m)
    assert.equal(await printed('ddos', 'events', '--type', 'syn'), 'There were no such attacks.\n')
    const unknown = await run('ddos', 'show', 'ddos-x')
    assert.equal(unknown.exitCode, 1)
    assert.ok(unknown.stderr.startsWith('no such attack "ddos-x" that the agent on this host still knows of; '))
  })
})
