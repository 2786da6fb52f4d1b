/** Hostile and careless requests for everything the OpenAPI document has: `npm run fuzz:api` does the same for longer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from '../support/fuzz/session.ts'

const seed = Number(process.env.RINGWALL_SEED ?? 20_260_729)
const requests = Number(process.env.RINGWALL_FUZZ_REQUESTS ?? 3000)

test('whatever is asked is answered or refused as promised, and what is refused changes nothing', async () => {
  const { faults, statuses, successes } = await fuzz({ seed, requests })
  assert.deepEqual(faults, [])
  // A fuzzer that is always refused, at the door or a step further, tests the door.
  const answered = [...successes.values()].filter(count => count > 0).length
  assert.ok(answered > 0.7 * successes.size, `${answered} of ${successes.size} operations were answered with success`)
  for (const status of [200, 201, 400, 401, 403, 404, 409, 413, 415]) {
    assert.ok((statuses.get(status) ?? 0) > 0, `nothing was answered with ${status}`)
  }
})

test('requests that store nothing leave nothing in memory', async () => {
  const { faults, heapBytes } = await fuzz({ seed: seed + 1, requests: requests + 500, changesNothing: true })
  assert.deepEqual(faults, [])
  const [first = 0] = heapBytes
  const last = heapBytes.at(-1) ?? 0
  // What a request of 100 KB would leave if it stayed is more than that after a few dozen of them.
  assert.ok(last < first + 4 * 1024 ** 2, `${heapBytes.map(bytes => `${Math.round(bytes / 1024)} KiB`).join(', ')}`)
})
