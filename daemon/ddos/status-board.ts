/** How instances stand under attack, as their agents told last. In memory alone: agents tell it again. */
import type { DdosPhase, DdosStatus } from '../../wire/ddos.ts'
import { type InstanceDoc, parseKey } from '../model/documents.ts'
import type { DdosStanding } from '../services/ddos-board.ts'
import type { World } from '../state/world.ts'
import type { Commit } from '../store/store.ts'

export class StatusBoard {
  readonly #world: World
  /** By instance; only of those that the agent serves, so that there are never more than instances. */
  readonly #standings = new Map<string, DdosStanding>()

  constructor(world: World) {
    this.#world = world
  }

  /** What is said of instances that are not the agent's counts for nothing: the view that it has may be an old one. */
  take(agentId: string, statuses: readonly DdosStatus[]): void {
    for (const status of statuses) {
      const { instanceId } = status
      if (this.#world.get('instance', instanceId)?.agentId === agentId) {
        this.#standings.set(instanceId, { agentId, status })
      }
    }
  }

  get(instanceId: string): DdosStanding | undefined {
    return this.#standings.get(instanceId)
  }

  /** After the world has it. */
  committed({ changes }: Commit): void {
    for (const { key, value } of changes) {
      const { kind, id } = parseKey(key)
      if (kind !== 'instance') continue
      const standing = this.#standings.get(id)
      if (standing !== undefined && standing.agentId !== (value as InstanceDoc | null)?.agentId) {
        this.#standings.delete(id)
      }
    }
  }

  /** The agent was revoked: what it told is worth nothing. */
  forget(agentId: string): void {
    for (const id of this.#world.instancesOfAgent(agentId)) this.#standings.delete(id)
  }

  countByPhase(): ReadonlyMap<DdosPhase, number> {
    const counts = new Map<DdosPhase, number>()
    for (const { status } of this.#standings.values()) {
      counts.set(status.phase, (counts.get(status.phase) ?? 0) + 1)
    }
    return counts
  }
}
