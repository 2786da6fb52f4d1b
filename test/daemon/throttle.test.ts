import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sourceKey, Throttle } from '../../daemon/throttle.ts'

describe('a throttle', () => {
  test('gives so many at once, and one more in a time', () => {
    let seconds = 0
    const throttle = new Throttle({ burst: 2, perSecond: 0.5, now: () => seconds })
    assert.deepEqual(
      [throttle.take('a'), throttle.take('a'), throttle.take('a'), throttle.take('b')],
      [true, true, false, true],
    )
    assert.equal(throttle.wait('a'), 2)
    seconds = 1
    assert.equal(throttle.wait('a'), 1)
    seconds = 2
    assert.equal(throttle.wait('a'), 0)
    assert.deepEqual([throttle.take('a'), throttle.take('a')], [true, false])
    seconds = 1000
    assert.deepEqual([throttle.take('a'), throttle.take('a'), throttle.take('a')], [true, true, false])
  })

  test('says how long something is owed that was spent', () => {
    let seconds = 0
    const throttle = new Throttle({ burst: 100, perSecond: 10, now: () => seconds })
    assert.deepEqual([throttle.spend('a', 100), throttle.spend('a', 50), throttle.spend('b', 1)], [0, 5, 0])
    seconds = 3
    assert.deepEqual([throttle.spend('a', 10), throttle.take('a')], [3, false])
    seconds = 16
    assert.equal(throttle.take('a'), true)
  })

  test('forgets who came longest ago', () => {
    const throttle = new Throttle({ burst: 1, perSecond: 0, now: () => 0, maxKeys: 2 })
    for (const key of ['a', 'b', 'a', 'c']) throttle.take(key)
    assert.deepEqual([throttle.take('a'), throttle.take('b')], [false, true])
  })
})

describe('a source', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['198.18.0.1', '198.18.0.1'],
    ['::ffff:198.18.0.1', '198.18.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
  ]
  for (const [address, key] of rows) test(`of ${address} is ${key}`, () => assert.equal(sourceKey(address), key))
})
