/** Values for a schema: such as a user could mean, and such as nobody could. */

import type { JsonSchema } from '../openapi.ts'
import type { Random } from '../random.ts'

/** Ids of objects that are there, and other words of the domain, keyed by the name of the field they belong into. */
export type Lexicon = ReadonlyMap<string, readonly string[]>

const cidrs = ['0.0.0.0/0', '198.18.0.9/24', '203.0.113.7', '198.18.0.0/15,203.0.113.0/24', '10.0.0.0/8']
const cidrs6 = ['::/0', '2001:DB8::1/32', '2001:db8::7', '2001:db8:1::/48,2001:db8:2::/48']
const ports = ['80/80', '1/65535', '-1/-1', '8000/8100']

export const words: Lexicon = new Map([
  ['ipProtocol', ['tcp', 'TCP', 'udp', 'all', 'icmp', 'icmpv6', 'gre']],
  ['portRange', ports],
  ['sourcePortRange', ports],
  ['service', ['ssh', 'https', 'mysql', 'nonsense']],
  ['sourceCidrIp', cidrs],
  ['destCidrIp', cidrs],
  ['ipv6SourceCidrIp', cidrs6],
  ['ipv6DestCidrIp', cidrs6],
  ['allowList', ['203.0.113.7', '203.0.113.9/24', '2001:DB8::1/32']],
  ['cidr', [...cidrs, ...cidrs6]],
  ['privateIpAddresses', ['198.18.0.2', '198.18.0.3', '198.18.0.4']],
  ['ipv6Addresses', ['2001:db8::2', '2001:DB8::3']],
  ['macAddress', ['02:00:00:00:00:01', '02-00-00-00-00-02']],
  ['device', ['eth0', 'eth1', 'tap0']],
  ['vpcId', ['vpc-1', 'vpc-2']],
  ['instanceType', ['ecs.g5.large']],
  ['tag', ['team', 'team:web']],
  ['since', ['2020-01-01T00:00:00Z']],
  ['until', ['2030-01-01T00:00:00Z']],
  ['if-match', ['*', '"1"', '"999999"']],
  ['revision', ['1', '2', '5', '100']],
])

/** Objects whose fields depend on each other, keyed by a field that no other object has: by chance hardly one is good. */
export const examples: ReadonlyMap<string, readonly Readonly<Record<string, unknown>>[]> = new Map<
  string,
  readonly Readonly<Record<string, unknown>>[]
>([
  ['bps', [{ bps: 10, pps: 1000 }, { bps: 500, pps: 100_000, source: 'manual' }, { source: 'type' }]],
  [
    'sourcePortRange',
    [
      { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '198.18.0.9/24,203.0.113.7' },
      {
        direction: 'ingress',
        policy: 'accept',
        ipProtocol: 'UDP',
        portRange: '53/53',
        ipv6SourceCidrIp: '2001:DB8::1/32',
      },
      { direction: 'ingress', ipProtocol: 'all', sourcePrefixListId: 'pl-1', description: 'from the list' },
      {
        direction: 'ingress',
        policy: 'drop',
        priority: 7,
        ipProtocol: 'icmp',
        portRange: '-1/-1',
        sourceCidrIp: '0.0.0.0/0',
      },
      { direction: 'ingress', service: 'mysql', sourceGroupId: 'sg-2' },
      {
        direction: 'egress',
        ipProtocol: 'tcp',
        portRange: '25/25',
        sourcePortRange: '1024/65535',
        destCidrIp: '0.0.0.0/0',
      },
      { direction: 'egress', ipProtocol: 'gre', destGroupId: 'sg-1', sourceCidrIp: '198.18.0.0/24' },
      { priority: 100 },
      { description: null },
      { portRange: '8080/8080' },
    ],
  ],
  [
    'icmpType',
    [
      {
        networkInterfaceId: 'eni-1',
        direction: 'ingress',
        protocol: 'tcp',
        source: '203.0.113.7',
        destination: '198.18.1.1',
        port: 443,
      },
      {
        networkInterfaceId: 'eni-1',
        direction: 'egress',
        protocol: 'icmp',
        source: '198.18.1.1',
        destination: '203.0.113.7',
        icmpType: 8,
      },
    ],
  ],
])

const newIdPrefixes = ['sg', 'pl', 'i', 'eni', 'agent', 'enrol', 'token'] as const

export class ValueMaker {
  readonly #random: Random
  readonly #lexicon: Lexicon

  constructor(random: Random, lexicon: Lexicon) {
    this.#random = random
    this.#lexicon = lexicon
  }

  /** A value that the schema takes, or nearly: patterns are met by the words known for the field. @param name  the field's */
  likely(schema: JsonSchema, name: string): unknown {
    const random = this.#random
    if (schema.anyOf !== undefined) return this.likely(random.pick(schema.anyOf), name)
    if (schema.enum !== undefined) return random.pick(schema.enum)
    if (schema.const !== undefined) return schema.const
    switch (schema.type) {
      case 'object':
        return this.#object(schema, name)
      case 'array':
        return this.#array(schema, name)
      case 'string':
        return this.#text(schema, name)
      case 'integer':
      case 'number':
        return this.#number(schema)
      case 'boolean':
        return random.chance(0.5)
      default:
        return null
    }
  }

  /** A value that means nothing, or more than it should. */
  hostile(): unknown {
    return this.#random.pick(hostileValues)()
  }

  #object(schema: JsonSchema, name: string): Record<string, unknown> {
    const random = this.#random
    const whole = documents.get(name)
    if (whole !== undefined && random.chance(0.8)) return structuredClone(random.pick(whole))
    const key = [...examples.keys()].find(name => schema.properties?.[name] !== undefined)
    if (key !== undefined && random.chance(0.7)) return { ...random.pick(examples.get(key)!) }
    const required = new Set(schema.required)
    const properties = Object.entries(schema.properties ?? {})
    // Where nothing is needed, fields are often ways to say one thing, or changes that mean most alone.
    const chosen =
      required.size === 0 && random.chance(0.6)
        ? random.sample(properties, 1)
        : properties.filter(([name]) => required.has(name) || random.chance(0.35))
    const object = Object.fromEntries(chosen.map(([name, inner]) => [name, this.likely(inner, name)]))
    const [more] = Object.values(schema.patternProperties ?? {})
    if (more !== undefined && random.chance(0.7)) object[random.pick(['team', 'env'])] = this.likely(more, 'tag')
    return object
  }

  #array(schema: JsonSchema, name: string): unknown[] {
    const { minItems = 0, maxItems = 3, items = {} } = schema
    const length = this.#random.integer(minItems, Math.max(minItems, Math.min(maxItems, 3)))
    return Array.from({ length }, () => this.likely(items, name))
  }

  #text({ pattern = '' }: JsonSchema, name: string): string {
    const random = this.#random
    const prefix = newIdPrefixes.find(each => pattern.startsWith(`^${each}-`))
    if (prefix !== undefined && random.chance(0.8)) return `${prefix}-new${random.integer(1, 400)}`
    const known = this.#lexicon.get(name) ?? words.get(name)
    return known !== undefined && known.length > 0 ? random.pick(known) : `text${random.integer(1, 9)}`
  }

  #number({ minimum = 0, maximum = 1000 }: JsonSchema): number {
    return this.#random.integer(minimum, Math.min(maximum, minimum + 200))
  }
}

/** Objects of a grammar of their own, of which schemas say nothing, by the field they stand in. */
const documents: ReadonlyMap<string, readonly Record<string, unknown>[]> = new Map([
  [
    'document',
    [
      { Version: '1', Statement: [{ Effect: 'Allow', Action: 'ecs:Describe*', Resource: '*' }] },
      {
        Version: '1',
        Statement: [
          {
            Effect: 'Deny',
            Action: ['ecs:*'],
            Resource: ['acs:ecs:*:*:securitygroup/sg-1'],
            Condition: { IpAddress: { 'acs:SourceIp': ['198.18.0.0/15'] } },
          },
        ],
      },
    ],
  ],
  [
    'trustPolicy',
    [
      {
        Version: '1',
        Statement: [
          { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: ['acs:ram::1000000000000000:root'] } },
        ],
      },
    ],
  ],
])

/** Names that objects have from JavaScript itself. */
export const inheritedNames = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
]

export const hostileTexts = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udc00\ud800',
  '\u202eabc\u202c',
  '\u2028',
  'e\u0301'.repeat(60),
  '\u{1f600}'.repeat(40),
  'ﷺ',
  '٣٤/٣٤',
  '１/２',
  'İ',
  '../../etc/passwd',
  "sg-1' OR '1'='1",
  'NaN',
  'Infinity',
  '1e400',
  '-0',
  '0x10',
  '%00',
  '{{x}}',
  '{"a":1}',
  ',',
  ',,,,',
  'x'.repeat(513),
  'sg-'.padEnd(5000, 'x'),
  '0.0.0.0/0,'.repeat(300),
  '256.1.1.1/33',
  '::ffff:1.2.3.4',
  'fe80::1%eth0',
  '0/0',
  '65535/65536',
  '-1/80',
  '*',
  ...inheritedNames,
] as const

/** What `JSON.parse` reads and nothing writes. */
const raw = (text: string) => (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text)

const hostileValues: readonly (() => unknown)[] = [
  ...hostileTexts.map(text => () => text),
  ...[null, true, false, 0, -1, 1.5, 65_536, 2 ** 31, 2 ** 53, 1e308].map(value => () => value),
  ...['1e400', '-1e400', '-0', '1e-400', '123456789012345678901234567890'].map(text => () => raw(text)),
  () => [],
  () => ({}),
  () => [[]],
  () => ({ length: 5 }),
  () => 'x'.repeat(100_000),
  () => nested(8),
  () => nested(100),
  () => nested(20_000),
  () => Array.from({ length: 10_000 }, () => 0),
  () => Array.from({ length: 10_000 }, (_, index) => `sg-${index}`),
  () => Array.from({ length: 150 }, () => ({})),
  () => raw('"\\ud800"'),
  ...inheritedNames.map(name => () => Object.fromEntries([[name, { polluted: true }]])),
]

/** Where JSON.stringify would run out of stack, the text stands for itself. */
function nested(depth: number): unknown {
  const text = '['.repeat(depth) + ']'.repeat(depth)
  return new Verbatim(text)
}

/** Goes into the body as it is. */
export class Verbatim {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** JSON of the value, `Verbatim` parts as they are. */
export function writeJson(value: unknown): string {
  const parts: string[] = []
  const text = JSON.stringify(value, (_key, inner: unknown) => {
    if (!(inner instanceof Verbatim)) return inner
    parts.push(inner.text)
    return `verbatim:${parts.length - 1}`
  })
  return text.replace(/"verbatim:(\d+)"/g, (_whole, index: string) => parts[Number(index)]!)
}
