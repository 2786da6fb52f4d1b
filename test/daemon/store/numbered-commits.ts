/** Commits that follow from their revision alone, so that a reader knows what a writer wrote who was killed. */
import type { Commit, Entry, Write } from '../../../daemon/store/store.ts'
import { makeRandom } from '../../support/random.ts'

/** One to six of thirty documents, some of several pages, some deleted; all say which commit wrote them. */
export function writesOf(revision: number): readonly Write[] {
  const random = makeRandom(revision)
  const numbers = random.sample(
    Array.from({ length: 30 }, (_, index) => index),
    random.integer(1, 6),
  )
  return numbers.map(number => {
    const fill = 'x'.repeat(random.chance(0.1) ? 20_000 : random.integer(0, 1500))
    return { key: `document/${number}`, value: random.chance(0.15) ? null : { revision, fill } }
  })
}

/** What commits 1 to `head` leave. */
export class Replay {
  readonly #documents = new Map<string, Entry>()
  head = 0

  advance(head: number): void {
    while (this.head < head) {
      this.head += 1
      for (const { key, value } of writesOf(this.head)) {
        if (value === null) this.#documents.delete(key)
        else this.#documents.set(key, { key, value, revision: this.head })
      }
    }
  }

  get entries(): readonly Entry[] {
    return [...this.#documents.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }
}

/** The same without what only a replay from the first knows: values before, and times. */
export function withoutBefore({ revision, changes, note }: Commit): unknown {
  return { revision, changes: changes.map(({ key, value }) => ({ key, value })), note }
}

export function expectedCommit(revision: number): unknown {
  return { revision, changes: writesOf(revision), note: { revision } }
}
