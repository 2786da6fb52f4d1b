/**
 * Policies from a control daemon: the view it gives, made a policy of this host's devices, and the answers to it.
 *
 * Until the daemon answers, the last view that was in force is; when it is gone, too. So that what it took away stays
 * taken away, the view is on disk before its policy is given to the kernel; where the disk may be older than the kernel
 * after all, the kernel is left as it is.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import type { Logger } from '../../common/log.ts'
import type { Rescue } from '../../rules-compiler/model/policy.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { HostExceptions, HostReport, Position, ToDaemon, TrialTold } from '../../wire/messages.ts'
import { LockoutError, type TrialNotice } from '../guard/error.ts'
import type { DaemonWay } from '../guard/trial.ts'
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
import { DaemonLink, type DdosListener } from './daemon.ts'
import { parseDaemonUrl } from './daemon-url.ts'
import { makeHostReport, type NftFacts } from './host-report.ts'
import { Identity } from './identity.ts'
import { type LinkMemory, openKeptView, readLinkMemory, type ViewDelta, writeMemory } from './kept-view.ts'
import { createLinkMetrics, type LinkMetrics } from './metrics.ts'
import { documentOf, type MadePolicy, type Surroundings, View, type ViewImage, type ViewUpdate } from './view.ts'
import { ViewLog } from './view-log.ts'

export interface DaemonSourceOptions {
  readonly credentials: Credentials
  /** Where credentials, view and last good policy are kept. */
  readonly folder: string
  readonly stateDir: StateDir
  readonly log: Logger
  readonly reporter: Reporter
  readonly registry: Registry
  readonly nft: NftFacts
  /** By whom and where the host is administered. */
  readonly rescue: readonly Rescue[]
  /** Whose sessions the lockout guard watches over; told to the daemon. */
  readonly rescuePorts: readonly number[]
  readonly sink: PolicySink
  /** Told of what concerns traffic scrubbing. */
  readonly ddos?: DdosListener
  /** How long an update waits for the disk; as the log of the view has it where left out. */
  readonly diskPatienceMs?: number
}

/** A policy that was handed on, and what it was made of. */
interface Made {
  image: ViewImage
  readonly kept: Kept
}

/** Why the current policy is not in the kernel, or not for good. */
interface Refusal extends Pick<Extract<ToDaemon, { type: 'refused' }>, 'error' | 'retryInMs'> {
  readonly trial?: TrialNotice | null
}

/** The files for boot are written in full: not at every member that comes, but what is small trails little. */
const bootFilesSpacingMs = (tookMs: number) => Math.min(20 * tookMs, 1_000)
/** Whoever is cut off from the daemon by the policy itself waits for the kernel, but not for one that refuses. */
const wayFreeMs = 2_000
/** Devices change in bursts; a report tells of the last state. */
const reportDelayMs = 250
/** Of many faults the first say enough; the log has all of them. */
const mostFaultsTold = 10
const mostMessageLength = 4_000
const mostCutsTold = 16
const mostCutLength = 500

export class DaemonSource implements Source {
  readonly #options: DaemonSourceOptions
  readonly #identity: Identity
  readonly #metrics: LinkMetrics
  readonly #lastGood: LastGood
  readonly #port: number
  #view = new View()
  #viewLog: ViewLog | null = null
  /** What leads to the view from what was given to the log: one update, or more than that can say. */
  #unkept: ViewDelta | 'whole' | null = null
  /** The newest policy made; it is handed on when the view is on disk. */
  #awaited: PolicyIr | null = null
  #handedOn: Promise<void> = Promise.resolve()
  /** The disk may be older than the kernel: nothing is made of it before the daemon has answered. */
  #holdsBack = false
  /** In force for want of one that the kernel takes. */
  #stopgap: PolicyIr | null = null
  #triedStopgap = false
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
  #refusal: Refusal | null = null
  /** The daemon's last word from us is a refusal. */
  #toldRefused = false
  /** When the update came that has not got in force yet. */
  #owedSinceMs: number | null = null
  #enisTold = ''

  /** @throws {Error} if the credentials are none */
  constructor(options: DaemonSourceOptions) {
    this.#options = options
    const { credentials, folder, log, stateDir, rescue, registry } = options
    this.#port = parseDaemonUrl(credentials.daemonUrl).port
    this.#identity = new Identity(folder, credentials)
    this.#metrics = createLinkMetrics(registry, {
      lifeLeftMs: () => this.#identity.lifeLeftMs(Date.now()),
      lifeMs: () => this.#identity.lifeMs,
    })
    this.#lastGood = new LastGood({ log, stateDir, rescue, spacingMs: bootFilesSpacingMs })
  }

  async start(): Promise<void> {
    const { folder, log } = this.#options
    this.#memory = await readLinkMemory(folder)
    this.#links = await listLinks()
    await this.#fallBack()
    this.#report = await this.#makeReport()
    const link = new DaemonLink({
      identity: this.#identity,
      log,
      metrics: this.#metrics,
      hello: () => {
        // The way to the daemon may be another since the report was made.
        this.#report = { ...this.#report!, ...this.#exceptions() }
        return { report: this.#report, view: this.#heldView(), enforced: this.#positionOf(this.#enforced) }
      },
      onUpdate: (update, arrivedAtMs) => this.#take(update, arrivedAtMs),
      onConfirm: revision => this.#confirm(revision),
      onAddresses: addresses => this.#freeTheWay(addresses),
      lastAddresses: this.#memory.daemonAddresses,
      ...(this.#options.ddos && { ddos: this.#options.ddos }),
    })
    this.#link = link
    this.#addressWatch = watchAddresses(
      () => {
        this.#reportSoon()
        link.noteNetwork()
      },
      reason => log.warn({ reason }, 'address monitor ended and is started again'),
    )
    link.start()
  }

  noteOutcome(outcome: Outcome): void {
    if (outcome.kind === 'planned') return
    if (isPanic(outcome) || this.#report?.openSince !== undefined) this.#reportSoon()
    this.#endStopgap()
    if (outcome.kind === 'refused') {
      // The loop's own trouble, with a policy from before the one that has faults: that was answered already.
      if (this.#current?.ir == null) return
      const { error, retryInMs } = outcome
      this.#refusal = {
        error: {
          kind: error instanceof NftError || error instanceof LockoutError ? error.kind : 'unknown',
          message: error.message.slice(0, mostMessageLength),
        },
        retryInMs,
        trial: error instanceof LockoutError ? error.trial : null,
      }
      this.#answerRefused()
      if (!(error instanceof LockoutError)) void this.#findStopgap()
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

  async keep(policy: PolicyIr): Promise<void> {
    const made = this.#made.get(policy)
    if (made !== undefined) this.#lastGood.note(made.kept)
    await this.#lastGood.settled()
  }

  noteLinks(links: readonly Link[]): void {
    this.#links = links
    this.#refresh(performance.now())
    this.#reportSoon()
    this.#link?.noteNetwork()
  }

  send(message: ToDaemon): void {
    this.#link?.send(message)
  }

  way(): DaemonWay {
    const { connected = false } = this.#link?.status ?? {}
    const { provenAtMs = Number.NEGATIVE_INFINITY } = this.#link ?? {}
    return { addresses: this.#memory.daemonAddresses, port: this.#port, connected, provenAtMs }
  }

  probeWay(): void {
    this.#link?.probe()
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
    return [
      ...(this.#link?.status.revoked === true
        ? ['the daemon has revoked this agent; join again with a new token']
        : this.#problemsOfCertificate()),
      ...(this.#viewLog?.fault == null ? [] : [`what is in force cannot be kept on disk: ${this.#viewLog.fault}`]),
      ...this.#lastGood.problems(),
      ...(this.#holdsBack
        ? ['what is in force may be newer than the disk; it is left as it is until the daemon answers']
        : []),
    ]
  }

  /** It has ended, by the daemon's word or, before the daemon was reached, by the clock. */
  #problemsOfCertificate(): readonly string[] {
    const { agentId, daemonUrl } = this.#identity.credentials
    const isTooLate = this.#link?.status.tooLate === true
    if (!isTooLate && this.#identity.lifeLeftMs(Date.now()) > 0) return []
    const ended = `the certificate of this agent ended at ${new Date(this.#identity.expiresAtMs).toISOString()}`
    const again = `"ringwall agent invite --agent ${agentId}" at the daemon, then here "ringwall agent join ${daemonUrl} --token … --force" and a restart of the agent`
    if (isTooLate) return [`${ended}, too long ago for the daemon to renew it; no change comes any more: ${again}`]
    return [`${ended}; it is renewed when the daemon is reached, unless that is too long ago by then: ${again}`]
  }

  async close(): Promise<void> {
    clearTimeout(this.#reportTimer)
    clearTimeout(this.#enisTimer)
    this.#viewLog?.close()
    this.#lastGood.close()
    await this.#addressWatch?.close()
    await this.#link?.close()
  }

  async settled(): Promise<void> {
    await this.#viewLog?.settled()
    await this.#lastGood.settled()
    await this.#writingMemory
  }

  /** What was in force when this host was last at work, before anybody is asked. */
  async #fallBack(): Promise<void> {
    const { folder, log, reporter, sink, diskPatienceMs } = this.#options
    const kept = await openKeptView(folder)
    this.#view = kept.view
    this.#viewLog = new ViewLog({
      folder,
      kept,
      log,
      metrics: this.#metrics,
      ...(diskPatienceMs !== undefined && { patienceMs: diskPatienceMs }),
    })
    const revision = kept.view.position?.revision ?? null
    if (kept.faults.length > 0) log.warn({ revision, faults: kept.faults }, 'what is kept of the view may be old')
    const hasSomething = revision !== null || (await this.#lastGood.readText()) !== null
    if (kept.log === null && hasSomething && (await sink.stands())) {
      this.#holdsBack = true
      log.warn('what stands in the kernel is left as it is until the daemon answers')
      return
    }
    if (revision !== null) {
      log.info({ revision }, 'the last view that was in force is taken until the daemon answers')
      this.#refresh(performance.now())
      if (this.#current?.ir != null) return
    }
    const ir = await this.#lastPolicyIfNoneStands()
    if (ir === null) return
    reporter.fallenBack(ir)
    sink.setPolicy(ir)
  }

  /** The files for boot trail the kernel, so they are for one that has nothing. */
  async #lastPolicyIfNoneStands(): Promise<PolicyIr | null> {
    const text = await this.#lastGood.readText()
    if (text === null || (await this.#options.sink.stands())) return null
    const ir = this.#lastGood.readIr(text)
    if (ir !== null) this.#options.log.warn('the last policy that was in force is taken instead')
    return ir
  }

  /**
   * After a boot the kernel has nothing, and what was given to it last may be what it refuses: then the last policy that
   * it took is in force until it takes a newer one.
   */
  async #findStopgap(): Promise<void> {
    if (this.#enforced !== null || this.#triedStopgap) return
    this.#triedStopgap = true
    const ir = await this.#lastPolicyIfNoneStands()
    if (ir === null || this.#enforced !== null) return
    this.#stopgap = ir
    this.#options.sink.setPolicy(ir)
  }

  /** Whatever came of it, what is wanted is the newest policy that is on disk. */
  #endStopgap(): void {
    if (this.#stopgap === null) return
    this.#stopgap = null
    if (this.#awaited !== null && this.#made.has(this.#awaited)) this.#options.sink.setPolicy(this.#awaited)
  }

  #take(update: ViewUpdate, arrivedAtMs: number): string | null {
    const before = this.#view.position
    const fault = this.#view.apply(update)
    if (fault !== null) return fault
    this.#holdsBack = false
    this.#metrics.revision.set(update.revision)
    this.#owedSinceMs = arrivedAtMs
    if (update.type === 'snapshot') this.#unkept = 'whole'
    else if (update.revision !== before?.revision || !isEmpty(update)) {
      this.#unkept = this.#unkept === null ? update : 'whole'
    }
    if (!this.#refresh(arrivedAtMs)) this.#answerAgain()
    return null
  }

  /**
   * Makes a policy of the view, the devices and the way to the daemon, and hands it on.
   * @returns false where it is the same as before
   */
  #refresh(noticedAtMs: number): boolean {
    const image = this.#view.image()
    if (image === null || this.#holdsBack) return false
    const bindings = bindEnis(this.#view.enis(), this.#links, new Map(Object.entries(this.#memory.deviceNames)))
    this.#noteBindings(bindings)
    const { controlConnections, rescue } = this.#exceptions()
    const surroundings: Surroundings = { devices: bindings.devices, controlConnections, rescue }
    const policy = this.#view.makePolicy(surroundings)
    if (policy === this.#current) return false
    this.#current = policy
    const { reporter } = this.#options
    if (policy.ir === null) {
      reporter.policyRefused(policy.faults, 'daemon')
      this.#refusal = { error: { kind: 'policy', message: inShort(policy.faults) }, retryInMs: 0 }
      this.#answerRefused()
      return true
    }
    this.#refusal = null
    const { ir } = policy
    const kept: Kept = { ir, text: () => JSON.stringify(documentOf(image.objects(), surroundings)) }
    reporter.policyAccepted(ir, noticedAtMs, { leftOut: bindings.leftOut })
    this.#awaited = ir
    this.#whenOnDisk(image, () => {
      this.#made.set(ir, { image, kept })
      if (this.#awaited === ir) this.#options.sink.setPolicy(ir)
    })
    return true
  }

  /** At once where it is on disk already: then nothing has come from the daemon, but a device, say. */
  #whenOnDisk(image: ViewImage, act: () => void): void {
    const unkept = this.#unkept
    this.#unkept = null
    const log = this.#viewLog
    const onDisk = unkept === null ? log?.pending : log?.keep(unkept === 'whole' ? null : unkept, image)
    if (onDisk == null) act()
    else this.#handedOn = onDisk.then(act)
  }

  /** An update that changed nothing for the kernel is answered by what is known already; else by the run under way. */
  #answerAgain(): void {
    const image = this.#view.image()
    const ir = this.#current?.ir
    if (ir == null || image === null) {
      this.#answerRefused()
      return
    }
    this.#whenOnDisk(image, () => {
      const made = this.#made.get(ir)
      if (made !== undefined) made.image = image
      if (ir !== this.#current?.ir) return
      if (this.#refusal !== null) {
        this.#answerRefused()
      } else if (ir === this.#enforced && made !== undefined) {
        this.#lastGood.note(made.kept)
        this.#metrics.enforcedRevision.set(image.revision)
        this.#answerEnforced({ seconds: 0, nftSeconds: 0 })
      }
    })
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
    const { error, retryInMs, trial = null } = this.#refusal
    this.#link?.send({
      type: 'refused',
      revision: position.revision,
      error,
      // Said again on a new connection, it is what is left.
      retryInMs: trial === null ? retryInMs : Math.max(0, Math.round(trial.untilMs - performance.now())),
      ...(trial !== null && { trial: toldOfTrial(trial) }),
    })
  }

  /** Of the policy that was told to be on trial, and of no other that has come since. */
  #confirm(revision: number): void {
    const isOnTrial = this.#refusal?.trial?.needsPerson === true && this.#view.position?.revision === revision
    const { log, sink } = this.#options
    log.info({ revision, isOnTrial }, 'an operator has confirmed the policy at the daemon')
    if (isOnTrial) sink.confirm()
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
    const inForce = this.#handedOn.then(() => this.#options.sink.settled())
    await Promise.race([inForce, sleep(wayFreeMs, undefined, { ref: false })])
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

  #exceptions(): Required<HostExceptions> {
    const { rescue, rescuePorts } = this.#options
    return {
      rescue: rescue.map(({ source, port }) => ({ source: source.text, port })),
      controlConnections: this.#memory.daemonAddresses.map(address => ({ address, port: this.#port })),
      rescuePorts: [...new Set(rescuePorts)],
    }
  }

  #makeReport(): Promise<HostReport> {
    const { nft, folder } = this.#options
    return makeHostReport({ nft, stateDir: folder, exceptions: this.#exceptions() })
  }

  #reportSoon(): void {
    this.#reportTimer ??= setTimeout(() => {
      this.#reportTimer = undefined
      void this.#reportNow()
    }, reportDelayMs)
  }

  async #reportNow(): Promise<void> {
    try {
      const report = await this.#makeReport()
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

/** The host is open, or was asked for something while it is. */
function isPanic(outcome: Outcome): boolean {
  return outcome.kind === 'refused' && outcome.error instanceof LockoutError && outcome.error.kind === 'panic'
}

function isEmpty({ set, remove, members }: ViewDelta): boolean {
  return set.length + remove.length + members.length === 0
}

function toldOfTrial({ cuts, needsPerson }: TrialNotice): TrialTold {
  return { cuts: cuts.slice(0, mostCutsTold).map(cut => cut.slice(0, mostCutLength)), needsPerson }
}

function inShort(faults: readonly string[]): string {
  const more = faults.length > mostFaultsTold ? `; and ${faults.length - mostFaultsTold} more` : ''
  return `${faults.slice(0, mostFaultsTold).join('; ')}${more}`.slice(0, mostMessageLength)
}
