/** An instance as the API shows it under attack, made of what its agent tells. */
import type { Standing } from '../../cli/ddos/standing.ts'
import type { DdosStatus } from '../../wire/ddos.ts'

export function standingOf(status: DdosStatus, parts: Partial<Standing> = {}): Standing {
  const { orderId: _, proposal, ...shown } = status
  return {
    ...shown,
    staleSince: null,
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
