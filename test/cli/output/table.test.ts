import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Column, fieldLines, tableLines } from '../../../cli/output/table.ts'
import { padText, printable, textWidth, wrapText } from '../../../cli/output/text-width.ts'
import { timeText, valueText } from '../../../cli/output/values.ts'

suite('width of a text on a terminal', () => {
  for (const [name, text, width] of [
    ['nothing', '', 0],
    ['ASCII', 'sg-web', 6],
    ['accents', 'Überlänge', 9],
    ['an accent of its own', 'e\u0301', 1],
    ['Chinese', '安全组', 6],
    ['Korean', '보안', 4],
    ['full width', 'ＡＢ', 4],
    ['an emoji', '🔥', 2],
    ['a family of emoji', '👨‍👩‍👧', 2],
    ['a flag', '🇩🇪', 2],
    ['mixed', 'web 前端', 8],
  ] as const) {
    test(name, () => assert.equal(textWidth(text), width))
  }
  test('padding reaches the width', () => assert.equal(padText('前端', 6), '前端  '))
})

test('what hosts say has no power over the terminal', () => {
  assert.equal(printable('a\u001b[2Jb\nc\td\u202ee\u0007'), 'a\ufffd[2Jb c d\ufffde\ufffd')
})

test('more rows than a call takes arguments', () => {
  const items = Array.from({ length: 200_000 }, () => 'sg-web')
  const columns = [{ heading: 'GROUP', cell: (item: string) => item }]
  assert.equal(tableLines(columns, items, Number.POSITIVE_INFINITY).length, 200_001)
})

suite('wrapping', () => {
  for (const [name, text, width, lines] of [
    ['fits', 'eni-1, eni-2', 12, ['eni-1, eni-2']],
    ['at commas', 'eni-11, eni-2, eni-3', 12, ['eni-11,', 'eni-2, eni-3']],
    ['within a long word', 'abcdefghijkl', 5, ['abcde', 'fghij', 'kl']],
    ['wide characters are not split', '安全组', 5, ['安全', '组']],
    ['nothing', '', 5, ['']],
  ] as const) {
    test(name, () => {
      const wrapped = wrapText(text, width)
      for (const line of wrapped) assert.ok(textWidth(line) <= width, line)
      assert.equal(wrapped.join('').replace(/[ ,]/g, ''), text.replace(/[ ,]/g, ''))
      assert.deepEqual(wrapped, lines)
    })
  }
})

interface Item {
  readonly id: string
  readonly text: string
  readonly note?: string
}

const columns: readonly Column<Item>[] = [
  { heading: 'ID', isWhole: true, cell: ({ id }) => id },
  { heading: 'TEXT', cell: ({ text }) => text },
  { heading: 'NOTE', isOptional: true, cell: ({ note = '' }) => note },
]

suite('tables', () => {
  test('columns are as wide as their widest cell; nothing is "-"; an empty optional column is left out', () => {
    const items = [
      { id: 'sg-1', text: '前端' },
      { id: 'sg-long', text: '' },
    ]
    assert.deepEqual(tableLines(columns, items, Number.POSITIVE_INFINITY), [
      'ID       TEXT',
      'sg-1     前端',
      'sg-long  -',
    ])
  })

  test('an optional column that one row has is shown', () => {
    const items = [
      { id: 'a', text: 'x', note: 'n' },
      { id: 'b', text: 'yyyyy' },
    ]
    assert.deepEqual(tableLines(columns, items, Number.POSITIVE_INFINITY), [
      'ID  TEXT   NOTE',
      'a   x      n',
      'b   yyyyy  -',
    ])
  })

  for (const width of [44, 60, 80]) {
    test(`fits ${width} columns, and hides nothing`, () => {
      const words = Array.from({ length: 30 }, (_, index) => `word${index}`)
      const items = [{ id: 'sg-1234567890', text: words.join(' '), note: words.toReversed().join(', ') }]
      const lines = tableLines(columns, items, width)
      for (const line of lines) assert.ok(textWidth(line) <= width, line)
      const shown = lines.join(' ')
      for (const word of words) assert.equal(shown.match(new RegExp(`\\b${word}\\b`, 'g'))?.length, 2, word)
      assert.ok(lines[1]!.startsWith('sg-1234567890  '))
    })
  }

  test('what is copied is never broken, however narrow it is: each item is a block', () => {
    const items = [
      { id: 'sg-123456789012345678901234567890', text: 'x y', note: 'a note of several words' },
      { id: 'sg-2', text: '前端' },
    ]
    assert.deepEqual(tableLines(columns, items, 20), [
      'ID    sg-123456789012345678901234567890',
      'TEXT  x y',
      'NOTE  a note of',
      '      several words',
      '',
      'ID    sg-2',
      'TEXT  前端',
      'NOTE  -',
    ])
  })

  test('a list of what is copied is broken between its items alone', () => {
    const list: readonly Column<Item>[] = [columns[0]!, { heading: 'ITEMS', isWhole: 'list', cell: ({ text }) => text }]
    const items = [{ id: 'sg-1', text: 'i-j238v3xzpdxkt1b3e, i-db1' }]
    assert.deepEqual(tableLines(list, items, 26), ['ID    ITEMS', 'sg-1  i-j238v3xzpdxkt1b3e,', '      i-db1'])
    assert.deepEqual(tableLines(list, items, 25), ['ID     sg-1', 'ITEMS  i-j238v3xzpdxkt1b3', '       e, i-db1'])
  })

  test('what all rows have is told under a table that would be too wide, and no more of it than must be', () => {
    const wide: readonly Column<string>[] = [
      { heading: 'ID', isWhole: true, cell: id => id },
      { heading: 'ACCOUNT', isWhole: true, cell: () => '1000000000000000' },
      { heading: 'TYPE', cell: () => 'basic' },
      { heading: 'RULES', isRight: true, cell: id => String(id.length) },
    ]
    assert.deepEqual(tableLines(wide, ['sg-1', 'sg-10'], 24), [
      'ID     TYPE   RULES',
      'sg-1   basic      4',
      'sg-10  basic      5',
      'In all rows: ACCOUNT',
      '1000000000000000',
    ])
    assert.equal(tableLines(wide, ['sg-1', 'sg-10'], 37)[0], 'ID     ACCOUNT           TYPE   RULES')
    assert.equal(tableLines(wide, ['sg-1', 'sg-10'], 36)[0], 'ID     TYPE   RULES')
    // Of one row everything is alike.
    assert.equal(tableLines(wide, ['sg-1'], 24)[0], 'ID       sg-1')
  })
})

test('fields stand under each other', () => {
  const fields = [
    ['group', 'sg-web'],
    ['description', ''],
  ] as const
  assert.deepEqual(fieldLines(fields, Number.POSITIVE_INFINITY), ['group        sg-web', 'description  -'])
})

test('times are local, to the minute', () => {
  const { TZ } = process.env
  try {
    process.env.TZ = 'Asia/Tokyo'
    assert.equal(timeText('2026-11-26T20:40:59.999Z'), '2026-11-27 05:40')
  } finally {
    if (TZ === undefined) delete process.env.TZ
    else process.env.TZ = TZ
  }
  assert.deepEqual([timeText(null), timeText(undefined), timeText('soon')], ['', '', 'soon'])
})

test('any value is one line', () => {
  const value = { a: 1, b: [true, null, 'x'], c: {} }
  assert.equal(valueText(value), 'a 1, b yes, , x, c -')
})
