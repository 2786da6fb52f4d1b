/** Which instance an ENI is of: one that was made without is attached, and detached again. */
import type { Static } from 'typebox'
import { ApiError } from '../errors.ts'
import type { EniDoc } from '../model/documents.ts'
import type { attachSchema, detachSchema, NetworkInterface } from '../schemas/network-interfaces.ts'
import type { World } from '../state/world.ts'
import { readDevice } from './addresses.ts'
import type { Plan } from './executor.ts'
import { Faults, invalidRequest } from './faults.ts'
import { enisOf } from './instances.ts'
import {
  checkChange,
  fittingType,
  invalidEniState,
  reportedHardware,
  requireNoOthers,
  writeEni,
} from './network-interfaces.ts'
import { type Principal, writable } from './principal.ts'

export interface Attaching {
  readonly id: string
  readonly body: Static<typeof attachSchema>
}

/**
 * The first ENI of an instance becomes its primary one. With a device, an ENI that has neither MAC address nor addresses
 * takes what the agent reported of it.
 * @throws {ApiError} 409 where it is of an instance already
 */
export function attachNetworkInterface(
  world: World,
  principal: Principal,
  { id, body }: Attaching,
): Plan<{ networkInterface: NetworkInterface }> {
  const before = writable(world, principal, 'eni', id)
  const instance = writable(world, principal, 'instance', body.instanceId, 'instanceId')
  if (before.instanceId !== null) {
    const message = `Cannot attach network interface "${id}" to ${instance.id}: it is of ${before.instanceId} already`
    throw new ApiError(409, invalidEniState, message)
  }
  const faults = new Faults()
  if (instance.accountId !== before.accountId) {
    const message = `Cannot attach network interface "${id}" to "${instance.id}": expected an instance of account ${before.accountId}, which owns it`
    faults.add(invalidRequest, { code: 'conflict', field: 'instanceId', message, value: instance.id })
  }
  const { device = null, placement = before.placement } = body
  const isUnknown = before.macAddress === null && before.addresses.length === 0
  const hardware =
    device === null
      ? {}
      : isUnknown
        ? reportedHardware(world, instance, { device, placement }, faults)
        : { device: readDevice(device, 'device', faults) }
  faults.throwIfAny()
  const type = fittingType(enisOf(world, instance.id))
  const after: EniDoc = { ...before, instanceId: instance.id, type, placement, ...hardware }
  const at = (field: string) => (Object.hasOwn(hardware, field) ? field : 'instanceId')
  checkChange({ before, after, at }, { world, principal, writes: [], faults })
  return writeEni(world, after, [])
}

export interface Detaching {
  readonly id: string
  readonly body: Static<typeof detachSchema>
}

/**
 * It keeps its groups, addresses and MAC address; the device was the host's.
 * @throws {ApiError} 409 where it is of no instance, or the primary one of an instance that has others
 */
export function detachNetworkInterface(
  world: World,
  principal: Principal,
  { id, body }: Detaching,
): Plan<{ networkInterface: NetworkInterface }> {
  const before = writable(world, principal, 'eni', id)
  const { instanceId = before.instanceId } = body
  if (before.instanceId === null || before.instanceId !== instanceId) {
    const from = instanceId === null ? '' : ` from ${instanceId}`
    const message = `Cannot detach network interface "${id}"${from}: it is of ${before.instanceId ?? 'no instance'}`
    throw new ApiError(409, invalidEniState, message)
  }
  requireNoOthers(world, before, { action: 'detach', code: 'InvalidOperation.DetachPrimaryEniNotAllowed' })
  return writeEni(world, { ...before, instanceId: null, type: 'Secondary', device: null }, [])
}
