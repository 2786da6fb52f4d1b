/** Looks through the audit log, newest first. */
import { createHash } from 'node:crypto'
import { actionsIn } from '../model/note.ts'
import { linesBackwards } from './backwards.ts'
import { type AuditEvent, parseLine } from './event.ts'
import { listFiles, type OpenFile, openToRead } from './files.ts'

export interface AuditFilter {
  /** One of those that it was. */
  readonly action?: string
  readonly principalId?: string
  readonly outcome?: AuditEvent['outcome']
  /** Of an object concerned. */
  readonly key?: string
  readonly requestId?: string
  /** Milliseconds since 1970, inclusive. */
  readonly sinceMs?: number
  /** Exclusive. */
  readonly untilMs?: number
}

/** Where a search goes on: before this byte of this file, whatever the file is called by then. */
export interface AuditPosition {
  readonly file: string
  readonly offset: number
}

export interface AuditPage {
  readonly events: readonly AuditEvent[]
  /** null: there is nothing older. */
  readonly next: AuditPosition | null
}

export interface SearchOptions {
  readonly filter: AuditFilter
  readonly maxEvents: number
  /** null: from the newest on. */
  readonly from: AuditPosition | null
  /** After which the page ends, though it may have room. */
  readonly maxScanBytes?: number
}

const defaultScanBytes = 16 * 1024 * 1024
/** Lines stand in the order they were written; by a clock that was set back, their times may not. */
const clockToleranceMs = 3600 * 1000
/** As many bytes of a file as tell it apart: its first line has a time and a request's id in them. */
const identityBytes = 160

/** Position null where the file that it is in was deleted since: nothing older is left then. */
export async function searchFiles(path: string, options: SearchOptions): Promise<AuditPage> {
  const { filter, maxEvents, from, maxScanBytes = defaultScanBytes } = options
  const events: AuditEvent[] = []
  let scanned = 0
  let isFound = from === null
  for await (const { opened, identity } of openFiles(path)) {
    const isFirst = !isFound && identity === from?.file
    isFound ||= isFirst
    if (!isFound) continue
    const end = isFirst && from !== null ? Math.min(from.offset, opened.size) : opened.size
    for await (const { text, start } of linesBackwards(opened.handle, end)) {
      const event = parseLine(text)
      scanned += Buffer.byteLength(text)
      if (event !== null) {
        if (isBefore(event, filter)) return { events, next: null }
        if (matches(event, filter)) events.push(event)
      }
      if (events.length >= maxEvents || scanned >= maxScanBytes) {
        return { events, next: { file: identity, offset: start } }
      }
    }
  }
  return { events, next: null }
}

interface IdentifiedFile {
  readonly opened: OpenFile
  readonly identity: string
}

/** Newest first. A file that moves on to the next name meanwhile would come twice. */
async function* openFiles(current: string): AsyncGenerator<IdentifiedFile> {
  const seen = new Set<number>()
  for (const path of await listFiles(current)) {
    await using opened = await openToRead(path)
    if (opened === null || opened.size < identityBytes || seen.has(opened.inode)) continue
    seen.add(opened.inode)
    const { buffer } = await opened.handle.read(Buffer.alloc(identityBytes), 0, identityBytes, 0)
    yield { opened, identity: createHash('sha256').update(buffer).digest('base64url').slice(0, 22) }
  }
}

function isBefore({ time }: AuditEvent, { sinceMs }: AuditFilter): boolean {
  return sinceMs !== undefined && Date.parse(time) < sinceMs - clockToleranceMs
}

function matches(event: AuditEvent, filter: AuditFilter): boolean {
  const { action, principalId, outcome, key, requestId, sinceMs, untilMs } = filter
  const timeMs = Date.parse(event.time)
  return (
    (action === undefined || actionsIn(event).includes(action)) &&
    (principalId === undefined || event.principal.id === principalId) &&
    (outcome === undefined || event.outcome === outcome) &&
    (requestId === undefined || event.requestId === requestId) &&
    (key === undefined || event.objects.includes(key)) &&
    (sinceMs === undefined || timeMs >= sinceMs) &&
    (untilMs === undefined || timeMs < untilMs)
  )
}
