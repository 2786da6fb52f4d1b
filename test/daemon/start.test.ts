import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { createLogger } from '../../common/log.ts'
import { startDaemon } from '../../daemon/daemon.ts'

test('a start that fails says why, and leaves nothing open', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-start-'))
  t.after(() => rm(folder, { recursive: true }))
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.after(() => other.close())
  const { port } = other.address() as AddressInfo
  const nowhere = new Writable({ write: (_line, _encoding, done) => done() })
  const start = (apiPort: number) =>
    startDaemon({
      dataDir: join(folder, 'daemon'),
      listen: { kind: 'tcp', address: '127.0.0.1', port: apiPort },
      tls: null,
      agentListen: { address: '127.0.0.1', port: 0 },
      agentUrl: null,
      hostName: 'ringwall.example',
      requestsPerMinute: 1000,
      log: createLogger('ringwall-daemon', 'info', nowhere),
    })
  await assert.rejects(
    start(port),
    new RegExp(`Cannot serve the REST API on "127\\.0\\.0\\.1" port ${port}: another process listens there`),
  )
  // The store is one process's at a time: were it still open, this were refused.
  const daemon = await start(0)
  await daemon.stop()
})
