/**
 * How every write is made: planned on the state in memory, committed to the store, and only then answered. Writes are
 * planned one after the other, each on the state that the one before left, so that none is lost and no limit passed by
 * two at once. A commit holds only if nothing was committed since the plan was made; where another daemon was faster,
 * the plan is made again on the newer state.
 */
import { createHash } from 'node:crypto'
import { ApiError } from '../errors.ts'
import { type IdempotencyDoc, type Kind, keyOf, parseKey } from '../model/documents.ts'
import { type Note, notedActions, notedPrincipal } from '../model/note.ts'
import type { World } from '../state/world.ts'
import type { Change, Store, Write } from '../store/store.ts'
import type { Principal } from './principal.ts'

export interface Call {
  readonly principal: Principal
  readonly action: string
  /** More exactly, by what was changed: one or more. Left out, or where none is given, it is `action`. */
  readonly actionsOf?: (changes: readonly Change[]) => readonly string[]
  readonly requestId: string
  readonly sourceAddress: string
  readonly dryRun: boolean
  /** The revision that the subject must have been written last by; null for any. */
  readonly ifMatch: number | null
  readonly idempotency: Idempotency | null
}

export interface Idempotency {
  readonly key: string
  /** Of the whole request: equal for a repetition of it. */
  readonly fingerprint: string
}

/** The object that a request's path names. */
export interface Subject {
  readonly kind: Kind
  readonly id: string
}

/** What a write would do; made by services, which throw `ApiError` where they refuse. */
export interface Plan<Body> {
  /** Each key at most once. Documents that stay as they are need not be left out. */
  readonly writes: readonly Write[]
  /** Made before the commit, because it may have to be part of it. @param revisionOf  as it will be afterwards */
  readonly body: (revisionOf: RevisionOf) => Body
}

/** The revision that wrote a document last; 0 where there is none. */
export type RevisionOf = (kind: Kind, id: string) => number

export type Outcome<Body> =
  /** `revision` is the present one where there was nothing to do. */
  | { readonly kind: 'done'; readonly body: Body; readonly revision: number; readonly changed: boolean }
  | { readonly kind: 'replayed'; readonly body: unknown; readonly status: number; readonly revision: number }
  | { readonly kind: 'preview'; readonly body: Body; readonly changes: readonly Change[] }

export interface ExecutorParts {
  readonly store: Store
  /** Fed by the store's commits before their promises resolve. */
  readonly world: World
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const idempotencyTtlMs = 24 * 3600 * 1000
/** How often a plan is made again because another daemon wrote meanwhile. */
const attempts = 8

export class Executor {
  readonly #parts: ExecutorParts
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: ExecutorParts) {
    this.#parts = parts
  }

  /**
   * @param subject  what `ifMatch` is about; null where the path names no object
   * @param status   what a repetition of the request is answered with
   * @throws {ApiError} where the plan, a precondition or the store refuses; nothing was stored then
   */
  execute<Body>(
    call: Call,
    { subject, status }: { readonly subject: Subject | null; readonly status: number },
    plan: (world: World) => Plan<Body>,
  ): Promise<Outcome<Body>> {
    const done = this.#last.then(() => this.#executeNow(call, { subject, status }, plan))
    this.#last = done.catch(() => {})
    return done
  }

  async #executeNow<Body>(
    call: Call,
    { subject, status }: { readonly subject: Subject | null; readonly status: number },
    plan: (world: World) => Plan<Body>,
  ): Promise<Outcome<Body>> {
    const { store, world, now } = this.#parts
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const replay = call.dryRun ? null : this.#replay(call)
      if (replay !== null) return replay
      if (subject !== null) requireMatch(call, world.revisionOf(subject.kind, subject.id))
      const planned = plan(world)
      const changes = changesOf(world, planned.writes)
      const body = planned.body(revisionsAfter(world, changes))
      if (call.dryRun) return { kind: 'preview', body, changes }
      const revision = changes.length > 0 ? world.revision + 1 : world.revision
      const remembered = remember(call, { status, body, revision, nowMs: now() })
      if (changes.length + remembered.length === 0) return { kind: 'done', body, revision, changed: false }
      const result = await store.commit({
        writes: [...changes.map(({ key, value }) => ({ key, value })), ...remembered],
        preconditions: [{ kind: 'head', revision: world.revision }],
        note: noteOf(call, changes),
      })
      if (result.kind === 'committed') return { kind: 'done', body, revision, changed: changes.length > 0 }
      // The newer commits reach the world through the watch.
      await new Promise(setImmediate)
    }
    throw new ApiError(
      503,
      'Busy',
      `Cannot store the change: other daemons wrote ${attempts} times meanwhile; try again`,
    )
  }

  #replay({ principal, idempotency }: Call): Outcome<never> | null {
    if (idempotency === null) return null
    const kept = this.#parts.world.get('idempotency', idempotencyId(principal, idempotency.key))
    if (kept === undefined || kept.expiresAtMs <= this.#parts.now()) return null
    if (kept.fingerprint !== idempotency.fingerprint) {
      const message = `Cannot use Idempotency-Key "${idempotency.key}": expected the request it was first used with, or a new key`
      throw new ApiError(422, 'IdempotentParameterMismatch', message)
    }
    return { kind: 'replayed', body: kept.body, status: kept.status, revision: kept.revision }
  }
}

function requireMatch({ ifMatch }: Call, revision: number): void {
  if (ifMatch === null || ifMatch === revision) return
  const message =
    revision === 0
      ? 'Cannot change the object: expected it to exist'
      : `Cannot change the object: If-Match says revision ${ifMatch}, but it was last written by ${revision}; read it again`
  throw new ApiError(412, 'PreconditionFailed', message, { details: { currentRevision: revision } })
}

/** What the writes change, in their order; those that change nothing are left out. */
function changesOf(world: World, writes: readonly Write[]): Change[] {
  return writes.flatMap(({ key, value }) => {
    const { kind, id } = parseKey(key)
    const before = world.get(kind, id) ?? null
    return JSON.stringify(before) === JSON.stringify(value) ? [] : [{ key, value, before }]
  })
}

/** A commit that holds has the revision after the one its plan was made on. */
function revisionsAfter(world: World, changes: readonly Change[]): RevisionOf {
  const written = new Map(changes.map(({ key, value }) => [key, value === null ? 0 : world.revision + 1]))
  return (kind, id) => written.get(keyOf(kind, id)) ?? world.revisionOf(kind, id)
}

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly revision: number
  readonly nowMs: number
}

function remember({ principal, idempotency }: Call, { status, body, revision, nowMs }: Answer): Write[] {
  if (idempotency === null) return []
  const { key, fingerprint } = idempotency
  const doc: IdempotencyDoc = { fingerprint, status, body, revision, expiresAtMs: nowMs + idempotencyTtlMs }
  return [{ key: keyOf('idempotency', idempotencyId(principal, key)), value: doc }]
}

function idempotencyId(principal: Principal, key: string): string {
  return `${principal.id}.${createHash('sha256').update(key).digest('hex')}`
}

function noteOf({ principal, action, actionsOf, sourceAddress, requestId }: Call, changes: readonly Change[]): Note {
  const actions = actionsOf?.(changes) ?? []
  return {
    ...notedActions(actions.length > 0 ? actions : [action]),
    principal: notedPrincipal(principal),
    sourceAddress,
    requestId,
  }
}
