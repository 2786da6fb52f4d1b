/** What an agent says of its host. */
import { hostname, release } from 'node:os'
import { version } from '../../common/version.ts'
import type { HostExceptions, HostReport } from '../../wire/messages.ts'
import { readPanic } from '../guard/panic.ts'
import { listAddresses } from '../watch/addresses.ts'

export interface NftFacts {
  readonly nftVersion: string
  /** Feature to how it is had on this host; empty where that has not been tried. */
  readonly capabilities: Readonly<Record<string, string>>
}

/** The first by index; a host with more guests than this is told of in part, so that a message stays within its bounds. */
const mostDevices = 2_000
const mostAddresses = 64
/** What an agent from before it was there would not do, and the daemon could not know. */
const ownCapabilities = { observe: 'counters' } as const

export interface ReportedHost {
  readonly nft: NftFacts
  /** Where the host's panic is kept; null where it is not asked about. */
  readonly stateDir: string | null
  readonly exceptions: HostExceptions
}

/** @throws {Error} if the devices cannot be listed */
export async function makeHostReport({ nft, stateDir, exceptions }: ReportedHost): Promise<HostReport> {
  const { nftVersion, capabilities } = nft
  const devices = await listAddresses()
  const panic = stateDir === null ? null : await readPanic(stateDir)
  return {
    hostName: printable(hostname()),
    kernel: release(),
    agentVersion: version,
    nftVersion,
    capabilities: {
      ...Object.fromEntries(Object.entries(capabilities).map(([name, how]) => [asKey(name), how])),
      ...ownCapabilities,
    },
    devices: devices.slice(0, mostDevices).map(device => ({
      ...device,
      name: printable(device.name),
      addresses: device.addresses.slice(0, mostAddresses),
    })),
    ...(panic !== null && { openSince: asTime(panic.since) }),
    ...exceptions,
  }
}

/** Null where it is no time: the file may be somebody's own. */
function asTime(since: string): string | null {
  const timeMs = Date.parse(since)
  return Number.isNaN(timeMs) ? null : new Date(timeMs).toISOString()
}

/** `ct timeout policy` is `ct-timeout-policy` on the wire, where keys are words. */
function asKey(feature: string): string {
  return feature.replaceAll(' ', '-')
}

/**
 * The kernel lets a device's name have any bytes but a few (dev_valid_name, net/core/dev.c), and a host's any at all; this
 * goes to operators' terminals, and a daemon lets go of whoever says what is not printable.
 */
function printable(name: string): string {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
}
