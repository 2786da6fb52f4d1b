/** A device is one ENI, and an address is one ENI's: otherwise a packet would have two policies, or none. */
import type { Check } from '../check-context.ts'

export const devicesAndAddresses: Check = ({ enis, report }) => {
  const devices = new Map<string, string>()
  const addresses = new Map<string, string>()
  for (const { item, path } of enis) {
    if (item.device !== undefined) {
      const other = devices.get(item.device)
      if (other === undefined) devices.set(item.device, path)
      else {
        const expected = `a device that no other ENI is, but ${other} is this one`
        report.add('duplicate', `${path}.device`, { action: 'use device', value: item.device, expected })
      }
    }
    for (const [index, address] of (item.addresses ?? []).entries()) {
      if (address === undefined) continue
      const other = addresses.get(address) ?? path
      addresses.set(address, other)
      if (other === path) continue
      const expected = `an address that no other ENI has, but ${other} has this one`
      report.add('duplicate', `${path}.addresses[${index}]`, { action: 'use address', value: address, expected })
    }
  }
}
