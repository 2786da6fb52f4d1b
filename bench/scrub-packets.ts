/** What traffic scrubbing costs a packet: measured, cleaned, dropped at either hook; and what SYN floods do to clients. */

import type { Namespace } from '../lab/netns.ts'
import type { LaneType, TrafficRate } from '../rules-compiler/model/traffic.ts'
import type { Cleaning, Defence } from '../rules-compiler/scrub/defence.ts'
import { Customers } from '../test/support/flood/customers.ts'
import { floodFrames } from '../test/support/flood/frames.ts'
import { buildScene, type Scene } from '../test/support/flood/scene.ts'
import { FloodSender } from '../test/support/flood/sender.ts'
import { makeScrubIr } from '../test/support/ir.ts'
import { makeCleaning, ScrubbedHost } from '../test/support/scrub-table.ts'
import { conntrackAlone } from './firewalls.ts'
import { median, medianRatio, percentile } from './statistics.ts'
import { type Depth, figure, ratio, type Section } from './table.ts'
import { type Pair, Testbed, type Traffic, traffic } from './testbed.ts'

interface Candidate {
  readonly name: string
  /** Null: no table of traffic scrubbing. */
  readonly defence: Defence | null
  /** nft text beside it. */
  readonly beside?: string
}

const wide: TrafficRate = { packetsPerSecond: 10_000_000, bitsPerSecond: 100_000_000_000 }
/** Next to nothing passes. */
const narrow: TrafficRate = { ...wide, packetsPerSecond: 1 }
const cleaning = (sketch: Partial<Cleaning>): Defence =>
  makeCleaning({ total: wide, shares: { known: wide, unknown: wide }, ...sketch })
const lane = (type: LaneType, rate: TrafficRate) => ({ lanes: new Map([[type, rate]]) })

/** Every host has connection tracking, because the policy asks for it. */
const passing: readonly Candidate[] = [
  { name: 'no table of scrubbing', defence: null, beside: conntrackAlone },
  { name: 'the same again (the error of the method)', defence: null, beside: conntrackAlone },
  { name: 'measured', defence: { kind: 'none' }, beside: conntrackAlone },
  {
    name: 'cleaned, nothing above a limit',
    defence: cleaning({ ...lane('udp', wide), connectionsPerSource: 100_000 }),
    beside: conntrackAlone,
  },
]

const afterConntrack = `
table inet after {
	chain prerouting {
		type filter hook prerouting priority -150;
		ct state new drop
	}
}
`

const dropping: readonly Candidate[] = [
  { name: 'nothing drops', defence: null, beside: conntrackAlone },
  { name: 'at the device: black hole', defence: { kind: 'black-hole', remainingSeconds: 3600 } },
  {
    name: 'at the device: sources above their share',
    defence: cleaning({ shares: { known: wide, unknown: narrow } }),
  },
  { name: 'at the device: a lane', defence: cleaning(lane('udp', narrow)) },
  { name: 'after conntrack: the total', defence: cleaning({ total: narrow }) },
  { name: 'after conntrack: measured, and one rule', defence: { kind: 'none' }, beside: afterConntrack },
]

/** What a SYN of 10 times the threshold meets. The rates are those of `measureConnecting`. */
const synRate: TrafficRate = { packetsPerSecond: 1000, bitsPerSecond: 1_000_000_000 }
const rateLimitAlone = `
table inet alone {
	chain inbound {
		type filter hook ingress device "eth0" priority -500;
		tcp flags & (syn|ack) == syn limit rate over ${synRate.packetsPerSecond}/second burst 100 packets drop
	}
}
`
/** As nft(8) has it; besides net.netfilter.nf_conntrack_tcp_loose must be 0. */
const synproxy = `
table inet proxy {
	chain untracked {
		type filter hook prerouting priority -300;
		tcp flags & (syn|ack) == syn notrack
	}
	chain input {
		type filter hook input priority 0;
		meta l4proto tcp ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
		ct state invalid drop
	}
}
`
const synHandling: readonly Candidate[] = [
  { name: 'nothing', defence: null, beside: conntrackAlone },
  { name: 'rate limit alone', defence: null, beside: rateLimitAlone + conntrackAlone },
  { name: 'lane: the second SYN, within the rate', defence: cleaning(lane('syn', synRate)) },
  { name: 'SYN proxy', defence: null, beside: synproxy },
]

export async function measureScrubPackets(depth: Depth): Promise<readonly Section[]> {
  const rounds = depth === 'quick' ? 3 : 20
  return [
    await compare('Scrubbing: what a packet costs that passes', {
      candidates: passing,
      kinds: ['new-flow', 'many-sources', 'established', 'connections'],
      rounds,
      show: 'added',
      notes: ['CPU of client, server and kernel, connection tracking included; in brackets what the table adds.'],
    }),
    await compare('Scrubbing: packets dropped a second and core', {
      candidates: dropping,
      kinds: ['new-flow', 'many-sources'],
      rounds,
      show: 'rate',
      notes: [
        'One core sends, receives and drops. In brackets the CPU of one packet, and its ratio to nothing dropped.',
        'Of many sources none is above its share, so there that row drops nothing.',
      ],
    }),
    await compare('SYN floods: what a forged SYN costs', {
      candidates: synHandling,
      kinds: ['syn'],
      rounds,
      show: 'rate',
      notes: ['The SYN proxy answers each of them.'],
    }),
    await measureConnecting(depth),
  ]
}

interface Comparison {
  readonly candidates: readonly Candidate[]
  readonly kinds: readonly Traffic[]
  readonly rounds: number
  readonly show: 'added' | 'rate'
  readonly notes: readonly string[]
}

async function compare(heading: string, { candidates, kinds, rounds, show, notes }: Comparison): Promise<Section> {
  await using testbed = await Testbed.create()
  const pairs: Pair[] = []
  for (const _ of candidates) pairs.push(await testbed.addPair('scrub'))
  const rows = candidates.map(({ name }) => [name])
  for (const kind of kinds) {
    for (const [index, candidate] of candidates.entries()) {
      await install(candidate, pairs[index]!.server, text => testbed.load(pairs[index]!.server, text))
    }
    const results = await testbed.measure(kind, pairs, rounds)
    for (const [index, values] of results.entries()) {
      const nanoseconds = median(values)
      const added = median(values.map((value, burst) => value - results[0]![burst]!))
      rows[index]!.push(
        show === 'added'
          ? `${figure(nanoseconds / 1000)} µs (+${figure(added)} ns)`
          : `${figure(1e6 / nanoseconds)} k (${figure(nanoseconds / 1000)} µs, ${ratio(medianRatio(values, results[0]!))})`,
      )
    }
  }
  return { heading, columns: ['', ...kinds.map(kind => traffic[kind].label)], rows, notes }
}

async function install(
  { defence, beside = '' }: Candidate,
  host: Namespace,
  loadText: (text: string) => Promise<void>,
): Promise<void> {
  await loadText(beside)
  await host.sysctl({ 'net.netfilter.nf_conntrack_tcp_loose': beside === synproxy ? 0 : 1 })
  if (defence === null) return
  await new ScrubbedHost(host).load({
    ir: makeScrubIr([{ enis: [{ id: 'eni-1', device: 'eth0', placement: 'host' }] }]),
    devices: new Set(['eth0']),
    defences: new Map([['i-1', defence]]),
  })
}

/** Forged SYNs, ten times as many as the rate, and newcomers that connect meanwhile. */
async function measureConnecting(depth: Depth): Promise<Section> {
  const seconds = depth === 'quick' ? 5 : 30
  const rows: string[][] = []
  for (const candidate of [{ name: 'no flood', defence: null }, ...synHandling]) {
    await using stack = new AsyncDisposableStack()
    const scene = await buildScene(stack)
    await install(candidate, scene.host, text => loadText(scene, text))
    const customers = stack.use(
      await Customers.start(scene, { downloadBytesPerSecond: 0, knocksPerSecond: 4, patienceMs: 10_000 }),
    )
    // So many that none comes again within the time that a SYN is remembered.
    const frames = floodFrames({ kind: 'syn', family: 'ip', sources: 60_000, packetBytes: 40 }, scene.target)
    await using sender = await FloodSender.create(scene.internet, scene.internetDevice, frames)
    const packetsPerSecond = 10 * synRate.packetsPerSecond
    if (candidate.name === 'no flood') await new Promise(resolve => setTimeout(resolve, seconds * 1000))
    else await sender.send({ packetsPerSecond, seconds, clump: 1 }).sent
    const { connectMs, connectsFailed, asked, answered } = await customers.service()
    const within = connectMs.length === 0 ? ['-', '-'] : [median(connectMs), percentile(connectMs, 90)].map(figure)
    rows.push([candidate.name, ...within, String(connectMs.length), String(connectsFailed), `${answered} of ${asked}`])
  }
  return {
    heading: 'SYN floods: what clients see of ten times the rate',
    columns: ['', 'connecting, ms', '90 %, ms', 'connected', 'failed', 'answers in sessions'],
    rows,
    notes: [
      `${10 * synRate.packetsPerSecond} forged SYNs a second for ${seconds} s, of 60,000 sources, IPv4; half of the clients come by IPv6.`,
      'Connecting is until the first answer. Who still waits when the flood ends is not counted.',
    ],
  }
}

async function loadText({ host }: Scene, text: string): Promise<void> {
  await host.run('nft', ['-f', '-'], { input: `flush ruleset\n${text}` })
}
