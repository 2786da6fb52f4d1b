/** What the audit log has of each write, done or refused: one JSON object a line. */
import { type DdosEventDoc, type Kind, keyOf, parseKey, settingsId } from '../model/documents.ts'
import {
  actionsIn,
  type Note,
  type NotedPrincipal,
  notedActions,
  notedPrincipal,
  type RefusedWrite,
} from '../model/note.ts'
import type { Change, Commit } from '../store/store.ts'
import { type ChangedFields, differenceOf } from './difference.ts'

export interface AuditEvent {
  readonly time: string
  readonly requestId: string
  readonly principal: NotedPrincipal
  /** null for what the daemon does by itself. */
  readonly sourceAddress: string | null
  readonly action: string
  /** Where it was more than one: all of them, `action` first. */
  readonly actions?: readonly string[]
  readonly outcome: 'done' | 'refused'
  /** Why it was refused, and with which HTTP status; null where it was done. */
  readonly code: string | null
  readonly status: number | null
  /** Of the commit; of what made none, the newest there was: up to it, every commit has its line. */
  readonly revision: number
  /** Keys of the objects concerned, `group/sg-web`. */
  readonly objects: readonly string[]
  /** Only the fields that differ. */
  readonly changes: readonly ChangedFields[]
  readonly detail: string | null
}

/** More objects than any request but a restore changes. */
const maxObjects = 1000
/** A line is read and parsed whole. */
const maxLineBytes = 1024 * 1024
const maxDetail = 2000

/**
 * @returns null for commits that are no write of anybody's: without a note, of what is kept for repetitions only, or of
 * an attack that goes on
 */
export function eventOfCommit({ revision, timeMs, changes, note }: Commit): AuditEvent | null {
  const shown = changes.filter(isShown)
  if (note === null || shown.length === 0) return null
  const objects = shown.map(({ key }) => key)
  const isMany = objects.length > maxObjects
  return {
    ...headOf(note as Note, timeMs),
    outcome: 'done',
    code: null,
    status: null,
    revision,
    objects: objects.slice(0, maxObjects),
    changes: isMany ? [] : shown.map(differenceOf),
    detail: isMany ? `${objects.length} objects: the first ${maxObjects} are named, changes are not listed` : null,
  }
}

/** Of an attack that it began and that it ended; what changes meanwhile, and that it is forgotten some day, is no act. */
function isShown({ key, before, value }: Change): boolean {
  const { kind } = parseKey(key)
  if (kind !== 'ddosEvent') return kind !== 'idempotency'
  const [old, now] = [before as DdosEventDoc | null, value as DdosEventDoc | null]
  return now !== null && (old === null || (now.event.phase === 'ended' && old.event.phase !== 'ended'))
}

export function eventOfRefusal(
  { note, method, url, objects = [], status, code, message }: RefusedWrite,
  timeMs: number,
): UnplacedEvent {
  const [path = ''] = url.split('?')
  return {
    ...headOf(note, timeMs),
    outcome: 'refused',
    code,
    status,
    objects: [...new Set([...objectsOfPath(path), ...objects])].slice(0, maxObjects),
    changes: [],
    detail: `${method} ${url}: ${message}`.slice(0, maxDetail),
  }
}

/** Of what was done without a commit. */
export function eventOfAct(note: Note, detail: string, timeMs: number): UnplacedEvent {
  return { ...headOf(note, timeMs), outcome: 'done', code: null, status: null, objects: [], changes: [], detail }
}

/** It gets its revision when it is written. */
export type UnplacedEvent = Omit<AuditEvent, 'revision'>

function headOf(note: Note, timeMs: number) {
  const { principal, sourceAddress, requestId } = note
  const time = new Date(timeMs).toISOString()
  return { time, requestId, principal: notedPrincipal(principal), sourceAddress, ...notedActions(actionsIn(note)) }
}

const kindsOfPaths: Readonly<Record<string, Kind>> = {
  accounts: 'account',
  'security-groups': 'group',
  'prefix-lists': 'prefixList',
  'port-range-lists': 'portRangeList',
  instances: 'instance',
  'network-interfaces': 'eni',
  agents: 'agent',
  'enrolment-tokens': 'enrolment',
  tokens: 'token',
}

/** What a refused request was about, as far as its path says. */
function objectsOfPath(path: string): readonly string[] {
  const [, , collection = '', id] = path.split('/')
  if (collection === 'settings') return [keyOf('settings', settingsId)]
  const kind = Object.hasOwn(kindsOfPaths, collection) ? kindsOfPaths[collection] : undefined
  return kind === undefined || id === undefined ? [] : [keyOf(kind, id.slice(0, 64))]
}

/** One line; of an event that is too large for one, without its changes. */
export function lineOf(event: AuditEvent): string {
  const line = `${JSON.stringify(event)}\n`
  if (Buffer.byteLength(line) <= maxLineBytes) return line
  const detail = `${event.changes.length} objects: their changes are too large to be listed`
  return `${JSON.stringify({ ...event, changes: [], detail })}\n`
}

/** @returns null where the line is none of ours, or torn */
export function parseLine(line: string): AuditEvent | null {
  try {
    const event = JSON.parse(line) as AuditEvent | null
    const isOurs = typeof event?.time === 'string' && typeof event.action === 'string' && Array.isArray(event.objects)
    return isOurs && Number.isSafeInteger(event.revision) ? event : null
  } catch {
    return null
  }
}
