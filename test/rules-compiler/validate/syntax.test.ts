/** Text that is no JSON or no YAML, or more of it than a file may be. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { formatProblem } from '../../../rules-compiler/validate/problem.ts'
import { readJson } from '../../../rules-compiler/validate/read-json.ts'
import { readPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import { Report } from '../../../rules-compiler/validate/report.ts'

const rows: readonly [name: string, text: string, line: string][] = [
  ['nothing', '', '(whole file): Cannot read the value "null": expected an object'],
  ['blanks', ' \n\n', '(whole file): Cannot read the value "null": expected an object'],
  ['text', 'accept all', '(whole file): Cannot read the text "accept all": expected an object'],
  [
    'JSON that ends too soon',
    '{',
    'line 1, column 2: Cannot read JSON at "end of file": expected a key in double quotes or "}"',
  ],
  [
    'a comma too many',
    '{\n  "instances": [],\n}',
    'line 3, column 1: Cannot read JSON at "}": expected a key in double quotes',
  ],
  [
    'a comma too many in a list',
    '{"instances": [1,]}',
    'line 1, column 18: Cannot read JSON at "]}": expected a value',
  ],
  ['no comma', '{"a": 1 "b": 2}', 'line 1, column 9: Cannot read JSON at "\\"b\\": 2}": expected "," or "}"'],
  ['no comma in a list', '{"a": [1 2]}', 'line 1, column 10: Cannot read JSON at "2]}": expected "," or "]"'],
  ['no colon', '{"a" 1}', 'line 1, column 6: Cannot read JSON at "1}": expected ":" after the key'],
  ['no value', '{"a": }', 'line 1, column 7: Cannot read JSON at "}": expected a value'],
  ['the wrong bracket', '{"a": [}', 'line 1, column 8: Cannot read JSON at "}": expected a value or "]"'],
  [
    'a key without quotes',
    '{a: 1}',
    'line 1, column 2: Cannot read JSON at "a: 1}": expected a key in double quotes or "}"',
  ],
  ['a line break in a string', '{"a": "x\ny"}', 'line 1, column 7: Cannot read JSON at "\\"x": expected a value'],
  ['an unknown escape', '{"a": "\\x"}', 'line 1, column 7: Cannot read JSON at "\\"\\\\x\\"}": expected a value'],
  ['a leading zero', '{"a": 01}', 'line 1, column 7: Cannot read JSON at "01}": expected a value'],
  ['an unknown word', '{"a": nil}', 'line 1, column 7: Cannot read JSON at "nil}": expected a value'],
  ['a comment', '{"a": 1} // one', 'line 1, column 10: Cannot read JSON at "// one": expected nothing after the value'],
  ['a second value', '{} {}', 'line 1, column 4: Cannot read JSON at "{}": expected nothing after the value'],
  [
    'a key twice in JSON',
    '{"a": 1,\n "\\u0061": 2}',
    'line 2, column 2: Cannot read a second "a": expected each key once in an object',
  ],
  [
    'a key twice in YAML',
    'a:\n  b: 1\n  b: 2',
    'line 3, column 3: Cannot read YAML at "b: 2": expected each key once in a mapping',
  ],
  ['a key that is a list', '? [a]\n: b', 'line 1, column 3: Cannot read YAML at "[a]": expected text as key'],
  [
    'two documents',
    'a: 1\n---\nb: 2',
    'line 2, column 1: Cannot read YAML at "---": expected one document in the file',
  ],
  [
    'an own tag',
    'a: !env HOME',
    'line 1, column 4: Cannot read YAML at "!env HOME": expected no tag but those of the YAML core schema',
  ],
  [
    'a tag of JavaScript',
    'a: !!js/function x',
    'line 1, column 4: Cannot read YAML at "!!js/function x": expected no tag but those of the YAML core schema',
  ],
  [
    'a tag of YAML 1.1',
    '%YAML 1.1\n---\na: !!set {b}',
    'line 3, column 4: Cannot read YAML at "!!set {b}": expected no tag but those of the YAML core schema',
  ],
  [
    'a tab as indentation',
    'a:\n\tb: 1',
    'line 2, column 1: Cannot read YAML at "\\tb: 1": expected well-formed YAML (Tabs are not allowed as indentation)',
  ],
  [
    'an alias without anchor',
    'a: *b',
    '(whole file): Cannot read YAML: expected aliases of anchors that stand before them, 1000 of one at most (Unresolved alias (the anchor must be set before the alias): b)',
  ],
  [
    'a list in itself',
    'a: &a [*a]',
    '(whole file): Cannot read YAML: expected at most 2000000 values, aliases written out',
  ],
  [
    'a merge key',
    'apiVersion: ringwall/v1\nsettings: { <<: { revocation: drain } }',
    'settings["<<"]: Cannot read field "<<": expected one of the fields sessionTimeout, revocation, ctMarkMask, controlConnections, rescue, trafficScope, scrubbing, logging, limits',
  ],
]

suite('refused text', () => {
  for (const [name, text, line] of rows) {
    test(name, () => assert.deepEqual(readPolicy(text).problems.map(formatProblem), [line]))
  }
})

suite('much out of little', () => {
  const nine = (alias: string) => `[${Array(9).fill(alias).join(', ')}]`
  const laughs = [
    'a0: &a0 x',
    ...Array.from({ length: 12 }, (_, level) => `a${level + 1}: &a${level + 1} ${nine(`*a${level}`)}`),
  ]
  const group = `&g { id: sg-1, members: ${JSON.stringify(Array(20_000).fill('10.0.0.1'))} }`
  const rows: readonly [name: string, text: string][] = [
    ['a billion laughs', laughs.join('\n')],
    ['a long list many times', `apiVersion: ringwall/v1\nsecurityGroups:\n  - ${group}\n${'  - *g\n'.repeat(900)}`],
  ]
  for (const [name, text] of rows) {
    test(name, () => {
      const { problems } = readPolicy(text)
      assert.equal(problems.length, 1)
      assert.equal(problems[0]!.code, 'syntax')
    })
  }
})

test('nesting without end', () => {
  // Where the parser gives up depends on the stack it has.
  const lines = readPolicy('['.repeat(50_000)).problems.map(formatProblem)
  assert.equal(lines.length, 1)
  assert.match(lines[0]!, /^line 1, column \d+: Cannot read YAML at "\[+": expected less deep nesting$/)
  const deepJson = `{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`
  assert.equal(readPolicy(deepJson).problems[0]!.code, 'unknown-field')
})

suite('text that is read', () => {
  const rows: readonly [name: string, text: string, format?: 'json' | 'yaml'][] = [
    ['JSON', '{"apiVersion": "ringwall/v1"}'],
    ['JSON after blanks', '\n\t {"apiVersion": "ringwall/v1"}\n'],
    ['JSON after a byte order mark', '\uFEFF{"apiVersion": "ringwall/v1"}'],
    ['YAML', '# a comment\n---\napiVersion: ringwall/v1\n...\n'],
    ['YAML after a byte order mark', '\uFEFFapiVersion: ringwall/v1'],
    ['YAML that begins as JSON does, asked for', '{ apiVersion: ringwall/v1 }', 'yaml'],
    ['YAML with Windows line ends', 'apiVersion: ringwall/v1\r\ninstances:\r\n  - id: i-1\r\n'],
    ['YAML with an alias', 'apiVersion: ringwall/v1\ninstances: [{ id: &name i-1 }]\nsecurityGroups: [{ id: *name }]'],
  ]
  for (const [name, text, format] of rows) {
    test(name, () => assert.deepEqual(readPolicy(text, format === undefined ? {} : { format }).problems, []))
  }
})

test('JSON read as YAML is refused for being none only if asked for', () => {
  const { problems } = readPolicy('apiVersion: ringwall/v1', { format: 'json' })
  assert.deepEqual(problems.map(formatProblem), [
    'line 1, column 1: Cannot read JSON at "apiVersion: ringwall": expected a value',
  ])
})

suite('readJson and JSON.parse', () => {
  const parses = (text: string) => {
    try {
      return { value: JSON.parse(text) }
    } catch {
      return null
    }
  }
  const agrees = (text: string) => {
    const report = new Report()
    const value = readJson(text, report)
    const parsed = parses(text)
    if (report.problems.some(problem => problem.code === 'duplicate-key')) return parsed !== null
    return parsed === null ? report.problems.length === 1 : assert.deepEqual(value, parsed.value) === undefined
  }
  test('agree on JSON', () => fc.assert(fc.property(fc.json(), agrees)))
  test('agree on JSON with a character changed', () => {
    const edited = fc.tuple(fc.json({ maxDepth: 3 }), fc.nat(), fc.constantFrom(...'{}[],:"\\ 0-.e+truefalsn\n\u0001'))
    const replaced = edited.map(
      ([text, at, put]) => text.slice(0, at % text.length) + put + text.slice((at % text.length) + 1),
    )
    fc.assert(fc.property(replaced, agrees), { numRuns: 2000 })
  })
  test('agree on any text', () => fc.assert(fc.property(fc.string(), agrees)))
})
