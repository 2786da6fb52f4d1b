/** Which instances agents served until of late: an agent that was away may still have something to tell of them. */
import { type InstanceDoc, parseKey } from '../model/documents.ts'
import type { Commit, Store } from '../store/store.ts'

/** Some hundred bytes each. */
const maxRemembered = 10_000
/** What a start looks through again. */
const commitsRead = 1000

export class PastServing {
  readonly #accounts = new Map<string, string>()

  /** With what the latest commits up to the revision say. */
  static async read(store: Pick<Store, 'history' | 'oldest'>, revision: number): Promise<PastServing> {
    const past = new PastServing()
    const from = Math.max(store.oldest(), revision - commitsRead + 1, 1)
    const commits = from > revision ? [] : await store.history(from, revision - from + 1)
    for (const commit of commits) past.committed(commit)
    return past
  }

  committed({ changes }: Commit): void {
    for (const { key, before, value } of changes) {
      const { kind, id } = parseKey(key)
      if (kind !== 'instance' || before === null) continue
      const { agentId, accountId } = before as InstanceDoc
      if (agentId === null || agentId === (value as InstanceDoc | null)?.agentId) continue
      this.#remember(`${agentId} ${id}`, accountId)
    }
  }

  /** That the instance was of, while the agent served it. */
  accountOf(agentId: string, instanceId: string): string | undefined {
    return this.#accounts.get(`${agentId} ${instanceId}`)
  }

  #remember(key: string, accountId: string): void {
    this.#accounts.delete(key)
    this.#accounts.set(key, accountId)
    const [oldest] = this.#accounts.keys()
    if (this.#accounts.size > maxRemembered) this.#accounts.delete(oldest!)
  }
}
