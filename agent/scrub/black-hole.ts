/** When everything is dropped, by itself or because an operator wants it, and for how long. */
import { newTally } from './event.ts'
import type { Sample } from './sample.ts'
import { type Input, isLongEnough, type Moment, note, type Second, start } from './second.ts'
import { type BlackHole, type InstanceState, timeText } from './state.ts'

const dayMs = 24 * 3600 * 1000
/** After that many the hold time is at its most, whatever it was at first. */
const mostRemembered = 32

export function isAboveBlackHole({ offered }: Sample, { ir, instance: { thresholds } }: Input): boolean {
  if (thresholds === null || ir.blackHoleMbit === 0) return false
  return offered.bitsPerSecond > Math.max(ir.blackHoleMbit, thresholds.bpsMbit) * 1e6
}

export function carryOutOrder(state: InstanceState, second: Second): InstanceState {
  const { order } = second.instance
  if (order === null || order.id === state.orderId) return state
  const taken = { ...state, orderId: order.id }
  if (order.action === 'black-hole') {
    const holdSeconds = order.holdSeconds ?? second.ir.blackHoleHoldSeconds
    const inEvent = taken.event === null ? start(taken, second, newTally(second.time)) : taken
    return beginBlackHole(inEvent, second, { holdSeconds, isManual: true, replaced: taken.blackHole })
  }
  const liftedUntilMs = second.now.monotonicMs + second.ir.holdSeconds * 1000
  return { ...endBlackHole(taken, second, 'An operator lifted the black hole'), liftedUntilMs }
}

export function turnBlackHole(state: InstanceState, second: Second): InstanceState {
  const { blackHole } = state
  const isOver = blackHole !== null && second.now.monotonicMs >= blackHole.endsAtMs
  if (blackHole !== null && !isOver) return state
  const kept = blackHole === null ? state : forgetBlackHole(state, second)
  const isLifted = state.liftedUntilMs !== null && second.now.monotonicMs < state.liftedUntilMs
  if (kept.event !== null && !isLifted && second.sample !== null && isLongEnough(kept.aboveBlackHoleMs, second)) {
    const holdSeconds = growingHoldSeconds(kept, second)
    return beginBlackHole(kept, second, { holdSeconds, isManual: false, replaced: blackHole })
  }
  return blackHole === null
    ? state
    : endBlackHole(state, second, `The black hole ended after ${blackHole.holdSeconds} s`)
}

/** Twice as long for each that ended within a day. */
function growingHoldSeconds({ blackHoleEndsMs }: InstanceState, { ir, now }: Second): number {
  const earlier = blackHoleEndsMs.filter(endMs => now.monotonicMs - endMs < dayMs).length
  const most = Math.max(ir.blackHoleHoldSeconds, ir.mostBlackHoleHoldSeconds)
  return Math.min(most, ir.blackHoleHoldSeconds * 2 ** earlier)
}

interface BeginBlackHole {
  readonly holdSeconds: number
  readonly isManual: boolean
  /** One that stood until now. */
  readonly replaced: BlackHole | null
}

function beginBlackHole(
  state: InstanceState,
  second: Second,
  { holdSeconds, isManual, replaced }: BeginBlackHole,
): InstanceState {
  const { now } = second
  const blackHole: BlackHole = {
    endsAtMs: now.monotonicMs + holdSeconds * 1000,
    endTime: timeText(now.wallMs + holdSeconds * 1000),
    holdSeconds,
    isManual,
    // Equal to the one before it would look as if nothing were to change, and the kernel would end it.
    remainingSeconds: holdSeconds === replaced?.remainingSeconds ? holdSeconds + 1 : holdSeconds,
  }
  const forgotten = state.blackHole === null ? state : forgetBlackHole(state, second)
  const { event } = forgotten
  const begun = { ...forgotten, blackHole, event: event && { ...event, blackHoles: event.blackHoles + 1 } }
  const by = isManual ? ', ordered by an operator' : ''
  return note(begun, second, 'black-hole', `Everything in scope is dropped for ${holdSeconds} s${by}`)
}

/** Traffic that came meanwhile says nothing about the hold time: somebody upstream may have taken it away. */
function forgetBlackHole(state: InstanceState, { now }: Moment): InstanceState {
  const { blackHole, blackHoleEndsMs } = state
  const ended = blackHole === null || blackHole.isManual ? [] : [Math.min(blackHole.endsAtMs, now.monotonicMs)]
  const recent = blackHoleEndsMs.filter(endMs => now.monotonicMs - endMs < dayMs)
  return {
    ...state,
    blackHole: null,
    blackHoleEndsMs: [...recent, ...ended].slice(-mostRemembered),
    underMs: 0,
  }
}

export function endBlackHole(state: InstanceState, moment: Moment, message: string): InstanceState {
  return state.blackHole === null ? state : note(forgetBlackHole(state, moment), moment, 'lift', message)
}
