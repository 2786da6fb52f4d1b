import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { NoStampError, StampPool } from '../../../agent/reconcile/stamp-pool.ts'
import { markFields } from '../../../rules-compiler/nft/stamps.ts'

/** Two fields of three bits: seven stamps. */
const mask = 0x3f
const fields = markFields(mask)
const none = new Map<string, number>()

/** A pool over sessions with these marks, counting how often it asks for them. */
function poolOver(...marks: number[]) {
  const asked: number[] = []
  const pool = new StampPool(mask, async askedMask => {
    asked.push(askedMask)
    return new Set(marks)
  })
  return { pool, asked, marks }
}

describe('a stamp pool', () => {
  test('gives each key a number of its own, and asks the kernel once', async () => {
    const { pool, asked } = poolOver()
    const first = await pool.renew(none, ['a', 'b'])
    assert.deepEqual(
      [...first],
      [
        ['a', 1],
        ['b', 2],
      ],
    )
    assert.deepEqual(
      [...(await pool.renew(first, ['a']))],
      [
        ['a', 3],
        ['b', 2],
      ],
    )
    assert.deepEqual(asked, [mask])
  })

  test('asks nothing where nothing is wanted', async () => {
    const { pool, asked } = poolOver()
    const current = new Map([['a', 5]])
    assert.equal(await pool.renew(current, []), current)
    assert.deepEqual(asked, [])
  })

  test('gives out none that a session carries in either field', async () => {
    const { pool } = poolOver(
      fields.entered.place(1),
      fields.left.place(2),
      fields.entered.place(3) | fields.left.place(4),
    )
    assert.deepEqual([...(await pool.renew(none, ['a'])).values()], [5])
  })

  test('gives out none that is current, though no session carries it', async () => {
    const { pool } = poolOver()
    assert.deepEqual((await pool.renew(new Map([['a', 1]]), ['b'])).get('b'), 2)
  })

  test('gives a number out once, whatever became of it, until all have been', async () => {
    const { pool, asked } = poolOver()
    const given: number[] = []
    // The change that each was for was refused: the current stamps stay those of before.
    for (let round = 0; round < 7; round += 1) given.push((await pool.renew(none, ['a'])).get('a')!)
    assert.deepEqual(given, [1, 2, 3, 4, 5, 6, 7])
    assert.equal(asked.length, 1)
  })

  test('asks again when all are used, and takes those that no session carries', async () => {
    const { pool, asked, marks } = poolOver()
    let current = await pool.renew(none, ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
    current = new Map([...current].slice(0, 3))
    marks.push(fields.entered.place(4), fields.left.place(6))
    current = await pool.renew(current, ['a', 'd'])
    assert.deepEqual(
      [...current],
      [
        ['a', 5],
        ['b', 2],
        ['c', 3],
        ['d', 7],
      ],
    )
    assert.equal(asked.length, 2)
  })

  test('with too few left says how many, of how many, and what helps', async () => {
    const { pool } = poolOver(fields.entered.place(1), fields.entered.place(2))
    await assert.rejects(pool.renew(none, ['a', 'b', 'c', 'd', 'e', 'f']), (error: Error) => {
      assert.ok(error instanceof NoStampError)
      assert.equal(
        error.message,
        'Cannot mark sessions for judging again: 6 stamps wanted, 5 free of the 7 that settings.ctMarkMask "0x0000003f" ' +
          'holds; expected a mask with more bits, or idle sessions to end',
      )
      return true
    })
  })

  test('that cannot ask gives nothing out', async () => {
    const pool = new StampPool(mask, () => Promise.reject(new Error('conntrack not found')))
    await assert.rejects(pool.renew(none, ['a']), /conntrack not found/)
  })
})
