/**
 * The audit log: every write, done or refused, one JSON object a line. What was done is taken from the store's history,
 * from the last line's revision on: so nothing is lost between a commit and its line, whoever is killed in between and
 * however long the disk was full, and nothing stands there twice.
 */
import type { Logger } from '../../common/log.ts'
import type { Note, RefusedWrite } from '../model/note.ts'
import { type Commit, CompactedError, type Store } from '../store/store.ts'
import { sourceKey, Throttle } from '../throttle.ts'
import { type AuditEvent, eventOfAct, eventOfCommit, eventOfRefusal, lineOf, type UnplacedEvent } from './event.ts'
import { type AuditPage, type SearchOptions, searchFiles } from './search.ts'
import { AuditWriter } from './writer.ts'

export interface AuditLogOptions {
  /** Of the file that is written, in a folder that exists; older ones stand beside it, `audit.jsonl.1` and so on. */
  readonly path: string
  readonly store: Pick<Store, 'history' | 'head' | 'oldest'>
  readonly log: Logger
  /** Counts attempts to write that failed. */
  readonly metrics: { readonly auditFailures: { inc(): void } }
  /** 64 MiB where left out. */
  readonly maxBytes?: number
  /** Files kept besides the one that is written; 10 where left out. */
  readonly keptFiles?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** Called where there are lines of commits that the store has not: an older copy is in its place. Noted when it has resolved. */
  readonly onStoreWentBack?: () => Promise<void>
}

interface Waiting {
  readonly event: UnplacedEvent
  /** It comes after this commit. */
  readonly head: number
}

const pageSize = 256
/** Refusals that wait for the disk; what comes after them is counted. */
const maxWaiting = 1000
/** As much as is written at once, or a single line. */
const appendBytes = 64 * 1024
const retryMs = 5000
/** Of one source, what is refused to who has shown no key or token: enough to see that somebody tries. */
const ofStrangers = { burst: 30, perSecond: 1 / 60 } as const

/**
 * Opens the log and adds what it lacks.
 * @throws {Error} where what is there cannot be read
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const audit = new AuditLog(options)
  await audit.begin()
  return audit
}

export class AuditLog {
  readonly #options: AuditLogOptions
  readonly #now: () => number
  readonly #writer: AuditWriter
  /** Every commit up to here has its line, or needs none. */
  #covered = 0
  readonly #waiting: Waiting[] = []
  readonly #ofStrangers = new Throttle(ofStrangers)
  #dropped = 0
  #isFailing = false
  #isAsked = false
  #writing: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | null = null

  constructor(options: AuditLogOptions) {
    const { path, maxBytes = 64 * 1024 * 1024, keptFiles = 10, now = Date.now } = options
    this.#options = options
    this.#now = now
    this.#writer = new AuditWriter({ path, maxBytes, keptFiles })
  }

  /** To be told that there were commits; they are read from the history when their turn comes. */
  committed(): void {
    this.#ask()
  }

  /**
   * Requests that were over the rate limit are none of the log's, nor is all that strangers try: it could be flooded with
   * them until what is older is gone.
   */
  refused(refused: RefusedWrite): void {
    const { status, note } = refused
    if (status === 429) return
    if (isOfStranger(note) && !this.#ofStrangers.take(sourceKey(note.sourceAddress ?? ''))) return
    this.#wait(eventOfRefusal(refused, this.#now()))
  }

  /** Notes what was done without a commit: a backup, say. */
  acted(note: Note, detail: string): void {
    this.#wait(eventOfAct(note, detail, this.#now()))
  }

  search(options: SearchOptions): Promise<AuditPage> {
    return searchFiles(this.#options.path, options)
  }

  /** When all that it was told of stands in the file, or the attempt has failed. */
  async settled(): Promise<void> {
    await this.#writing
  }

  async close(): Promise<void> {
    this.#ask()
    await this.#writing
    if (this.#retry !== null) clearTimeout(this.#retry)
    await this.#writer.close()
  }

  /** Once, before anything else. */
  async begin(): Promise<void> {
    const { store, log, path } = this.#options
    const { revision, repair } = await this.#writer.begin().catch((cause: Error) => {
      throw new Error(`Cannot read audit log "${path}": ${cause.message}`, { cause })
    })
    if (repair !== null) log.warn({ path, repair }, 'the last line of the audit log was torn')
    const head = store.head()
    this.#covered = Math.min(revision, head)
    if (revision > head) {
      log.warn({ revision, head }, 'the audit log is ahead of the store: an older state was put in its place')
      await this.#options.onStoreWentBack?.()
      // It has the store's revision, so that the next start goes on from there, and not from what is no more.
      this.#wait(this.#gap(`revisions ${head + 1} to ${revision} are no more: an older state was put in their place`))
    }
    this.#ask()
    await this.#writing
  }

  #wait(event: UnplacedEvent): void {
    if (this.#waiting.length < maxWaiting) this.#waiting.push({ event, head: this.#options.store.head() })
    else this.#dropped += 1
    this.#ask()
  }

  /** One attempt runs at a time, and one more follows it if there was something new meanwhile. */
  #ask(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    this.#writing = this.#writing.then(() => {
      this.#isAsked = false
      return this.#attempt()
    })
  }

  async #attempt(): Promise<void> {
    const { log, metrics, store } = this.#options
    try {
      while (this.#waiting.length > 0 || this.#dropped > 0 || this.#covered < store.head()) await this.#writeSome()
      if (this.#isFailing) log.info({ revision: this.#covered }, 'the audit log is complete again')
      this.#isFailing = false
    } catch (error) {
      metrics.auditFailures.inc()
      if (!this.#isFailing) log.error({ error }, 'cannot write the audit log; tried again until it can')
      this.#isFailing = true
      this.#retry ??= setTimeout(() => {
        this.#retry = null
        this.#ask()
      }, retryMs).unref()
    }
  }

  /** Commits up to what waits first, or that, in the order of things. */
  async #writeSome(): Promise<void> {
    const { store } = this.#options
    const [first] = this.#waiting
    const until = first?.head ?? store.head()
    if (this.#covered < until) return this.#writeCommits(until)
    const due = this.#waiting.filter(({ head }) => head <= this.#covered)
    const events = due.map(({ event }) => event)
    const dropped = this.#dropped
    if (dropped > 0 && due.length === this.#waiting.length)
      events.push(this.#gap(`${dropped} refused requests are missing`))
    await this.#writer.append(events.map(event => lineOf({ ...event, revision: this.#covered })).join(''))
    this.#waiting.splice(0, due.length)
    if (events.length > due.length) this.#dropped -= dropped
  }

  async #writeCommits(until: number): Promise<void> {
    const commits = await this.#historyAfter(this.#covered)
    if (commits === null) return
    let lines = ''
    let covered = this.#covered
    for (const commit of commits) {
      if (commit.revision > until || lines.length > appendBytes) break
      const event = eventOfCommit(commit)
      if (event !== null) lines += lineOf(event)
      covered = commit.revision
    }
    if (covered === this.#covered) throw new Error(`Cannot read revision ${covered + 1} from the store's history`)
    if (lines !== '') await this.#writer.append(lines)
    this.#covered = covered
  }

  /** @returns null where it was compacted, which is noted and passed over */
  async #historyAfter(covered: number): Promise<readonly Commit[] | null> {
    const { store } = this.#options
    try {
      return await store.history(covered + 1, pageSize)
    } catch (error) {
      if (!(error instanceof CompactedError)) throw error
      const last = error.oldest - 1
      const event: AuditEvent = {
        ...this.#gap(`revisions ${covered + 1} to ${last} are missing: the store has forgotten them`),
        revision: last,
      }
      await this.#writer.append(lineOf(event))
      this.#covered = last
      return null
    }
  }

  #gap(detail: string): UnplacedEvent {
    const principal = { kind: 'system', id: 'daemon', name: 'daemon' } as const
    const note: Note = { action: 'ringwall:AuditGap', principal, sourceAddress: null, requestId: 'audit' }
    return eventOfAct(note, detail, this.#now())
  }
}

/** Nobody has shown to be whom it names, if anybody. */
function isOfStranger({ principal: { kind, id } }: Note): boolean {
  return kind === 'key' || id === ''
}
