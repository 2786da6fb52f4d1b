/**
 * Random policies, random packets, three judges: `evaluate`, a plain linear ruleset, and what `ringwall apply` loads.
 * They must agree on every packet. `evaluate` is asked in memory, the other two by sending real packets.
 *
 * RINGWALL_SEED=n        begins with this seed, which a failure prints; without it and the next, some, and one by chance
 * RINGWALL_DIFF_ROUNDS=n as many policies; `npm run fuzz:kernel` takes many, beginning with the time
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Placement } from '../../rules-compiler/model/policy.ts'
import { type Decision, evaluate } from '../../rules-compiler/policy/evaluate.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import { type Forwarder, makeForwarder } from '../support/forwarder.ts'
import { injectionOf } from '../support/injections.ts'
import { linearRuleset } from '../support/linear.ts'
import { makeRandom } from '../support/random.ts'
import { makePackets } from '../support/random-packets.ts'
import { makePolicyDocument, observed, type PolicyDocument } from '../support/random-policy.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, flushPolicy } from '../support/ringwall.ts'

const { RINGWALL_SEED: givenSeed, RINGWALL_DIFF_ROUNDS: givenRounds } = process.env
const firstSeed = Number(givenSeed ?? 1)
const seeds = Array.from({ length: Number(givenRounds ?? 4) }, (_, round) => firstSeed + round)
if (givenSeed === undefined && givenRounds === undefined) seeds.push(1000 + Math.floor(Math.random() * 1e6))
const packetsEach = 2500
const placements: readonly Placement[] = ['host', 'guest']

/** A way to put a policy in force on the forwarder's host. */
interface Judge {
  readonly name: string
  load(document: PolicyDocument): Promise<void>
  unload(): Promise<void>
}

let forwarder: Forwarder

before(async () => {
  if (needsKernel !== false) return
  forwarder = await makeForwarder()
})

after(async () => {
  if (needsKernel !== false) return
  await forwarder[Symbol.asyncDispose]()
})

const linear: Judge = {
  name: 'the linear ruleset',
  async load(document) {
    await forwarder.host.run('nft', ['-f', '-'], { input: linearRuleset(irOf(document)) })
  },
  async unload() {
    await forwarder.host.run('nft', ['delete table inet linear'])
  },
}

const compiled: Judge = {
  name: 'the compiled ruleset',
  async load(document) {
    await applyPolicy(forwarder.host, document)
  },
  async unload() {
    await flushPolicy(forwarder.host)
  },
}

for (const seed of seeds) {
  for (const placement of placements) {
    test(`seed ${seed}, ${placement} placement`, { skip: needsKernel }, async () => {
      const random = makeRandom(seed)
      const document = makePolicyDocument(random, placement)
      const ir = irOf(document)
      const packets = makePackets(random, ir, ir.enis[0]!, packetsEach)

      const forwarded = await send(packets, placement)
      const lost = packets.filter((_, number) => !forwarded.has(number))
      assert.deepEqual(lost, [], 'without a ruleset every packet arrives')

      for (const judge of [linear, compiled]) {
        const disagreement = await compare(judge, document, packets, placement)
        if (disagreement !== null) assert.fail(await describe(judge, document, disagreement, seed, placement))
      }
      const onTrial = observed(random, document)
      await compiled.load(onTrial)
      const passed = await send(packets, placement)
      await compiled.unload()
      const dropped = packets.filter((_, number) => !passed.has(number))
      assert.deepEqual(dropped, [], `observed, nothing is dropped (RINGWALL_SEED=${seed}, ${placement} placement)`)
    })
  }
}

function irOf(document: PolicyDocument): PolicyIr {
  const { policy, problems } = checkPolicy(document)
  assert.deepEqual(problems, [], 'the generator makes valid policies')
  return resolvePolicy(policy!)
}

/** Numbers of the packets that came through, sessions of earlier packets forgotten. */
async function send(packets: readonly Packet[], placement: Placement): Promise<ReadonlySet<number>> {
  const indexes = await forwarder.sendAnew(packets.map((packet, number) => injectionOf(packet, placement, number + 1)))
  return new Set([...indexes].map(index => index - 1))
}

interface Disagreement {
  readonly packet: Packet
  readonly expected: Decision
}

/** The first packet on which a judge and `evaluate` differ, or null. */
async function compare(
  judge: Judge,
  document: PolicyDocument,
  packets: readonly Packet[],
  placement: Placement,
): Promise<Disagreement | null> {
  const ir = irOf(document)
  await judge.load(document)
  const passed = await send(packets, placement)
  await judge.unload()
  for (const [number, packet] of packets.entries()) {
    const expected = evaluate(ir, packet)
    if (passed.has(number) !== (expected.verdict === 'accept')) return { packet, expected }
  }
  return null
}

async function describe(
  judge: Judge,
  document: PolicyDocument,
  { packet }: Disagreement,
  seed: number,
  placement: Placement,
): Promise<string> {
  const small = await shrink(
    document,
    async candidate => (await compare(judge, candidate, [packet], placement)) !== null,
  )
  const { verdict, reason } = evaluate(irOf(small), packet)
  return [
    `evaluate says ${verdict}, ${judge.name} does the opposite (RINGWALL_SEED=${seed}, ${placement} placement)`,
    `packet: ${JSON.stringify(packet)}`,
    `reason: ${reason.kind === 'rule' ? `rule of ${reason.rule.groupId}, ${reason.rule.id}` : JSON.stringify(reason)}`,
    `the policy, less the rules that do not matter: ${JSON.stringify(small)}`,
  ].join('\n')
}

/** Leaves out rules, many at a time and then few, as long as the fault remains. */
async function shrink(
  document: PolicyDocument,
  isFaulty: (candidate: PolicyDocument) => Promise<boolean>,
): Promise<PolicyDocument> {
  let small = document
  const ruleCount = () => small.securityGroups.reduce((sum, group) => sum + group.rules.length, 0)
  for (let size = Math.ceil(ruleCount() / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < ruleCount(); ) {
      const candidate = withoutRules(small, at, at + size)
      if (await isFaulty(candidate)) small = candidate
      else at += size
    }
  }
  return small
}

/** The document without the rules from one number up to another, counted over all groups. */
function withoutRules(document: PolicyDocument, from: number, to: number): PolicyDocument {
  let number = 0
  const isKept = () => {
    number += 1
    return number - 1 < from || number - 1 >= to
  }
  return {
    ...document,
    securityGroups: document.securityGroups.map(group => ({ ...group, rules: group.rules.filter(isKept) })),
  }
}
