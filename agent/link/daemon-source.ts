/**
 * Policies from a control daemon: the view it gives, made a policy of this host's devices, and the answers to it.
 *
 * Until the daemon answers, the last view that was in force is; when it is gone, too.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import type { Logger } from '../../common/log.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { HostReport, Position, ToDaemon } from '../../wire/messages.ts'
import { type Kept, LastGood } from '../last-good.ts'
import { NftError } from '../nft/errors.ts'
import type { Outcome } from '../reconcile/loop.ts'
import type { Reporter } from '../report.ts'
import type { PolicySink, Source } from '../source.ts'
import type { StateDir } from '../state-dir.ts'
import { watchAddresses } from '../watch/addresses.ts'
import type { Watch } from '../watch/line-watch.ts'
import { type Link, listLinks } from '../watch/links.ts'
import { bindEnis, type EniBindings } from './bind-enis.ts'
import type { Credentials } from './credentials.ts'
import { DaemonLink } from './daemon.ts'
import { parseDaemonUrl } from './daemon-url.ts'
import { makeHostReport, type NftFacts } from './host-report.ts'
import { Identity } from './identity.ts'
import { type LinkMemory, readLinkMemory, readView, writeMemory, writeView } from './kept-view.ts'
import { createLinkMetrics, type LinkMetrics } from './metrics.ts'
import { documentOf, type MadePolicy, type Surroundings, View, type ViewImage, type ViewUpdate } from './view.ts'

export interface DaemonSourceOptions {
  readonly credentials: Credentials
  /** Where credentials, view and last good policy are kept. */
  readonly folder: string
  readonly stateDir: StateDir
  readonly log: Logger
  readonly reporter: Reporter
  readonly registry: Registry
  readonly nft: NftFacts
  readonly sink: PolicySink
}

/** A policy that was handed on, and what it was made of. */
interface Made {
  image: ViewImage
  readonly kept: Kept
}

type Refused = Extract<ToDaemon, { type: 'refused' }>

/** The view is written in full: not at every member that comes. */
const keepSpacingMs = 1_000
/** Whoever is cut off from the daemon by the policy itself waits for the kernel, but not for one that refuses. */
const wayFreeMs = 2_000
/** Devices change in bursts; a report tells of the last state. */
const reportDelayMs = 250
/** Of many faults the first say enough; the log has all of them. */
const mostFaultsTold = 10
const mostMessageLength = 4_000

export class DaemonSource implements Source {
  readonly #options: DaemonSourceOptions
  readonly #identity: Identity
  readonly #metrics: LinkMetrics
  readonly #lastGood: LastGood
  readonly #port: number
  readonly #view = new View()
  readonly #made = new WeakMap<PolicyIr, Made>()
  #link: DaemonLink | null = null
  #addressWatch: Watch | null = null
  #links: readonly Link[] = []
  #report: HostReport | null = null
  #reportTimer: NodeJS.Timeout | undefined
  #enisTimer: NodeJS.Timeout | undefined
  #memory: LinkMemory = { daemonAddresses: [], deviceNames: {} }
  #writingMemory: Promise<void> = Promise.resolve()
  #guessedBefore = ''
  /** What the view makes now. */
  #current: MadePolicy | null = null
  /** The policy in the kernel; null before the first run. */
  #enforced: PolicyIr | null = null
  /** Why the current policy is not in the kernel. */
  #refusal: Pick<Refused, 'error' | 'retryInMs'> | null = null
  /** The daemon's last word from us is a refusal. */
  #toldRefused = false
  /** When the update came that has not got in force yet. */
  #owedSinceMs: number | null = null
  #enisTold = ''

  /** @throws {Error} if the credentials are none */
  constructor(options: DaemonSourceOptions) {
    this.#options = options
    const { credentials, folder, log, stateDir, registry } = options
    this.#port = parseDaemonUrl(credentials.daemonUrl).port
    this.#identity = new Identity(folder, credentials)
    this.#metrics = createLinkMetrics(registry, () => this.#identity.expiresAtMs)
    this.#lastGood = new LastGood({ log, stateDir, spacingMs: keepSpacingMs })
  }

  async start(): Promise<void> {
    const { folder, log } = this.#options
    this.#memory = await readLinkMemory(folder)
    this.#links = await listLinks()
    await this.#fallBack()
    this.#report = await makeHostReport(this.#options.nft)
    const link = new DaemonLink({
      identity: this.#identity,
      log,
      metrics: this.#metrics,
      hello: () => ({ report: this.#report!, view: this.#heldView(), enforced: this.#positionOf(this.#enforced) }),
      onUpdate: (update, arrivedAtMs) => this.#take(update, arrivedAtMs),
      onAddresses: addresses => this.#freeTheWay(addresses),
      lastAddresses: this.#memory.daemonAddresses,
    })
    this.#link = link
    this.#addressWatch = watchAddresses(
      () => this.#reportSoon(),
      reason => log.warn({ reason }, 'address monitor ended and is started again'),
    )
    link.start()
  }

  noteOutcome(outcome: Outcome): void {
    if (outcome.kind === 'planned') return
    if (outcome.kind === 'refused') {
      // The loop's own trouble, with a policy from before the one that has faults: that was answered already.
      if (this.#current?.ir == null) return
      const { error, retryInMs } = outcome
      this.#refusal = {
        error: {
          kind: error instanceof NftError ? error.kind : 'unknown',
          message: error.message.slice(0, mostMessageLength),
        },
        retryInMs,
      }
      this.#answerRefused()
      return
    }
    const made = this.#made.get(outcome.policy)
    this.#enforced = outcome.policy
    if (made === undefined) return
    this.#metrics.enforcedRevision.set(made.image.revision)
    this.#lastGood.note(made.kept)
    if (outcome.policy !== this.#current?.ir) return
    this.#refusal = null
    if (this.#owedSinceMs !== null || this.#toldRefused) this.#answerEnforced(outcome)
    else if (this.#eniText() !== this.#enisTold) this.#tellEnisSoon(outcome)
  }

  noteLinks(links: readonly Link[]): void {
    this.#links = links
    this.#refresh(performance.now())
    this.#reportSoon()
  }

  status(): ReturnType<Source['status']> {
    const { daemonUrl: url, agentId } = this.#identity.credentials
    const { connected = false, sinceMs = Date.now(), reason = null } = this.#link?.status ?? {}
    return {
      kind: 'daemon',
      url,
      agentId,
      connected,
      since: new Date(sinceMs).toISOString(),
      reason,
      revision: this.#view.position?.revision ?? null,
      enforcedRevision: this.#positionOf(this.#enforced)?.revision ?? null,
      certificateExpires: new Date(this.#identity.expiresAtMs).toISOString(),
    }
  }

  problems(): readonly string[] {
    const again = 'join again with a new token'
    return [
      ...(this.#link?.status.revoked === true ? [`the daemon has revoked this agent; ${again}`] : []),
      ...(this.#identity.expiresAtMs <= Date.now() ? [`the certificate of this agent has run out; ${again}`] : []),
    ]
  }

  async close(): Promise<void> {
    clearTimeout(this.#reportTimer)
    clearTimeout(this.#enisTimer)
    await this.#addressWatch?.close()
    await this.#link?.close()
  }

  async settled(): Promise<void> {
    await this.#lastGood.settled()
    await this.#writingMemory
  }

  /** What was in force when this host was last at work, before anybody is asked. */
  async #fallBack(): Promise<void> {
    const { folder, log, reporter, sink } = this.#options
    const text = await this.#lastGood.readText()
    if (text === null) return
    const kept = await readView(folder, text)
    if (kept !== null && this.#view.apply({ type: 'snapshot', ...kept }) === null) {
      log.info({ revision: kept.revision }, 'the last view that was in force is taken until the daemon answers')
      this.#refresh(performance.now())
      if (this.#current?.ir != null) return
    }
    const ir = this.#lastGood.readIr(text)
    if (ir === null) return
    log.warn('the last policy that was in force is taken instead')
    reporter.fallenBack(ir)
    sink.setPolicy(ir)
  }

  #take(update: ViewUpdate, arrivedAtMs: number): string | null {
    const fault = this.#view.apply(update)
    if (fault !== null) return fault
    this.#metrics.revision.set(update.revision)
    this.#owedSinceMs = arrivedAtMs
    if (!this.#refresh(arrivedAtMs)) this.#answerAgain()
    return null
  }

  /**
   * Makes a policy of the view, the devices and the way to the daemon, and hands it on.
   * @returns false where it is the same as before
   */
  #refresh(noticedAtMs: number): boolean {
    const image = this.#view.image()
    if (image === null) return false
    const bindings = bindEnis(this.#view.enis(), this.#links, new Map(Object.entries(this.#memory.deviceNames)))
    this.#noteBindings(bindings)
    const { daemonAddresses } = this.#memory
    const surroundings: Surroundings = {
      devices: bindings.devices,
      controlConnections: daemonAddresses.map(address => ({ address, port: this.#port })),
    }
    const policy = this.#view.makePolicy(surroundings)
    if (policy === this.#current) {
      this.#moveTo(image, surroundings)
      return false
    }
    this.#current = policy
    const { reporter, sink } = this.#options
    if (policy.ir === null) {
      reporter.policyRefused(policy.faults, 'daemon')
      this.#refusal = { error: { kind: 'policy', message: inShort(policy.faults) }, retryInMs: 0 }
      this.#answerRefused()
      return true
    }
    this.#refusal = null
    this.#moveTo(image, surroundings)
    reporter.policyAccepted(policy.ir, noticedAtMs, { leftOut: bindings.leftOut })
    sink.setPolicy(policy.ir)
    return true
  }

  /** The current policy is that of the view at this moment, also where a new revision changed nothing of it. */
  #moveTo(image: ViewImage, surroundings: Surroundings): void {
    const ir = this.#current?.ir
    if (ir == null) return
    const { storeId, revision } = image
    const at = this.#made.get(ir)?.image
    if (at?.storeId === storeId && at.revision === revision) return
    const kept: Kept = {
      ir,
      text: () => JSON.stringify(documentOf(image.objects(), surroundings)),
      also: text => writeView(this.#options.folder, image, text),
    }
    this.#made.set(ir, { image, kept })
  }

  /** An update that changed nothing for the kernel is answered by what is known already; else by the run under way. */
  #answerAgain(): void {
    if (this.#refusal !== null) {
      this.#answerRefused()
    } else if (this.#current?.ir != null && this.#current.ir === this.#enforced) {
      const made = this.#made.get(this.#enforced)
      if (made !== undefined) this.#lastGood.note(made.kept)
      this.#metrics.enforcedRevision.set(this.#view.position?.revision ?? 0)
      this.#answerEnforced({ seconds: 0, nftSeconds: 0 })
    }
  }

  #answerEnforced({ seconds, nftSeconds }: { readonly seconds: number; readonly nftSeconds: number }): void {
    const position = this.#positionOf(this.#enforced)
    if (position === null) return
    const sinceArrival = this.#owedSinceMs === null ? null : (performance.now() - this.#owedSinceMs) / 1000
    if (sinceArrival !== null) this.#metrics.enforceDuration.observe(sinceArrival)
    this.#owedSinceMs = null
    this.#toldRefused = false
    this.#enisTold = this.#eniText()
    this.#link?.send({
      type: 'enforced',
      revision: position.revision,
      seconds: sinceArrival ?? seconds,
      nftSeconds,
      enis: this.#eniStates(),
    })
  }

  /** Devices come and go faster than the daemon wants to hear of it. */
  #tellEnisSoon(outcome: { readonly seconds: number; readonly nftSeconds: number }): void {
    this.#enisTimer ??= setTimeout(() => {
      this.#enisTimer = undefined
      const stands = this.#refusal === null && this.#enforced !== null && this.#enforced === this.#current?.ir
      if (stands && this.#owedSinceMs === null && this.#eniText() !== this.#enisTold) this.#answerEnforced(outcome)
    }, reportDelayMs)
  }

  #answerRefused(): void {
    const position = this.#view.position
    if (position === null || this.#refusal === null) return
    this.#toldRefused = true
    this.#link?.send({ type: 'refused', revision: position.revision, ...this.#refusal })
  }

  #eniStates() {
    return this.#options.reporter.eniStates().map(({ id, state }) => ({ id, state }))
  }

  #eniText(): string {
    return JSON.stringify(this.#eniStates())
  }

  #heldView() {
    const { position } = this.#view
    return position && { ...position, keys: this.#view.keys() }
  }

  #positionOf(ir: PolicyIr | null): Position | null {
    const image = ir && this.#made.get(ir)?.image
    return image ? { storeId: image.storeId, revision: image.revision } : null
  }

  #noteBindings({ guessed, names }: EniBindings): void {
    const text = JSON.stringify(guessed)
    if (text !== this.#guessedBefore) {
      for (const { eniId: eni, device, others } of guessed) {
        this.#options.log.warn(
          { eni, device, others },
          'several devices have the MAC address of the ENI; one was chosen, name the right one at the daemon',
        )
      }
    }
    this.#guessedBefore = text
    this.#remember({ deviceNames: Object.fromEntries([...names].sort(([a], [b]) => (a < b ? -1 : 1))) })
  }

  /** The way to the daemon is never judged, so it must be known to the policy before it is gone. */
  async #freeTheWay(addresses: readonly string[]): Promise<void> {
    if (!this.#remember({ daemonAddresses: addresses })) return
    if (!this.#refresh(performance.now())) return
    await Promise.race([this.#options.sink.settled(), sleep(wayFreeMs, undefined, { ref: false })])
  }

  /** @returns false where it was known */
  #remember(change: Partial<LinkMemory>): boolean {
    const next = { ...this.#memory, ...change }
    if (JSON.stringify(next) === JSON.stringify(this.#memory)) return false
    this.#memory = next
    this.#writingMemory = this.#writingMemory.then(async () => {
      // Of several changes the last one is written.
      if (this.#memory !== next) return
      await writeMemory(this.#options.folder, next).catch((error: unknown) =>
        this.#options.log.error({ error }, 'cannot keep the last good state; what is in force stays'),
      )
    })
    return true
  }

  #reportSoon(): void {
    this.#reportTimer ??= setTimeout(() => {
      this.#reportTimer = undefined
      void this.#reportNow()
    }, reportDelayMs)
  }

  async #reportNow(): Promise<void> {
    try {
      const report = await makeHostReport(this.#options.nft)
      if (JSON.stringify(report) === JSON.stringify(this.#report)) return
      this.#report = report
      this.#link?.send({ type: 'report', report })
    } catch (error) {
      this.#options.log.warn(
        { error },
        'cannot list the devices for the daemon; it is told of them when they change again',
      )
    }
  }
}

function inShort(faults: readonly string[]): string {
  const more = faults.length > mostFaultsTold ? `; and ${faults.length - mostFaultsTold} more` : ''
  return `${faults.slice(0, mostFaultsTold).join('; ')}${more}`.slice(0, mostMessageLength)
}
