import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressText, familyOf } from '../../../rules-compiler/address/cidr.ts'
import { judgeRules, makeScope } from '../../../rules-compiler/analyze/standing.ts'
import type { Direction, RuleVerdict } from '../../../rules-compiler/model/policy.ts'
import { evaluate } from '../../../rules-compiler/policy/evaluate.ts'
import type { EniIr, GroupMembers, RuleIr } from '../../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../../rules-compiler/policy/packet.ts'
import { makeEni, makeIr, makePacket, makeRule, sortRules } from '../../support/ir.ts'

// A domain small enough to ask evaluate about every packet of it, for every membership of the peer: what the analysis
// says of all packets must then be so for these; every stretch between the ends of the rules' blocks has a peer here.
const directions: readonly Direction[] = ['ingress', 'egress']
const peers = [
  ...['9.9.9.9', '8.8.8.8', '198.51.100.0', '198.51.100.1', '198.51.100.2', '198.51.100.3', '203.0.113.9'],
  ...['2001:db8::9', '2001:db9::9'],
]
const locals = ['198.18.0.2', '198.18.0.3', '2001:db8::2']
const ports = [80, 81, 82, 9000]
const protocols = [1, 6, 17, 58, 50]
const groupIds = ['sg-a', 'sg-b']

const rule = fc
  .record({
    verdict: fc.constantFrom<RuleVerdict>('accept', 'drop'),
    priority: fc.integer({ min: 1, max: 3 }),
    protocol: fc.constantFrom('all' as const, 'tcp' as const, 'tcp' as const, 'udp' as const, 'icmp' as const),
    peer: fc.constantFrom(
      ...['0.0.0.0/0', '198.51.100.0/30', '198.51.100.0/31', '198.51.100.1/32', '0.0.0.0/1', '128.0.0.0/1', '::/0'],
      '198.51.100.0/32,9.0.0.0/8,198.51.100.0/31',
      '0.0.0.0/1,198.51.100.2/32,2001:db8::/32',
      ...groupIds,
    ),
    ports: fc.constantFrom(
      { first: 0, last: 65_535 },
      { first: 80, last: 81 },
      { first: 81, last: 82 },
      { first: 81, last: 81 },
    ),
    sourcePorts: fc.constantFrom({ first: 0, last: 65_535 }, { first: 0, last: 65_535 }, { first: 80, last: 81 }),
    local: fc.constantFrom(undefined, undefined, undefined, '198.18.0.2/32'),
  })
  .filter(({ peer, local }) => local === undefined || !peer.includes(':'))

const eni = fc
  .record({
    rules: fc.array(rule, { minLength: 1, maxLength: 6 }),
    direction: fc.constantFrom(...directions),
    defaultVerdict: fc.constantFrom<RuleVerdict>('accept', 'drop'),
    innerGroupIds: fc.constantFrom([], [], ['sg-a']),
  })
  .map(({ rules, direction, defaultVerdict, innerGroupIds }) => {
    const made = rules.map(({ local, ...sketch }, index) =>
      makeRule({ ...sketch, ...(local === undefined ? {} : { local }), direction, id: `sgr-${index}` }),
    )
    const rulesOf = { rules: sortRules(made), defaultVerdict }
    return { direction, eni: makeEni(made, { smtpBlocked: false, innerGroupIds, [direction]: rulesOf }) }
  })

const subsets = [[], ['sg-a'], ['sg-b'], ['sg-a', 'sg-b']]

/** Every packet of the domain in one direction, with every membership its peer can have. */
function* questions(direction: Direction): Generator<{ packet: Packet; groups: Record<string, GroupMembers> }> {
  for (const peer of peers) {
    for (const local of locals.filter(address => familyOf(address) === familyOf(peer))) {
      for (const protocol of protocols) {
        const hasPorts = protocol === 6 || protocol === 17
        for (const destinationPort of hasPorts ? ports : [0]) {
          for (const sourcePort of hasPorts ? [80, 9000] : [0]) {
            const [source, destination] = direction === 'ingress' ? [peer, local] : [local, peer]
            const packet = makePacket({ direction, protocol, source, destination, sourcePort, destinationPort })
            for (const subset of subsets) {
              const members = { ip: [], ip6: [], [familyOf(peer)]: [peer] }
              yield { packet, groups: Object.fromEntries(subset.map(groupId => [groupId, members])) }
            }
          }
        }
      }
    }
  }
}

function standingKinds(of: EniIr, direction: Direction): ReadonlyMap<string, string> {
  const standings = judgeRules(makeScope(of, direction, []))
  return new Map([...standings].map(([entry, { kind }]) => [entry.rule!.id, kind]))
}

function withRules(of: EniIr, direction: Direction, keep: (rule: RuleIr) => boolean): EniIr {
  return { ...of, [direction]: { ...of[direction], rules: of[direction].rules.filter(keep) } }
}

test('a rule is shadowed exactly if strictly stronger rules or inner access match all it matches', () => {
  fc.assert(
    fc.property(eni, ({ eni: one, direction }) => {
      const matched = new Set<string>()
      const decisive = new Set<string>()
      for (const { packet, groups } of questions(direction)) {
        const { reason, matching } = evaluate(makeIr(one, groups), packet)
        for (const { id } of matching) if (reason.kind !== 'invalid') matched.add(id)
        if (reason.kind !== 'rule') continue
        // Of equal rules each decides: which of them is named is a matter of ids.
        for (const { id, priority, verdict } of matching) {
          if (priority === reason.rule.priority && verdict === reason.rule.verdict) decisive.add(id)
        }
      }
      for (const [id, kind] of standingKinds(one, direction)) {
        const expected = !matched.has(id) ? 'never-matches' : !decisive.has(id) ? 'shadowed' : 'decides'
        assert.equal(kind === 'redundant' ? 'decides' : kind, expected, id)
      }
    }),
    { numRuns: 100 },
  )
})

test('shadowed and redundant rules can be taken out, one or several, without changing a verdict', () => {
  const choices = fc.array(fc.boolean(), { minLength: 6, maxLength: 6 })
  fc.assert(
    fc.property(eni, choices, ({ eni: one, direction }, chosen) => {
      const kinds = standingKinds(one, direction)
      const superfluous = [...kinds].filter(([, kind]) => kind === 'shadowed' || kind === 'redundant').map(([id]) => id)
      const someOf = superfluous.filter((_, index) => chosen[index])
      for (const removed of [superfluous, someOf]) {
        const other = withRules(one, direction, ({ id }) => !removed.includes(id))
        for (const { packet, groups } of questions(direction)) {
          const before = evaluate(makeIr(one, groups), packet).verdict
          assert.equal(evaluate(makeIr(other, groups), packet).verdict, before, `without ${removed.join()}`)
        }
      }
    }),
    { numRuns: 100 },
  )
})

test('a rule that is not called redundant changes a verdict beside the staying rules and one other at most', () => {
  fc.assert(
    fc.property(eni, ({ eni: one, direction }) => {
      const kinds = standingKinds(one, direction)
      const staying = [...kinds].filter(([, kind]) => kind === 'decides').map(([id]) => id)
      for (const id of staying) {
        const asked = [null, ...kinds.keys()]
        const changes = asked.some(other => {
          const beside = withRules(one, direction, rule => staying.includes(rule.id) || rule.id === other)
          const without = withRules(beside, direction, rule => rule.id !== id)
          return questions(direction).some(
            ({ packet, groups }) =>
              evaluate(makeIr(beside, groups), packet).verdict !== evaluate(makeIr(without, groups), packet).verdict,
          )
        })
        assert.ok(changes, id)
      }
    }),
    { numRuns: 60 },
  )
})

test('the box a standing names is one the rule decides, or matches where it is shadowed', () => {
  fc.assert(
    fc.property(eni, ({ eni: one, direction }) => {
      for (const [entry, standing] of judgeRules(makeScope(one, direction, []))) {
        if (standing.kind === 'never-matches') continue
        const { space, box } = standing.region
        const peer = addressText(space.family, space.starts[box[2]!]!)
        const members = { ip: [], ip6: [], [space.family]: [peer] }
        const local = addressText(space.family, space.starts[box[8]!]!)
        const [source, destination] = direction === 'ingress' ? [peer, local] : [local, peer]
        const protocol = [space.family === 'ip' ? 1 : 58, 6, 17, 47, 50][box[0]!]!
        const packet = makePacket({
          direction,
          protocol,
          source,
          destination,
          destinationPort: box[4]!,
          sourcePort: box[6]!,
        })
        const decision = evaluate(makeIr(one, entry.groupId === null ? {} : { [entry.groupId]: members }), packet)
        assert.ok(decision.matching.includes(entry.rule!), 'matches')
        const decides =
          decision.reason.kind === 'rule' &&
          decision.reason.rule.priority === entry.rule!.priority &&
          decision.verdict === entry.verdict
        assert.equal(decides, standing.kind !== 'shadowed')
      }
    }),
    { numRuns: 300 },
  )
})

test('1,000 rules made to be hard are judged in good time', () => {
  // 400 narrow drops, each replaced by a tiling of weaker drops, before 500 accepts that all overlap: ten times what it
  // takes is allowed here, a question for each pair of rules would take more than that.
  const rules = Array.from({ length: 1000 }, (_, index) => {
    const id = `sgr-${index}`
    if (index >= 500)
      return makeRule({ id, priority: 100, protocol: 'tcp', ports: { first: 1000, last: 50_000 + index } })
    const tile = { first: 1 + (index - 400) * 600, last: (index - 399) * 600 }
    if (index >= 400) return makeRule({ id, verdict: 'drop', priority: 50, protocol: 'tcp', ports: tile })
    const peer = `${index % 200}.0.0.0/8`
    return makeRule({ id, verdict: 'drop', protocol: 'tcp', ports: { first: 1000, last: 1000 + index }, peer })
  })
  // Time of the processor: what else the machine does is not in it.
  const begun = process.cpuUsage()
  const kinds = [...judgeRules(makeScope(makeEni(rules), 'ingress', [])).values()].map(({ kind }) => kind)
  const { user, system } = process.cpuUsage(begun)
  assert.ok(user + system < 5_000_000, `${user + system} µs`)
  assert.deepEqual([kinds.slice(0, 400).every(kind => kind === 'redundant'), kinds.length], [true, 1000])
})
