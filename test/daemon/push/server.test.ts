/** Who is let in and who is not, over real TLS. */
import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { connect } from 'node:tls'
import { openAuthority } from '../../../daemon/pki/authority.ts'
import { revokeAgent } from '../../../daemon/pki/enrolment.ts'
import { makeInstance, put } from '../../support/documents.ts'
import { FakeAgent, type FakeCredentials, makeKeyPair, post } from '../../support/fake-agent.ts'
import { holdTime } from '../../support/held-time.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { PushHost } from '../../support/push-host.ts'

const dayMs = 24 * 3600 * 1000
/** So often the listener looks at its own certificate. */
const minuteMs = 60_000

/** A certificate of this host's CA, for a new key, that the agent's document lists. */
async function certify(host: PushHost, agentId: string, validMs = dayMs, nowMs = Date.now()): Promise<FakeCredentials> {
  const keys = makeKeyPair()
  const key = Buffer.from(keys.publicKey, 'base64url')
  const { certificate, serialNumber, notAfterMs } = await host.authority.issueAgentCertificate(
    agentId,
    key,
    validMs,
    nowMs,
  )
  await host.change('agent', agentId, { certificates: [{ serialNumber, notAfterMs }] })
  return { agentId, privateKey: keys.privateKey, certificate, caCertificate: host.authority.certificate }
}

describe('the listener for agents', () => {
  test('lets an enrolled agent in', async () => {
    await using host = await PushHost.start()
    const agent = await FakeAgent.connect(host.port, await host.enrol())
    assert.equal((await agent.next('snapshot')).storeId, host.store.id)
    await agent.close()
  })

  test('lets in a certificate that has not begun: the clock was ahead when it was signed', async () => {
    await using host = await PushHost.start()
    const { agentId } = await host.enrol()
    const agent = await FakeAgent.connect(host.port, await certify(host, agentId, 2 * dayMs, Date.now() + dayMs))
    await agent.next('snapshot')
    await agent.close()
  })

  interface Row {
    readonly name: string
    readonly reason: string
    /** The agent of the credentials given is enrolled and good. */
    readonly with: (host: PushHost, good: FakeCredentials) => Promise<FakeCredentials | null>
  }

  const rows: readonly Row[] = [
    { name: 'no certificate', reason: 'no-certificate', with: async () => null },
    {
      name: 'a certificate of another CA, for an agent that there is',
      reason: 'wrong-authority',
      async with(host, { agentId }) {
        const keys = makeKeyPair()
        const other = await openAuthority(new MemoryStore())
        const key = Buffer.from(keys.publicKey, 'base64url')
        const { certificate } = await other.issueAgentCertificate(agentId, key, dayMs, Date.now())
        return { agentId, privateKey: keys.privateKey, certificate, caCertificate: host.authority.certificate }
      },
    },
    {
      name: 'a certificate that has ended',
      reason: 'renewable',
      with: (host, { agentId }) => certify(host, agentId, dayMs, Date.now() - 2 * dayMs),
    },
    {
      name: 'a certificate that ended long ago',
      reason: 'expired',
      with: (host, { agentId }) => certify(host, agentId, dayMs, Date.now() - 32 * dayMs),
    },
    {
      name: 'a certificate that has ended, of an agent that was revoked',
      reason: 'revoked',
      async with(host, { agentId }) {
        const ended = await certify(host, agentId, dayMs, Date.now() - 2 * dayMs)
        await host.change('agent', agentId, { status: 'revoked' })
        return ended
      },
    },
    {
      name: 'a certificate for servers',
      reason: 'wrong-usage',
      async with(host, { agentId }) {
        const { certificate, privateKey } = await host.authority.issueServerCertificate(dayMs, Date.now())
        return {
          agentId,
          privateKey: createPrivateKey(privateKey),
          certificate,
          caCertificate: host.authority.certificate,
        }
      },
    },
    {
      name: 'a certificate of an agent that was deleted',
      reason: 'unknown-agent',
      async with(host, good) {
        await host.commit({ key: `agent/${good.agentId}`, value: null })
        return good
      },
    },
    {
      name: 'a certificate of an agent that was revoked',
      reason: 'revoked',
      async with(host, good) {
        await host.commit(put('agent', revokeAgent(host.world.get('agent', good.agentId)!, Date.now())))
        return good
      },
    },
    {
      name: 'a certificate that was replaced',
      reason: 'unlisted',
      async with(host, good) {
        await certify(host, good.agentId)
        return good
      },
    },
  ]
  for (const { name, reason, with: prepare } of rows) {
    test(`refuses ${name}`, async () => {
      await using host = await PushHost.start()
      const credentials = await prepare(host, await host.enrol())
      await assert.rejects(FakeAgent.connect(host.port, credentials), error => {
        const [, status, body = ''] = /^(\d+) (.*)/s.exec((error as Error).message) ?? []
        assert.equal(status, '401')
        assert.partialDeepStrictEqual(JSON.parse(body), {
          status: 401,
          code: reason === 'revoked' ? 'AgentRevoked' : 'Unauthorized',
          reason,
        })
        return true
      })
      assert.equal(await host.metric(`ringwall_daemon_connections_refused_total{reason="${reason}"}`), 1)
    })
  }

  test('speaks nothing older than TLS 1.3', async () => {
    await using host = await PushHost.start()
    await assert.rejects(
      FakeAgent.connect(host.port, await host.enrol(), { tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } }),
      /alert protocol version/,
    )
  })

  test('presents a certificate for servers, and the CA that signed it', async () => {
    await using host = await PushHost.start()
    const socket = connect({ host: '127.0.0.1', port: host.port, rejectUnauthorized: false })
    await new Promise(resolve => socket.once('secureConnect', resolve))
    const { issuerCertificate } = socket.getPeerCertificate(true)
    const leaf = socket.getPeerX509Certificate()!
    socket.destroy()
    assert.ok(host.authority.hasSigned(leaf))
    assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'])
    const fingerprint = Buffer.from(issuerCertificate.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
    assert.equal(fingerprint, host.authority.fingerprint)
  })

  test('renews its certificate while it runs, and agents stay', async context => {
    const time = holdTime(context, ['setInterval'])
    await using host = await PushHost.start({ options: { serverCertificateMs: 90 * minuteMs, heartbeatMs: dayMs } })
    const agent = await FakeAgent.connect(host.port, await host.enrol())
    await agent.next('snapshot')
    const serialNumber = async () => {
      const socket = connect({ host: '127.0.0.1', port: host.port, rejectUnauthorized: false })
      await new Promise(resolve => socket.once('secureConnect', resolve))
      const number = socket.getPeerX509Certificate()?.serialNumber
      socket.destroy()
      return number
    }
    const first = await serialNumber()
    const laterMs = Date.now() + 45 * minuteMs
    context.mock.method(Date, 'now', () => laterMs)
    time.pass(minuteMs)
    while ((await serialNumber()) === first);
    assert.equal(agent.closed, false)
    await assert.doesNotReject(FakeAgent.connect(host.port, await host.enrol()))
  })

  test('has a certificate that has begun, though the clock was set back since it was made', async context => {
    const time = holdTime(context, ['setInterval'])
    let nowMs = Date.now() + dayMs
    context.mock.method(Date, 'now', () => nowMs)
    await using host = await PushHost.start()
    nowMs -= dayMs
    const credentials = await host.enrol()
    const connects = () =>
      FakeAgent.connect(host.port, credentials).then(
        () => null,
        error => error.code,
      )
    assert.equal(await connects(), 'CERT_NOT_YET_VALID')
    time.pass(minuteMs)
    let outcome = 'CERT_NOT_YET_VALID'
    while (outcome === 'CERT_NOT_YET_VALID') outcome = await connects()
    assert.equal(outcome, null)
  })

  test('answers any other path with 404', async () => {
    await using host = await PushHost.start()
    assert.partialDeepStrictEqual(await post(host.port, '{}', '/v1/else'), { status: 404, body: { code: 'NotFound' } })
  })

  test('cuts an agent off at once when it is revoked, and lets it in no more', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const agent = await FakeAgent.connect(host.port, credentials)
    await agent.next('snapshot')
    await host.commit(put('agent', revokeAgent(host.world.get('agent', credentials.agentId)!, Date.now())))
    assert.equal((await agent.next('goodbye')).code, 'revoked')
    await agent.until(({ closed }) => closed)
    assert.equal(host.push.agentStatus(credentials.agentId)?.state, 'revoked')
    await assert.rejects(FakeAgent.connect(host.port, credentials), /^Error: 401 .*"reason":"revoked"/)
  })

  test('tells an agent that is not there any more, as after a restore, that it is not', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const agent = await FakeAgent.connect(host.port, credentials)
    await agent.next('snapshot')
    await host.commit({ key: `agent/${credentials.agentId}`, value: null })
    const { code, message } = await agent.next('goodbye')
    assert.deepEqual([code, message], ['revoked', 'the agent is not there any more: enrol again with a new token'])
    await agent.until(({ closed }) => closed)
  })

  test('cuts off an agent that had not said hello yet when it says it', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const agent = await FakeAgent.connect(host.port, credentials, { hello: false })
    await host.commit(put('agent', revokeAgent(host.world.get('agent', credentials.agentId)!, Date.now())))
    agent.hello()
    assert.equal((await agent.next('goodbye')).code, 'revoked')
    assert.deepEqual(agent.updates, [])
  })

  test('lets the newer of two connections of one agent stand', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const first = await FakeAgent.connect(host.port, credentials)
    await first.next('snapshot')
    const second = await FakeAgent.connect(host.port, credentials)
    assert.equal((await first.next('goodbye')).code, 'replaced')
    await second.next('snapshot')
    const { agentId } = credentials
    await host.commit(put('instance', makeInstance({ id: 'i-1', agentId })))
    await second.until(({ view }) => view.objects.has('instance/i-1'))
    assert.equal(first.view.objects.has('instance/i-1'), false)
  })

  test('says so where two hosts take one agent from each other again and again, once for a long time', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const warnings = () => host.logged.filter(({ level }) => level === 'warn')
    for (let count = 0; count < 6; count += 1) await (await FakeAgent.connect(host.port, credentials)).next('snapshot')
    assert.deepEqual(warnings(), [])
    for (let count = 0; count < 6; count += 1) await (await FakeAgent.connect(host.port, credentials)).next('snapshot')
    const [warning, ...more] = warnings()
    assert.match(String(warning?.msg), /^two hosts seem to be this agent in turn/)
    assert.deepEqual([warning?.sources, more], [['127.0.0.1', '127.0.0.1'], []])
  })

  test('says goodbye when it stops', async () => {
    const host = await PushHost.start()
    const agent = await FakeAgent.connect(host.port, await host.enrol())
    await agent.next('snapshot')
    await host.push.close()
    assert.equal((await agent.next('goodbye')).code, 'stopping')
  })
})

describe('a session ticket', () => {
  test('makes coming back cheap, after a restart of the daemon too', async () => {
    const first = await PushHost.start()
    const credentials = await first.enrol()
    const agent = await FakeAgent.connect(first.port, credentials)
    await agent.until(({ session }) => session !== undefined)
    await first.push.close()
    // At another port: that one may be somebody else's by now.
    await using second = await PushHost.start({ store: first.store })
    const back = await FakeAgent.connect(second.port, credentials, { session: agent.session })
    await back.next('snapshot')
    assert.ok(back.resumed)
  })

  test('lets in nobody whose agent was revoked since', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const agent = await FakeAgent.connect(host.port, credentials)
    await agent.until(({ session }) => session !== undefined)
    await host.commit(put('agent', revokeAgent(host.world.get('agent', credentials.agentId)!, Date.now())))
    await assert.rejects(FakeAgent.connect(host.port, credentials, { session: agent.session }), /"reason":"revoked"/)
  })

  test('lets in nobody whose certificate has ended since', async context => {
    await using host = await PushHost.start()
    const { agentId } = await host.enrol()
    const credentials = await certify(host, agentId, dayMs)
    const agent = await FakeAgent.connect(host.port, credentials)
    await agent.until(({ session }) => session !== undefined)
    context.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * dayMs })
    await assert.rejects(FakeAgent.connect(host.port, credentials, { session: agent.session }), /"reason":"renewable"/)
  })

  test('of a connection without a certificate is none', async () => {
    await using host = await PushHost.start()
    const ticket = await new Promise<Buffer>(resolve => {
      const socket = connect({ host: '127.0.0.1', port: host.port, rejectUnauthorized: false })
      socket.once('session', session => {
        socket.destroy()
        resolve(session)
      })
    })
    await assert.rejects(FakeAgent.connect(host.port, null, { session: ticket }), /"reason":"no-certificate"/)
  })
})

describe('an agent that connects again and again', () => {
  test('is heard so often, whether or not it says hello, and others are heard meanwhile', async () => {
    await using host = await PushHost.start({ options: { connectionBurst: 3, connectionsPerSecond: 1e-6 } })
    const [eager, other] = [await host.enrol(), await host.enrol()]
    for (const hello of [true, false, false]) await FakeAgent.connect(host.port, eager, { hello })
    await assert.rejects(FakeAgent.connect(host.port, eager), /^Error: 429 .*"code":"Throttling"/)
    assert.equal(await host.metric('ringwall_daemon_connections_refused_total{reason="too-often"}'), 1)
    const agent = await FakeAgent.connect(host.port, other)
    await agent.next('snapshot')
  })

  test('and is refused is logged so often', async () => {
    await using host = await PushHost.start({ options: { connectionBurst: 0 } })
    const eager = await host.enrol()
    for (let count = 0; count < 15; count += 1) await assert.rejects(FakeAgent.connect(host.port, eager))
    assert.equal(host.logged.filter(({ reason }) => reason === 'too-often').length, 10)
    assert.equal(await host.metric('ringwall_daemon_connections_refused_total{reason="too-often"}'), 15)
  })
})

describe('strangers', () => {
  /** Elsewhere: a connection that enrols is a stranger's until its end has come, which nobody is told. */
  async function enrolBefore(store: MemoryStore, count: number): Promise<readonly FakeCredentials[]> {
    await using host = await PushHost.start({ store })
    const enrolled: FakeCredentials[] = []
    for (let made = 0; made < count; made += 1) enrolled.push(await host.enrol())
    return enrolled
  }

  test('that say nothing are let go', async () => {
    await using host = await PushHost.start({ options: { helloTimeoutMs: 300 } })
    const where = { host: '127.0.0.1', port: host.port }
    const strangers = [connectTcp(where), connect({ ...where, rejectUnauthorized: false })]
    await Promise.all(
      strangers.map(socket => {
        socket.on('error', () => {})
        return new Promise(resolve => socket.once('close', resolve))
      }),
    )
  })

  test('and so is an agent that says no hello', async context => {
    const time = holdTime(context, ['setTimeout'])
    await using host = await PushHost.start({ options: { helloTimeoutMs: 60_000 } })
    const agent = await FakeAgent.connect(host.port, await host.enrol(), { hello: false })
    time.pass(60_000)
    assert.equal((await agent.next('goodbye')).code, 'protocol')
    await agent.until(({ closed }) => closed)
  })

  test('who hold all the room there is make some for who comes from elsewhere', async () => {
    const options = { maxStrangersPerAddress: 6, maxStrangers: 8, helloTimeoutMs: 600_000 }
    const store = new MemoryStore()
    const [credentials] = await enrolBefore(store, 1)
    await using host = await PushHost.start({ store, options })
    const holding: Socket[] = []
    for (const localAddress of [...Array<string>(6).fill('127.0.0.2'), '127.0.0.3', '127.0.0.3']) {
      const socket = connectTcp({ host: '127.0.0.1', port: host.port, localAddress })
      socket.on('error', () => {})
      await once(socket, 'connect')
      holding.push(socket.resume())
    }
    const ended = new Promise(resolve => holding[0]!.once('close', resolve))
    // From 127.0.0.1, of which there is none.
    const agent = await FakeAgent.connect(host.port, credentials!)
    await agent.next('snapshot')
    await ended
    // There is room for one again, since the agent is no stranger any more.
    const last = connectTcp({ host: '127.0.0.1', port: host.port, localAddress: '127.0.0.3' })
    last.on('error', () => {})
    await once(last, 'connect')
    const another = connectTcp({ host: '127.0.0.1', port: host.port, localAddress: '127.0.0.3' }).resume()
    await new Promise(resolve => another.on('error', () => {}).once('close', resolve))
    assert.equal(holding.filter(({ closed }) => closed).length, 1)
    for (const socket of [...holding, last]) socket.destroy()
  })

  test('are so many from one address; agents do not count', async () => {
    const store = new MemoryStore()
    const enrolled = await enrolBefore(store, 3)
    await using host = await PushHost.start({ store, options: { maxStrangersPerAddress: 2 } })
    const agents: FakeAgent[] = []
    for (const credentials of enrolled) agents.push(await FakeAgent.connect(host.port, credentials))
    const open = () => connect({ host: '127.0.0.1', port: host.port, rejectUnauthorized: false })
    const strangers = [open(), open()]
    await Promise.all(strangers.map(socket => new Promise(resolve => socket.once('secureConnect', resolve))))
    const third = open()
    await new Promise(resolve => third.once('error', resolve))
    assert.equal(await host.metric('ringwall_daemon_connections_refused_total{reason="too-many"}'), 1)
    // One that leaves makes room.
    const gone = strangers.pop()!
    gone.end()
    await new Promise(resolve => gone.once('close', resolve))
    let admitted = false
    while (!admitted) {
      const next = open()
      next.on('error', () => {})
      admitted = await new Promise(resolve => {
        next.once('secureConnect', () => resolve(true))
        next.once('close', () => resolve(false))
      })
      strangers.push(next)
    }
    for (const socket of strangers) socket.destroy()
    for (const agent of agents) assert.equal(agent.closed, false)
  })
})
