/** What the store promises, of every implementation; the model beside it is a plain map and a list of commits. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import { openSqliteStore } from '../../../daemon/store/sqlite.ts'
import {
  type Change,
  type Commit,
  CompactedError,
  type Entry,
  type Precondition,
  type Store,
  type Watch,
  type Write,
} from '../../../daemon/store/store.ts'
import { MemoryStore } from '../../support/memory-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'ringwall-store-'))
after(() => rmSync(folder, { recursive: true }))
const newPath = () => join(mkdtempSync(join(folder, 'one-')), 'store.db')
/** Of the last commit. */
let clock = 0
function now(): number {
  clock += 1
  return clock
}

interface Implementation {
  readonly name: string
  open(): Promise<Store>
  /** Closes and opens again. */
  reopen(store: Store): Promise<Store>
}

const implementations: readonly Implementation[] = [
  makeSqlite(),
  // The one that other tests take for the real one. It forgets all when it ends.
  { name: 'in memory', open: async () => new MemoryStore({ now }), reopen: async store => store },
]

function makeSqlite(): Implementation {
  const paths = new WeakMap<Store, string>()
  const openAt = async (path: string) => {
    const store = await openSqliteStore(path, { now })
    paths.set(store, path)
    return store
  }
  return {
    name: 'SQLite',
    open: () => openAt(newPath()),
    async reopen(store) {
      await store.close()
      return openAt(paths.get(store)!)
    },
  }
}

/** The least that does what the interface says. */
class Model {
  readonly documents = new Map<string, Entry>()
  commits: Commit[] = []
  head = 0
  oldest = 1

  /** @returns the first precondition that does not hold, or null when it is done */
  commit(writes: readonly Write[], preconditions: readonly Precondition[], note: unknown, timeMs: number) {
    for (const precondition of preconditions) {
      const actual = precondition.kind === 'head' ? this.head : (this.documents.get(precondition.key)?.revision ?? 0)
      if (actual !== precondition.revision) return precondition
    }
    this.head += 1
    const changes = writes.map(({ key, value }): Change => {
      const before = this.documents.get(key)?.value ?? null
      if (value === null) this.documents.delete(key)
      else this.documents.set(key, { key, value, revision: this.head })
      return { key, value, before }
    })
    this.commits.push({ revision: this.head, timeMs, changes, note })
    return null
  }

  list(prefix: string): readonly Entry[] {
    const found = [...this.documents.values()].filter(({ key }) => key.startsWith(prefix))
    return found.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  }

  from(revision: number): readonly Commit[] {
    return this.commits.filter(commit => commit.revision >= revision)
  }

  compact(before: number): void {
    this.oldest = Math.max(this.oldest, Math.min(before, this.head + 1))
    this.commits = this.commits.filter(({ revision }) => revision >= this.oldest)
  }
}

const keys = ['a/1', 'a/12', 'a/2', 'ab/1', 'b/ä', 'b/x y', 'b/"', "b/'; --"]
const key = fc.constantFrom(...keys)
/** What JSON gives back as it was. */
const document = fc
  .jsonValue({ maxDepth: 3 })
  .filter(value => value !== null)
  .map(value => JSON.parse(JSON.stringify(value)) as unknown)

type Step =
  | {
      readonly kind: 'commit'
      readonly writes: readonly Write[]
      /** Made to hold or not against what stands then: by how much its revision is off. */
      readonly conditions: readonly { readonly key: string | null; readonly off: number }[]
      readonly note: unknown
    }
  | { readonly kind: 'watch'; readonly back: number }
  | { readonly kind: 'unwatch'; readonly which: number }
  | { readonly kind: 'compact'; readonly back: number }
  | { readonly kind: 'read'; readonly prefix: string; readonly back: number; readonly limit: number }
  | { readonly kind: 'reopen' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      writes: fc.uniqueArray(fc.record({ key, value: fc.oneof(document, fc.constant(null)) }), {
        maxLength: 4,
        selector: write => write.key,
      }),
      conditions: fc.array(
        fc.record({
          key: fc.option(key),
          off: fc.oneof(
            { weight: 5, arbitrary: fc.constant(0) },
            { weight: 1, arbitrary: fc.integer({ min: -2, max: 2 }) },
          ),
        }),
        { maxLength: 2 },
      ),
      note: fc.option(document),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('watch' as const), back: fc.integer({ min: -2, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unwatch' as const), which: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.integer({ min: -2, max: 12 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      prefix: fc.constantFrom('', 'a', 'a/', 'a/1', 'b/', 'c', 'b/\u{10ffff}'),
      back: fc.integer({ min: -2, max: 12 }),
      limit: fc.nat(5),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

interface Follower {
  readonly watch: Watch
  readonly from: number
  readonly seen: Commit[]
  /** What it should have seen; grows as the model does. */
  readonly expected: Commit[]
}

async function runSteps(implementation: Implementation, steps: readonly Step[]): Promise<void> {
  const model = new Model()
  let store = await implementation.open()
  const { id } = store
  let followers: Follower[] = []
  try {
    for (const next of steps) {
      switch (next.kind) {
        case 'commit': {
          const preconditions = next.conditions.map(({ key, off }): Precondition => {
            const actual = key === null ? model.head : (model.documents.get(key)?.revision ?? 0)
            const revision = Math.max(0, actual + off)
            return key === null ? { kind: 'head', revision } : { kind: 'key', key, revision }
          })
          const { writes, note } = next
          const done = store.commit({ writes, preconditions, ...(note !== null && { note }) })
          const result = await done
          const failed = model.commit(writes, preconditions, note, clock)
          if (failed === null) {
            assert.deepEqual(result, { kind: 'committed', revision: model.head })
            for (const { from, expected } of followers) if (model.head >= from) expected.push(model.commits.at(-1)!)
          } else {
            assert.deepEqual(result, { kind: 'conflict', failed, head: model.head })
          }
          break
        }
        case 'watch': {
          const from = Math.max(1, model.head - next.back)
          const seen: Commit[] = []
          const watching = store.watch(from, commit => void seen.push(commit))
          if (from < model.oldest) await assert.rejects(watching, new CompactedError(from, model.oldest))
          else followers.push({ watch: await watching, from, seen, expected: [...model.from(from)] })
          break
        }
        case 'unwatch':
          followers[next.which]?.watch.close()
          // What it saw until then must not change any more; see the end.
          if (followers[next.which] !== undefined) {
            followers[next.which] = { ...followers[next.which]!, from: Infinity }
          }
          break
        case 'compact': {
          const before = Math.max(0, model.head - next.back)
          await store.compact(before)
          model.compact(before)
          break
        }
        case 'read': {
          assert.deepEqual(await store.list(next.prefix), { revision: model.head, entries: model.list(next.prefix) })
          for (const key of keys) assert.deepEqual(await store.get(key), model.documents.get(key) ?? null)
          const from = Math.max(1, model.head - next.back)
          const history = store.history(from, next.limit)
          if (from < model.oldest) await assert.rejects(history, new CompactedError(from, model.oldest))
          else assert.deepEqual(await history, model.from(from).slice(0, next.limit))
          break
        }
        case 'reopen': {
          const reopened = await implementation.reopen(store)
          if (reopened !== store) {
            assertFollowed(followers)
            followers = []
          }
          store = reopened
          break
        }
      }
      assert.deepEqual([store.id, store.head(), store.oldest()], [id, model.head, model.oldest])
      assertFollowed(followers)
    }
  } finally {
    await store.close()
  }
}

function assertFollowed(followers: readonly Follower[]): void {
  for (const { seen, expected } of followers) assert.deepEqual(seen, expected)
}

for (const implementation of implementations) {
  describe(`a store (${implementation.name})`, () => {
    test('does what a map and a list of commits do', async () => {
      const steps = fc.array(step, { minLength: 10, maxLength: 60 })
      await fc.assert(
        fc.asyncProperty(steps, taken => runSteps(implementation, taken)),
        { numRuns: 60, seed: Number(process.env.RINGWALL_SEED ?? 1) },
      )
    })

    test('keeps what was given, not what becomes of it', async () => {
      const store = await implementation.open()
      const value = { list: [1, 2] }
      const committed = store.commit({ writes: [{ key: 'a/1', value }] })
      value.list.push(3)
      await committed
      assert.deepEqual((await store.get('a/1'))?.value, { list: [1, 2] })
      await store.close()
    })

    test('gives values that nobody can change for others', async () => {
      const store = await implementation.open()
      const heard: Commit[][] = [[], []]
      const spoil = (value: unknown) => {
        try {
          ;(value as { list: number[] }).list.push(4)
        } catch (error) {
          assert.ok(error instanceof TypeError)
        }
      }
      await store.watch(1, commit => {
        heard[0]!.push(commit)
        spoil(commit.changes[0]!.value)
      })
      await store.watch(1, commit => void heard[1]!.push(commit))
      await store.commit({ writes: [{ key: 'a/1', value: { list: [1] } }] })
      spoil((await store.get('a/1'))!.value)
      spoil((await store.list('')).entries[0]!.value)
      spoil((await store.history(1, 1))[0]!.changes[0]!.value)
      const expected = { list: [1] }
      assert.deepEqual(heard[1]![0]!.changes[0]!.value, expected)
      assert.deepEqual((await store.get('a/1'))!.value, expected)
      assert.deepEqual((await store.list('')).entries[0]!.value, expected)
      assert.deepEqual((await store.history(1, 1))[0]!.changes[0]!.value, expected)
      await store.close()
    })

    test('refuses a key given twice, and does nothing of it', async () => {
      const store = await implementation.open()
      const writes = [
        { key: 'a/1', value: 1 },
        { key: 'a/2', value: 1 },
        { key: 'a/1', value: 2 },
      ]
      await assert.rejects(store.commit({ writes }), RangeError)
      assert.deepEqual([store.head(), await store.list('')], [0, { revision: 0, entries: [] }])
      await store.close()
    })

    test('refuses everything once it is closed', async () => {
      const store = await implementation.open()
      await store.commit({ writes: [{ key: 'a/1', value: 1 }] })
      const heard: Commit[] = []
      await store.watch(2, commit => void heard.push(commit))
      await Promise.all([store.close(), store.close()])
      const calls: (() => Promise<unknown>)[] = [
        () => store.get('a/1'),
        () => store.list(''),
        () => store.commit({ writes: [] }),
        () => store.watch(1, () => {}),
        () => store.history(1, 1),
        () => store.compact(1),
      ]
      for (const call of calls) await assert.rejects(call, { name: 'StoreError', kind: 'closed' })
      assert.deepEqual(heard, [])
    })

    test('makes one of two commits on the same revision', async () => {
      const store = await implementation.open()
      await store.commit({ writes: [{ key: 'a/1', value: 0 }] })
      const preconditions = [{ kind: 'key', key: 'a/1', revision: 1 } as const]
      const attempts = [1, 2, 3].map(value => store.commit({ writes: [{ key: 'a/1', value }], preconditions }))
      const results = await Promise.all(attempts)
      assert.deepEqual(results.map(({ kind }) => kind).sort(), ['committed', 'conflict', 'conflict'])
      assert.equal((await store.get('a/1'))!.value, 1)
      await store.close()
    })
  })
}
