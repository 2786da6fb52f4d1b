import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readCsv, writeCsv } from '../../../daemon/services/csv.ts'

describe('readCsv', () => {
  const rows: readonly { name: string; text: string; expected: string }[] = [
    { name: 'nothing', text: '', expected: '' },
    { name: 'one cell', text: 'a', expected: '1: a' },
    { name: 'lines that end in CR LF', text: 'a,b\r\nc,d\r\n', expected: '1: a|b / 2: c|d' },
    { name: 'lines that end in LF', text: 'a,b\nc,d\n', expected: '1: a|b / 2: c|d' },
    { name: 'a byte order mark', text: '\uFEFFa,b', expected: '1: a|b' },
    { name: 'empty lines', text: 'a\n\n\r\nb\n', expected: '1: a / 4: b' },
    { name: 'empty cells', text: ',\na,,\n', expected: '1: | / 2: a||' },
    { name: 'quotes', text: '"a,b","say ""hi"""\n', expected: '1: a,b|say "hi"' },
    { name: 'a line break in quotes, which counts as a line', text: '"a\r\nb",c\nd\n', expected: '1: a\r\nb|c / 3: d' },
    { name: 'an empty cell in quotes at the end', text: 'a,""', expected: '1: a|' },
    { name: 'a lone CR within a cell', text: 'a\rb\n', expected: '1: a\rb' },
    { name: 'a formula made harmless', text: "'=1+1,'-1/-1,''@x\n", expected: "1: =1+1|-1/-1|'@x" },
    { name: 'an apostrophe that guards nothing', text: "'a,'',it's\n", expected: "1: 'a|''|it's" },
    {
      name: 'a quote that is not closed',
      text: 'a\n"b,c\nd',
      expected: 'line 2: Cannot read the cell that begins in line 2: expected a closing quote',
    },
    {
      name: 'text after a closing quote',
      text: '"a"b,c',
      expected: 'line 1: Cannot read on after a cell: expected a comma or the end of the line',
    },
    {
      name: 'a quote within a cell',
      text: 'x\nab"c"',
      expected:
        'line 2: Cannot read a quote within a cell: expected the whole cell in quotes, and each quote in it twice',
    },
  ]
  for (const { name, text, expected } of rows) {
    test(name, () => {
      const reading = readCsv(text)
      const shown =
        reading.fault === null
          ? reading.records.map(({ line, cells }) => `${line}: ${cells.join('|')}`).join(' / ')
          : `line ${reading.fault.line}: ${reading.fault.message}`
      assert.equal(shown, expected)
    })
  }

  test('takes time that grows with the text alone', () => {
    for (const text of [
      '"'.repeat(1_000_001),
      ','.repeat(1_000_000),
      '\n'.repeat(1_000_000),
      '"a\n'.repeat(300_001),
      "'".repeat(1_000_000),
    ]) {
      readCsv(text)
    }
  })
})

describe('writeCsv', () => {
  for (const text of ['=cmd()', '+1', '-1/-1', '@x', '\tx', '\rx', "'=x"]) {
    test(`leaves no formula of ${JSON.stringify(text)}`, () => {
      assert.match(writeCsv([[text]]), /^"?'/)
    })
  }

  test('writes what readCsv reads', () => {
    const awkward = fc.array(fc.constantFrom('=', '+', '-', '@', "'", '"', ',', '\n', '\r', '\t', 'a', '0', '\uFEFF'), {
      maxLength: 6,
    })
    const cell = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      awkward.map(letters => letters.join('')),
    )
    // A record of one empty cell is an empty line, which is none.
    const record = fc.array(cell, { minLength: 2, maxLength: 5 })
    fc.assert(
      fc.property(fc.array(record), records => {
        const reading = readCsv(writeCsv(records))
        assert.ok(reading.fault === null)
        assert.deepEqual(
          reading.records.map(({ cells }) => cells),
          records,
        )
      }),
      { numRuns: 500 },
    )
  })
})
