/**
 * Names in the table of traffic scrubbing, made here only. As in the policy's table, the slash keeps them apart from one
 * another; that table is never touched from here.
 */
import type { Family } from '../address/cidr.ts'
import type { LaneType, ScrubStep, TrafficType } from '../model/traffic.ts'

export const scrubTableName = 'ringwall-scrub'

/** Chain that one ENI's inbound packets go through first. */
export const eniChain = (eniId: string) => `${eniId}/inbound`
/** What is inbound on an ENI, before anything is dropped: in scope by type, or out of scope. */
export const offeredCounter = (eniId: string, type: TrafficType | 'out-of-scope') => `${eniId}/offered/${type}`

export const defenceChain = (instanceId: string) => `${instanceId}/defence`
/** Right after conntrack. */
export const sessionsChain = (instanceId: string) => `${instanceId}/sessions`
export const droppedCounter = (instanceId: string, step: ScrubStep) => `${instanceId}/dropped/${step}`
/** Sources dropped for some seconds for being above their share, each with what was dropped of it. */
export const heavySet = (instanceId: string, family: Family) => `${instanceId}/heavy/${family}`
/** Sources of one packet in so many, each with a counter. */
export const sampledSet = (instanceId: string, family: Family) => `${instanceId}/sampled/${family}`
/** Sources that conntrack has seen talk with both sides. */
export const knownSet = (instanceId: string, family: Family) => `${instanceId}/known/${family}`
/** Devices of a black hole, each with its time. */
export const blackHoleSet = (instanceId: string) => `${instanceId}/black-hole`
/** SYNs seen within the last second: source and source port. */
export const recentSynSet = (instanceId: string, family: Family) => `${instanceId}/recent-syn/${family}`
/** SYNs seen before. */
export const seenSynSet = (instanceId: string, family: Family) => `${instanceId}/seen-syn/${family}`

/** The rate is part of the names that follow: another rate is another object, and one that stays keeps its state. */
export const meterSet = (instanceId: string, meter: MeterKind, rate: string, family: Family) =>
  `${instanceId}/meter/${meter}/${rate}/${family}`
export const laneLimit = (instanceId: string, lane: LaneType, rate: string) => `${instanceId}/lane/${lane}/${rate}`
export const totalLimit = (instanceId: string, part: TotalPart, rate: string) => `${instanceId}/total/${part}/${rate}`
/** `all`; sources that are not known; a step of what known ones have, or of what is left to the others. */
export type TotalPart = 'all' | 'unknown' | `known/${number}` | `left/${number}`
/** There while known sources have more than so many steps. */
export const stepSet = (instanceId: string, measure: 'packets' | 'bytes', step: number) =>
  `${instanceId}/total/step/${measure}/${step}`

export type MeterKind = 'known' | 'unknown' | 'connections'

/** Inbound of all guests; host placement has a base chain for each device, the ENI's. */
export const guestsChain = '_host/guests'
/** Of host placement, right after conntrack. */
export const arrivalsChain = '_host/arrivals'
/** Nothing leads there: it is in the table so that the kernel follows sessions. */
export const conntrackChain = '_host/conntrack'
/** What is never cleaned nor black-holed. */
export const allowedChain = '_host/allowed'

/** Parts of the defence, each a chain. */
export const defencePart = (instanceId: string, part: DefencePart) => `${defenceChain(instanceId)}/${part}`
export type DefencePart =
  | 'known'
  | 'unknown'
  | 'known/share'
  | 'unknown/share'
  | 'heavy'
  | 'connections'
  | 'lanes'
  | `lane/${LaneType}`
  | 'lane/syn/again'
  | 'lane/syn/early'
export const sessionsPart = (instanceId: string, part: SessionsPart) => `${sessionsChain(instanceId)}/${part}`
export type SessionsPart =
  | 'known'
  | 'learn'
  | `known/${'packets' | 'bytes'}`
  | `unknown/${'packets' | 'bytes'}`
  | 'total'
/** Both of them one after the other, for guests: there conntrack has been asked before. */
export const guestDefenceChain = (instanceId: string) => `${instanceId}/guest-defence`
