import type { Link } from '../../watch/links.ts'
import { defineCheck, type Found } from '../check.ts'
import { listed } from '../words.ts'
import { bridgeOf } from './enis.ts'

const bridgeSettings = '/proc/sys/net/bridge/bridge-nf-call-iptables'

type Code = 'ip-unusable' | 'bridge-netfilter' | 'bridge-ports' | 'xdp' | 'devices'

export interface DeviceFacts {
  readonly devices: readonly Pick<Link, 'name' | 'kind' | 'master' | 'hasXdp'>[] | { readonly fault: string }
  /** Whether bridges hand frames to nftables; null where br_netfilter is not loaded. */
  readonly bridgeNetfilter: boolean | null
}

export const devices = defineCheck<DeviceFacts, Code>({
  name: 'devices',
  area: 'devices',
  question: 'Which devices are not what they look like to a packet filter?',
  needs: [],
  outcomes: {
    'ip-unusable': {
      severity: 'failure',
      means: 'Network devices cannot be listed, so no ENI finds its own.',
      advice: 'Install the package iproute2.',
    },
    xdp: {
      severity: 'note',
      means: 'Programs at the driver see packets of these devices first: what they drop or send on never meets a rule.',
      advice: 'Find out whose they are ("ip -d link", "bpftool net") before such a device becomes an ENI.',
    },
    'bridge-netfilter': {
      severity: 'note',
      means:
        'br_netfilter is on: frames between ports of a bridge pass the chains of IP too, with the bridge as their device. A group on a bridge then also judges guests of that bridge among each other.',
      advice: 'Set net.bridge.bridge-nf-call-iptables, …-ip6tables and …-arptables to 0 if that is not meant.',
    },
    'bridge-ports': {
      severity: 'note',
      means: 'Packets of these devices meet rules at their bridge only. As an ENI such a device would enforce nothing.',
      advice: 'Give groups to the bridge, or to devices that are in none.',
    },
    devices: { severity: 'ok', means: 'Packets of all of them meet the rules.', advice: '' },
  },
  async gather(host) {
    const setting = await host.readText(bridgeSettings)
    const found = await host.devices().catch((error: Error) => ({ fault: error.message }))
    return { devices: found, bridgeNetfilter: setting === null ? null : setting.trim() === '1' }
  },
  judge({ devices: all, bridgeNetfilter }) {
    if ('fault' in all) return [{ code: 'ip-unusable', found: all.fault }]
    const ports = all.flatMap(device => {
      const bridge = bridgeOf(device, all)
      return bridge === null ? [] : [{ device: device.name, bridge }]
    })
    const withXdp = all.filter(({ hasXdp }) => hasXdp).map(({ name }) => name)
    const hasBridge = all.some(({ kind }) => kind === 'bridge')
    const found: Found<Code>[] = [
      ...(withXdp.length === 0 ? [] : [{ code: 'xdp' as const, found: listed(withXdp), details: withXdp }]),
      ...(bridgeNetfilter && hasBridge
        ? [{ code: 'bridge-netfilter' as const, found: 'bridge-nf-call-iptables is 1' }]
        : []),
      ...(ports.length === 0
        ? []
        : [
            {
              code: 'bridge-ports' as const,
              found: listed(ports.map(({ device, bridge }) => `${device} of ${bridge}`)),
              details: ports,
            },
          ]),
    ]
    return found.length > 0 ? found : [{ code: 'devices', found: listed(all.map(({ name }) => name)) }]
  },
})
