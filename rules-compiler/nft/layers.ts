/**
 * Layers: the least number of unordered groups of rules, each of one verdict, that judge every packet as the ordered
 * list would. Two rules need their order only if they overlap and differ in verdict; so a rule's layer lies above
 * those of all stronger rules it conflicts with, and a typical policy needs one to three layers however long it is.
 */
import { type Cidr, cidrsOverlap, coverBlocks } from '../address/cidr.ts'
import { firstIndex } from '../address/first-index.ts'
import { portsOverlap } from '../address/port-range.ts'
import type { RuleVerdict } from '../model/policy.ts'
import type { PeerIr, RuleIr } from '../policy/ir.ts'

export interface Layer {
  readonly verdict: RuleVerdict
  /** In the order given. */
  readonly rules: readonly RuleIr[]
}

/**
 * @param rules  in deciding order: priority, then drop before accept
 * @returns layers in the order they are asked; none is empty. No rules, no layers.
 */
export function makeLayers(rules: readonly RuleIr[]): readonly Layer[] {
  const candidates = (['accept', 'drop'] as const).map(first => layersStartingWith(first, rules))
  return candidates.reduce((best, next) => (next.length < best.length ? next : best))
}

interface Placed {
  readonly rule: RuleIr
  readonly level: number
}

function layersStartingWith(first: RuleVerdict, rules: readonly RuleIr[]): readonly Layer[] {
  const placed: Placed[] = []
  const byVerdict: Record<RuleVerdict, Placed[]> = { accept: [], drop: [] }
  const highest = { accept: -1, drop: -1 }
  for (const rule of rules) {
    const opposite = rule.verdict === 'accept' ? 'drop' : 'accept'
    let level = rule.verdict === first ? 0 : 1
    for (const stronger of byVerdict[opposite]) {
      if (level > highest[opposite]) break
      if (stronger.level >= level && rulesOverlap(stronger.rule, rule)) level = stronger.level + 1
    }
    const place = { rule, level }
    placed.push(place)
    byVerdict[rule.verdict].push(place)
    highest[rule.verdict] = Math.max(highest[rule.verdict], level)
  }
  const layers: { verdict: RuleVerdict; rules: RuleIr[] }[] = []
  for (const { rule, level } of placed) {
    for (let index = layers.length; index <= level; index += 1) {
      layers.push({ verdict: (index % 2 === 0) === (first === 'accept') ? 'accept' : 'drop', rules: [] })
    }
    layers[level]?.rules.push(rule)
  }
  return layers.filter(layer => layer.rules.length > 0)
}

/**
 * Whether some packet can match both rules. A group may hold any address, now or later, so it overlaps with every
 * peer: layers must not change when members do.
 */
export function rulesOverlap(a: RuleIr, b: RuleIr): boolean {
  return (
    (a.protocol === b.protocol || a.protocol === 'all' || b.protocol === 'all') &&
    portsOverlap(a.ports, b.ports) &&
    portsOverlap(a.sourcePorts, b.sourcePorts) &&
    (a.local === null || b.local === null || cidrsOverlap(a.local, b.local)) &&
    peersOverlap(a.peer, b.peer)
  )
}

function peersOverlap(a: PeerIr, b: PeerIr): boolean {
  if (a.kind === 'group' || b.kind === 'group') return true
  return blocksOverlap(coverOf(a), coverOf(b))
}

type CidrsPeer = Extract<PeerIr, { readonly kind: 'cidrs' }>

/** Of each peer that was asked for: rules that name one prefix list share it, and every pair of rules may be compared. */
const covers = new WeakMap<CidrsPeer, readonly Cidr[]>()

function coverOf(peer: CidrsPeer): readonly Cidr[] {
  if (peer.cidrs.length === 1) return peer.cidrs
  const known = covers.get(peer)
  if (known !== undefined) return known
  const cover = coverBlocks(peer.cidrs)
  covers.set(peer, cover)
  return cover
}

/** Both lists as `coverBlocks` gives them; stretches of one that lie between two blocks of the other are passed over. */
function blocksOverlap(a: readonly Cidr[], b: readonly Cidr[]): boolean {
  for (let left = 0, right = 0; left < a.length && right < b.length; ) {
    const [one, other] = [a[left]!, b[right]!]
    if (isBefore(one, other)) left = firstIndex(a.length, index => !isBefore(a[index]!, other))
    else if (isBefore(other, one)) right = firstIndex(b.length, index => !isBefore(b[index]!, one))
    else return true
  }
  return false
}

function isBefore(a: Cidr, b: Cidr): boolean {
  return a.family === b.family ? a.last < b.first : a.family < b.family
}
