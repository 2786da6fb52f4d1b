/**
 * A random sequence of operations over REST with real agents on real hosts: in the end the kernel of each holds what a
 * fresh compile of the reference model's state holds, whatever way led there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createNft } from '../../agent/nft/exec.ts'
import { readStamps } from '../../agent/reconcile/plan.ts'
import { listLinks } from '../../agent/watch/links.ts'
import type { Control } from '../../lab/control.ts'
import { agentPort } from '../../lab/fleet.ts'
import { type SwitchedHost, startSwitchedFleet } from '../../lab/switched.ts'
import { compile } from '../../rules-compiler/nft/compile.ts'
import { diff } from '../../rules-compiler/nft/diff.ts'
import { readRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import { tableFamily, tableName } from '../../rules-compiler/nft/ruleset.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import { ModelFleet, plainInstance } from '../daemon/model/fleet.ts'

import { arbitraryOperation, type Operation, tellOperation } from '../daemon/model/operations.ts'
import { type Client, carryOut, documentOf, furniture, smallLimits } from '../daemon/model/sequences.ts'
import { accountA, accountB, agentIds } from '../daemon/model/vocabulary.ts'
import { needsKernel } from '../support/requirements.ts'

const seed = Number(process.env.RINGWALL_SEED ?? 20_261_126)
const rounds = Number(process.env.RINGWALL_MODEL_ROUNDS ?? 3)
const operationsOfRound = 60
/** Instances i-1 to i-3 with ENIs eni-1 to eni-3, and the groups these are in. */
const hosts = { 1: ['sg-1'], 2: ['sg-2'], 3: ['sg-1'] }
/** The hosts in sg-1 have four addresses to begin with. */
const limits = { ...smallLimits, basicGroupPrivateIps: 6 }
/** Besides eth0: what operations bind ENIs to. */
const otherDevices = ['eth1', 'tap0']

test('after random operations each kernel holds a fresh compile of the state', {
  skip: needsKernel,
  timeout: 240_000,
}, async () => {
  await using stack = new AsyncDisposableStack()
  const fleet = await startSwitchedFleet(stack, { hosts })
  const { control } = fleet
  for (const { namespace } of fleet.hosts.values()) {
    for (const device of otherDevices)
      await namespace.run('ip', ['link', 'add', device, 'type', 'veth', 'peer', `${device}-peer`])
  }
  const { items } = await control.call<{ items: { agentId: string; instanceIds: string[] }[] }>('GET', '/v1/agents')
  const agentOf = new Map(items.flatMap(({ agentId, instanceIds }) => instanceIds.map(id => [id, agentId] as const)))
  const realAgents = new Map(agentIds.map((id, index) => [id, agentOf.get(`i-${index + 1}`)!]))
  const model = modelOf(fleet.hosts, agentOf)
  const client = clientOf(control)
  const tally = { done: 0, refused: 0, refusals: new Map<string, number>() }

  await control.call('PATCH', '/v1/settings', { limits })
  const absent = furniture.filter(
    operation => !['createInstance', 'createEni'].includes(operation.op) && !isThere(operation, model),
  )
  const account: Operation = { as: 'admin', op: 'createAccount', body: { accountId: accountB, name: 'other' } }
  for (const operation of [account, ...absent]) await carryOut(operation, client, model, tally)

  const sequence = fc.array(arbitraryOperation.filter(leavesHostsBound), {
    minLength: operationsOfRound,
    maxLength: operationsOfRound,
  })
  const sequences = fc.sample(sequence, { seed, numRuns: rounds })
  let judged = 0
  const played: string[] = []
  for (const operations of sequences) {
    for (const operation of operations) {
      const real = withAgents(operation, realAgents)
      // The lab's client speaks JSON only.
      if (real.op === 'copyRules' && real.format === 'csv') continue
      played.push(tellOperation(real))
      await carryOut(real, client, model, tally)
    }
    const { enforcement } = await control.call<{ enforcement: { state: string; agents: number; behind: unknown } }>(
      'PATCH',
      '/v1/settings?wait=enforced&timeout=60',
      { limits: { keyPairsPerAccount: 500 + played.length } },
    )
    const told = `seed ${seed}, after\n${played.join('\n')}`
    assert.deepEqual(
      [enforcement.state, enforcement.agents],
      ['enforced', fleet.hosts.size],
      `${JSON.stringify(enforcement.behind)} ${told}`,
    )
    for (const host of fleet.hosts.values())
      judged += await compareKernel(host, agentOf.get(host.instanceId)!, { model, control, told })
  }
  assert.ok(tally.done > rounds * 10, `${tally.done} operations were done`)
  assert.ok(judged > rounds * fleet.hosts.size, `the kernels had ${judged} rules to compare`)
})

/** What the switched fleet has set up, as the model says it. */
function modelOf(hostsByName: ReadonlyMap<string, SwitchedHost>, agentOf: ReadonlyMap<string, string>): ModelFleet {
  const model = new ModelFleet(limits, [...agentOf.values()])
  model.accounts.set(accountA, 'default')
  for (const [name, { instanceId, eniId, addresses }] of hostsByName) {
    const groupIds = hosts[name as unknown as 1 | 2 | 3]
    for (const id of groupIds) {
      model.groups.set(id, {
        id,
        accountId: accountA,
        name: null,
        description: null,
        type: 'basic',
        networkType: 'vpc',
        vpcId: null,
        innerAccessPolicy: 'drop',
        mode: 'enforce',
        isDefault: false,
        rules: [],
      })
    }
    const agentId = agentOf.get(instanceId)!
    model.instances.set(instanceId, { ...plainInstance, id: instanceId, accountId: accountA, name, agentId })
    model.enis.set(eniId, {
      id: eniId,
      accountId: accountA,
      instanceId,
      isPrimary: true,
      networkType: 'vpc',
      vpcId: null,
      device: 'eth0',
      placement: 'host',
      nicType: 'internet',
      addresses: [addresses.ip, addresses.ip6],
      groupIds,
      mode: 'enforce',
    })
  }
  return model
}

const furnished = ['i-1', 'i-2', 'i-3', 'eni-1', 'eni-2', 'eni-3']

/**
 * Whether the hosts keep their instances, and these their ENIs on eth0: without, there is nothing to compare. Nor may
 * eth0 be a guest's device: an agent whose own way out is judged by the source guard has cut itself off.
 */
function leavesHostsBound(operation: Operation): boolean {
  switch (operation.op) {
    case 'deleteAccount':
    // What is compared is the policy's table, and a black hole is in the way of nothing but traffic.
    case 'blackHole':
      return false
    case 'deleteInstance':
    case 'deleteEni':
    case 'detachEni':
      return !furnished.includes(operation.id)
    case 'modifyInstance':
      return !furnished.includes(operation.id) || operation.body.agentId === undefined
    // What these agents have reported of their devices, the model does not know.
    case 'attachEni':
      return operation.body.device === undefined
    case 'modifyEni':
      return operation.body.device === undefined && operation.body.placement !== 'guest'
    default:
      return true
  }
}

function isThere(operation: Operation, model: ModelFleet): boolean {
  return operation.op === 'createGroup' && model.groups.has(operation.body.securityGroupId)
}

/** Everything is asked by the token that may do everything; whose it is makes no difference to a kernel. */
function withAgents(operation: Operation, realAgents: ReadonlyMap<string, string>): Operation {
  const text = JSON.stringify({ ...operation, as: 'admin' })
  return JSON.parse(text.replace(/"(agent-[12])"/g, (_whole, id: string) => JSON.stringify(realAgents.get(id))))
}

function clientOf({ ask }: Control): Client {
  return {
    async request(method, path, { body }) {
      const { status, answer } = await ask(method, path, body)
      return { status, body: answer }
    },
  }
}

interface Comparison {
  readonly model: ModelFleet
  readonly control: Control
  readonly told: string
}

/** @returns how many rules the policy of the host has */
async function compareKernel(
  { name, namespace }: SwitchedHost,
  agentId: string,
  { model, control, told }: Comparison,
): Promise<number> {
  const prefix = ['ip', 'netns', 'exec', namespace.name]
  const { hostname } = new URL(control.agentUrl)
  const document = documentOf(model, agentId)
  const { policy, problems } = checkPolicy({
    ...document,
    settings: { ...document.settings, controlConnections: [{ address: hostname, port: agentPort }] },
  })
  assert.deepEqual(problems, [], told)
  const desired = resolvePolicy(policy!)
  const objects = await createNft({ prefix }).list(tableFamily, tableName)
  assert.ok(objects !== null, `host ${name} has no table; ${told}`)
  const indexes = new Map((await listLinks({ prefix })).map(link => [link.name, link.index]))
  const actual = readRuleset(objects, indexes)
  const deviceIndexes = new Map(desired.enis.map(eni => [eni.id, indexes.get(eni.device)!]))
  const fresh = compile(desired, { stamps: readStamps(actual, desired.ctMarkMask), deviceIndexes })
  assert.deepEqual(diff(actual, fresh).change, [], `host ${name}; ${told}`)
  return desired.enis.reduce((sum, { ingress, egress }) => sum + ingress.rules.length + egress.rules.length, 0)
}
