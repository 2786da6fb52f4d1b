/** What a change of the scrubbing table touches. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { NftCommand } from '../../../rules-compiler/nft/commands.ts'
import { compileScrub, type ScrubTable } from '../../../rules-compiler/scrub/compile.ts'
import type { Defence } from '../../../rules-compiler/scrub/defence.ts'
import { scrubTransaction } from '../../../rules-compiler/scrub/transaction.ts'
import { makeScrubIr } from '../../support/ir.ts'
import { makeRandom } from '../../support/random.ts'
import { makeScrubTable } from '../../support/random-scrub.ts'
import { makeCleaning } from '../../support/scrub-table.ts'
import { showCommands } from '../../support/transactions.ts'

const ir = makeScrubIr([
  { id: 'i-1', enis: [{ id: 'eni-1', device: 'd0', placement: 'host' }] },
  { id: 'i-2', enis: [{ id: 'eni-2', device: 'd1', placement: 'host' }] },
])

function table(defences: Readonly<Record<string, Defence>>, facts: Partial<ScrubTable> = {}) {
  return compileScrub({ ir, devices: new Set(['d0', 'd1']), defences: new Map(Object.entries(defences)), ...facts })
}

const rate = (packetsPerSecond: number) => ({ packetsPerSecond, bitsPerSecond: 8_000_000 })
const clean = makeCleaning()
const blackHole = (remainingSeconds: number): Defence => ({ kind: 'black-hole', remainingSeconds })
const touched = (commands: readonly NftCommand[]) =>
  showCommands(commands).map(line => line.split(' ').slice(2).join(' '))

describe('a change of the scrubbing table', () => {
  test('none where nothing changed, whatever the state', () => {
    const random = makeRandom(1)
    for (let round = 0; round < 100; round += 1) {
      const state = makeScrubTable(random)
      assert.deepEqual(scrubTransaction(compileScrub(state), compileScrub(state)), [])
    }
  })

  test('the whole table where nothing is known of it', () => {
    const commands = showCommands(scrubTransaction(null, table({})))
    assert.deepEqual(commands.slice(0, 3), [
      'add table inet ringwall-scrub',
      'delete table inet ringwall-scrub',
      'add table inet ringwall-scrub',
    ])
  })

  test('another instance that is cleaned is left alone, but for the chain that sends packets to either', () => {
    const names = touched(scrubTransaction(table({ 'i-1': clean }), table({ 'i-1': clean, 'i-2': clean })))
    assert.ok(names.length > 0)
    assert.deepEqual([...new Set(names.filter(name => !name.startsWith('i-2/')))], ['eni-2/inbound', '_host/arrivals'])
  })

  test('a device that is gone takes its counters and its chain with it', () => {
    const names = touched(scrubTransaction(table({}), table({}, { devices: new Set(['d0']) })))
    assert.ok(
      names.every(name => name.startsWith('eni-2/')),
      names.join(),
    )
  })

  test('another lane: its limits, and the chains that lead there; no set, no counter', () => {
    const with1 = makeCleaning({ lanes: new Map([['udp', rate(1000)]]) })
    const with2 = makeCleaning({ lanes: new Map([['udp', rate(2000)]]) })
    assert.deepEqual(showCommands(scrubTransaction(table({ 'i-1': with1 }), table({ 'i-1': with2 }))), [
      'add limit i-1/lane/udp/1990-packets-a-second-200',
      'flush chain i-1/defence/lane/udp',
      'add rule i-1/defence/lane/udp',
      'add rule i-1/defence/lane/udp',
      'delete limit i-1/lane/udp/59700-packets-a-minute-100',
    ])
  })

  test('a black hole: time that passes is no change, more time is, and its end takes all of it away', () => {
    const at = (seconds: number) => table({ 'i-1': blackHole(seconds) })
    assert.deepEqual(scrubTransaction(at(1800), at(1700.2)), [])
    assert.deepEqual(showCommands(scrubTransaction(at(1700), at(1800))), [
      'add element i-1/black-hole ×1',
      'delete element i-1/black-hole ×1',
      'add element i-1/black-hole ×1',
    ])
    const ended = touched(scrubTransaction(at(1800), table({})))
    assert.ok(ended.some(name => name === 'i-1/black-hole'))
    assert.ok(
      ended.every(name => /^(i-1\/|eni-1\/inbound|_host\/allowed)/.test(name)),
      ended.join(),
    )
  })

  test('guest placement follows what is seen in postrouting alone', () => {
    const guest = makeScrubIr([{ id: 'i-1', enis: [{ id: 'eni-1', device: 'tap0', placement: 'guest' }] }])
    const { chains } = compileScrub({ ir: guest, devices: new Set(['tap0']), defences: new Map([['i-1', clean]]) })
    const hooks = [...chains].flatMap(([name, { base }]) => (base === null ? [] : [`${name} ${base.hook}`]))
    assert.deepEqual(hooks, ['_host/guests postrouting'])
  })
})
