/** An instance with its primary network interface, made known at once. */
import { keyOf } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { type NewInstance, newInstance } from './instances.ts'
import { makeInterface, type NewEni } from './network-interfaces.ts'
import type { Principal } from './principal.ts'

export interface NewHost {
  readonly instance: NewInstance['body']
  readonly networkInterface: NewEni['body']
  readonly nowMs: number
}

/** @returns the id of the instance */
export function runInstance(
  world: World,
  principal: Principal,
  { instance: body, networkInterface, nowMs }: NewHost,
): Plan<{ instanceId: string }> {
  const instance = newInstance(world, principal, { body, nowMs })
  const { writes } = makeInterface(world, principal, { instance, body: networkInterface, nowMs })
  return {
    writes: [{ key: keyOf('instance', instance.id), value: instance }, ...writes],
    body: () => ({ instanceId: instance.id }),
  }
}
