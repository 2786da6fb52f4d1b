/** Thousands of policies: the compiled ruleset and `evaluate` agree on every packet, and nft can take the ruleset. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compile, numberStamps } from '../../../rules-compiler/nft/compile.ts'
import { replaceAll } from '../../../rules-compiler/nft/diff.ts'
import {
  type LogAction,
  logCauses,
  makeLogPrefix,
  mostPrefixCharacters,
} from '../../../rules-compiler/nft/log-prefix.ts'
import { type CounterReason, reasonCounter } from '../../../rules-compiler/nft/names.ts'
import { printRuleset } from '../../../rules-compiler/nft/print.ts'
import type { IntervalElement, Ruleset, Statement, Verdict } from '../../../rules-compiler/nft/ruleset.ts'
import { markFields, sideOf, stampKey } from '../../../rules-compiler/nft/stamps.ts'
import { type Decision, evaluate } from '../../../rules-compiler/policy/evaluate.ts'
import { explainText } from '../../../rules-compiler/policy/explain.ts'
import type { EniIr, PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { findNarrowed } from '../../../rules-compiler/policy/narrowing.ts'
import type { Packet } from '../../../rules-compiler/policy/packet.ts'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { readPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import { arbitraryIr, arbitraryIrWithPackets } from '../../support/arbitrary-ir.ts'
import { makeEni, makeIr, makePacket, makeRule, makeScrubIr } from '../../support/ir.ts'
import { makeRandom } from '../../support/random.ts'
import { makePolicyDocument } from '../../support/random-policy.ts'
import { type Place, type Simulated, simulate } from '../../support/simulator.ts'

const eniOf = (ir: PolicyIr, packet: Packet): EniIr => ir.enis.find(eni => eni.id === packet.eniId)!

function simulateAt(ruleset: Ruleset, ir: PolicyIr, packet: Packet, at: Partial<Place> = {}): Simulated {
  const { device, placement } = eniOf(ir, packet)
  return simulate(ruleset, packet, { device, placement, ...at })
}

/** For messages: what was asked. */
const asked = (ir: PolicyIr, packet: Packet) => explainText(evaluate(ir, packet), packet, ir)

/** What becomes of the packet: where the ENI is only observed, nothing is dropped. */
const outcome = ({ verdict, isObserved }: Decision) => (isObserved ? 'accept' : verdict)

/** Whether conntrack has an entry for the packet and the rules of its direction are asked. */
const isJudged = ({ reason }: Decision) =>
  reason.kind !== 'invalid' &&
  reason.kind !== 'source-guard' &&
  !(reason.kind === 'exception' && (reason.name === 'mld' || reason.name === 'neighbor-discovery'))

/** Where several reasons accept, the one asked first counts: which, is the compiler's affair. */
function checkCounter(decision: Decision, counted: string | null, packet: Packet, eni: EniIr): void {
  const { reason, verdict, matching } = decision
  if (reason.kind === 'no-policy' || !isJudged(decision)) return
  const counter = (name: CounterReason) => reasonCounter(packet.eniId, packet.direction, name)
  const plausible = new Set(matching.filter(rule => rule.verdict === verdict).map(rule => rule.id))
  if (reason.kind === 'exception' || reason.kind === 'inner-access') {
    plausible.add(counter(reason.kind)).add(counter('inner-access'))
    if (eni[packet.direction].defaultVerdict === 'accept') plausible.add(counter('default'))
  } else if (reason.kind !== 'rule') {
    plausible.clear()
    plausible.add(counter(reason.kind as CounterReason))
  }
  assert.ok(plausible.has(counted ?? ''), `"${counted}" counted, expected one of ${[...plausible].join(', ')}`)
}

describe('verdicts', () => {
  test('first packets: the ruleset and evaluate agree, and what counted is what could decide', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, ({ ir, packets }) => {
        const ruleset = compile(ir)
        for (const packet of packets) {
          const decision = evaluate(ir, packet)
          const { verdict, counted } = simulateAt(ruleset, ir, packet)
          assert.equal(verdict, outcome(decision), asked(ir, packet))
          checkCounter(decision, counted, packet, eniOf(ir, packet))
        }
      }),
      { numRuns: 1500 },
    )
  })

  test('sessions with a stale stamp are judged like new ones, answers by the rules of the first packet', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, fc.nat(0xffff_ffff), ({ ir, packets }, anyMark) => {
        // Stamps are numbered from 1 up: with the highest bit of each field set, a stamp is not one of them.
        const fields = markFields(ir.ctMarkMask)
        const stale = fields.entered.mask ^ (fields.entered.mask >>> 1)
        const staleLeft = fields.left.mask & ~(fields.left.mask >>> 1)
        const mark = ((anyMark & ~ir.ctMarkMask) | (stale & fields.entered.mask) | staleLeft) >>> 0
        const ruleset = compile(ir)
        for (const packet of packets) {
          const decision = evaluate(ir, packet)
          if (!isJudged(decision)) continue
          const { placement, addresses } = eniOf(ir, packet)
          assert.equal(simulateAt(ruleset, ir, packet, { mark }).verdict, outcome(decision), asked(ir, packet))
          const guestAnswers = placement === 'guest' && packet.direction === 'ingress'
          if (guestAnswers && !addresses.includes(packet.destination)) continue
          const answer = simulateAt(ruleset, ir, packet, { mark, answer: true })
          assert.equal(answer.verdict, outcome(decision), `answer to ${asked(ir, packet)}`)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('an accepted session gets its side stamped and nothing else changed; a refused one loses both stamps, or its side’s where it is let through', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, fc.nat(0xffff_ffff), ({ ir, packets }, anyMark) => {
        const fields = markFields(ir.ctMarkMask)
        const stamps = numberStamps(ir)
        const ruleset = compile(ir)
        for (const packet of packets) {
          const { placement } = eniOf(ir, packet)
          const field = fields[sideOf(placement, packet.direction)]
          const stamp = stamps.get(stampKey(packet.eniId, packet.direction))!
          const mark = (anyMark & ~field.mask) >>> 0
          const decision = evaluate(ir, packet)
          if (decision.isObserved && isJudged(decision) && stamp > 1) {
            const stale = (mark | field.place(stamp - 1)) >>> 0
            assert.equal(simulateAt(ruleset, ir, packet, { mark: stale }).mark, mark)
          }
          const after = simulateAt(ruleset, ir, packet, { mark })
          // The source guard takes the stamps of a session, and an exempted or invalid packet has none.
          if (!isJudged(decision)) assert.ok([mark, (mark & ~ir.ctMarkMask) >>> 0].includes(after.mark))
          else if (decision.isObserved) assert.equal(after.mark, mark)
          else if (decision.verdict === 'drop') assert.equal(after.mark, (mark & ~ir.ctMarkMask) >>> 0)
          else assert.equal(after.mark, (mark | field.place(stamp)) >>> 0)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('with a current stamp of its own a session passes both ways whatever the rules say, at its own ENI and side only', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, ({ ir, packets }) => {
        const fields = markFields(ir.ctMarkMask)
        const stamps = numberStamps(ir)
        const ruleset = compile(ir)
        for (const packet of packets) {
          const decision = evaluate(ir, packet)
          if (!isJudged(decision)) continue
          const { placement, addresses } = eniOf(ir, packet)
          for (const [key, stamp] of stamps) {
            const own = key === stampKey(packet.eniId, packet.direction)
            const side = sideOf(placement, packet.direction)
            const expected = own ? 'accept' : outcome(decision)
            const mark = fields[side].place(stamp)
            assert.equal(simulateAt(ruleset, ir, packet, { mark, isConfirmed: true }).verdict, expected)
            const inherited = simulateAt(ruleset, ir, packet, { mark, isConfirmed: false })
            assert.equal(inherited.verdict, outcome(decision), 'what a helper expects begins with a stamp of another')
            const otherSide = { mark: fields[side === 'entered' ? 'left' : 'entered'].place(stamp), isConfirmed: true }
            assert.equal(simulateAt(ruleset, ir, packet, otherSide).verdict, outcome(decision))
            const guestAnswers = placement === 'guest' && packet.direction === 'ingress'
            if (guestAnswers && !addresses.includes(packet.destination)) continue
            assert.equal(simulateAt(ruleset, ir, packet, { mark, answer: true }).verdict, expected)
          }
        }
      }),
      { numRuns: 200 },
    )
  })

  test('what the host has sent and is handed back to it passes, and nothing from the wire that looks the same', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, ({ ir, packets }) => {
        const { left } = markFields(ir.ctMarkMask)
        const stamps = numberStamps(ir)
        const ruleset = compile(ir)
        for (const packet of packets) {
          const { placement, addresses } = eniOf(ir, packet)
          if (sideOf(placement, packet.direction) !== 'left' || !isJudged(evaluate(ir, packet))) continue
          // The host has no address of its guest.
          if (placement === 'guest' && addresses.includes(packet.source)) continue
          const mark = left.place(stamps.get(stampKey(packet.eniId, packet.direction))!)
          const { verdict, counted } = simulateAt(ruleset, ir, packet, { mark, isConfirmed: true, isLooped: true })
          assert.deepEqual({ verdict, counted }, { verdict: 'accept', counted: null })
          const direction = packet.direction === 'ingress' ? 'egress' : 'ingress'
          const likeIt: Packet = { ...packet, direction }
          const expected = outcome(evaluate(ir, likeIt))
          assert.equal(simulateAt(ruleset, ir, likeIt, { mark, isConfirmed: true }).verdict, expected)
          const unsent = simulateAt(ruleset, ir, packet, { isLooped: true })
          assert.equal(unsent.verdict, expected, 'handed back, but not accepted here')
        }
      }),
      { numRuns: 200 },
    )
  })

  test('a renamed device keeps its policy by its index; a device of no ENI is left alone', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, ({ ir, packets }) => {
        const deviceIndexes = new Map(ir.enis.map((eni, index) => [eni.id, 10 + index]))
        const ruleset = compile(ir, { deviceIndexes })
        for (const packet of packets) {
          const decision = evaluate(ir, packet)
          const renamed = { device: 'renamed', deviceIndex: deviceIndexes.get(packet.eniId)! }
          assert.equal(simulateAt(ruleset, ir, packet, renamed).verdict, outcome(decision))
          const other = simulateAt(ruleset, ir, packet, { device: 'lo', deviceIndex: 1 })
          assert.deepEqual(other, {
            verdict: 'accept',
            mark: 0,
            counted: null,
            logged: [],
            lookups: ir.enis.length > 4 ? 2 : 1,
          })
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('observe mode and logs', () => {
  test('what is decided and counted is the same in both modes, whatever is logged', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, ({ ir, packets }) => {
        const enforced: PolicyIr = { ...ir, enis: ir.enis.map(eni => ({ ...eni, isObserved: false })) }
        const observed: PolicyIr = { ...ir, enis: ir.enis.map(eni => ({ ...eni, isObserved: true })) }
        const silent: PolicyIr = { ...enforced, logging: { ...ir.logging, drops: false, sessions: false } }
        const rulesets = [enforced, observed, silent].map(each => [each, compile(each)] as const)
        for (const packet of packets) {
          const decision = evaluate(enforced, packet)
          for (const [each, ruleset] of rulesets) {
            const { verdict, counted } = simulateAt(ruleset, each, packet)
            assert.equal(verdict, each === observed ? 'accept' : decision.verdict, asked(each, packet))
            assert.equal(counted, simulateAt(rulesets[0]![1], enforced, packet).counted)
            assert.deepEqual(evaluate(each, packet).reason, decision.reason)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  test('a refused packet is logged once, with its cause; an accepted session at its first packet, where that is wanted', () => {
    fc.assert(
      fc.property(arbitraryIrWithPackets, ({ ir, packets }) => {
        const ruleset = compile(ir)
        for (const packet of packets) {
          const decision = evaluate(ir, packet)
          const { reason, verdict } = decision
          const { eniId, direction } = packet
          const prefixes = (action: LogAction, causes: readonly string[]) =>
            logCauses
              .filter(cause => causes.includes(cause))
              .map(cause => makeLogPrefix({ action, direction, eniId, cause }))
          const { logged } = simulateAt(ruleset, ir, packet)
          if (verdict === 'drop') {
            // A guest's wrong source is found first, whatever else is wrong with the packet.
            const { placement, addresses } = eniOf(ir, packet)
            const isGuarded = placement === 'guest' && direction === 'egress' && !addresses.includes(packet.source)
            const cause = isGuarded ? 'source-guard' : reason.kind
            const expected = prefixes(decision.isObserved ? 'observe' : 'drop', [cause])
            assert.deepEqual(logged, ir.logging.drops ? expected : [], asked(ir, packet))
          } else if (!ir.logging.sessions || !isJudged(decision)) {
            assert.deepEqual(logged, [], asked(ir, packet))
          } else {
            // Where several reasons accept, the one asked first is named.
            const accepting = decision.matching.some(rule => rule.verdict === 'accept') ? ['rule'] : []
            const others =
              reason.kind === 'exception'
                ? ['inner-access', 'default']
                : reason.kind === 'inner-access'
                  ? ['exception', 'default']
                  : []
            const [only, ...more] = logged
            assert.ok(
              prefixes('accept', [reason.kind, ...accepting, ...others]).includes(only ?? ''),
              asked(ir, packet),
            )
            assert.deepEqual(more, [])
          }
          if (!isJudged(decision)) continue
          const again = simulateAt(ruleset, ir, packet, { isConfirmed: true }).logged
          assert.deepEqual(again, verdict === 'drop' ? logged : [], 'judged again')
          const { placement, addresses } = eniOf(ir, packet)
          if (placement === 'guest' && direction === 'ingress' && !addresses.includes(packet.destination)) continue
          assert.deepEqual(simulateAt(ruleset, ir, packet, { answer: true }).logged, [], 'an answer')
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('bytes', () => {
  const bytesOf = (ir: PolicyIr) => ({ json: JSON.stringify(replaceAll(compile(ir))), text: printRuleset(compile(ir)) })

  test('the same policy gives the same bytes, whatever the order of what the policy does not order', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        const reordered: PolicyIr = {
          ...ir,
          groups: new Map([...ir.groups].reverse()),
          enis: ir.enis.map(eni => ({ ...eni, addresses: eni.addresses.toReversed() })),
        }
        assert.deepEqual(bytesOf(structuredClone(ir)), bytesOf(ir))
        assert.deepEqual(bytesOf(reordered), bytesOf(ir))
      }),
      { numRuns: 300 },
    )
  })

  test('settings of traffic scrubbing are no part of the ruleset, and take no session away', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        const unscrubbed: PolicyIr = { ...ir, scrub: makeScrubIr() }
        assert.deepEqual(bytesOf(unscrubbed), bytesOf(ir))
        assert.deepEqual(findNarrowed(ir, unscrubbed), [])
      }),
      { numRuns: 100 },
    )
  })

  test('the same policy file, its lists in any order, gives the same bytes', () => {
    const turned = (value: unknown, times: number): unknown => {
      if (Array.isArray(value)) {
        const items = value.map(item => turned(item, times))
        return [...items.slice(times % (items.length || 1)), ...items.slice(0, times % (items.length || 1))]
      }
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, turned(item, times)]))
    }
    for (let seed = 1; seed <= 60; seed += 1) {
      const document = makePolicyDocument(makeRandom(seed), seed % 2 === 0 ? 'host' : 'guest')
      const made = [0, 1, 2].map(times => {
        const { policy } = readPolicy(JSON.stringify(turned(document, times)))
        const ir = resolvePolicy(policy!)
        return { ...bytesOf(ir), scrub: ir.scrub }
      })
      assert.deepEqual(made[1], made[0], `seed ${seed}`)
      assert.deepEqual(made[2], made[0], `seed ${seed}`)
    }
  })
})

describe('ids that look like names of ours', () => {
  const groupIds = Array.from({ length: 9 }, (_, index) => `sg-${index}`)
  const members = (ids: readonly string[]) => Object.fromEntries(ids.map(id => [id, { ip: ['203.0.113.9'], ip6: [] }]))
  const port = (peer: string, ports: number) => makeRule({ id: peer, protocol: 'tcp', peer, ports })
  /** The chain that stands for all of these groups, whose members are the same. */
  const className = () => {
    const ir = makeIr(makeEni(groupIds.map(id => port(id, 80))), members(groupIds))
    return (
      [...compile(ir).chains.keys()]
        .find(name => name.includes('/class-'))
        ?.split('/')
        .at(-1) ?? 'class-none'
    )
  }

  const rows: { name: string; ir: PolicyIr }[] = [
    ...['host', 'session', 'tcp', 'ingress', 'drop'].map(id => ({
      name: `the ENI "${id}"`,
      ir: makeIr(makeEni([port('sg-1', 22)], { id }), members(['sg-1'])),
    })),
    ...['host', 'eni-1', 'peers', 'accept', 'session'].map(id => ({
      name: `the group "${id}"`,
      ir: makeIr(makeEni([port(id, 22)]), members([id])),
    })),
    {
      name: 'a group that is called like the chain of several groups',
      ir: makeIr(makeEni([...groupIds, className()].map((id, index) => port(id, index === 9 ? 22 : 80))), {
        ...members(groupIds),
        [className()]: { ip: ['203.0.113.10'], ip6: [] },
      }),
    },
  ]
  for (const { name, ir } of rows) {
    test(name, () => {
      const ruleset = compile(ir)
      for (const source of ['203.0.113.9', '203.0.113.10', '203.0.113.11']) {
        for (const destinationPort of [22, 80, 81]) {
          const packet = makePacket({ eniId: ir.enis[0]!.id, source, destinationPort })
          assert.equal(simulateAt(ruleset, ir, packet).verdict, evaluate(ir, packet).verdict, asked(ir, packet))
        }
      }
    })
  }
})

describe('what nft can take', () => {
  const targetOf = (verdict: Verdict | Statement): readonly string[] =>
    'jump' in verdict ? [verdict.jump.target] : 'goto' in verdict ? [verdict.goto.target] : []

  function targetsOf(ruleset: Ruleset, statement: Statement): readonly string[] {
    if ('vmap' in statement) {
      return [...ruleset.verdictMaps.get(statement.vmap.data.slice(1))!.elements.values()].flatMap(targetOf)
    }
    return targetOf(statement)
  }

  function namesUsedBy(statement: Statement): readonly string[] {
    if ('vmap' in statement) return [`map ${statement.vmap.data.slice(1)}`]
    if ('ct timeout' in statement) return [`timeout ${statement['ct timeout']}`]
    if ('limit' in statement) return [`limit ${statement.limit}`]
    if ('counter' in statement) return statement.counter === null ? [] : [`counter ${statement.counter}`]
    if (!('match' in statement) || typeof statement.match.right !== 'string') return []
    const { right } = statement.match
    return right.startsWith('@') ? [`set ${right.slice(1)}`] : []
  }

  const statementsOf = (ruleset: Ruleset) =>
    [...ruleset.chains.values()].flatMap(chain => chain.rules.flatMap(rule => rule.statements))

  test('everything named exists, and everything there is named', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        const ruleset = compile(ir)
        const used = new Set(statementsOf(ruleset).flatMap(namesUsedBy))
        const there = [
          // The maps by index are a memory; they are looked into where there are many devices only.
          ...[...ruleset.verdictMaps.keys()].filter(name => !name.endsWith('/index')).map(name => `map ${name}`),
          ...[...ruleset.memberSets.keys(), ...ruleset.intervalSets.keys()].map(name => `set ${name}`),
          ...[...ruleset.counters].map(name => `counter ${name}`),
          ...[...ruleset.limits.keys()].map(name => `limit ${name}`),
          // Without an ENI no session is accepted by name, yet the timeout stands ready.
          ...(ir.enis.length === 0 ? [] : [...ruleset.ctTimeouts.keys()].map(name => `timeout ${name}`)),
        ]
        assert.deepEqual([...used].sort(), there.sort())
      }),
      { numRuns: 300 },
    )
  })

  test('every jump goes to a chain further down, at most eight deep; every chain but those of empty groups is reached', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        const ruleset = compile(ir)
        const order = [...ruleset.chains.keys()]
        const depth = new Map<string, number>()
        const shared = ['_host/untracked', '_host/drop', '_host/pass/entered', '_host/pass/left']
        for (const [index, chain] of [...ruleset.chains.values()].entries()) {
          const own = chain.base === undefined ? depth.get(chain.name) : 0
          // A group of many in a layer is reached by the addresses it has, which may be none; and so is where it goes.
          // Where every ENI is observed nothing is dropped; the chain stays, because the mask of marks is read from it.
          if (own === undefined && chain.name === '_host/drop' && ir.enis.every(eni => eni.isObserved)) continue
          if (own === undefined && (ir.enis.length === 0 || /\/(\d+\/sg-\d+|(accept|drop)\/rule)$/.test(chain.name)))
            continue
          assert.ok(own !== undefined && own <= 8, `chain "${chain.name}" has depth ${own}`)
          for (const target of chain.rules.flatMap(rule => rule.statements.flatMap(each => targetsOf(ruleset, each)))) {
            assert.ok(ruleset.chains.has(target), `"${chain.name}" goes to "${target}", which does not exist`)
            assert.ok(
              order.indexOf(target) > index || shared.includes(target),
              `"${chain.name}" goes up to "${target}"`,
            )
            depth.set(target, Math.max(depth.get(target) ?? 0, own + 1))
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('names are words of nft text, comments fit, every name keys its own object', () => {
    fc.assert(
      fc.property(arbitraryIr, ir => {
        const ruleset = compile(ir)
        const { counters, ctTimeouts, limits, memberSets, intervalSets, verdictMaps, chains } = ruleset
        for (const map of [memberSets, intervalSets, verdictMaps, chains]) {
          for (const [name, object] of map as ReadonlyMap<string, { readonly name: string }>) {
            assert.equal(object.name, name)
          }
        }
        const sets = [...memberSets.keys(), ...intervalSets.keys(), ...verdictMaps.keys()]
        assert.equal(new Set(sets).size, sets.length, 'sets and maps share their names')
        for (const name of [...counters, ...ctTimeouts.keys(), ...limits.keys(), ...sets, ...chains.keys()]) {
          assert.match(name, /^[A-Za-z_][A-Za-z0-9/._-]{0,254}$/)
        }
        const rules = [...chains.values()].flatMap(chain => chain.rules)
        const elements = [...intervalSets.values()].flatMap(set => set.elements)
        for (const { ruleId } of [...rules, ...elements]) assert.ok(Buffer.byteLength(ruleId ?? '') <= 127)
        for (const statement of rules.flatMap(rule => rule.statements)) {
          if ('log' in statement) assert.ok(statement.log.prefix.length <= mostPrefixCharacters)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('elements of an interval set are disjoint, and there are not many more of them than rules', () => {
    const overlap = (a: IntervalElement, b: IntervalElement) =>
      a.key.every((field, index) => field.first <= b.key[index]!.last && b.key[index]!.first <= field.last)
    fc.assert(
      fc.property(arbitraryIr, ir => {
        const { intervalSets } = compile(ir)
        for (const { name, elements } of intervalSets.values()) {
          assert.ok(elements.length > 0, `set "${name}" is empty`)
          elements.forEach((element, index) => {
            const other = elements.slice(index + 1).find(each => overlap(element, each))
            assert.equal(other, undefined, `set "${name}" holds overlapping elements`)
          })
        }
      }),
      { numRuns: 500 },
    )
  })
})
