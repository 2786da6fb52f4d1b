/** A daemon's start as far as the store goes, in a process of its own: `store-restart.ts PATH` prints milliseconds. */
import { World } from '../daemon/state/world.ts'
import { openSqliteStore } from '../daemon/store/sqlite.ts'

export interface Restart {
  readonly openMs: number
  readonly listMs: number
  readonly worldMs: number
  readonly heapMib: number
  readonly residentMib: number
}

const begun = performance.now()
const store = await openSqliteStore(process.argv[2]!)
const opened = performance.now()
const listing = await store.list('')
const listed = performance.now()
const world = new World(listing)
const built = performance.now()
const { heapUsed, rss } = process.memoryUsage()
const restart: Restart = {
  openMs: opened - begun,
  listMs: listed - opened,
  worldMs: built - listed,
  heapMib: heapUsed / 2 ** 20,
  residentMib: rss / 2 ** 20,
}
console.log(JSON.stringify(restart))
if (world.revision !== store.head()) throw new Error('The state is not that of the store')
await store.close()
