/** Which records are asked for. */
import type { LogRecord } from '../../agent/logs/record.ts'
import { type Cidr, containsAddress } from '../../rules-compiler/address/cidr.ts'
import type { LogAction } from '../../rules-compiler/nft/log-prefix.ts'

/** Null asks for all. */
export interface RecordFilter {
  readonly actions: readonly LogAction[] | null
  readonly eniIds: readonly string[] | null
  /** In which the far side is: the source on ingress, the destination on egress. */
  readonly peer: Cidr | null
  /** The destination's. */
  readonly port: number | null
  /** ISO 8601, not before. */
  readonly since: string | null
}

export function matches({ actions, eniIds, peer, port, since }: RecordFilter, record: LogRecord): boolean {
  return (
    (actions === null || actions.includes(record.action)) &&
    (eniIds === null || eniIds.includes(record.eniId)) &&
    (peer === null || containsAddress(peer, record.direction === 'ingress' ? record.source : record.destination)) &&
    (port === null || record.port === port) &&
    (since === null || record.time >= since)
  )
}
