/**
 * Random policies in force one after the other, with sessions alive: after the change every session that the new policy
 * allows goes on without losing a packet, and every other is cut, whichever side speaks first.
 *
 * RINGWALL_SEED and RINGWALL_DIFF_ROUNDS as in differential.test.ts.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Placement } from '../../rules-compiler/model/policy.ts'
import { evaluate } from '../../rules-compiler/policy/evaluate.ts'
import type { EniIr, PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import { type Forwarder, type Injection, makeForwarder } from '../support/forwarder.ts'
import { injectionOf, sideOf } from '../support/injections.ts'
import { makeWireAnswer } from '../support/packets/frames.ts'
import { makeRandom, type Random } from '../support/random.ts'
import { makePackets } from '../support/random-packets.ts'
import { makePolicyDocument, observed, type PolicyDocument, varyPolicyDocument } from '../support/random-policy.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, flushPolicy, startAgent } from '../support/ringwall.ts'

const firstSeed = Number(process.env.RINGWALL_SEED ?? 1)
const rounds = Number(process.env.RINGWALL_DIFF_ROUNDS ?? 3)
const packetsEach = 1500
const placements: readonly Placement[] = ['host', 'guest']

/** A way to put one policy in force after another. */
interface Operator extends AsyncDisposable {
  load(document: PolicyDocument): Promise<void>
}

const operators: Readonly<Record<string, () => Promise<Operator>>> = {
  /** Knows nothing of the policy before but what stands in the kernel. */
  'ringwall apply': async () => ({
    load: async document => {
      await applyPolicy(forwarder.host, document)
    },
    [Symbol.asyncDispose]: async () => {
      await flushPolicy(forwarder.host)
    },
  }),
  /** Compares the policies, and cuts sessions only where something was taken away. */
  'ringwall agent': async () => {
    const agent = await startAgent(forwarder.host, nothing)
    let loads = 0
    return {
      async load(document) {
        loads += 1
        // The agent says nothing of a policy that changes nothing, so each changes something that no verdict depends on.
        const settings = { ...document.settings, sessionTimeout: 1 + (loads % 900) }
        await agent.follow({ ...document, settings })
      },
      [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose](),
    }
  },
}

/** What an agent begins with: no ENI. */
const nothing = { apiVersion: 'ringwall/v1' }

let forwarder: Forwarder

before(async () => {
  if (needsKernel === false) forwarder = await makeForwarder()
})

after(async () => {
  if (needsKernel === false) await forwarder[Symbol.asyncDispose]()
})

for (const [name, start] of Object.entries(operators)) {
  describe(name, { skip: needsKernel }, () => {
    let operator: Operator
    before(async () => {
      operator = await start()
    })
    after(() => operator[Symbol.asyncDispose]())

    for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
      for (const placement of placements) {
        test(`seed ${seed}, ${placement} placement`, () => change(operator, seed, placement))
      }
    }
  })
}

async function change(operator: Operator, seed: number, placement: Placement): Promise<void> {
  const random = makeRandom(seed)
  const revocation = random.pick(['immediate', 'immediate', 'drain'] as const)
  const [earlier, later] = makeDocuments(random, placement, revocation)
  const [earlierIr, laterIr] = [irOf(earlier), irOf(later)]
  const packets = makePackets(random, earlierIr, earlierIr.enis[0]!, packetsEach)

  await operator.load(earlier)
  await forwarder.flushSessions()
  const begun = await forwarder.send(packets.map((packet, number) => injectionOf(packet, placement, number + 1)))
  await operator.load(later)
  const second = packets.map((packet, number) =>
    goOn(random, packet, number + 1, begun.has(number + 1), laterIr.enis[0]!),
  )
  const passed = await forwarder.send(second.map(({ injection }) => injection))

  for (const [number, packet] of packets.entries()) {
    const index = number + 1
    const decisions = { earlier: decide(earlierIr, packet), later: decide(laterIr, packet) }
    // What was only let through has not been accepted, so there is nothing to drain.
    const drains = revocation === 'drain' && decisions.earlier.verdict === 'accept'
    assert.deepEqual(
      { begun: begun.has(index), goesOn: passed.has(index) },
      { begun: decisions.earlier.passes, goesOn: decisions.later.passes || drains },
      `RINGWALL_SEED=${seed}, ${placement} placement, revocation ${revocation}, sent ${second[number]!.kind}: ` +
        `${JSON.stringify(packet)}, ${JSON.stringify(decisions)}`,
    )
  }
}

function decide(ir: PolicyIr, packet: Packet) {
  const { verdict, isObserved } = evaluate(ir, packet)
  return { verdict, passes: verdict === 'accept' || isObserved }
}

function makeDocuments(
  random: Random,
  placement: Placement,
  revocation: 'immediate' | 'drain',
): readonly [PolicyDocument, PolicyDocument] {
  const document = makePolicyDocument(random, placement)
  const other = random.chance(0.2) ? makePolicyDocument(random, placement) : varyPolicyDocument(random, document)
  // Which sessions were accepted is kept under the mask, so draining over a change of the mask has nothing to go by.
  const settings = revocation === 'drain' ? document.settings : other.settings
  const onTrial = (each: PolicyDocument) => (random.chance(0.25) ? observed(random, each) : each)
  const pair = [
    onTrial({ ...document, settings: { ...document.settings, revocation } }),
    onTrial({ ...other, settings: { ...settings, revocation } }),
  ] as const
  return random.chance(0.5) ? pair : [pair[1], pair[0]]
}

function irOf(document: PolicyDocument): PolicyIr {
  const { policy, problems } = checkPolicy(document)
  assert.deepEqual(problems, [], 'the generator makes valid policies')
  return resolvePolicy(policy!)
}

/** The next packet of a session: an answer to the first where there was a session, or the first once more. */
function goOn(
  random: Random,
  packet: Packet,
  index: number,
  begun: boolean,
  { placement, addresses }: EniIr,
): { readonly kind: 'answer' | 'again'; readonly injection: Injection } {
  // A guest that answers from an address not its own is stopped, whatever it answers.
  // Nor can it go on sending from one, whatever comes back.
  const own = packet.direction === 'ingress' ? packet.destination : packet.source
  const isGuarded = placement === 'guest' && !addresses.includes(own)
  const answer = begun && !isGuarded && random.chance(0.5) ? makeWireAnswer(packet, index) : null
  if (answer === null) return { kind: 'again', injection: injectionOf(packet, placement, index) }
  const side = sideOf(packet.direction, placement) === 'left' ? 'right' : 'left'
  return { kind: 'answer', injection: { side, packet: answer } }
}
