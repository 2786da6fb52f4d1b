/** The evaluator against a second one, written as the documentation reads: no shared code but the shape of a policy. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decide } from '../../../daemon/ram/evaluate.ts'
import { matchesGlob } from '../../../daemon/ram/glob.ts'
import { readPolicyDocument } from '../../../daemon/ram/policy-document.ts'

interface StatementText {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action?: readonly string[]
  readonly NotAction?: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}
type PolicyText = readonly StatementText[]
type Keys = Readonly<Record<string, readonly string[]>>

function pattern(text: string, flags = ''): RegExp {
  const source = text
    .replace(/[.+^${}()|[\]\\/-]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, `s${flags}`)
}

function naiveResource(wanted: string, resource: string): boolean {
  if (wanted === '*') return true
  const [parts, patterns] = [resource.split(':'), wanted.split(':')]
  const flags = ['', 'i', '', '', parts[1] === 'ram' ? 'i' : '']
  return patterns.every((each, index) => pattern(each, flags[index]).test(parts[index] ?? ''))
}

function naiveCondition(operator: string, values: readonly string[], given: readonly string[]): boolean {
  if (operator.endsWith('IfExists')) {
    return given.length === 0 || naiveCondition(operator.slice(0, -'IfExists'.length), values, given)
  }
  if (operator.includes('Not')) return !naiveCondition(operator.replace('Not', ''), values, given)
  for (const have of given) {
    for (const want of values) {
      if (operator === 'StringEquals' && have === want) return true
      if (operator === 'StringLike' && pattern(want).test(have)) return true
      if (operator === 'NumericEquals' && Number(have) === Number(want)) return true
      if (operator === 'NumericLessThan' && Number(have) < Number(want)) return true
    }
  }
  return false
}

function naiveSpeaks(statement: StatementText, action: string, resource: string, keys: Keys): boolean {
  const { Action: actions, NotAction: notActions, Resource: resources, Condition: conditions } = statement
  if (actions !== undefined && !actions.some(each => pattern(each, 'i').test(action))) return false
  if (notActions?.some(each => pattern(each, 'i').test(action))) return false
  if (!resources.some(each => naiveResource(each, resource))) return false
  return Object.entries(conditions).every(([operator, wanted]) =>
    Object.entries(wanted).every(([key, values]) => naiveCondition(operator, values, keys[key] ?? [])),
  )
}

function naiveOne(policies: readonly PolicyText[], action: string, resource: string, keys: Keys): string {
  const speaking = policies.flat().filter(statement => naiveSpeaks(statement, action, resource, keys))
  if (speaking.some(({ Effect }) => Effect === 'Deny')) return 'explicit-deny'
  return speaking.length > 0 ? 'allow' : 'implicit-deny'
}

function naive(
  policies: readonly PolicyText[],
  session: PolicyText | null,
  action: string,
  resources: readonly string[],
  keys: Keys,
): string {
  for (const resource of resources) {
    const narrowed = session === null ? 'allow' : naiveOne([session], action, resource, keys)
    if (narrowed !== 'allow') return narrowed
    const own = naiveOne(policies, action, resource, keys)
    if (own !== 'allow') return own
  }
  return 'allow'
}

const actionPattern = fc.constantFrom('*', 'ecs:*', 'ecs:Get*', 'ecs:GetA', 'ECS:geta', 'ram:*', 'e?s:*A', 'ecs:?etB')
const resourcePattern = fc.constantFrom(
  '*',
  'acs:*:*:*:*',
  'acs:ecs:*:1:*',
  'acs:ecs:*:*:securitygroup/*',
  'acs:ecs:local:1:securitygroup/sg-1',
  'acs:ecs:local:2:*',
  'acs:ecs:*:*:instance/i-?',
  'acs:ECS:*:*:securitygroup/SG-1',
  'acs:*::1:User/Al*',
  'acs:RAM:*:*:user/alice',
)
const keyName = fc.constantFrom('k:a', 'k:b')
const value = fc.constantFrom('1', '2', '10', '*', '1*', '?')
const number = fc.constantFrom('1', '2', '10')
const values = (each: fc.Arbitrary<string>) => fc.array(each, { minLength: 1, maxLength: 2 })
const textual = fc.constantFrom(
  'StringEquals',
  'StringNotEquals',
  'StringLike',
  'StringNotLikeIfExists',
  'StringEqualsIfExists',
)
const numerical = fc.constantFrom('NumericEquals', 'NumericNotEquals', 'NumericLessThan', 'NumericLessThanIfExists')
const condition = fc
  .tuple(
    fc.dictionary(textual, fc.dictionary(keyName, values(value), { minKeys: 1, maxKeys: 2 }), { maxKeys: 1 }),
    fc.dictionary(numerical, fc.dictionary(keyName, values(number), { minKeys: 1, maxKeys: 2 }), { maxKeys: 1 }),
  )
  .map(([texts, numbers]) => ({ ...texts, ...numbers }))
const statement: fc.Arbitrary<StatementText> = fc
  .record({
    Effect: fc.constantFrom('Allow' as const, 'Allow' as const, 'Deny' as const),
    isNot: fc.boolean(),
    actions: fc.array(actionPattern, { minLength: 1, maxLength: 2 }),
    Resource: fc.array(resourcePattern, { minLength: 1, maxLength: 2 }),
    Condition: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, condition),
  })
  .map(({ isNot, actions, ...rest }) => ({ ...rest, [isNot ? 'NotAction' : 'Action']: actions }))
const policy = fc.array(statement, { minLength: 1, maxLength: 3 })
const asked = fc.record({
  policies: fc.array(policy, { maxLength: 3 }),
  session: fc.option(policy),
  action: fc.constantFrom('ecs:GetA', 'ecs:GetB', 'ecs:SetA', 'ram:GetA'),
  resources: fc.array(
    fc.constantFrom(
      'acs:ecs:local:1:securitygroup/sg-1',
      'acs:ecs:local:2:instance/i-1',
      'acs:ecs:local:1:instance/*',
      'acs:ram::1:user/Alice',
    ),
    { minLength: 1, maxLength: 2 },
  ),
  keys: fc.dictionary(keyName, fc.array(fc.constantFrom('1', '2', '10'), { maxLength: 2 }), { maxKeys: 2 }),
})

function read(statements: PolicyText) {
  return {
    name: 'p',
    document: readPolicyDocument(JSON.stringify({ Version: '1', Statement: statements }), 'identity'),
  }
}

test('both evaluators say the same of every request', () => {
  const seen = new Map<string, number>()
  fc.assert(
    fc.property(asked, ({ policies, session, action, resources, keys }) => {
      const access = decide(
        { kind: 'policies', identity: policies.map(read), session: session === null ? null : read(session) },
        { action, resources: resources.map(name => ({ name })), context: new Map(Object.entries(keys)) },
      )
      const said = access.isAllowed ? 'allow' : access.by
      seen.set(said, (seen.get(said) ?? 0) + 1)
      assert.equal(said, naive(policies, session, action, resources, keys))
    }),
    { numRuns: 3000 },
  )
  // What never comes proves nothing.
  for (const outcome of ['allow', 'explicit-deny', 'implicit-deny']) assert.ok((seen.get(outcome) ?? 0) > 100, outcome)
})

test('patterns match what regular expressions do', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '.', '/'), maxLength: 8 })
  fc.assert(
    fc.property(text, text, (wanted, given) => {
      assert.equal(matchesGlob(wanted, given), pattern(wanted).test(given))
    }),
    { numRuns: 5000 },
  )
})
