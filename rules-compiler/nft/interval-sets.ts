/** CIDR and prefix-list rules of one layer as concatenated interval sets, one lookup each. */
import { indexBlocks } from '../address/block-index.ts'
import { type Cidr, type Family, families, makeCidr } from '../address/cidr.ts'
import { allPorts, isAllPorts, type PortRange } from '../address/port-range.ts'
import { hasPorts, protocolInFamily, protocolNumbers, type RuleProtocol } from '../address/protocol.ts'
import type { PeerIr, RuleIr } from '../policy/ir.ts'
import { type Box, makeDisjoint } from './disjoint.ts'
import { addressType } from './expressions.ts'
import { chooseFieldOrder } from './field-order.ts'
import { intervalSet } from './names.ts'
import { elementText, type FieldType, type FieldValue, type IntervalElement, type IntervalSet } from './ruleset.ts'

/** Which sessions a lookup is for: TCP or UDP by port, or anything by protocol number. */
export type Traffic = 'tcp' | 'udp' | 'any'
const traffics: readonly Traffic[] = ['tcp', 'udp', 'any']

/** What a set's fields are filled from, in their order. */
export type FieldSource = 'peer' | 'local' | 'destinationPort' | 'sourcePort' | 'protocol'

export interface SetLookup {
  readonly family: Family
  readonly traffic: Traffic
  readonly fields: readonly FieldSource[]
  readonly set: IntervalSet
}

const allProtocols: PortRange = { first: 0, last: 255 }

/** @param rules  of one layer, with CIDR peers, in deciding order */
export function makeIntervalSets(rules: readonly RuleIr[]): readonly SetLookup[] {
  const broad = rules.filter(rule => !isNarrow(rule))
  const narrow = rules.filter(isNarrow)
  return traffics.flatMap(traffic =>
    families.flatMap(family => [
      ...broadLookups(family, traffic, rulesFor(broad, family, traffic)),
      ...narrowLookups(family, traffic, rulesFor(narrow, family, traffic)),
    ]),
  )
}

/** Whether a rule asks for more than peer, protocol and destination port. */
export function isNarrow(rule: RuleIr): boolean {
  return rule.local !== null || (hasPorts(rule.protocol) && !isAllPorts(rule.sourcePorts))
}

/** A rule for all protocols stands among those of TCP and UDP too, so that one lookup decides for a session. */
function rulesFor(rules: readonly RuleIr[], family: Family, traffic: Traffic): readonly RuleIr[] {
  return rules.filter(
    rule =>
      protocolInFamily(rule.protocol, family) &&
      (rule.protocol === 'all' || (hasPorts(rule.protocol) ? rule.protocol === traffic : traffic === 'any')),
  )
}

/** The range a rule has in the field that tells sessions of the same peer apart. */
function rangeFor(rule: RuleIr, traffic: Traffic): PortRange {
  return traffic === 'any' ? protocolRange(rule.protocol) : rule.protocol === 'all' ? allPorts : rule.ports
}

function protocolRange(protocol: RuleProtocol): PortRange {
  if (protocol === 'all') return allProtocols
  return { first: protocolNumbers[protocol], last: protocolNumbers[protocol] }
}

function blocksOf(peer: PeerIr, family: Family) {
  return peer.kind === 'cidrs' ? peer.cidrs.filter(cidr => cidr.family === family) : []
}

function broadLookups(family: Family, traffic: Traffic, rules: readonly RuleIr[]): readonly SetLookup[] {
  const boxes: Box[] = rules.flatMap(rule =>
    blocksOf(rule.peer, family).map(cidr => ({ cidr, range: rangeFor(rule, traffic), ruleId: rule.id })),
  )
  const rangeSource: FieldSource = traffic === 'any' ? 'protocol' : 'destinationPort'
  return makeDisjoint(boxes)
    .flatMap(chooseFieldOrder)
    .map(({ first, boxes: ordered }) => {
      const fields: readonly FieldSource[] = first === 'address' ? ['peer', rangeSource] : [rangeSource, 'peer']
      const elements = ordered.map(
        ({ cidr, range, ruleId }): IntervalElement => ({
          key: first === 'address' ? [cidr, range] : [range, cidr],
          ruleId,
        }),
      )
      return makeLookup(family, traffic, fields, elements)
    })
}

/**
 * Quintuple rules have up to four dimensions, where taking overlaps apart could cost far more elements than rules.
 * They are rare, so overlapping ones go to different sets instead: one lookup for most policies, never more than the
 * deepest pile of overlapping rules.
 */
function narrowLookups(family: Family, traffic: Traffic, rules: readonly RuleIr[]): readonly SetLookup[] {
  const fields = narrowFields[traffic]
  const elements = rules.flatMap(rule =>
    blocksOf(rule.peer, family).flatMap(peer => narrowElement(rule, family, traffic, fields, peer)),
  )
  return spreadOverlaps(elements, fields.indexOf('peer')).map(set => makeLookup(family, traffic, fields, set))
}

const narrowFields: Readonly<Record<Traffic, readonly FieldSource[]>> = {
  tcp: ['peer', 'destinationPort', 'local', 'sourcePort'],
  udp: ['peer', 'destinationPort', 'local', 'sourcePort'],
  any: ['peer', 'local', 'protocol'],
}

/** The quintuple rules that name one group: the same sets without the peer, which the caller has looked up already. */
export function makeGroupIntervalSets(rules: readonly RuleIr[]): readonly SetLookup[] {
  return traffics.flatMap(traffic =>
    families.flatMap(family => {
      const fields = narrowFields[traffic].filter(name => name !== 'peer')
      const elements = rulesFor(rules, family, traffic).flatMap(rule => narrowElement(rule, family, traffic, fields))
      return spreadOverlaps(elements, fields.indexOf('local')).map(set => makeLookup(family, traffic, fields, set))
    }),
  )
}

/** Ports of one protocol that a group may use, where they are too many for a line each; both families share it. */
export function makePortSet(protocol: 'tcp' | 'udp', boxes: readonly Box[]): IntervalSet {
  const number: PortRange = { first: protocolNumbers[protocol], last: protocolNumbers[protocol] }
  const elements = boxes.map(({ range, ruleId }): IntervalElement => ({ key: [number, range], ruleId }))
  return makeSet(`${protocol}/ports`, ['inet_proto', 'inet_service'], elements)
}

/** One element, or none where the rule narrows to an address of the other family. */
function narrowElement(
  rule: RuleIr,
  family: Family,
  traffic: Traffic,
  fields: readonly FieldSource[],
  peer: Cidr = makeCidr(family, 0n, 0),
): readonly IntervalElement[] {
  if (rule.local !== null && rule.local.family !== family) return []
  const source: Record<FieldSource, FieldValue> = {
    peer,
    local: rule.local ?? makeCidr(family, 0n, 0),
    destinationPort: rangeFor(rule, traffic),
    sourcePort: rule.sourcePorts,
    protocol: protocolRange(rule.protocol),
  }
  return [{ key: fields.map(name => source[name]), ruleId: rule.id }]
}

/**
 * Lists in which no two elements overlap, as few as a single pass finds. An element that lies in another is left out:
 * all have one verdict, so the other decides the same.
 * @param blockField  index of a field that holds blocks: what is compared with an element is what meets its block
 */
function spreadOverlaps(
  elements: readonly IntervalElement[],
  blockField: number,
): readonly (readonly IntervalElement[])[] {
  const sets: IntervalElement[][] = []
  const places = elements
    .map((element): Place => ({ element, set: null }))
    .sort((a, b) => volume(b.element) - volume(a.element))
  const findNear = indexBlocks(places, ({ element }) => element.key[blockField]!)
  for (const place of places) {
    const { element } = place
    const crossed = findNear(element.key[blockField]!).filter(
      other => other.set !== null && elementsOverlap(other.element, element),
    )
    if (crossed.some(other => elementContains(other.element, element))) continue
    const taken = new Set(crossed.map(other => other.set))
    let set = sets.find(each => !taken.has(each))
    if (set === undefined) {
      set = []
      sets.push(set)
    }
    set.push(element)
    place.set = set
  }
  return sets
}

interface Place {
  readonly element: IntervalElement
  /** Null before it has one, or where another element decides for it. */
  set: readonly IntervalElement[] | null
}

/** On a logarithmic scale: what contains another is larger. */
function volume(element: IntervalElement): number {
  return element.key.reduce((sum, { first, last }) => sum + Math.log2(Number(last) - Number(first) + 1), 0)
}

function elementContains(outer: IntervalElement, inner: IntervalElement): boolean {
  return outer.key.every((value, index) => {
    const other = inner.key[index]!
    return value.first <= other.first && other.last <= value.last
  })
}

function elementsOverlap(a: IntervalElement, b: IntervalElement): boolean {
  return a.key.every((value, index) => {
    const other = b.key[index]!
    return value.first <= other.last && other.first <= value.last
  })
}

function makeLookup(
  family: Family,
  traffic: Traffic,
  fields: readonly FieldSource[],
  elements: readonly IntervalElement[],
): SetLookup {
  const types = fields.map(name => fieldType(name, family))
  return { family, traffic, fields, set: makeSet(`${traffic}/${family}`, types, elements) }
}

function makeSet(kind: string, fields: readonly FieldType[], elements: readonly IntervalElement[]): IntervalSet {
  const content = elements.map(element => `${elementText(element)} ${element.ruleId}`).join('\n')
  return { name: intervalSet(kind, `${fields.join(' . ')}\n${content}`), fields, elements }
}

function fieldType(name: FieldSource, family: Family): FieldType {
  if (name === 'peer' || name === 'local') return addressType[family]
  return name === 'protocol' ? 'inet_proto' : 'inet_service'
}
