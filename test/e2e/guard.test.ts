/**
 * The lockout guard of a host under a real control daemon: what an operator sees of a trial, how it is confirmed from
 * afar, and what becomes of administrators' sessions when rules change.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { startAgent } from '../../lab/agents.ts'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { type SwitchedFleet, startSwitchedFleet } from '../../lab/switched.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { arrives, converse, eventually, patienceMs } from '../support/sessions.ts'

interface ShownAgent {
  readonly agentId: string
  readonly state: string
  readonly lastError: string | null
  readonly trial: { readonly cuts: readonly string[]; readonly needsPerson: boolean; readonly until: string } | null
}

const ssh = 22
const waited = 'wait=enforced&timeout=60'
/** So long that whoever is to confirm a policy can on a busy machine; and as short as a host can be cut off for. */
const guardSeconds = { person: 600, daemon: 10 } as const
/** For what an agent does and tells on a busy machine. */
const toldMs = 60_000
const run = promisify(execFile)

/** Many processes start, on a machine that has more to do. */
const startLimit = { timeout: 240_000 }

describe('an administrator, an operator, and the policy between them', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let fleet: SwitchedFleet
  let admin: Peer
  let web: Peer

  before(async () => {
    process.env.RINGWALL_AGENT_GUARD_SECONDS = String(guardSeconds.person)
    fleet = await startSwitchedFleet(stack, { hosts: { web: ['sg-web'], admin: ['sg-admin'] } })
    admin = stack.use(await startPeer(fleet.hosts.get('admin')!.namespace))
    web = stack.use(await startPeer(fleet.hosts.get('web')!.namespace))
    await web.listenTcp(ssh, { echo: false })
  }, startLimit)
  after(async () => {
    delete process.env.RINGWALL_AGENT_GUARD_SECONDS
    await stack.disposeAsync()
  })

  const openShell = () =>
    converse('tcp', { client: admin, server: web, address: fleet.hosts.get('web')!.addresses.ip, port: ssh })

  async function webAgent(): Promise<ShownAgent> {
    const { items } = await fleet.control.call<{ items: (ShownAgent & { readonly instanceIds: string[] })[] }>(
      'GET',
      '/v1/agents',
    )
    return items.find(({ instanceIds }) => instanceIds.includes('i-web'))!
  }

  async function untilAgent(isSo: (agent: ShownAgent) => void): Promise<ShownAgent> {
    return eventually(async () => {
      const agent = await webAgent()
      isSo(agent)
      return agent
    }, toldMs)
  }

  const ringwall = (...args: readonly string[]) =>
    run(ringwallProgram, args, {
      env: { ...process.env, RINGWALL_URL: `unix:${fleet.control.socketPath}`, RINGWALL_TOKEN: fleet.control.token },
    })

  async function endAgent(): Promise<void> {
    const agent = fleet.agents.get('web')!
    const ended = new Promise(resolve => agent.once('close', resolve))
    agent.kill('SIGKILL')
    await ended
    // What the daemon says of it from then on is said of the next.
    await untilAgent(({ state }) => assert.equal(state, 'away'))
  }

  /** As a host is that has never had a ruleset. */
  async function beginAnew(): Promise<void> {
    const { namespace } = fleet.hosts.get('web')!
    await endAgent()
    await namespace.run(ringwallProgram, ['flush'])
    const stateDir = join(fleet.folder, 'web.state')
    await rm(stateDir, { recursive: true })
    const { agentId } = await webAgent()
    const { token } = await fleet.control.call<{ token: string }>('POST', '/v1/enrolment-tokens', { agentId })
    const args = ['agent', 'join', fleet.control.agentUrl, '--token', token, '--state-dir', stateDir]
    await namespace.run(ringwallProgram, args)
  }

  test("a host's first policy that would cut a live session is shown on trial, and confirmed at the daemon", async () => {
    await beginAnew()
    const shell = await openShell()
    fleet.agents.set('web', startAgent(fleet.hosts.get('web')!, fleet.folder))
    const { agentId, state, trial } = await untilAgent(agent => assert.equal(agent.trial?.needsPerson, true))
    assert.equal(state, 'refusing')
    assert.match(trial!.cuts.join(), /^the session from 198\.18\.0\.3 to 198\.18\.0\.2:22 /)
    assert.ok(Date.parse(trial!.until) > Date.now())
    const { stdout: shown } = await ringwall('agent', 'show', agentId)
    assert.match(shown, /^on trial until +\d{4}-/m)
    assert.match(shown, /^would cut +the session from 198\.18\.0\.3/m)

    const { stdout } = await ringwall('agent', 'confirm', agentId)
    assert.equal(stdout, `Confirmed: agent ${agentId} keeps its policy.\n`)
    await eventually(async () => {
      const agent = await webAgent()
      // A newer revision that came in between is on trial of its own: what was confirmed is the one that was seen.
      if (agent.trial !== null) await ringwall('agent', 'confirm', agentId)
      assert.deepEqual([agent.state, agent.trial], ['in-sync', null])
    }, toldMs)
    assert.equal(await arrives(shell.client, shell.server), false)
    await assert.rejects(ringwall('agent', 'confirm', agentId), /expected a policy on trial there/)
    const { items } = await fleet.control.call<{ items: { detail: string }[] }>(
      'GET',
      '/v1/audit?action=ringwall:ConfirmPolicy&outcome=done',
    )
    assert.match(items[0]!.detail, new RegExp(`^the policy of revision \\d+ on trial at agent ${agentId}$`))
  })

  test('a session that an operator cuts later is cut when the daemon says that it is, and stays cut', async () => {
    const { control } = fleet
    const permissions = [
      { direction: 'ingress', ipProtocol: 'tcp', portRange: `${ssh}/${ssh}`, sourceCidrIp: '198.18.0.0/15' },
    ]
    await control.call('POST', `/v1/security-groups/sg-web/rules?${waited}`, { permissions })
    const shell = await openShell()
    const revokedAtMs = performance.now()
    const { enforcement } = await control.call<{ enforcement: { state: string } }>(
      'POST',
      `/v1/security-groups/sg-web/rules/revoke?${waited}`,
      { permissions },
    )
    assert.equal(enforcement.state, 'enforced')
    console.log(
      `cut, and confirmed by the daemon, ${Math.round(performance.now() - revokedAtMs)} ms after it was asked for`,
    )
    assert.equal(await arrives(shell.client, shell.server), false)
    const { state, trial } = await webAgent()
    assert.deepEqual([state, trial], ['in-sync', null])
  })

  test('the end of observing waits for somebody where it would cut a session, as a first policy does', async () => {
    const put = (mode: 'observe' | 'enforce', query = '') =>
      fleet.control.call('PATCH', `/v1/network-interfaces/eni-web${query}`, { mode })
    await put('observe', `?${waited}`)
    const shell = await openShell()
    await put('enforce')
    const { state, trial } = await untilAgent(agent => assert.equal(agent.trial?.needsPerson, true))
    assert.equal(state, 'refusing')
    assert.match(trial!.cuts.join(), /^the session from 198\.18\.0\.3 to 198\.18\.0\.2:22 /)
    await put('observe', `?${waited}`)
    assert.ok(await arrives(shell.client, shell.server, patienceMs))
    await put('enforce')
    const { agentId } = await untilAgent(agent => assert.equal(agent.trial?.needsPerson, true))
    await ringwall('agent', 'confirm', agentId)
    await untilAgent(agent => assert.deepEqual([agent.state, agent.trial], ['in-sync', null]))
    assert.equal(await arrives(shell.client, shell.server), false)
  })

  test('a policy that cuts the host off from the daemon is taken back, and the daemon hears why', async () => {
    await endAgent()
    process.env.RINGWALL_AGENT_GUARD_SECONDS = String(guardSeconds.daemon)
    fleet.agents.set('web', startAgent(fleet.hosts.get('web')!, fleet.folder))
    await untilAgent(agent => assert.equal(agent.state, 'in-sync'))
    const place = (placement: 'host' | 'guest') =>
      fleet.control.call('PATCH', '/v1/network-interfaces/eni-web', { placement })
    // The host's own uplink as if it were a guest's: its source guard drops what the daemon answers.
    await place('guest')
    const { lastError } = await untilAgent(agent => assert.match(agent.lastError ?? '', /^Taken back/))
    assert.match(lastError!, /the daemon was not reached through it within 10 s .*placement guest on eth0/)
    await place('host')
    await untilAgent(agent => assert.deepEqual([agent.state, agent.lastError], ['in-sync', null]))
  })
})
