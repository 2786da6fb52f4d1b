/**
 * What known and other sources have of everything that passes.
 *
 * Limits alone cannot put one before the other. Behind a limit that a flood fills, the next token goes to whoever comes
 * just as it is there, and the flood is always there: in a simulation a twentieth of known sources' packets passed. So the others
 * get what known sources leave, in steps: a source of tokens for each step of what known sources have, one after the
 * other; what overflows the step before marks the step in a set, for some seconds, and what is marked is taken from the
 * others. Known sources lose nothing then, and together both stay just below the total.
 */

import type { TrafficRate } from '../model/traffic.ts'
import { goto } from '../nft/expressions.ts'
import { belowRate, closeLimits, limitText, type Measure, measures, roomLimit } from './limits.ts'
import { sessionsPart, stepSet, type TotalPart, totalLimit } from './names.ts'
import type { Scaffold } from './scaffold.ts'
import { isElement, remember, type ScrubExpression, type ScrubRule } from './statements.ts'

const droppedBy = { packets: 'packet-rate', bytes: 'bit-rate' } as const satisfies Record<Measure, unknown>

/** Ends of the steps: parts of the total that known sources have. Fine enough that little is left unused. */
const stepEnds = [0.025, 0.075, 0.125, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8] as const
/**
 * What the others may have while known sources have less than the first step. Of bytes, ten seconds that begin with a full
 * bucket pass 11 of these, 10.5 times the threshold.
 */
const unknownAlone: Readonly<Record<Measure, number>> = { packets: 0.97, bytes: 0.954 }
/** Traffic that goes to and fro between two steps keeps the higher one. */
const markSeconds = 2

/** A key that is always the same: for a set that is a mark, there or not. */
const always: ScrubExpression = { '&': [{ meta: { key: 'mark' } }, 0] }

/**
 * What is left to the others while known sources are between the end of one step and that of the next; a hundredth less,
 * so that what both have together does not fill the limit of all.
 */
function leftOf(measure: Measure): readonly number[] {
  const most = belowRate[measure] - 0.01
  return [unknownAlone[measure], ...stepEnds.map((_, step) => most - (stepEnds[step + 1] ?? most - 0.01))]
}

/** Chains `known/packets` and `unknown/packets` are entered by either; both end in accepting or dropping. */
export function addTotal(scaffold: Scaffold, total: TrafficRate): void {
  for (const measure of measures) {
    addKnown(scaffold, total, measure)
    addUnknown(scaffold, total, measure)
  }
  const { instanceId } = scaffold
  const all = closeLimits(total)
  scaffold.addChain(
    sessionsPart(instanceId, 'total'),
    measures.map(measure => [over(scaffold, 'all', all[measure]), ...scaffold.dropAs(droppedBy[measure])]),
  )
}

function over(scaffold: Scaffold, part: TotalPart, limit: ReturnType<typeof roomLimit>) {
  return scaffold.limited(totalLimit(scaffold.instanceId, part, limitText(limit)), limit)
}

/** Packets are counted first, then bytes, then all that is still there is limited together. */
function nextPart(kind: 'known' | 'unknown', measure: Measure) {
  return measure === 'packets' ? (`${kind}/bytes` as const) : 'total'
}

/** Most packets of known sources meet the first step only: it has room, or they go on to the next. */
function addKnown(scaffold: Scaffold, total: TrafficRate, measure: Measure): void {
  const { instanceId } = scaffold
  const next = goto(sessionsPart(instanceId, nextPart('known', measure)))
  const rules = stepEnds.flatMap((end, step): readonly ScrubRule[] => {
    const limit = roomLimit(measure, total, end - (stepEnds[step - 1] ?? 0), 'second')
    const mark = scaffold.addSet(stepSet(instanceId, measure, step), {
      key: ['mark'],
      size: 1,
      timeoutSeconds: markSeconds,
    })
    return [[over(scaffold, `known/${step}`, limit), next], [remember('update', mark, always)]]
  })
  scaffold.addChain(sessionsPart(instanceId, `known/${measure}`), [...rules, [next]])
}

/** From what is left to them at the highest step upwards; a step that is marked ends it. */
function addUnknown(scaffold: Scaffold, total: TrafficRate, measure: Measure): void {
  const { instanceId } = scaffold
  const next = goto(sessionsPart(instanceId, nextPart('unknown', measure)))
  const dropped = scaffold.dropAs(droppedBy[measure])
  const left = leftOf(measure)
  const rules = left.toReversed().flatMap((part, index): readonly ScrubRule[] => {
    const step = left.length - 1 - index
    const room = roomLimit(measure, total, part - (left[step + 1] ?? 0), 'tenth')
    const passes = [over(scaffold, `left/${step}`, room), next]
    return step === 0 ? [passes] : [passes, [isElement(always, stepSet(instanceId, measure, step - 1)), ...dropped]]
  })
  const together = closeLimits(total, unknownAlone)[measure]
  scaffold.addChain(sessionsPart(instanceId, `unknown/${measure}`), [
    // A flood is dropped here, by the first rule.
    [over(scaffold, 'unknown', together), ...dropped],
    ...rules,
    dropped,
  ])
}
