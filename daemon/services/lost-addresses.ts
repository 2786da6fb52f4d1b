/** ENIs whose device has no longer an address that groups know them by: a lease that another one followed, say. */
import type { EniDoc } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import { usableAddresses } from './addresses.ts'
import { boundDevice, reportedDevices } from './eni-bindings.ts'

export interface LostAddresses {
  readonly networkInterfaceId: string
  readonly hostName: string
  readonly device: string
  /** Of the ENI, and not of its device. */
  readonly addresses: string[]
  /** What its device has, as far as an ENI may have it. */
  readonly deviceAddresses: string[]
}

/**
 * As agents have told last, which they do at each change. Of a guest's ENI the device is the host's end, whose addresses say
 * nothing; of a device that is not told apart, or not there, nothing is known.
 */
export function* findLostAddresses(world: World, enis: Iterable<EniDoc>): Generator<LostAddresses> {
  const devicesOf = new Map<string, ReturnType<typeof reportedDevices>>()
  for (const eni of enis) {
    const { agentId = null } = (eni.instanceId === null ? undefined : world.get('instance', eni.instanceId)) ?? {}
    const agent = agentId === null ? undefined : world.get('agent', agentId)
    if (agent?.report == null || eni.placement !== 'host') continue
    const byMac = devicesOf.get(agent.id) ?? reportedDevices(world, agent.id)
    devicesOf.set(agent.id, byMac)
    const name = boundDevice(eni, byMac)
    const device = agent.report.devices.find(each => each.name === name)
    if (device === undefined) continue
    const deviceAddresses = usableAddresses(device.addresses)
    const addresses = eni.addresses.filter(address => !deviceAddresses.includes(address))
    if (addresses.length === 0) continue
    yield { networkInterfaceId: eni.id, hostName: agent.hostName, device: device.name, addresses, deviceAddresses }
  }
}
