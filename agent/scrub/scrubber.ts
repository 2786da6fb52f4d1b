/**
 * Traffic scrubbing as it runs: each second the counters are read, what they say is decided on for each instance, and
 * where that changes what is to be done, the table is changed by one transaction.
 *
 * One thing at a time is done to the table: a second that takes too long is followed by a longer one, never by a second
 * at the same time. A failure changes nothing of what stands, and is tried again in the next second.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from '../../common/log.ts'
import { scrubSteps, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { compileScrub } from '../../rules-compiler/scrub/compile.ts'
import type { Defence } from '../../rules-compiler/scrub/defence.ts'
import type { ScrubInstance, ScrubIr } from '../../rules-compiler/scrub/ir.ts'
import { droppedCounter, offeredCounter } from '../../rules-compiler/scrub/names.ts'
import type { DdosEvent, DdosStatus } from '../../wire/ddos.ts'
import type { Nft } from '../nft/nft.ts'
import { type Bindings, bindDevices, type Device } from '../reconcile/devices.ts'
import { decide, type InstanceState, type Notice, newState, resume, withdraw } from './decide.ts'
import type { KeptScrub, KeptState } from './kept-state.ts'
import type { ScrubMetrics } from './metrics.ts'
import { type RingSample, ringCapacity, SampleRing } from './ring.ts'
import { type Sample, sampleInstances } from './sample.ts'
import { SourceReader } from './source-reader.ts'
import type { SourceReading } from './sources.ts'
import { ScrubTable } from './table.ts'

export interface ScrubClock {
  /** CLOCK_MONOTONIC, which goes on over restarts of the process. */
  monotonicMs(): number
  /** For people: milliseconds since 1970. */
  wallMs(): number
  /** @returns what cancels it */
  after(milliseconds: number, task: () => void): () => void
}

export const realScrubClock: ScrubClock = {
  monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
  wallMs: () => Date.now(),
  after(milliseconds, task) {
    const timer = setTimeout(task, milliseconds)
    return () => clearTimeout(timer)
  },
}

export interface ScrubberOptions {
  /** Of its own: a long transaction of the policy must not hold up a second. */
  readonly nft: Nft
  /** For listings that nothing waits for. */
  readonly inspector: Nft
  readonly log: Logger
  readonly metrics: ScrubMetrics
  readonly clock: ScrubClock
  /** Null keeps nothing. */
  readonly kept: KeptState | null
  readonly bootId: string
  /** Told each second how all instances stand. Must not throw. */
  readonly onSecond: (statuses: readonly DdosStatus[]) => void
  /** Told of each new version of an event, before `onSecond`. Must not throw. */
  readonly onEvent: (event: DdosEvent) => void
  /** Told of each change of an event, once. Must not throw. */
  readonly onNotice: (told: ToldNotice) => void
}

export interface ToldNotice {
  readonly notice: Notice
  readonly event: DdosEvent
  /** Of the ENIs of the instance. */
  readonly addresses: readonly string[]
}

/** How an instance stands, with what the policy says of it. In 10^6 bits and packets a second. */
export interface Standing extends DdosStatus {
  readonly bps: number | null
  readonly pps: number | null
  readonly maxBps: number | null
  readonly maxPps: number | null
  readonly source: 'type' | 'manual' | 'auto' | null
  readonly scrubbingCancelled: boolean
}

interface Watched {
  instance: ScrubInstance
  state: InstanceState
  defence: Defence
  status: DdosStatus | null
  event: DdosEvent | null
  readonly ring: SampleRing
}

const secondMs = 1000
/** A second that begins this much later than it should is told as late. */
const lateMs = 300
const saveIntervalMs = 30_000

export class Scrubber {
  readonly #options: ScrubberOptions
  readonly #table: ScrubTable
  readonly #sources: SourceReader
  readonly #watched = new Map<string, Watched>()
  #policy: Pick<PolicyIr, 'scrub'> | null = null
  /** Of the policy, with the devices as they are called now. */
  #ir: ScrubIr | null = null
  #links: readonly Device[] | null = null
  /** Indexes of devices removed since they were bound last. */
  readonly #gone = new Set<number>()
  #bindings: Bindings = new Map()
  #devices: ReadonlySet<string> = new Set()
  /** What was on disk at the start, until the first policy comes. */
  #before: KeptScrub | null = null
  /** One thing at a time. */
  #turn: Promise<void> = Promise.resolve()
  #refreshIsDue = false
  #nextMs = 0
  #cancelTick = () => {}
  #inspecting: Promise<void> | null = null
  #inspectFor: 'ours' | 'a stranger' | null = null
  /** What the table was last made of. */
  #putOf: { readonly ir: ScrubIr; readonly devices: ReadonlySet<string>; readonly defences: string } | null = null
  #failure: string | null = null
  #hasFailed = false
  #inspectionFailure: string | null = null
  #savedAtMs = Number.NEGATIVE_INFINITY
  #turned = false
  #closed = false

  constructor(options: ScrubberOptions) {
    this.#options = options
    const { nft, inspector, clock } = options
    const now = () => clock.monotonicMs()
    this.#table = new ScrubTable({ nft, inspector, now })
    this.#sources = new SourceReader(this.#table, now)
  }

  /** Reads what an earlier run has left; to be called first, and before there is a policy. */
  async start(links: readonly Device[]): Promise<void> {
    this.#links = links
    this.#before = (await this.#options.kept?.read()) ?? null
    this.#nextMs = this.#options.clock.monotonicMs()
    this.#schedule()
  }

  setPolicy(policy: Pick<PolicyIr, 'scrub'>): void {
    this.#policy = policy
    this.#refreshSoon()
  }

  /** A device was removed: another may have its index in the listing that follows. */
  noteGone(index: number): void {
    this.#gone.add(index)
    this.#links = this.#links?.filter(link => link.index !== index) ?? null
  }

  noteLinks(links: readonly Device[]): void {
    this.#links = links
    this.#refreshSoon()
  }

  /** Somebody else may have changed the table. Resolves when it has been looked at; it may not be put back yet then. */
  async lookForDrift(): Promise<void> {
    this.#inspectSoon('a stranger')
    await this.#inspecting
  }

  /**
   * Resolves when the table is as the policy given last wants it.
   * @throws {Error} if it cannot be made so; it is tried again each second
   */
  async settled(): Promise<void> {
    await this.#turn
    if (this.#failure !== null) throw new Error(`Cannot change the table of traffic scrubbing: ${this.#failure}`)
  }

  standings(): readonly Standing[] {
    return [...this.#watched.values()].flatMap(({ status, instance }) =>
      status === null ? [] : [{ ...status, ...told(instance) }],
    )
  }

  /** Oldest first; null for an instance that this host has not. */
  hourOf(instanceId: string): readonly RingSample[] | null {
    return this.#watched.get(instanceId)?.ring.list() ?? null
  }

  problems(): readonly string[] {
    const disk = this.#options.kept?.problem ?? null
    return [
      ...(this.#failure === null ? [] : [`traffic scrubbing: ${this.#failure}`]),
      ...(disk === null ? [] : [`the state of traffic scrubbing cannot be kept on disk: ${disk}`]),
    ]
  }

  /** Finishes what is under way, and does nothing more. The table stays. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelTick()
    await this.#turn
    await this.#inspecting
    if (this.#ir !== null) await this.#save()
  }

  /** After `close`: an attack under way is gone on with by whoever starts next. */
  async removeTable(): Promise<void> {
    await this.#table.remove()
    if (this.#ir !== null) await this.#save()
  }

  #inTurn(task: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(task).catch((error: unknown) => this.#failed(error))
    return this.#turn
  }

  /** The next full second; what was missed is part of it. */
  #schedule(): void {
    if (this.#closed) return
    const { clock, metrics } = this.#options
    const nowMs = clock.monotonicMs()
    this.#nextMs += secondMs
    if (this.#nextMs < nowMs - lateMs) metrics.lateTicks.inc()
    if (this.#nextMs <= nowMs) this.#nextMs = nowMs + secondMs - ((nowMs - this.#nextMs) % secondMs)
    this.#cancelTick = clock.after(this.#nextMs - nowMs, () => {
      if (clock.monotonicMs() - this.#nextMs > lateMs) metrics.lateTicks.inc()
      void this.#inTurn(() => this.#second()).then(() => this.#schedule())
    })
  }

  /** Changes that come together are taken in together. */
  #refreshSoon(): void {
    if (this.#refreshIsDue || this.#closed || this.#links === null) return
    this.#refreshIsDue = true
    void this.#inTurn(async () => {
      this.#refreshIsDue = false
      await this.#refresh()
    })
  }

  async #refresh(): Promise<void> {
    if (this.#policy === null || this.#closed) return
    this.#bind(this.#policy.scrub)
    const isFirst = this.#before !== null || this.#putOf === null
    this.#takeInstances()
    if (this.#watched.size === 0) {
      await this.#removeTable()
      this.#options.onSecond([])
      this.#saveIfDue()
      return
    }
    if (isFirst) await this.#goOn()
    await this.#put()
  }

  /** A renamed device stays what it was, as in the policy. */
  #bind(ir: ScrubIr): void {
    const enis = ir.instances.flatMap(instance => instance.enis)
    const links = this.#links ?? []
    const before = this.#bindings
    this.#bindings = bindDevices({ enis, unattachedEnis: [] }, links, before, this.#gone)
    this.#gone.clear()
    const names = new Map(links.map(link => [link.index, link.name]))
    const nameOf = (eniId: string, device: string) => names.get(this.#bindings.get(eniId)?.index ?? -1) ?? device
    const renamed = enis.some(({ id, device }) => nameOf(id, device) !== device)
    this.#ir = renamed
      ? {
          ...ir,
          instances: ir.instances.map(instance => ({
            ...instance,
            enis: instance.enis.map(eni => ({ ...eni, device: nameOf(eni.id, eni.device) })),
          })),
        }
      : ir
    const wanted = new Set(this.#ir.instances.flatMap(instance => instance.enis.map(eni => eni.device)))
    this.#devices = new Set(links.map(link => link.name).filter(name => wanted.has(name)))
    // Older kernels take the chain of a device away with it, also where another of that name comes at once.
    const isAnother = [...this.#bindings].some(([id, { index }]) => (before.get(id)?.index ?? index) !== index)
    if (isAnother) this.#inspectSoon('a stranger')
  }

  #takeInstances(): void {
    const { metrics } = this.#options
    const instances = this.#ir?.instances ?? []
    const resumed = this.#resume()
    const capacity = ringCapacity(instances.length)
    const ids = new Set(instances.map(({ id }) => id))
    for (const instance of instances) {
      const known = this.#watched.get(instance.id)
      if (known !== undefined) {
        known.instance = instance
        known.ring.setCapacity(capacity)
        continue
      }
      this.#watched.set(instance.id, {
        instance,
        state: resumed.get(instance.id) ?? newState(instance.id),
        defence: { kind: 'none' },
        status: null,
        event: null,
        ring: new SampleRing(capacity),
      })
    }
    for (const [id, watched] of this.#watched) {
      if (ids.has(id)) continue
      this.#watched.delete(id)
      this.#withdraw(watched.state, watched.instance.addresses)
    }
    for (const [id, state] of resumed) if (!ids.has(id)) this.#withdraw(state, [])
    metrics.endOthers(ids)
  }

  #resume(): ReadonlyMap<string, InstanceState> {
    const kept = this.#before
    if (kept === null) return new Map()
    const sameBoot = kept.bootId === this.#options.bootId
    const states = kept.instances.flatMap(state => resume(state, { sameBoot, now: this.#now() }) ?? [])
    if (states.length < kept.instances.length) {
      this.#options.log.warn(
        { instances: kept.instances.length - states.length },
        'what was kept of some instances cannot be read; an attack under way becomes a new event',
      )
    }
    return new Map(states.map(state => [state.instanceId, state]))
  }

  #withdraw(state: InstanceState, addresses: readonly string[]): void {
    const { event, notices } = withdraw(state, this.#now())
    if (event !== null) this.#tell(event, true, notices, addresses)
    this.#turned = true
  }

  /** At start: from what stands in the kernel, where it is what was left there. */
  async #goOn(): Promise<void> {
    const { log, bootId } = this.#options
    const kept = this.#before
    this.#before = null
    for (const watched of this.#watched.values()) this.#decide(watched, null, null)
    if (kept?.table == null || kept.bootId !== bootId || this.#ir === null) return
    const to = compileScrub({ ir: this.#ir, devices: this.#devices, defences: this.#defences() })
    if (!(await this.#table.adopt(to, kept.table))) return
    this.#notePut()
    log.info('traffic scrubbing goes on from what stands in the kernel')
  }

  async #second(): Promise<void> {
    if (this.#ir === null || this.#closed) return
    if (this.#watched.size === 0) return this.#removeTable()
    const { clock, metrics } = this.#options
    const startedAtMs = clock.monotonicMs()
    this.#hasFailed = false
    const samples = await this.#sample(this.#ir)
    const read = await this.#readSources()
    for (const [id, watched] of this.#watched) {
      this.#decide(watched, samples.get(id) ?? null, read.get(id) ?? null)
    }
    await this.#put()
    if (!this.#hasFailed) this.#recovered()
    const statuses = [...this.#watched.values()].flatMap(({ status }) => status ?? [])
    this.#options.onSecond(statuses)
    this.#saveIfDue()
    metrics.tickDuration.observe((clock.monotonicMs() - startedAtMs) / 1000)
  }

  async #sample(ir: ScrubIr): Promise<ReadonlyMap<string, Sample>> {
    // Nothing of ours has ever been put there, or nothing in it counts.
    if (this.#putOf === null || this.#devices.size === 0) return new Map()
    try {
      const read = await this.#table.read()
      if (read !== null) return sampleInstances(ir, read.previous, read.current)
      if (this.#table.stands) this.#rebuild()
    } catch (error) {
      this.#failed(error)
    }
    return new Map()
  }

  #readSources(): Promise<ReadonlyMap<string, SourceReading>> {
    const cleaned = [...this.#watched].flatMap(([id, { defence }]) => (defence.kind === 'clean' ? [id] : []))
    return this.#sources.read(cleaned, error => this.#failed(error))
  }

  #decide(watched: Watched, sample: Sample | null, read: SourceReading | null): void {
    const { metrics, log } = this.#options
    const { instance, state: before } = watched
    try {
      const { state, defence, event, status, notices } = decide(before, {
        ir: this.#ir!,
        instance,
        sample,
        sources: read,
        now: this.#now(),
        newId: randomUUID,
      })
      watched.state = state
      watched.defence = defence
      watched.status = status
      this.#turned ||= status.phase !== before.phase || event !== null || state.orderId !== before.orderId
      metrics.note(instance, status, sample)
      if (sample !== null && status.sample !== null) watched.ring.add(status.sample)
      const last = event ?? watched.event
      if (last !== null) this.#tell(last, event !== null, notices, instance.addresses)
      if (event !== null) watched.event = event
    } catch (error) {
      // What stands for it stays, and the others are decided on.
      log.error({ instance: instance.id, error }, 'cannot decide on an instance, by a fault of Ringwall’s own')
    }
  }

  /** @param isNews  whether it is a new version, or has been told and is for whoever is told of the notices */
  #tell(event: DdosEvent, isNews: boolean, notices: readonly Notice[], addresses: readonly string[]): void {
    const { metrics, onEvent, onNotice } = this.#options
    if (isNews) onEvent(event)
    for (const notice of notices) {
      this.#log(notice)
      if (notice.kind === 'start') metrics.noteEvent(notice.instanceId)
      if (notice.kind === 'black-hole') metrics.noteBlackHole(notice.instanceId)
      onNotice({ notice, event, addresses })
    }
  }

  #log({ instanceId: instance, eventId: event, kind: change, message: reason }: Notice): void {
    const { log } = this.#options
    if (change === 'start') log.warn({ instance, event, reason }, 'an attack on an instance begins')
    else if (change === 'end') log.info({ instance, event, reason }, 'an attack on an instance is over')
    else log.info({ instance, event, change, reason }, 'an attack on an instance goes on')
  }

  #defences(): ReadonlyMap<string, Defence> {
    return new Map([...this.#watched].map(([id, { defence }]) => [id, defence]))
  }

  async #put(): Promise<void> {
    const ir = this.#ir
    if (ir === null) return
    if (!this.#table.stands) this.#shortenBlackHoles()
    const defences = defencesText(this.#watched)
    const before = this.#putOf
    const isSame = before?.ir === ir && before.defences === defences && haveSame(before.devices, this.#devices)
    if (isSame && this.#table.stands) return
    try {
      const done = await this.#table.put(compileScrub({ ir, devices: this.#devices, defences: this.#defences() }))
      this.#notePut()
      if (done !== 'unchanged') this.#inspectSoon('ours')
    } catch (error) {
      this.#failed(error)
    }
  }

  #notePut(): void {
    this.#putOf = { ir: this.#ir!, devices: this.#devices, defences: defencesText(this.#watched) }
  }

  /** A table that is made anew gets the time that is left. */
  #shortenBlackHoles(): void {
    const nowMs = this.#options.clock.monotonicMs()
    for (const watched of this.#watched.values()) {
      const { blackHole } = watched.state
      if (blackHole === null || watched.defence.kind !== 'black-hole') continue
      const remainingSeconds = Math.max(1, Math.ceil((blackHole.endsAtMs - nowMs) / 1000))
      watched.state = { ...watched.state, blackHole: { ...blackHole, remainingSeconds } }
      watched.defence = { kind: 'black-hole', remainingSeconds }
    }
  }

  /** Once: nobody else has one of that name. */
  async #removeTable(): Promise<void> {
    this.#before = null
    if (this.#putOf?.ir.instances.length === 0) return
    try {
      await this.#table.remove()
      this.#notePut()
      this.#recovered()
    } catch (error) {
      this.#failed(error)
    }
  }

  #rebuild(): void {
    const { metrics, log } = this.#options
    this.#table.forget()
    metrics.tableRebuilt.inc()
    log.warn('somebody removed or changed the table of traffic scrubbing; it is put back whole')
  }

  /** Of several wishes at once the last look is made after all of them. */
  #inspectSoon(after: 'ours' | 'a stranger'): void {
    if (this.#closed) return
    if (this.#inspectFor !== 'a stranger') this.#inspectFor = after
    this.#inspecting ??= this.#inspect().finally(() => {
      this.#inspecting = null
    })
  }

  async #inspect(): Promise<void> {
    while (this.#inspectFor !== null && !this.#closed) {
      const after = this.#inspectFor
      this.#inspectFor = null
      try {
        const found = await this.#table.inspect(after)
        this.#inspectionFailure = null
        // What it looks like is to be on disk.
        if (after === 'ours') this.#turned = true
        if (found === 'changed') {
          await this.#inTurn(async () => {
            this.#rebuild()
            await this.#put()
          })
        }
      } catch (error) {
        const { message } = error as Error
        if (message === this.#inspectionFailure) continue
        this.#inspectionFailure = message
        this.#options.log.warn({ error }, 'cannot look whether somebody has changed the table of traffic scrubbing')
      }
    }
  }

  /** The same again and again for hours is one line. */
  #failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    this.#hasFailed = true
    if (message === this.#failure) return
    this.#failure = message
    this.#options.log.error(
      { error },
      'traffic scrubbing fails; what stands in the kernel stays, and it is tried again',
    )
  }

  #recovered(): void {
    if (this.#failure === null) return
    this.#failure = null
    this.#options.log.info('traffic scrubbing works again')
  }

  /** At once where something has turned, and each second of an event, so that its totals are right over a kill. */
  #saveIfDue(): void {
    const isInEvent = [...this.#watched.values()].some(({ state }) => state.event !== null)
    const isOld = this.#options.clock.monotonicMs() - this.#savedAtMs >= saveIntervalMs
    if (this.#turned || isInEvent || isOld) void this.#save()
  }

  async #save(): Promise<void> {
    const { kept, clock, bootId } = this.#options
    this.#turned = false
    this.#savedAtMs = clock.monotonicMs()
    if (kept === null) return
    const all = [...this.#watched.values()]
    const inEvent = all.filter(({ state }) => state.event !== null)
    const counters = new Set(inEvent.flatMap(({ instance }) => countersOf(instance)))
    await kept.write({
      bootId,
      table: this.#table.kept(name => counters.has(name)),
      instances: all.map(({ state }) => state),
    })
  }

  #now() {
    const { clock } = this.#options
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
  }
}

function told({ thresholds, maximum, scrubbing }: ScrubInstance) {
  return {
    bps: thresholds?.bpsMbit ?? null,
    pps: thresholds?.pps ?? null,
    maxBps: maximum?.maxBpsMbit ?? null,
    maxPps: maximum?.maxPps ?? null,
    source: thresholds?.source ?? null,
    scrubbingCancelled: scrubbing === 'cancelled',
  }
}

function countersOf({ id, enis }: ScrubInstance): readonly string[] {
  const offered = enis.flatMap(eni =>
    [...trafficTypes, 'out-of-scope' as const].map(type => offeredCounter(eni.id, type)),
  )
  return [...offered, ...scrubSteps.map(step => droppedCounter(id, step))]
}

/** Which defences stand, to be compared. */
function defencesText(watched: ReadonlyMap<string, Watched>): string {
  const defended = [...watched].filter(([, { defence }]) => defence.kind !== 'none')
  return JSON.stringify(
    defended.map(([id, { defence }]) => [id, defence, defence.kind === 'clean' ? [...defence.lanes] : []]),
  )
}

function haveSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every(name => b.has(name))
}
