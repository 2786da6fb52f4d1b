import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  barText,
  bitRateText,
  bytesText,
  countText,
  durationText,
  packetRateText,
  percentText,
} from '../../../cli/output/units.ts'

function rows(name: string, text: (value: number) => string, cases: readonly (readonly [number, string])[]): void {
  suite(name, () => {
    for (const [value, expected] of cases) test(`${value}`, () => assert.equal(text(value), expected))
  })
}

rows('bit rates', bitRateText, [
  [0, '0 bit/s'],
  [0.4, '0 bit/s'],
  [999, '999 bit/s'],
  [999.6, '1 kbit/s'],
  [1000, '1 kbit/s'],
  [1_234, '1.23 kbit/s'],
  [812_345_678, '812 Mbit/s'],
  [999_499_999, '999 Mbit/s'],
  [999_500_000, '1 Gbit/s'],
  [1_020_000_000, '1.02 Gbit/s'],
  [5e15, '5000 Tbit/s'],
  [-1, '0 bit/s'],
])
rows('packet rates', packetRateText, [
  [1, '1 pps'],
  [94_123, '94.1 kpps'],
  [1_500_000, '1.5 Mpps'],
])
rows('bytes', bytesText, [
  [1, '1 B'],
  [8_123_456_789, '8.12 GB'],
])
rows('counts', countText, [
  [0, '0'],
  [1_234_567, '1,234,567'],
])
rows('shares', percentText, [
  [0, '0%'],
  [0.0004, '<0.1%'],
  [0.001, '0.1%'],
  [0.0249, '2.5%'],
  [0.0994, '9.9%'],
  [0.0999, '10%'],
  [0.413, '41%'],
  [1, '100%'],
  [24.5, '2,450%'],
])
rows('durations', durationText, [
  [0, '0 s'],
  [1.4, '1 s'],
  [119, '119 s'],
  [120, '2 min'],
  [1_800, '30 min'],
  [3_570, '1 h'],
  [3_600, '1 h'],
  [12_000, '3 h 20 min'],
  [86_400, '24 h'],
  [187_200, '2 d 4 h'],
  [604_800, '7 d'],
])

suite('bars', () => {
  for (const [share, places, expected] of [
    [0, 4, '....'],
    [0.001, 4, '#...'],
    [0.5, 4, '##..'],
    [0.999, 4, '###.'],
    [1, 4, '####'],
    [24, 4, '####'],
    [Number.NaN, 4, '....'],
  ] as const) {
    test(`${share} of ${places} places`, () => assert.equal(barText(share, places), expected))
  }
})
