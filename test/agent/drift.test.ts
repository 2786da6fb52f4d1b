import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { DriftWatch } from '../../agent/drift.ts'

const ours = 100
const theirs = 200

/** A watch on mocked timers; the clock it compares with does not stand still, so times are told roughly. */
function watch(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 1000
  context.mock.method(performance, 'now', () => nowMs)
  let looks = 0
  const drift = new DriftWatch({ table: 'inet ringwall', isOwnPid: pid => pid === ours, look: () => (looks += 1) })
  const tell = (pid: number, process = 'nft') => drift.noteGeneration({ generation: 1, pid, process })
  const pass = (milliseconds: number) => {
    for (let step = 0; step < milliseconds; step += 1) {
      nowMs += 1
      context.mock.timers.tick(1)
    }
    return looks
  }
  return { drift, tell, pass }
}

describe('the drift watch', () => {
  test('looks soon after a change by somebody else, once for those that come together', context => {
    const { tell, pass } = watch(context)
    for (let change = 0; change < 5; change += 1) tell(theirs)
    assert.equal(pass(9), 0)
    assert.equal(pass(1), 1)
    assert.equal(pass(5000), 1)
  })

  test('does not look after our own', context => {
    const { tell, pass } = watch(context)
    tell(ours)
    assert.equal(pass(5000), 0)
  })

  describe('names who it was', () => {
    const table = 'inet ringwall'
    const rows: readonly { name: string; heard: readonly (string | 'gap' | 'look' | 'told')[]; suspect: string }[] = [
      { name: 'nobody was heard', heard: [], suspect: '' },
      { name: 'the only one', heard: ['nft 1'], suspect: 'nft (pid 1)' },
      { name: 'not ourselves', heard: [`nft ${ours} ours`], suspect: '' },
      { name: 'who changed our table, before all others', heard: ['a 1', 'b 2 ours', 'c 3'], suspect: 'b (pid 2)' },
      {
        name: 'everybody who changed rules, each once',
        heard: ['a 1', 'b 2', 'a 1'],
        suspect: 'a (pid 1) or b (pid 2)',
      },
      { name: 'nobody where there are too many', heard: ['a 1', 'b 2', 'c 3', 'd 4'], suspect: '' },
      { name: 'not who was heard before the last look', heard: ['a 1', 'look', 'told', 'b 2'], suspect: 'b (pid 2)' },
      { name: 'not who was heard before the monitor crashed', heard: ['a 1', 'look', 'told', 'gap'], suspect: '' },
      {
        name: 'who changed our table, also where the next look begins before the last is told',
        heard: ['nft 1 ours', 'look', 'firewalld 2', 'look'],
        suspect: 'nft (pid 1)',
      },
      { name: 'nobody where another may have been missed', heard: ['a 1', 'gap'], suspect: '' },
      { name: 'who changed our table all the same', heard: ['a 1 ours', 'gap'], suspect: 'a (pid 1)' },
    ]
    for (const { name, heard, suspect } of rows) {
      test(name, context => {
        const { drift, pass } = watch(context)
        for (const each of heard) {
          const [process = '', pid, touches] = each.split(' ')
          if (each === 'gap') drift.noteGap()
          else if (each === 'look') pass(2000)
          else if (each === 'told') drift.noteReading(10)
          else drift.noteGeneration({ generation: 1, pid: Number(pid), process, touched: touches ? [table] : [] })
        }
        pass(2000)
        assert.equal(drift.suspect, suspect)
      })
    }

    test('who is heard while the table is read', context => {
      const { drift, pass } = watch(context)
      drift.noteGeneration({ generation: 1, pid: 1, process: 'firewalld', touched: [] })
      pass(2000)
      drift.noteGeneration({ generation: 2, pid: 2, process: 'nft', touched: [table] })
      assert.equal(drift.suspect, 'nft (pid 2)')
    })
  })

  for (const [readingMs, mostLooks, leastLooks] of [
    [0, 10, 9],
    [50, 6, 4],
    [10_000, 2, 1],
  ] as const) {
    test(`looks ${leastLooks} to ${mostLooks} times a second at changes without end, where a look takes ${readingMs} ms`, context => {
      const { drift, tell, pass } = watch(context)
      drift.noteReading(readingMs)
      let looks = 0
      for (let millisecond = 0; millisecond < 1000; millisecond += 1) {
        tell(theirs)
        looks = pass(1)
      }
      assert.ok(looks <= mostLooks && looks >= leastLooks, `${looks}`)
    })
  }

  test('closed looks no more, whatever is still heard', context => {
    const { drift, tell, pass } = watch(context)
    tell(theirs)
    drift.close()
    tell(theirs)
    drift.schedule()
    assert.equal(pass(5000), 0)
  })
})
