/** A kernel that was built without NFLOG: the policy is enforced, nothing is logged, and that is said. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startAgent } from '../support/agent.ts'
import { type FlakyNft, makeFlakyNft } from '../support/flaky-nft.ts'
import { createHostNetwork, type HostNetwork, portsAccepted } from '../support/host-network.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { flushPolicy, ringwallProgram } from '../support/ringwall.ts'

const ports = [7000, 7001]
const [accepted = 0] = ports

let network: HostNetwork
let nft: FlakyNft

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  nft = await makeFlakyNft()
  await nft.behave('without-logs')
  for (const port of ports) await network.peers.host.listenTcp(port)
})

after(async () => {
  await network?.[Symbol.asyncDispose]()
  await nft?.[Symbol.asyncDispose]()
})

async function expectEnforcedWithoutLogs(): Promise<void> {
  assert.deepEqual(await portsAccepted(network, ports), [accepted])
  const { stdout } = await network.namespaces.host.run('nft', ['list', 'table', 'inet', 'ringwall'])
  assert.ok(!stdout.includes('log prefix') && stdout.includes('eni-host/ingress/drop'), stdout)
}

test('apply says that nothing is logged', { skip: needsKernel }, async () => {
  const { host } = network.namespaces
  const [program = '', ...args] = [...nft.prefix, ringwallProgram, 'apply', '-']
  const { stderr } = await host.run(program, args, { input: JSON.stringify(acceptingPorts(accepted)) })
  assert.match(stderr, /no NFLOG/)
  await expectEnforcedWithoutLogs()
  await flushPolicy(host)
})

test('so does the agent, which finds nothing to change then', { skip: needsKernel }, async () => {
  const namespace = network.namespaces.host
  await using agent = await startAgent({ namespace, policy: acceptingPorts(accepted), prefix: nft.prefix })
  const { level } = await agent.line(({ msg }) => msg.includes('no NFLOG: it is left out of rulesets'))
  assert.equal(level, 'warn')
  await expectEnforcedWithoutLogs()
  await agent.replacePolicy(acceptingPorts(...ports))
  assert.deepEqual(await portsAccepted(network, ports), ports)
})
