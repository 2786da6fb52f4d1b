/** The prefix of a log record: what is made is read back, what others write is not taken for it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type LogAction,
  logCauses,
  makeLogPrefix,
  mostPrefixCharacters,
  parseLogPrefix,
} from '../../../rules-compiler/nft/log-prefix.ts'

const longestId = `e${'x'.repeat(63)}`

describe('log prefixes', () => {
  test('say in a few letters what became of a packet, where and why', () => {
    const origin = { action: 'observe', direction: 'egress', eniId: 'eni-1', cause: 'smtp' } as const
    assert.equal(makeLogPrefix(origin), 'rw O e eni-1 smtp')
  })

  test('are read back as they were made, and are never too long for the kernel', () => {
    for (const eniId of ['e', 'eni-1', 'drop', 'rw', longestId]) {
      for (const action of ['drop', 'observe', 'accept'] as const satisfies LogAction[]) {
        for (const direction of ['ingress', 'egress'] as const) {
          for (const cause of logCauses) {
            const origin = { action, direction, eniId, cause }
            const prefix = makeLogPrefix(origin)
            assert.deepEqual(parseLogPrefix(prefix), origin)
            assert.ok(prefix.length <= mostPrefixCharacters, prefix)
          }
        }
      }
    }
  })

  const foreign = [
    '',
    'rw',
    '[UFW BLOCK] ',
    'rw D i eni-1',
    'rw D i  rule',
    'rw X i eni-1 rule',
    'rw D x eni-1 rule',
    'rw D i eni-1 nonsense',
    'rw D i eni-1 rule more',
    'xx D i eni-1 rule',
  ]
  for (const prefix of foreign) {
    test(`"${prefix}" is somebody else's`, () => assert.equal(parseLogPrefix(prefix), null))
  }
})
