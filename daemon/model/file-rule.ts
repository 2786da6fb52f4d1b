/** Stored rules in the words of a policy file. */
import { hasPorts } from '../../rules-compiler/address/protocol.ts'
import type { GroupRule } from '../../rules-compiler/model/policy.ts'
import type { FileRule } from '../../rules-compiler/validate/schema.ts'
import type { GroupDoc, PortRangeListDoc, RuleDoc, RuleFields } from './documents.ts'

/** Fields that some rules have. */
type SideField = Exclude<
  keyof FileRule,
  'id' | 'direction' | 'policy' | 'priority' | 'ipProtocol' | 'portRange' | 'nicType'
>

export type FileRuleText = Readonly<Record<string, string | number>>

/** Stands for the ports of a list where a rule is only checked. */
export const anyPorts = '1/65535'

/**
 * A rule of the group as `checkPolicy` takes it: in a VPC, where `internet` says nothing, it must not be said. One that
 * names a list of ports is for any port then; see `expandRule`.
 */
export function fileRule({ networkType }: Pick<GroupDoc, 'networkType'>, rule: RuleDoc): FileRuleText {
  const { createdAtMs: _, nicType, portRangeListId, ...fields } = rule
  const rest = portRangeListId === undefined ? fields : { ...fields, portRange: anyPorts }
  return networkType === 'vpc' && nicType === 'internet' ? rest : { ...rest, nicType }
}

type ListOf = (portRangeListId: string) => Pick<PortRangeListDoc, 'entries'> | undefined

/** As many rules of the same id as the list of ports has ranges that it names; itself where it names none. */
export function expandRule(rule: RuleDoc, listOf: ListOf): readonly RuleDoc[] {
  const { portRangeListId, ...rest } = rule
  if (portRangeListId === undefined) return [rule]
  return (listOf(portRangeListId)?.entries ?? []).map(({ portRange }) => ({ ...rest, portRange }))
}

/** A list of either kind: their ids are never the same. */
export type WeighedList = (listId: string) => { readonly maxEntries: number } | undefined

/** Lists that it names: of addresses, of ports, or one of each. */
export function listsNamedBy({ sourcePrefixListId, destPrefixListId, portRangeListId }: RuleFields): readonly string[] {
  return [sourcePrefixListId, destPrefixListId, portRangeListId].flatMap(id => (id === undefined ? [] : [String(id)]))
}

/** What it counts for against the limit of rules in a group: one for each combination that its lists may grow to. */
export function weightOfRule(rule: RuleFields, listOf: WeighedList): number {
  return listsNamedBy(rule).reduce((weight, id) => weight * (listOf(id)?.maxEntries ?? 1), 1)
}

/**
 * A checked rule as it is stored: equal for two that are the same rule, descriptions apart.
 * @param ownerAccount  of the group it names, where that is another than the rule's own group has; otherwise null
 */
export function ruleFieldsOf(rule: GroupRule, ownerAccount: string | null): RuleFields {
  const { direction, policy, priority, protocol, ports, sourcePorts, local, nicType, description } = rule
  const portText = hasPorts(protocol)
  return {
    direction,
    policy,
    priority,
    ipProtocol: protocol,
    portRange: portText ? `${ports.first}/${ports.last}` : '-1/-1',
    // Port 0 is in no range that a rule can name, so a range that has it is "any".
    ...(portText && sourcePorts.first > 0 && { sourcePortRange: `${sourcePorts.first}/${sourcePorts.last}` }),
    ...peerFields(rule, ownerAccount),
    ...(local !== null && { [cidrField(direction === 'ingress' ? 'dest' : 'source', local.family)]: local.text }),
    nicType,
    ...(description !== null && { description }),
  }
}

function peerFields({ direction, peer }: GroupRule, ownerAccount: string | null): Partial<Record<SideField, string>> {
  const side = direction === 'ingress' ? 'source' : 'dest'
  switch (peer.kind) {
    case 'cidr':
      return { [cidrField(side, peer.cidr.family)]: peer.cidr.text }
    case 'group':
      return {
        [`${side}GroupId`]: peer.groupId,
        ...(ownerAccount !== null && { [`${side}GroupOwnerAccount`]: ownerAccount }),
      }
    case 'prefixList':
      return { [`${side}PrefixListId`]: peer.prefixListId }
    default:
      return peer satisfies never
  }
}

function cidrField(side: 'source' | 'dest', family: 'ip' | 'ip6') {
  if (side === 'source') return family === 'ip' ? 'sourceCidrIp' : 'ipv6SourceCidrIp'
  return family === 'ip' ? 'destCidrIp' : 'ipv6DestCidrIp'
}
