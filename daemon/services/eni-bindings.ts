/** Which device an ENI is: each device of a host is one ENI, or a packet would have two policies. */
import type { EniDoc } from '../model/documents.ts'
import { networkKey, type World } from '../state/world.ts'
import { conflict, type Faults } from './faults.ts'

export interface BoundEni {
  readonly eni: EniDoc
  /** Where in the request that stands which binds it. */
  readonly at: (field: string) => string
}

/** Refuses ENIs that cannot be on one host together: an agent would refuse its whole policy. */
export function checkOneHost(world: World, agentId: string | null, bound: readonly BoundEni[], faults: Faults): void {
  checkBindings(world, agentId, bound, faults)
  checkHostAddresses(world, agentId, bound, faults)
}

/**
 * Refuses two ENIs of one host with the same MAC address or on the same device.
 * @param agentId  the host's agent after the change; null: the instance is all that is known of the host
 * @param bound    ENIs as they will be, in place of what the state has of them
 */
export function checkBindings(world: World, agentId: string | null, bound: readonly BoundEni[], faults: Faults): void {
  const devicesByMac = agentId === null ? noDevices : reportedDevices(world, agentId)
  const replaced = new Set(bound.map(({ eni }) => eni.id))
  const macs = new Map<string, string>()
  const devices = new Map<string, string>()
  for (const eni of enisOfHost(world, agentId, bound)) {
    if (replaced.has(eni.id)) continue
    if (eni.macAddress !== null) macs.set(eni.macAddress, eni.id)
    const device = boundDevice(eni, devicesByMac)
    if (device !== null) devices.set(device, eni.id)
  }
  for (const { eni, at } of bound) {
    const device = boundDevice(eni, devicesByMac)
    const sameMac = eni.macAddress === null ? undefined : macs.get(eni.macAddress)
    const sameDevice = device === null ? undefined : devices.get(device)
    if (eni.macAddress !== null && sameMac !== undefined) {
      refuse(faults, at('macAddress'), { what: 'MAC address', value: eni.macAddress, other: sameMac })
    } else if (device !== null && sameDevice !== undefined) {
      refuse(faults, at('device'), { what: 'device', value: device, other: sameDevice })
    }
    if (eni.macAddress !== null) macs.set(eni.macAddress, eni.id)
    if (device !== null) devices.set(device, eni.id)
  }
}

/**
 * Refuses an address that two ENIs of one host would have in different networks: the policy of a host is one, and an
 * address in it is one ENI's (docs/policy-file.md). Within a network no two ENIs have it anyway.
 */
export function checkHostAddresses(
  world: World,
  agentId: string | null,
  bound: readonly BoundEni[],
  faults: Faults,
): void {
  const replaced = new Set(bound.map(({ eni }) => eni.id))
  const others = [...enisOfHost(world, agentId, bound)].filter(({ id }) => !replaced.has(id))
  const networks = new Map(others.flatMap(eni => eni.addresses.map(address => [address, networkKey(eni)])))
  for (const { eni, at } of bound) {
    for (const address of eni.addresses) {
      const network = networks.get(address)
      networks.set(address, networkKey(eni))
      if (network === undefined || network === networkKey(eni)) continue
      const message = `Cannot use address "${address}": expected one that no other ENI of the host has, but one in another network has it`
      const field = at(address.includes(':') ? 'ipv6Addresses' : 'privateIpAddresses')
      faults.add(conflict, { code: 'duplicate', field, message, value: address })
    }
  }
}

function* enisOfHost(world: World, agentId: string | null, bound: readonly BoundEni[]): Generator<EniDoc> {
  const instanceIds = new Set(bound.flatMap(({ eni }) => eni.instanceId ?? []))
  const all = agentId === null ? instanceIds : instanceIds.union(world.instancesOfAgent(agentId))
  for (const instanceId of all) {
    for (const eniId of world.enisOfInstance(instanceId)) yield world.get('eni', eniId)!
  }
}

const noDevices: ReadonlyMap<string, readonly string[]> = new Map()

export function reportedDevices(world: World, agentId: string): ReadonlyMap<string, readonly string[]> {
  const devices = world.get('agent', agentId)?.report?.devices ?? []
  const byMac = Map.groupBy(devices, ({ macAddress }) => macAddress?.toLowerCase() ?? '')
  return new Map([...byMac].map(([mac, those]) => [mac, those.map(({ name }) => name)]))
}

/** As the agent will choose it, as far as its last report goes; null where that leaves it open. */
export function boundDevice(
  { device, macAddress }: EniDoc,
  devicesByMac: ReadonlyMap<string, readonly string[]>,
): string | null {
  if (device !== null || macAddress === null) return device
  const [only, another] = devicesByMac.get(macAddress) ?? []
  return only !== undefined && another === undefined ? only : null
}

function refuse(
  faults: Faults,
  field: string,
  { what, value, other }: { readonly what: string; readonly value: string; readonly other: string },
): void {
  const message = `Cannot use ${what} "${value}": expected one that no other ENI of the host is bound to, but ${other} is`
  faults.add(conflict, { code: 'duplicate', field, message, value })
}
