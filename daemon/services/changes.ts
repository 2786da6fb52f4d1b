/** What was committed of late, as far as the history goes back. */
import { ApiError } from '../errors.ts'
import { parseKey } from '../model/documents.ts'
import { actionsIn, type Note } from '../model/note.ts'
import { isoTime } from '../schemas/fields.ts'
import { type Change, type Commit, CompactedError, type Store } from '../store/store.ts'
import type { Enforcement, EnforcementBoard } from './enforcement.ts'
import { everyAccount, mayRead, type Principal } from './principal.ts'

export type History = Pick<Store, 'history' | 'head' | 'oldest'>

export interface ShownCommit {
  readonly revision: number
  readonly time: string
  readonly action: string | null
  readonly actions: string[]
  readonly principal: Note['principal'] | null
  readonly keys: string[]
}

export interface CommitPage {
  readonly commits: readonly ShownCommit[]
  /** Where older ones go on; null: there is none. */
  readonly before: number | null
}

/** Commits read from the history at once, and for one page: those of others are passed over. */
const chunkSize = 100
const maxRead = 2000

/**
 * Newest first; those of which the principal may see something.
 * @param before  only commits before this revision; null for all
 */
export async function latestCommits(
  store: History,
  principal: Principal,
  { before, maxResults }: { readonly before: number | null; readonly maxResults: number },
): Promise<CommitPage> {
  const commits: ShownCommit[] = []
  let next = Math.min(before ?? Number.POSITIVE_INFINITY, store.head() + 1)
  for (let read = 0; read < maxRead && next > store.oldest(); read += chunkSize) {
    const first = Math.max(store.oldest(), next - chunkSize)
    const chunk = await readHistory(store, first, next - first)
    for (const commit of chunk.toReversed()) {
      next = commit.revision
      const shown = showCommit(commit, principal)
      if (shown !== null) commits.push(shown)
      if (commits.length === maxResults) return { commits, before: next > store.oldest() ? next : null }
    }
    if (chunk.length === 0) return { commits, before: null }
  }
  return { commits, before: next > store.oldest() ? next : null }
}

/** Compacted since it was looked: nothing older is left. */
async function readHistory(store: History, first: number, limit: number): Promise<readonly Commit[]> {
  try {
    return await store.history(first, limit)
  } catch (error) {
    if (error instanceof CompactedError) return []
    throw error
  }
}

/** @throws {ApiError} 404, with the oldest there is where it is older than that */
export async function findCommit(store: History, principal: Principal, revision: number): Promise<ShownCommit> {
  if (revision < store.oldest()) throw compacted(revision, store.oldest())
  const [commit] = revision > store.head() ? [] : await readHistory(store, revision, 1)
  const shown = commit === undefined ? null : showCommit(commit, principal)
  if (shown !== null) return shown
  throw new ApiError(
    404,
    notFoundCode,
    `Cannot find revision ${revision}: there is none with something that you may see`,
  )
}

/** @returns null where it is not known any more */
export async function enforcementOf(board: EnforcementBoard, revision: number): Promise<Enforcement | null> {
  try {
    return await board.status(revision)
  } catch (error) {
    if (error instanceof CompactedError) return null
    throw error
  }
}

const notFoundCode = 'InvalidRevision.NotFound'

export function compacted(revision: number, oldest: number): ApiError {
  const message = `Cannot find revision ${revision}: expected ${oldest} or later, the history before it is forgotten`
  return new ApiError(404, notFoundCode, message, { details: { oldestRevision: oldest } })
}

/** @returns null where the principal may see nothing of it */
function showCommit({ revision, timeMs, changes, note }: Commit, principal: Principal): ShownCommit | null {
  const keys = changes.filter(change => isShown(change, principal)).map(({ key }) => key)
  if (keys.length === 0) return null
  const { action = null, principal: author = null } = (note ?? {}) as Partial<Note>
  const actions = action === null ? [] : [...actionsIn(note as Note)]
  return { revision, time: isoTime(timeMs), action, actions, principal: author, keys }
}

function isShown({ key, before, value }: Change, principal: Principal): boolean {
  const { kind, id } = parseKey(key)
  if (kind === 'idempotency') return false
  if (kind === 'account') return mayRead(principal, id)
  const { accountId = everyAccount } = (value ?? before ?? {}) as { accountId?: string }
  return mayRead(principal, accountId)
}
