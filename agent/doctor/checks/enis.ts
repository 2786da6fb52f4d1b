import type { Link } from '../../watch/links.ts'
import { defineCheck, type Found } from '../check.ts'

type Code = 'eni-on-bridge-port' | 'eni-on-other-name' | 'eni-without-device' | 'eni-device-xdp' | 'enis'

export interface EniFacts {
  /** Null where no policy has been in force that is kept. */
  readonly enis: readonly { readonly id: string; readonly device: string }[] | null
  readonly devices: readonly Pick<Link, 'name' | 'kind' | 'master' | 'altNames' | 'hasXdp'>[]
}

export const enis = defineCheck<EniFacts, Code>({
  name: 'enis',
  area: 'devices',
  question: 'Do the ENIs of the last policy meet their packets?',
  needs: [],
  outcomes: {
    'eni-on-bridge-port': {
      severity: 'warning',
      means:
        'The device of this ENI is a port of a bridge, which takes its packets before any rule can know the port: nothing is enforced for it.',
      advice: 'Put the group on the bridge, or route the guest: take its device out of the bridge.',
    },
    'eni-on-other-name': {
      severity: 'warning',
      means: 'ip takes this name for the device, nft does not: nothing is enforced for this ENI.',
      advice: 'Name the device in the policy as "ip link" has it.',
    },
    'eni-without-device': {
      severity: 'note',
      means: 'Its rules wait: they take hold when a device of that name comes.',
      advice: 'Correct the name if the device is here under another one.',
    },
    'eni-device-xdp': {
      severity: 'warning',
      means: 'A program at the driver sees the packets first: what it drops or sends on is neither judged nor counted.',
      advice: 'Find out whose it is ("ip -d link", "bpftool net").',
    },
    enis: { severity: 'ok', means: 'Their devices are here and see their packets.', advice: '' },
  },
  async gather(host) {
    return { enis: (await host.policy())?.enis ?? null, devices: await host.devices() }
  },
  judge({ enis: all, devices }) {
    if (all === null) return []
    const found = all.flatMap(({ id, device: name }): Found<Code>[] => {
      const device = devices.find(each => each.name === name)
      if (device === undefined) {
        const other = devices.find(({ altNames = [] }) => altNames.includes(name))
        if (other === undefined) return [{ code: 'eni-without-device', found: `${id}: no device ${name}` }]
        return [{ code: 'eni-on-other-name', found: `${id}: ${name} is another name of ${other.name}` }]
      }
      const bridge = bridgeOf(device, devices)
      return [
        ...(bridge === null
          ? []
          : [{ code: 'eni-on-bridge-port' as const, found: `${id}: ${name} is a port of ${bridge}` }]),
        ...(device.hasXdp ? [{ code: 'eni-device-xdp' as const, found: `${id}: ${name}` }] : []),
      ]
    })
    return found.length > 0 ? found : [{ code: 'enis', found: all.map(({ id }) => id).join(', ') || 'none' }]
  },
})

/** Null for a port of a bond or a VRF, whose packets are seen. */
export function bridgeOf(
  { master }: Pick<Link, 'master'>,
  devices: readonly Pick<Link, 'name' | 'kind'>[],
): string | null {
  const owner = devices.find(({ name }) => name === master)
  return owner?.kind === 'bridge' || owner?.kind === 'openvswitch' ? owner.name : null
}
