/** A rule of the file to a rule of the model: defaults filled in, an id made where none is given. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { allPorts, portRangeText } from '../address/port-range.ts'
import type { GroupRule, NicType, Peer } from '../model/policy.ts'
import type { FilePortRange } from './formats.ts'
import type { Sound } from './read-shape.ts'
import { localOf, peerOf } from './rule-fields.ts'
import type { FileRule } from './schema.ts'

/** What two rules of a group must share to be the same rule: everything but id and description. */
type RuleContent = Omit<GroupRule, 'id' | 'description'>

export interface BuiltRule {
  readonly rule: GroupRule
  /** The content as text: equal for rules of one group that are the same rule. */
  readonly content: string
  /** Equal also where their ports differ. */
  readonly apartFromPorts: string
}

/**
 * @param groupId  the id becomes part of a made rule id, so that equal rules of two groups have two ids
 * @returns null where a needed part of the rule is missing or faulty
 */
export function buildRule(rule: Sound<FileRule>, groupId: string): BuiltRule | null {
  const { direction, policy, ipProtocol: protocol } = rule
  const peer = peerOf(rule)?.peer
  if (direction === undefined || policy === undefined || protocol === undefined || peer === undefined) return null
  const content: RuleContent = {
    direction,
    policy,
    priority: rule.priority ?? 1,
    protocol,
    ports: portsOf(rule.portRange),
    sourcePorts: portsOf(rule.sourcePortRange),
    peer,
    local: localOf(rule)?.cidr ?? null,
    nicType: nicTypeOf(rule, peer),
  }
  const text = contentText(content)
  const id = rule.id ?? makeRuleId(groupId, text)
  const apartFromPorts = contentText({ ...content, ports: allPorts })
  return { rule: { id, ...content, description: rule.description ?? null }, content: text, apartFromPorts }
}

/** Rules between groups are intranet rules, whatever else they say. */
function nicTypeOf(rule: Sound<FileRule>, peer: Peer): NicType {
  return peer.kind === 'group' ? 'intranet' : (rule.nicType ?? 'internet')
}

function portsOf(range: FilePortRange | undefined) {
  return range === undefined || range === 'all' ? allPorts : range
}

function contentText(rule: RuleContent): string {
  const { direction, policy, priority, protocol, ports, sourcePorts, peer, local, nicType } = rule
  return [
    direction,
    policy,
    priority,
    protocol,
    portRangeText(ports),
    portRangeText(sourcePorts),
    peerText(peer),
    local?.text ?? 'any',
    nicType,
  ].join(' ')
}

function peerText(peer: Peer): string {
  switch (peer.kind) {
    case 'cidr':
      return peer.cidr.text
    case 'group':
      return `group ${peer.groupId}`
    case 'prefixList':
      return `prefix list ${peer.prefixListId}`
    default:
      return peer satisfies never
  }
}

/** 48 bits of the content's hash: two of a thousand rules agree by chance once in 500 million policies. */
function makeRuleId(groupId: string, content: string): string {
  return `sgr-${bytesToHex(sha256(utf8ToBytes(`${groupId} ${content}`))).slice(0, 12)}`
}

/** The rules of a group that are a rule of their own: of those that are the same, the first. */
export function distinctRules(rules: readonly (BuiltRule | null)[]): readonly BuiltRule[] {
  const byContent = new Map<string, BuiltRule>()
  for (const built of rules) {
    if (built !== null && !byContent.has(built.content)) byContent.set(built.content, built)
  }
  return [...byContent.values()]
}
