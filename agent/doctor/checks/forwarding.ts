import { defineCheck } from '../check.ts'

const families = { IPv4: '/proc/sys/net/ipv4/ip_forward', IPv6: '/proc/sys/net/ipv6/conf/all/forwarding' } as const
const guestKinds: ReadonlySet<string> = new Set(['tun', 'veth', 'macvtap'])

export interface ForwardingFacts {
  /** Null where the kernel has not the family. */
  readonly enabled: Readonly<Record<keyof typeof families, boolean | null>>
  readonly guests: number
}

export const forwarding = defineCheck<ForwardingFacts, 'forwarding-off' | 'forwarding'>({
  name: 'forwarding',
  area: 'devices',
  question: 'Are packets of guests forwarded?',
  needs: [],
  outcomes: {
    'forwarding-off': {
      severity: 'note',
      means:
        'This host has devices that look like those of guests, and forwards nothing of that family for them. Ringwall does not change that.',
      advice: 'Set net.ipv4.ip_forward and net.ipv6.conf.all.forwarding to 1 if guests are routed.',
    },
    forwarding: { severity: 'ok', means: 'As it should be for the devices there are.', advice: '' },
  },
  async gather(host) {
    const devices = await host.devices()
    const read = async (path: string) => {
      const text = await host.readText(path)
      return text === null ? null : text.trim() !== '0'
    }
    return {
      enabled: { IPv4: await read(families.IPv4), IPv6: await read(families.IPv6) },
      guests: devices.filter(({ kind, master }) => guestKinds.has(kind ?? '') && master === undefined).length,
    }
  },
  judge({ enabled, guests }) {
    const state = Object.entries(enabled).map(([family, on]) => `${family} ${on === null ? 'none' : on ? 'on' : 'off'}`)
    const found = `${state.join(', ')}; devices as guests have them: ${guests}`
    const isOff = guests > 0 && Object.values(enabled).includes(false)
    return [{ code: isOff ? 'forwarding-off' : 'forwarding', found, details: { ...enabled, guests } }]
  },
})
