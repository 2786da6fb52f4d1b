/** Writes are made one after the other, each on what the one before left; of two daemons at once none loses one. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { asApiError } from '../../../daemon/http/problem.ts'
import { type AccountDoc, keyOf } from '../../../daemon/model/documents.ts'
import { type Call, Executor, type Plan } from '../../../daemon/services/executor.ts'
import { World } from '../../../daemon/state/world.ts'
import { type CommitRequest, type CommitResult, StoreError } from '../../../daemon/store/store.ts'
import { MemoryStore } from '../../support/memory-store.ts'

const call: Call = {
  principal: { kind: 'token', id: 'token-1', name: 'somebody', scopes: [] },
  action: 'ringwall:Test',
  requestId: 'request-1',
  sourceAddress: '198.18.0.9',
  dryRun: false,
  ifMatch: null,
  idempotency: null,
}
const options = { subject: null, status: 200 }

/** One more at the end of the account's name. */
function append(world: World, letter: string): Plan<{ name: string }> {
  const known = world.get('account', 'a')
  const account: AccountDoc = { id: 'a', name: `${known?.name ?? ''}${letter}`, description: null, createdAtMs: 0 }
  return { writes: [{ key: keyOf('account', 'a'), value: account }], body: () => ({ name: account.name }) }
}

/** A daemon that hears of commits a turn of the event loop late, as of those of another one. */
async function makeDaemon(store: MemoryStore): Promise<{ world: World; executor: Executor }> {
  const world = new World(await store.list(''))
  await store.watch(world.revision + 1, commit => void setImmediate(() => world.apply(commit)))
  return { world, executor: new Executor({ store, world, now: () => 0 }) }
}

describe('the executor', () => {
  test('of two daemons loses no write, and plans again on what the other wrote', async () => {
    const store = new MemoryStore()
    const daemons = [await makeDaemon(store), await makeDaemon(store)]
    let plans = 0
    await Promise.all(
      daemons.map(({ executor }, index) =>
        executor.execute(call, options, world => {
          plans += 1
          return append(world, String(index))
        }),
      ),
    )
    const { value } = (await store.get('account/a'))!
    assert.deepEqual([(value as AccountDoc).name, store.head()], ['01', 2])
    assert.equal(plans, 3)
  })

  test('gives up where others are always faster, and says that nothing was stored', async () => {
    class BusyStore extends MemoryStore {
      override async commit(request: CommitRequest): Promise<CommitResult> {
        const [failed] = request.preconditions!
        return { kind: 'conflict', failed: failed!, head: 99 }
      }
    }
    const { executor } = await makeDaemon(new BusyStore())
    await assert.rejects(
      executor.execute(call, options, world => append(world, 'x')),
      { status: 503, code: 'Busy' },
    )
  })

  test('goes on after a plan that refused and a store that failed', async () => {
    let isFull = true
    class FullStore extends MemoryStore {
      override commit(request: CommitRequest): Promise<CommitResult> {
        if (isFull) return Promise.reject(new StoreError('full', 'no space'))
        return super.commit(request)
      }
    }
    const store = new FullStore()
    const world = new World()
    await store.watch(1, commit => world.apply(commit))
    const executor = new Executor({ store, world, now: () => 0 })
    const results = await Promise.allSettled([
      executor.execute(call, options, () => {
        throw new RangeError('a fault')
      }),
      executor.execute(call, options, each => append(each, 'a')),
      executor.execute(call, options, each => {
        isFull = false
        return append(each, 'b')
      }),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'rejected', 'fulfilled'],
    )
    const { reason } = results[1] as PromiseRejectedResult
    const { status, code, message } = asApiError(reason)
    assert.deepEqual([status, code], [503, 'StoreUnavailable'])
    assert.match(message, /the disk is full; nothing was stored/)
    assert.equal(world.get('account', 'a')?.name, 'b')
  })

  test('a fault of ours is told as such, without what it was', () => {
    const { status, code, message } = asApiError(new TypeError("Cannot read properties of undefined (reading 'x')"))
    assert.deepEqual([status, code], [500, 'InternalError'])
    assert.doesNotMatch(message, /undefined/)
  })

  test('commits nothing where nothing changes, and says which revision stands', async () => {
    const store = new MemoryStore()
    const world = new World()
    await store.watch(1, commit => world.apply(commit))
    const executor = new Executor({ store, world, now: () => 0 })
    await executor.execute(call, options, each => append(each, 'a'))
    const outcome = await executor.execute(call, options, each => append(each, ''))
    assert.deepEqual(outcome, { kind: 'done', body: { name: 'a' }, revision: 1, changed: false })
    assert.equal(store.head(), 1)
  })

  test('the revision in an answer is the one that the commit gets', async () => {
    const store = new MemoryStore()
    const world = new World()
    await store.watch(1, commit => world.apply(commit))
    const executor = new Executor({ store, world, now: () => 0 })
    const outcome = await executor.execute(call, options, each => ({
      ...append(each, 'a'),
      body: revisionOf => revisionOf('account', 'a'),
    }))
    assert.deepEqual(outcome, { kind: 'done', body: 1, revision: 1, changed: true })
    assert.equal(world.revisionOf('account', 'a'), 1)
  })
})
