/** `audited-writer.ts STORE AUDIT`: commits for ever, each audited, and prints the revision of each; to be killed. */

import { createLogger } from '../../../common/log.ts'
import { openAuditLog } from '../../../daemon/audit/audit-log.ts'
import { openSqliteStore } from '../../../daemon/store/sqlite.ts'

const [storePath = '', path = ''] = process.argv.slice(2)
const store = await openSqliteStore(storePath)
const audit = await openAuditLog({
  path,
  store,
  log: createLogger('test', 'error'),
  metrics: { auditFailures: { inc: () => process.exit(3) } },
})
await store.watch(store.head() + 1, () => audit.committed())
for (;;) {
  const number = store.head() + 1
  const value = { id: String(number), name: 'x'.repeat(number % 500) }
  const principal = { kind: 'system', id: 'test', name: 'test' }
  const note = { action: 'ringwall:Test', principal, sourceAddress: null, requestId: String(number) }
  await store.commit({ writes: [{ key: `account/${number % 50}`, value }], note })
  if (number % 5 === 0) {
    audit.refused({
      note: { ...note, principal: { kind: 'system', id: 'test', name: 'test' } },
      method: 'POST',
      url: '/v1/accounts',
      status: 400,
      code: 'InvalidParameter',
      message: 'no',
    })
  }
  process.stdout.write(`${number}\n`)
  await new Promise(setImmediate)
}
