/**
 * A policy tried on live traffic, asked for over REST: what rules refuse passes and is counted, what they accept notices
 * nothing, before it is enforced one sees what that would cut, and then it cuts just that. The daemon is killed in between.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Conversation, type Peer, startPeer } from '../../lab/conversation.ts'
import { type SwitchedFleet, startSwitchedFleet } from '../../lab/switched.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const [allowed, refusedByRule, refusedByDefault] = [443, 8080, 2222]
/** How long silence is waited for, and how long an answer. */
const shortMs = 600
const longMs = 10_000
/** Agents tell every ten seconds. */
const toldMs = 60_000
const datagrams = 50

interface Report {
  readonly observedCount: number
  readonly reportedCount: number
  readonly isComplete: boolean
  readonly packets: number
  readonly liveSessions: number | null
  readonly reasons: readonly {
    readonly direction: string
    readonly cause: string
    readonly securityGroupRuleId: string | null
    readonly securityGroupId: string | null
    readonly packets: number
  }[]
  readonly flows: readonly {
    readonly networkInterfaceId: string
    readonly peer: string
    readonly protocol: string
    readonly port: number | null
    readonly securityGroupRuleId: string | null
  }[]
  readonly missing: readonly { readonly networkInterfaceId: string; readonly reason: string }[]
}

describe('an interface that is only observed', { skip: needsKernel, timeout: 300_000 }, () => {
  const stack = new AsyncDisposableStack()
  let fleet: SwitchedFleet
  let web: Peer
  let app: Peer
  let accepted: Conversation
  /** Only let through. */
  let letThrough: Conversation
  let udp: Conversation
  let ruleId: string

  before(async () => {
    fleet = await startSwitchedFleet(stack, {
      hosts: { web: ['sg-web'], app: ['sg-app'] },
      async prepare({ call }) {
        for (const securityGroupId of ['sg-web', 'sg-app']) {
          await call('POST', '/v1/security-groups', { securityGroupId, innerAccessPolicy: 'drop' })
        }
        const rule = { direction: 'ingress', ipProtocol: 'tcp' }
        const { permissions } = await call<{ permissions: readonly { securityGroupRuleId: string; policy: string }[] }>(
          'POST',
          '/v1/security-groups/sg-web/rules',
          {
            permissions: [
              { ...rule, portRange: `${allowed}/${allowed}`, sourceGroupId: 'sg-app' },
              {
                ...rule,
                policy: 'drop',
                portRange: `${refusedByRule}/${refusedByRule}`,
                sourceCidrIp: '198.18.0.0/15',
              },
            ],
          },
        )
        ruleId = permissions.find(({ policy }) => policy === 'drop')!.securityGroupRuleId
      },
    })
    const peerOf = async (name: string) => stack.use(await startPeer(fleet.hosts.get(name)!.namespace))
    web = await peerOf('web')
    app = await peerOf('app')
    for (const port of [allowed, refusedByRule, refusedByDefault]) await web.listenTcp(port)
    await web.listenUdp(refusedByDefault)
  })
  after(() => stack.disposeAsync())

  const connect = (port: number, timeoutMs = longMs) =>
    app.connectTcp(fleet.hosts.get('web')!.addresses.ip, port, { timeoutMs })
  const isRefused = (port: number) => assert.rejects(connect(port, shortMs), /ETIMEDOUT/)

  async function setMode(mode: 'enforce' | 'observe') {
    const { enforcement } = await fleet.control.call<{ enforcement: { state: string; agents: number } }>(
      'PATCH',
      '/v1/network-interfaces/eni-web?wait=enforced&timeout=60',
      { mode },
    )
    // The agent of app sees nothing of it.
    assert.deepEqual([enforcement.state, enforcement.agents], ['enforced', 1])
  }

  const reportOf = async (path = '/v1/network-interfaces/eni-web/observed') =>
    (await fleet.control.call<{ observed: Report }>('GET', path)).observed

  /** `rule sgr-1 sg-web` with how many packets. */
  const packetsIn = ({ reasons }: Report) =>
    new Map(
      reasons.map(({ cause, securityGroupRuleId, securityGroupId, packets }) => [
        [cause, securityGroupRuleId, securityGroupId].filter(Boolean).join(' '),
        packets,
      ]),
    )

  test('refuses at first what rules refuse', async () => {
    accepted = await connect(allowed)
    assert.ok(await accepted.ask('while enforced', longMs))
    for (const port of [refusedByRule, refusedByDefault]) await isRefused(port)
  })

  test('lets it pass from then on, and a session that rules accept goes on', async () => {
    await setMode('observe')
    assert.ok(await accepted.ask('while observed', longMs))
    letThrough = await connect(refusedByRule)
    assert.ok(await letThrough.ask('refused by a rule', longMs))
    assert.ok(await (await connect(refusedByDefault)).ask('refused by default', longMs))
    const { ip } = fleet.hosts.get('web')!.addresses
    udp = await app.openUdp(ip, refusedByDefault)
    for (let number = 1; number <= datagrams; number += 1) {
      assert.ok(await udp.ask(`datagram ${number}`, longMs), `datagram ${number}`)
    }
  })

  test('is told of with every packet by its rule or cause, and with its flows', async () => {
    const { ip } = fleet.hosts.get('app')!.addresses
    let serial = 0
    await eventually(async () => {
      // The log is read from a moment after the mode on: what was seen of flows before may be missing.
      serial += 1
      assert.ok(await letThrough.ask(`again ${serial}`, longMs))
      assert.ok(await udp.ask(`again ${serial}`, longMs))
      const report = await reportOf()
      const packets = packetsIn(report)
      assert.ok((packets.get(`rule ${ruleId} sg-web`) ?? 0) >= 3, JSON.stringify(report))
      assert.ok((packets.get('default') ?? 0) >= datagrams, JSON.stringify(report))
      assert.deepEqual([report.observedCount, report.reportedCount, report.isComplete], [1, 1, true])
      const flow = report.flows.find(({ port, protocol }) => port === refusedByRule && protocol === 'tcp')
      assert.partialDeepStrictEqual(flow, {
        networkInterfaceId: 'eni-web',
        peer: ip,
        securityGroupRuleId: ruleId,
      })
      assert.ok(report.flows.some(({ port, protocol }) => port === refusedByDefault && protocol === 'udp'))
    }, toldMs)
    assert.equal((await reportOf('/v1/security-groups/sg-web/observed')).reportedCount, 1)
    assert.equal((await reportOf('/v1/security-groups/sg-app/observed')).observedCount, 0)
  })

  test('stays observed while the daemon is away, which hears all of it again when it is back', async () => {
    const before = packetsIn(await reportOf())
    await fleet.control.kill()
    assert.ok(await letThrough.ask('daemon away', longMs))
    assert.ok(await (await connect(refusedByRule)).ask('daemon still away', longMs))
    assert.ok(await accepted.ask('accepted, daemon away', longMs))
    await fleet.control.restart()
    const fresh = await reportOf()
    if (fresh.reportedCount === 0) assert.deepEqual([fresh.isComplete, fresh.missing.length], [false, 1])
    await eventually(async () => {
      const report = await reportOf()
      assert.ok(report.isComplete, JSON.stringify(report.missing))
      for (const [reason, packets] of before) {
        assert.ok((packetsIn(report).get(reason) ?? 0) >= packets, `${reason}: ${JSON.stringify(report.reasons)}`)
      }
      assert.ok(packetsIn(report).get(`rule ${ruleId} sg-web`)! > before.get(`rule ${ruleId} sg-web`)!)
    }, toldMs)
  })

  test('shows before it is enforced which rule would drop what', async () => {
    const path = '/v1/network-interfaces/eni-web?dryRun=true'
    const { observed, agents } = await eventually(async () => {
      const answer = await fleet.control.call<{ observed: Report; agents: readonly string[] }>('PATCH', path, {
        mode: 'enforce',
      })
      // The kernel forgets one of UDP after two minutes of silence.
      assert.ok(await udp.ask(`still there ${performance.now()}`, longMs))
      // Two of the rule, two of the default; neither the accepted one nor the agent's own.
      assert.equal(answer.observed.liveSessions, 4)
      return answer
    }, toldMs)
    assert.equal(agents.length, 1)
    assert.ok(packetsIn(observed).has(`rule ${ruleId} sg-web`), JSON.stringify(observed))
    assert.ok(observed.flows.some(flow => flow.port === refusedByRule && flow.securityGroupRuleId === ruleId))
    assert.ok(await letThrough.ask('a dry run is none', longMs))
  })

  test('is cut from what was only let through when it is enforced, and from nothing else', async () => {
    await setMode('enforce')
    assert.equal(await letThrough.ask('no longer', shortMs), false)
    for (const port of [refusedByRule, refusedByDefault]) await isRefused(port)
    assert.ok(await accepted.ask('all the time', longMs))
    assert.deepEqual([(await reportOf()).observedCount, (await reportOf()).packets], [0, 0])
    const { items } = await fleet.control.call<{ items: readonly { action: string; changes: readonly unknown[] }[] }>(
      'GET',
      '/v1/audit?action=ecs:ModifyNetworkInterfaceAttribute',
    )
    assert.deepEqual(
      items.map(({ changes }) => JSON.stringify(changes)),
      [
        '[{"key":"eni/eni-web","before":{"mode":"observe"},"after":{"mode":"enforce"}}]',
        '[{"key":"eni/eni-web","before":{"mode":"enforce"},"after":{"mode":"observe"}}]',
      ],
    )
  })
})
