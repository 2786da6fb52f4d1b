/**
 * Sessions that are only let through, counted with conntrack(8): they end when their ENI is enforced. What rules accept
 * carries the stamp of its side in its mark, and what is let through has lost it.
 */
import { markFields, sideOf } from '../../rules-compiler/nft/stamps.ts'
import type { EniIr, PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { listSessions } from '../conntrack/marks.ts'

/**
 * By id, of every observed ENI. Those that nobody has answered are none, nor those that are over already.
 * @throws {Error} if conntrack is missing, refuses or takes too long
 */
export async function countLiveSessions(policy: PolicyIr): Promise<ReadonlyMap<string, number>> {
  const count = sessionCounter(policy)
  await listSessions(line => count.note(line))
  return count.counts
}

export function sessionCounter(policy: PolicyIr) {
  const observed = policy.enis.filter(({ isObserved }) => isObserved)
  const counts = new Map(observed.map(({ id }) => [id, 0]))
  const eniOf = new Map(observed.flatMap(eni => eni.addresses.map(address => [address, eni] as const)))
  const fields = markFields(policy.ctMarkMask)
  const lacksStamp = (mark: number, { placement }: EniIr, direction: 'ingress' | 'egress') =>
    fields[sideOf(placement, direction)].read(mark) === 0
  return {
    counts: counts as ReadonlyMap<string, number>,
    /** @param line  an entry as `conntrack -L` prints it */
    note(line: string): void {
      if (/\[UNREPLIED\]/.test(line) || /^tcp\s.* (TIME_WAIT|CLOSE) /.test(line)) return
      // As it began, and as answers come: behind a translation of addresses one of the two has the ENI's own.
      const [source, answersTo] = [...line.matchAll(/ src=(\S+)/g)].map(([, address]) => address)
      const [destination, answersBack] = [...line.matchAll(/ dst=(\S+)/g)].map(([, address]) => address)
      const mark = Number(/ mark=(\d+)/.exec(line)?.[1] ?? 0)
      const ends = [
        { eni: eniOf.get(source ?? '') ?? eniOf.get(answersBack ?? ''), direction: 'egress' },
        { eni: eniOf.get(destination ?? '') ?? eniOf.get(answersTo ?? ''), direction: 'ingress' },
      ] as const
      for (const { eni, direction } of ends) {
        if (eni !== undefined && lacksStamp(mark, eni, direction)) counts.set(eni.id, counts.get(eni.id)! + 1)
      }
    },
  }
}
