import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyOf, kinds, parseKey } from '../../../daemon/model/documents.ts'

test('a key is read as it was made, whatever the id', () => {
  for (const kind of kinds) {
    for (const id of ['sg-web', '1000000000000000', 'a/b', ''])
      assert.deepEqual(parseKey(keyOf(kind, id)), { kind, id })
  }
})

for (const key of ['', '/', 'group', 'groups', 'groupx', 'Group/sg-web', 'other/sg-web', '/group/sg-web']) {
  test(`"${key}" is no key`, () => {
    assert.throws(() => parseKey(key), {
      name: 'RangeError',
      message: new RegExp(`^Cannot read key "${key}": expected one of account, group`),
    })
  })
}
