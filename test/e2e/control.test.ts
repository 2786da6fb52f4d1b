/** The daemon, agents and packets together: what an operator asks for over REST is what the kernels of the hosts do. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startAgent } from '../../lab/agents.ts'
import { type Conversation, type OpenOptions, type Peer, startPeer } from '../../lab/conversation.ts'
import { launcher } from '../../lab/launcher.ts'
import { type SwitchedFleet, startSwitchedFleet } from '../../lab/switched.ts'
import { type Family, families } from '../../rules-compiler/address/cidr.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const otherAccountId = '2000000000000000'
const databasePort = 5432
/** How long silence is waited for. */
const shortMs = 600
const patienceMs = 60_000
const waited = 'wait=enforced&timeout=60'

/** Many processes start, on a machine that has more to do. */
const startLimit = { timeout: 240_000 }

describe('a fleet under a control daemon', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let fleet: SwitchedFleet
  const peers = new Map<string, Peer>()

  before(async () => {
    fleet = await startSwitchedFleet(stack, {
      hosts: { web: ['sg-web'], app: ['sg-app'], db: ['sg-db'] },
      async prepare(control) {
        for (const securityGroupId of ['sg-web', 'sg-app', 'sg-db']) {
          await control.call('POST', '/v1/security-groups', { securityGroupId, innerAccessPolicy: 'drop' })
        }
        await control.call('POST', '/v1/security-groups/sg-db/rules', {
          permissions: [
            {
              direction: 'ingress',
              ipProtocol: 'tcp',
              portRange: `${databasePort}/${databasePort}`,
              sourceGroupId: 'sg-app',
            },
          ],
        })
      },
    })
    for (const [name, { namespace }] of fleet.hosts) {
      const peer = stack.use(await startPeer(namespace))
      await peer.listenTcp(databasePort)
      peers.set(name, peer)
    }
  }, startLimit)
  after(() => stack.disposeAsync())

  const connect = (from: string, to: string, options: OpenOptions & { readonly family?: Family } = {}) => {
    const { family = 'ip', ...rest } = options
    return peers.get(from)!.connectTcp(fleet.hosts.get(to)!.addresses[family], databasePort, rest)
  }
  const isRefused = (from: string, to: string) =>
    assert.rejects(connect(from, to, { timeoutMs: shortMs }), { message: 'ETIMEDOUT' })
  const isCut = async (session: Conversation) => assert.equal(await session.ask('no longer', shortMs), false)

  async function change(method: string, path: string, body?: unknown) {
    const answer = await fleet.control.call<{ revision: number; enforcement: { state: string; agents: number } }>(
      method,
      `${path}?${waited}`,
      body,
    )
    assert.equal(answer.enforcement.state, 'enforced')
    return answer
  }

  const https = { direction: 'ingress', ipProtocol: 'tcp', portRange: `${databasePort}/${databasePort}` }

  test('a rule added over REST lets a real connection through, and its removal cuts it', async () => {
    await isRefused('app', 'web')
    await change('POST', '/v1/security-groups/sg-web/rules', {
      permissions: [
        { ...https, sourceCidrIp: '198.18.0.0/15' },
        { ...https, ipv6SourceCidrIp: '2001:db8::/32' },
      ],
    })
    const sessions = await Promise.all(families.map(family => connect('app', 'web', { family })))
    for (const session of sessions) assert.ok(await session.ask('let in'))
    const { permissions } = await fleet.control.call<{ permissions: { securityGroupRuleId: string }[] }>(
      'GET',
      '/v1/security-groups/sg-web',
    )
    await change('POST', '/v1/security-groups/sg-web/rules/revoke', {
      securityGroupRuleIds: permissions.map(({ securityGroupRuleId }) => securityGroupRuleId),
    })
    for (const session of sessions) await isCut(session)
    await isRefused('app', 'web')
  })

  test('who joins a group is let in where a rule names it, on another host, and leaving cuts its sessions', async () => {
    await isRefused('web', 'db')
    const { revision } = await change('POST', '/v1/security-groups/sg-app/join', { instanceIds: ['i-web'] })
    const session = await connect('web', 'db')
    assert.ok(await session.ask('as a member'))
    const other = await connect('app', 'db')
    assert.ok(await other.ask('always was'))
    await change('POST', '/v1/security-groups/sg-app/leave', { instanceIds: ['i-web'] })
    await isCut(session)
    assert.ok(await other.ask('still is'))
    const told = await fleet.control.call<{ action: string; enforcement: { agents: number; enforced: number } }>(
      'GET',
      `/v1/changes/${revision}`,
    )
    assert.equal(told.action, 'ecs:JoinSecurityGroup')
    // web has the group now, app and db follow its members or its rules.
    assert.ok(told.enforcement.agents >= 2)
    assert.equal(told.enforcement.enforced, told.enforcement.agents)
  })

  test('a rule names a group of another account by its owner', async () => {
    const { control } = fleet
    await control.call('POST', '/v1/accounts', { accountId: otherAccountId, name: 'partner' })
    await control.call('POST', '/v1/security-groups', {
      accountId: otherAccountId,
      securityGroupId: 'sg-partner',
      innerAccessPolicy: 'drop',
    })
    const { ip } = fleet.hosts.get('web')!.addresses
    const permission = { ...https, sourceGroupId: 'sg-partner' }
    const refused = await control.ask('POST', '/v1/security-groups/sg-db/rules', { permissions: [permission] })
    assert.equal(refused.status, 400)
    await change('POST', '/v1/security-groups/sg-db/rules', {
      permissions: [{ ...permission, sourceGroupOwnerAccount: otherAccountId }],
    })
    await isRefused('web', 'db')
    // An address of the partner's without an agent of ours: it is a member all the same.
    await change('PATCH', '/v1/network-interfaces/eni-web', { privateIpAddresses: [] })
    await control.call('POST', '/v1/instances', { accountId: otherAccountId, instanceId: 'i-partner' })
    await change('POST', '/v1/network-interfaces', {
      networkInterfaceId: 'eni-partner',
      instanceId: 'i-partner',
      privateIpAddresses: [ip],
      securityGroupIds: ['sg-partner'],
    })
    const session = await connect('web', 'db')
    assert.ok(await session.ask('from the partner'))
    await change('DELETE', '/v1/network-interfaces/eni-partner')
    await isCut(session)
    await change('PATCH', '/v1/network-interfaces/eni-web', { privateIpAddresses: [ip] })
  })

  test('with the daemon away enforcement stays, and on its return agents catch up by deltas', async () => {
    const { control } = fleet
    const session = await connect('app', 'db')
    assert.ok(await session.ask('before'))
    await control.kill()
    assert.ok(await session.ask('daemon away'))
    assert.ok(await connect('app', 'db'))
    await isRefused('web', 'db')
    await control.restart()
    await change('POST', '/v1/security-groups/sg-app/join', { instanceIds: ['i-web'] })
    assert.ok(await connect('web', 'db'))
    assert.ok(await session.ask('after'))
    await change('POST', '/v1/security-groups/sg-app/leave', { instanceIds: ['i-web'] })
  })

  test('an agent that was killed comes back to what was asked for meanwhile', async () => {
    const agent = fleet.agents.get('db')!
    agent.kill('SIGKILL')
    await new Promise(resolve => agent.once('close', resolve))
    const { revision } = await fleet.control.call<{ revision: number }>('POST', '/v1/security-groups/sg-app/join', {
      instanceIds: ['i-web'],
    })
    await eventually(async () => {
      const { enforcement } = await fleet.control.call<{
        enforcement: { state: string; behind: { hostName: string }[] }
      }>('GET', `/v1/changes/${revision}`)
      assert.equal(enforcement.state, 'pending')
      assert.deepEqual(
        enforcement.behind.map(({ hostName }) => hostName),
        ['db'],
      )
    }, patienceMs)
    assert.ok(await connect('app', 'db'), 'what stood in the kernel stays')
    await isRefused('web', 'db')
    fleet.agents.set('db', startAgent(fleet.hosts.get('db')!, fleet.folder))
    await change('PATCH', '/v1/security-groups/sg-db', { description: 'databases' })
    await untilInSync()
    assert.ok(await connect('web', 'db'))
  })

  test('a host with a token that is worth nothing is refused, and the audit log says so', async () => {
    const { control, folder } = fleet
    const { token, enrolmentToken } = await control.call<{
      token: string
      enrolmentToken: { enrolmentTokenId: string }
    }>('POST', '/v1/enrolment-tokens', {})
    await control.call('DELETE', `/v1/enrolment-tokens/${enrolmentToken.enrolmentTokenId}`)
    const { namespace } = fleet.hosts.get('web')!
    const args = ['agent', 'join', control.agentUrl, '--token', token, '--state-dir', join(folder, 'nobody.state')]
    const { exitCode, stderr } = await namespace.run(launcher, args, { allowFailure: true })
    assert.notEqual(exitCode, 0)
    assert.match(stderr, /token/)
    await eventually(async () => {
      const { items } = await control.call<{ items: { status: number; sourceAddress: string }[] }>(
        'GET',
        '/v1/audit?action=ringwall:EnrolAgent&outcome=refused',
      )
      assert.deepEqual(
        items.map(({ status }) => status),
        [401],
      )
    })
  })

  test('a revoked agent is cut off, and its kernel keeps what it had', async () => {
    const { control } = fleet
    const { items } = await control.call<{ items: { agentId: string; instanceIds: string[] }[] }>('GET', '/v1/agents')
    const { agentId } = items.find(({ instanceIds }) => instanceIds.includes('i-db'))!
    await control.call('POST', `/v1/agents/${agentId}/revoke`)
    const { agent } = await control.call<{ agent: { state: string } }>('GET', `/v1/agents/${agentId}`)
    assert.equal(agent.state, 'revoked')
    assert.ok(await connect('app', 'db'))
  })

  const untilInSync = () =>
    eventually(async () => {
      const { totalCount } = await fleet.control.call<{ totalCount: number }>('GET', '/v1/agents?state=in-sync')
      assert.equal(totalCount, fleet.hosts.size)
    }, patienceMs)
})
