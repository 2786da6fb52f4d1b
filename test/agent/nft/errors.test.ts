import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type NftErrorKind, nftRefusal, nftRunFailure } from '../../../agent/nft/errors.ts'
import { RunError } from '../../../common/exec.ts'

/** What nft 1.0.6, or the version named, wrote on Linux 6.18, word for word. */
const refusals: readonly (readonly [name: string, stderr: string, kind: NftErrorKind])[] = [
  ['a missing table, JSON', 'internal:0:0-0: Error: No such file or directory\n\n', 'not-found'],
  [
    'a missing chain, JSON',
    'internal:0:0-0: Error: Could not process rule: No such file or directory\n\n',
    'not-found',
  ],
  [
    'a missing table, text',
    'Error: No such file or directory\nlist table inet nope\n                ^^^^\n',
    'not-found',
  ],
  [
    'a missing chain with a suggestion',
    'internal:0:0-0: Error: No such file or directory; did you mean chain ‘n1’ in table inet ‘t’?\n\n',
    'not-found',
  ],
  ['a missing interval', 'internal:0:0-0: Error: element does not exist\n\n', 'not-found'],
  ['another map value', 'internal:0:0-0: Error: Could not process rule: File exists\n\n', 'exists'],
  ['overlapping intervals', 'internal:0:0-0: Error: interval overlaps with an existing one\n\n', 'exists'],
  [
    'a base chain under another priority, nft 1.1.3',
    'internal:0:0-0: Error: Chain "b" already exists in table inet \'t\' with different declaration\n\n',
    'exists',
  ],
  ['a set in use', 'internal:0:0-0: Error: Could not process rule: Device or resource busy\n\n', 'busy'],
  [
    'no right to list',
    'Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted\n',
    'permission',
  ],
  [
    'no right to change',
    'Error: Could not process rule: Operation not permitted\nadd table inet zz\n^^^^^^^^^^^^^^^^^^\n',
    'permission',
  ],
  [
    'a jump to a base chain',
    'internal:0:0-0: Error: Could not process rule: Operation not supported\n\n',
    'unsupported',
  ],
  [
    'an unknown object',
    'internal:0:0-0: Error: Unknown object passed to add command.\n\ninternal:0:0-0: Error: Parsing command array at index 0 failed.\n\n',
    'unsupported',
  ],
  [
    'a flag of a later nft',
    'internal:0:0-0: Error: Invalid set flag at index 0.\n\ninternal:0:0-0: Error: Parsing command array at index 0 failed.\n\n',
    'unsupported',
  ],
  [
    'an unknown statement',
    "internal:0:0-0: Error: Unknown statement object 'frob'.\n\ninternal:0:0-0: Error: Parsing expr array at index 0 failed.\n\n",
    'unsupported',
  ],
  [
    'text that is not nft',
    'Error: syntax error, unexpected newline\nadd rule inet t c frob\n                      ^\n',
    'syntax',
  ],
  ['JSON of another shape', 'internal:0:0-0: Error: Value of property "nftables" must be an array.\n\n', 'syntax'],
  [
    'a number where a protocol is needed',
    'internal:0:0-0: Error: cannot determine ip protocol version, use "ip saddr" or "ip6 saddr" instead\n\ninternal:0:0-0: Error: Can\'t parse symbolic invalid expressions\n\n',
    'syntax',
  ],
  [
    'a loop of jumps',
    'Error: Could not process rule: Too many links\nadd rule inet t d jump c; add rule inet t b jump c\n                          ^^^^^^^^^^^^^^^^^^^^^^^^^\n',
    'too-large',
  ],
  [
    'a long name',
    'Error: name too long, 256 characters maximum allowed\nadd chain inet t aaaa\n                 ^^^^\n',
    'too-large',
  ],
  // The text of a name must not be taken for a message.
  [
    'a name that reads like a message',
    'Error: Could not process rule: File exists\nadd chain inet t "No such file"\n',
    'exists',
  ],
  // Of the command before nft, which says nothing of tables.
  ['a missing namespace', 'Cannot open network namespace "rw-x": No such file or directory\n', 'unknown'],
  ['a missing nft behind a prefix', 'exec of "nft" failed: No such file or directory\n', 'unknown'],
  ['nothing at all', '', 'unknown'],
]

describe('what nft writes is sorted', () => {
  for (const [name, stderr, kind] of refusals) {
    test(`${name}: ${kind}`, () => {
      const error = nftRefusal('add rule', stderr)
      assert.equal(error.kind, kind)
      assert.equal(error.stderr, stderr)
      assert.ok(!error.message.includes('\n') && !error.message.includes('internal:'), error.message)
    })
  }
})

const failures: readonly (readonly [RunError['kind'], NftErrorKind])[] = [
  ['no-such-command', 'unsupported'],
  ['cannot-start', 'unknown'],
  ['timeout', 'timeout'],
  ['output-too-large', 'too-large'],
  ['killed', 'unknown'],
]

describe('nft that could not be run to its end', () => {
  for (const [runKind, kind] of failures) {
    test(`${runKind}: ${kind}`, () => {
      const cause = new RunError(runKind, 'nft not found')
      const error = nftRunFailure('add table', cause)
      assert.equal(error.kind, kind)
      assert.equal(error.cause, cause)
    })
  }

  test('where there is no nft, the message says what to install', () => {
    const { message } = nftRunFailure('add table', new RunError('no-such-command', 'nft not found'))
    assert.equal(message, 'nft refused "add table": nft not found: install the package nftables (unsupported)')
  })
})
