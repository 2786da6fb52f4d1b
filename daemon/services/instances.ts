/** Instances: hosts and virtual machines. */
import type { Static } from 'typebox'
import { ApiError, notFound } from '../errors.ts'
import { type EniDoc, type InstanceDoc, keyOf } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import type { createInstanceSchema, Instance, modifyInstanceSchema } from '../schemas/instances.ts'
import type { World } from '../state/world.ts'
import { requireThresholdWithin, withoutOrder } from './ddos-thresholds.ts'
import { checkOneHost } from './eni-bindings.ts'
import type { Plan } from './executor.ts'
import { Faults } from './faults.ts'
import { newId } from './ids.ts'
import { accountFor, everyAccount, type Principal, requireWrite, writable } from './principal.ts'

export function showInstance(world: World, doc: InstanceDoc, revision: number): Instance {
  return { ...describeInstance(doc), networkInterfaceIds: enisOf(world, doc.id).map(eni => eni.id), revision }
}

/** What the instance itself says; of traffic scrubbing no more than whether it is cancelled. */
export function describeInstance(doc: InstanceDoc) {
  return {
    instanceId: doc.id,
    accountId: doc.accountId,
    instanceName: doc.name,
    description: doc.description,
    tags: doc.tags,
    instanceType: doc.instanceType,
    agentId: doc.agentId,
    smtpUnblocked: doc.smtpUnblocked,
    scrubbingCancelled: doc.scrubbingCancelled ?? false,
    createTime: isoTime(doc.createdAtMs),
  }
}

/** The primary one first, the others by id. */
export function enisOf(world: World, instanceId: string): readonly EniDoc[] {
  const enis = [...world.enisOfInstance(instanceId)].map(id => world.get('eni', id)!)
  const rank = ({ type, id }: EniDoc) => `${type === 'Primary' ? 0 : 1}${id}`
  return enis.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
}

export interface NewInstance {
  readonly body: Static<typeof createInstanceSchema>
  readonly nowMs: number
}

export function createInstance(world: World, principal: Principal, wish: NewInstance): Plan<{ instance: Instance }> {
  return writeInstance(world, newInstance(world, principal, wish))
}

/** As it is to be written. */
export function newInstance(world: World, principal: Principal, { body, nowMs }: NewInstance): InstanceDoc {
  const accountId = accountFor(world, principal, body.accountId)
  const { instanceName = null, description = null, tags = {}, instanceType = null, agentId = null } = body
  if (agentId !== null) requireWrite(principal, everyAccount)
  requireUsableAgent(world, agentId)
  return {
    id: newId(world, 'instance', body.instanceId, 'instanceId'),
    accountId,
    name: instanceName,
    description,
    tags,
    instanceType,
    agentId,
    smtpUnblocked: false,
    createdAtMs: nowMs,
  }
}

export function modifyInstance(
  world: World,
  principal: Principal,
  { id, body }: { readonly id: string; readonly body: Static<typeof modifyInstanceSchema> },
): Plan<{ instance: Instance }> {
  const instance = writable(world, principal, 'instance', id)
  if (body.agentId !== undefined || body.smtpUnblocked !== undefined) requireWrite(principal, everyAccount)
  const moves = body.agentId !== undefined && body.agentId !== instance.agentId
  if (moves) moveToAgent(world, instance, body.agentId ?? null)
  if (body.instanceType !== undefined) requireThresholdWithin(instance, body.instanceType)
  return writeInstance(world, {
    ...(moves ? withoutOrder(instance) : instance),
    ...(body.instanceName !== undefined && { name: body.instanceName }),
    ...(body.description !== undefined && { description: body.description }),
    ...(body.tags !== undefined && { tags: body.tags }),
    ...(body.instanceType !== undefined && { instanceType: body.instanceType }),
    ...(body.agentId !== undefined && { agentId: body.agentId }),
    ...(body.smtpUnblocked !== undefined && { smtpUnblocked: body.smtpUnblocked }),
  })
}

/** With its ENIs: all of it or nothing. */
export function deleteInstance(world: World, principal: Principal, id: string): Plan<{ instanceId: string }> {
  const instance = writable(world, principal, 'instance', id)
  return {
    writes: [
      { key: keyOf('instance', instance.id), value: null },
      ...[...world.enisOfInstance(instance.id)].map(eniId => ({ key: keyOf('eni', eniId), value: null })),
    ],
    body: () => ({ instanceId: instance.id }),
  }
}

function moveToAgent(world: World, { id }: InstanceDoc, agentId: string | null): void {
  requireUsableAgent(world, agentId)
  if (agentId === null) return
  const faults = new Faults()
  const bound = enisOf(world, id).map(eni => ({ eni, at: () => 'agentId' }))
  checkOneHost(world, agentId, bound, faults)
  faults.throwIfAny()
}

function requireUsableAgent(world: World, agentId: string | null): void {
  if (agentId === null) return
  const agent = world.get('agent', agentId)
  if (agent === undefined) throw notFound('agent', agentId, 'agentId')
  if (agent.status === 'active') return
  const message = `Cannot use agent "${agentId}": expected one that is not revoked`
  throw new ApiError(409, 'Conflict', message, {
    errors: [{ code: 'conflict', field: 'agentId', message, value: agentId }],
  })
}

function writeInstance(world: World, instance: InstanceDoc): Plan<{ instance: Instance }> {
  return {
    writes: [{ key: keyOf('instance', instance.id), value: instance }],
    body: revisionOf => ({ instance: showInstance(world, instance, revisionOf('instance', instance.id)) }),
  }
}
