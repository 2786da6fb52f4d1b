/** Joining and leaving groups, many at once. */
import type { Static } from 'typebox'
import { type EniDoc, keyOf } from '../model/documents.ts'
import { maxBulk, type membershipSchema } from '../schemas/network-interfaces.ts'
import type { World } from '../state/world.ts'
import { checkGroups, type EniChange } from './eni-groups.ts'
import type { Plan } from './executor.ts'
import { Faults, invalidRequest } from './faults.ts'
import { enisOf } from './instances.ts'
import { refuseLastGroup } from './network-interfaces.ts'
import { type Principal, writable } from './principal.ts'

export interface MembershipChange {
  readonly securityGroupId: string
  readonly body: Static<typeof membershipSchema>
}

export interface Membership {
  readonly securityGroupId: string
  /** The ENIs asked for, of an instance the primary one; each once. */
  readonly networkInterfaceIds: string[]
}

/** Who is in the group already stays in it. */
export function joinGroup(
  world: World,
  principal: Principal,
  { securityGroupId, body }: MembershipChange,
): Plan<Membership> {
  const group = writable(world, principal, 'group', securityGroupId)
  const faults = new Faults()
  const targets = targetsOf(world, principal, body, faults)
  const changes = targets
    .filter(({ eni }) => !eni.securityGroupIds.includes(group.id))
    .map(
      ({ eni, field }): EniChange => ({
        before: eni,
        after: { ...eni, securityGroupIds: [...eni.securityGroupIds, group.id] },
        at: () => field,
      }),
    )
  checkGroups(changes, { world, faults, newGroups: [] })
  faults.throwIfAny()
  return planOf(group.id, targets, changes)
}

/** Who is not in the group is an error, and so is who is in no other. */
export function leaveGroup(
  world: World,
  principal: Principal,
  { securityGroupId, body }: MembershipChange,
): Plan<Membership> {
  const group = writable(world, principal, 'group', securityGroupId)
  const faults = new Faults()
  const targets = targetsOf(world, principal, body, faults)
  const changes = targets.map(({ eni, field }): EniChange => {
    const securityGroupIds = eni.securityGroupIds.filter(id => id !== group.id)
    if (securityGroupIds.length === eni.securityGroupIds.length) {
      const message = `Cannot take ${eni.id} out of group "${group.id}": it is not in it`
      const code = 'InvalidSecurityGroupAssociation.NotFound'
      faults.add({ status: 400, code }, { code, field, message, value: eni.id })
    } else if (securityGroupIds.length === 0) {
      refuseLastGroup(eni, field, faults)
    }
    return { before: eni, after: { ...eni, securityGroupIds }, at: () => field }
  })
  faults.throwIfAny()
  return planOf(group.id, targets, changes)
}

interface Target {
  readonly eni: EniDoc
  /** Where the request names it first. */
  readonly field: string
}

function targetsOf(
  world: World,
  principal: Principal,
  { instanceIds = [], networkInterfaceIds = [] }: MembershipChange['body'],
  faults: Faults,
): readonly Target[] {
  requireSome(instanceIds.length + networkInterfaceIds.length, faults)
  const targets = new Map<string, Target>()
  const note = (eni: EniDoc | undefined, field: string) => {
    if (eni !== undefined && !targets.has(eni.id)) targets.set(eni.id, { eni, field })
  }
  for (const [index, id] of instanceIds.entries()) {
    const field = `instanceIds[${index}]`
    const instance = faults.attempt(field, () => writable(world, principal, 'instance', id, field))
    if (instance === undefined) continue
    const [primary] = enisOf(world, id)
    note(primary, field)
    if (primary !== undefined) continue
    const message = `Cannot use instance "${id}": expected one with a network interface`
    faults.add(invalidRequest, { code: 'conflict', field, message, value: id })
  }
  for (const [index, id] of networkInterfaceIds.entries()) {
    const field = `networkInterfaceIds[${index}]`
    note(
      faults.attempt(field, () => writable(world, principal, 'eni', id, field)),
      field,
    )
  }
  return [...targets.values()]
}

function requireSome(count: number, faults: Faults): void {
  if (count >= 1 && count <= maxBulk) return
  const message = `Cannot change the membership of ${count}: expected 1 to ${maxBulk} of instanceIds and networkInterfaceIds together`
  faults.add(invalidRequest, { code: count === 0 ? 'missing' : 'limit', field: 'instanceIds', message })
}

function planOf(securityGroupId: string, targets: readonly Target[], changes: readonly EniChange[]): Plan<Membership> {
  return {
    writes: changes.map(({ after }) => ({ key: keyOf('eni', after.id), value: after })),
    body: () => ({ securityGroupId, networkInterfaceIds: targets.map(({ eni }) => eni.id) }),
  }
}
