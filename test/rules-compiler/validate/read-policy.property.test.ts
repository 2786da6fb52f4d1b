/** Nothing that can be written makes readPolicy throw, and what it refuses it explains. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { formatProblem } from '../../../rules-compiler/validate/problem.ts'
import { checkPolicy, type PolicyReading, readPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import { policySchema } from '../../../rules-compiler/validate/schema.ts'

function assertExplained({ policy, problems }: PolicyReading): void {
  assert.equal(policy === null, problems.length > 0)
  for (const problem of problems) {
    assert.doesNotMatch(formatProblem(problem), /[\p{Cc}\u2028\u2029]/u)
    assert.match(formatProblem(problem), /^.+: Cannot .+: expected ./)
  }
  if (policy !== null) resolvePolicy(policy)
}

/** Text that fields take, in the right place or the wrong one. */
const word = fc.constantFrom(
  ...[
    'sg-1',
    'sg-2',
    'pl-1',
    'i-1',
    'eni-1',
    'eth0',
    'lo',
    'tcp',
    'ALL',
    'icmp',
    '22/22',
    '-1/-1',
    '80/22',
    'accept',
    'drop',
  ],
  ...[
    'ingress',
    'egress',
    '10.0.0.0/8',
    '198.18.0.2',
    '2001:db8::/32',
    '::1',
    '0xffffff00',
    'classic',
    'vpc',
    'advanced',
  ],
  ...['basic', 'intranet', 'internet', 'host', 'guest', 'ringwall/v1', '1234567890123456', '__proto__', ''],
)
const scalar = fc.oneof(
  word,
  word,
  fc.integer({ min: -1, max: 110 }),
  fc.constantFrom(null, true, 1.5, 910, 0xffff0000),
)

interface LooseSchema {
  readonly properties?: Readonly<Record<string, LooseSchema>>
  readonly items?: LooseSchema
  readonly enum?: readonly string[]
}

/** Values that look like what a schema asks for: its fields, mostly, and now and then something else. */
function likeSchema({ properties, items, enum: choices }: LooseSchema): fc.Arbitrary<unknown> {
  const stranger = { arbitrary: fc.anything({ maxDepth: 1 }), weight: 1 }
  if (properties !== undefined) {
    const fields = Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, likeSchema(field)]))
    return fc.oneof({ arbitrary: fc.record(fields, { requiredKeys: [] }), weight: 30 }, stranger)
  }
  if (items !== undefined) {
    return fc.oneof({ arbitrary: fc.array(likeSchema(items), { maxLength: 3 }), weight: 30 }, stranger)
  }
  if (choices !== undefined) return fc.oneof({ arbitrary: fc.constantFrom(...choices), weight: 9 }, scalar)
  return scalar
}

suite('readPolicy explains whatever it refuses', () => {
  test('any JSON', () => fc.assert(fc.property(fc.json(), text => assertExplained(readPolicy(text)))))
  test('any JSON, read as YAML', () => {
    fc.assert(fc.property(fc.json(), text => assertExplained(readPolicy(text, { format: 'yaml' }))))
  })
  test('any text', () =>
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => assertExplained(readPolicy(text)))))
  test('any text with the marks of YAML', () => {
    const marks = fc.constantFrom(...'{}[],:&*!|>%@`-?#"\'\n \t~ab1', '\n  ', '- ', ': ', '<<: ', '&a ', '*a', '---\n')
    const text = fc.array(marks, { maxLength: 30 }).map(parts => parts.join(''))
    fc.assert(
      fc.property(text, value => assertExplained(readPolicy(value))),
      { numRuns: 1000 },
    )
  })
  test('anything like a policy', () => {
    const policy = likeSchema(policySchema as LooseSchema)
    fc.assert(
      fc.property(policy, value => assertExplained(checkPolicy(value))),
      { numRuns: 1000 },
    )
  })
  test('rules that are nearly right', () => {
    const fields = [
      'sourceCidrIp',
      'ipv6SourceCidrIp',
      'destCidrIp',
      'ipv6DestCidrIp',
      'sourceGroupId',
      'destPrefixListId',
    ]
    const rule = fc.record(
      {
        direction: fc.constantFrom('ingress', 'egress'),
        policy: fc.constantFrom('accept', 'drop'),
        ipProtocol: fc.constantFrom('tcp', 'icmp', 'all'),
        portRange: fc.constantFrom('22/22', '-1/-1', 'x'),
        ...Object.fromEntries(fields.map(field => [field, word])),
      },
      { requiredKeys: ['direction', 'policy', 'ipProtocol'] },
    )
    const groups = fc.array(
      fc.record({ id: fc.constantFrom('sg-1', 'sg-2'), type: word, rules: fc.array(rule) }, { requiredKeys: ['id'] }),
    )
    fc.assert(
      fc.property(groups, securityGroups => {
        assertExplained(checkPolicy({ apiVersion: 'ringwall/v1', securityGroups }))
      }),
      { numRuns: 1000 },
    )
  })
})
