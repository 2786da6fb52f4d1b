import { type Offloads, readOffloads } from '../../watch/offloads.ts'
import { defineCheck, type Found } from '../check.ts'
import { listed } from '../words.ts'

type Code = 'device-joins-packets' | 'offloads-unknown' | 'kernel-joins-packets' | 'offloads'

export interface DeviceOffloads {
  readonly device: string
  /** Null where there is no ethtool. */
  readonly offloads: Offloads | null
}

/** Each is a process of its own; more devices than this that are not guests' are rare. */
const mostDevices = 16
/** Their packets come from this host, or from a device below them. */
const virtualKinds: ReadonlySet<string> = new Set(['bridge', 'vlan', 'bond', 'vrf', 'dummy', 'wireguard', 'ifb'])

export const offloads = defineCheck<readonly DeviceOffloads[], Code>({
  name: 'offloads',
  area: 'devices',
  question: 'Are packets counted as they are on the wire?',
  needs: [],
  outcomes: {
    'device-joins-packets': {
      severity: 'note',
      means:
        'These devices join packets in a way that cannot be undone (LRO): what is forwarded is not what came, and packets a second are counted too few.',
      advice: 'ethtool -K DEVICE lro off.',
    },
    'offloads-unknown': {
      severity: 'note',
      means: 'Whether devices join packets before they are counted is not known: ethtool is not here.',
      advice: 'Install the package ethtool if packet rates matter.',
    },
    'kernel-joins-packets': {
      severity: 'ok',
      means:
        'Segments of one TCP session are joined before they are counted (GRO): packet rates of large transfers are lower than on the wire, those of floods are not.',
      advice: '',
    },
    offloads: { severity: 'ok', means: 'Packets are counted as they come.', advice: '' },
  },
  async gather(host) {
    const names = (await host.devices())
      .filter(({ name, kind = '' }) => name !== 'lo' && !virtualKinds.has(kind))
      .map(({ name }) => name)
    return Promise.all(
      names.slice(0, mostDevices).map(async device => ({ device, offloads: await readOffloads(device) })),
    )
  },
  judge(all) {
    if (all.some(each => each.offloads === null)) return [{ code: 'offloads-unknown', found: 'ethtool not found' }]
    const named = (does: keyof Offloads) => all.filter(each => each.offloads?.[does]).map(({ device }) => device)
    const found = (
      [
        ['device-joins-packets', named('joinsInDevice')],
        ['kernel-joins-packets', named('joinsInKernel')],
      ] as const
    ).flatMap(([code, names]): Found<Code>[] =>
      names.length === 0 ? [] : [{ code, found: listed(names), details: names }],
    )
    return found.length > 0
      ? found
      : [{ code: 'offloads', found: listed(all.map(({ device }) => device)) || 'no device' }]
  },
})
