/** What fuzzers need besides requests: a beginning to go back to, what everything shares, and memory. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Listing } from '../../../daemon/store/store.ts'
import type { TestApi } from '../api.ts'

/** Puts every object back as it was: requests take away more than they make. */
export async function beginAgain({ store }: TestApi, { entries }: Listing): Promise<void> {
  const kept = new Set(entries.map(({ key }) => key))
  const gone = (await store.list('')).entries.filter(({ key }) => !kept.has(key))
  await store.commit({ writes: [...entries, ...gone.map(({ key }) => ({ key, value: null }))] })
}

/** What a request has left in the prototypes that everything shares. */
export function pollution(): string[] {
  const found = [Object.prototype, Array.prototype, Function.prototype].flatMap(prototype => Object.keys(prototype))
  for (const name of found) delete (Object.prototype as Record<string, unknown>)[name]
  return found.map(name => `every object has a "${name}" now`)
}

let collect: (() => void) | null = null

/** Bytes, after a collection. */
export function heapInUse(): number {
  if (collect === null) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  // Twice: what only finalizers held goes at the second.
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
