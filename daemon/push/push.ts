/**
 * The daemon's side of agents, put together: it hears of commits, tells the agents concerned, and knows what stands in
 * their kernels.
 */
import { randomUUID } from 'node:crypto'
import type { Registry } from 'prom-client'
import type { WebSocket } from 'ws'
import type { Logger } from '../../common/log.ts'
import { type GoodbyeCode, type Position, pushPath, type ToAgent, type ToDaemon } from '../../wire/messages.ts'
import type { DdosNotification } from '../../wire/notification.ts'
import { Ddos, type DdosMessage } from '../ddos/ddos.ts'
import { ApiError } from '../errors.ts'
import { authorityId, keyOf } from '../model/documents.ts'
import type { RefusedWrite } from '../model/note.ts'
import type { Authority } from '../pki/authority.ts'
import { Enrolment } from '../pki/enrolment.ts'
import { dayMs, renewalGraceDays } from '../pki/lifetimes.ts'
import type { DdosBoard } from '../services/ddos-board.ts'
import type { Enforcement, EnforcementBoard } from '../services/enforcement.ts'
import type { Executor } from '../services/executor.ts'
import type { ObservedBoard } from '../services/observed-board.ts'
import type { World } from '../state/world.ts'
import { type Change, type Commit, CompactedError, type Store } from '../store/store.ts'
import { Throttle } from '../throttle.ts'
import type { AgentRecord, AgentState, AgentTrial } from './agent-record.ts'
import { ChangeLog, type ChangeLogOptions, enforcementOf, tellWaiters, untilEnforced } from './changes.ts'
import { heldOf } from './delta.ts'
import { Encoder } from './encoder.ts'
import { Heartbeat } from './heartbeat.ts'
import { type Impact, impactOf, pastImpactOf } from './impact.ts'
import { MemberLog, type MemberLogOptions } from './member-log.ts'
import { createPushMetrics, type PushMetrics } from './metrics.ts'
import { ObservedReports } from './observed-reports.ts'
import { defaultPushOptions, type PushOptions } from './options.ts'
import { AgentRegistry, type AgentStatus } from './registry.ts'
import { Reports } from './reports.ts'
import { Sender } from './sender.ts'
import { AgentServer } from './server.ts'
import { AgentSession, type SessionIdentity, type SessionListener } from './session.ts'

export interface PushParts {
  readonly store: Store
  /** As it is in the store; whoever composes applies commits to it and tells `committed`. */
  readonly world: World
  readonly authority: Authority
  /** Through which the operators' writes go too. */
  readonly executor: Pick<Executor, 'execute'>
  readonly logger: Logger
  /** Gets the metrics of this side. */
  readonly registry: Registry
  readonly host: string
  /** 0 chooses one. */
  readonly port: number
  /** How long agents' certificates are good for, and after that for renewal alone; 7 and 30 days where left out. */
  readonly certificateMs?: number
  readonly renewalGraceMs?: number
  readonly options?: Partial<PushOptions>
  /** Told of each attempt to enrol, and to renew a certificate, that was refused. */
  readonly onRefused?: (refused: RefusedWrite) => void
  /** Told of each change of an attack before it is stored; must not fail. */
  readonly notify?: (notification: DdosNotification) => Promise<void>
  readonly memberLog?: MemberLogOptions
  readonly changeLog?: ChangeLogOptions
}

type Of<Type extends ToDaemon['type']> = Extract<ToDaemon, { readonly type: Type }>

/**
 * A host that comes back before its end was noticed takes its own connection over now and then; two hosts with one
 * identity, a machine and its copy, do it to each other for ever. So many are let pass, and so often it is said.
 */
const takeovers = { burst: 5, perSecond: 1 / 60 } as const
const takeoverWarnings = { burst: 1, perSecond: 1 / 600 } as const
/** A kernel that refuses is tried again with growing delay; who refuses all the time must not fill the log. */
const refusalWarnings = { burst: 20, perSecond: 1 / 10 } as const
/** How many connections are ended at once when the daemon stops. */
const goodbyesAtOnce = 500

export class Push implements EnforcementBoard, SessionListener {
  readonly #parts: PushParts
  readonly #options: PushOptions
  readonly #metrics: PushMetrics
  readonly #registry: AgentRegistry
  readonly #log: MemberLog
  readonly #changes: ChangeLog
  readonly #sender: Sender
  readonly #heartbeat: Heartbeat
  readonly #enrolment: Enrolment
  readonly #reports: Reports
  readonly #ddos: Ddos
  readonly #observed: ObservedReports
  readonly #takeovers = new Throttle(takeovers)
  readonly #takeoverWarnings = new Throttle(takeoverWarnings)
  readonly #refusalWarnings = new Throttle(refusalWarnings)
  /** Connections of agents, those that have not said `hello` yet too. */
  readonly #sessions = new Set<AgentSession>()
  #server: AgentServer | null = null
  #stopping = false

  /**
   * Listens when it resolves. `committed` must be told of every commit after the world's revision, those included that
   * agents make before anybody watches.
   * @throws {Error} where it cannot listen
   * @throws {StoreError}
   */
  static async start(parts: PushParts): Promise<Push> {
    const { store, world, executor, logger, registry, notify = async () => {} } = parts
    const log = await MemberLog.read(store, world.revision, parts.memberLog)
    const { ddosEventIntervalMs: eventIntervalMs, ddosRetryMs: retryMs } = { ...defaultPushOptions, ...parts.options }
    const say = (agentId: string, message: ToAgent) => push.#say(agentId, message)
    const ddos = await Ddos.open({ store, world, executor, logger, registry, notify, say, eventIntervalMs, retryMs })
    const push: Push = new Push(parts, log, ddos)
    try {
      const { authority, host, port } = parts
      push.#server = await AgentServer.listen(
        {
          world,
          authority,
          logger,
          enrolment: push.#enrolment,
          options: push.#options,
          renewalGraceMs: parts.renewalGraceMs ?? renewalGraceDays.usual * dayMs,
          metrics: push.#metrics,
          onAgent: (socket, identity) => push.#meet(socket, identity),
          onRefused: parts.onRefused ?? (() => {}),
        },
        { host, port },
      )
    } catch (error) {
      push.#stop()
      throw error
    }
    return push
  }

  private constructor(parts: PushParts, log: MemberLog, ddos: Ddos) {
    const { store, world, authority, logger, registry } = parts
    this.#parts = parts
    this.#options = { ...defaultPushOptions, ...parts.options }
    this.#log = log
    this.#ddos = ddos
    this.#observed = new ObservedReports({ world, now: Date.now })
    this.#registry = new AgentRegistry({ world, now: Date.now })
    this.#metrics = createPushMetrics(registry, () => this.#registry)
    this.#changes = new ChangeLog(parts.changeLog)
    const encoder = new Encoder({ storeId: store.id, world, log })
    this.#sender = new Sender({ world, log, encoder, registry: this.#registry, metrics: this.#metrics, logger })
    this.#heartbeat = new Heartbeat(this.#options)
    this.#enrolment = new Enrolment({ store, world, authority, certificateMs: parts.certificateMs })
    this.#reports = new Reports({ enrolment: this.#enrolment, intervalMs: this.#options.reportIntervalMs, logger })
  }

  /** That agents connect to. */
  get port(): number {
    return this.#server?.port ?? 0
  }

  /** How instances stand under attack. */
  get ddos(): DdosBoard {
    return this.#ddos
  }

  /** What observed ENIs would have dropped. */
  get observed(): ObservedBoard {
    return this.#observed
  }

  /** What a commit will do, to be asked before the world has it. */
  impactOf(changes: readonly Change[]): Impact {
    return impactOf(this.#parts.world, changes)
  }

  /** Every commit in order, after the world has it. @param impact  as asked before */
  committed(commit: Commit, impact: Impact): void {
    const { revision } = commit
    this.#log.append(commit)
    this.#ddos.committed(commit)
    this.#observed.committed(commit)
    for (const record of this.#registry.apply(commit)) {
      const what = record.standing === 'deleted' ? 'is not there any more' : 'was revoked'
      this.#letGo(record, 'revoked', `the agent ${what}: enrol again with a new token`)
      this.#ddos.revoked(record.id)
      this.#observed.forget(record.id)
      tellWaiters(record)
    }
    this.#endReplaced(commit)
    this.#noteAuthority(commit)
    const concerned: AgentRecord[] = []
    for (const agentId of impact.agentIds) {
      const record = this.#registry.get(agentId)
      if (record?.standing !== 'active') continue
      concerned.push(record)
      record.relevant = revision
      this.#registry.look(record)
      this.#sender.touch(record)
    }
    // Attacks change by the second, and are nothing that is enforced: others are remembered the longer.
    if (concerned.length > 0 || !isOfEventsAlone(commit)) this.#changes.record(revision, concerned)
  }

  /** How many agents are in each state. */
  countByState(): ReadonlyMap<AgentState, number> {
    return this.#registry.countByState()
  }

  agentStatus(agentId: string): AgentStatus | undefined {
    return this.#registry.statusOf(agentId)
  }

  /**
   * An operator wants the policy that an agent has on trial.
   * @throws {ApiError} 409 where none there waits for anybody
   */
  confirmTrial(agentId: string): AgentTrial {
    const trial = this.#registry.get(agentId)?.trial ?? null
    if (trial === null || !trial.needsPerson || trial.untilMs <= Date.now()) {
      const message = `Cannot confirm for agent "${agentId}": expected a policy on trial there that waits for somebody`
      throw new ApiError(409, 'NothingOnTrial', message)
    }
    this.#say(agentId, { type: 'confirm', revision: trial.revision })
    return trial
  }

  agentsTouchedBy(changes: readonly Change[]): readonly string[] {
    const { agentIds } = impactOf(this.#parts.world, changes)
    return [...agentIds].filter(id => this.#registry.get(id)?.standing === 'active').sort()
  }

  /**
   * Of a commit older than this process remembers, the agents concerned are those that see today what it changed.
   * @throws {CompactedError} for a revision whose history is gone
   * @throws {ApiError} 404 for one that there has not been
   */
  async status(revision: number): Promise<Enforcement> {
    return enforcementOf(revision, await this.#concernedBy(revision))
  }

  /** @throws as `status` */
  async awaitEnforced(revision: number, timeoutMs: number, signal?: AbortSignal): Promise<Enforcement> {
    const concerned = await this.#concernedBy(revision)
    await untilEnforced(revision, concerned, { timeoutMs, signal })
    return enforcementOf(revision, concerned)
  }

  /** Says goodbye to every agent. What stands in their kernels stays. */
  async close(): Promise<void> {
    this.#stop()
    const closed = this.#server?.close()
    const sessions = [...this.#sessions]
    for (let first = 0; first < sessions.length; first += goodbyesAtOnce) {
      for (const session of sessions.slice(first, first + goodbyesAtOnce)) session.end('stopping', 'the daemon stops')
      await new Promise(setImmediate)
    }
    await closed
  }

  #stop(): void {
    this.#stopping = true
    this.#sender.close()
    this.#heartbeat.close()
    this.#reports.close()
    this.#ddos.close()
  }

  async #concernedBy(revision: number): Promise<readonly AgentRecord[]> {
    const known = this.#changes.concernedBy(revision)
    if (known !== undefined) return known
    const { store, world } = this.#parts
    if (revision < 1 || revision > store.head()) {
      throw new ApiError(
        404,
        'InvalidRevision.NotFound',
        `Cannot find revision ${revision}: expected 1 to ${store.head()}`,
      )
    }
    const [commit] = await store.history(revision, 1)
    if (commit === undefined) throw new CompactedError(revision, store.oldest())
    const { agentIds } = pastImpactOf(world, commit.changes)
    return [...agentIds].flatMap(id => this.#registry.get(id) ?? [])
  }

  #meet(socket: WebSocket, identity: SessionIdentity): void {
    const session = new AgentSession(socket, identity, {
      listener: this,
      options: this.#options,
      metrics: this.#metrics,
      logger: this.#parts.logger,
    })
    this.#sessions.add(session)
    if (this.#stopping) session.end('stopping', 'the daemon stops')
  }

  hello(session: AgentSession, { report, view, enforced }: Of<'hello'>): AgentRecord | null {
    const { agentId, serialNumber, sourceAddress } = session
    const record = this.#registry.get(agentId)
    const doc = this.#parts.world.get('agent', agentId)
    const place = doc?.certificates.findIndex(listed => listed.serialNumber === serialNumber) ?? -1
    if (record?.standing !== 'active' || doc === undefined) {
      session.end('revoked', 'the agent was revoked')
      return null
    }
    if (place === -1) {
      session.end('replaced', 'the certificate of this connection was replaced')
      return null
    }
    this.#noteTakeover(record, sourceAddress)
    this.#noteFuture(agentId, view)
    this.#letGo(record, 'replaced', `the agent has connected again, from ${sourceAddress}`)
    record.link = session
    record.refusing = false
    record.trial = null
    record.enforced = this.#revisionOf(enforced)
    this.#registry.look(record)
    this.#heartbeat.add(session, record)
    this.#sender.greet(record, heldOf(view, this.#parts.store.id))
    this.#ddos.greeted(agentId)
    tellWaiters(record)
    this.#reports.offer(agentId, report, { known: doc.report, sourceAddress })
    if (place > 0) this.#confirm(session)
    return record
  }

  report({ id }: AgentRecord, { report }: Of<'report'>): void {
    const known = this.#parts.world.get('agent', id)?.report ?? null
    this.#reports.offer(id, report, { known, sourceAddress: this.#sourceOf(id) })
  }

  enforced(record: AgentRecord, { revision, enis }: Of<'enforced'>): string | null {
    const standing = judgeAnswer(record, revision)
    if (standing === 'foreign') return null
    if (standing === 'unsent') return `enforced: revision ${revision} was not sent`
    record.refusing = false
    record.trial = null
    record.enis = enis
    if (record.enforced === null || record.enforced < revision) record.enforced = revision
    if (record.lastError !== null && record.lastError.revision <= revision) record.lastError = null
    const seconds = this.#sender.answered(record, revision)
    if (seconds !== null) this.#metrics.pushDuration.observe(seconds)
    this.#registry.look(record)
    tellWaiters(record)
    return null
  }

  refused(record: AgentRecord, answer: Of<'refused'>): string | null {
    const { revision, error, retryInMs, trial } = answer
    const { kind, message } = error
    const standing = judgeAnswer(record, revision)
    if (standing === 'foreign') return null
    if (standing === 'unsent') return `refused: revision ${revision} was not sent`
    record.refusing = true
    record.lastError = { revision, kind, message, atMs: Date.now() }
    record.trial = trial === undefined ? null : { ...trial, revision, untilMs: Date.now() + retryInMs }
    this.#sender.answered(record, revision)
    this.#metrics.refusals.inc()
    if (this.#refusalWarnings.take(record.id)) {
      this.#parts.logger.warn({ agent: record.id, revision, kind, message }, 'agent refuses a revision')
    }
    this.#registry.look(record)
    return null
  }

  renew({ id, hostName, link }: AgentRecord, { publicKey, proof }: Of<'renew'>): void {
    if (!(link instanceof AgentSession)) return
    const { serialNumber, sourceAddress } = link
    this.#enrolment.renew({ agentId: id, serialNumber, sourceAddress }, { publicKey, proof }).then(
      certificate => link.say({ type: 'renewed', certificate }),
      error => {
        this.#parts.logger.warn({ agent: id, error }, 'certificate was not renewed')
        // A fault of ours is none of the agent's: it asks again.
        if (!(error instanceof ApiError) || error.status >= 500) return
        const { status, code, message } = error
        const principal = { kind: 'agent', id, name: hostName } as const
        const note = { action: 'ringwall:RenewAgent', principal, sourceAddress, requestId: randomUUID() }
        const objects = [keyOf('agent', id)]
        this.#parts.onRefused?.({ note, method: 'WebSocket', url: pushPath, objects, status, code, message })
        link.end('bad-message', message)
      },
    )
  }

  scrubbing(record: AgentRecord, message: DdosMessage): string | null {
    return this.#ddos.take(record.id, message, this.#sourceOf(record.id))
  }

  observing({ id }: AgentRecord, { enis }: Of<'observed'>): void {
    this.#observed.take(id, enis)
  }

  closed(session: AgentSession): void {
    this.#sessions.delete(session)
    this.#heartbeat.delete(session)
    const record = this.#registry.get(session.agentId)
    if (record?.link === session) this.#unlink(record)
  }

  #letGo(record: AgentRecord, code: GoodbyeCode, message: string): void {
    const { link } = record
    if (link === null) return
    this.#unlink(record)
    link.end(code, message)
  }

  #unlink(record: AgentRecord): void {
    record.link = null
    record.refusing = false
    record.trial = null
    this.#sender.forget(record)
    this.#ddos.left(record.id)
    this.#registry.look(record)
  }

  #noteTakeover({ id: agent, link }: AgentRecord, sourceAddress: string): void {
    if (link === null || this.#takeovers.take(agent) || !this.#takeoverWarnings.take(agent)) return
    this.#parts.logger.warn(
      { agent, sources: [link.sourceAddress, sourceAddress] },
      'two hosts seem to be this agent in turn, a machine and its copy perhaps: enrol one of them with a token of its own',
    )
  }

  /** Where a backup was restored the store has another id; a copy has not. */
  #noteFuture(agent: string, view: Of<'hello'>['view']): void {
    const { store, world, logger } = this.#parts
    if (view === null || view.storeId !== store.id || view.revision <= world.revision) return
    logger.warn(
      { agent, revision: view.revision, head: world.revision },
      'the agent holds a later revision than there is: an older copy may be in the place of the store, see "Backup"',
    )
  }

  /** Agents that enrolled anew: what is connected under the old certificate is somebody else now. */
  #endReplaced({ changes }: Commit): void {
    for (const { key } of changes) {
      const record = key.startsWith('agent/') ? this.#registry.get(key.slice('agent/'.length)) : undefined
      if (record === undefined || record.link === null) continue
      const { certificates = [] } = this.#parts.world.get('agent', record.id) ?? {}
      if (!certificates.some(({ serialNumber }) => serialNumber === record.link?.serialNumber)) {
        this.#letGo(record, 'replaced', 'the agent has enrolled again')
      }
    }
  }

  /** A backup of another installation was put back: what listens here still has the key of before. */
  #noteAuthority({ changes }: Commit): void {
    const change = changes.find(({ key }) => key === keyOf('authority', authorityId))
    const { certificate } = (change?.value ?? {}) as { readonly certificate?: string }
    if (change !== undefined && certificate !== this.#parts.authority.certificate) {
      this.#parts.logger.error(
        'the CA of agents was replaced: restart the daemon, and enrol agents that cannot connect then',
      )
    }
  }

  #confirm({ agentId, serialNumber, sourceAddress }: AgentSession): void {
    this.#enrolment.confirm(agentId, serialNumber, sourceAddress).catch(error => {
      this.#parts.logger.warn({ agent: agentId, error }, 'certificate before the last stays listed')
    })
  }

  #revisionOf(position: Position | null): number | null {
    const { store, world } = this.#parts
    return position !== null && position.storeId === store.id && position.revision <= world.revision
      ? position.revision
      : null
  }

  #say(agentId: string, message: ToAgent): void {
    this.#registry.get(agentId)?.link?.send(Buffer.from(JSON.stringify(message)))
  }

  #sourceOf(agentId: string): string {
    return this.#registry.get(agentId)?.link?.sourceAddress ?? ''
  }
}

function isOfEventsAlone({ changes }: Commit): boolean {
  return changes.every(({ key }) => key.startsWith('ddosEvent/'))
}

/** Whether an answer is to something that the agent was told, over this connection or one before. */
function judgeAnswer({ held, answersFrom }: AgentRecord, revision: number): 'ours' | 'foreign' | 'unsent' {
  if (held === null || answersFrom === null || revision < answersFrom) return 'foreign'
  return revision <= held.revision ? 'ours' : 'unsent'
}
