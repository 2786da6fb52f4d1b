import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { canDraw, hasColors, readKeys } from '../../../cli/output/screen.ts'
import { clipText, cutText, padTextLeft, textWidth } from '../../../cli/output/text-width.ts'

suite('keys', () => {
  for (const [name, text, keys] of [
    ['letters', 'jkq', ['down', 'up', 'quit']],
    ['arrows, of both modes of a terminal', '\u001b[A\u001b[B\u001bOA\u001bOB', ['up', 'down', 'up', 'down']],
    ['Ctrl-C and Ctrl-Z', '\u0003\u001a', ['quit', 'suspend']],
    ['others are left out, also those of several characters', 'x\u001b[Cconstructor\u001b[5~é', []],
    ['nothing', '', []],
  ] as const) {
    test(name, () => assert.deepEqual(readKeys(text), keys))
  }
})

suite('where a screen can be, and colours', () => {
  for (const [name, isTTY, env, expected] of [
    ['a terminal', true, { TERM: 'xterm' }, [true, true]],
    ['no terminal', false, { TERM: 'xterm' }, [false, false]],
    ['a terminal that can do nothing', true, { TERM: 'dumb' }, [false, false]],
    ['no colours wanted', true, { NO_COLOR: '1' }, [true, false]],
    ['an empty NO_COLOR says nothing', true, { NO_COLOR: '' }, [true, true]],
  ] as const) {
    test(name, () => {
      const io = { stdin: process.stdin, stdout: { write() {}, isTTY }, stderr: process.stderr }
      assert.deepEqual([canDraw(io, env), hasColors(io, env)], expected)
    })
  }
})

suite('a text in so many columns', () => {
  for (const [text, width, cut] of [
    ['i-web1', 6, 'i-web1'],
    ['i-4b2c9e0d7f31a8c25', 10, 'i-4b2…8c25'],
    ['i-4b2c9e0d7f31a8c25', 9, 'i-4b…8c25'],
    ['i-4b2c9e0d7f31a8c25', 2, 'i…'],
    ['i-4b2c9e0d7f31a8c25', 1, '…'],
    ['安全组安全组', 7, '安全…组'],
  ] as const) {
    test(`${text} in ${width}`, () => {
      assert.equal(cutText(text, width), cut)
      assert.ok(textWidth(cut) <= width)
    })
  }
  test('clipped', () => assert.equal(clipText('ab安全', 5), 'ab安'))
  test('at the right', () => assert.equal(padTextLeft('前端', 6), '  前端'))
})
