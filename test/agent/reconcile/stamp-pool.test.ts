import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StampPool } from '../../../agent/reconcile/stamp-pool.ts'
import { markFields, type Stamps } from '../../../rules-compiler/nft/stamps.ts'

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

/** The stamps given out, where there were enough. */
async function renew(pool: StampPool, current: Stamps, keys: readonly string[]): Promise<Stamps> {
  const { stamps, lacking } = await pool.renew(current, keys)
  assert.equal(lacking, null)
  return stamps
}

const sorted = (stamps: Stamps) => [...stamps].sort()

describe('a stamp pool', () => {
  test('gives each key a number of its own, and asks the kernel once', async () => {
    const { pool, asked } = poolOver()
    const first = await renew(pool, none, ['a', 'b'])
    assert.deepEqual(sorted(first), [
      ['a', 1],
      ['b', 2],
    ])
    assert.deepEqual(sorted(await renew(pool, first, ['a'])), [
      ['a', 3],
      ['b', 2],
    ])
    assert.deepEqual(asked, [mask])
  })

  test('asks nothing where nothing is wanted', async () => {
    const { pool, asked } = poolOver()
    const current = new Map([['a', 5]])
    assert.equal(await renew(pool, current, []), current)
    assert.deepEqual(asked, [])
  })

  test('gives out none that a session carries in either field', async () => {
    const { pool } = poolOver(
      fields.entered.place(1),
      fields.left.place(2),
      fields.entered.place(3) | fields.left.place(4),
    )
    assert.deepEqual([...(await renew(pool, none, ['a'])).values()], [5])
  })

  test('gives out none that is current, though no session carries it', async () => {
    const { pool } = poolOver()
    assert.deepEqual((await renew(pool, new Map([['a', 1]]), ['b'])).get('b'), 2)
  })

  test('gives a number out once, whatever became of it, until all have been', async () => {
    const { pool, asked } = poolOver()
    const given: number[] = []
    // The change that each was for was refused: the current stamps stay those of before.
    for (let round = 0; round < 7; round += 1) given.push((await renew(pool, none, ['a'])).get('a')!)
    assert.deepEqual(given, [1, 2, 3, 4, 5, 6, 7])
    assert.equal(asked.length, 1)
  })

  test('asks again when all are used, and takes those that no session carries', async () => {
    const { pool, asked, marks } = poolOver()
    let current = await renew(pool, none, ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
    current = new Map([...current].slice(0, 3))
    marks.push(fields.entered.place(4), fields.left.place(6))
    current = await renew(pool, current, ['a', 'd'])
    assert.deepEqual(sorted(current), [
      ['a', 5],
      ['b', 2],
      ['c', 3],
      ['d', 7],
    ])
    assert.equal(asked.length, 2)
  })

  test('with too few left takes the stamps of the others, and says why and what helps', async () => {
    const { pool } = poolOver(...[1, 2, 3, 4, 5].map(stamp => fields.entered.place(stamp)))
    const { stamps, lacking } = await pool.renew(new Map([['c', 6]]), ['a', 'b', 'c'])
    assert.deepEqual(sorted(stamps), [['a', 7]])
    assert.deepEqual(lacking, {
      keys: ['b', 'c'],
      reason:
        'live sessions carry all 7 numbers of settings.ctMarkMask "0x0000003f"; ' +
        'expected a mask with more bits, or idle sessions to end',
    })
  })

  test('that cannot ask gives nothing out, and asks again the next time', async () => {
    let failures = 1
    const pool = new StampPool(mask, async () => {
      if (failures-- > 0) throw new Error('conntrack not found')
      return new Set<number>()
    })
    const { stamps, lacking } = await pool.renew(none, ['a'])
    assert.deepEqual([...stamps], [])
    assert.deepEqual(lacking, { keys: ['a'], reason: 'conntrack not found' })
    assert.deepEqual(sorted(await renew(pool, none, ['a'])), [['a', 1]])
  })
})
