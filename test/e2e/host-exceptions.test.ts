/** What a host accepts by settings of its own agent alone: the daemon shows it, and explains packets as the kernel judges them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { startAgent } from '../../lab/agents.ts'
import { type OpenOptions, type Peer, startPeer } from '../../lab/conversation.ts'
import { type SwitchedFleet, startSwitchedFleet } from '../../lab/switched.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

const ports = { rescue: 7000, ruled: 7001, neither: 7002 } as const
/** How long silence is waited for. */
const shortMs = 1000
const run = promisify(execFile)

interface Explanation {
  readonly verdict: string
  readonly reason: { readonly kind: string; readonly name: string | null }
}

/** Many processes start, on a machine that has more to do. */
const startLimit = { timeout: 240_000 }

describe('rescue addresses that only the host names', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let fleet: SwitchedFleet
  const peers = new Map<string, Peer>()

  before(async () => {
    fleet = await startSwitchedFleet(stack, { hosts: { web: ['sg-web'], admin: ['sg-admin'], other: ['sg-admin'] } })
    for (const [name, { namespace }] of fleet.hosts) peers.set(name, stack.use(await startPeer(namespace)))
    for (const port of Object.values(ports)) await peers.get('web')!.listenTcp(port, { echo: false })
    const permissions = [
      {
        direction: 'ingress',
        ipProtocol: 'tcp',
        portRange: `${ports.ruled}/${ports.ruled}`,
        sourceCidrIp: '0.0.0.0/0',
      },
    ]
    await fleet.control.call('POST', '/v1/security-groups/sg-web/rules?wait=enforced&timeout=60', { permissions })
    const { ip, ip6 } = fleet.hosts.get('admin')!.addresses
    await restart('--rescue', `${ip}:${ports.rescue},[${ip6}]:${ports.rescue}`, '--rescue-port', `22,${ports.rescue}`)
  }, startLimit)
  after(() => stack.disposeAsync())

  async function restart(...flags: readonly string[]): Promise<void> {
    const agent = fleet.agents.get('web')!
    const ended = once(agent, 'close')
    agent.kill('SIGTERM')
    await ended
    await untilWeb(({ state }) => assert.equal(state, 'away'))
    fleet.agents.set('web', startAgent(fleet.hosts.get('web')!, fleet.folder, flags))
    await untilWeb(({ state }) => assert.equal(state, 'in-sync'))
  }

  const untilWeb = (isSo: (agent: Awaited<ReturnType<typeof shownAgent>>) => void) =>
    eventually(async () => isSo(await shownAgent()), 60_000)

  async function shownAgent() {
    const { items } = await fleet.control.call<{
      items: readonly {
        readonly agentId: string
        readonly state: string
        readonly instanceIds: readonly string[]
        readonly rescue: readonly { readonly source: string; readonly port: number }[] | null
        readonly rescuePorts: readonly number[] | null
      }[]
    }>('GET', '/v1/agents')
    return items.find(({ instanceIds }) => instanceIds.includes('i-web'))!
  }

  const explain = (question: Record<string, unknown>) =>
    fleet.control.call<Explanation>('POST', '/v1/explain', { protocol: 'tcp', ...question })

  const addressesOf = (host: string) => fleet.hosts.get(host)!.addresses

  const connect = (from: string, to: string, port: number, options: OpenOptions = {}) =>
    peers.get(from)!.connectTcp(to, port, options)
  const isDropped = (from: string, to: string, port: number) =>
    assert.rejects(connect(from, to, port, { timeoutMs: shortMs }), { message: 'ETIMEDOUT' })

  test('are shown with the agent', async () => {
    const { ip, ip6 } = addressesOf('admin')
    const [source, source6] = [`${ip}/32`, `${ip6}/128`]
    await untilWeb(({ rescue, rescuePorts }) => {
      assert.deepEqual(rescue, [
        { source, port: ports.rescue },
        { source: source6, port: ports.rescue },
      ])
      assert.deepEqual(rescuePorts, [22, ports.rescue])
    })
    const { stdout } = await run(ringwallProgram, ['agent', 'show', (await shownAgent()).agentId], {
      env: { ...process.env, RINGWALL_URL: `unix:${fleet.control.socketPath}`, RINGWALL_TOKEN: fleet.control.token },
    })
    assert.match(
      stdout,
      new RegExp(`^rescue +${source} to port ${ports.rescue}, ${source6} to port ${ports.rescue}$`, 'm'),
    )
    assert.match(stdout, new RegExp(`^rescue ports +22, ${ports.rescue}$`, 'm'))
  })

  test('the daemon explains every packet as the kernel judges it', async () => {
    const reasons = new Set<string>()
    for (const from of ['admin', 'other']) {
      for (const family of ['ip', 'ip6'] as const) {
        for (const port of Object.values(ports)) {
          const [source, destination] = [addressesOf(from)[family], addressesOf('web')[family]]
          const place = { networkInterfaceId: 'eni-web', direction: 'ingress' }
          const { verdict, reason } = await explain({ ...place, source, destination, port })
          if (verdict === 'accept') await (await connect(from, destination, port)).close()
          else await isDropped(from, destination, port)
          reasons.add(`${verdict} ${reason.name ?? reason.kind}`)
        }
      }
    }
    assert.deepEqual([...reasons].sort(), ['accept rescue', 'accept rule', 'drop default'])
  })

  test('the way to the daemon is explained too', async () => {
    const url = new URL(fleet.control.agentUrl)
    const { verdict, reason } = await explain({
      networkInterfaceId: 'eni-web',
      direction: 'egress',
      source: addressesOf('web').ip,
      destination: url.hostname,
      port: Number(url.port),
    })
    assert.deepEqual([verdict, reason.name], ['accept', 'control-connection'])
  })

  test('are forgotten by both where the host forgets them', async () => {
    await restart()
    await untilWeb(({ rescue }) => assert.deepEqual(rescue, []))
    const place = { networkInterfaceId: 'eni-web', direction: 'ingress', port: ports.rescue }
    const [source, destination] = [addressesOf('admin').ip, addressesOf('web').ip]
    assert.equal((await explain({ ...place, source, destination })).verdict, 'drop')
    await isDropped('admin', destination, ports.rescue)
  })
})
