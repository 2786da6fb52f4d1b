/** Traffic as it comes, from agents to whoever watches: agents send samples of instances that somebody reads, and no other. */
import type { DdosSample } from '../../wire/ddos.ts'
import type { ToAgent } from '../../wire/messages.ts'
import { ApiError } from '../errors.ts'
import { type InstanceDoc, parseKey } from '../model/documents.ts'
import type { SampleReader } from '../services/ddos-board.ts'
import type { World } from '../state/world.ts'
import type { Commit } from '../store/store.ts'

export interface LiveFeedParts {
  readonly world: World
  /** To an agent that is connected; nothing happens where it is not. */
  readonly say: (agentId: string, message: ToAgent) => void
}

/** Each is a connection. */
const mostReaders = { inAll: 500, ofOnePrincipal: 50 } as const

export class LiveFeed {
  readonly #parts: LiveFeedParts
  readonly #readers = new Set<SampleReader>()
  readonly #readersOf = new Map<string, Set<SampleReader>>()
  /** What each connected agent was told last, where that is not nothing. */
  readonly #told = new Map<string, string>()

  constructor(parts: LiveFeedParts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#readers.size
  }

  /** @throws {ApiError} 429 */
  watch(instanceIds: readonly string[], reader: SampleReader): () => void {
    this.#requireRoom(reader)
    this.#readers.add(reader)
    for (const id of instanceIds) {
      const readers = this.#readersOf.get(id) ?? new Set()
      this.#readersOf.set(id, readers.add(reader))
    }
    this.#tellAgentsOf(instanceIds)
    return () => {
      if (!this.#readers.delete(reader)) return
      for (const id of instanceIds) {
        const readers = this.#readersOf.get(id)
        readers?.delete(reader)
        if (readers?.size === 0) this.#readersOf.delete(id)
      }
      this.#tellAgentsOf(instanceIds)
    }
  }

  take(agentId: string, samples: readonly DdosSample[]): void {
    for (const sample of samples) {
      const { instanceId } = sample
      const readers = this.#readersOf.get(instanceId)
      if (readers === undefined || this.#parts.world.get('instance', instanceId)?.agentId !== agentId) continue
      const text = JSON.stringify(sample)
      for (const reader of readers) reader.sample(instanceId, text)
    }
  }

  /** The agent said `hello`: it has forgotten what it was told before. */
  greeted(agentId: string): void {
    this.#told.delete(agentId)
    this.#tell(agentId)
  }

  left(agentId: string): void {
    this.#told.delete(agentId)
  }

  /** After the world has it: instances may be another agent's now. */
  committed({ changes }: Commit): void {
    for (const { key, before, value } of changes) {
      const { kind, id } = parseKey(key)
      if (kind !== 'instance' || !this.#readersOf.has(id)) continue
      const agents = [before, value].map(doc => (doc as InstanceDoc | null)?.agentId ?? null)
      for (const agentId of new Set(agents)) if (agentId !== null) this.#tell(agentId)
    }
  }

  close(): void {
    for (const reader of this.#readers) reader.end('stopping')
  }

  #requireRoom({ principalId }: SampleReader): void {
    const theirs = [...this.#readers].filter(reader => reader.principalId === principalId).length
    if (this.#readers.size < mostReaders.inAll && theirs < mostReaders.ofOnePrincipal) return
    const message = `Cannot serve one more reader of samples: expected at most ${mostReaders.ofOnePrincipal} of one token and ${mostReaders.inAll} in all`
    throw new ApiError(429, 'Throttling', message)
  }

  #tellAgentsOf(instanceIds: readonly string[]): void {
    const agents = new Set(instanceIds.map(id => this.#parts.world.get('instance', id)?.agentId ?? null))
    for (const agentId of agents) if (agentId !== null) this.#tell(agentId)
  }

  #tell(agentId: string): void {
    const instanceIds = [...this.#parts.world.instancesOfAgent(agentId)].filter(id => this.#readersOf.has(id)).sort()
    const text = instanceIds.join()
    if (text === (this.#told.get(agentId) ?? '')) return
    this.#told.set(agentId, text)
    this.#parts.say(agentId, { type: 'ddos-watch', instanceIds })
  }
}
