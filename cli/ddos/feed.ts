/** What `ringwall top` looks at: how instances stand, and every sample of their traffic, from the daemon or the agent here. */
import type { DdosSample } from '../../wire/ddos.ts'
import type { Client } from '../client/client.ts'
import { UnreachableError } from '../client/errors.ts'
import { readJson } from './read-json.ts'
import type { Standing } from './standing.ts'

export interface Feed {
  /** Who is asked, for people. */
  readonly name: string
  /** How many instances' samples it gives at once. */
  readonly mostWatched: number
  /** Of those that are looked at. @throws {OperationError} */
  standings(): Promise<readonly Standing[]>
  /**
   * As they come, until the other side ends it or the signal aborts.
   * @param instanceIds  never none, nor more than `mostWatched`
   * @throws {OperationError}
   */
  samples(instanceIds: readonly string[], signal: AbortSignal): AsyncIterable<DdosSample>
}

/** @param instanceIds  null for all that one may see */
export function daemonFeed(client: Client, name: string, instanceIds: readonly string[] | null): Feed {
  return {
    name,
    mostWatched: 100,
    standings: () => readStandings(client, instanceIds),
    async *samples(ids, signal) {
      for await (const event of client.events('/v1/ddos/samples', { instanceId: ids }, signal)) {
        if (event.name === 'sample') yield readJson<DdosSample>(event.data)
        if (event.name === 'end') {
          const { reason } = readJson<{ reason: string }>(event.data)
          throw new UnreachableError('broken', [`The daemon ended the stream of samples (${reason})`])
        }
      }
    },
  }
}

/** In the order they are named. */
export async function readStandings(
  client: Client,
  instanceIds: readonly string[] | null,
): Promise<readonly Standing[]> {
  if (instanceIds === null) return (await client.list<Standing>('/v1/ddos/instances')).items
  return Promise.all(
    instanceIds.map(async id => {
      const path = `/v1/ddos/instances/${encodeURIComponent(id)}`
      return (await client.get<{ ddosInstance: Standing }>(path)).ddosInstance
    }),
  )
}
