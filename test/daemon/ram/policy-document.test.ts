/** Policies that make no sense are refused, each fault with its place. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ApiError } from '../../../daemon/errors.ts'
import { type PolicyUse, readPolicyDocument } from '../../../daemon/ram/policy-document.ts'

const good = { Effect: 'Allow', Action: 'ecs:*', Resource: '*' }
const policy = (...statements: readonly unknown[]) => ({ Version: '1', Statement: statements })

function refusal(document: unknown, use: PolicyUse = 'identity'): readonly string[] {
  try {
    readPolicyDocument(typeof document === 'string' ? document : JSON.stringify(document), use)
    return []
  } catch (error) {
    const { status, code, errors } = error as ApiError
    assert.deepEqual([status, code], [400, 'MalformedPolicyDocument'])
    return errors.map(({ field, message }) => `${field}: ${message}`)
  }
}

const rows: readonly [string, unknown, readonly string[]][] = [
  ['no object', [], ['the policy: Cannot use []: expected an object', 'Version: Cannot use nothing: expected "1"']],
  ['another version', { ...policy(good), Version: '2' }, ['Version: Cannot use "2": expected "1"']],
  ['no statement', policy(), ['Statement: Cannot use []: expected a list of 1 to 100 statements']],
  ['an element more', { ...policy(good), Id: 'x' }, ['the policy: Cannot use "Id": expected Version, Statement']],
  [
    'a mistyped element',
    policy({ ...good, Resource: undefined, Resorce: '*' }),
    [
      'Statement[0]: Cannot use "Resorce": is "Resource" meant?',
      'Statement[0].Resource: Cannot use nothing: expected a text, or a list of texts with at least one',
    ],
  ],
  [
    'another effect',
    policy({ ...good, Effect: 'allow' }),
    ['Statement[0].Effect: Cannot use "allow": expected "Allow" or "Deny"'],
  ],
  [
    'both kinds of actions',
    policy({ ...good, NotAction: '*' }),
    ['Statement[0]: Cannot read which actions are meant: expected either Action or NotAction'],
  ],
  [
    'no action',
    policy({ Effect: 'Allow', Resource: '*' }),
    ['Statement[0]: Cannot read which actions are meant: expected either Action or NotAction'],
  ],
  [
    'an action without service',
    policy(good, { ...good, Action: ['ecs:*', 'Describe'] }),
    ['Statement[1].Action: Cannot use "Describe": expected "*" or "service:Name"'],
  ],
  [
    'a resource in parts that are missing',
    policy({ ...good, Resource: 'acs:ecs:*' }),
    ['Statement[0].Resource: Cannot use "acs:ecs:*": expected "*" or "acs:<service>:<region>:<account>:<resource>"'],
  ],
  [
    'an unknown operator',
    policy({ ...good, Condition: { StringEqual: { 'acs:SourceIp': 'x' } } }),
    ['Statement[0].Condition: Cannot use "StringEqual": is "StringEquals" meant?'],
  ],
  [
    'an address that is none',
    policy({ ...good, Condition: { IpAddress: { 'acs:SourceIp': ['198.18.0.0/16', '198.18.0.0/33'] } } }),
    [
      'Statement[0].Condition.IpAddress.acs:SourceIp: Cannot use "198.18.0.0/33": expected an IP address or a CIDR block',
    ],
  ],
  [
    'a time without zone',
    policy({ ...good, Condition: { DateLessThan: { 'acs:CurrentTime': '2026-03-01T10:00:00' } } }),
    [
      'Statement[0].Condition.DateLessThan.acs:CurrentTime: Cannot use "2026-03-01T10:00:00": expected a time such as 2026-03-01T10:20:30Z',
    ],
  ],
  [
    'no value',
    policy({ ...good, Condition: { Bool: { 'acs:SecureTransport': [] } } }),
    [
      'Statement[0].Condition.Bool.acs:SecureTransport: Cannot use []: expected a text, or a list of texts with at least one',
    ],
  ],
  [
    'an operator without key',
    policy({ ...good, Condition: { IpAddress: {} } }),
    ['Statement[0].Condition.IpAddress: Cannot use {}: expected a key, with the values it must have'],
  ],
  [
    'a principal',
    policy({ ...good, Principal: { RAM: '*' } }),
    ['Statement[0]: Cannot use "Principal": expected Effect, Action, NotAction, Resource, Condition'],
  ],
]

describe('a policy', () => {
  for (const [name, document, expected] of rows) {
    test(`with ${name} is refused`, () => assert.deepEqual(refusal(document).slice(0, expected.length), expected))
  }

  test('that is no JSON, or says a thing twice, is refused', () => {
    assert.equal(refusal('{').length, 1)
    assert.equal(refusal('{"Version":"1","Version":"1","Statement":[]}').length, 1)
    assert.equal(refusal('{"__proto__":{"a":1},"Version":"1"}').length > 0, true)
  })

  test('is as long as it may be', () => {
    const long = (length: number) => {
      const text = JSON.stringify(policy({ ...good, Resource: ['*', ''] }))
      return text.replace('""', `"acs:ecs:*:*:${'x'.repeat(length - text.length - 12)}"`)
    }
    assert.equal(long(6144).length, 6144)
    assert.deepEqual(refusal(long(6144)), [])
    assert.match(refusal(long(6145))[0]!, /6145 characters: expected 6144 at most/)
    assert.match(refusal(long(2049), 'session')[0]!, /expected 2048 at most/)
  })

  test('of trust names whom it trusts, and no resource', () => {
    const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ecs.aliyuncs.com' } }
    assert.deepEqual(refusal(policy(trust), 'trust'), [])
    assert.equal(refusal(policy({ ...trust, Resource: '*' }), 'trust').length, 1)
    assert.equal(refusal(policy({ ...trust, Principal: {} }), 'trust').length, 1)
    assert.equal(refusal(policy({ ...trust, Principal: { RAM: 'alice' } }), 'trust').length, 1)
  })
})
