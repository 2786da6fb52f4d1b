/**
 * The scrubbing table from any state to any other: what stands in the kernel is what a fresh load gives, and nobody
 * else's table is touched.
 *
 * RINGWALL_SEED chooses the states.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { listTable } from '../support/kernel-listing.ts'
import { makeRandom } from '../support/random.ts'
import { arbitraryDevices, makeScrubTable } from '../support/random-scrub.ts'
import { needsKernel } from '../support/requirements.ts'
import { ScrubbedHost } from '../support/scrub-table.ts'

const seed = Number(process.env.RINGWALL_SEED ?? 1)
const steps = 40

const strangers = `
add table inet ringwall
add counter inet ringwall kept { packets 7 bytes 9; }
add table inet ringwall-scrubs
add set inet ringwall-scrubs s { type ipv4_addr; elements = { 198.18.0.1 }; }
add chain inet ringwall-scrubs c { type filter hook prerouting priority -175; }
add rule inet ringwall-scrubs c ip saddr @s counter
`

describe('transitions of the scrubbing table', { skip: needsKernel }, () => {
  let changed: Namespace
  let fresh: Namespace

  before(async () => {
    changed = await createNamespace('scrub-changed')
    fresh = await createNamespace('scrub-fresh')
    for (const namespace of [changed, fresh]) {
      for (const device of arbitraryDevices) await namespace.run('ip', ['link', 'add', device, 'type', 'veth'])
    }
  })
  after(async () => {
    await changed[Symbol.asyncDispose]()
    await fresh[Symbol.asyncDispose]()
  })

  const listing = (namespace: Namespace) => listTable(namespace, { table: 'ringwall-scrub' })

  test(`${steps} random tables, one after the other, as loaded afresh`, async () => {
    await changed.run('nft', ['-f', '-'], { input: strangers })
    const others = async () => [
      await listTable(changed),
      (await changed.run('nft', ['list', 'table', 'inet', 'ringwall-scrubs'])).stdout,
    ]
    const untouched = await others()
    const random = makeRandom(seed)
    const host = new ScrubbedHost(changed)
    for (let step = 1; step <= steps; step += 1) {
      const table = makeScrubTable(random)
      await host.load(table)
      await new ScrubbedHost(fresh).load(table)
      assert.deepEqual(await listing(changed), await listing(fresh), `seed ${seed}, step ${step}`)
    }
    assert.deepEqual(await others(), untouched)
  })
})
