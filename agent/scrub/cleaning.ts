/** How wide each limit of cleaning is: what passes must fit the thresholds, and what is usual should pass. */
import {
  type LaneType,
  laneTypes,
  type TrafficRate,
  type TrafficType,
  trafficTypes,
} from '../../rules-compiler/model/traffic.ts'
import type { Cleaning } from '../../rules-compiler/scrub/defence.ts'
import type { Usual } from './baseline.ts'
import { addRates, eachMeasure, higherRate, type Measure, measures, noRate, roundRate } from './rates.ts'
import { type Recognition, recognisedTypes } from './recognise.ts'
import type { Sample } from './sample.ts'

/** JSON; times are monotonic. */
export interface CleaningState {
  readonly total: TrafficRate
  readonly lanes: Readonly<Partial<Record<LaneType, TrafficRate>>>
  /** When lanes last changed. */
  readonly lanesAtMs: number
  /** Arrivals a second of what has no lane, averaged over some seconds. */
  readonly rest: TrafficRate
  /** How often the share of a known source was halved. */
  readonly halvings: number
  /** How often the number of connections was. */
  readonly connectionHalvings: number
  /** When either last changed, or final limits last dropped much with nothing left to halve. */
  readonly halvedAtMs: number
  readonly limitConnections: boolean
  readonly dropSessionless: boolean
}

export interface CleaningInput {
  readonly limit: TrafficRate
  readonly usual: Usual
  readonly recognition: Recognition
  /** Null where none could be taken: then only what was ordered changes. */
  readonly sample: Sample | null
  /** What the heaviest source sends that is not dropped; null where that is not known. */
  readonly heaviest: TrafficRate | null
  readonly nowMs: number
}

/** What is usual of the rest may grow by half. */
const slack = 1.5
/** Of the thresholds, for the rest at least: nobody knows what is usual when an agent is new. */
const leastForRest = 0.5
/** Of the thresholds, for all lanes at least. */
const leastForLanes = 0.05
const restAveragedMs = 10_000
const adaptAfterMs = 10_000
const worthAdapting = 0.25
/** Of what reaches the final limits. */
const muchDropped = 0.1
const halveAfterMs = 3000
const doubleAfterMs = 120_000
const mostHalvings = 6
const mostConnectionHalvings = 3
/** Of the thresholds; a source that is not known must make itself known with less. */
const unknownShare = 1 / 20
const leastShare: TrafficRate = { packetsPerSecond: 200, bitsPerSecond: 2e6 }
/** A browser opens some, an office behind one address some dozens. */
const mostConnections = 40

const trafficOf = (lane: LaneType): TrafficType => (lane === 'syn' ? 'tcp-syn' : lane)

/** @param before  null when cleaning begins */
export function adaptCleaning(before: CleaningState | null, input: CleaningInput): CleaningState {
  const { limit, recognition } = input
  const types = recognisedTypes(recognition)
  const lanes = laneTypes.filter(lane => types.includes(lane))
  const rest = averageRest(before, lanes, input)
  const total = roundRate(limit)
  const limitConnections = types.includes('connections')
  const isSame = before !== null && sameRate(before.total, total)
  return {
    total,
    ...chooseLanes(isSame ? before : null, lanes, { ...input, rest }),
    rest,
    ...chooseHalvings(before, limitConnections, input),
    limitConnections,
    dropSessionless: recognition.signs.includes('sessionless') || types.includes('ack'),
  }
}

export function cleaningOf(state: CleaningState): Cleaning {
  const known = knownShare(state, state.halvings)
  const unknown = eachMeasure(measure => share(state.total[measure], unknownShare, leastShare[measure]))
  return {
    total: state.total,
    shares: { known, unknown: eachMeasure(measure => Math.min(known[measure], unknown[measure])) },
    connectionsPerSource: state.limitConnections ? mostConnections / 2 ** state.connectionHalvings : null,
    lanes: new Map(laneTypes.flatMap(lane => (state.lanes[lane] ? [[lane, state.lanes[lane]] as const] : []))),
    dropSessionless: state.dropSessionless,
  }
}

function knownShare({ total }: CleaningState, halvings: number): TrafficRate {
  return eachMeasure(measure => share(total[measure], 2 ** -halvings, leastShare[measure]))
}

function share(total: number, part: number, least: number): number {
  return Math.round(Math.min(total, Math.max(total * part, least)))
}

/** Lanes stay as they are until they would be much wider or narrower, or until there are others. */
function chooseLanes(
  before: CleaningState | null,
  lanes: readonly LaneType[],
  input: CleaningInput & { readonly rest: TrafficRate },
): Pick<CleaningState, 'lanes' | 'lanesAtMs'> {
  const wanted = laneRates(lanes, input)
  if (before === null) return { lanes: wanted, lanesAtMs: input.nowMs }
  const asBefore = { lanes: before.lanes, lanesAtMs: before.lanesAtMs }
  const isSameSet = laneTypes.every(lane => lane in wanted === lane in before.lanes)
  const isDue = input.nowMs - before.lanesAtMs >= adaptAfterMs
  // An agent that starts has no sample yet, and must find in the kernel what was left there.
  if (isSameSet && (!isDue || input.sample === null)) return asBefore
  const isWorthIt = (lane: LaneType) => {
    const [now, then] = [wanted[lane]!, before.lanes[lane]]
    return then === undefined || differs(now, then, 'packetsPerSecond') || differs(now, then, 'bitsPerSecond')
  }
  if (isSameSet && !lanes.some(isWorthIt)) return asBefore
  const chosen = lanes.map(lane => [lane, isWorthIt(lane) ? wanted[lane]! : before.lanes[lane]!] as const)
  return { lanes: Object.fromEntries(chosen), lanesAtMs: input.nowMs }
}

function differs(now: TrafficRate, then: TrafficRate, measure: Measure): boolean {
  return Math.abs(now[measure] - then[measure]) > worthAdapting * then[measure]
}

/** All of a width, but wider for a type of which more is usual. */
function laneRates(
  lanes: readonly LaneType[],
  { limit, usual, rest }: CleaningInput & { readonly rest: TrafficRate },
): Readonly<Partial<Record<LaneType, TrafficRate>>> {
  const usualRest = addRates(
    trafficTypes.filter(type => !lanes.some(lane => trafficOf(lane) === type)).map(type => usual[type]),
  )
  const taken = higherRate(rest, usualRest)
  const width = (lane: LaneType, measure: Measure) => {
    const room = Math.max(leastForLanes * limit[measure], limit[measure] - slack * taken[measure])
    const even = Math.min(room, (1 - leastForRest) * limit[measure]) / lanes.length
    return Math.max(
      1,
      Math.round(Math.max(even, Math.min(slack * usual[trafficOf(lane)][measure], room / lanes.length))),
    )
  }
  return Object.fromEntries(lanes.map(lane => [lane, eachMeasure(measure => width(lane, measure))]))
}

/** What is found to belong to no session is no part of it, and neither is what comes above the thresholds. */
function averageRest(
  before: CleaningState | null,
  lanes: readonly LaneType[],
  { sample, limit }: CleaningInput,
): TrafficRate {
  if (sample === null) return before?.rest ?? noRate
  const types = trafficTypes.filter(type => !lanes.some(lane => trafficOf(lane) === type))
  const arrived = addRates(types.map(type => sample.byType[type]))
  const weight = 1 - Math.exp(-sample.intervalMs / restAveragedMs)
  return eachMeasure(measure => {
    const now = Math.min(limit[measure], Math.max(0, arrived[measure] - sample.dropped.sessions[measure]))
    const so = before?.rest[measure] ?? 0
    return so + (now - so) * weight
  })
}

type Halvings = Pick<CleaningState, 'halvings' | 'connectionHalvings' | 'halvedAtMs'>

/**
 * While the final limits drop much although lanes stand, what floods is known: the share of each known source is halved
 * every few seconds, as long as that would reach the heaviest; so is the number of connections. When the final limits
 * have dropped little for long, one halving of each is taken back.
 */
function chooseHalvings(
  before: CleaningState | null,
  limitConnections: boolean,
  { sample, heaviest, nowMs }: CleaningInput,
): Halvings {
  if (before === null) return { halvings: 0, connectionHalvings: 0, halvedAtMs: nowMs }
  const { halvings, connectionHalvings, halvedAtMs } = before
  const asBefore = { halvings, connectionHalvings, halvedAtMs }
  const much = sample === null ? [] : measures.filter(measure => dropsMuch(sample, measure))
  if (much.length > 0) {
    if (Math.min(nowMs - halvedAtMs, nowMs - before.lanesAtMs) < halveAfterMs) return asBefore
    const next = knownShare(before, halvings + 1)
    const isReached = heaviest === null || much.some(measure => heaviest[measure] > next[measure])
    return {
      halvings: Math.min(mostHalvings, halvings + (isReached ? 1 : 0)),
      connectionHalvings: Math.min(mostConnectionHalvings, connectionHalvings + (limitConnections ? 1 : 0)),
      halvedAtMs: nowMs,
    }
  }
  if (sample === null || halvings + connectionHalvings === 0 || nowMs - halvedAtMs < doubleAfterMs) return asBefore
  return {
    halvings: Math.max(0, halvings - 1),
    connectionHalvings: Math.max(0, connectionHalvings - 1),
    halvedAtMs: nowMs,
  }
}

function dropsMuch({ dropped, passed }: Sample, measure: Measure): boolean {
  const atLast = dropped['packet-rate'][measure] + dropped['bit-rate'][measure]
  return atLast > muchDropped * (passed[measure] + atLast)
}

function sameRate(a: TrafficRate, b: TrafficRate): boolean {
  return a.packetsPerSecond === b.packetsPerSecond && a.bitsPerSecond === b.bitsPerSecond
}
