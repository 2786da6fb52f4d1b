import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { nearestWord } from '../../../rules-compiler/validate/nearest-word.ts'
import { fieldPath, formatProblem, makeProblem, quoteValue } from '../../../rules-compiler/validate/problem.ts'

test('a problem in one line', () => {
  const path = 'securityGroups[0].rules[3].portRange'
  const problem = makeProblem('invalid-value', path, {
    value: '90/80',
    action: 'read port range',
    expected: '"start/end"',
  })
  assert.equal(formatProblem(problem), `${path}: Cannot read port range "90/80": expected "start/end"`)
})

test('something missing has no value', () => {
  const problem = makeProblem('missing', 'apiVersion', { action: 'do without apiVersion', expected: '"ringwall/v1"' })
  assert.equal(formatProblem(problem), 'apiVersion: Cannot do without apiVersion: expected "ringwall/v1"')
})

suite('quoted values', () => {
  const rows: readonly [value: unknown, expected: string][] = [
    ['eth0', '"eth0"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['a\nb', '"a\\nb"'],
    ['a\u2028b\u202ec\u00a0d', '"a\\u{2028}b\\u{202e}c\\u{a0}d"'],
    ['x'.repeat(121), `"${'x'.repeat(120)}…"`],
    [5, '"5"'],
    [null, '"null"'],
    [['a'], 'a list of 1'],
    [{ a: 1 }, 'an object'],
  ]
  for (const [value, expected] of rows) test(expected, () => assert.equal(quoteValue(value), expected))
})

suite('paths', () => {
  const rows: readonly [path: string, field: string, expected: string][] = [
    ['', 'settings', 'settings'],
    ['settings', 'limits', 'settings.limits'],
    ['tags', 'cost center', 'tags["cost center"]'],
    ['', 'a\nb', '["a\\nb"]'],
  ]
  for (const [path, field, expected] of rows) test(expected, () => assert.equal(fieldPath(path, field), expected))
})

suite('the nearest word', () => {
  const known = ['portRange', 'sourcePortRange', 'policy', 'priority']
  const rows: readonly [word: string, expected: string | null][] = [
    ['portRange', 'portRange'],
    ['PORTRANGE', 'portRange'],
    ['ports', null],
    ['portRnage', 'portRange'],
    ['sourcePort', null],
    ['prioritty', 'priority'],
    ['colour', null],
    ['', null],
    ['p'.repeat(100_000), null],
  ]
  for (const [word, expected] of rows) {
    test(`${word.slice(0, 20)} is ${expected}`, () => assert.equal(nearestWord(word, known), expected))
  }

  test('two letters in the wrong order are one slip, not two', () => {
    assert.equal(nearestWord('sg-wbe', ['sg-db', 'sg-web', 'sg-app']), 'sg-web')
  })
})
