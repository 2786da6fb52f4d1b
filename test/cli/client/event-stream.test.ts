import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readEvents, readLines } from '../../../cli/client/event-stream.ts'

/** Each text in a chunk of its own. */
async function* chunks(...texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text)
}

/** Every byte in a chunk of its own. */
async function* bytes(text: string): AsyncGenerator<Buffer> {
  for (const byte of Buffer.from(text)) yield Buffer.from([byte])
}

suite('lines', () => {
  for (const [name, text, expected] of [
    ['nothing', '', []],
    ['ends of three kinds', 'a\nb\r\nc\rd\n', ['a', 'b', 'c', 'd']],
    ['empty ones', '\n\na\n', ['', '', 'a']],
    ['the last one is torn', 'a\nb', ['a']],
    ['a character of several bytes', 'Überlänge\n', ['Überlänge']],
  ] as const) {
    test(`${name}, whole and byte by byte`, async () => {
      assert.deepEqual(await Array.fromAsync(readLines(chunks(text))), expected)
      assert.deepEqual(await Array.fromAsync(readLines(bytes(text))), expected)
    })
  }
})

suite('events', () => {
  for (const [name, text, expected] of [
    ['with a name', 'event: sample\ndata: {"a":1}\n\n', [{ name: 'sample', data: '{"a":1}' }]],
    ['without a name', 'data: x\n\n', [{ name: 'message', data: 'x' }]],
    [
      'a name is for one event',
      'event: end\ndata: x\n\ndata: y\n\n',
      [
        { name: 'end', data: 'x' },
        { name: 'message', data: 'y' },
      ],
    ],
    ['several lines', 'data: a\ndata:b\ndata:  c\n\n', [{ name: 'message', data: 'a\nb\n c' }]],
    ['comments and other fields', ': still here\n\nid: 7\nretry: 5\ndata: x\n\n', [{ name: 'message', data: 'x' }]],
    ['without data', 'event: sample\n\n', []],
    ['torn', 'data: x\n', []],
  ] as const) {
    test(`${name}, whole and byte by byte`, async () => {
      assert.deepEqual(await Array.fromAsync(readEvents(chunks(text))), expected)
      assert.deepEqual(await Array.fromAsync(readEvents(bytes(text))), expected)
    })
  }
})
