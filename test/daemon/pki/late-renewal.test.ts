/** What is left to a certificate that has ended: to be renewed, for some time, and nothing else. Over real TLS. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { connect } from 'node:tls'
import type { RefusedWrite } from '../../../daemon/model/note.ts'
import { openAuthority } from '../../../daemon/pki/authority.ts'
import { renewPath } from '../../../wire/messages.ts'
import { FakeAgent, type FakeCredentials, makeKeyPair, post, prove, renewFake } from '../../support/fake-agent.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { PushHost, type PushHostOptions } from '../../support/push-host.ts'

const dayMs = 24 * 3600 * 1000

/** A host whose agent's certificate, the only one that is listed, ended so many days ago. */
async function hostWithEnded(daysAgo: number, options: PushHostOptions = {}) {
  const refused: RefusedWrite[] = []
  const host = await PushHost.start({ onRefused: each => refused.push(each), ...options })
  const { agentId } = await host.enrol()
  return { host, refused, agentId, ended: await certify(host, agentId, daysAgo) }
}

async function certify(host: PushHost, agentId: string, endedDaysAgo: number): Promise<FakeCredentials> {
  const keys = makeKeyPair()
  const key = Buffer.from(keys.publicKey, 'base64url')
  const nowMs = Date.now() - (endedDaysAgo + 7) * dayMs
  const issued = await host.authority.issueAgentCertificate(agentId, key, 7 * dayMs, nowMs)
  const { certificate, serialNumber, notAfterMs } = issued
  await host.change('agent', agentId, { certificates: [{ serialNumber, notAfterMs }] })
  return { agentId, privateKey: keys.privateKey, certificate, caCertificate: host.authority.certificate }
}

const late = (host: PushHost, outcome: string) =>
  host.metric(`ringwall_daemon_late_renewals_total{outcome="${outcome}"}`)

describe('a certificate that has ended', () => {
  test('is renewed for a new key, and good for no connection', async () => {
    const { host, agentId, ended } = await hostWithEnded(29)
    await using _ = host
    await assert.rejects(FakeAgent.connect(host.port, ended), /"reason":"renewable"/)
    const { status, renewed } = await renewFake(host.port, ended)
    assert.equal(status, 201)
    await assert.rejects(FakeAgent.connect(host.port, ended), /"reason":"renewable"/)
    const agent = await FakeAgent.connect(host.port, renewed)
    await agent.next('snapshot')
    while (host.world.get('agent', agentId)?.certificates.length !== 1) await new Promise(setImmediate)
    assert.equal((await renewFake(host.port, ended)).body.reason, 'unlisted')
    assert.equal(agent.closed, false)
    assert.equal(await late(host, 'renewed'), 1)
    const [commit] = await host.store.history(host.store.head() - 1, 1)
    assert.partialDeepStrictEqual(commit?.note, {
      action: 'ringwall:RenewEndedAgent',
      principal: { kind: 'agent', id: agentId, name: 'host-1' },
    })
  })

  test('is renewed again where the answer was lost', async () => {
    const { host, ended } = await hostWithEnded(1)
    await using _ = host
    const first = await renewFake(host.port, ended)
    const second = await renewFake(host.port, ended)
    assert.deepEqual([first.status, second.status], [201, 201])
    await assert.rejects(FakeAgent.connect(host.port, first.renewed), /"reason":"unlisted"/)
    await (await FakeAgent.connect(host.port, second.renewed)).next('snapshot')
  })

  interface Row {
    readonly name: string
    readonly endedDaysAgo?: number
    readonly graceDays?: number
    readonly before?: (host: PushHost, agentId: string) => Promise<unknown>
    readonly body?: (agentId: string) => string
    readonly reason?: string
    readonly status: number
    /** Codes of what is audited. */
    readonly audited: readonly string[]
  }

  const keys = makeKeyPair()
  const bodyWith = (proof: string) => JSON.stringify({ publicKey: keys.publicKey, proof })
  const rows: readonly Row[] = [
    { name: 'too long ago', endedDaysAgo: 31, reason: 'expired', status: 401, audited: [] },
    {
      name: 'where the daemon renews none',
      endedDaysAgo: 1,
      graceDays: 0,
      reason: 'expired',
      status: 401,
      audited: [],
    },
    { name: 'longer ago than is set', endedDaysAgo: 3, graceDays: 2, reason: 'expired', status: 401, audited: [] },
    {
      name: 'of an agent that was revoked',
      before: (host, agentId) => host.change('agent', agentId, { status: 'revoked' }),
      reason: 'revoked',
      status: 401,
      audited: [],
    },
    {
      name: 'of an agent that was deleted',
      before: (host, agentId) => host.commit({ key: `agent/${agentId}`, value: null }),
      reason: 'unknown-agent',
      status: 401,
      audited: [],
    },
    {
      name: 'that was replaced',
      before: (host, agentId) => certify(host, agentId, -1),
      reason: 'unlisted',
      status: 401,
      audited: [],
    },
    {
      name: 'with a proof by another key',
      body: agentId => bodyWith(prove(agentId, makeKeyPair())),
      status: 400,
      audited: ['InvalidParameter'],
    },
    {
      name: 'with a proof for another agent',
      body: () => bodyWith(prove('agent-other', keys)),
      status: 400,
      audited: ['InvalidParameter'],
    },
    { name: 'without JSON', body: () => '{"publicKey"', status: 400, audited: ['InvalidParameter'] },
    { name: 'without fields', body: () => '{}', status: 400, audited: ['InvalidParameter'] },
    { name: 'that has not ended', endedDaysAgo: -1, status: 409, audited: ['Conflict'] },
  ]
  for (const { name, endedDaysAgo = 1, graceDays = 30, before, body, reason, status, audited } of rows) {
    test(`${name} is not renewed`, async () => {
      const { host, refused, agentId, ended } = await hostWithEnded(endedDaysAgo, { renewalGraceMs: graceDays * dayMs })
      await using _ = host
      await before?.(host, agentId)
      const head = host.store.head()
      const answer = await renewFake(host.port, ended, { ...(body && { body: body(agentId) }) })
      assert.deepEqual([answer.status, answer.body.reason], [status, reason])
      assert.equal(host.store.head(), head)
      assert.deepEqual(
        refused.map(({ note, objects, code }) => [note.action, note.principal.id, objects, code]),
        audited.map(code => ['ringwall:RenewEndedAgent', agentId, [`agent/${agentId}`], code]),
      )
      if (reason !== undefined)
        assert.equal(await host.metric(`ringwall_daemon_connections_refused_total{reason="${reason}"}`), 1)
      assert.equal(await late(host, 'refused'), audited.length)
    })
  }

  test('is nobody’s who has not its key: none, another CA, and a ticket of a session that its owner had', async () => {
    const { host, ended } = await hostWithEnded(1)
    await using _ = host
    assert.equal((await post(host.port, '{}', renewPath)).body.reason, 'no-certificate')
    const other = await openAuthority(new MemoryStore())
    const keys = makeKeyPair()
    const key = Buffer.from(keys.publicKey, 'base64url')
    const foreign = await other.issueAgentCertificate(ended.agentId, key, 7 * dayMs, Date.now() - 8 * dayMs)
    const forged = { ...ended, privateKey: keys.privateKey, certificate: foreign.certificate }
    assert.equal((await renewFake(host.port, forged)).body.reason, 'wrong-authority')
    const session = await ticketOf(host.port, ended)
    const answer = await renewFake(host.port, ended, { tls: { session, minVersion: 'TLSv1.3' } })
    assert.deepEqual([answer.status, answer.body.code], [401, 'Unauthorized'])
    assert.match(String(answer.body.detail), /resumed TLS session/)
  })

  test('is not renewed again and again', async () => {
    const { host, refused, ended } = await hostWithEnded(1)
    await using _ = host
    const statuses = []
    for (let count = 0; count < 7; count += 1) statuses.push((await renewFake(host.port, ended)).status)
    assert.deepEqual(statuses, [201, 201, 201, 201, 201, 429, 429])
    assert.equal(await late(host, 'renewed'), 5)
    assert.ok(refused.every(({ status }) => status === 429))
  })

  test('of a time that a restored state knows nothing of is renewed too', async () => {
    const store = new MemoryStore()
    const { host, agentId, ended } = await hostWithEnded(1, { store })
    await using _ = host
    await host.change('agent', agentId, { certificates: [] })
    assert.equal((await renewFake(host.port, ended)).body.reason, 'unlisted')
    const [authority] = (await store.list('authority/')).entries
    const lostTimes = [{ fromMs: Date.now() - 20 * dayMs, untilMs: Date.now() - dayMs }]
    await store.commit({ writes: [{ key: authority!.key, value: { ...(authority!.value as object), lostTimes } }] })
    await using after = await PushHost.start({ store })
    const { status, renewed } = await renewFake(after.port, ended)
    assert.equal(status, 201)
    await (await FakeAgent.connect(after.port, renewed)).next('snapshot')
  })
})

/** A ticket of a whole handshake with the certificate. */
async function ticketOf(port: number, { privateKey, certificate }: FakeCredentials): Promise<Buffer> {
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const options = { host: '127.0.0.1', port, key, cert: certificate, rejectUnauthorized: false } as const
  const socket = connect({ ...options, minVersion: 'TLSv1.3' })
  const session = await new Promise<Buffer>((resolve, reject) => {
    socket.once('session', resolve)
    socket.once('error', reject)
  })
  socket.destroy()
  return session
}
