/** `ringwall panic` on a host, seen at the daemon: since when it is open, while its agent is away too, and that it is no more. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { startAgent, stateDirOf } from '../../lab/agents.ts'
import { asHost } from '../../lab/launcher.ts'
import { startSwitchedFleet } from '../../lab/switched.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const seenMs = 60_000

test('the daemon shows since when a host is open', { skip: needsKernel, timeout: 240_000 }, async () => {
  await using stack = new AsyncDisposableStack()
  const fleet = await startSwitchedFleet(stack, { hosts: { web: ['sg-web'] } })
  const host = fleet.hosts.get('web')!
  const stateDir = stateDirOf(fleet.folder, 'web')
  // A busy agent may take longer than the command waits for it, and does it all the same, as the daemon shows.
  const panic = (...flags: readonly string[]) =>
    host.namespace.run(...asHost('web', ['panic', '--state-dir', stateDir, ...flags]), { allowFailure: true })
  const shown = async () => {
    const { items } = await fleet.control.call<{
      items: readonly [{ state: string; isOpen: boolean; openSince: string | null }]
    }>('GET', '/v1/agents')
    return items[0]
  }
  const isShown = (expected: { readonly state: string; readonly isOpen: boolean }) =>
    eventually(async () => assert.partialDeepStrictEqual(await shown(), expected), seenMs)

  assert.partialDeepStrictEqual(await shown(), { isOpen: false, openSince: null })
  const beforeMs = Date.now()
  await panic()
  await isShown({ state: 'refusing', isOpen: true })
  const { openSince } = await shown()
  const sinceMs = Date.parse(openSince ?? '')
  assert.ok(sinceMs >= beforeMs - 1000 && sinceMs <= Date.now(), `${openSince}`)

  const agent = fleet.agents.get('web')!
  const ended = once(agent, 'close')
  agent.kill('SIGKILL')
  await ended
  await isShown({ state: 'away', isOpen: true })
  fleet.agents.set('web', startAgent(host, fleet.folder))
  await isShown({ state: 'refusing', isOpen: true })
  assert.equal((await shown()).openSince, openSince)

  await panic('--undo')
  await isShown({ state: 'in-sync', isOpen: false })
  assert.equal((await shown()).openSince, null)
  for (const action of ['OpenHost', 'CloseHost']) {
    const { items } = await fleet.control.call<{ items: unknown[] }>('GET', `/v1/audit?action=ringwall:${action}`)
    assert.equal(items.length, 1, action)
  }
})
