/** Which groups ENIs may be in: of their account and network, of one type, and none beyond its limit. */
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import type { EniDoc, GroupDoc } from '../model/documents.ts'
import { type Network, networkKey, type World } from '../state/world.ts'
import { conflict, type Faults, invalidRequest, limitExceeded } from './faults.ts'

/** An ENI as it is and as it will be, and where in the request the reason stands. */
export interface EniChange {
  readonly before: EniDoc | null
  readonly after: EniDoc
  /** The request's field for one of the ENI's: `securityGroupIds[1]`. */
  readonly at: (field: string) => string
}

export interface GroupChecks {
  readonly world: World
  readonly faults: Faults
  /** Groups that are made by the same commit. */
  readonly newGroups: readonly GroupDoc[]
}

/** Every fault of the groups of these ENIs, each of them known to exist. */
export function checkGroups(changes: readonly EniChange[], checks: GroupChecks): void {
  const { faults } = checks
  const before = faults.count
  for (const change of changes) checkNetworkAndOwner(change, checks)
  // What is of another network cannot be compared any further.
  if (faults.count > before) return
  checkTogether(changes, checks)
  checkCounts(changes, checks)
}

function groupOf({ world, newGroups }: GroupChecks, id: string): GroupDoc {
  return newGroups.find(group => group.id === id) ?? world.get('group', id)!
}

function networkName({ networkType, vpcId }: Network): string {
  if (networkType === 'classic') return 'the classic network'
  return vpcId === null ? 'the VPC without name' : `VPC "${vpcId}"`
}

function checkNetworkAndOwner({ after, at }: EniChange, checks: GroupChecks): void {
  for (const [index, id] of after.securityGroupIds.entries()) {
    const group = groupOf(checks, id)
    const refuse = (expected: string) => {
      const message = `Cannot use group "${id}": expected one ${expected}`
      checks.faults.add(invalidRequest, {
        code: 'conflict',
        field: at(`securityGroupIds[${index}]`),
        message,
        value: id,
      })
    }
    if (group.accountId !== after.accountId)
      refuse(`of account ${after.accountId}, which owns ${after.instanceId ?? after.id}`)
    else if (networkKey(group) !== networkKey(after)) {
      refuse(`in ${networkName(after)}, as ${after.id} is, but it is in ${networkName(group)}`)
    }
  }
}

/** What a policy file may not say of the ENIs of an instance, the API does not take either: the same checks decide. */
function checkTogether(changes: readonly EniChange[], checks: GroupChecks): void {
  const { world, faults } = checks
  const changeOf = new Map(changes.map(change => [change.after.id, change]))
  const instanceIds = [...new Set(changes.flatMap(({ after }) => after.instanceId ?? []))]
  const unchanged = instanceIds
    .flatMap(id => [...world.enisOfInstance(id)])
    .filter(id => !changeOf.has(id))
    .map(id => world.get('eni', id)!)
  // Faults are told of the later of two: those that change stand last.
  const enis = [...unchanged, ...changes.map(({ after }) => after)]
  // Each without instance is one for itself.
  const hostOf = ({ instanceId }: EniDoc, index: number) => instanceId ?? `none${index}`
  const groupIds = [...new Set(enis.flatMap(eni => eni.securityGroupIds))]
  const { problems } = checkPolicy({
    apiVersion: 'ringwall/v1',
    instances: [...new Set(enis.map(hostOf))].map(id => ({ id })),
    interfaces: enis.map((eni, index) => ({
      id: eni.id,
      instanceId: hostOf(eni, index),
      // Devices have checks of their own, for the whole host.
      device: `d${index}`,
      securityGroupIds: eni.securityGroupIds,
    })),
    securityGroups: groupIds.map(id => {
      const { type, networkType, vpcId } = groupOf(checks, id)
      return { id, type, networkType, ...(vpcId !== null && { vpcId }) }
    }),
    settings: { limits: world.settings.limits },
  })
  for (const { code, path, message, value } of problems) {
    const [, index, field = ''] = /^interfaces\[(\d+)\]\.(.+)$/.exec(path) ?? []
    const change = changeOf.get(enis[Number(index)]?.id ?? '')
    faults.add(code === 'limit' ? limitExceeded : invalidRequest, {
      code,
      field: change?.at(field) ?? path,
      message,
      value,
    })
  }
}

/** What is in a group when all the changes are made; known of the whole fleet only. */
class Occupancy {
  readonly group: GroupDoc
  readonly #members: ReadonlyMap<string, number>
  readonly #delta = new Map<string, number>()
  addresses: number
  enis: number

  constructor(world: World, group: GroupDoc) {
    this.group = group
    this.#members = world.membersOf(group.id)
    this.addresses = this.#members.size
    this.enis = world.enisOfGroup(group.id).size
  }

  count({ addresses }: EniDoc, by: 1 | -1): void {
    this.enis += by
    for (const address of addresses) {
      const was = this.#countOf(address)
      this.#delta.set(address, (this.#delta.get(address) ?? 0) + by)
      this.addresses += Number(was + by > 0) - Number(was > 0)
    }
  }

  #countOf(address: string): number {
    return (this.#members.get(address) ?? 0) + (this.#delta.get(address) ?? 0)
  }
}

function checkCounts(changes: readonly EniChange[], checks: GroupChecks): void {
  const { world, faults } = checks
  const { basicGroupPrivateIps, advancedGroupEnis } = world.settings.limits
  const occupancies = new Map<string, Occupancy>()
  const occupancyOf = (id: string) => {
    const known = occupancies.get(id) ?? new Occupancy(world, groupOf(checks, id))
    occupancies.set(id, known)
    return known
  }
  for (const { before } of changes) {
    for (const id of before?.securityGroupIds ?? []) occupancyOf(id).count(before!, -1)
  }
  for (const { before, after, at } of changes) {
    for (const [index, id] of after.securityGroupIds.entries()) {
      const occupancy = occupancyOf(id)
      occupancy.count(after, 1)
      const isBasic = occupancy.group.type === 'basic'
      const [count, limit] = isBasic ? [occupancy.addresses, basicGroupPrivateIps] : [occupancy.enis, advancedGroupEnis]
      const joins = before?.securityGroupIds.includes(id) !== true
      // Who was in it before and brings nothing is not the one who is too many.
      const brings = joins || (isBasic && after.addresses.length > (before?.addresses.length ?? 0))
      if (count <= limit || !brings) continue
      const what = isBasic
        ? 'private addresses in a basic group (limits.basicGroupPrivateIps)'
        : 'ENIs in an advanced group (limits.advancedGroupEnis)'
      const message = `Cannot use group "${id}" for ${after.id}: expected at most ${limit} ${what}, it would have ${count}`
      faults.add(limitExceeded, {
        code: 'limit',
        field: at(joins ? `securityGroupIds[${index}]` : 'privateIpAddresses'),
        message,
        value: id,
      })
    }
  }
}

/** Refuses addresses that another ENI of the network has. @param mayName  whether the other may be named to the client */
export function checkAddresses(
  { after, at }: EniChange,
  {
    world,
    faults,
    mayName,
  }: { readonly world: World; readonly faults: Faults; readonly mayName: (eni: EniDoc) => boolean },
): void {
  const counts = { ip: 0, ip6: 0 }
  for (const address of after.addresses) {
    const family = address.includes(':') ? 'ip6' : 'ip'
    const index = counts[family]++
    const [otherId] = [...world.enisWithAddress(after, address)].filter(id => id !== after.id)
    if (otherId === undefined) continue
    const other = world.get('eni', otherId)!
    const who = mayName(other)
      ? `${otherId}${other.instanceId === null ? '' : ` of ${other.instanceId}`} has it`
      : 'one of another account has it'
    const message = `Cannot use address "${address}": expected one that no other ENI in ${networkName(after)} has, but ${who}`
    const field = family === 'ip' ? `privateIpAddresses[${index}]` : `ipv6Addresses[${index}]`
    faults.add(conflict, { code: 'duplicate', field: at(field), message, value: address })
  }
}
