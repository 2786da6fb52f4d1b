/**
 * Which flood types traffic above a threshold is made of. What is named is held down by a lane or check of its own, so a
 * type needs evidence: it stands out against what is usual, it is large by itself, and it does so for some time. TCP
 * needs more, since downloads are TCP too: a SYN flood has no other packets to its SYNs, and an ACK flood is named only when
 * conntrack has found that its packets belong to no session.
 */
import { type FloodType, floodTypes, type TrafficRate, type TrafficType } from '../../rules-compiler/model/traffic.ts'
import type { DdosEvidence } from '../../wire/ddos.ts'
import type { Usual } from './baseline.ts'
import { addRates, exceededMeasures, higherRate, type Measure, roundRate, shareOf } from './rates.ts'
import type { Sample } from './sample.ts'

/** `sessionless` is a suspicion: other TCP stands out, and whether it belongs to sessions is checked. */
export type Sign = FloodType | 'sessionless'
export const signs: readonly Sign[] = [...floodTypes, 'sessionless']

export interface Recognition {
  /** In the order they were recognised. */
  readonly signs: readonly Sign[]
  /** For how long a sign has spoken against how it stands above, without a break. */
  readonly againstMs: Readonly<Partial<Record<Sign, number>>>
}

export const nothingRecognised: Recognition = { signs: [], againstMs: {} }

export interface Circumstances {
  readonly limit: TrafficRate
  readonly usual: Usual
  /** The first sample of an event: what is clear then needs no second. */
  readonly isFirst: boolean
  /** Whether TCP without a session was dropped throughout the sample, and so can be told from other TCP. */
  readonly isChecked: boolean
}

/** Of the excess over twice the usual. Mixtures of all types are told apart. */
const shareOfExcess = 0.1
/** Of the threshold. What is smaller needs no lane. */
const shareOfLimit = 0.05
/** What is named already is kept while it has this part of both. */
const hysteresis = 0.5
const withdrawAfterMs = 10_000
const suspectForMs = 30_000
/**
 * SYNs for each other TCP packet. Who finishes a connection sends two more packets at least, mostly three to eight; who
 * never does sends none. A download has one SYN for hundreds.
 */
const connectionRatio = { least: 0.1, most: 0.6 } as const
/** Of the TCP that reached the check: a host may see some stray packets. */
const sessionlessShare = 0.05
const leastSessionless = 20
/** A sample that came late says no more than one of so many seconds. */
const mostSampleMs = 5000

/** @param sample  one with the traffic above the limit; others say nothing about floods */
export function recognise(before: Recognition, sample: Sample, circumstances: Circumstances): Recognition {
  const standing = standingOut(before, sample, circumstances)
  const ms = Math.min(sample.intervalMs, mostSampleMs)
  const againstMs: Partial<Record<Sign, number>> = {}
  const withdrawn: Sign[] = []
  const added: Sign[] = []
  for (const sign of signs) {
    const isNamed = before.signs.includes(sign)
    // Without the check nothing is known of what it tells.
    const isUnknown = (sign === 'ack' || sign === 'connections') && !circumstances.isChecked
    if (standing.has(sign) === isNamed && !isUnknown) continue
    const against = (before.againstMs[sign] ?? 0) + (isUnknown ? 0 : ms)
    if (isUnknown || against < patience(sign, isNamed, circumstances.isFirst)) againstMs[sign] = against
    else (isNamed ? withdrawn : added).push(sign)
  }
  return { signs: [...before.signs.filter(sign => !withdrawn.includes(sign)), ...added], againstMs }
}

/** Two samples where nothing is said; a late one counts for all its seconds. */
function patience(sign: Sign, isNamed: boolean, isFirst: boolean): number {
  if (isNamed) return sign === 'sessionless' ? suspectForMs : withdrawAfterMs
  return isFirst || sign === 'sessionless' || sign === 'ack' ? 0 : 1500
}

export function recognisedTypes({ signs }: Recognition): readonly FloodType[] {
  return signs.filter(sign => sign !== 'sessionless')
}

/** What the sample by itself speaks for. */
function standingOut(before: Recognition, sample: Sample, { limit, usual }: Circumstances): ReadonlySet<Sign> {
  const exceeded = exceededMeasures(sample.offered, limit)
  const over = (type: TrafficType, measure: Measure) =>
    Math.max(0, sample.byType[type][measure] - 2 * usual[type][measure])
  const stands = (type: TrafficType, sign: Sign) => {
    const enough = before.signs.includes(sign) ? hysteresis : 1
    return exceeded.some(measure => {
      const all = Object.keys(sample.byType).reduce((sum, each) => sum + over(each as TrafficType, measure), 0)
      const isLarge = sample.byType[type][measure] >= enough * shareOfLimit * limit[measure]
      return all > 0 && isLarge && over(type, measure) >= enough * shareOfExcess * all
    })
  }
  const standing = new Set<Sign>()
  for (const type of ['dns-answers', 'udp', 'icmp', 'fragments', 'other'] as const) {
    if (stands(type, type)) standing.add(type)
  }
  const tcp = reachedSessions(sample)
  // Of what came on top; twice as much may be usual, but only one time tells in what proportion.
  const syns = Math.max(0, tcp.syns - usual['tcp-syn'].packetsPerSecond)
  const others = Math.max(0, tcp.others - sample.dropped.sessions.packetsPerSecond - usual.tcp.packetsPerSecond)
  const isSynFlood = syns > connectionRatio.most * others
  if (stands('tcp', 'sessionless') || (stands('tcp-syn', 'sessionless') && !isSynFlood)) standing.add('sessionless')
  if (standing.has('sessionless') && isSessionless(sample, tcp.others)) standing.add('ack')
  if (isSynFlood && stands('tcp-syn', 'syn')) standing.add('syn')
  const enough = before.signs.includes('connections') ? hysteresis : 1
  const areMany = sample.byType['tcp-syn'].packetsPerSecond >= enough * shareOfLimit * limit.packetsPerSecond
  const areOpened = !isSynFlood && areMany && syns >= enough * connectionRatio.least * others
  if (areOpened && (stands('tcp', 'connections') || stands('tcp-syn', 'connections'))) standing.add('connections')
  return standing
}

/**
 * SYNs and other TCP a second, less what is dropped before a connection can come of it. Of the heavy sources' packets
 * nothing is known but their number: they are taken to be like all.
 */
function reachedSessions({ byType, dropped, offered }: Sample) {
  const heavy =
    offered.packetsPerSecond > 0 ? Math.min(1, dropped.sources.packetsPerSecond / offered.packetsPerSecond) : 0
  const reached = (type: TrafficType) => byType[type].packetsPerSecond * (1 - heavy)
  return {
    syns: Math.max(0, reached('tcp-syn') - dropped.connections.packetsPerSecond),
    others: reached('tcp'),
  }
}

function isSessionless({ dropped }: Sample, others: number): boolean {
  const sessionless = dropped.sessions.packetsPerSecond
  return sessionless >= leastSessionless && sessionless >= sessionlessShare * Math.max(others, sessionless)
}

const partsOf: Readonly<Record<FloodType, readonly TrafficType[]>> = {
  syn: ['tcp-syn'],
  ack: ['tcp'],
  connections: ['tcp-syn', 'tcp'],
  udp: ['udp'],
  'dns-answers': ['dns-answers'],
  icmp: ['icmp'],
  fragments: ['fragments'],
  other: ['other'],
}

/** Adds what a sample above the limit shows of the types recognised; types of earlier are kept as they were. */
export function gatherEvidence(
  evidence: readonly DdosEvidence[],
  types: readonly FloodType[],
  sample: Sample,
  { limit, usual, concentration }: { limit: TrafficRate; usual: Usual; concentration: number | null },
): readonly DdosEvidence[] {
  const of = (type: FloodType) => {
    const peak = roundRate(addRates(partsOf[type].map(part => sample.byType[part])))
    const share = Math.max(
      ...exceededMeasures(sample.offered, limit).map(measure => shareOf(peak[measure], sample.offered[measure])),
      0,
    )
    return {
      type,
      share,
      peak,
      usual: roundRate(addRates(partsOf[type].map(part => usual[part]))),
      synRatio: synRatio(type, sample),
      sourceConcentration: concentration,
    }
  }
  const seen = evidence.map(so => (types.includes(so.type) ? stronger(so, of(so.type)) : so))
  const added = types.filter(type => !evidence.some(so => so.type === type)).map(of)
  return [...seen, ...added]
}

function stronger(so: DdosEvidence, now: DdosEvidence): DdosEvidence {
  const strongest = now.share > so.share ? now : so
  return {
    ...strongest,
    peak: higherRate(so.peak, now.peak),
    synRatio: so.synRatio,
    sourceConcentration: now.sourceConcentration ?? so.sourceConcentration,
  }
}

function synRatio(type: FloodType, { byType }: Sample): number | null {
  if (!['syn', 'ack', 'connections'].includes(type)) return null
  return byType['tcp-syn'].packetsPerSecond / Math.max(1, byType.tcp.packetsPerSecond)
}
