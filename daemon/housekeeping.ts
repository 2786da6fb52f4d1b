/** What the daemon does by itself now and then: history is not kept for ever, nor are answers for repetitions and past attacks. */
import type { Logger } from '../common/log.ts'
import type { Note } from './model/note.ts'
import type { World } from './state/world.ts'
import type { SqliteStore } from './store/sqlite.ts'
import type { Write } from './store/store.ts'

export interface HousekeepingOptions {
  readonly store: SqliteStore
  readonly world: World
  readonly log: Logger
  readonly now: () => number
  /** Deletions of what is kept for some time only. */
  readonly sweeps: readonly ((world: World, nowMs: number) => readonly Write[])[]
}

const everyMs = 600_000
/** What `ringwall change` and a late audit log can look back on, and what the file has room for. */
const kept = { revisions: 100_000, bytes: 512 * 1024 * 1024 } as const

export interface Housekeeping {
  runNow(): Promise<void>
  close(): Promise<void>
}

export function startHousekeeping({ store, world, log, now, sweeps }: HousekeepingOptions): Housekeeping {
  let running: Promise<void> = Promise.resolve()

  async function run(): Promise<void> {
    try {
      const oldest = Math.max(store.head() - kept.revisions, await store.oldestWithin(kept.bytes))
      if (oldest > store.oldest()) await store.compact(oldest)
      const writes = sweeps.flatMap(sweep => sweep(world, now()))
      if (writes.length > 0) await store.commit({ writes, note })
    } catch (error) {
      log.warn({ error }, 'cannot tidy the store; tried again later')
    }
  }

  const runNow = () => {
    running = running.then(run)
    return running
  }
  const timer = setInterval(runNow, everyMs)
  timer.unref()
  return {
    runNow,
    close() {
      clearInterval(timer)
      return running
    },
  }
}

const note: Note = {
  action: 'ringwall:Housekeeping',
  principal: { kind: 'system', id: 'daemon', name: 'daemon' },
  sourceAddress: null,
  requestId: 'housekeeping',
}
