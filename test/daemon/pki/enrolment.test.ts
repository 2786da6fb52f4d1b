/** Tokens, proofs, renewals: what makes a host an agent, and what does not. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import type { RefusedWrite } from '../../../daemon/model/note.ts'
import { openAuthority } from '../../../daemon/pki/authority.ts'
import { makeEnrolment, revokeAgent } from '../../../daemon/pki/enrolment.ts'
import { parseEnrolmentToken } from '../../../wire/enrolment.ts'
import { account, hostReport, makeEniDoc, makeInstance, put } from '../../support/documents.ts'
import { enrolBody, enrolFake, FakeAgent, makeKeyPair, post, prove } from '../../support/fake-agent.ts'
import { holdTime } from '../../support/held-time.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { PushHost } from '../../support/push-host.ts'

const accountDoc = { id: account, name: 'one', description: null, createdAtMs: 1 }

describe('the authority', () => {
  test('is made once, whoever starts', async () => {
    const store = new MemoryStore()
    const [one, other] = await Promise.all([openAuthority(store), openAuthority(store)])
    assert.equal(one!.certificate, other!.certificate)
    assert.equal((await openAuthority(store)).fingerprint, one!.fingerprint)
    assert.equal(store.head(), 1)
  })

  test('signs for agents what is good for clients alone, and for a time', async () => {
    const authority = await openAuthority(new MemoryStore())
    const key = Buffer.from(makeKeyPair().publicKey, 'base64url')
    const nowMs = Date.now()
    const issued = [1, 2].map(() => authority.issueAgentCertificate('agent-1', key, 60_000, nowMs))
    const [one, two] = await Promise.all(issued)
    const certificate = new X509Certificate(one!.certificate)
    assert.ok(authority.hasSigned(certificate))
    assert.equal(certificate.subject, 'CN=agent-1')
    assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'])
    assert.equal(certificate.ca, false)
    assert.equal(certificate.validToDate.getTime(), Math.floor((nowMs + 60_000) / 1000) * 1000)
    assert.match(one!.serialNumber, /^[0-9A-F]{32}$/)
    assert.notEqual(one!.serialNumber, two!.serialNumber)
  })
})

describe('enrolment', () => {
  test('makes an agent, binds its instances and makes one for the host', async () => {
    await using host = await PushHost.start()
    await host.commit(put('account', accountDoc), put('instance', makeInstance({ id: 'i-1' })))
    const newInstance = { accountId: account, instanceType: 'ecs.g5.large' }
    const { agentId, certificate } = await host.enrol({ instanceIds: ['i-1'], newInstance })
    const { serialNumber } = new X509Certificate(certificate)
    const agent = host.world.get('agent', agentId)
    assert.partialDeepStrictEqual(agent, {
      hostName: 'host-1',
      status: 'active',
      report: hostReport,
      certificates: [{ serialNumber }],
    })
    const instances = [...host.world.all('instance')]
    assert.deepEqual(
      instances.map(({ name, agentId: served, instanceType }) => ({ name, served, instanceType })),
      [
        { name: null, served: agentId, instanceType: null },
        { name: 'host-1', served: agentId, instanceType: 'ecs.g5.large' },
      ],
    )
    const [commit] = await host.store.history(host.store.head(), 1)
    assert.partialDeepStrictEqual(commit?.note, {
      action: 'ringwall:EnrolAgent',
      principal: { kind: 'enrolment' },
      sourceAddress: '127.0.0.1',
    })
  })

  test('stores nothing of the secret but its hash', async () => {
    await using host = await PushHost.start()
    const token = await host.token()
    const { secret } = parseEnrolmentToken(token)!
    await enrolFake(host.port, token)
    const { entries } = await host.store.list('')
    assert.equal(JSON.stringify(entries).includes(secret), false)
    assert.equal(JSON.stringify(host.logged).includes(secret), false)
  })

  test('takes a token once, of two that come at once too', async () => {
    await using host = await PushHost.start()
    const token = await host.token()
    const answers = await Promise.all([1, 2, 3].map(() => post(host.port, enrolBody(token, makeKeyPair()))))
    assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409])
    assert.partialDeepStrictEqual(await post(host.port, enrolBody(token, makeKeyPair())), {
      status: 409,
      body: { code: 'EnrolmentTokenUsed' },
    })
    assert.equal(host.world.count('agent'), 1)
    assert.equal(await host.metric('ringwall_daemon_enrolments_total{outcome="refused"}'), 3)
  })

  test('refuses a token that is over, and one that was deleted', async () => {
    await using host = await PushHost.start()
    const token = await host.token({ nowMs: Date.now() - 2000, validMs: 1000 })
    assert.partialDeepStrictEqual(await post(host.port, enrolBody(token, makeKeyPair())), {
      status: 401,
      body: { code: 'EnrolmentTokenExpired' },
    })
    await host.commit({ key: `enrolment/${parseEnrolmentToken(token)!.id}`, value: null })
    assert.partialDeepStrictEqual(await post(host.port, enrolBody(token, makeKeyPair())), {
      status: 401,
      body: { code: 'InvalidEnrolmentToken' },
    })
  })

  test('refuses a host whose clock differs, with both times, and the token stays good', async () => {
    await using host = await PushHost.start()
    const token = await host.token()
    for (const apartMs of [-7_200_000, 86_400_000]) {
      const timeMs = Date.now() + apartMs
      const { status, body } = await post(host.port, enrolBody(token, makeKeyPair(), { timeMs }))
      assert.deepEqual([status, body.code], [400, 'ClocksDiffer'])
      const said = `the host's clock says ${new Date(timeMs).toISOString()} and the daemon's `
      assert.ok(String(body.detail).includes(said), String(body.detail))
    }
    await post(host.port, enrolBody(token, makeKeyPair(), { timeMs: Date.now() - 3_000_000 }))
    assert.equal(host.world.count('agent'), 1)
  })

  test('refuses a token whose instance, account or agent is gone', async () => {
    await using host = await PushHost.start()
    for (const options of [
      { instanceIds: ['i-gone'] },
      { newInstance: { accountId: account, instanceType: null } },
      { agentId: 'agent-gone' },
    ]) {
      const { status } = await post(host.port, enrolBody(await host.token(options), makeKeyPair()))
      assert.equal(status, 409)
    }
    assert.equal(host.world.count('agent'), 0)
  })

  test('refuses a token whose instances have come to claim one device of the host', async () => {
    await using host = await PushHost.start()
    await host.commit(put('account', accountDoc), put('instance', makeInstance({ id: 'i-1' })))
    await host.commit(put('instance', makeInstance({ id: 'i-2' })))
    const token = await host.token({ instanceIds: ['i-1', 'i-2'] })
    for (const [id, instanceId] of [
      ['eni-1', 'i-1'],
      ['eni-2', 'i-2'],
    ] as const) {
      await host.commit(put('eni', makeEniDoc({ id, instanceId, device: 'eth0' })))
    }
    const answer = await post(host.port, enrolBody(token, makeKeyPair()))
    assert.partialDeepStrictEqual(answer, { status: 409, body: { code: 'Conflict' } })
    assert.equal(host.world.count('agent'), 0)
    await host.commit({ key: 'eni/eni-2', value: null })
    assert.equal((await post(host.port, enrolBody(token, makeKeyPair()))).status, 201)
  })

  const other = makeKeyPair()
  const p384 = makeKeyPair('P-384')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' })
  const wrongs: Readonly<Record<string, (token: string) => Readonly<Record<string, unknown>>>> = {
    'a proof by another key': token => ({ proof: prove(parseEnrolmentToken(token)!.id, other) }),
    'a proof for another purpose': () => ({ publicKey: other.publicKey, proof: prove('enrol-other', other) }),
    'a key on another curve': token => ({
      publicKey: p384.publicKey,
      proof: prove(parseEnrolmentToken(token)!.id, p384),
    }),
    'a key of another kind': () => ({ publicKey: rsa.toString('base64url') }),
    'a key that is none': () => ({ publicKey: 'AAAA' }),
    'a time that is none': () => ({ timeMs: 1e300 }),
    'no report': () => ({ report: null }),
    'a host name with control characters': () => ({ report: { ...hostReport, hostName: 'a\u001b[2J' } }),
    'more devices than a host has': () => ({
      report: { ...hostReport, devices: Array(4097).fill(hostReport.devices[0]) },
    }),
    'a capability named as JavaScript’s own': () => ({
      report: { ...hostReport, capabilities: JSON.parse('{"__proto__":"x"}') },
    }),
  }
  for (const [name, wrong] of Object.entries(wrongs)) {
    test(`refuses ${name}, and the token stays good`, async () => {
      await using host = await PushHost.start()
      const token = await host.token()
      assert.partialDeepStrictEqual(await post(host.port, enrolBody(token, makeKeyPair(), wrong(token))), {
        status: 400,
        headers: { 'content-type': 'application/problem+json; charset=utf-8' },
        body: { code: 'InvalidParameter' },
      })
      await enrolFake(host.port, token)
    })
  }

  test('refuses what is no request', async () => {
    await using host = await PushHost.start()
    for (const body of ['', '{', 'null', '[]', '"x"', '1'.repeat(10), '['.repeat(100_000)]) {
      assert.equal((await post(host.port, body)).status, 400, body.slice(0, 20))
    }
    assert.equal((await post(host.port, ' '.repeat(1024 * 1024 + 1))).status, 413)
  })

  test('leaves out of the report what it does not know', async () => {
    await using host = await PushHost.start()
    const report = { ...hostReport, secretPlans: 'x', devices: [{ ...hostReport.devices[0], more: 1 }] }
    await post(host.port, enrolBody(await host.token(), makeKeyPair(), { report }))
    assert.deepEqual([...host.world.all('agent')][0]?.report, hostReport)
  })

  const refused: Readonly<Record<string, { readonly status: number; readonly body: (token: string) => string }>> = {
    guesses: { status: 401, body: token => enrolBody(token, makeKeyPair(), { secret: 'x'.repeat(43) }) },
    'sends what is no request': { status: 400, body: () => 'x' },
    'has a clock that is wrong': { status: 400, body: token => enrolBody(token, makeKeyPair(), { timeMs: 0 }) },
  }
  for (const [name, { status: expected, body }] of Object.entries(refused)) {
    test(`listens to who ${name} ten times, and to a good token from the same address no more`, async context => {
      holdTime(context, [])
      const refusals: string[] = []
      await using host = await PushHost.start({ onRefused: ({ code, status }) => refusals.push(`${status} ${code}`) })
      const token = await host.token()
      const answers: number[] = []
      for (let count = 0; count < 11; count += 1) answers.push((await post(host.port, body(token))).status)
      assert.deepEqual(answers, [...Array(10).fill(expected), 429])
      const { status, headers } = await post(host.port, enrolBody(token, makeKeyPair()))
      assert.equal(status, 429)
      assert.match(String(headers['retry-after']), /^\d+$/)
      assert.equal(refusals.filter(text => !text.startsWith('429')).length, 10)
    })
  }

  test('again under the old id brings a revoked agent back, with its old certificate worth nothing', async () => {
    await using host = await PushHost.start()
    const old = await host.enrol()
    const { agentId } = old
    await host.commit(put('agent', revokeAgent(host.world.get('agent', agentId)!, Date.now())))
    const again = await host.enrol({ agentId })
    assert.equal(again.agentId, agentId)
    await assert.rejects(FakeAgent.connect(host.port, old), /"reason":"unlisted"/)
    const agent = await FakeAgent.connect(host.port, again)
    await agent.next('snapshot')
  })

  test('again under the id of an agent that is connected ends that connection', async () => {
    await using host = await PushHost.start()
    const old = await host.enrol()
    const agent = await FakeAgent.connect(host.port, old)
    await agent.next('snapshot')
    while (host.push.agentStatus(old.agentId)?.state !== 'in-sync') await new Promise(setImmediate)
    await host.enrol({ agentId: old.agentId })
    assert.equal((await agent.next('goodbye')).code, 'replaced')
    // The host that comes may be another.
    assert.partialDeepStrictEqual(host.push.agentStatus(old.agentId), {
      state: 'away',
      behind: true,
      enforcedRevision: null,
    })
  })

  test('orders nothing of what was ordered before: the host remembers nothing of it', async () => {
    await using host = await PushHost.start()
    const old = await host.enrol()
    const ddosOrder = { id: 'order-1', action: 'black-hole', holdSeconds: null } as const
    await host.commit(
      put('account', accountDoc),
      put('instance', makeInstance({ id: 'i-1', agentId: old.agentId, scrubbingCancelled: true, ddosOrder })),
      put('instance', makeInstance({ id: 'i-2', agentId: old.agentId })),
    )
    const unchanged = host.world.revisionOf('instance', 'i-2')
    await host.enrol({ agentId: old.agentId })
    assert.deepEqual(host.world.get('instance', 'i-1'), {
      ...makeInstance({ id: 'i-1', agentId: old.agentId, scrubbingCancelled: true }),
    })
    assert.equal(host.world.revisionOf('instance', 'i-2'), unchanged)
  })

  test('token names are what a token text can hold', () => {
    const { token } = makeEnrolment({ validMs: 1, nowMs: 1 }, 'f'.repeat(43))
    assert.equal(parseEnrolmentToken(token)?.caFingerprint, 'f'.repeat(43))
  })
})

describe('renewal', () => {
  test('gives a certificate for a new key; the old one is good until the new one is used', async () => {
    await using host = await PushHost.start()
    const old = await host.enrol()
    const { agentId } = old
    const agent = await FakeAgent.connect(host.port, old)
    await agent.next('snapshot')
    const keys = makeKeyPair()
    agent.say({ type: 'renew', publicKey: keys.publicKey, proof: prove(agentId, keys) })
    const { certificate } = await agent.next('renewed')
    const renewed = { ...old, privateKey: keys.privateKey, certificate }
    assert.equal(host.world.get('agent', agentId)?.certificates.length, 2)
    const before = await FakeAgent.connect(host.port, old)
    await before.next('snapshot')
    const after = await FakeAgent.connect(host.port, renewed)
    await after.next('snapshot')
    while (host.world.get('agent', agentId)?.certificates.length !== 1) await new Promise(setImmediate)
    await assert.rejects(FakeAgent.connect(host.port, old), /"reason":"unlisted"/)
    assert.equal(after.closed, false)
  })

  test('asked for twice leaves two certificates listed, the one in use and the last', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const agent = await FakeAgent.connect(host.port, credentials)
    const serials: string[] = [new X509Certificate(credentials.certificate).serialNumber]
    for (let count = 0; count < 3; count += 1) {
      const keys = makeKeyPair()
      agent.say({ type: 'renew', publicKey: keys.publicKey, proof: prove(credentials.agentId, keys) })
      serials.push(new X509Certificate((await agent.next('renewed')).certificate).serialNumber)
    }
    const listed = host.world.get('agent', credentials.agentId)?.certificates.map(({ serialNumber }) => serialNumber)
    assert.deepEqual(listed, [serials[0], serials[3]])
  })

  test('asked for again and again ends the connection', async () => {
    await using host = await PushHost.start()
    const credentials = await host.enrol()
    const agent = await FakeAgent.connect(host.port, credentials)
    const keys = makeKeyPair()
    const proof = prove(credentials.agentId, keys)
    for (let count = 0; count < 6; count += 1) agent.say({ type: 'renew', publicKey: keys.publicKey, proof })
    assert.equal((await agent.next('goodbye')).code, 'bad-message')
  })

  test('with a proof for another agent, or by another key, ends the connection, changes nothing and is told', async () => {
    const refused: RefusedWrite[] = []
    await using host = await PushHost.start({ onRefused: each => refused.push(each) })
    const credentials = await host.enrol()
    const keys = makeKeyPair()
    for (const proof of [prove('agent-other', keys), prove(credentials.agentId, makeKeyPair())]) {
      const agent = await FakeAgent.connect(host.port, credentials)
      await agent.next('snapshot')
      agent.say({ type: 'renew', publicKey: keys.publicKey, proof })
      assert.equal((await agent.next('goodbye')).code, 'bad-message')
    }
    assert.equal(host.world.get('agent', credentials.agentId)?.certificates.length, 1)
    assert.deepEqual(
      refused.map(({ note, objects, code }) => [note.action, note.principal, objects, code]),
      Array(2).fill([
        'ringwall:RenewAgent',
        { kind: 'agent', id: credentials.agentId, name: 'host-1' },
        [`agent/${credentials.agentId}`],
        'InvalidParameter',
      ]),
    )
  })

  test('is not for who has let his certificate end', async () => {
    await using host = await PushHost.start({ certificateMs: 1, renewalGraceMs: 0 })
    await assert.rejects(FakeAgent.connect(host.port, await host.enrol()), /"reason":"expired".*/)
  })

  test('missed while connected ends the connection', async context => {
    const time = holdTime(context, ['setInterval'])
    await using host = await PushHost.start({ options: { heartbeatMs: 15_000 } })
    const agent = await FakeAgent.connect(host.port, await host.enrol())
    await agent.next('snapshot')
    const laterMs = Date.now() + 8 * 24 * 3600 * 1000
    context.mock.method(Date, 'now', () => laterMs)
    time.pass(15_000)
    assert.match((await agent.next('goodbye')).message, /certificate of this connection has ended/)
  })
})
