/**
 * Stamps: how the kernel knows that a session was accepted by the policy as it is now. Each session carries two in its
 * conntrack mark: the upper field of the mask for the ENI where it entered this host, the lower field for the ENI
 * where it left, so that a session between two ENIs of one host is judged twice and the stamp of one never stands for
 * the other. A stamp names one ENI, one direction and one generation of its rules: a session that changes devices, or
 * whose rules were taken away, carries no current stamp and is judged again at its next packet.
 */
import type { Direction, Placement } from '../model/policy.ts'

/** Where a session passes an ENI: the side its first packet came in from, or the side it went out to. */
export type Side = 'entered' | 'left'

/** Current stamp of each ENI and direction, keyed by `stampKey`; from 1 up, each number once. */
export type Stamps = ReadonlyMap<string, number>

export const stampKey = (eniId: string, direction: Direction) => `${eniId}/${direction}`

/** A session that is ingress for a host's own device enters the host there; for a guest it leaves the host. */
export function sideOf(placement: Placement, direction: Direction): Side {
  return (placement === 'host') === (direction === 'ingress') ? 'entered' : 'left'
}

export interface MarkField {
  readonly mask: number
  /** A stamp shifted to its place in the mark. */
  readonly place: (stamp: number) => number
  /** The stamp in a mark. */
  readonly read: (mark: number) => number
}

/** Divides the mask's bits, which are contiguous and of even number, between the two sides. */
export function markFields(mask: number): Readonly<Record<Side, MarkField>> {
  const lowest = 31 - Math.clz32(mask & -mask)
  const width = (32 - Math.clz32(mask) - lowest) / 2
  return { entered: makeField(lowest + width, width), left: makeField(lowest, width) }
}

/** How many stamps there are for a mask; 0 is none: it means not accepted yet. */
export function stampCount(mask: number): number {
  const bits = mask.toString(2).split('1').length - 1
  return 2 ** (bits / 2) - 1
}

function makeField(shift: number, width: number): MarkField {
  const values = 2 ** width - 1
  return {
    mask: (values << shift) >>> 0,
    place: stamp => (stamp << shift) >>> 0,
    read: mark => (mark >>> shift) & values,
  }
}
