/** Groups changed by the vendor's own clients: what they are answered by is in the kernel, and packets say so. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { serveOnLoopback } from '../../lab/control.ts'
import { startPeer } from '../../lab/conversation.ts'
import { startSwitchedFleet } from '../../lab/switched.ts'
import { needsKernel } from '../support/requirements.ts'
import type { RpcKey } from '../support/rpc-client.ts'
import { sdkClients } from '../support/sdk/clients.ts'

const port = 8080
const longMs = 10_000
/** How long silence is waited for. */
const shortMs = 600
/** Says that a request waits until every agent concerned has the change in its kernel. */
const waiting = { RingwallWait: 'enforced', RingwallWaitTimeout: 60 }

test('rules authorized and revoked by clients of the published API filter packets', {
  skip: needsKernel,
  timeout: 240_000,
}, async () => {
  await using stack = new AsyncDisposableStack()
  const fleet = await startSwitchedFleet(stack, { hosts: { web: ['sg-home'], app: ['sg-app'] } })
  const { url, server } = await serveOnLoopback(fleet.control)
  stack.defer(() => void server.close())
  const endpoint = { protocol: 'http' as const, host: new URL(url).host }
  const [web, app] = [fleet.hosts.get('web')!, fleet.hosts.get('app')!]
  const peerOf = async ({ namespace }: typeof web) => stack.use(await startPeer(namespace))
  const [listener, client] = [await peerOf(web), await peerOf(app)]
  await listener.listenTcp(port)

  for (const [index, name] of ['SDK, ACS3', 'generic call, v2, POST of a form', 'pop-core, GET'].entries()) {
    const { ask } = sdkClients[name]!(endpoint, await firstKey(fleet.folder))
    for (const [family, peer] of [
      ['ip', { SourceCidrIp: app.addresses.ip }],
      ['ip6', { Ipv6SourceCidrIp: app.addresses.ip6 }],
    ] as const) {
      const connect = (timeoutMs: number) => client.connectTcp(web.addresses[family], port, { timeoutMs })
      const isSilent = () => assert.rejects(connect(shortMs), /ETIMEDOUT/)
      const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId: 'local' })
      const rule = { IpProtocol: 'TCP', PortRange: `${port}/${port}`, Policy: 'accept', ...peer }
      const group = { RegionId: 'local', SecurityGroupId }
      await ask('ecs', 'JoinSecurityGroup', { SecurityGroupId, InstanceId: web.instanceId })
      await isSilent()

      const authorized = await ask('ecs', 'AuthorizeSecurityGroup', { ...group, Permissions: [rule], ...waiting })
      // The SDK's own answer has no field for it.
      if (name !== 'SDK, ACS3') assert.equal(authorized.RingwallEnforcement.state, 'enforced')
      const open = await connect(longMs)
      assert.ok(await open.ask(`hello ${index}`, longMs))

      await ask('ecs', 'RevokeSecurityGroup', { ...group, ...rule, ...waiting })
      await isSilent()
      // What the rule let in does not go on.
      assert.equal(await open.ask('still there?', shortMs), false)
      await open.close()
      await ask('ecs', 'LeaveSecurityGroup', { SecurityGroupId, InstanceId: web.instanceId, ...waiting })
      await ask('ecs', 'DeleteSecurityGroup', group)
    }
  }
})

/** That a fresh daemon leaves for its operator. */
async function firstKey(folder: string): Promise<RpcKey> {
  const { accessKeyId, accessKeySecret } = JSON.parse(
    await readFile(join(folder, 'daemon.state', 'first-access-key.json'), 'utf8'),
  )
  return { accessKeyId, secret: accessKeySecret }
}
