/** Thresholds of instances, and what operators say of their scrubbing. */
import type { Static } from 'typebox'
import { type InstanceTypeThresholds, thresholdsOfType } from '../../rules-compiler/model/instance-types.ts'
import { type DdosThreshold, ddosThresholdBounds } from '../../rules-compiler/model/policy.ts'
import type { ScrubOrder } from '../../rules-compiler/scrub/ir.ts'
import type { DdosThresholds } from '../../wire/ddos.ts'
import { ApiError, type FieldError } from '../errors.ts'
import { type InstanceDoc, keyOf } from '../model/documents.ts'
import type { ShownScrubbing, ShownThreshold, setThresholdSchema } from '../schemas/ddos.ts'
import type { World } from '../state/world.ts'
import type { DdosBoard } from './ddos-board.ts'
import type { Plan } from './executor.ts'
import { Faults, invalidRequest } from './faults.ts'
import { madeId } from './ids.ts'
import { type Principal, writable } from './principal.ts'

export function showThreshold(instance: InstanceDoc, board: DdosBoard, revision: number): ShownThreshold {
  return { instanceId: instance.id, ...thresholdFields(instance, board), revision }
}

export function thresholdFields(instance: InstanceDoc, board: DdosBoard) {
  const maximum = thresholdsOfType(instance.instanceType)
  const { bps, pps, source } = instance.ddosThreshold ?? thresholdOfType(maximum)
  const proposal = proposalFor(instance, board)
  return {
    bps,
    pps,
    maxBps: maximum?.maxBpsMbit ?? null,
    maxPps: maximum?.maxPps ?? null,
    source,
    proposedBps: proposal?.bps ?? null,
    proposedPps: proposal?.pps ?? null,
  }
}

function thresholdOfType(maximum: InstanceTypeThresholds | null) {
  if (maximum === null) return { bps: null, pps: null, source: null }
  return { bps: maximum.maxBpsMbit, pps: maximum.maxPps, source: 'type' as const }
}

/** In whole numbers, and never above what the instance type allows. */
function proposalFor({ id, instanceType }: InstanceDoc, board: DdosBoard): { bps: number; pps: number } | null {
  const proposal: DdosThresholds | null = board.standingOf(id)?.status.proposal ?? null
  if (proposal === null) return null
  const { bps, pps } = ddosThresholdBounds
  const { maxBpsMbit = bps.maximum, maxPps = pps.maximum } = thresholdsOfType(instanceType) ?? {}
  const within = (value: number, most: number) => Math.min(Math.max(1, Math.ceil(value)), most)
  return { bps: within(proposal.bpsMbit, maxBpsMbit), pps: within(proposal.pps, maxPps) }
}

/** @throws {ApiError} where it is above what the instance type allows, or nothing is proposed */
export function setThreshold(
  world: World,
  principal: Principal,
  {
    id,
    body,
    board,
  }: { readonly id: string; readonly body: Static<typeof setThresholdSchema>; readonly board: DdosBoard },
): Plan<{ ddosThreshold: ShownThreshold }> {
  const { ddosThreshold: _, ...rest } = writable(world, principal, 'instance', id)
  const threshold = readThreshold(rest, body, board)
  const instance: InstanceDoc = threshold === null ? rest : { ...rest, ddosThreshold: threshold }
  return {
    writes: [{ key: keyOf('instance', id), value: instance }],
    body: revisionOf => ({ ddosThreshold: showThreshold(instance, board, revisionOf('instance', id)) }),
  }
}

/** @returns null for the maxima of the instance type */
function readThreshold(
  instance: InstanceDoc,
  { bps, pps, source = 'manual' }: Static<typeof setThresholdSchema>,
  board: DdosBoard,
): DdosThreshold | null {
  const faults = new Faults()
  if (source !== 'manual') {
    for (const field of ['bps', 'pps'] as const) {
      const value = { bps, pps }[field]
      if (value === undefined) continue
      const message = `Cannot set ${field} "${value}" beside source "${source}": expected one or the other`
      faults.add(invalidRequest, { code: 'conflict', field, message, value })
    }
    faults.throwIfAny()
    return source === 'type' ? null : { ...proposed(instance, board), source }
  }
  for (const [field, value] of [['bps', bps] as const, ['pps', pps] as const]) {
    if (value === undefined) faults.add(missing, { code: 'missing', field, message: `Cannot do without ${field}` })
  }
  faults.throwIfAny()
  const threshold: DdosThreshold = { bps: bps!, pps: pps!, source }
  for (const fault of faultsAboveType(threshold, instance.instanceType)) faults.add(invalidRequest, fault)
  faults.throwIfAny()
  return threshold
}

const missing = { status: 400, code: 'MissingParameter' }

function proposed(instance: InstanceDoc, board: DdosBoard) {
  const proposal = proposalFor(instance, board)
  if (proposal !== null) return proposal
  const message = `Cannot take over thresholds for instance "${instance.id}": expected a proposal of its agent, which has made none; it needs to see traffic first`
  throw new ApiError(409, 'Conflict', message, {
    errors: [{ code: 'conflict', field: 'source', message, value: 'auto' }],
  })
}

const units = { bps: 'Mbit/s', pps: 'packets a second' } as const

/** A maximum is of a type that the published table has; any other allows everything. */
function faultsAboveType({ bps, pps }: DdosThreshold, instanceType: string | null): FieldError[] {
  const maximum = thresholdsOfType(instanceType)
  if (maximum === null) return []
  const limits = [['bps', bps, maximum.maxBpsMbit] as const, ['pps', pps, maximum.maxPps] as const]
  return limits.flatMap(([field, value, most]) => {
    if (value <= most) return []
    const message = `Cannot set ${field} "${value}": expected at most ${most} ${units[field]}, the maximum of instance type ${instanceType}`
    return [{ code: 'invalid-value', field, message, value }]
  })
}

/**
 * A type that allows less than what is set: whoever changes it decides what is to hold.
 * @throws {ApiError} 409
 */
export function requireThresholdWithin({ ddosThreshold }: InstanceDoc, instanceType: string | null): void {
  const maximum = thresholdsOfType(instanceType)
  if (maximum === null || ddosThreshold === undefined) return
  const { bps, pps } = ddosThreshold
  if (bps <= maximum.maxBpsMbit && pps <= maximum.maxPps) return
  const message = `Cannot set instance type "${instanceType}": it allows ${maximum.maxBpsMbit} Mbit/s and ${maximum.maxPps} packets a second, and the threshold that is set is ${bps} Mbit/s and ${pps} packets a second; expected that to be lowered first`
  throw new ApiError(409, 'Conflict', message, {
    errors: [{ code: 'conflict', field: 'instanceType', message, value: instanceType }],
  })
}

function showScrubbing(instance: InstanceDoc, revision: number): ShownScrubbing {
  return { instanceId: instance.id, ...scrubbingFields(instance), revision }
}

export function scrubbingFields({ scrubbingCancelled, ddosOrder }: InstanceDoc) {
  const order =
    ddosOrder === undefined
      ? null
      : { orderId: ddosOrder.id, action: ddosOrder.action, holdSeconds: ddosOrder.holdSeconds }
  return { scrubbingCancelled: scrubbingCancelled ?? false, order }
}

export function cancelScrubbing(world: World, principal: Principal, id: string): Plan<{ scrubbing: ShownScrubbing }> {
  return writeScrubbing({ ...writable(world, principal, 'instance', id), scrubbingCancelled: true })
}

export function resumeScrubbing(world: World, principal: Principal, id: string): Plan<{ scrubbing: ShownScrubbing }> {
  const { scrubbingCancelled: _, ...instance } = writable(world, principal, 'instance', id)
  return writeScrubbing(instance)
}

export interface ScrubbingOrder {
  /** Of the instance. */
  readonly id: string
  readonly action: ScrubOrder['action']
  readonly holdSeconds?: number | undefined
}

/** @throws {ApiError} 409 for an instance without agent: nobody would carry it out, or somebody some day */
export function orderScrubbing(
  world: World,
  principal: Principal,
  { id, action, holdSeconds }: ScrubbingOrder,
): Plan<{ scrubbing: ShownScrubbing }> {
  const instance = writable(world, principal, 'instance', id)
  if (instance.agentId === null) {
    const what = action === 'black-hole' ? 'black-hole' : 'lift the black hole of'
    throw new ApiError(409, 'Conflict', `Cannot ${what} instance "${id}": expected one that an agent serves`)
  }
  const ddosOrder = { id: madeId('order'), action, holdSeconds: holdSeconds ?? null }
  return writeScrubbing({ ...instance, ddosOrder })
}

/** For another agent, or one that remembers nothing: it would carry out once more what was ordered long ago. */
export function withoutOrder({ ddosOrder: _, ...instance }: InstanceDoc): InstanceDoc {
  return instance
}

function writeScrubbing(instance: InstanceDoc): Plan<{ scrubbing: ShownScrubbing }> {
  return {
    writes: [{ key: keyOf('instance', instance.id), value: instance }],
    body: revisionOf => ({ scrubbing: showScrubbing(instance, revisionOf('instance', instance.id)) }),
  }
}
