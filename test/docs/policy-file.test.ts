/** What docs/policy-file.md shows is so: its files are read, its refused file is refused as it says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { formatProblem } from '../../rules-compiler/validate/problem.ts'
import { readPolicy } from '../../rules-compiler/validate/read-policy.ts'
import { policySchema } from '../../rules-compiler/validate/schema.ts'

const page = readFileSync(`${import.meta.dirname}/../../docs/policy-file.md`, 'utf8')
const blocks = [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, kind, text]) => ({ kind, text: text! }))

suite('examples', () => {
  const examples = blocks.filter(({ kind }) => kind === 'yaml' || kind === 'json')
  test('there are some of both kinds', () => {
    assert.deepEqual(new Set(examples.map(({ kind }) => kind)), new Set(['yaml', 'json']))
  })
  for (const [index, { kind, text }] of examples.entries()) {
    test(`${kind} ${index + 1}`, () => assert.deepEqual(readPolicy(text).problems.map(formatProblem), []))
  }
})

suite('refused examples', () => {
  for (const [index, { kind, text }] of blocks.entries()) {
    if (kind !== 'yaml refused') continue
    test(`block ${index + 1}`, () => {
      const lines = readPolicy(text).problems.map(formatProblem)
      assert.equal(`${lines.join('\n')}\n`, blocks[index + 1]!.text)
    })
  }
})

test('every field and every choice is on the page', () => {
  const names = new Set<string>()
  const collect = (schema: object): void => {
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties') for (const name of Object.keys(value)) names.add(name)
      if (key === 'enum') for (const choice of value) names.add(choice)
      if (typeof value === 'object') collect(value)
    }
  }
  collect(policySchema)
  const missing = [...names].filter(name => !new RegExp(`\`[^\`]*\\b${name}\\b[^\`]*\``).test(page))
  assert.deepEqual(missing, [])
})
