/** A daemon's side of agents on a store in memory: what daemon/daemon.ts composes, without the REST API. */
import { Writable } from 'node:stream'
import { Registry } from 'prom-client'
import { createLogger } from '../../common/log.ts'
import type { Kind } from '../../daemon/model/documents.ts'
import { type Authority, openAuthority } from '../../daemon/pki/authority.ts'
import { type EnrolmentOptions, makeEnrolment } from '../../daemon/pki/enrolment.ts'
import { Push, type PushParts } from '../../daemon/push/push.ts'
import { Executor } from '../../daemon/services/executor.ts'
import { World } from '../../daemon/state/world.ts'
import type { Write } from '../../daemon/store/store.ts'
import { put } from './documents.ts'
import { enrolFake, type FakeCredentials } from './fake-agent.ts'
import { MemoryStore } from './memory-store.ts'

const hourMs = 3600 * 1000

export interface PushHostOptions extends Partial<Omit<PushParts, 'store' | 'world' | 'authority'>> {
  readonly store?: MemoryStore
}

export class PushHost implements AsyncDisposable {
  readonly store: MemoryStore
  readonly world: World
  readonly authority: Authority
  readonly push: Push
  readonly metrics: Registry
  readonly logged: readonly Record<string, unknown>[]

  static async start({ store = new MemoryStore(), ...parts }: PushHostOptions = {}): Promise<PushHost> {
    const authority = await openAuthority(store)
    const world = new World(await store.list(''))
    const metrics = new Registry()
    const logged: Record<string, unknown>[] = []
    const destination = new Writable({
      write(line, _, done) {
        logged.push(JSON.parse(String(line)))
        done()
      },
    })
    const logger = createLogger('ringwall-daemon', 'debug', destination)
    const listen = { host: '127.0.0.1', port: 0 }
    const executor = new Executor({ store, world, now: Date.now })
    const common = { store, world, authority, executor, logger, registry: metrics }
    const push = await Push.start({ ...common, ...listen, ...parts })
    await store.watch(world.revision + 1, commit => {
      const impact = push.impactOf(commit.changes)
      world.apply(commit)
      push.committed(commit, impact)
    })
    return new PushHost({ store, world, authority, push, metrics, logged })
  }

  private constructor(fields: Pick<PushHost, 'store' | 'world' | 'authority' | 'push' | 'metrics' | 'logged'>) {
    this.store = fields.store
    this.world = fields.world
    this.authority = fields.authority
    this.push = fields.push
    this.metrics = fields.metrics
    this.logged = fields.logged
  }

  get port(): number {
    return this.push.port
  }

  /** @returns the revision */
  async commit(...writes: readonly Write[]): Promise<number> {
    const result = await this.store.commit({ writes })
    if (result.kind !== 'committed') throw new Error('the commit was refused')
    return result.revision
  }

  /** @returns the token's text */
  async token(options: Partial<EnrolmentOptions> = {}): Promise<string> {
    const times = { validMs: hourMs, nowMs: Date.now() }
    const { enrolment, token } = makeEnrolment({ ...times, ...options }, this.authority.fingerprint)
    await this.commit(put('enrolment', enrolment))
    return token
  }

  async enrol(options: Partial<EnrolmentOptions> = {}): Promise<FakeCredentials> {
    return enrolFake(this.port, await this.token(options))
  }

  /** As it stands, changed. */
  async change<K extends Kind>(kind: K & Parameters<typeof put>[0], id: string, changes: object): Promise<number> {
    return this.commit(put(kind, { id, ...this.world.get(kind as Kind, id), ...changes }))
  }

  /** The value of one series of the metrics. */
  async metric(series: string): Promise<number> {
    const line = (await this.metrics.metrics()).split('\n').find(text => text.startsWith(`${series} `))
    return Number(line?.slice(series.length + 1) ?? Number.NaN)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.push.close()
  }
}
