/**
 * Who came into groups and left them, of late: enough to tell an agent what has changed since the revision it holds,
 * without sending all members again. Bounded: it forgets the older half when it is full.
 */
import { type Documents, type EniDoc, parseKey, settingsId } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import type { Change, Commit, Store } from '../store/store.ts'
import { settingsKey } from './views.ts'

/** Added to the number of ENIs of a group that have an address. */
export type MemberCounts = ReadonlyMap<string, ReadonlyMap<string, number>>

export interface EniChange {
  readonly before: EniDoc | null
  readonly after: EniDoc | null
}

/** By group, then by address; what adds up to nothing is left out. */
export function countMembers(changes: Iterable<EniChange>): MemberCounts {
  const counts = new Map<string, Map<string, number>>()
  const count = (eni: EniDoc, by: 1 | -1) => {
    for (const groupId of eni.securityGroupIds) {
      const ofGroup = counts.get(groupId) ?? new Map<string, number>()
      counts.set(groupId, ofGroup)
      for (const address of eni.addresses) {
        const sum = (ofGroup.get(address) ?? 0) + by
        if (sum === 0) ofGroup.delete(address)
        else ofGroup.set(address, sum)
      }
    }
  }
  for (const { before, after } of changes) {
    if (before !== null) count(before, -1)
    if (after !== null) count(after, 1)
  }
  for (const [groupId, ofGroup] of counts) if (ofGroup.size === 0) counts.delete(groupId)
  return counts
}

interface LogEntry {
  readonly revision: number
  readonly address: string
  readonly by: number
}

/** Commits after `floor`, up to where the next generation begins. */
interface Generation {
  readonly floor: number
  /** By group, oldest first. */
  readonly entries: Map<string, LogEntry[]>
  /** By view key, the last commit that made the object another without its parts saying so. */
  readonly renewals: Map<string, number>
  size: number
}

export interface MemberFold {
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

export interface MemberLogOptions {
  /** Each is one address coming or going, some 60 bytes. */
  readonly maxEntries?: number
  /** Where a start reads the store's history from; left out, the last 20,000 commits. */
  readonly readFrom?: number
}

const defaultMaxEntries = 200_000
/** What a start reads again at most: agents from before get a snapshot. */
const maxCommitsRead = 20_000
const commitsAtOnce = 1000

export class MemberLog {
  readonly #maxPerGeneration: number
  /** The revision of each group's last change, as far as there was one since the start. */
  readonly #last = new Map<string, number>()
  #old: Generation
  #young: Generation

  /** @param floor  the revision that the first commit given to it follows */
  constructor(floor: number, { maxEntries = defaultMaxEntries }: MemberLogOptions = {}) {
    this.#maxPerGeneration = Math.max(1, Math.floor(maxEntries / 2))
    this.#old = emptyGeneration(floor)
    this.#young = emptyGeneration(floor)
  }

  /** Of what the store still knows, up to the revision of the world. */
  static async read(store: Store, revision: number, options: MemberLogOptions = {}): Promise<MemberLog> {
    let next = Math.max(store.oldest(), options.readFrom ?? 0, revision - maxCommitsRead + 1)
    const log = new MemberLog(next - 1, options)
    while (next <= revision) {
      const commits = await store.history(next, Math.min(commitsAtOnce, revision - next + 1))
      if (commits.length === 0) break
      for (const commit of commits) log.append(commit)
      next = commits.at(-1)!.revision + 1
    }
    return log
  }

  /** The oldest revision that can be folded from. */
  get floor(): number {
    return this.#old.floor
  }

  /** Each commit once, in order. */
  append({ revision, changes }: Pick<Commit, 'revision' | 'changes'>): void {
    for (const [groupId, counts] of countMembers(eniChanges(changes))) {
      const entries = this.#young.entries.get(groupId) ?? []
      this.#young.entries.set(groupId, entries)
      for (const [address, by] of counts) entries.push({ revision, address, by })
      this.#young.size += counts.size
      this.#last.set(groupId, revision)
    }
    for (const change of changes) this.#noteRenewal(change, revision)
    if (this.#young.size >= this.#maxPerGeneration) {
      this.#old = this.#young
      this.#young = emptyGeneration(revision)
    }
  }

  #noteRenewal({ key, before, value }: Change, revision: number): void {
    const { kind, id } = parseKey(key)
    if (kind === 'settings' && id === settingsId && value === null) this.#young.renewals.set(settingsKey, revision)
    if (kind !== 'group' || !isOtherGroup(before as Documents['group'] | null, value as Documents['group'] | null))
      return
    this.#young.renewals.set(`members/${id}`, revision)
    this.#young.size += 1
    if (value === null) this.#last.delete(id)
    else this.#last.set(id, revision)
  }

  /** The object must be sent whole to who holds it as of that revision: no change of its parts tells the difference. */
  isRenewed(key: string, sinceRevision: number): boolean {
    return [this.#old, this.#young].some(({ renewals }) => (renewals.get(key) ?? 0) > sinceRevision)
  }

  /** Differs whenever the members do, for caches. */
  lastChange(groupId: string): number {
    return this.#last.get(groupId) ?? 0
  }

  /** The entry to begin from: revisions of one place fold to the same. */
  place(groupId: string, sinceRevision: number): number {
    const first = this.#entriesSince(groupId, sinceRevision)[0]
    return first?.revision ?? 0
  }

  /**
   * What became of the members since a revision, net: who came and left again is in neither list.
   * @param world  at the revision of the last commit appended
   * @returns null where the log does not reach back, or all members must be sent again
   */
  fold(world: World, groupId: string, sinceRevision: number): MemberFold | null {
    if (sinceRevision < this.floor || this.isRenewed(`members/${groupId}`, sinceRevision)) return null
    const counts = new Map<string, number>()
    for (const { address, by } of this.#entriesSince(groupId, sinceRevision)) {
      counts.set(address, (counts.get(address) ?? 0) + by)
    }
    const members = world.membersOf(groupId)
    const add: string[] = []
    const remove: string[] = []
    for (const [address, by] of counts) {
      const now = members.get(address) ?? 0
      const before = now - by
      if (now > 0 && before <= 0) add.push(address)
      if (now <= 0 && before > 0) remove.push(address)
    }
    return { add, remove }
  }

  #entriesSince(groupId: string, sinceRevision: number): readonly LogEntry[] {
    const young = entriesAfter(this.#young.entries.get(groupId), sinceRevision)
    if (sinceRevision >= this.#young.floor) return young
    const old = entriesAfter(this.#old.entries.get(groupId), sinceRevision)
    return young.length === 0 ? old : [...old, ...young]
  }
}

function emptyGeneration(floor: number): Generation {
  return { floor, entries: new Map(), renewals: new Map(), size: 0 }
}

function* eniChanges(changes: readonly Change[]): Generator<EniChange> {
  for (const { key, before, value } of changes) {
    if (parseKey(key).kind === 'eni') yield { before: before as EniDoc | null, after: value as EniDoc | null }
  }
}

/** Made, deleted, or in another network or account: whoever held its members knows nothing of the new ones. */
function isOtherGroup(before: Documents['group'] | null, after: Documents['group'] | null): boolean {
  if (before === null || after === null) return true
  return (
    before.networkType !== after.networkType || before.vpcId !== after.vpcId || before.accountId !== after.accountId
  )
}

/** Entries are few and the newest are asked for: searched from the end, by halves. */
function entriesAfter(entries: readonly LogEntry[] | undefined, revision: number): readonly LogEntry[] {
  if (entries === undefined || entries.at(-1)!.revision <= revision) return noEntries
  let low = 0
  let high = entries.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (entries[middle]!.revision > revision) high = middle
    else low = middle + 1
  }
  return low === 0 ? entries : entries.slice(low)
}

const noEntries: readonly LogEntry[] = []
