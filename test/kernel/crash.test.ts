/**
 * The agent is killed at any instant while its policy changes all the time: the kernel always holds one whole policy,
 * never a mixture, and the next agent goes on from there.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Namespace } from '../../lab/netns.ts'
import { isInForce, startAgent } from '../support/agent.ts'
import { type Forwarder, makeForwarder } from '../support/forwarder.ts'
import { lastTransactionDone } from '../support/nft-children.ts'
import { makePacket, tcp } from '../support/packets/craft.ts'
import { acceptPort, closedGroup, type Rule } from '../support/policy-documents.ts'
import { makeRandom } from '../support/random.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

/** `npm run soak:kill` makes hundreds of them. */
const kills = Number(process.env.RINGWALL_KILLS ?? 12)
const states = 6
const portsEach = 5
const seed = 20_261

/** Addresses of the sender as every state, or one state only, knows it. */
const source = '198.18.7.7'
const memberOf = (state: number) => `198.18.8.${state + 1}`

const range = (first: number) => Array.from({ length: portsEach }, (_, index) => first + index)
const portsOf = (kind: number, state: number) => range(kind * 1000 + state * 10)

/** A state differs from the others in rules, in drops that come before them, in members, and in what names a group. */
function documentOf(state: number) {
  const blocks = portsOf(1, state).flatMap(port => acceptPort(port))
  const drops = portsOf(2, state).flatMap(port => acceptPort(port, 'ingress', { policy: 'drop' }))
  const rest: Rule[] = [
    {
      direction: 'ingress',
      policy: 'accept',
      priority: 2,
      ipProtocol: 'tcp',
      portRange: '2000/2999',
      sourceCidrIp: '0.0.0.0/0',
    },
    ...[3000, ...portsOf(4, state)].map(port => ({
      ...{ direction: 'ingress', policy: 'accept', ipProtocol: 'tcp', portRange: `${port}/${port}` },
      sourceGroupId: 'sg-peers',
    })),
  ]
  return {
    apiVersion: 'ringwall/v1',
    interfaces: [{ id: 'eni-1', device: 'd0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
    securityGroups: [
      closedGroup('sg-1', [...blocks, ...drops, ...rest]),
      { id: 'sg-peers', members: ['198.18.8.100', memberOf(state)] },
    ],
  }
}

interface Probe {
  readonly source: string
  readonly port: number
  readonly passesIn: (state: number) => boolean
}

const allStates = Array.from({ length: states }, (_, state) => state)
const probes: readonly Probe[] = allStates.flatMap(own => [
  ...portsOf(1, own).map(port => ({ source, port, passesIn: (state: number) => state === own })),
  ...portsOf(2, own).map(port => ({ source, port, passesIn: (state: number) => state !== own })),
  ...portsOf(4, own).map(port => ({ source: '198.18.8.100', port, passesIn: (state: number) => state === own })),
  { source: memberOf(own), port: 3000, passesIn: (state: number) => state === own },
])

/** Names of all states that the kernel's verdicts agree with; one where it holds a whole one. */
async function statesInKernel(forwarder: Forwarder): Promise<readonly number[]> {
  const passed = await forwarder.sendAnew(
    probes.map(({ source: from, port }, index) => ({
      side: 'left',
      packet: makePacket(
        { index: index + 1, source: from, destination: '198.18.0.2' },
        tcp({ sourcePort: 40_000, destinationPort: port }),
      ),
    })),
  )
  return allStates.filter(state => probes.every(({ passesIn }, index) => passesIn(state) === passed.has(index + 1)))
}

test(`${kills} kills in a stream of changes leave a whole policy each`, {
  skip: needsKernel,
  timeout: 120_000 + kills * 20_000,
}, async () => {
  const random = makeRandom(seed)
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-crash-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true }))
  const forwarder = stack.use(await makeForwarder())
  const policyPath = join(folder, 'policy.json')
  const write = async (state: number) => {
    await writeFile(`${policyPath}.new`, JSON.stringify(documentOf(state)))
    await rename(`${policyPath}.new`, policyPath)
  }
  await write(0)
  await (await startHere(forwarder.host, policyPath)).kill()
  assert.deepEqual(await statesInKernel(forwarder), [0])

  const seen: number[] = []
  let applied = 0
  for (let kill = 1; kill <= kills; kill += 1) {
    await using agent = await startHere(forwarder.host, policyPath, { awaitInForce: false })
    // From the middle of its start to some changes later: by the clock, or by what it has done, however slow it is.
    const wanted = kill % 2 === 0 ? random.integer(1, 6) : 0
    const killAtMs = performance.now() + (wanted === 0 ? random.integer(300, 1200) : 20_000)
    while (performance.now() < killAtMs && (wanted === 0 || agent.log.filter(isInForce).length < wanted)) {
      await write(random.integer(0, states - 1))
      await setTimeout(random.integer(1, 40))
    }
    await agent.kill()
    applied += agent.log.filter(isInForce).length
    await lastTransactionDone(forwarder.host)
    const held = await statesInKernel(forwarder)
    assert.equal(held.length, 1, `after kill ${kill} the kernel holds a mixture`)
    seen.push(held[0]!)
  }
  assert.ok(applied >= kills / 2, `only ${applied} changes were made`)
  assert.ok(new Set(seen).size > 1, `only state ${seen[0]} was seen`)

  await write(3)
  await using _last = await startHere(forwarder.host, policyPath, { awaitInForce: false })
  await eventually(async () => {
    const { stdout } = await forwarder.host.run(ringwallProgram, ['apply', '--dry-run', policyPath])
    assert.equal(stdout, 'Nothing to change: the policy is in force.\n')
  }, 60_000)
  assert.deepEqual(await statesInKernel(forwarder), [3])
})

function startHere(namespace: Namespace, policyPath: string, options: { readonly awaitInForce?: boolean } = {}) {
  return startAgent({ namespace, policy: null, policyPath, ...options })
}
