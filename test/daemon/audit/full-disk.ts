/** Run by audit-log.test.ts with a file system of 64 KiB of its own: `full-disk.ts FILE-SYSTEM FOLDER`. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLogger } from '../../../common/log.ts'
import { openAuditLog } from '../../../daemon/audit/audit-log.ts'
import type { AuditEvent } from '../../../daemon/audit/event.ts'
import { openSqliteStore } from '../../../daemon/store/sqlite.ts'

const [small = '', folder = ''] = process.argv.slice(2)
const path = join(small, 'audit.jsonl')
const ballast = join(small, 'ballast')
writeFileSync(ballast, Buffer.alloc(40_000))
const logged: string[] = []
let failures = 0
const store = await openSqliteStore(join(folder, 'store.db'))
const audit = await openAuditLog({
  path,
  store,
  log: createLogger('test', 'info', { write: line => void logged.push(line) }),
  metrics: {
    auditFailures: {
      inc() {
        failures += 1
      },
    },
  },
})
await store.watch(1, () => audit.committed())

const note = (number: number) => ({
  action: 'ringwall:Test',
  principal: { kind: 'system', id: 'test', name: 'test' } as const,
  sourceAddress: null,
  requestId: String(number),
})
async function write(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const number = store.head() + 1
    await store.commit({ writes: [{ key: `account/${number}`, value: { id: String(number) } }], note: note(number) })
    await audit.settled()
  }
}

while (failures === 0) await write(1)
const whole = readFileSync(path, 'utf8')
assert.ok(whole.endsWith('\n') || whole.length > 0)
await write(5)
audit.refused({ note: note(0), method: 'POST', url: '/v1/tokens', status: 403, code: 'Forbidden', message: 'no' })
await audit.settled()
assert.ok(failures >= 6, `${failures} failures`)
assert.equal(logged.filter(line => line.includes('cannot write the audit log')).length, 1)
assert.match(logged.join(''), /ENOSPC/)

rmSync(ballast)
await write(1)
assert.match(logged.join(''), /complete again/)
const events: AuditEvent[] = readFileSync(path, 'utf8')
  .trimEnd()
  .split('\n')
  .map(line => JSON.parse(line))
const done = events.filter(({ outcome }) => outcome === 'done').map(({ revision }) => revision)
assert.deepEqual(
  done,
  Array.from({ length: store.head() }, (_, index) => index + 1),
)
assert.equal(events.filter(({ outcome }) => outcome === 'refused').length, 1)
await audit.close()
await store.close()
process.stdout.write('complete\n')
