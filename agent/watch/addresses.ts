/** The network devices of a namespace with their addresses, for whoever must tell of them, and the sign that one changed. */
import { RunError, run } from '../../common/exec.ts'
import { parseIpJson } from './ip-json.ts'
import { type Watch, watchLines } from './line-watch.ts'

export interface AddressedDevice {
  readonly name: string
  /** Lower case with colons; null for devices without one, the loopback device among them. */
  readonly macAddress: string | null
  /** `veth`, `bridge`; null for hardware. */
  readonly kind: string | null
  /** Set up by its administrator. */
  readonly up: boolean
  /** Both families, as the kernel prints them, without prefix length. */
  readonly addresses: readonly string[]
}

/** Ordered by the kernel's index. @throws {Error} if `ip` is missing or refuses */
export async function listAddresses(): Promise<readonly AddressedDevice[]> {
  try {
    const { exitCode, stdout, stderr } = await run(['ip', '-j', '-d', 'addr', 'show'])
    if (exitCode !== 0) throw new Error(stderr.trim())
    const devices = parseIpJson(stdout) as readonly IpDevice[]
    return devices.toSorted((a, b) => a.ifindex - b.ifindex).map(readDevice)
  } catch (cause) {
    const isMissing = cause instanceof RunError && cause.kind === 'no-such-command'
    const reason = isMissing ? 'ip not found: install the package iproute2' : (cause as Error).message
    throw new Error(`Cannot list addresses: ${reason}`, { cause })
  }
}

/** NETLINK_ROUTE and RTNLGRP_IPV4_IFADDR; the command joins the group of IPv6 addresses with it. */
const netlink = { protocol: 0, group: 5 } as const

/** @param onChange  an address came or went, or some may have while nobody listened */
export function watchAddresses(onChange: () => void, onDown: (reason: string) => void): Watch {
  return watchLines({
    command: ['ip', '-o', 'monitor', 'address'],
    netlink,
    onLine: onChange,
    onUp: onChange,
    onDown,
  })
}

/** What `ip -j -d addr` prints of a device; the rest is not ours. */
interface IpDevice {
  readonly ifindex: number
  readonly ifname: string
  readonly flags?: readonly string[]
  readonly address?: string
  readonly linkinfo?: { readonly info_kind?: string }
  readonly addr_info?: readonly { readonly local?: string }[]
}

/** Tunnels have an IP address, InfiniBand something longer, loopback nothing but zeros. */
const macForm = /^(?!00:00:00:00:00:00$)([0-9a-f]{2}:){5}[0-9a-f]{2}$/

function readDevice({ ifname, flags = [], address = '', linkinfo, addr_info = [] }: IpDevice): AddressedDevice {
  return {
    name: ifname,
    macAddress: macForm.test(address) ? address : null,
    kind: linkinfo?.info_kind ?? null,
    up: flags.includes('UP'),
    addresses: addr_info.flatMap(({ local }) => (local === undefined ? [] : [local])),
  }
}
