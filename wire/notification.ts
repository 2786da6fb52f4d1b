/** What operators are told of an event: made alike by an agent of its own events and by the daemon of everybody's. */
import { parseAddress } from '../rules-compiler/address/cidr.ts'
import { type DdosChange, type DdosEvent, type DdosStatus, ddosChanges } from './ddos.ts'

export const notificationKinds = ddosChanges.map(kind => `ddos.${kind}` as const)
export type NotificationKind = (typeof notificationKinds)[number]

/** A peak may rise every second: who wants to know each asks for it. */
export const usualNotificationKinds: readonly NotificationKind[] = notificationKinds.filter(
  kind => kind !== 'ddos.peak',
)

/** It has the shape that common/notify takes. */
export interface DdosNotification {
  readonly id: string
  readonly kind: NotificationKind
  readonly time: string
  readonly instanceId: string
  readonly addresses: readonly string[]
  readonly message: string
  readonly details: { readonly event: DdosEvent; readonly blackHole: DdosStatus['blackHole'] }
  readonly variables: Readonly<Record<string, string>>
}

export interface NotificationContext {
  readonly event: DdosEvent
  /** Of all the ENIs of the instance. */
  readonly addresses: readonly string[]
  /** The one under way; null where there is none. */
  readonly blackHole: DdosStatus['blackHole']
}

/**
 * The same change has the same id whoever tells of it and however often, so receivers can tell repetitions.
 * The event is told as it stands now, its phase included.
 */
export function notificationOf(change: DdosChange, context: NotificationContext): DdosNotification {
  const { event, blackHole } = context
  const addresses = context.addresses.map(parseAddress).filter(address => address !== null)
  return {
    id: `${event.id}.${change.kind}.${Date.parse(change.time)}`,
    kind: `ddos.${change.kind}`,
    time: change.time,
    instanceId: event.instanceId,
    addresses: [...new Set(addresses)],
    message: change.message,
    details: { event, blackHole },
    variables: variablesOf(event, blackHole),
  }
}

/** What has changed since another version of the event, oldest first: everything where there was none. */
export function newChanges(previous: Pick<DdosEvent, 'changes'> | null, event: DdosEvent): readonly DdosChange[] {
  const known = new Set(previous?.changes.map(keyOf))
  return event.changes.filter(change => !known.has(keyOf(change)))
}

function keyOf({ kind, time }: DdosChange): string {
  return `${kind} ${time}`
}

/** For commands; what is not known or does not apply is empty. */
function variablesOf(event: DdosEvent, blackHole: DdosStatus['blackHole']): Readonly<Record<string, string>> {
  const { thresholds } = event
  return {
    RINGWALL_EVENT_ID: event.id,
    RINGWALL_PHASE: event.phase,
    RINGWALL_TRIGGER: event.trigger,
    RINGWALL_START_TIME: event.startTime,
    RINGWALL_END_TIME: event.endTime ?? '',
    RINGWALL_END_REASON: event.endReason ?? '',
    RINGWALL_PEAK_BPS: String(event.peak.bitsPerSecond),
    RINGWALL_PEAK_PPS: String(event.peak.packetsPerSecond),
    RINGWALL_THRESHOLD_BPS: thresholds === null ? '' : String(thresholds.bpsMbit * 1_000_000),
    RINGWALL_THRESHOLD_PPS: thresholds === null ? '' : String(thresholds.pps),
    RINGWALL_ATTACK_TYPES: event.attackTypes.map(({ type }) => type).join(' '),
    RINGWALL_HOLD_SECONDS: blackHole === null ? '' : String(blackHole.holdSeconds),
    RINGWALL_BLACK_HOLE_END: blackHole === null ? '' : String(Math.ceil(Date.parse(blackHole.endTime) / 1000)),
  }
}
