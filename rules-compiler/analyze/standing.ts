/**
 * Which rules ever decide, and which of those change a verdict. Members of groups may change at any time, so a group is
 * a name here and the claims hold for every membership:
 *
 * - A packet that is in no group can be covered by CIDR rules only, one that is in the rule's group alone by CIDR rules
 *   and that group's. Further memberships only bring further covers, so these packets decide the question.
 * - Where a weaker rule of the other verdict names a group as well, the packets in just these two groups decide it.
 *
 * Fixed steps before the rules (port 25, DHCP, source guard) are left out: they can only make more rules superfluous.
 */
import { indexBlocks, type Span } from '../address/block-index.ts'
import { type Cidr, families } from '../address/cidr.ts'
import type { Direction, RuleVerdict } from '../model/policy.ts'
import type { EniIr, RuleIr } from '../policy/ir.ts'
import { axes, type Box, type Cover, findUncovered, intersectBoxes } from './coverage.ts'
import { everything, makeSpace, ruleBoxes, type Space } from './space.ts'

/** One direction of one set of groups, ready to be asked. */
export interface Scope {
  readonly direction: Direction
  readonly defaultVerdict: RuleVerdict
  /** Inner access first, then rules in deciding order. */
  readonly entries: readonly Entry[]
  /** The covers of all entries in one space that can meet a box. */
  readonly near: ReadonlyMap<Space, (box: Box) => readonly Cover<Entry>[]>
}

export interface Entry {
  /** Null for inner access, which stands before all rules. */
  readonly rule: RuleIr | null
  /** The group its packets' peers are members of; null where the peer is given by address. */
  readonly groupId: string | null
  readonly verdict: RuleVerdict
  /** Equal for entries of one priority and verdict; of two entries the one with the smaller rank decides. */
  readonly rank: number
  readonly parts: readonly Part[]
}

/** What an entry matches in one family. */
export interface Part {
  readonly space: Space
  readonly covers: readonly Cover<Entry>[]
}

export type Standing =
  /** Decides the packets of `box` and perhaps others. */
  | { readonly kind: 'decides'; readonly region: Region }
  /** Never decides, because `by` match first; `region` is what the rule matches. */
  | { readonly kind: 'shadowed'; readonly by: readonly Entry[]; readonly region: Region }
  /** Decides `region`, but so would `by`, or the default where `by` is empty, and with the same verdict. */
  | { readonly kind: 'redundant'; readonly by: readonly Entry[]; readonly region: Region }
  /** Matches nothing in either family. */
  | { readonly kind: 'never-matches' }

export interface Region {
  readonly space: Space
  readonly box: Box
}

/** @param blocks  further blocks that callers want to ask about */
export function makeScope(eni: EniIr, direction: Direction, blocks: readonly Cidr[]): Scope {
  const { rules, defaultVerdict } = eni[direction]
  const named = rules.flatMap(({ peer, local }) => [
    ...(peer.kind === 'cidrs' ? peer.cidrs : []),
    ...(local === null ? [] : [local]),
  ])
  const spaces = families.map(family => makeSpace(family, [...named, ...blocks]))
  const inner = eni.innerGroupIds.map(groupId =>
    makeEntry(spaces, { rule: null, groupId, verdict: 'accept', rank: 0 }, space => [everything(space)]),
  )
  let rank = 0
  const ofRules = rules.map((rule, index) => {
    const before = rules[index - 1]
    if (before?.priority !== rule.priority || before.verdict !== rule.verdict) rank += 1
    const groupId = rule.peer.kind === 'group' ? rule.peer.groupId : null
    return makeEntry(spaces, { rule, groupId, verdict: rule.verdict, rank }, space => ruleBoxes(space, rule))
  })
  const entries = [...inner, ...ofRules]
  const near = spaces.map((space, index) => {
    const covers = entries.flatMap(entry => entry.parts[index]!.covers)
    const find = indexBlocks(covers, ({ box }) => peerSpan(box))
    return [space, (box: Box) => find(peerSpan(box))] as const
  })
  return { direction, defaultVerdict, entries, near: new Map(near) }
}

function peerSpan(box: Box): Span {
  return { first: box[axes.peer]!, last: box[axes.peer + 1]! }
}

function makeEntry(
  spaces: readonly Space[],
  facts: Omit<Entry, 'parts'>,
  boxesIn: (space: Space) => readonly Box[],
): Entry {
  const parts: Part[] = []
  const entry: Entry = { ...facts, parts }
  for (const space of spaces) {
    parts.push({ space, covers: boxesIn(space).map(box => ({ box, owner: entry })) })
  }
  return entry
}

/**
 * How each rule of the scope stands. Any of the shadowed and redundant rules can be taken out, one, some or all at
 * once, without changing a verdict: of rules that stand in for one another, one is left.
 */
export function judgeRules(scope: Scope): ReadonlyMap<Entry, Standing> {
  const standings = new Map<Entry, Standing>()
  for (const entry of scope.entries) {
    if (entry.rule !== null) standings.set(entry, findWhereItDecides(scope, entry))
  }
  // Only rules that stay may stand in for others. Weakest first: of two equal rules the later one goes.
  const staying = new Set(scope.entries.filter(entry => (standings.get(entry)?.kind ?? 'decides') === 'decides'))
  for (const entry of [...staying].reverse()) {
    const standing = standings.get(entry)
    if (standing?.kind !== 'decides') continue
    const by = findStandIns(scope, entry, staying)
    if (by === null) continue
    standings.set(entry, { kind: 'redundant', by, region: standing.region })
    staying.delete(entry)
  }
  return standings
}

function findWhereItDecides(scope: Scope, entry: Entry): Standing {
  const by = new Set<Entry>()
  let whole: Region | null = null
  for (const { space, covers } of entry.parts) {
    const findNear = scope.near.get(space)!
    for (const { box } of covers) {
      const stronger = findNear(box).filter(({ owner }) => owner.rank < entry.rank && concerns(owner, entry.groupId))
      const decided = findUncovered(box, stronger, by)
      if (decided !== null) return { kind: 'decides', region: { space, box: decided } }
      whole ??= { space, box }
    }
  }
  return whole === null ? { kind: 'never-matches' } : { kind: 'shadowed', by: inOrder(scope, by), region: whole }
}

/**
 * Who decides with the same verdict where the rule is taken out.
 * @param staying  entries that may be counted on; stronger ones keep deciding what they decide now
 * @returns null where some packet would get the other verdict; empty where the default decides
 */
function findStandIns(scope: Scope, entry: Entry, staying: ReadonlySet<Entry>): readonly Entry[] | null {
  const by = new Set<Entry>()
  for (const { space, covers } of entry.parts) {
    const findNear = scope.near.get(space)!
    for (const { box } of covers) {
      const near = findNear(box)
      const helpers = near.filter(({ owner }) => owner !== entry && staying.has(owner))
      if (!isReplaced(entry, box, helpers, findOpponents(scope, entry, box, near), by)) return null
    }
  }
  return inOrder(scope, by).filter(other => other.rank >= entry.rank)
}

/** Who would give the other verdict about a part of what a rule matches. */
interface Opponent {
  readonly rank: number
  readonly groupId: string | null
  readonly region: Box
}

/** The default, if it is one, and weaker covers of the other verdict. */
function findOpponents(scope: Scope, entry: Entry, box: Box, near: readonly Cover<Entry>[]): readonly Opponent[] {
  const opponents: Opponent[] = []
  // Where the default is an opponent it is the one that tells most often, so it is asked first.
  if (scope.defaultVerdict !== entry.verdict) opponents.push({ rank: Infinity, groupId: null, region: box })
  for (const { box: other, owner } of near) {
    if (owner.rank <= entry.rank || owner.verdict === entry.verdict) continue
    const region = intersectBoxes(box, other)
    if (region !== null) opponents.push({ rank: owner.rank, groupId: owner.groupId, region })
  }
  return opponents
}

/**
 * Whether helpers decide all of a box before any opponent would.
 * @param by  receives the entries that do
 */
function isReplaced(
  entry: Entry,
  box: Box,
  helpers: readonly Cover<Entry>[],
  opponents: readonly Opponent[],
  by: Set<Entry>,
): boolean {
  const before = (rank: number, groupId: string | null) =>
    helpers.filter(
      ({ owner }) =>
        (owner.rank < entry.rank || (owner.verdict === entry.verdict && owner.rank < rank)) &&
        concerns(owner, entry.groupId, groupId),
    )
  const isBeaten = ({ rank, groupId, region }: Opponent) => findUncovered(region, before(rank, groupId), by) === null
  const [first, ...others] = opponents
  if (first === undefined) return true
  if (!isBeaten(first)) return false
  // One question in place of many, with the same answer most of the time: is all of it decided before the strongest?
  const strongest = Math.min(...others.map(({ rank }) => rank))
  if (findUncovered(box, before(strongest, entry.groupId), by) === null) return true
  return others.every(isBeaten)
}

/** Covers of an entry count for packets in the given groups if it names none, or one of them. */
function concerns(entry: Entry, ...groupIds: readonly (string | null)[]): boolean {
  return entry.groupId === null || groupIds.includes(entry.groupId)
}

function inOrder(scope: Scope, entries: ReadonlySet<Entry>): readonly Entry[] {
  return scope.entries.filter(entry => entries.has(entry))
}
