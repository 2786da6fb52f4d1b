import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { backOff } from '../../../agent/link/back-off.ts'

describe('the wait before connecting again', () => {
  const rows = [
    { failures: 1, random: 0, expected: 0 },
    { failures: 1, random: 0.5, expected: 100 },
    { failures: 2, random: 0.5, expected: 200 },
    { failures: 5, random: 0.25, expected: 800 },
    { failures: 8, random: 0.999, expected: 25_574 },
    { failures: 9, random: 0.5, expected: 15_000 },
    { failures: 10_000, random: 0.999, expected: 29_970 },
  ]
  for (const { failures, random, expected } of rows) {
    test(`after ${failures} failures, ${random} of the way`, () => assert.equal(backOff(failures, random), expected))
  }
})
