/** What a packet costs: Ringwall against no firewall, connection tracking alone, and the same rules in a line. */
import { compile } from '../rules-compiler/nft/compile.ts'
import { printRuleset } from '../rules-compiler/nft/print.ts'
import { conntrackAlone, linearRules } from './firewalls.ts'
import { makeIr, mixedRules, type PortProtocol, shapes, type WireRule } from './policies.ts'
import { median, medianRatio } from './statistics.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'
import { Testbed, type Traffic, traffic } from './testbed.ts'

interface Candidate {
  readonly name: string
  /**
   * nft text for the protocol that the traffic has.
   * @param deviceIndex  kernel index of the ENI's device
   */
  readonly ruleset: (protocol: PortProtocol, deviceIndex: number) => string
}

const ringwall = (name: string, rules: (protocol: PortProtocol) => readonly WireRule[]): Candidate => ({
  name,
  ruleset: (protocol, deviceIndex) =>
    printRuleset(compile(makeIr(rules(protocol)), { deviceIndexes: new Map([['eni-1', deviceIndex]]) })),
})

const baseline: Candidate = { name: 'connection tracking alone', ruleset: () => conntrackAlone }

const mixture: readonly Candidate[] = [
  baseline,
  { name: 'the same again (the error of the method)', ruleset: () => conntrackAlone },
  { name: 'no firewall', ruleset: () => '' },
  { name: 'nft, 1,000 rules in a line', ruleset: protocol => linearRules(mixedRules(1000, protocol)) },
  ...[1, 10, 100, 1000].map(count =>
    ringwall(`Ringwall, ${count.toLocaleString('en')} ${count === 1 ? 'rule' : 'rules'}`, protocol =>
      mixedRules(count, protocol),
    ),
  ),
]

const hostile: readonly Candidate[] = [
  baseline,
  ...Object.entries(shapes).map(([name, makeRules]) => ringwall(name, protocol => makeRules(1000, protocol))),
]

export async function measurePackets(depth: Depth): Promise<readonly Section[]> {
  const rounds = depth === 'quick' ? 2 : 20
  const kinds: readonly Traffic[] = ['connections', 'new-flow', 'established', 'bulk']
  const notes = [
    'CPU of client, server and kernel; each cell: median, ratio to connection tracking alone burst by burst.',
    'ufw and firewalld are not compared: both end as rules in a line.',
  ]
  return [
    await compare('Packets: mixed rules, the matching one last', mixture, kinds, rounds, notes),
    await compare(
      'Packets: 1,000 rules of shapes that hurt set lookups',
      hostile,
      ['new-flow', 'connections'],
      rounds,
      [],
    ),
  ]
}

async function compare(
  heading: string,
  candidates: readonly Candidate[],
  kinds: readonly Traffic[],
  rounds: number,
  notes: readonly string[],
): Promise<Section> {
  await using testbed = await Testbed.create()
  const pairs = []
  for (const _ of candidates) pairs.push(await testbed.addPair('packets'))
  const rows = candidates.map(({ name }) => [name])
  for (const kind of kinds) {
    const protocol = kind === 'connections' || kind === 'bulk' ? 'tcp' : 'udp'
    for (const [index, { ruleset }] of candidates.entries()) {
      const { server, deviceIndex } = pairs[index]!
      await testbed.load(server, ruleset(protocol, deviceIndex))
    }
    const results = await testbed.measure(kind, pairs, rounds)
    results.forEach((values, index) => {
      rows[index]!.push(`${figure(median(values) / 1000)} µs (${ratio(medianRatio(values, results[0]!))})`)
    })
  }
  return { heading, columns: ['', ...kinds.map(kind => traffic[kind].label)], rows, notes }
}
