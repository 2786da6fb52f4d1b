/**
 * web is flooded with UDP from the Internet, ten times above thresholds that are set low for it, while a session from
 * another address of the Internet is open: the agent cleans, and the daemon tells of it.
 */
import { setTimeout } from 'node:timers/promises'
import type { Control } from './control.ts'
import { addresses, bannedAddress } from './fleet.ts'
import { instanceId } from './policies.ts'
import type { Peers } from './traffic.ts'

export interface Attack {
  /** Packets. */
  readonly sent: number
  /** From the first packet until the daemon knew; null where it never did. */
  readonly cleaningAfterMs: number | null
  readonly event: {
    readonly types: readonly string[]
    readonly offeredPackets: number
    readonly passedPackets: number
  } | null
  /** Messages of the session during the flood, and how many of them were answered. */
  readonly asked: number
  readonly answered: number
}

const thresholds = { bps: 5, pps: 1000 }
const packetsPerSecond = 10 * thresholds.pps
/** One after the other until it was cleaned for twice as long as not, and for so long in all. */
const piece = { packetsPerSecond, seconds: 2 }
const leastMs = 6000
/** For whoever waits for the end. */
const holdSeconds = 2
const giveUpMs = 30_000
const pollMs = 50

interface ShownEvent {
  readonly phase: string
  readonly attackTypes: readonly { readonly type: string }[]
  readonly offered: { readonly packets: number }
  readonly passed: { readonly packets: number }
}

export async function demonstrateAttack(control: Control, peers: Peers): Promise<Attack> {
  const id = instanceId('web')
  const { settings } = await control.call<{ settings: { scrubbing: { holdTime: number } } }>('GET', '/v1/settings')
  await control.call('PATCH', '/v1/settings?wait=enforced', { scrubbing: { holdTime: holdSeconds } })
  await control.call('PUT', `/v1/instances/${id}/ddos-threshold?wait=enforced`, thresholds)
  const outside = peers.get('outside')!
  const session = await outside.connectTcp(addresses.web.ip, 80)
  const counts = { asked: 0, answered: 0 }
  let over = false
  const talkOn = async () => {
    while (!over) {
      counts.asked += 1
      if (await session.ask(`during ${counts.asked}`, giveUpMs)) counts.answered += 1
      await setTimeout(pollMs)
    }
  }
  const talking = talkOn()
  const begun = performance.now()
  const latest = async () => {
    const { items } = await control.call<{ items: ShownEvent[] }>('GET', `/v1/ddos/events?instanceId=${id}`)
    return items[0] ?? null
  }
  let cleaningAfterMs: number | null = null
  const watching = seen(async () => (await latest())?.phase === 'cleaning').then(cleaning => {
    if (cleaning) cleaningAfterMs = performance.now() - begun
  })
  // How soon the agent cleans is this machine's affair, and all passes until then.
  const isEnough = (tookMs: number) => tookMs > Math.max(leastMs, 3 * (cleaningAfterMs ?? giveUpMs / 3))
  let sent = 0
  while (!isEnough(performance.now() - begun)) {
    sent += await outside.flood(addresses.web.ip, 443, { ...piece, localAddress: bannedAddress.ip })
  }
  await watching
  over = true
  await talking
  await session.close()
  await seen(async () => (await latest())?.phase === 'ended')
  const event = await latest()
  await control.call('PATCH', '/v1/settings', { scrubbing: { holdTime: settings.scrubbing.holdTime } })
  return {
    sent,
    cleaningAfterMs,
    event: event && {
      types: event.attackTypes.map(({ type }) => type),
      offeredPackets: event.offered.packets,
      passedPackets: event.passed.packets,
    },
    ...counts,
  }
}

/** Whether it comes to hold in time. */
async function seen(holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + giveUpMs
  while (!(await holds())) {
    if (performance.now() > deadline) return false
    await setTimeout(pollMs)
  }
  return true
}
