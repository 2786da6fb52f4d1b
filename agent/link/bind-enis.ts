/** Which device each ENI of the view is, by MAC address; pure. */
import { formats } from '../../rules-compiler/validate/formats.ts'
import type { ViewEni } from '../../wire/view.ts'
import type { Link } from '../watch/links.ts'

/** The name that the device of each MAC address had last. */
export type DeviceNames = ReadonlyMap<string, string>

export interface EniBindings {
  /** Device by ENI id. */
  readonly devices: ReadonlyMap<string, string>
  /** Ids of ENIs that no device is known for, sorted. */
  readonly leftOut: readonly string[]
  /** ENIs whose MAC address several devices have, where no name settled which is meant. */
  readonly guessed: readonly { readonly eniId: string; readonly device: string; readonly others: readonly string[] }[]
  readonly names: DeviceNames
}

/**
 * The device with the ENI's MAC address is the ENI. Of several it is the one that the ENI names, else the one that
 * packets pass our hooks as. While no device has the address, its last name stands, then the one the ENI names: rules
 * under a name take hold at once when the device comes. A name under which another ENI has been found by its address
 * is that one's.
 * @param links  all devices of the namespace, ordered by index
 */
export function bindEnis(enis: readonly ViewEni[], links: readonly Link[], lastNames: DeviceNames): EniBindings {
  const byMac = Map.groupBy(links.filter(isBindable), link => link.mac)
  const devices = new Map<string, string>()
  const guessed: EniBindings['guessed'][number][] = []
  const names = new Map<string, string>()
  const found = new Set<string>()
  for (const { id, macAddress, device } of enis) {
    if (macAddress === null) {
      if (device !== null) devices.set(id, device)
      continue
    }
    const having = byMac.get(macAddress.toLowerCase()) ?? []
    const link = having.find(each => each.name === device) ?? lowest(having)
    if (link === undefined) continue
    devices.set(id, link.name)
    names.set(macAddress, link.name)
    found.add(link.name)
    if (having.length > 1 && link.name !== device) {
      const others = having.filter(other => other !== link).map(other => other.name)
      guessed.push({ eniId: id, device: link.name, others })
    }
  }
  for (const { id, macAddress, device } of enis) {
    if (devices.has(id)) continue
    const last = macAddress === null ? undefined : lastNames.get(macAddress)
    if (macAddress !== null && last !== undefined && !found.has(last)) names.set(macAddress, last)
    const name = [last, device].find(each => each != null && !found.has(each))
    if (name != null) devices.set(id, name)
  }
  const leftOut = enis.flatMap(({ id }) => (devices.has(id) ? [] : [id])).sort()
  return { devices, leftOut, guessed, names }
}

const noMac = '00:00:00:00:00:00'

/** Has a MAC address, and a name that a policy can say. */
function isBindable({ mac, name }: Link): boolean {
  return mac !== null && mac !== noMac && formats.device.parse(name) !== null
}

/** Made on top of a device, with its MAC address and packets of their own. */
const upperKinds = new Set(['vlan', 'macvlan', 'macvtap', 'ipvlan', 'ipvtap'])

/**
 * The device that packets pass the hooks as. A bridge, bond or team has the MAC address of one of its ports, and what
 * comes in by the port is the master's before any hook sees it (the receive handler changes skb->dev); a VLAN or macvlan
 * device has packets of its own, and the one it stands on has the rest.
 */
function lowest(having: readonly Link[]): Link | undefined {
  const present = new Set(having.map(link => link.name))
  const isPort = ({ master }: Link) => master !== undefined && present.has(master)
  const isUpper = ({ kind }: Link) => kind !== undefined && upperKinds.has(kind)
  return having.find(link => !isPort(link) && !isUpper(link)) ?? having[0]
}
