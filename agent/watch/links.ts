/** The network devices of a namespace, and what happens to them. */
import type { CommandPrefix } from '../../common/exec.ts'
import { RunError, run } from '../../common/exec.ts'
import { parseIpJson } from './ip-json.ts'
import { type Watch, watchLines } from './line-watch.ts'

export interface Link {
  /** The kernel's number of the device: kept when it is renamed, never used again in the namespace by itself. */
  readonly index: number
  readonly name: string
  /** Lower case with colons; null for devices without one. */
  readonly mac: string | null
  /** Set up by its administrator; whether there is a carrier is another matter. */
  readonly up: boolean
  /** `veth`, `tun`, `bridge`; left out for hardware. */
  readonly kind?: string
  /** Name of the bridge, bond or VRF it is part of. */
  readonly master?: string
  /** Other names that ip(8) takes for it, and nft does not; left out where there are none. */
  readonly altNames?: readonly string[]
  /** A program at the driver sees packets before the kernel does; left out otherwise. */
  readonly hasXdp?: true
}

export type LinkEvent =
  | { readonly kind: 'added'; readonly index: number; readonly name: string }
  | { readonly kind: 'removed'; readonly index: number; readonly name: string }
  | { readonly kind: 'renamed'; readonly index: number; readonly name: string; readonly oldName: string }

export interface LinkWatchOptions {
  readonly prefix?: CommandPrefix
  /**
   * In the order things happened to one device. A device that was there only for a moment gives both of its events;
   * of several renamings in a row only the first name and the last may be seen. What is heard later than it was listed
   * may be told again: a device that has gone comes and goes once more.
   */
  readonly onEvent: (event: LinkEvent) => void
  /** Told of each listing, after the events that came out of it: something may have changed that gives no event, a MAC address say. */
  readonly onListing?: (links: readonly Link[]) => void
  /** The devices could not be listed, or the monitor ended; tried again by itself. */
  readonly onDown?: (reason: string) => void
}

/** NETLINK_ROUTE and RTNLGRP_LINK. */
const netlink = { protocol: 0, group: 1 } as const
/** Making one device gives several lines; they are followed by one listing. */
const coalesceMs = 5
/** A listing made while lines came in is older than they are and is made again, but not for ever. */
const longestSettlingMs = 1000
const relistDelayMs = 500

/** Ordered by index. @throws {Error} if `ip` is missing or refuses */
export async function listLinks({ prefix = [] }: { readonly prefix?: CommandPrefix } = {}): Promise<readonly Link[]> {
  const { exitCode, stdout, stderr } = await runIp([...prefix, 'ip', '-j', '-d', 'link', 'show'])
  if (exitCode !== 0) throw new Error(`Cannot list network devices: ${stderr.trim()}`)
  return (parseIpJson(stdout) as readonly IpLink[]).map(readLink).sort((a, b) => a.index - b.index)
}

/** The devices there are when it becomes ready give no event. */
export function watchLinks({ prefix = [], onEvent, onListing, onDown }: LinkWatchOptions): Watch {
  const known = new Map<number, string>()
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()
  let listed = false
  let linesHeard = 0
  let listing: Promise<void> | null = null
  let timer: NodeJS.Timeout | undefined
  let closed = false

  const lines = watchLines({
    command: [...prefix, 'ip', '-o', 'monitor', 'link'],
    netlink,
    onLine(line) {
      linesHeard += 1
      const event = monitorLine.exec(line)?.groups
      if (event !== undefined) noteLine(Number(event.index), event.name ?? '', event.deleted !== undefined)
      // Whatever else it says, a lost event for one, the listing sets right.
      scheduleListing(coalesceMs)
    },
    onUp: () => scheduleListing(0),
    onDown: reason => onDown?.(reason),
  })

  /** Arrivals and departures at once, from the line: by the time of the listing the device may be gone again. */
  function noteLine(index: number, name: string, deleted: boolean): void {
    const before = known.get(index)
    if (deleted && before !== undefined) {
      known.delete(index)
      tell({ kind: 'removed', index, name: before })
    } else if (!deleted && before === undefined) {
      known.set(index, name)
      tell({ kind: 'added', index, name })
    }
  }

  function scheduleListing(delayMs: number): void {
    if (closed || listing !== null) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      listing = listSettled().finally(() => {
        listing = null
      })
    }, delayMs)
  }

  async function listSettled(): Promise<void> {
    const givesUpAt = performance.now() + longestSettlingMs
    try {
      let links: readonly Link[]
      let heardBefore: number
      do {
        heardBefore = linesHeard
        links = await listLinks({ prefix })
      } while (heardBefore !== linesHeard && performance.now() < givesUpAt && !closed)
      compare(links)
      listed = true
      if (!closed) onListing?.(links)
      becomeReady()
      if (heardBefore !== linesHeard) setImmediate(() => scheduleListing(coalesceMs))
    } catch (error) {
      if (closed) return
      onDown?.(error instanceof Error ? error.message : String(error))
      timer = setTimeout(() => scheduleListing(0), relistDelayMs)
    }
  }

  function compare(links: readonly Link[]): void {
    const present = new Set(links.map(link => link.index))
    for (const [index, name] of known) {
      if (present.has(index)) continue
      known.delete(index)
      tell({ kind: 'removed', index, name })
    }
    for (const { index, name } of links) {
      const oldName = known.get(index)
      known.set(index, name)
      if (oldName === undefined) tell({ kind: 'added', index, name })
      else if (oldName !== name) tell({ kind: 'renamed', index, name, oldName })
    }
  }

  function tell(event: LinkEvent): void {
    if (listed && !closed) onEvent(event)
  }

  return {
    ready,
    async close() {
      closed = true
      clearTimeout(timer)
      await lines.close()
      await listing
    },
  }
}

/**
 * `Deleted 5: tap0@if3: <BROADCAST…`. What follows the last @ is taken for the peer. A name may hold an @ itself, so
 * that this can be wrong; the listing that follows sets the name right.
 */
const monitorLine = /^(?<deleted>Deleted )?(?<index>\d+): (?<name>[^:]+?)(?:@[^:@]*)?: </

/** What `ip -j -d link` prints of a device; the rest is not ours. */
interface IpLink {
  readonly ifindex: number
  readonly ifname: string
  readonly flags?: readonly string[]
  readonly address?: string
  readonly master?: string
  readonly altnames?: readonly string[]
  readonly xdp?: object
  readonly linkinfo?: { readonly info_kind?: string }
}

function readLink({ ifindex, ifname, flags = [], address, master, altnames = [], xdp, linkinfo }: IpLink): Link {
  return {
    index: ifindex,
    name: ifname,
    mac: address ?? null,
    up: flags.includes('UP'),
    ...(linkinfo?.info_kind !== undefined && { kind: linkinfo.info_kind }),
    ...(master !== undefined && { master }),
    ...(altnames.length > 0 && { altNames: altnames }),
    ...(xdp !== undefined && { hasXdp: true }),
  }
}

async function runIp(command: readonly string[]) {
  try {
    return await run(command)
  } catch (error) {
    if (error instanceof RunError && error.kind === 'no-such-command') {
      throw new Error('Cannot list network devices: ip not found: install the package iproute2', { cause: error })
    }
    throw error
  }
}
