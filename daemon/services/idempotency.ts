/** Answers are kept for repetitions for a day. */
import { keyOf } from '../model/documents.ts'
import type { World } from '../state/world.ts'
import type { Write } from '../store/store.ts'

/** Deletions of those whose time is over. */
export function sweepIdempotency(world: World, nowMs: number): readonly Write[] {
  const writes: Write[] = []
  for (const [id, { expiresAtMs }] of world.entries('idempotency')) {
    if (expiresAtMs <= nowMs) writes.push({ key: keyOf('idempotency', id), value: null })
  }
  return writes
}
