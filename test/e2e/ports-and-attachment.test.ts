/**
 * A list of ports that changes, and interfaces that are taken from their instances and given back: what the daemon says
 * is in the kernels of real agents, and packets say so.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startPeer } from '../../lab/conversation.ts'
import { startSwitchedFleet } from '../../lab/switched.ts'
import { needsKernel } from '../support/requirements.ts'

const [first, second, unlisted] = [8080, 8081, 9090]
const longMs = 10_000
/** How long silence is waited for. */
const shortMs = 600

test('ports of a list, and the place of an interface, are followed by the kernels', {
  skip: needsKernel,
  timeout: 240_000,
}, async () => {
  await using stack = new AsyncDisposableStack()
  const fleet = await startSwitchedFleet(stack, { hosts: { web: ['sg-web'], app: ['sg-app'] } })
  const [web, app] = [fleet.hosts.get('web')!, fleet.hosts.get('app')!]
  const listener = stack.use(await startPeer(web.namespace))
  const client = stack.use(await startPeer(app.namespace))
  for (const port of [first, second, unlisted]) await listener.listenTcp(port)
  const connect = (port: number, timeoutMs = longMs) => client.connectTcp(web.addresses.ip, port, { timeoutMs })
  const isSilent = (port: number) => assert.rejects(connect(port, shortMs), /ETIMEDOUT/)
  const reaches = async (port: number) => {
    const session = await connect(port)
    assert.ok(await session.ask('hello', longMs))
    return session
  }
  const write = async (method: string, path: string, body: object) => {
    const { enforcement } = await fleet.control.call<{ enforcement: { state: string } }>(
      method,
      `${path}?wait=enforced&timeout=60`,
      body,
    )
    assert.equal(enforcement.state, 'enforced')
  }

  await fleet.control.call('POST', '/v1/port-range-lists', {
    portRangeListId: 'prl-web',
    portRangeListName: 'web',
    entries: [{ portRange: `${first}/${first}` }, { portRange: '7000/7100' }],
  })
  const rule = { direction: 'ingress', ipProtocol: 'tcp', portRangeListId: 'prl-web', sourceGroupId: 'sg-app' }
  await write('POST', '/v1/security-groups/sg-web/rules', { permissions: [rule] })
  const session = await reaches(first)
  await isSilent(second)

  await write('PATCH', '/v1/port-range-lists/prl-web', {
    addEntries: [{ portRange: `${second}/${second}` }],
    removeEntries: [{ portRange: `${first}/${first}` }],
  })
  await (await reaches(second)).close()
  await isSilent(first)
  // What the list let in does not go on.
  assert.equal(await session.ask('still there?', shortMs), false)
  await session.close()

  // An interface of no instance stays in its group, so its address is let in as before.
  await write('POST', '/v1/network-interfaces/eni-app/detach', {})
  await (await reaches(second)).close()
  await isSilent(unlisted)

  // Nothing is enforced at a device whose interface is taken away, until it has one again.
  await write('POST', '/v1/network-interfaces/eni-web/detach', { instanceId: web.instanceId })
  await (await reaches(unlisted)).close()
  await write('POST', '/v1/network-interfaces/eni-web/attach', { instanceId: web.instanceId, device: 'eth0' })
  await isSilent(unlisted)
  await (await reaches(second)).close()
})
