/**
 * The events of this host, each in a file of its own: the latest ones for whoever asks here, and those that the daemon
 * has not kept yet. A disk that refuses keeps nothing from being decided, shown or sent.
 */
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, writeAtomically } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import { count, objectOf, ofFirstFormat, readJsonWith } from '../link/shape.ts'
import { readDdosEvent } from './read-event.ts'

export interface OutboxOptions {
  /** Null keeps nothing on disk. */
  readonly folder: string | null
  readonly log: Logger
  /** Milliseconds of any beginning that never go back. */
  readonly now: () => number
}

interface Entry {
  event: DdosEvent
  /** The version the daemon has; 0 for none. */
  keptVersion: number
  writtenVersion: number
  writtenPhase: DdosEvent['phase'] | null
  writtenAtMs: number
  /** The version sent on this connection; 0 for none. */
  sentVersion: number
  sentPhase: DdosEvent['phase'] | null
  sentAtMs: number
}

interface EventFile {
  readonly keptVersion: number
  readonly event: DdosEvent
}

const folderName = 'ddos-events'
/** Of which those that are over are forgotten first, and of those the ones that the daemon has. */
const mostEvents = 200
/** An event under way that has only grown is written again after this long. */
const writeIntervalMs = 30_000
/** An event under way that has only grown is sent again after this long. */
const sendIntervalMs = 5_000
/** The daemon answers at once what it takes; what went unanswered for this long is sent again. */
const unansweredMs = 60_000

const readFileOfEvent = ofFirstFormat(objectOf<EventFile>({ keptVersion: count, event: readDdosEvent }))

export class Outbox {
  readonly #options: OutboxOptions
  readonly #folder: string | null
  readonly #entries = new Map<string, Entry>()
  /** Ids of files to write, or to remove where there is no such event any more. */
  readonly #dirty = new Set<string>()
  #writing: Promise<void> | null = null
  #problem: string | null = null
  #toldLost = false

  private constructor(options: OutboxOptions) {
    this.#options = options
    this.#folder = options.folder === null ? null : join(options.folder, folderName)
  }

  /** With the events that are on disk; never throws: a disk that cannot be read has none. */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const outbox = new Outbox(options)
    await outbox.#read()
    return outbox
  }

  /** Why the disk lacks something; null while it lacks nothing. */
  get problem(): string | null {
    return this.#problem
  }

  /** Newest first. */
  recent(): readonly DdosEvent[] {
    return this.#sorted()
      .map(({ event }) => event)
      .reverse()
  }

  note(event: DdosEvent): void {
    const entry = this.#entries.get(event.id)
    if (entry === undefined) this.#entries.set(event.id, newEntry(event, 0))
    else if (event.version > entry.event.version) entry.event = event
    else return
    this.#markIfDue(event.id)
    this.#forgetOld()
    this.#write()
  }

  /** A new connection: whatever the daemon has not kept is sent on it. */
  forgetSent(): void {
    for (const entry of this.#entries.values()) entry.sentVersion = 0
  }

  /**
   * Hands out what is to be sent now, oldest event first.
   * @param send  returns false where no more can be sent for now
   */
  sendDue(send: (event: DdosEvent) => boolean): void {
    const nowMs = this.#options.now()
    for (const entry of this.#sorted()) {
      if (!isDue(entry, nowMs)) continue
      if (!send(entry.event)) return
      entry.sentVersion = entry.event.version
      entry.sentPhase = entry.event.phase
      entry.sentAtMs = nowMs
    }
  }

  kept(eventId: string, version: number): void {
    const entry = this.#entries.get(eventId)
    if (entry === undefined || version <= entry.keptVersion) return
    entry.keptVersion = version
    this.#dirty.add(eventId)
    this.#write()
  }

  /** Resolves when all there is, is on disk, or the disk has refused it once more. */
  async settled(): Promise<void> {
    for (const [id, entry] of this.#entries) if (entry.writtenVersion < entry.event.version) this.#dirty.add(id)
    this.#write()
    while (this.#writing !== null) await this.#writing
  }

  #sorted(): readonly Entry[] {
    return [...this.#entries.values()].sort((a, b) => compareTimes(a.event, b.event))
  }

  #markIfDue(id: string): void {
    const entry = this.#entries.get(id)!
    const hasTurned = entry.event.phase !== entry.writtenPhase
    if (hasTurned || this.#options.now() - entry.writtenAtMs >= writeIntervalMs) this.#dirty.add(id)
  }

  #forgetOld(): void {
    const surplus = this.#entries.size - mostEvents
    if (surplus <= 0) return
    const over = this.#sorted().filter(({ event }) => event.phase === 'ended')
    const kept = over.filter(({ event, keptVersion }) => keptVersion >= event.version)
    const unkept = over.filter(entry => !kept.includes(entry))
    const forgotten = [...kept, ...unkept].slice(0, surplus)
    for (const { event } of forgotten) {
      this.#entries.delete(event.id)
      this.#dirty.add(event.id)
    }
  }

  #write(): void {
    if (this.#folder === null) this.#dirty.clear()
    if (this.#dirty.size === 0) return
    this.#writing ??= this.#writeAll(this.#folder!).finally(() => {
      this.#writing = null
    })
  }

  async #writeAll(folder: string): Promise<void> {
    for (const id of this.#dirty) {
      this.#dirty.delete(id)
      try {
        await this.#writeOne(folder, id)
        this.#problem = null
        this.#toldLost = false
      } catch (error) {
        this.#lost(error)
        // Tried again with the next change.
        this.#dirty.add(id)
        return
      }
    }
  }

  async #writeOne(folder: string, id: string): Promise<void> {
    const path = join(folder, `${id}.json`)
    const entry = this.#entries.get(id)
    if (entry === undefined) {
      await rm(path, { force: true })
      return
    }
    const { event, keptVersion } = entry
    await makeFolder(folder)
    await writeAtomically(path, `${JSON.stringify({ keptVersion, event } satisfies EventFile)}\n`)
    entry.writtenVersion = event.version
    entry.writtenPhase = event.phase
    entry.writtenAtMs = this.#options.now()
  }

  #lost(error: unknown): void {
    this.#problem = error instanceof Error ? error.message : String(error)
    if (this.#toldLost) return
    this.#toldLost = true
    this.#options.log.error({ error }, 'cannot keep events of traffic scrubbing on disk; scrubbing goes on')
  }

  async #read(): Promise<void> {
    if (this.#folder === null) return
    for (const name of await readdir(this.#folder).catch(() => [] as string[])) {
      if (!name.endsWith('.json')) continue
      const path = join(this.#folder, name)
      const json = await readFile(path, 'utf8').catch(() => '')
      const read = readJsonWith(readFileOfEvent, json)
      if ('value' in read && name === `${read.value.event.id}.json`) {
        const { event, keptVersion } = read.value
        const written = { writtenVersion: event.version, writtenPhase: event.phase }
        this.#entries.set(event.id, { ...newEntry(event, keptVersion), ...written })
        continue
      }
      const reason = 'fault' in read ? read.fault : `Cannot read it: expected the event of that name`
      this.#options.log.warn({ path, reason }, 'an event of traffic scrubbing on disk is damaged and is set aside')
      await rename(path, `${path}.bad`).catch(() => {})
    }
  }
}

function newEntry(event: DdosEvent, keptVersion: number): Entry {
  const never = Number.NEGATIVE_INFINITY
  return {
    event,
    keptVersion,
    writtenVersion: 0,
    writtenPhase: null,
    writtenAtMs: never,
    sentVersion: 0,
    sentPhase: null,
    sentAtMs: never,
  }
}

/** One that has only grown, with a new peak say, is not sent every second. */
function isDue({ event, keptVersion, sentVersion, sentPhase, sentAtMs }: Entry, nowMs: number): boolean {
  if (event.version <= keptVersion) return false
  if (event.version === sentVersion) return nowMs - sentAtMs >= unansweredMs
  return sentVersion === 0 || event.phase !== sentPhase || nowMs - sentAtMs >= sendIntervalMs
}

function compareTimes(a: DdosEvent, b: DdosEvent): number {
  if (a.startTime !== b.startTime) return a.startTime < b.startTime ? -1 : 1
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}
