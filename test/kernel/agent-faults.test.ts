/** An nft that refuses, is slow or is missing: what was in force stays, and the agent goes on when it can. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { isHealed, isInForce, type LogLine, startAgent } from '../support/agent.ts'
import { makeFlakyNft } from '../support/flaky-nft.ts'
import { listTable } from '../support/kernel-listing.ts'
import { acceptPort, closedGroup } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

const document = (...ports: readonly number[]) => ({
  apiVersion: 'ringwall/v1',
  interfaces: [{ id: 'eni-1', device: 'd0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
  securityGroups: [
    closedGroup(
      'sg-1',
      ports.flatMap(port => acceptPort(port)),
    ),
  ],
})
const isRefused = (line: LogLine) => line.retryInMs !== undefined

let namespace: Namespace

before(async () => {
  if (needsKernel !== false) return
  namespace = await createNamespace('faults')
  await namespace.run('ip', ['link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'wire'])
})

after(() => namespace?.[Symbol.asyncDispose]())

async function holds(port: number): Promise<boolean> {
  const lines = (await listTable(namespace)) ?? []
  return lines.some(line => line.startsWith('set tcp/ip/') && new RegExp(`\\b${port}\\b`).test(line))
}

test('refused changes are tried again, later each time, and the old ruleset stays', { skip: needsKernel }, async () => {
  await using nft = await makeFlakyNft()
  await using agent = await startAgent({ namespace, policy: document(1001), prefix: nft.prefix })
  const before = await listTable(namespace)
  await nft.behave('refuse')
  await agent.writePolicy(document(1002))
  for (const [index, delayMs] of [250, 500, 1000].entries()) {
    const refused = await agent.line(line => isRefused(line) && line.retryInMs === delayMs)
    assert.equal(refused.error?.kind, 'busy')
    assert.match(refused.error!.message, /Device or resource busy/)
    assert.deepEqual(await listTable(namespace), before, `after refusal ${index + 1}`)
  }
  await nft.behave('well')
  await agent.line(isInForce, { from: agent.log.findIndex(isRefused) })
  assert.ok((await holds(1002)) && !(await holds(1001)))

  // A new beginning: the delay starts again at its shortest.
  const from = agent.log.length
  await nft.behave('refuse')
  await agent.writePolicy(document(1003))
  assert.equal((await agent.line(isRefused, { from })).retryInMs, 250)
  await nft.behave('well')
  await agent.line(isInForce, { from })
  assert.ok(await holds(1003))
})

test('a policy that comes while another is refused is the one that gets in force', { skip: needsKernel }, async () => {
  await using nft = await makeFlakyNft()
  await using agent = await startAgent({ namespace, policy: document(1011), prefix: nft.prefix })
  await nft.behave('refuse')
  await agent.writePolicy(document(1012))
  await agent.line(isRefused)
  // With something that the agent says as it takes it up: until then the one before is tried again.
  const next = document(1013)
  const alone = { id: 'eni-2', device: 'd9', addresses: ['198.18.0.3'], securityGroupIds: [] }
  await agent.writePolicy({ ...next, interfaces: [...next.interfaces, alone] })
  await agent.line(({ eni }) => eni === 'eni-2')
  await nft.behave('well')
  // A run of the one before may have been under way when nft was well again.
  await eventually(async () => assert.ok((await holds(1013)) && !(await holds(1012))))
})

test('drift that cannot be put right at once is put right later', { skip: needsKernel }, async () => {
  await using nft = await makeFlakyNft()
  await using agent = await startAgent({ namespace, policy: document(1021), prefix: nft.prefix })
  const before = await listTable(namespace, { stamps: false })
  await nft.behave('refuse')
  await namespace.run('nft', ['flush', 'chain', 'inet', 'ringwall', 'eni-1/ingress'])
  await agent.line(isRefused)
  await nft.behave('well')
  const healed = await agent.line(line => isInForce(line), { from: agent.log.findIndex(isRefused) })
  assert.ok(isHealed(healed) || ['retry', 'check'].includes(healed.cause!))
  assert.deepEqual(await listTable(namespace, { stamps: false }), before)
})

test('changes that come while nft is slow become one', { skip: needsKernel }, async () => {
  await using nft = await makeFlakyNft()
  await using agent = await startAgent({ namespace, policy: document(1031), prefix: nft.prefix })
  const from = agent.log.length
  await nft.behave('wait')
  await agent.writePolicy(document(1032))
  await eventually(async () => assert.match(await nft.changes(), /\b1032\b/))
  for (let port = 1033; port <= 1061; port += 1) {
    await agent.writePolicy(document(port))
    await setTimeout(20)
  }
  await nft.behave('well')
  await eventually(async () => assert.ok(await holds(1061)))
  // The one that waited, the newest that had been read by then, and the last.
  const changes = agent.log.slice(from).filter(isInForce).length
  assert.ok(changes <= 3, `${changes} changes for 30 policies`)
})

test('without nft the agent does not start, and says what to install', { skip: needsKernel }, async () => {
  const before = await listTable(namespace)
  // In the mount namespace that `ip netns exec` makes: an empty file stands where nft was.
  const hide =
    'for nft in /usr/sbin/nft /sbin/nft; do mount --bind /dev/null $nft; done; PATH=/usr/sbin:/usr/bin:/bin exec "$@"'
  const result = await namespace.run('sh', ['-c', hide, 'sh', ringwallProgram, 'apply', '-'], {
    input: JSON.stringify(document(1)),
    allowFailure: true,
  })
  assert.equal(result.exitCode, 1)
  assert.match(result.stderr, /^ringwall: .*nft/)
  assert.ok(!result.stderr.includes('    at '))
  assert.deepEqual(await listTable(namespace), before)
})
