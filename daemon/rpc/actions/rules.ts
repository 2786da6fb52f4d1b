/** Rules of security groups: authorized, revoked, modified and described. */
import Type, { type Static } from 'typebox'
import { ApiError } from '../../errors.ts'
import type { GroupDoc, RuleDoc } from '../../model/documents.ts'
import type { AskedPermission } from '../../schemas/rules.ts'
import type { Plan } from '../../services/executor.ts'
import { visible } from '../../services/principal.ts'
import { authorize, findRule, modifyRule, revoke, rulesMeantBy } from '../../services/rules.ts'
import type { World } from '../../state/world.ts'
import { readAction, type WriteAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { pageOf, pagingParameters } from '../paging.ts'
import { anyCase, coded } from '../read-parameters.ts'
import { coded400, coded403, coded404, type Recodings, recoded } from '../recode.ts'
import { isoSeconds } from '../shapes.ts'
import { accessToGroup, groupId, writableGroup } from './security-groups.ts'

type Direction = 'ingress' | 'egress'

const text = (maxLength = 64) => Type.Optional(Type.String({ maxLength }))
/** Several, separated by commas, are a rule each. */
const objects = () => text(4096)

/** The two sides; which is the authorization object depends on the direction. */
const ruleFields = {
  IpProtocol: Type.Optional(coded('InvalidIpProtocol.ValueNotSupported', Type.String({ maxLength: 16 }))),
  PortRange: text(),
  PortRangeListId: text(),
  SourcePortRange: text(),
  SourceCidrIp: objects(),
  Ipv6SourceCidrIp: objects(),
  SourceGroupId: objects(),
  SourceGroupOwnerId: text(),
  SourceGroupOwnerAccount: text(),
  SourcePrefixListId: objects(),
  DestCidrIp: objects(),
  Ipv6DestCidrIp: objects(),
  DestGroupId: objects(),
  DestGroupOwnerId: text(),
  DestGroupOwnerAccount: text(),
  DestPrefixListId: objects(),
  Policy: Type.Optional(coded('InvalidPolicy.Malformed', anyCase(Type.Enum(['accept', 'drop'])))),
  Priority: Type.Optional(coded('InvalidPriority.ValueNotSupported', Type.Integer({ minimum: 1, maximum: 100 }))),
  NicType: Type.Optional(coded('InvalidNicType.ValueNotSupported', anyCase(Type.Enum(['internet', 'intranet'])))),
  Description: Type.Optional(
    coded('InvalidSecurityGroupDiscription.Malformed', Type.String({ maxLength: 512, pattern: '^(?!https?://)' })),
  ),
}
const ruleSchema = Type.Object(ruleFields)
type AskedFields = Static<typeof ruleSchema>

const mostPermissions = 100
const groupAndRule = Type.Object({ SecurityGroupId: groupId, ...ruleFields })
const authorizeParameters = Type.Object({
  ...groupAndRule.properties,
  Permissions: Type.Optional(Type.Array(ruleSchema, { minItems: 1, maxItems: mostPermissions })),
})
const revokeParameters = Type.Object({
  ...authorizeParameters.properties,
  SecurityGroupRuleId: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 100 })),
})
const modifyParameters = Type.Object({ ...groupAndRule.properties, SecurityGroupRuleId: text() })

/** The published codes for what may be wrong with a rule. */
function codesOf(direction: Direction): Recodings {
  const [peer, Peer] = direction === 'ingress' ? ['source', 'Source'] : ['dest', 'Dest']
  return {
    ipProtocol: coded400('InvalidIpProtocol.ValueNotSupported'),
    'conflict portRange': coded400('OperationDenied'),
    'missing portRange': coded400('MissingParameter.PortRange'),
    portRange: coded400('InvalidIpProtocol.Malformed'),
    'InvalidPortRangeListId.NotFound portRangeListId': coded404('InvalidPortRangeListId.NotFound'),
    portRangeListId: coded400('OperationDenied'),
    sourcePortRange: coded400('InvalidSourcePortRange.Malformed'),
    'conflict ipv6SourceCidrIp': coded400('InvalidParam.Ipv6ProtocolConflictWithIpv4Address'),
    'conflict ipv6DestCidrIp': coded400('InvalidParam.Ipv6ProtocolConflictWithIpv4Address'),
    'conflict sourceCidrIp': coded400('InvalidParam.Ipv4ProtocolConflictWithIpv6Address'),
    'conflict destCidrIp': coded400('InvalidParam.Ipv4ProtocolConflictWithIpv6Address'),
    sourceCidrIp: coded400('InvalidSourceCidrIp.Malformed'),
    destCidrIp: coded400('InvalidDestCidrIp.Malformed'),
    ipv6SourceCidrIp: coded400('InvalidParam.Ipv6SourceCidrIp'),
    ipv6DestCidrIp: coded400('InvalidParam.Ipv6DestCidrIp'),
    'InvalidSecurityGroupId.NotFound sourceGroupId': coded404('InvalidSourceGroupId.NotFound'),
    'InvalidSecurityGroupId.NotFound destGroupId': coded404('InvalidDestGroupId.NotFound'),
    [`conflict ${peer}GroupId`]: coded400(`Invalid${Peer}GroupId.Mismatch`),
    'InvalidPrefixListId.NotFound sourcePrefixListId': coded404('InvalidPrefixListId.NotFound'),
    'InvalidPrefixListId.NotFound destPrefixListId': coded404('InvalidPrefixListId.NotFound'),
    policy: coded400('InvalidPolicy.Malformed'),
    priority: coded400('InvalidPriority.ValueNotSupported'),
    nicType: coded400('InvalidNicType.ValueNotSupported'),
    limit: coded403('AuthorizationLimitExceed'),
    missing: coded400(`MissingParameter.${Peer}`),
    SecurityGroupRuleAlreadyExists: coded400('InvalidSecurityGroupRule.RuleRepeat'),
  }
}

/** Ways to name the peer, the strongest first: of several the lesser ones are passed over, as the service does. */
const peerFields = {
  ingress: [['SourceCidrIp', 'Ipv6SourceCidrIp'], ['SourceGroupId'], ['SourcePrefixListId']],
  egress: [['DestCidrIp', 'Ipv6DestCidrIp'], ['DestGroupId'], ['DestPrefixListId']],
} as const

/** In the words of `/v1`. */
function permissionOf(direction: Direction, asked: AskedFields): AskedPermission {
  const { PortRangeListId, Priority, SourceGroupOwnerId, DestGroupOwnerId, ...given } = withStrongestPeer(
    direction,
    asked,
  )
  const fields = Object.entries({
    ...given,
    // Of the two, PortRange is the stronger.
    PortRangeListId: given.PortRange ? undefined : PortRangeListId,
    SourceGroupOwnerAccount: given.SourceGroupOwnerAccount || SourceGroupOwnerId,
    DestGroupOwnerAccount: given.DestGroupOwnerAccount || DestGroupOwnerId,
  }).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[lowerFirst(name), value] as const]))
  return { direction, ...(Priority !== undefined && { priority: Priority }), ...Object.fromEntries(fields) }
}

const lowerFirst = (name: string) => `${name[0]!.toLowerCase()}${name.slice(1)}`

function withStrongestPeer(direction: Direction, asked: AskedFields): AskedFields {
  const ways: readonly (readonly (keyof AskedFields)[])[] = peerFields[direction]
  const strongest = ways.findIndex(names => names.some(name => asked[name]))
  const lesser = new Set(ways.slice(strongest + 1).flat())
  if (strongest < 0 || lesser.size === 0) return asked
  return Object.fromEntries(Object.entries(asked).filter(([name]) => !lesser.has(name as keyof AskedFields)))
}

interface AskedRules extends AskedFields {
  readonly Permissions?: readonly AskedFields[] | undefined
}

/** @throws {ApiError} 400 for both forms at once, or none */
function permissionsOf(direction: Direction, { Permissions, ...flat }: AskedRules): AskedPermission[] {
  const { SecurityGroupId: _, SecurityGroupRuleId: _ids, ...rule } = flat as Record<string, unknown>
  const isFlat = Object.keys(rule).length > 0
  if (Permissions !== undefined && isFlat) {
    const message = `Cannot take ${Object.keys(rule)[0]} beside Permissions: expected one form or the other`
    throw new ApiError(400, 'InvalidParameter.Conflict', message)
  }
  if (Permissions === undefined && !isFlat) {
    throw new ApiError(400, 'MissingParameter.Permissions', 'Cannot tell which rules are meant: expected Permissions')
  }
  return (Permissions ?? [rule as AskedFields]).map(each => permissionOf(direction, each))
}

/** For groups in a VPC the kind of network interface says nothing. */
function inNetwork(group: GroupDoc, permissions: readonly AskedPermission[]): AskedPermission[] {
  return permissions.map(({ nicType, ...rest }) =>
    group.networkType === 'vpc' || nicType === undefined ? rest : { ...rest, nicType },
  )
}

const done = (plan: Plan<object>) => renamed(plan, () => ({}))

const suffixes = { ingress: '', egress: 'Egress' } as const

function authorizeAction(direction: Direction): WriteAction<typeof authorizeParameters> {
  const name = `AuthorizeSecurityGroup${suffixes[direction]}`
  return {
    product: 'ecs',
    name,
    summary: `add ${direction} rules, up to ${mostPermissions} at once`,
    differs: 'all or nothing',
    parameters: authorizeParameters,
    access: accessToGroup(name),
    subject: ({ parameters }) => ({ kind: 'group', id: parameters.SecurityGroupId }),
    plan(world, call) {
      const permissions = permissionsOf(direction, call.parameters)
      const group = writableGroup(world, call, call.parameters.SecurityGroupId)
      return recoded(codesOf(direction), () =>
        done(authorize(group, { permissions: inNetwork(group.group, permissions) })),
      )
    },
  }
}

function revokeAction(direction: Direction): WriteAction<typeof revokeParameters> {
  const name = `RevokeSecurityGroup${suffixes[direction]}`
  const unknownId =
    direction === 'ingress'
      ? coded400('InvalidParam.SecurityGroupRuleId')
      : coded404('InvalidSecurityGroupRule.RuleNotExist')
  return {
    product: 'ecs',
    name,
    summary: `take ${direction} rules away, by id or by what they say`,
    parameters: revokeParameters,
    access: accessToGroup(name),
    subject: ({ parameters }) => ({ kind: 'group', id: parameters.SecurityGroupId }),
    plan(world, call) {
      const { SecurityGroupId, SecurityGroupRuleId: ids = [], ...asked } = call.parameters
      const group = writableGroup(world, call, SecurityGroupId)
      if (ids.length === 0) {
        const permissions = inNetwork(group.group, permissionsOf(direction, asked))
        return recoded(codesOf(direction), () => done(revoke(group, { permissions })))
      }
      if (Object.keys(asked).length > 0) {
        const message = 'Cannot revoke by SecurityGroupRuleId and by what rules say at once: expected one or the other'
        throw new ApiError(400, 'InvalidParameter.Conflict', message)
      }
      const other = ids.find(id => group.group.rules.some(rule => rule.id === id && rule.direction !== direction))
      if (other !== undefined) throw new ApiError(unknownId.status, unknownId.code, `Rule ${other} is not ${direction}`)
      return recoded({ 'InvalidSecurityGroupRuleId.NotFound': unknownId }, () =>
        done(revoke(group, { securityGroupRuleIds: ids })),
      )
    },
  }
}

function modifyAction(direction: Direction): WriteAction<typeof modifyParameters> {
  const name = `ModifySecurityGroup${suffixes[direction]}Rule`
  return {
    product: 'ecs',
    name,
    summary: `change an ${direction} rule; without its id, its description`,
    parameters: modifyParameters,
    access: accessToGroup(name),
    subject: ({ parameters }) => ({ kind: 'group', id: parameters.SecurityGroupId }),
    plan(world, call) {
      const { SecurityGroupId, SecurityGroupRuleId, ...asked } = call.parameters
      const group = writableGroup(world, call, SecurityGroupId)
      const { direction: _, ...given } = inNetwork(group.group, [permissionOf(direction, asked)])[0]!
      return recoded(codesOf(direction), () => {
        if (!SecurityGroupRuleId) return describeRules(group, direction, given)
        const rule = findRule(group.group, SecurityGroupRuleId)
        if (rule.direction !== direction) {
          throw new ApiError(404, 'InvalidSecurityGroupRuleId.NotFound', `Rule ${rule.id} is not ${direction}`)
        }
        requireSameKindOfPeer(rule, given)
        return done(modifyRule(group, SecurityGroupRuleId, given))
      })
    },
  }
}

/** Rules that say this get the description. @throws {ApiError} 404 where there is none */
function describeRules(
  group: ReturnType<typeof writableGroup>,
  direction: Direction,
  given: Omit<AskedPermission, 'direction'>,
) {
  const { description, ...said } = given
  const [rule] = rulesMeantBy(group, [{ ...said, direction }])
  if (rule === undefined) {
    throw new ApiError(404, 'SecurityGroupRule.NotFound', 'Cannot change the rule: there is none that says this')
  }
  return done(modifyRule(group, rule.id, { description: description ?? null }))
}

const kindsOfPeer = ['CidrIp', 'GroupId', 'PrefixListId'] as const

/** What the rule is about may change, but not from addresses to a group, say. */
function requireSameKindOfPeer(rule: RuleDoc, given: object): void {
  const side = rule.direction === 'ingress' ? /source/i : /dest/i
  const kindOf = (fields: object) =>
    Object.keys(fields).flatMap(name => kindsOfPeer.find(kind => side.test(name) && name.endsWith(kind)) ?? [])[0]
  const [was, is] = [kindOf(rule), kindOf(given)]
  if (is === undefined || was === is) return
  throw new ApiError(
    400,
    'InvalidParam.SecurityGroupRuleId',
    `Cannot make ${is} of ${was}: expected the same kind of peer`,
  )
}

const describePages = { usual: 500, most: 1000 }
const describeParameters = Type.Object({
  SecurityGroupId: groupId,
  Direction: Type.Optional(anyCase(Type.Enum(['all', 'ingress', 'egress']))),
  NicType: Type.Optional(anyCase(Type.Enum(['internet', 'intranet']))),
  Attribute: text(),
  ...pagingParameters(describePages),
})

const describeAction = readAction({
  product: 'ecs',
  name: 'DescribeSecurityGroupAttribute',
  summary: 'a group with its rules',
  parameters: describeParameters,
  access: accessToGroup('DescribeSecurityGroupAttribute'),
  read(world, { principal, parameters, regionId }) {
    const { SecurityGroupId, Direction = 'all', NicType } = parameters
    const group = visible(world, principal, 'group', SecurityGroupId)
    const isNic = (rule: RuleDoc) => NicType === undefined || group.networkType === 'vpc' || rule.nicType === NicType
    const rules = group.rules
      .filter(rule => (Direction === 'all' || rule.direction === Direction) && isNic(rule))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const { items, fields } = pageOf(rules, rule => rule.id, parameters, describePages)
    return {
      RegionId: regionId,
      SecurityGroupId,
      SecurityGroupName: group.name ?? '',
      Description: group.description ?? '',
      VpcId: group.vpcId ?? '',
      InnerAccessPolicy: group.innerAccessPolicy === 'accept' ? 'Accept' : 'Drop',
      Permissions: { Permission: items.map(rule => showPermission(world, group, rule)) },
      SnapshotPolicyIds: { SnapshotPolicyId: [] },
      NextToken: fields.NextToken,
    }
  },
})

/** What a rule does not say is an empty text: clients look for it. */
function showPermission(world: World, group: GroupDoc, rule: RuleDoc) {
  const said = (field: keyof RuleDoc) => String(rule[field] ?? '')
  const groupName = (field: 'sourceGroupId' | 'destGroupId') => {
    const named = world.get('group', said(field))
    return named?.accountId === group.accountId ? (named.name ?? '') : ''
  }
  const listName = (field: 'sourcePrefixListId' | 'destPrefixListId') =>
    world.get('prefixList', said(field))?.name ?? ''
  return {
    SecurityGroupRuleId: rule.id,
    Direction: rule.direction,
    IpProtocol: rule.ipProtocol === 'icmpv6' ? 'ICMPv6' : rule.ipProtocol.toUpperCase(),
    PortRange: rule.portRange,
    PortRangeListId: said('portRangeListId'),
    PortRangeListName: world.get('portRangeList', said('portRangeListId'))?.name ?? '',
    SourcePortRange: said('sourcePortRange'),
    NicType: group.networkType === 'vpc' ? 'intranet' : rule.nicType,
    Policy: rule.policy === 'accept' ? 'Accept' : 'Drop',
    Priority: String(rule.priority),
    Description: said('description'),
    CreateTime: isoSeconds(rule.createdAtMs),
    SourceCidrIp: said('sourceCidrIp'),
    DestCidrIp: said('destCidrIp'),
    Ipv6SourceCidrIp: said('ipv6SourceCidrIp'),
    Ipv6DestCidrIp: said('ipv6DestCidrIp'),
    SourceGroupId: said('sourceGroupId'),
    SourceGroupName: groupName('sourceGroupId'),
    SourceGroupOwnerAccount: said('sourceGroupOwnerAccount'),
    SourcePrefixListId: said('sourcePrefixListId'),
    SourcePrefixListName: listName('sourcePrefixListId'),
    DestGroupId: said('destGroupId'),
    DestGroupName: groupName('destGroupId'),
    DestGroupOwnerAccount: said('destGroupOwnerAccount'),
    DestPrefixListId: said('destPrefixListId'),
    DestPrefixListName: listName('destPrefixListId'),
  }
}

const directions = ['ingress', 'egress'] as const

export const ruleActions = [
  ...directions.map(direction => writeAction(authorizeAction(direction))),
  ...directions.map(direction => writeAction(revokeAction(direction))),
  ...directions.map(direction => writeAction(modifyAction(direction))),
  describeAction,
]
