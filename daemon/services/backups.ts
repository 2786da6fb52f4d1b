/** The whole state as a file, and a state made of such a file. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../common/files.ts'
import { ApiError } from '../errors.ts'
import { authorityId, type Documents, type Kind, keyOf, kinds, parseKey, type TimeSpan } from '../model/documents.ts'
import { withLostTime } from '../pki/authority.ts'
import { World } from '../state/world.ts'
import type { BackupContent, Write } from '../store/store.ts'
import { withoutOrder } from './ddos-thresholds.ts'
import type { Plan } from './executor.ts'
import type { Principal } from './principal.ts'

/** How backups are written and read, and where they lie while they are sent. */
export interface Backups {
  /** Of the daemon alone: `openTransferFolder`. */
  readonly folder: string
  write(path: string): Promise<{ readonly revision: number; readonly bytes: number }>
  /** @throws {StoreError} where it is no backup, or damaged */
  read(path: string): Promise<BackupContent>
}

/** Makes the folder, and removes what a daemon that was killed has left there. */
export async function openTransferFolder(folder: string): Promise<void> {
  await makeFolder(folder)
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true })
}

export interface Restored {
  readonly backup: { readonly storeId: string; readonly revision: number }
  /** How many objects there are since, by kind. */
  readonly objects: Readonly<Record<string, number>>
  /** The token that asked, where the backup does not have it. */
  readonly keptTokenId: string | null
  /** Agents trust another CA then, which the daemon takes up when it starts again. */
  readonly authorityChanged: boolean
}

const shownKinds = kinds.filter(kind => kind !== 'idempotency' && kind !== 'authority' && kind !== 'settings')

/**
 * Everything as in the backup, but for six: the token that asks stays as it is, so that nobody locks himself out; the
 * CA of agents stays where the backup has the same or none; under the same CA what came of certificates since stays so,
 * or who renewed his would be locked out and who was revoked let in, and what hosts have said of themselves, who do not
 * say it again; answers kept for repetitions are gone, for what they tell of is; and so are orders to agents.
 * @throws {ApiError} 400 where the file's objects are no whole state
 */
export function restore(
  world: World,
  {
    content,
    principal,
    nowMs,
  }: { readonly content: BackupContent; readonly principal: Principal; readonly nowMs: number },
): Plan<Restored> {
  const restored = worldOf(content)
  const tokenKey = keyOf('token', principal.id)
  const authorityKey = keyOf('authority', authorityId)
  const isOtherAuthority = restored.count('authority') > 0 && !isSameAuthority(world, restored)
  const kept = new Set([tokenKey, ...(isOtherAuthority ? [] : [authorityKey])])
  const entries = content.entries.filter(({ key }) => parseKey(key).kind !== 'idempotency' && !kept.has(key))
  const present = new Set(entries.map(({ key }) => key))
  const gone = keysOf(world, nowMs).filter(key => !present.has(key) && !kept.has(key))
  const lost = { fromMs: content.timeMs ?? nowMs, untilMs: nowMs }
  const documentOf = isOtherAuthority ? takenUpLater(lost) : withHostsOf(world)
  const writes: Write[] = [
    ...entries.map(({ key, value }) => ({ key, value: documentOf(key, withoutOldOrder(world, key, value)) })),
    ...gone.map(key => ({ key, value: null })),
  ]
  const hasToken = restored.get('token', principal.id) !== undefined
  const objects = Object.fromEntries(shownKinds.map(kind => [kind, restored.count(kind)]))
  return {
    writes,
    body: () => ({
      backup: { storeId: content.id, revision: content.revision },
      objects: { ...objects, token: restored.count('token') + (hasToken ? 0 : 1) },
      keptTokenId: hasToken ? null : principal.id,
      authorityChanged: isOtherAuthority,
    }),
  }
}

type Changed = (key: string, value: unknown) => unknown

/**
 * Who may connect stays as it is: certificates and revocations of agents, and enrolment tokens that were used. So does what
 * hosts are like: whether one is open, say.
 */
function withHostsOf(world: World): Changed {
  return (key, value) => {
    const { kind, id } = parseKey(key)
    if (kind === 'agent') return world.get('agent', id) ?? value
    const usedByAgentId = kind === 'enrolment' ? (world.get('enrolment', id)?.usedByAgentId ?? null) : null
    return usedByAgentId === null ? value : { ...(value as Documents['enrolment']), usedByAgentId }
  }
}

/** The CA is taken up by the next start, and knows then that agents have certificates which the backup does not list. */
function takenUpLater(lost: TimeSpan): Changed {
  return (key, value) => {
    if (key !== keyOf('authority', authorityId)) return value
    const { storeId: _, ...authority } = value as Documents['authority']
    return withLostTime(authority, lost)
  }
}

/** An agent would carry out what was ordered then, unless it is what was ordered last. */
function withoutOldOrder(world: World, key: string, value: unknown): unknown {
  const { kind, id } = parseKey(key)
  if (kind !== 'instance') return value
  const then = value as Documents['instance']
  const now = world.get('instance', id)
  const isLast = now?.agentId === then.agentId && now.ddosOrder?.id === then.ddosOrder?.id
  return isLast ? then : withoutOrder(then)
}

/** Answers whose time is over are left to the sweep: the one for this request may stand under the key of such. */
function keysOf(world: World, nowMs: number): string[] {
  const kept = kinds.filter(kind => kind !== 'idempotency')
  return [
    ...kept.flatMap(kind => idsOf(world, kind).map(id => keyOf(kind, id))),
    ...[...world.entries('idempotency')]
      .filter(([, { expiresAtMs }]) => expiresAtMs > nowMs)
      .map(([id]) => keyOf('idempotency', id)),
  ]
}

function idsOf(world: World, kind: Kind): string[] {
  return [...world.entries(kind)].map(([id]) => id)
}

function isSameAuthority(a: World, b: World): boolean {
  return a.get('authority', authorityId)?.certificate === b.get('authority', authorityId)?.certificate
}

/** @throws {ApiError} 400 */
function worldOf(content: BackupContent): World {
  let world: World
  try {
    world = new World(content)
  } catch (cause) {
    throw notWhole('it has objects that this Ringwall does not know', cause)
  }
  const missing = firstMissing(world)
  if (missing !== null) throw notWhole(missing)
  return world
}

/** What names something that is not there; null: nothing does. */
function firstMissing(world: World): string | null {
  const has = (kind: Kind, id: string) => world.get(kind, id) !== undefined
  const lacks = (of: string, what: string) => `${of} names ${what}, which it does not have`
  for (const kind of ['group', 'prefixList', 'portRangeList', 'instance', 'eni'] as const) {
    for (const { id, accountId } of world.all(kind) as Iterable<Documents['group']>) {
      if (!has('account', accountId)) return lacks(id, `account ${accountId}`)
    }
  }
  for (const { id, agentId } of world.all('instance')) {
    if (agentId !== null && !has('agent', agentId)) return lacks(id, agentId)
  }
  for (const { id, instanceId, securityGroupIds } of world.all('eni')) {
    if (instanceId !== null && !has('instance', instanceId)) return lacks(id, instanceId)
    const groupId = securityGroupIds.find(each => !has('group', each))
    if (groupId !== undefined) return lacks(id, groupId)
  }
  return null
}

export function notWhole(reason: string, cause?: unknown): ApiError {
  return new ApiError(400, 'InvalidBackup', `Cannot restore the backup: ${reason}`, { cause })
}
