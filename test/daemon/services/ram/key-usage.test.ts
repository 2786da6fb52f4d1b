/** When access keys were used last: kept over a restart, and forgotten with the key. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createLogger } from '../../../../common/log.ts'
import { KeyUsage } from '../../../../daemon/services/ram/key-usage.ts'

const use = { atMs: Date.UTC(2026, 2, 1), sourceAddress: '198.18.0.9' }

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-usage-'))
})
after(() => rm(folder, { recursive: true }))

function open(path: string, lines: string[] = []) {
  const log = createLogger('ringwall-daemon', 'warn', { write: line => void lines.push(line) })
  return KeyUsage.open({ path, log, isThere: id => id !== 'RWgone' })
}

test('it is there after a restart, but of keys that are gone', async () => {
  const path = join(folder, 'usage.json')
  const usage = await open(path)
  for (const id of ['RWhere', 'RWgone']) usage.note(id, use)
  await usage.close()
  const again = await open(path)
  assert.deepEqual([again.of('RWhere'), again.of('RWgone')], [use, undefined])
  await again.close()
})

test('a file that is damaged is said once and begun anew', async () => {
  const path = join(folder, 'torn.json')
  await writeFile(path, '{"RWhere": {"atMs"')
  const lines: string[] = []
  const usage = await open(path, lines)
  assert.equal(lines.length, 1)
  usage.note('RWhere', use)
  await usage.close()
  assert.deepEqual((await open(path)).of('RWhere'), use)
})
