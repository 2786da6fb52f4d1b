/** What `ringwall top` does when the other side goes away, comes back, or says no: with a feed of our own. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { RefusedError, readProblem, UnreachableError } from '../../../cli/client/errors.ts'
import { Board } from '../../../cli/ddos/board.ts'
import type { Feed } from '../../../cli/ddos/feed.ts'
import type { Standing } from '../../../cli/ddos/standing.ts'
import { type Viewer, watch } from '../../../cli/ddos/watch.ts'
import type { DdosSample } from '../../../wire/ddos.ts'
import { ddosSample, ddosStatus, quietStatus } from '../../support/ddos-status.ts'
import { standingOf } from '../../support/standing.ts'

const one = standingOf(quietStatus({ instanceId: 'i-1' }))
const two = standingOf(quietStatus({ instanceId: 'i-2' }))
const away = () => new UnreachableError('not-sent', ['Cannot reach the daemon: nothing listens there'])
const refusal = (status: number) => new RefusedError(readProblem(status, '{"detail": "no"}'))

interface Script {
  /** What each reading of standings gives, the last one again and again. */
  readonly standings: readonly (readonly Standing[] | Error)[]
  /** What each stream gives before it ends; one that is not said goes on in silence. */
  readonly streams?: readonly (readonly (DdosSample | Error)[])[]
  readonly mostWatched?: number
}

/** What the viewer was told, until it was told so much. */
async function told({ standings, streams = [], mostWatched = 100 }: Script, lines: number): Promise<string[]> {
  const said: string[] = []
  const ending = new AbortController()
  const note = (line: string) => {
    if (said.length < lines) said.push(line)
    if (said.length === lines) ending.abort()
  }
  let [reads, opened] = [0, 0]
  const feed: Feed = {
    name: 'the daemon',
    mostWatched,
    async standings() {
      const next = standings[Math.min(reads, standings.length - 1)]!
      reads += 1
      if (next instanceof Error) throw next
      return next
    },
    async *samples(ids, signal) {
      note(`stream ${ids.join()}`)
      const items = streams[opened]
      opened += 1
      for (const item of items ?? []) {
        if (item instanceof Error) throw item
        yield item
      }
      if (items === undefined) await new Promise(resolve => signal.addEventListener('abort', resolve))
    },
  }
  const viewer: Viewer = {
    standings: list => note(`standings ${list.map(({ instanceId }) => instanceId).join()}`),
    sample: ({ instanceId }) => note(`sample ${instanceId}`),
    trouble: message => note(`trouble ${message}`),
  }
  await watch(feed, viewer, { signal: ending.signal, intervalMs: 5, firstPauseMs: 1 })
  return said
}

test('standings first, then samples', async () => {
  const sample = ddosSample({ instanceId: 'i-1' })
  assert.deepEqual(await told({ standings: [[one]], streams: [[sample, sample]] }, 4), [
    'standings i-1',
    'stream i-1',
    'sample i-1',
    'sample i-1',
  ])
})

test('a stream that ends is opened again, after saying so', async () => {
  assert.deepEqual(await told({ standings: [[one]], streams: [[]] }, 6), [
    'standings i-1',
    'stream i-1',
    'trouble the daemon has ended the stream of samples; trying again.',
    'trouble null',
    'standings i-1',
    'stream i-1',
  ])
})

test('a daemon that goes away is asked until it is back', async () => {
  const script = { standings: [[one], away(), refusal(503), [one]], streams: [[away()]] }
  assert.deepEqual(await told(script, 7), [
    'standings i-1',
    'stream i-1',
    'trouble Cannot reach the daemon: nothing listens there; trying again.',
    'trouble Cannot reach the daemon: nothing listens there; trying again.',
    'trouble no; trying again.',
    'trouble null',
    'standings i-1',
  ])
})

test('other instances: another stream', async () => {
  assert.deepEqual(await told({ standings: [[one], [one], [one, two]] }, 5), [
    'standings i-1',
    'stream i-1',
    'standings i-1',
    'standings i-1,i-2',
    'standings i-1,i-2',
  ])
})

test('an instance that is deleted while its stream is opened: those that are left', async () => {
  assert.deepEqual(await told({ standings: [[one, two], [one]], streams: [[refusal(404)]] }, 5), [
    'standings i-1,i-2',
    'stream i-1,i-2',
    'standings i-1',
    'standings i-1',
    'stream i-1',
  ])
})

test('no instance yet: nothing is streamed until there is one', async () => {
  assert.deepEqual(await told({ standings: [[], [], [one]] }, 5), [
    'standings ',
    'standings ',
    'standings i-1',
    'standings i-1',
    'stream i-1',
  ])
})

test('more than can be watched: those under attack first', async () => {
  const flooded = standingOf(ddosStatus({ instanceId: 'i-3' }))
  assert.deepEqual(await told({ standings: [[one, two, flooded]], mostWatched: 2 }, 2), [
    'standings i-1,i-2,i-3',
    'stream i-1,i-3',
  ])
})

suite('what ends it', () => {
  for (const [name, script] of [
    ['nothing listens to begin with', { standings: [away()] }],
    ['refused to begin with', { standings: [refusal(403)] }],
    ['refused later: it will be again', { standings: [[one], refusal(403)], streams: [[away()]] }],
    ['a fault of our own', { standings: [[one], new TypeError('x')], streams: [[away()]] }],
  ] as const) {
    test(name, () => assert.rejects(told(script, 100)))
  }
})

suite('the board', () => {
  const rowOf = (board: Board, nowMs: number) => board.rows(nowMs)[0]!

  test('those under attack first, then by id', () => {
    const board = new Board()
    const phases = ['normal', 'over', 'cleaning', 'black-hole', 'uncleaned'] as const
    const standings = phases.map((phase, index) => standingOf(ddosStatus({ instanceId: `i-${index}`, phase })))
    board.takeStandings(standings, [], 0)
    assert.deepEqual(
      board.rows(0).map(({ standing }) => standing.instanceId),
      ['i-3', 'i-4', 'i-2', 'i-1', 'i-0'],
    )
  })

  test('the newest sample counts, and how long there was none', () => {
    const board = new Board()
    board.takeStandings([one], ['i-1'], 1000)
    assert.equal(rowOf(board, 5999).silentSeconds, null)
    assert.equal(rowOf(board, 6000).silentSeconds, 5)
    const sample = ddosSample({ instanceId: 'i-1' })
    assert.equal(board.takeSample(sample, 7000)?.sample, sample)
    board.takeStandings([one], ['i-1'], 8000)
    assert.deepEqual(rowOf(board, 9000), { standing: { ...one, sample }, silentSeconds: null })
    assert.equal(rowOf(board, 13_500).silentSeconds, 6)
  })

  test('who is not watched has what it stood at, and is not missed', () => {
    const board = new Board()
    board.takeStandings([one], [], 0)
    assert.deepEqual(rowOf(board, 60_000), { standing: one, silentSeconds: null })
  })

  test('a sample of an instance that is not known yet', () => {
    assert.equal(new Board().takeSample(ddosSample(), 0), null)
  })
})
