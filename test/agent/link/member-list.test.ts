import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { changeMembers, includeMembers, makeMemberList } from '../../../agent/link/member-list.ts'

const address = fc.oneof(
  fc.integer({ min: 0, max: 40 }).map(host => `198.18.0.${host}`),
  fc.integer({ min: 0, max: 40 }).map(host => `2001:db8::${host.toString(16)}`),
)
const addresses = fc.array(address, { maxLength: 40 })

describe('members of a group', () => {
  test('changed one time after the other are what they would be if made anew', () => {
    fc.assert(
      fc.property(
        addresses,
        fc.array(fc.record({ add: addresses, remove: addresses }), { maxLength: 6 }),
        (first, changes) => {
          const set = new Set(first)
          let list = makeMemberList(first)
          for (const change of changes) {
            for (const each of change.remove) set.delete(each)
            for (const each of change.add) set.add(each)
            list = changeMembers(list, change)
            assert.deepEqual(list, makeMemberList(set))
          }
        },
      ),
    )
  })

  test('changed by more than is made room for one by one are the same too', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => `10.1.${index >> 8}.${index & 255}`)
    const list = makeMemberList(['10.0.0.1', ...many.slice(0, 500)])
    const changed = changeMembers(list, { add: many.slice(500), remove: many.slice(0, 500) })
    assert.deepEqual(changed, makeMemberList(['10.0.0.1', ...many.slice(500)]))
  })

  test('that do not change are the same value', () => {
    const list = makeMemberList(['198.18.0.1', '2001:db8::1'])
    assert.equal(changeMembers(list, { add: ['198.18.0.1'], remove: ['198.18.0.7'] }), list)
    assert.equal(includeMembers(list, { ip: ['198.18.0.1'], ip6: [] }), list)
  })

  test('never change what was given out before', () => {
    const list = makeMemberList(['198.18.0.1'])
    changeMembers(list, { add: ['198.18.0.2'], remove: ['198.18.0.1'] })
    includeMembers(list, { ip: ['198.18.0.3'], ip6: [] })
    assert.deepEqual(list, makeMemberList(['198.18.0.1']))
  })

  test('say so where one is not canonical', () => {
    const rows = [
      ['198.18.0.1', true],
      ['198.18.0.01', false],
      ['2001:DB8::1', false],
      ['nonsense', false],
      ['', false],
    ] as const
    for (const [text, expected] of rows) {
      assert.equal(makeMemberList([text]).canonical, expected, text)
      assert.equal(changeMembers(makeMemberList([]), { add: [text], remove: [] }).canonical, expected, text)
    }
    const odd = makeMemberList(['nonsense'])
    assert.equal(changeMembers(odd, { add: [], remove: ['nonsense'] }).canonical, true)
  })
})
