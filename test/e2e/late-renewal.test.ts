/** An agent whose certificate has ended, its own link to a real daemon: it comes back by itself, or says what to do. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Registry } from 'prom-client'
import { DaemonLink } from '../../agent/link/daemon.ts'
import { enrol } from '../../agent/link/enrol.ts'
import { Identity } from '../../agent/link/identity.ts'
import { createLinkMetrics } from '../../agent/link/metrics.ts'
import { createLogger } from '../../common/log.ts'
import { hostReport } from '../support/documents.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { PushHost, type PushHostOptions } from '../support/push-host.ts'
import { eventually } from '../support/sessions.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-late-'))
})
after(() => rm(folder, { recursive: true }))

/** A host that joined when certificates were good for a millisecond, and a daemon of today. */
async function comeBack(options: PushHostOptions) {
  const store = new MemoryStore()
  const then = await PushHost.start({ store, certificateMs: 1 })
  const url = (port: number) => `https://127.0.0.1:${port}`
  const credentials = await enrol({ url: url(then.port), token: await then.token(), report: hostReport })
  await then[Symbol.asyncDispose]()
  const host = await PushHost.start({ store, ...options })
  const identity = new Identity(folder, { ...credentials, daemonUrl: url(host.port) })
  const lines: { readonly level: string; readonly msg: string }[] = []
  const updates: string[] = []
  const link = new DaemonLink({
    identity,
    log: createLogger('test', 'info', { write: line => lines.push(JSON.parse(line)) }),
    metrics: createLinkMetrics(new Registry(), {
      lifeLeftMs: () => identity.lifeLeftMs(Date.now()),
      lifeMs: () => identity.lifeMs,
    }),
    hello: () => ({ report: hostReport, view: null, enforced: null }),
    onUpdate: ({ type }) => {
      updates.push(type)
      return null
    },
    onAddresses: async () => {},
    onConfirm: () => {},
    lastAddresses: [],
  })
  link.start()
  return {
    host,
    link,
    lines,
    updates,
    identity,
    async [Symbol.asyncDispose]() {
      await link.close()
      await host[Symbol.asyncDispose]()
    },
  }
}

describe('an agent whose certificate has ended', () => {
  test('gets a new one and goes on', async () => {
    await using back = await comeBack({})
    await eventually(async () => assert.deepEqual(back.updates, ['snapshot']))
    const { agentId } = back.identity.credentials
    await eventually(async () => assert.equal(back.host.world.get('agent', agentId)?.certificates.length, 1))
    assert.ok(back.identity.lifeLeftMs(Date.now()) > 0)
    assert.deepEqual(
      back.lines.map(({ msg }) => msg),
      [
        'the certificate has ended; the daemon is asked for a new one',
        'the certificate is renewed',
        'connected to the daemon',
      ],
    )
    assert.equal(await back.host.metric('ringwall_daemon_late_renewals_total{outcome="renewed"}'), 1)
  })

  test('hears of a daemon that renews none what to do', async () => {
    await using back = await comeBack({ renewalGraceMs: 0 })
    await eventually(async () => assert.equal(back.link.status.tooLate, true))
    assert.match(back.link.status.reason ?? '', /enrol again with a new token/)
    assert.equal(back.lines[0]?.level, 'error')
    assert.deepEqual(back.updates, [])
  })
})
