/**
 * A host that its administrator has opened with `ringwall panic`: nothing is enforced until that is undone, whatever
 * comes from the source and however often the agent is started. The word is a file, so that it needs no running agent.
 */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { ScrubIr } from '../../rules-compiler/scrub/ir.ts'
import { objectOf, readJsonWith, text } from '../link/shape.ts'
import type { Outcome } from '../reconcile/loop.ts'
import type { Reporter } from '../report.ts'
import { LockoutError } from './error.ts'
import type { GuardMetrics } from './metrics.ts'

export interface Panic {
  /** ISO 8601. */
  readonly since: string
}

/** For the scrubber: measures and cleans nothing, and has no table. */
export const noScrubbing: ScrubIr = {
  instances: [],
  trafficScope: 'internet',
  allowList: [],
  controlConnections: [],
  secondsOver: 1,
  holdSeconds: 1,
  blackHoleMbit: 0,
  blackHoleHoldSeconds: 1,
  mostBlackHoleHoldSeconds: 1,
}

const fileName = 'panic.json'
const read = objectOf<Panic>({ since: text })
const lookMs = 5_000
const sayMs = 60_000

/** Null where the host is not to be open. A file that says nothing opens it too: somebody has put it there. */
export async function readPanic(folder: string): Promise<Panic | null> {
  try {
    const result = readJsonWith(read, await readFile(join(folder, fileName), 'utf8'))
    return 'value' in result ? result.value : { since: 'an unknown time' }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** @throws {Error} if the disk refuses */
export async function writePanic(folder: string, panic: Panic): Promise<void> {
  await makeFolder(folder)
  await writeAtomically(join(folder, fileName), `${JSON.stringify(panic)}\n`)
}

export async function removePanic(folder: string): Promise<void> {
  await rm(join(folder, fileName), { force: true })
}

export interface PanicParts {
  readonly folder: string
  readonly log: Logger
  readonly metrics: Pick<GuardMetrics, 'open'>
  readonly reporter: Pick<Reporter, 'heldBack' | 'opened'>
  /** Takes all that is Ringwall's from the kernel, and keeps it away. */
  readonly openHost: () => Promise<void>
  /** Puts policies in force again. */
  readonly resume: () => Promise<void>
  readonly pass: (policy: PolicyIr) => void
  /** The source's. */
  readonly onOutcome: (outcome: Outcome) => void
}

export class PanicSwitch {
  readonly #parts: PanicParts
  #panic: Panic | null = null
  #isOpen = false
  #policy: PolicyIr | null = null
  #looking: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #saidAtMs = Number.NEGATIVE_INFINITY

  constructor(parts: PanicParts) {
    this.#parts = parts
  }

  /** Before the source starts. */
  async open(): Promise<void> {
    await this.look()
    if (this.#panic === null) await this.#parts.resume()
    this.#timer = setInterval(() => void this.look(), lookMs)
  }

  setPolicy(policy: PolicyIr): void {
    this.#policy = policy
    if (this.#panic === null) this.#parts.pass(policy)
    else this.#tell(this.#panic)
  }

  /** Resolves when the host is as the file says, or it is in the log why not. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookNow())
    return this.#looking
  }

  /** Null where the host is not open, or not yet. */
  status(): Panic | null {
    return this.#isOpen ? this.#panic : null
  }

  problems(): readonly string[] {
    return this.#panic === null ? [] : [sentence(this.#panic)]
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
  }

  async #lookNow(): Promise<void> {
    const { folder, log } = this.#parts
    try {
      const panic = await readPanic(folder)
      if (panic !== null) await this.#stayOpen(panic)
      else if (this.#panic !== null) await this.#undo()
    } catch (error) {
      log.error({ error }, 'cannot do what "ringwall panic" asked for; it is tried again')
    }
  }

  async #stayOpen(panic: Panic): Promise<void> {
    const { log, metrics, reporter, openHost } = this.#parts
    const isNew = this.#panic === null
    this.#panic = panic
    if (!this.#isOpen) await openHost()
    this.#isOpen = true
    metrics.open.set(1)
    if (isNew) {
      reporter.opened()
      this.#tell(panic)
    }
    if (performance.now() - this.#saidAtMs < sayMs) return
    this.#saidAtMs = performance.now()
    log.error({ since: panic.since }, 'THE HOST IS OPEN: nothing is enforced until "ringwall panic --undo"')
  }

  async #undo(): Promise<void> {
    const { log, metrics, pass, resume } = this.#parts
    this.#panic = null
    this.#isOpen = false
    this.#saidAtMs = Number.NEGATIVE_INFINITY
    metrics.open.set(0)
    log.warn('the panic is undone: the policy is put in force again')
    await resume()
    if (this.#policy !== null) pass(this.#policy)
  }

  #tell(panic: Panic): void {
    if (this.#policy === null) return
    const message = sentence(panic)
    this.#parts.reporter.heldBack(message)
    this.#parts.onOutcome({ kind: 'refused', cause: 'policy', error: new LockoutError(message, 'panic'), retryInMs: 0 })
  }
}

function sentence({ since }: Panic): string {
  return `The host is open since ${since}: nothing is enforced until "ringwall panic --undo"`
}
