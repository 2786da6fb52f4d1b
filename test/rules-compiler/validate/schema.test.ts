/** docs/policy.schema.json: that it is up to date, and that editors who use it say what the reader says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { Check } from 'typebox/value'
import { formats } from '../../../rules-compiler/validate/formats.ts'
import { checkPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import { policySchema, schemaText } from '../../../rules-compiler/validate/schema.ts'

test('docs/policy.schema.json is up to date: npm run generate', () => {
  assert.equal(readFileSync(`${import.meta.dirname}/../../../docs/policy.schema.json`, 'utf8'), schemaText())
})

test('every field has a description', () => {
  const visit = (schema: Record<string, unknown>, path: string): string[] => {
    const { properties = {}, items } = schema as { properties?: Record<string, object>; items?: object }
    const inner = Object.entries(properties).flatMap(([name, field]) => visit({ ...field }, `${path}.${name}`))
    const item = items === undefined ? [] : visit({ ...items }, `${path}[]`)
    return [...(schema.description === undefined ? [path] : []), ...inner, ...item]
  }
  assert.deepEqual(visit({ ...policySchema }, 'policy'), [])
})

/** A file that uses every field of the schema. */
const everyField = {
  apiVersion: 'ringwall/v1',
  instances: [
    {
      id: 'i-1',
      instanceType: 'ecs.g5.large',
      smtpUnblocked: true,
      ddosThreshold: { bps: 1000, pps: 300_000, source: 'auto' },
      scrubbingCancelled: true,
      ddosOrder: { id: 'order-1', action: 'black-hole', holdSeconds: 604_800 },
    },
  ],
  interfaces: [
    {
      id: 'eni-1',
      instanceId: 'i-1',
      device: 'eth0',
      placement: 'guest',
      addresses: ['198.18.0.2', '2001:db8::2'],
      securityGroupIds: ['sg-1'],
      nicType: 'internet',
    },
  ],
  securityGroups: [
    {
      id: 'sg-1',
      name: 'Web',
      description: 'All of it',
      tags: { team: 'web' },
      type: 'basic',
      networkType: 'vpc',
      vpcId: 'vpc-1',
      ownerAccount: '1234567890123456',
      innerAccessPolicy: 'drop',
      members: ['198.18.0.3'],
      rules: [
        {
          id: 'sgr-1',
          direction: 'ingress',
          policy: 'drop',
          priority: 100,
          ipProtocol: 'Tcp',
          portRange: '1/65535',
          sourcePortRange: '1024/65535',
          sourceCidrIp: '10.0.0.0/8',
          destCidrIp: '198.18.0.2',
          description: 'One',
        },
        {
          direction: 'egress',
          policy: 'accept',
          ipProtocol: 'ICMPv6',
          portRange: '-1/-1',
          ipv6DestCidrIp: '::/0',
          ipv6SourceCidrIp: '2001:db8::2',
        },
        {
          direction: 'ingress',
          policy: 'accept',
          ipProtocol: 'all',
          sourceGroupId: 'sg-1',
          sourceGroupOwnerAccount: '1234567890123456',
          sourceGroupOwnerId: '1234567890123456',
          nicType: 'intranet',
        },
        {
          direction: 'egress',
          policy: 'accept',
          ipProtocol: 'gre',
          destGroupId: 'sg-1',
          destGroupOwnerAccount: '1234567890123456',
          destGroupOwnerId: '1234567890123456',
        },
        { direction: 'ingress', policy: 'accept', ipProtocol: 'icmp', sourcePrefixListId: 'pl-1' },
        { direction: 'egress', policy: 'accept', ipProtocol: 'all', destPrefixListId: 'pl-1' },
        { direction: 'ingress', policy: 'accept', ipProtocol: 'all', ipv6SourceCidrIp: '::/0', ipv6DestCidrIp: '::1' },
      ],
    },
  ],
  prefixLists: [{ id: 'pl-1', name: 'Mine', entries: ['10.0.0.0/8', '2001:db8::/32'] }],
  settings: {
    sessionTimeout: 910,
    revocation: 'drain',
    ctMarkMask: '0xffff0000',
    controlConnections: [{ address: '198.18.0.1', port: 443 }],
    rescue: [{ source: '198.18.0.0/24', port: 22 }],
    trafficScope: 'all',
    scrubbing: {
      secondsOver: 60,
      holdTime: 86_400,
      blackHoleThreshold: 10_000_000,
      blackHoleHoldTime: 604_800,
      mostBlackHoleHoldTime: 604_800,
      allowList: ['203.0.113.0/24', '::/0'],
    },
    limits: {
      rulesPerGroup: 1000,
      groupsPerEni: 10,
      basicGroupPrivateIps: 5,
      advancedGroupEnis: 5,
      authorizationObjectsPerRequest: 5,
      keyPairsPerAccount: 5,
    },
  },
}

type Path = readonly (string | number)[]

/** The path of every object, list and scalar in a value, its own included. */
function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value)
  return [path, ...[...keys].flatMap(key => pathsOf((value as Record<string, unknown>)[key], [...path, key]))]
}

/** A copy of the value with something else at the path. */
function replaced(value: unknown, [key, ...rest]: Path, put: unknown): unknown {
  if (key === undefined) return put
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, unknown>
  copy[key] = replaced(copy[key], rest, put)
  return copy
}

suite('the schema and the reader agree', () => {
  const shapeCodes = new Set(['missing', 'unknown-field', 'wrong-type', 'invalid-value'])
  const strangers = [null, 5, -1, 1.5, true, '', 'stranger', [], {}, [5], { stranger: 1 }, 'x'.repeat(600)]

  test('on a file with every field', () => {
    assert.deepEqual(checkPolicy(everyField).problems, [])
    assert.equal(Check(policySchema, everyField), true)
  })

  test('on that file with a stranger in each place', () => {
    for (const path of pathsOf(everyField)) {
      for (const stranger of strangers) {
        const file = replaced(everyField, path, stranger)
        const { problems } = checkPolicy(file)
        const at = `${path.join('.')} = ${JSON.stringify(stranger)?.slice(0, 40)}`
        if (problems.length === 0) assert.equal(Check(policySchema, file), true, `refused by the schema alone: ${at}`)
        // The schema knows no addresses, blocks and masks, nor what fields say of each other.
        const isBeyondSchema = problems.every(({ code, message }) => !shapeCodes.has(code) || knowsNot(message))
        if (!isBeyondSchema) assert.equal(Check(policySchema, file), false, `accepted by the schema alone: ${at}`)
      }
    }
  })

  const unknownToSchema = [
    ...Object.values(formats)
      .filter(format => !('pattern' in format))
      .map(format => `Cannot read ${format.name} `),
    'Cannot do without an authorization object',
    'Cannot do without portRange for ',
  ]
  function knowsNot(message: string): boolean {
    return unknownToSchema.some(start => message.startsWith(start))
  }

  test('on required fields', () => {
    for (const path of pathsOf(everyField)) {
      if (typeof path.at(-1) !== 'string') continue
      const parent = path
        .slice(0, -1)
        .reduce((value: unknown, key) => (value as Record<string, unknown>)[key], everyField)
      const { [path.at(-1)!]: _, ...others } = parent as Record<string, unknown>
      const file = replaced(everyField, path.slice(0, -1), others)
      const isMissed = checkPolicy(file).problems.some(
        problem => problem.code === 'missing' && !knowsNot(problem.message),
      )
      assert.equal(Check(policySchema, file), !isMissed, path.join('.'))
    }
  })
})
