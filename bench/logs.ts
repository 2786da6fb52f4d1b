/** What logs and observe mode cost a packet that is refused, and a session that is let through. */
import { setTimeout } from 'node:timers/promises'
import type { Namespace } from '../lab/netns.ts'
import { defaultLogging, type Logging, loggingBounds } from '../rules-compiler/model/policy.ts'
import { compile } from '../rules-compiler/nft/compile.ts'
import { printRuleset } from '../rules-compiler/nft/print.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import { conntrackAlone } from './firewalls.ts'
import { makeIr, mixedRules } from './policies.ts'
import { median, medianRatio } from './statistics.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'
import { Testbed, type Traffic, traffic } from './testbed.ts'

interface Candidate {
  readonly name: string
  /** Null: connection tracking alone. */
  readonly ir: PolicyIr | null
  /** Somebody reads the log meanwhile. */
  readonly isRead?: boolean
}

const most = loggingBounds.perSecond.maximum
const silent: Partial<Logging> = { drops: false }

/** Ten rules that the traffic, which is UDP, does not match, or does. */
function withLogging(protocol: 'tcp' | 'udp', logging: Partial<Logging>, isObserved = false): PolicyIr {
  const ir = makeIr(mixedRules(10, protocol))
  return {
    ...ir,
    logging: { ...defaultLogging, ...logging },
    enis: ir.enis.map(eni => ({ ...eni, isObserved })),
  }
}
const refusing = (logging: Partial<Logging>, isObserved = false) => withLogging('tcp', logging, isObserved)

const dropped: readonly Candidate[] = [
  { name: 'dropped, drops not logged', ir: refusing(silent) },
  { name: 'the same again (the error of the method)', ir: refusing(silent) },
  { name: 'logged, 100 a second, nobody reads', ir: refusing({}) },
  { name: 'logged, 100 a second, tcpdump reads', ir: refusing({}), isRead: true },
  { name: `logged, ${most.toLocaleString('en')} a second, nobody reads`, ir: refusing({ perSecond: most }) },
  {
    name: `logged, ${most.toLocaleString('en')} a second, tcpdump reads`,
    ir: refusing({ perSecond: most }),
    isRead: true,
  },
  { name: 'connection tracking alone, accepted', ir: null },
]

const passed: readonly Candidate[] = [
  { name: 'accepted by a rule', ir: withLogging('udp', {}) },
  { name: 'the same again (the error of the method)', ir: withLogging('udp', {}) },
  { name: 'accepted by a rule, sessions logged, nobody reads', ir: withLogging('udp', { sessions: true }) },
  { name: 'observed: refused and let through, not logged', ir: refusing(silent, true) },
  { name: 'observed: refused and let through, logged, nobody reads', ir: refusing({}, true) },
  { name: 'observed: refused and let through, logged, tcpdump reads', ir: refusing({}, true), isRead: true },
]

export async function measureLogs(depth: Depth): Promise<readonly Section[]> {
  const rounds = depth === 'quick' ? 2 : 20
  return [
    await compare('Logs: a UDP packet that no rule accepts', dropped, ['new-flow'], rounds, [
      'CPU of client and kernel, that of tcpdump left out; median, ratio to the first row burst by burst. A packet that is dropped leaves no conntrack entry.',
      'The bursts are short: with 10,000 a second nearly all of their packets are within the limit, with 100 hardly any.',
    ]),
    await compare('Observe mode: sessions of UDP that are let through', passed, ['new-flow', 'established'], rounds, [
      'What is only let through is judged at every packet. Ratio to the first row.',
    ]),
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
  await using readers = new AsyncDisposableStack()
  const pairs = []
  for (const { ir, isRead = false } of candidates) {
    const pair = await testbed.addPair('logs')
    const deviceIndexes = new Map([['eni-1', pair.deviceIndex]])
    await testbed.load(pair.server, ir === null ? conntrackAlone : printRuleset(compile(ir, { deviceIndexes })))
    if (isRead) readers.use(await readLog(pair.server))
    pairs.push(pair)
  }
  const rows = candidates.map(({ name }) => [name])
  for (const kind of kinds) {
    const results = await testbed.measure(kind, pairs, rounds)
    results.forEach((values, index) => {
      rows[index]!.push(`${figure(median(values) / 1000)} µs (${ratio(medianRatio(values, results[0]!))})`)
    })
  }
  return { heading, columns: ['', ...kinds.map(kind => traffic[kind].label)], rows, notes }
}

async function readLog(namespace: Namespace): Promise<AsyncDisposable> {
  const flags = ['-i', `nflog:${defaultLogging.nflogGroup}`, '-Z', 'root', '-w', '/dev/null']
  const child = namespace.spawn('tcpdump', flags, { stdio: ['ignore', 'ignore', 'pipe'] })
  const listening = new Promise<void>(resolve => child.stderr!.on('data', () => resolve()))
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  await Promise.race([listening, setTimeout(10_000)])
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT')
      await ended
    },
  }
}
