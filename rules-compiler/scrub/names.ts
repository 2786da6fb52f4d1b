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
/** The rate is part of the name: another rate is another object, and one that stays keeps its state. */
export const laneLimit = (instanceId: string, lane: LaneType, rate: string) => `${instanceId}/lane/${lane}/${rate}`
export const totalLimit = (instanceId: string, rate: string) => `${instanceId}/total/${rate}`
