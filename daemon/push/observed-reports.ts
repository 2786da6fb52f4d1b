/** What rules of observed ENIs would have dropped, as their agents told last. In memory alone: agents tell it again. */
import type { ObservedEni } from '../../wire/observed.ts'
import { type GroupDoc, parseKey } from '../model/documents.ts'
import { isObserved } from '../services/modes.ts'
import type { ObservedBoard, ObservedStanding } from '../services/observed-board.ts'
import { MultiMap } from '../state/multi-map.ts'
import type { World } from '../state/world.ts'
import type { Commit } from '../store/store.ts'

export interface ObservedReportsParts {
  readonly world: World
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Kept of all ENIs together: some 100 and 300 bytes each. */
  readonly mostCounts?: number
  readonly mostFlows?: number
}

export class ObservedReports implements ObservedBoard {
  readonly #parts: Required<ObservedReportsParts>
  /** By ENI; only of those that are observed and that the agent serves. */
  readonly #standings = new Map<string, ObservedStanding>()
  readonly #enisOfAgent = new MultiMap()
  readonly #kept = { counts: 0, flows: 0 }

  constructor(parts: ObservedReportsParts) {
    this.#parts = { mostCounts: 1_000_000, mostFlows: 200_000, ...parts }
  }

  /** Replaces all that the agent told before. What it says of others' ENIs, or by an older view, counts for nothing. */
  take(agentId: string, enis: readonly ObservedEni[]): void {
    this.forget(agentId)
    for (const eni of enis) {
      if (!this.#standings.has(eni.eniId) && this.#isOf(agentId, eni.eniId)) this.#keep(agentId, eni)
    }
  }

  observedOf(eniId: string): ObservedStanding | undefined {
    return this.#standings.get(eniId)
  }

  /** After the world has it. A mode that begins again begins with nothing. */
  committed({ changes }: Commit): void {
    if (this.#standings.size === 0) return
    const { world } = this.#parts
    for (const { key, before, value } of changes) {
      const { kind, id } = parseKey(key)
      if (kind === 'eni') this.#look(id)
      if (kind === 'instance') for (const eniId of world.enisOfInstance(id)) this.#look(eniId)
      const [old, now] = [before as GroupDoc | null, value as GroupDoc | null]
      if (kind === 'group' && old?.mode !== now?.mode) for (const eniId of world.enisOfGroup(id)) this.#look(eniId)
    }
  }

  /** What the agent told is worth nothing any more. */
  forget(agentId: string): void {
    for (const eniId of [...this.#enisOfAgent.get(agentId)]) this.#drop(eniId)
  }

  #isOf(agentId: string, eniId: string): boolean {
    const { world } = this.#parts
    const eni = world.get('eni', eniId)
    if (eni === undefined || !isObserved(world, eni)) return false
    return world.agentOfEni(eni) === agentId
  }

  #look(eniId: string): void {
    const standing = this.#standings.get(eniId)
    if (standing !== undefined && !this.#isOf(standing.agentId, eniId)) this.#drop(eniId)
  }

  #keep(agentId: string, told: ObservedEni): void {
    const { now, mostCounts, mostFlows } = this.#parts
    const counts = told.counts.slice(0, mostCounts - this.#kept.counts)
    const flows = told.flows.slice(0, mostFlows - this.#kept.flows)
    const flowsLeftOut = told.flowsLeftOut + told.flows.length - flows.length
    const isCut = counts.length < told.counts.length
    this.#kept.counts += counts.length
    this.#kept.flows += flows.length
    this.#standings.set(told.eniId, {
      agentId,
      eni: { ...told, counts, flows, flowsLeftOut },
      heardAtMs: now(),
      isCut,
    })
    this.#enisOfAgent.add(agentId, told.eniId)
  }

  #drop(eniId: string): void {
    const standing = this.#standings.get(eniId)
    if (standing === undefined) return
    this.#standings.delete(eniId)
    this.#enisOfAgent.delete(standing.agentId, eniId)
    this.#kept.counts -= standing.eni.counts.length
    this.#kept.flows -= standing.eni.flows.length
  }
}
