/** Orders to the agent that serves an instance: given to the daemon, and waited for until they are carried out. */
import { setTimeout as delay } from 'node:timers/promises'
import { exitNotInForce } from '../command.ts'
import type { Daemon } from '../operate/daemon.ts'
import type { CommonValues } from '../operate/flags.ts'
import { said } from '../operate/objects.ts'
import { pathOf, resources } from '../operate/resources.ts'
import type { Result } from '../operate/verb.ts'
import { readStandings } from './feed.ts'

export interface Order {
  /** Of the route below that of the instance. */
  readonly path: readonly string[]
  readonly body?: unknown
  readonly sentence: string
  /** Of the verb; of all its flags, --wait counts. */
  readonly flags: object
}

/** An agent that has an order may still be at it: --wait is until it says that it is done. */
export async function giveOrder(daemon: Daemon, id: string, { path, body, sentence, flags }: Order): Promise<Result> {
  const { wait } = flags as CommonValues
  const endMs = performance.now() + (wait ?? 0) * 1000
  const answer = await daemon.write({ method: 'POST', path: pathOf(resources.instance, id, ...path), body })
  const { order } = (answer.scrubbing ?? {}) as { readonly order?: { readonly orderId: string } | null }
  if (wait === undefined || answer.dryRun === true || !order) return said(answer, sentence)
  const isCarriedOut = await waitForOrder(daemon, id, { orderId: order.orderId, endMs })
  const outcome = isCarriedOut ? 'The agent has carried it out.' : 'The agent has not said yet that it is carried out.'
  return { ...said({ ...answer, isCarriedOut }, sentence, [outcome]), exitCode: isCarriedOut ? 0 : exitNotInForce }
}

/** Often enough for somebody who waits, with agents telling it at once. */
const askEveryMs = 200

interface Awaited {
  readonly orderId: string
  /** On performance.now()'s clock. */
  readonly endMs: number
}

async function waitForOrder(daemon: Daemon, id: string, { orderId, endMs }: Awaited): Promise<boolean> {
  for (;;) {
    const [standing] = await readStandings(daemon.client, [id])
    if (standing?.carriedOutOrderId === orderId) return true
    if (performance.now() >= endMs) return false
    await delay(askEveryMs)
  }
}
