/** Instances as the API shows them under attack, made of what their agents tell, and as `ringwall top` sees them. */
import type { BoardRow } from '../../cli/ddos/board.ts'
import type { Standing } from '../../cli/ddos/standing.ts'
import type { TopView } from '../../cli/ddos/top-screen.ts'
import type { DdosStatus } from '../../wire/ddos.ts'
import { ddosStatus, quietStatus } from './ddos-status.ts'

export function standingOf(status: DdosStatus, parts: Partial<Standing> = {}): Standing {
  const { orderId, proposal, ...shown } = status
  return {
    ...shown,
    staleSince: null,
    carriedOutOrderId: orderId,
    scrubbingCancelled: false,
    bps: 500,
    pps: 60_000,
    maxBps: 1000,
    maxPps: 300_000,
    source: 'manual',
    proposedBps: proposal?.bpsMbit ?? null,
    proposedPps: proposal?.pps ?? null,
    ...parts,
  }
}

export const floodedRow: BoardRow = { standing: standingOf(ddosStatus({ instanceId: 'i-web1' })), silentSeconds: null }
export const quietRow: BoardRow = { standing: standingOf(quietStatus({ instanceId: 'i-db1' })), silentSeconds: null }

export function exampleView(parts: Partial<TopView> = {}): TopView {
  return {
    source: 'http://127.0.0.1:9480',
    time: '2026-01-01T00:00:05.000Z',
    rows: [floodedRow, quietRow],
    chosen: null,
    trouble: null,
    hasKeys: true,
    ...parts,
  }
}
