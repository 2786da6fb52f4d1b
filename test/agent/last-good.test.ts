import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { type Kept, LastGood } from '../../agent/last-good.ts'
import { createLogger } from '../../common/log.ts'
import { makeEni, makeIr } from '../support/ir.ts'

const ir = makeIr(makeEni([]))
const kept = (text: string): Kept => ({ ir, text: () => text })

function lastGood(options: { readonly spacingMs?: number; readonly write?: (text: string) => Promise<void> } = {}) {
  const written: string[] = []
  const lines: string[] = []
  const store = new LastGood({
    log: createLogger('test', 'info', { write: line => lines.push(JSON.parse(line).msg) }),
    rescue: [],
    stateDir: {
      readPolicyText: async () => null,
      async write(text) {
        await options.write?.(text)
        written.push(text)
      },
    },
    spacingMs: () => options.spacingMs ?? 0,
  })
  return { store, written, lines }
}

describe('what stands in the kernel', () => {
  test('is written at once, and what comes meanwhile later and together', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { store, written } = lastGood({ spacingMs: 1000 })
      store.note(kept('1'))
      while (written.length === 0) await new Promise(setImmediate)
      for (const text of ['2', '3', '4']) store.note(kept(text))
      mock.timers.tick(900)
      await new Promise(setImmediate)
      assert.deepEqual(written, ['1'])
      mock.timers.tick(100)
      while (written.length === 1) await new Promise(setImmediate)
      assert.deepEqual(written, ['1', '4'])
    } finally {
      mock.timers.reset()
    }
  })

  test('is written when the agent stops, whatever the spacing', async () => {
    const { store, written } = lastGood({ spacingMs: 3_600_000 })
    store.note(kept('1'))
    store.note(kept('2'))
    store.note(kept('3'))
    await store.settled()
    assert.deepEqual(written, ['1', '3'])
  })

  test('is written once', async () => {
    const { store, written } = lastGood()
    const same = kept('1')
    store.note(same)
    store.note(same)
    await store.settled()
    store.note(same)
    await store.settled()
    assert.deepEqual(written, ['1'])
  })

  test('that cannot be written is a problem until the disk takes it, which is tried again and again', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      let isFull = true
      let attempts = 0
      const { store, written, lines } = lastGood({
        async write() {
          attempts += 1
          if (isFull) throw new Error('ENOSPC')
        },
      })
      const untilTried = async (times: number) => {
        while (attempts < times) {
          mock.timers.tick(1000)
          await new Promise(setImmediate)
        }
        await new Promise(setImmediate)
      }
      store.note(kept('1'))
      await untilTried(2)
      assert.deepEqual(store.problems(), ['what is in force cannot be kept on disk for the next boot: ENOSPC'])
      store.note(kept('2'))
      await untilTried(3)
      isFull = false
      await untilTried(4)
      assert.deepEqual(written, ['2'])
      assert.deepEqual(store.problems(), [])
      assert.deepEqual(lines, [
        'cannot keep the last good state; what is in force stays',
        'the last good state is kept again',
      ])
    } finally {
      mock.timers.reset()
    }
  })

  test('that cannot be written is tried once more when it is asked for, and by itself no more when it is closed', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      let attempts = 0
      const { store } = lastGood({
        async write() {
          attempts += 1
          throw new Error('EROFS')
        },
      })
      store.note(kept('1'))
      await store.settled()
      const before = attempts
      store.close()
      await store.settled()
      assert.equal(attempts, before + 1)
      for (let second = 0; second < 60; second += 1) {
        mock.timers.tick(1000)
        await new Promise(setImmediate)
      }
      assert.equal(attempts, before + 1)
    } finally {
      mock.timers.reset()
    }
  })

  test('waits after a writing as what it took says', async context => {
    let nowMs = 1000
    context.mock.method(performance, 'now', () => nowMs)
    const took: number[] = []
    const store = new LastGood({
      log: createLogger('test', 'info', { write() {} }),
      rescue: [],
      stateDir: {
        readPolicyText: async () => null,
        async write() {
          nowMs += 20
        },
      },
      spacingMs: tookMs => {
        took.push(tookMs)
        return 0
      },
    })
    store.note(kept('1'))
    await store.settled()
    assert.deepEqual(took, [20])
  })
})
