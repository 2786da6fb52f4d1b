/**
 * The shape of a policy file: every field, its type, its bounds and what it means. This is the one definition:
 * `readShape` reads files by it, `PolicyFile` is derived from it, and docs/policy.schema.json is written from it for
 * editors. `format` names an entry of formats.ts; the static type of such a field is what its text becomes.
 */
import Type from 'typebox'
import type { Cidr } from '../address/cidr.ts'
import type { RuleProtocol } from '../address/protocol.ts'
import {
  type Bounds,
  ddosThresholdBounds,
  defaultLimits,
  defaultLogging,
  defaultScrubbing,
  type Limits,
  loggingBounds,
  mostAllowListBlocks,
  mostRescues,
  mostSessionTimeoutSeconds,
  orderedHoldBounds,
  scrubbingBounds,
} from '../model/policy.ts'
import { type FilePortRange, type Format, type FormatName, formats } from './formats.ts'

const exact = { additionalProperties: false }

/** A text with an entry in formats.ts, whose pattern goes into the schema for editors. */
function formatted<T = string>(format: FormatName, description: string) {
  const { pattern }: Format<unknown> = formats[format]
  return Type.Unsafe<T>(Type.String({ description, format, ...(pattern === undefined ? {} : { pattern }) }))
}

function id(description: string) {
  return formatted('id', description)
}

function address(description: string) {
  return formatted('address', description)
}

function account(description: string) {
  return formatted('account', `${description} 16 digits, in quotes: as a number it would lose its last ones.`)
}

function cidr(format: 'cidr' | 'ipv4-cidr' | 'ipv6-cidr', description: string) {
  return formatted<Cidr>(format, `${description} A bare address is /32 or /128; host bits are masked off.`)
}

function portRange(description: string) {
  return formatted<FilePortRange>('port-range', description)
}

function mode(description: string) {
  return Type.Optional(Type.Enum(['enforce', 'observe'], { description, default: 'enforce' }))
}

function description(of: string) {
  return Type.String({ description: `What the ${of} is for.`, minLength: 1, maxLength: 512 })
}

/** One rule; `readRule` reads by it. */
export const ruleSchema = Type.Object(
  {
    id: Type.Optional(id('Name of the rule, `sgr-…`. Left out, it is made from the content of the rule.')),
    direction: Type.Enum(['ingress', 'egress'], { description: 'What comes to the ENI, or what leaves it.' }),
    policy: Type.Enum(['accept', 'drop'], { description: 'What happens to what matches. A drop is silent.' }),
    priority: Type.Optional(
      Type.Integer({
        description: 'The smaller, the stronger. At equal priority drop wins.',
        minimum: 1,
        maximum: 100,
        default: 1,
      }),
    ),
    ipProtocol: formatted<RuleProtocol>(
      'protocol',
      'all, tcp, udp, icmp (IPv4 only), icmpv6 (IPv6 only) or gre, in upper or lower case.',
    ),
    portRange: Type.Optional(
      portRange('Destination ports, `start/end`. Needed for tcp and udp; `-1/-1`, the default, for the others.'),
    ),
    sourcePortRange: Type.Optional(portRange('Source ports, `start/end`; any where left out.')),
    sourceCidrIp: Type.Optional(
      cidr('ipv4-cidr', 'IPv4 source. Ingress: the authorization object. Egress: narrows the ENI’s own side.'),
    ),
    ipv6SourceCidrIp: Type.Optional(
      cidr('ipv6-cidr', 'IPv6 source. Ingress: the authorization object. Egress: narrows the ENI’s own side.'),
    ),
    sourceGroupId: Type.Optional(id('Ingress only: the group whose members are the authorization object.')),
    sourceGroupOwnerAccount: Type.Optional(account('Ingress only: the account that owns sourceGroupId.')),
    sourceGroupOwnerId: Type.Optional(account('The same as sourceGroupOwnerAccount.')),
    sourcePrefixListId: Type.Optional(id('Ingress only: the prefix list that is the authorization object.')),
    destCidrIp: Type.Optional(
      cidr('ipv4-cidr', 'IPv4 destination. Egress: the authorization object. Ingress: narrows the ENI’s own side.'),
    ),
    ipv6DestCidrIp: Type.Optional(
      cidr('ipv6-cidr', 'IPv6 destination. Egress: the authorization object. Ingress: narrows the ENI’s own side.'),
    ),
    destGroupId: Type.Optional(id('Egress only: the group whose members are the authorization object.')),
    destGroupOwnerAccount: Type.Optional(account('Egress only: the account that owns destGroupId.')),
    destGroupOwnerId: Type.Optional(account('The same as destGroupOwnerAccount.')),
    destPrefixListId: Type.Optional(id('Egress only: the prefix list that is the authorization object.')),
    nicType: Type.Optional(
      Type.Enum(['internet', 'intranet'], {
        description:
          'Classic groups only: which ENIs the rule is for. internet is the default, but for rules with a group object, which are always intranet.',
      }),
    ),
    description: Type.Optional(description('rule')),
  },
  { ...exact, description: 'One rule. Rules of a group that differ in nothing but id and description are one rule.' },
)

const securityGroup = Type.Object(
  {
    id: id('Name of the group, `sg-…`.'),
    name: Type.Optional(Type.String({ description: 'Name for people.', minLength: 1, maxLength: 128 })),
    description: Type.Optional(description('group')),
    tags: Type.Optional(
      Type.Unsafe<Readonly<Record<string, string>>>({
        type: 'object',
        description: 'Names and values, both text, for the operator’s own use.',
        additionalProperties: { type: 'string', maxLength: 128 },
      }),
    ),
    type: Type.Optional(
      Type.Enum(['basic', 'advanced'], {
        description: 'advanced accepts no drop rule, no priority but 1, no group object, and is for VPCs only.',
        default: 'basic',
      }),
    ),
    networkType: Type.Optional(Type.Enum(['vpc', 'classic'], { description: 'Kind of network.', default: 'vpc' })),
    vpcId: Type.Optional(
      id('The VPC of the group. Groups without one are together in the one VPC that needs no name.'),
    ),
    ownerAccount: Type.Optional(account('The account that owns the group.')),
    innerAccessPolicy: Type.Optional(
      Type.Enum(['accept', 'drop'], {
        description:
          'Basic groups: whether members reach each other whatever the rules say. An advanced group never lets them.',
        default: 'accept',
      }),
    ),
    mode: mode('observe: at every ENI in the group, what would be dropped is counted, logged and let through.'),
    members: Type.Optional(
      Type.Array(address('One private address.'), {
        description:
          'The private addresses of all ENIs in the group, on this host or any other. Those of the file’s own ENIs need not be repeated.',
      }),
    ),
    rules: Type.Optional(Type.Array(ruleSchema, { description: 'The rules of the group; their order means nothing.' })),
  },
  { ...exact, description: 'A security group.' },
)

const ddosThreshold = Type.Object(
  {
    bps: Type.Integer({ description: 'In 10^6 bits a second.', ...ddosThresholdBounds.bps }),
    pps: Type.Integer({ description: 'Packets a second.', ...ddosThresholdBounds.pps }),
    source: Type.Optional(
      Type.Enum(['manual', 'auto'], {
        description: 'Who chose it; auto is what the agent proposed.',
        default: 'manual',
      }),
    ),
  },
  {
    ...exact,
    description:
      'Inbound traffic above either is scrubbed. Left out: the maxima of the instance type, which neither may be above.',
  },
)

const ddosOrder = Type.Object(
  {
    id: id('Name of the order. One of the same name has been carried out and is not again.'),
    action: Type.Enum(['black-hole', 'lift'], {
      description: 'black-hole: all inbound traffic in scope is dropped for a time. lift: it no longer is.',
    }),
    holdSeconds: Type.Optional(
      Type.Integer({
        description: 'How long, for a black hole. Left out: as long as for one that comes by itself.',
        ...orderedHoldBounds,
      }),
    ),
  },
  { ...exact, description: 'What is to be done once about inbound traffic, now.' },
)

const instance = Type.Object(
  {
    id: id('Name of the instance, `i-…`.'),
    instanceType: Type.Optional(
      Type.String({
        description:
          'Instance type, which gives the thresholds of traffic scrubbing. One that is not known has none: without ddosThreshold traffic is measured, never scrubbed.',
        minLength: 1,
        maxLength: 64,
      }),
    ),
    smtpUnblocked: Type.Optional(
      Type.Boolean({ description: 'Whether an administrator opened outbound TCP port 25.', default: false }),
    ),
    ddosThreshold: Type.Optional(ddosThreshold),
    scrubbingCancelled: Type.Optional(
      Type.Boolean({
        description: 'Whether traffic above the thresholds is left as it is. A black hole comes all the same.',
        default: false,
      }),
    ),
    ddosOrder: Type.Optional(ddosOrder),
  },
  { ...exact, description: 'A host or a virtual machine on it.' },
)

const eni = Type.Object(
  {
    id: id('Name of the ENI, `eni-…`.'),
    instanceId: Type.Optional(
      id('The instance it belongs to; may be left out where the file has one instance, or none (then it is `i-host`).'),
    ),
    device: formatted('device', 'Network device as the kernel names it; not lo.'),
    placement: Type.Optional(
      Type.Enum(['host', 'guest'], {
        description: 'host: the device is the machine’s own NIC. guest: it is the host’s end of a guest’s NIC.',
        default: 'host',
      }),
    ),
    addresses: Type.Optional(
      Type.Array(address('One private address.'), {
        description: 'The private addresses of the ENI, both families. From a guest nothing else may come.',
      }),
    ),
    securityGroupIds: Type.Array(id('A group.'), {
      description: 'The groups of the ENI, 1 to 5. An empty list: no policy yet, the device is left alone.',
    }),
    nicType: Type.Optional(
      Type.Enum(['internet', 'intranet'], {
        description: 'On classic networks: which rules of its groups the ENI obeys.',
        default: 'internet',
      }),
    ),
    mode: mode(
      'observe: what would be dropped is counted, logged and let through. So it is too where one of its groups says observe.',
    ),
  },
  { ...exact, description: 'A network interface: where groups are enforced.' },
)

const prefixList = Type.Object(
  {
    id: id('Name of the prefix list, `pl-…`.'),
    name: Type.Optional(Type.String({ description: 'Name for people.', minLength: 1, maxLength: 128 })),
    entries: Type.Array(cidr('cidr', 'A block of either family.'), {
      description: 'The blocks; a rule that names the list counts as one rule however many there are.',
    }),
  },
  { ...exact, description: 'A named list of CIDR blocks.' },
)

function limit(name: keyof Limits, description: string) {
  return Type.Optional(Type.Integer({ description, minimum: 1, default: defaultLimits[name] }))
}

function ofScrubbing(name: keyof typeof scrubbingBounds, description: string) {
  const bounds: Bounds = scrubbingBounds[name]
  return Type.Optional(Type.Integer({ description, ...bounds, default: defaultScrubbing[name] }))
}

const scrubbing = Type.Object(
  {
    secondsOver: ofScrubbing('secondsOver', 'Seconds over a threshold, one after the other, before scrubbing begins.'),
    holdTime: ofScrubbing('holdTime', 'Seconds that traffic must stay under both thresholds for scrubbing to end.'),
    blackHoleThreshold: ofScrubbing(
      'blackHoleThreshold',
      'Traffic above this, in 10^6 bits a second, and above the threshold of the instance, is dropped whole. 0: never.',
    ),
    blackHoleHoldTime: ofScrubbing(
      'blackHoleHoldTime',
      'Seconds of the first black hole of a day; each further one is twice as long as the one before it.',
    ),
    mostBlackHoleHoldTime: ofScrubbing(
      'mostBlackHoleHoldTime',
      'Seconds of the longest black hole, blackHoleHoldTime at least.',
    ),
    allowList: Type.Optional(
      Type.Array(cidr('cidr', 'A block of either family.'), {
        description: 'Sources that are never cleaned nor black-holed.',
        maxItems: mostAllowListBlocks,
      }),
    ),
  },
  { ...exact, description: 'Traffic scrubbing: how soon, how long, and of whom not.' },
)

const logging = Type.Object(
  {
    drops: Type.Optional(
      Type.Boolean({
        description: 'Whether packets that are dropped, or would be where they are only observed, are logged.',
        default: defaultLogging.drops,
      }),
    ),
    sessions: Type.Optional(
      Type.Boolean({
        description: 'Whether each session that is accepted is logged, once, at its first packet.',
        default: defaultLogging.sessions,
      }),
    ),
    perSecond: Type.Optional(
      Type.Integer({
        description:
          'Packets a second that are logged at most, for each ENI and direction: of what is dropped, of what is accepted, and of what goes on though only let through.',
        ...loggingBounds.perSecond,
        default: defaultLogging.perSecond,
      }),
    ),
    nflogGroup: Type.Optional(
      Type.Integer({
        description: 'The NFLOG group of the kernel that they go to.',
        ...loggingBounds.nflogGroup,
        default: defaultLogging.nflogGroup,
      }),
    ),
  },
  { ...exact, description: 'What is logged of packets.' },
)

const settings = Type.Object(
  {
    sessionTimeout: Type.Optional(
      Type.Integer({
        description: 'Seconds after which an idle TCP session is forgotten.',
        minimum: 1,
        maximum: mostSessionTimeoutSeconds,
        default: mostSessionTimeoutSeconds,
      }),
    ),
    revocation: Type.Optional(
      Type.Enum(['immediate', 'drain'], {
        description: 'Whether a session that is no longer allowed is cut within a second, or lives on until it ends.',
        default: 'immediate',
      }),
    ),
    ctMarkMask: Type.Optional(
      Type.Unsafe<number>({
        type: ['integer', 'string'],
        description:
          'The bits of the conntrack mark that are Ringwall’s, as a number or as "0x" text: one run of ones, an even number of them, 8 at least.',
        format: 'mark-mask',
        default: '0xffffff00',
      }),
    ),
    controlConnections: Type.Optional(
      Type.Array(
        Type.Object(
          {
            address: address('Address of a control daemon.'),
            port: Type.Integer({ description: 'Its TCP port.', minimum: 1, maximum: 65_535 }),
          },
          { ...exact, description: 'One address and port.' },
        ),
        { description: 'Where the agent’s control daemon listens: outbound TCP there is never judged.' },
      ),
    ),
    rescue: Type.Optional(
      Type.Array(
        Type.Object(
          {
            source: cidr('cidr', 'Where administrators come from.'),
            port: Type.Integer({
              description: 'The TCP port of the host that they come to.',
              minimum: 1,
              maximum: 65_535,
            }),
          },
          { ...exact, description: 'One block and port.' },
        ),
        {
          description:
            'By whom and where the host itself is administered: inbound TCP from there is accepted whatever the rules say.',
          maxItems: mostRescues,
        },
      ),
    ),
    trafficScope: Type.Optional(
      Type.Enum(['internet', 'all'], {
        description:
          'Whose inbound traffic counts for thresholds and is scrubbed: that of sources outside the private, shared, unique-local and link-local ranges, or of all.',
        default: 'internet',
      }),
    ),
    scrubbing: Type.Optional(scrubbing),
    logging: Type.Optional(logging),
    limits: Type.Optional(
      Type.Object(
        {
          rulesPerGroup: limit('rulesPerGroup', 'Rules of one group, both directions together.'),
          groupsPerEni: limit('groupsPerEni', 'Groups of one ENI.'),
          basicGroupPrivateIps: limit('basicGroupPrivateIps', 'Private addresses in a basic group.'),
          advancedGroupEnis: limit('advancedGroupEnis', 'ENIs in an advanced group.'),
          authorizationObjectsPerRequest: limit(
            'authorizationObjectsPerRequest',
            'Authorization objects in one API request; without effect in a file.',
          ),
          keyPairsPerAccount: limit('keyPairsPerAccount', 'Key pairs of an account; without effect in a file.'),
        },
        { ...exact, description: 'How much is allowed of what.' },
      ),
    ),
  },
  { ...exact, description: 'How Ringwall behaves on this host.' },
)

export const policySchema = Type.Object(
  {
    apiVersion: Type.Literal('ringwall/v1', { description: 'The version of this format.' }),
    instances: Type.Optional(Type.Array(instance, { description: 'The instances the host holds.' })),
    interfaces: Type.Optional(Type.Array(eni, { description: 'The ENIs of the host.' })),
    securityGroups: Type.Optional(
      Type.Array(securityGroup, { description: 'The groups that ENIs are in and that rules name.' }),
    ),
    prefixLists: Type.Optional(Type.Array(prefixList, { description: 'The prefix lists that rules name.' })),
    settings: Type.Optional(settings),
  },
  {
    ...exact,
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Ringwall policy file',
    description: 'Security groups and where they apply on one host.',
  },
)

/** A policy file as `readShape` gives it: right in shape, not yet checked for what its parts say of each other. */
export type PolicyFile = Type.Static<typeof policySchema>
export type FileInstance = Type.Static<typeof instance>
export type FileGroup = Type.Static<typeof securityGroup>
export type FileRule = Type.Static<typeof ruleSchema>
export type FileEni = Type.Static<typeof eni>
export type FilePrefixList = Type.Static<typeof prefixList>
export type FileScrubbing = Type.Static<typeof scrubbing>

/** docs/policy.schema.json as it must stand. */
export function schemaText(): string {
  return `${JSON.stringify(policySchema, null, 2)}\n`
}
