import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { instanceTypeTable } from '../../../rules-compiler/model/instance-type-table.ts'
import { parseInstanceTypes, thresholdsOfType } from '../../../rules-compiler/model/instance-types.ts'

const header = 'instance_type,max_bps_mbit,max_pps'
const published = readFileSync(`${import.meta.dirname}/../../../data/instance-types.csv`, 'utf8')

test('the published table: 163 types, and the sums of its columns', () => {
  const types = parseInstanceTypes(published)
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, number) => total + number, 0)
  assert.equal(types.size, 163)
  assert.equal(published.trimEnd().split('\n').length, 1 + 163, 'no line stands for two types')
  assert.equal(sum(types.values().map(type => type.maxBpsMbit)), 869_500)
  assert.equal(sum(types.values().map(type => type.maxPps)), 186_330_000)
  assert.deepEqual(types.get('ecs.g5.16xlarge'), { maxBpsMbit: 20_000, maxPps: 4_000_000 })
})

test('the table that is part of the compiler is the published one: npm run generate', () => {
  assert.equal(instanceTypeTable, published)
})

suite('the thresholds of a type', () => {
  const rows: readonly [type: string | null, expected: object | null][] = [
    ['ecs.g5.large', { maxBpsMbit: 1000, maxPps: 300_000 }],
    ['ECS.G5.LARGE', null],
    ['ecs.g5', null],
    ['toString', null],
    ['', null],
    [null, null],
  ]
  for (const [type, expected] of rows) test(`${type}`, () => assert.deepEqual(thresholdsOfType(type), expected))
})

test('line ends of Windows and none at the end', () => {
  assert.deepEqual(
    [...parseInstanceTypes(`${header}\r\na.b,1,2\r\nc,3,4`)],
    [
      ['a.b', { maxBpsMbit: 1, maxPps: 2 }],
      ['c', { maxBpsMbit: 3, maxPps: 4 }],
    ],
  )
})

suite('refused tables', () => {
  const fields = 'a type and two whole numbers above 0, separated by commas'
  const rows: readonly [name: string, csv: string, message: string][] = [
    ['nothing', '', `line 1, "": expected the header "${header}"`],
    ['another header', 'type,bps,pps\na,1,2', `line 1, "type,bps,pps": expected the header "${header}"`],
    ['two fields', `${header}\na,1`, `line 2, "a,1": expected ${fields}`],
    ['four fields', `${header}\na,1,2,3`, `line 2, "a,1,2,3": expected ${fields}`],
    ['no type', `${header}\n,1,2`, `line 2, ",1,2": expected ${fields}`],
    ['no number', `${header}\na,1,x`, `line 2, "a,1,x": expected ${fields}`],
    ['a fraction', `${header}\na,1.5,2`, `line 2, "a,1.5,2": expected ${fields}`],
    ['a threshold of 0', `${header}\na,0,2`, `line 2, "a,0,2": expected ${fields}`],
    ['an empty line', `${header}\na,1,2\n\nb,1,2`, `line 3, "": expected ${fields}`],
    ['a type twice', `${header}\na,1,2\na,1,2`, 'line 3, "a,1,2": expected a type that no earlier line has'],
  ]
  for (const [name, csv, message] of rows) {
    test(name, () => {
      assert.throws(() => parseInstanceTypes(csv), { message: `Cannot read instance types, ${message}` })
    })
  }
})
