/** The screen of `ringwall top`: a view in, lines out. The one of 80 columns is on docs/cli.md, whose test compares it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { BoardRow } from '../../../cli/ddos/board.ts'
import { type Paint, sampleLine, type TopView, topLines, unpainted } from '../../../cli/ddos/top-screen.ts'
import { textWidth } from '../../../cli/output/text-width.ts'
import { ddosSample, ddosStatus, quietStatus, rate } from '../../support/ddos-status.ts'
import { exampleView, floodedRow as flooded, quietRow as quiet, standingOf } from '../../support/standing.ts'

process.env.TZ = 'UTC'

const viewOf = (rows: readonly BoardRow[], parts: Partial<TopView> = {}) => exampleView({ rows, ...parts })

function drawn(view: TopView, columns = 80, rows = 24, paint: Paint = unpainted): string[] {
  return topLines(view, { columns, rows }, paint)
}

test('a chosen instance is shown in full', () => {
  const lines = drawn(viewOf([flooded, quiet], { chosen: 'i-db1' }))
  assert.ok(lines.some(line => line.startsWith('> i-db1 ')))
  assert.ok(lines.includes('instance         i-db1'))
})

test('a wide screen has packets passed, and longer bars', () => {
  const [, , heading = '', row = ''] = drawn(viewOf([flooded]), 110)
  assert.match(heading, /PASSED +OF THRESHOLD$/)
  assert.match(row, /500 Mbit\/s +60 kpps {2}#{20} +162% *$/)
})

const hostile = standingOf(ddosStatus({ instanceId: `i-${'安全'.repeat(20)}\u001b[2J` }))
const manyRows = Array.from({ length: 200 }, (_, index) => ({
  standing: standingOf(
    index % 3 === 0 ? ddosStatus({ instanceId: `i-${index}` }) : quietStatus({ instanceId: `i-${index}` }),
  ),
  silentSeconds: index % 7 === 0 ? 9 : null,
}))

suite('nothing is wider or higher than the screen, and what others named has no power over it', () => {
  for (const [columns, rows] of [
    [80, 24],
    [200, 60],
    [60, 10],
    [40, 5],
    [20, 3],
    [10, 1],
  ] as const) {
    for (const [name, view] of [
      ['none', viewOf([])],
      ['one', viewOf([flooded])],
      ['many', viewOf(manyRows, { chosen: 'i-150', trouble: 'The daemon is away\u001b[2J' })],
      ['wide characters', viewOf([{ standing: hostile, silentSeconds: 12 }], { source: '\u001b]0;x\u0007' })],
    ] as const) {
      test(`${columns} by ${rows}, ${name}`, () => {
        const lines = drawn(view, columns, rows)
        assert.ok(lines.length <= rows, `${lines.length} lines`)
        for (const line of lines) {
          assert.ok(textWidth(line) <= columns, line)
          assert.doesNotMatch(line, /\p{Cc}/u)
        }
      })
    }
  }
})

test('of many instances those around the chosen one are shown, and how many are not', () => {
  for (const chosen of ['i-0', 'i-150', 'i-199']) {
    const lines = drawn(viewOf(manyRows, { chosen }))
    assert.ok(
      lines.some(line => line.startsWith(`> ${chosen} `)),
      chosen,
    )
    const shown = lines.filter(line => /^[> ] i-\d/.test(line)).length
    assert.ok(lines.includes(`  and ${200 - shown} more`))
  }
})

test('figures that do not come any more are none, and it says since when', () => {
  const lines = drawn(viewOf([{ ...flooded, silentSeconds: 12 }]))
  assert.match(lines[3]!, /^> i-web1 +cleaning +- +- +- +- *$/)
  assert.ok(lines.includes('No samples for 12 s: its agent may be away. These are the last figures.'))
})

test('no threshold, no bar; nothing known, nothing shown', () => {
  const unlimited = standingOf(quietStatus({ instanceId: 'i-1' }), { bps: null, pps: null, source: null })
  const unknown = standingOf(quietStatus({ instanceId: 'i-2', sample: null }), { phase: null, since: null })
  const lines = drawn(viewOf([unlimited, unknown].map(standing => ({ standing, silentSeconds: null }))))
  assert.match(lines[3]!, /^> i-1 +normal +80 kbit\/s +100 pps +80 kbit\/s {2}- *$/)
  assert.match(lines[4]!, /^ {2}i-2 +unknown +- +- +- {2}-$/)
  assert.ok(lines.includes('thresholds       none: it is measured, and never scrubbed'))
})

test('why nothing comes stands at the top', () => {
  assert.equal(
    drawn(viewOf([quiet], { trouble: 'The daemon is away; trying again.' }))[1],
    'The daemon is away; trying again.',
  )
})

test('without keys no help on them', () => {
  assert.ok(!drawn(viewOf([quiet], { hasKeys: false })).some(line => line.includes('q quits')))
})

test('styles', () => {
  const tagged: Paint = (style, text) => `<${style}>${text.trim()}</>`
  const black = { standing: standingOf(ddosStatus({ instanceId: 'i-2', phase: 'black-hole' })), silentSeconds: null }
  const lines = drawn(viewOf([flooded, black, { ...quiet, silentSeconds: 6 }]), 80, 24, tagged)
  const styleOf = (id: string) => lines.find(line => line.includes(`${id} `))?.match(/^<(\w+)>/)?.[1]
  assert.deepEqual(['i-web1', 'i-2', 'i-db1'].map(styleOf), ['chosen', 'alarm', 'faint'])
})

test('a line for each sample where there is no screen', () => {
  assert.equal(
    sampleLine(standingOf(ddosStatus({ instanceId: 'i-web1' }))),
    '00:00:02  i-web1  cleaning  offered  812 Mbit/s 94.1 kpps  passed  500 Mbit/s   60 kpps  162% of threshold  syn,udp  dropped by syn 25 kpps, sources 9.1 kpps',
  )
  const sample = ddosSample({ offered: rate(100), passed: rate(100), dropped: {} })
  assert.equal(
    sampleLine(standingOf(quietStatus({ sample }), { bps: null, pps: null, scrubbingCancelled: true })),
    '00:00:02  i-1  normal, cancelled  offered   80 kbit/s   100 pps  passed   80 kbit/s   100 pps',
  )
})
