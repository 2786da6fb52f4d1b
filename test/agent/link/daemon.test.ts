/** The connection to the daemon, over real mutual TLS; the clock is moved by hand. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Registry } from 'prom-client'
import { type Credentials, readCredentials } from '../../../agent/link/credentials.ts'
import { DaemonLink, type DaemonLinkOptions, type DdosListener } from '../../../agent/link/daemon.ts'
import { Identity } from '../../../agent/link/identity.ts'
import { makeKey } from '../../../agent/link/keys.ts'
import { createLinkMetrics } from '../../../agent/link/metrics.ts'
import { DaemonFeed } from '../../../agent/scrub/daemon-feed.ts'
import { Outbox } from '../../../agent/scrub/outbox.ts'
import { realClock } from '../../../common/clock.ts'
import { createLogger } from '../../../common/log.ts'
import type { DdosEvent } from '../../../wire/ddos.ts'
import type { HostReport, ToAgent } from '../../../wire/messages.ts'
import { certify, type IssueOptions, issue, makeAuthority } from '../../support/certificates.ts'
import { HandClock } from '../../support/hand-clock.ts'
import {
  type LateAsked,
  type ScriptedDaemon,
  type ScriptedDaemonOptions,
  startScriptedDaemon,
} from '../../support/scripted-daemon.ts'
import { smallView } from '../../support/view-objects.ts'

const report: HostReport = {
  hostName: 'web-1',
  kernel: '6.18.0',
  agentVersion: '0.1.0',
  nftVersion: '1.0.6',
  capabilities: {},
  devices: [],
}
const held = { storeId: 's', revision: 7, keys: ['settings/fleet'] }
const delta = (revision: number): ToAgent => ({
  type: 'delta',
  storeId: 's',
  revision,
  set: [],
  remove: [],
  members: [],
})
const snapshot: ToAgent = { type: 'snapshot', storeId: 's', revision: 8, objects: smallView() }

/** A port that no program is given, unlike that of a daemon which has ended. */
const nobody = { daemonUrl: 'https://127.0.0.1:1' }

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-link-'))
})
after(() => rm(folder, { recursive: true }))

interface LinkOptions {
  readonly onUpdate?: DaemonLinkOptions['onUpdate']
  readonly onAddresses?: DaemonLinkOptions['onAddresses']
  readonly ddos?: DdosListener
  readonly credentials?: Partial<Credentials>
  readonly certificate?: Partial<IssueOptions>
  /** What the host's clock says at first. */
  readonly clockMs?: number
}

/** A link to the daemon, begun, with what it did. */
async function linkTo(daemon: ScriptedDaemon, options: LinkOptions = {}) {
  const { privateKey, publicKey } = makeKey()
  const certificate = await certify(daemon.authority, publicKey, {
    usage: 'client',
    subject: 'CN=agent-1',
    ...options.certificate,
  })
  const credentials: Credentials = {
    daemonUrl: daemon.url,
    agentId: 'agent-1',
    privateKey,
    certificate,
    caCertificate: daemon.authority.certificate,
    ...options.credentials,
  }
  const clock = new HandClock(options.clockMs)
  const registry = new Registry()
  const lines: { readonly level: string; readonly msg: string; readonly cause?: string; readonly reason?: string }[] =
    []
  const log = createLogger('test', 'info', { write: line => lines.push(JSON.parse(line)) })
  const identity = new Identity(folder, credentials)
  const updates: string[] = []
  const link = new DaemonLink({
    identity,
    log,
    metrics: createLinkMetrics(registry, {
      lifeLeftMs: () => identity.lifeLeftMs(clock.now()),
      lifeMs: () => identity.lifeMs,
    }),
    hello: () => ({ report, view: held, enforced: { storeId: 's', revision: 6 } }),
    onUpdate:
      options.onUpdate ??
      (update => {
        updates.push(`${update.type} ${update.revision}`)
        return null
      }),
    onAddresses: options.onAddresses ?? (async () => {}),
    onConfirm: revision => updates.push(`confirm ${revision}`),
    lastAddresses: [],
    clock,
    ...(options.ddos && { ddos: options.ddos }),
  })
  link.start()
  const sample = async (name: string) => {
    const line = (await registry.metrics()).split('\n').find(each => each.startsWith(`ringwall_agent_link_${name} `))
    return Number(line?.split(' ').at(-1))
  }
  return { link, clock, lines, updates, sample, identity, [Symbol.asyncDispose]: () => link.close() }
}

test('it says hello with what it holds, and hands on what comes', async () => {
  await using daemon = await startScriptedDaemon()
  await using agent = await linkTo(daemon)
  const connection = await daemon.connection()
  const hello = await connection.next('hello')
  assert.deepEqual(hello, {
    type: 'hello',
    protocolVersion: 1,
    report,
    view: held,
    enforced: { storeId: 's', revision: 6 },
  })
  assert.equal(agent.link.status.connected, true)
  assert.equal(await agent.sample('connected'), 1)
  connection.send(delta(8))
  connection.send(snapshot)
  agent.link.send({ type: 'report', report })
  await connection.next('report')
  connection.send({ type: 'goodbye', code: 'stopping', message: 'bye' })
  await connection.closed
  assert.deepEqual(agent.updates, ['delta 8', 'snapshot 8'])
  assert.equal(await agent.sample('messages_total{type="delta"}'), 1)
  assert.equal(await agent.sample('messages_total{type="report"}'), 1)
})

test('it tells where it will go before it goes', async () => {
  await using daemon = await startScriptedDaemon()
  const { promise: way, resolve: free } = Promise.withResolvers<void>()
  const asked: (readonly string[])[] = []
  const onAddresses = (addresses: readonly string[]) => {
    asked.push(addresses)
    return way
  }
  await using agent = await linkTo(daemon, { onAddresses })
  assert.equal(agent.link.status.connected, false)
  free()
  await daemon.connection()
  assert.deepEqual(asked, [['127.0.0.1']])
})

describe('it comes back', () => {
  test('after a break, by its ticket, later each time', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    const resumed: boolean[] = []
    for (const waitMs of [100, 200, 400, 800]) {
      const connection = await daemon.connection()
      await connection.next('hello')
      resumed.push(connection.resumed)
      connection.drop()
      await agent.clock.waitsFor(waitMs)
      assert.equal(agent.link.status.connected, false)
      agent.clock.advance(waitMs)
    }
    assert.deepEqual(resumed, [false, true, true, true])
    assert.equal(await agent.sample('reconnects_total{reason="closed"}'), 4)
  })

  test('soon again after a connection that had lived', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    for (const waitMs of [100, 200]) {
      ;(await daemon.connection()).drop()
      await agent.clock.waitsFor(waitMs)
      agent.clock.advance(waitMs)
    }
    const connection = await daemon.connection()
    await connection.next('hello')
    agent.clock.advance(10_000)
    connection.drop()
    await agent.clock.waitsFor(100)
  })

  test('where nobody listens, and says so once', async () => {
    const daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    await (await daemon.connection()).next('hello')
    await daemon[Symbol.asyncDispose]()
    for (const waitMs of [100, 200, 400, 800]) {
      await agent.clock.waitsFor(waitMs)
      agent.clock.advance(waitMs)
    }
    await agent.clock.waitsFor(1600)
    const warned = agent.lines.filter(({ level }) => level === 'warn').map(({ cause }) => cause)
    assert.deepEqual(warned, ['closed', 'unreachable'])
    assert.equal(await agent.sample('reconnects_total{reason="unreachable"}'), 4)
    assert.match(agent.link.status.reason ?? '', /ECONNREFUSED/)
  })

  test('soon where the host had no way to it, and its network changes', async () => {
    await using daemon = await startScriptedDaemon()
    // To everybody: the kernel knows no such TCP, whatever routes this machine has.
    const noWay = { daemonUrl: 'https://255.255.255.255:9443' }
    await using agent = await linkTo(daemon, { credentials: noWay })
    for (const waitMs of [100, 200, 400, 800, 1600]) {
      await agent.clock.waitsFor(waitMs)
      agent.clock.advance(waitMs)
    }
    await agent.clock.waitsFor(3200)
    agent.link.noteNetwork()
    agent.link.noteNetwork()
    assert.equal(agent.clock.waits[0], 100)
    agent.clock.advance(100)
    await agent.clock.waitsFor(100)
    assert.equal(agent.lines.filter(({ level }) => level === 'warn').length, 1)
    await agent.link.close()
    agent.link.noteNetwork()
    assert.deepEqual(agent.clock.waits, [])
  })

  test('no sooner for its network where the daemon itself does not answer', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon, { credentials: nobody })
    for (const waitMs of [100, 200]) {
      await agent.clock.waitsFor(waitMs)
      agent.clock.advance(waitMs)
    }
    await agent.clock.waitsFor(400)
    agent.link.noteNetwork()
    assert.equal(agent.clock.waits[0], 400)
  })

  test('and says since when it is away by a clock that was set meanwhile', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon, { credentials: nobody, clockMs: 0 })
    await agent.clock.waitsFor(100)
    const setMs = Date.UTC(2026, 2, 1)
    agent.clock.step(setMs)
    agent.clock.advance(100)
    await agent.clock.waitsFor(200)
    assert.equal(agent.link.status.sinceMs, setMs)
  })

  test('from a daemon that says goodbye', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    for (const [code, waitMs] of [
      ['stopping', 100],
      ['replaced', 200],
      ['a-code-of-later', 400],
    ] as const) {
      const connection = await daemon.connection()
      await connection.next('hello')
      connection.send(JSON.stringify({ type: 'goodbye', code, message: 'words' }))
      await agent.clock.waitsFor(waitMs)
      assert.match(agent.link.status.reason ?? '', new RegExp(`the daemon says: words \\(${code}\\)`))
      agent.clock.advance(waitMs)
    }
    assert.equal(await agent.sample('reconnects_total{reason="goodbye"}'), 3)
  })

  test('from one that turns it away', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.turnAway({ status: 401, body: { detail: 'not you', code: 'unlisted' } })
    await using agent = await linkTo(daemon)
    await agent.clock.waitsFor(100)
    assert.equal(agent.link.status.reason, 'the daemon says: not you (unlisted)')
    daemon.turnAway(null)
    agent.clock.advance(100)
    await (await daemon.connection()).next('hello')
  })
})

describe('heartbeats', () => {
  test('keep a connection on which nothing else is heard', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    const connection = await daemon.connection()
    await connection.next('hello')
    for (let times = 0; times < 4; times += 1) {
      agent.clock.advance(30_000)
      connection.ping()
      // What was sent after the ping has come, so the ping has.
      connection.send(delta(8 + times))
      while (agent.updates.length <= times) await new Promise(setImmediate)
    }
    assert.equal(agent.link.status.connected, true)
  })

  test('that fail to come end it after 45 s', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    const connection = await daemon.connection()
    await connection.next('hello')
    connection.freeze()
    agent.clock.advance(44_999)
    assert.equal(agent.link.status.connected, true)
    agent.clock.advance(1)
    assert.equal(agent.link.status.connected, false)
    assert.equal(agent.link.status.reason, 'nothing was heard for 45 s')
    assert.equal(await agent.sample('reconnects_total{reason="silent"}'), 1)
  })

  for (const [name, stepMs] of [
    ['ahead', 3_600_000],
    ['back', -3_600_000],
  ] as const) {
    test(`are waited for as long where the clock is set ${name} meanwhile`, async () => {
      await using daemon = await startScriptedDaemon()
      await using agent = await linkTo(daemon)
      const connection = await daemon.connection()
      await connection.next('hello')
      agent.clock.advance(30_000)
      connection.send(delta(8))
      while (agent.updates.length === 0) await new Promise(setImmediate)
      connection.freeze()
      agent.clock.step(stepMs)
      agent.clock.advance(44_999)
      assert.equal(agent.link.status.connected, true)
      agent.clock.advance(1)
      assert.equal(agent.link.status.connected, false)
    })
  }
})

describe('what it cannot use is answered by asking for all there is', () => {
  const rows: readonly {
    name: string
    sent: string | Buffer
    onUpdate?: DaemonLinkOptions['onUpdate']
    says: RegExp
  }[] = [
    { name: 'no JSON', sent: '{"type":', says: /cannot be used: Cannot read it: expected JSON/ },
    { name: 'another shape', sent: '{"type":"delta"}', says: /cannot be used: Cannot read "storeId": expected text/ },
    { name: 'a binary message', sent: Buffer.from([1, 2, 3]), says: /cannot be used: a binary message/ },
    {
      name: 'an update that does not fit',
      sent: JSON.stringify(delta(9)),
      onUpdate: () => 'it does not fit',
      says: /cannot be used: it does not fit/,
    },
    {
      name: 'an update that trips it up',
      sent: JSON.stringify(delta(9)),
      onUpdate: () => {
        throw new Error('oh')
      },
      says: /by a fault of Ringwall's own: oh/,
    },
  ]
  for (const { name, sent, onUpdate, says } of rows) {
    test(name, async () => {
      await using daemon = await startScriptedDaemon()
      await using agent = await linkTo(daemon, onUpdate === undefined ? {} : { onUpdate })
      const first = await daemon.connection()
      assert.deepEqual((await first.next('hello')).view, held)
      first.send(sent)
      await agent.clock.waitsFor(100)
      assert.match(agent.link.status.reason ?? '', says)
      assert.equal(await agent.sample('reconnects_total{reason="malformed"}'), 1)
      agent.clock.advance(100)
      const second = await daemon.connection()
      assert.equal((await second.next('hello')).view, null)
    })
  }

  test('a delta is no answer to that', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    const first = await daemon.connection()
    await first.next('hello')
    first.send('{}')
    await agent.clock.waitsFor(100)
    agent.clock.advance(100)
    const second = await daemon.connection()
    await second.next('hello')
    second.send(delta(9))
    await agent.clock.waitsFor(200)
    agent.clock.advance(200)
    const third = await daemon.connection()
    assert.equal((await third.next('hello')).view, null)
    third.send(snapshot)
    third.send(delta(10))
    agent.link.send({ type: 'report', report })
    while (agent.updates.length < 2) await new Promise(setImmediate)
    assert.deepEqual(agent.updates, ['snapshot 8', 'delta 10'])
    third.drop()
    await agent.clock.waitsFor(400)
    agent.clock.advance(400)
    assert.deepEqual((await (await daemon.connection()).next('hello')).view, held)
  })
})

describe('a revoked agent does not come back', () => {
  test('when it is told so', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon)
    const connection = await daemon.connection()
    await connection.next('hello')
    connection.send({ type: 'goodbye', code: 'revoked', message: 'agent-1 was revoked' })
    await connection.closed
    assert.deepEqual([agent.link.status.connected, agent.link.status.revoked], [false, true])
    assert.deepEqual(agent.clock.waits, [])
    assert.equal(agent.lines.at(-1)?.level, 'error')
  })

  test('when it is turned away for it', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.turnAway({ status: 401, body: { title: 'Unauthorized', detail: 'agent-1 was revoked', code: 'revoked' } })
    await using agent = await linkTo(daemon)
    while (!agent.link.status.revoked) await new Promise(setImmediate)
    assert.deepEqual(agent.clock.waits, [])
    assert.match(agent.link.status.reason ?? '', /agent-1 was revoked/)
  })
})

describe('a certificate that has ended', () => {
  const renewable = { status: 401, body: { code: 'Unauthorized', reason: 'renewable', detail: 'it ended' } }
  const tooLate = { status: 401, body: { code: 'Unauthorized', reason: 'expired', detail: 'too long ago' } }
  const told = (lines: readonly { readonly level: string; readonly msg: string }[], level: string) =>
    lines.filter(each => each.level === level).map(({ msg }) => msg)

  test('is renewed for a new key, by a whole handshake, and the new one used', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.turnAway(renewable)
    const asked: LateAsked[] = []
    daemon.renewBy(async each => {
      asked.push(each)
      daemon.turnAway(null)
      return { status: 201, body: { certificate: await daemon.certifyAgent(each.publicKey) } }
    })
    await using agent = await linkTo(daemon)
    const before = agent.identity.credentials
    const serialNumber = new X509Certificate(before.certificate).serialNumber
    await agent.clock.waitsFor(100)
    agent.clock.advance(100)
    const connection = await daemon.connection()
    await connection.next('hello')
    assert.equal(asked.length, 1)
    assert.deepEqual([asked[0]!.serialNumber, asked[0]!.resumed], [serialNumber, false])
    const { certificate, privateKey } = agent.identity.credentials
    assert.equal(connection.serialNumber, new X509Certificate(certificate).serialNumber)
    assert.notEqual(privateKey, before.privateKey)
    assert.equal((await readCredentials(folder))?.certificate, certificate)
    assert.deepEqual(told(agent.lines, 'warn'), ['the certificate has ended; the daemon is asked for a new one'])
    assert.equal(agent.link.status.tooLate, false)
  })

  test('is renewed for the key that was sent, however long the daemon takes', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.turnAway(renewable)
    const times = { fromMs: Date.now() - 7_200_000, untilMs: Date.now() - 3_600_000 }
    await using agent = await linkTo(daemon, { certificate: times, clockMs: Date.now() })
    daemon.renewBy(async ({ publicKey }) => {
      daemon.turnAway(null)
      // The agent looks at its certificate every hour.
      agent.clock.advance(3_600_000)
      return { status: 201, body: { certificate: await daemon.certifyAgent(publicKey) } }
    })
    await agent.clock.waitsFor(100)
    agent.clock.advance(100)
    await (await daemon.connection()).next('hello')
    assert.deepEqual(told(agent.lines, 'error'), [])
  })

  test('that the daemon renews no more is told as what it is, once, and asked for no more', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.turnAway(tooLate)
    let asked = 0
    daemon.renewBy(async () => {
      asked += 1
      return tooLate
    })
    await using agent = await linkTo(daemon)
    for (const waitMs of [100, 200, 400]) {
      await agent.clock.waitsFor(waitMs)
      agent.clock.advance(waitMs)
    }
    await agent.clock.waitsFor(800)
    assert.equal(asked, 0)
    assert.equal(agent.link.status.tooLate, true)
    assert.deepEqual(told(agent.lines, 'error'), [
      'the certificate ended too long ago to be renewed; what is in force stays, no change comes any more, and this host must join again',
    ])
    daemon.turnAway(null)
    agent.clock.advance(800)
    await (await daemon.connection()).next('hello')
    assert.equal(agent.link.status.tooLate, false)
  })

  interface Row {
    readonly name: string
    readonly answer: { readonly status: number; readonly body: unknown }
    readonly says: RegExp
  }
  const rows: readonly Row[] = [
    { name: 'a refusal', answer: { status: 503, body: { code: 'Busy', detail: 'no disk' } }, says: /no disk \(Busy\)/ },
    { name: 'no certificate', answer: { status: 201, body: {} }, says: /no certificate/ },
    { name: 'a certificate for another key', answer: { status: 201, body: 'other' }, says: /cannot be used/ },
    { name: 'more than it can be', answer: { status: 201, body: 'x'.repeat(70_000) }, says: /too large/ },
  ]
  for (const { name, answer, says } of rows) {
    test(`whose renewal is answered by ${name} is tried again`, async () => {
      await using daemon = await startScriptedDaemon()
      daemon.turnAway(renewable)
      let asked = 0
      daemon.renewBy(async () => {
        asked += 1
        const isOther = answer.body === 'other'
        return isOther ? { status: 201, body: { certificate: await daemon.certifyAgent(makeKey().publicKey) } } : answer
      })
      await using agent = await linkTo(daemon)
      const before = agent.identity.credentials
      // Turned away, then the renewal failed; and so on.
      for (const waitMs of [100, 200, 400]) {
        await agent.clock.waitsFor(waitMs)
        agent.clock.advance(waitMs)
      }
      await agent.clock.waitsFor(800)
      assert.equal(asked, 2)
      assert.match(agent.link.status.reason ?? '', says)
      assert.equal(agent.identity.credentials, before)
    })
  }

  test('of an agent that was revoked meanwhile is not asked for again', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.turnAway(renewable)
    daemon.renewBy(async () => ({ status: 401, body: { code: 'AgentRevoked', reason: 'revoked', detail: 'gone' } }))
    await using agent = await linkTo(daemon)
    await agent.clock.waitsFor(100)
    agent.clock.advance(100)
    while (!agent.link.status.revoked) await new Promise(setImmediate)
    assert.deepEqual(agent.clock.waits, [])
  })

  test('keeps no agent from stopping while the daemon does not answer', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.turnAway(renewable)
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    daemon.renewBy(() => {
      ask()
      return new Promise(() => {})
    })
    await using agent = await linkTo(daemon)
    await agent.clock.waitsFor(100)
    agent.clock.advance(100)
    await asked
    await agent.link.close()
    assert.deepEqual(agent.clock.waits, [])
  })
})

describe('it goes to nobody', () => {
  const impostors: readonly { name: string; server: ScriptedDaemonOptions['server']; says?: RegExp }[] = [
    { name: 'that has the certificate of an agent', server: { usage: 'client' } },
    { name: 'that has a certificate for nothing', server: { usage: 'none' } },
    {
      name: 'whose certificate has run out',
      server: { fromMs: Date.now() - 7_200_000, untilMs: Date.now() - 3_600_000 },
      says: /^the daemon's certificate has expired by this host's clock, which says 20/,
    },
    {
      name: 'whose certificate has not begun',
      server: { fromMs: Date.now() + 3_600_000 },
      says: /^the daemon's certificate is not yet valid by this host's clock, which says 20/,
    },
  ]
  for (const { name, server, says = /./ } of impostors) {
    test(name, async () => {
      await using daemon = await startScriptedDaemon({ server: server! })
      await using agent = await linkTo(daemon)
      await agent.clock.waitsFor(100)
      assert.equal(agent.lines.at(-1)?.cause, 'untrusted')
      assert.match(agent.lines.at(-1)?.reason ?? '', says)
      assert.equal(agent.link.status.connected, false)
      agent.clock.advance(100)
      await agent.clock.waitsFor(200)
      assert.equal(agent.lines.length, 1, 'the same is said once, whatever the clock says')
    })
  }

  test('of another CA', async () => {
    await using daemon = await startScriptedDaemon()
    const { certificate: caCertificate } = await makeAuthority()
    await using agent = await linkTo(daemon, { credentials: { caCertificate } })
    await agent.clock.waitsFor(100)
    assert.equal(agent.lines.at(-1)?.cause, 'untrusted')
    assert.match(agent.lines.at(-1)?.reason ?? '', /of another CA; where the daemon was made anew, join again/)
  })

  test('with a key that is none', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon, { credentials: { privateKey: 'torn' } })
    await agent.clock.waitsFor(100)
    assert.equal(agent.lines.at(-1)?.cause, 'untrusted')
  })

  test('whose name leads nowhere', async () => {
    await using daemon = await startScriptedDaemon()
    // No name has an empty part: no server is asked, which may be one that does not answer.
    await using agent = await linkTo(daemon, { credentials: { daemonUrl: 'https://ringwall..invalid:8444' } })
    await agent.clock.waitsFor(100)
    assert.equal(agent.lines.at(-1)?.cause, 'unresolvable')
  })
})

test('it hands on what concerns traffic scrubbing, and that it is connected or not', async () => {
  await using daemon = await startScriptedDaemon()
  const heard: string[] = []
  const ddos: DdosListener = {
    onOpen: () => heard.push('open'),
    onEnd: () => heard.push('end'),
    onEventKept: (eventId, version) => heard.push(`kept ${eventId} ${version}`),
    onWatch: instanceIds => heard.push(`watch ${instanceIds}`),
  }
  await using agent = await linkTo(daemon, { ddos })
  const connection = await daemon.connection()
  await connection.next('hello')
  connection.send({ type: 'ddos-event-kept', eventId: 'ddos-1', version: 4 })
  connection.send({ type: 'ddos-watch', instanceIds: ['i-1', 'i-2'] })
  agent.link.send({ type: 'ddos-samples', samples: [] })
  await connection.next('ddos-samples')
  connection.send({ type: 'goodbye', code: 'stopping', message: 'bye' })
  await connection.closed
  assert.deepEqual(heard, ['open', 'kept ddos-1 4', 'watch i-1,i-2', 'end'])
})

test('events go to the daemon until it has them', async () => {
  await using daemon = await startScriptedDaemon()
  const log = createLogger('test', 'error')
  const outbox = await Outbox.open({ folder: null, log, now: () => performance.now() })
  const feed = new DaemonFeed({
    send: message => agent.link.send(message),
    outbox,
    clock: realClock,
    now: () => performance.now(),
  })
  await using agent = await linkTo(daemon, { ddos: feed })
  const first = await daemon.connection()
  await first.next('hello')
  outbox.note(ddosEvent)
  feed.note([])
  assert.deepEqual((await first.next('ddos-event')).event, ddosEvent)
  first.send({ type: 'goodbye', code: 'stopping', message: 'bye' })
  await first.closed
  await agent.clock.waitsFor(100)
  agent.clock.advance(100)
  const second = await daemon.connection()
  assert.deepEqual((await second.next('ddos-event')).event, ddosEvent)
  second.send({ type: 'ddos-event-kept', eventId: ddosEvent.id, version: ddosEvent.version })
  second.send({ type: 'goodbye', code: 'stopping', message: 'bye' })
  await second.closed
  await agent.clock.waitsFor(200)
  agent.clock.advance(200)
  const third = await daemon.connection()
  await third.next('hello')
  agent.link.send({ type: 'report', report })
  await third.next('report')
  assert.deepEqual(third.queue, [])
  feed.close()
})

const none = { packets: 0, bytes: 0 }
const ddosEvent: DdosEvent = {
  id: 'ddos-1',
  version: 4,
  instanceId: 'i-1',
  phase: 'ended',
  trigger: 'pps',
  startTime: '2026-01-01T00:00:00.000Z',
  endTime: '2026-01-01T00:01:00.000Z',
  endReason: 'subsided',
  thresholds: { bpsMbit: 10, pps: 1_000 },
  peak: { packetsPerSecond: 2_000, bitsPerSecond: 1_000, time: '2026-01-01T00:00:01.000Z' },
  offered: none,
  passed: none,
  dropped: {},
  attackTypes: [],
  topSources: [],
  blackHoles: 0,
  changes: [],
}

describe('the certificate', () => {
  const hourMs = 3_600_000
  /** Certificates and the clock that a daemon tells have whole seconds. */
  const clockMs = Math.floor(Date.now() / 1000) * 1000
  /** Half of its life is over in 20 s. */
  const nearHalf = { fromMs: clockMs - hourMs, untilMs: clockMs + hourMs + 40_000 }

  test('is renewed at half of its life, and the new one used at once', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon, { certificate: nearHalf, clockMs })
    const connection = await daemon.connection()
    await connection.next('hello')
    const before = agent.identity.credentials
    agent.clock.advance(19_999)
    agent.link.send({ type: 'report', report })
    await connection.next('report')
    assert.deepEqual(connection.queue, [])
    agent.clock.advance(1)
    const { publicKey } = await connection.next('renew')
    const certificate = await daemon.certifyAgent(publicKey)
    connection.send({ type: 'renewed', certificate })
    await agent.clock.waitsFor(100)
    agent.clock.advance(100)
    const next = await daemon.connection()
    await next.next('hello')
    assert.notEqual(next.serialNumber, connection.serialNumber)
    assert.equal(next.resumed, false, 'a session of the old certificate would go on with it')
    const kept = JSON.parse(await readFile(join(folder, 'credentials.json'), 'utf8'))
    assert.deepEqual(kept, { ...before, certificate, privateKey: agent.identity.credentials.privateKey })
    assert.notEqual(kept.privateKey, before.privateKey)
  })

  test('is asked for again where no answer comes', async () => {
    await using daemon = await startScriptedDaemon()
    await using agent = await linkTo(daemon, {
      certificate: { fromMs: Date.now() - 9 * hourMs, untilMs: Date.now() + 5 * hourMs },
    })
    const connection = await daemon.connection()
    const first = await connection.next('renew')
    for (let minutes = 0; minutes < 60; minutes += 0.5) {
      agent.clock.advance(30_000)
      connection.ping()
      connection.send(delta(8))
      const count = agent.updates.length
      while (agent.updates.length === count) await new Promise(setImmediate)
    }
    const second = await connection.next('renew')
    assert.notEqual(second.publicKey, first.publicKey)
  })

  const dayMs = 24 * hourMs
  for (const { name, apartMs } of [
    { name: 'ahead', apartMs: 5 * dayMs },
    { name: 'behind', apartMs: -5 * dayMs },
  ]) {
    test(`is renewed by the daemon's clock where the host's is days ${name}`, async () => {
      await using daemon = await startScriptedDaemon({ clockMs })
      await using agent = await linkTo(daemon, { certificate: nearHalf, clockMs: clockMs + apartMs })
      const connection = await daemon.connection()
      await connection.next('hello')
      assert.equal(Math.round((await agent.sample('certificate_expiry_seconds')) / 60), 61)
      assert.equal(await agent.sample('certificate_life_seconds'), agent.identity.lifeMs / 1000)
      assert.deepEqual(
        agent.lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg),
        [
          'the clocks of this host and of its daemon differ; that of the daemon decides until when certificates are good',
        ],
      )
      agent.clock.advance(19_999)
      agent.link.send({ type: 'report', report })
      await connection.next('report')
      assert.deepEqual(connection.queue, [])
      agent.clock.advance(1)
      const { publicKey } = await connection.next('renew')
      connection.send({ type: 'renewed', certificate: await daemon.certifyAgent(publicKey) })
      await agent.clock.waitsFor(100)
      agent.clock.advance(100)
      const next = await daemon.connection()
      await next.next('hello')
      agent.link.send({ type: 'report', report })
      await next.next('report')
      assert.deepEqual(next.queue, [], 'a certificate for days ahead needs no renewal')
    })
  }

  const bad: readonly { name: string; of: (daemon: ScriptedDaemon, publicKey: string) => Promise<string> }[] = [
    { name: 'for another key', of: async ({ authority }) => (await issue(authority, { usage: 'client' })).certificate },
    {
      name: 'of another CA',
      of: async (_, publicKey) => certify(await makeAuthority(), publicKey, { usage: 'client' }),
    },
    { name: 'for servers', of: async ({ authority }, publicKey) => certify(authority, publicKey, { usage: 'server' }) },
    { name: 'that is none', of: async () => 'nonsense' },
  ]
  for (const { name, of } of bad) {
    test(`in use stays where the new one is one ${name}`, async () => {
      await using daemon = await startScriptedDaemon()
      await using agent = await linkTo(daemon, {
        certificate: { fromMs: Date.now() - 9 * hourMs, untilMs: Date.now() + 5 * hourMs },
      })
      const connection = await daemon.connection()
      const before = agent.identity.credentials
      const { publicKey } = await connection.next('renew')
      connection.send({ type: 'renewed', certificate: await of(daemon, publicKey) })
      while (!agent.lines.some(({ level }) => level === 'error')) await new Promise(setImmediate)
      assert.equal(agent.identity.credentials, before)
      assert.equal(agent.link.status.connected, true)
    })
  }

  test('in use stays where the disk refuses the new one', async () => {
    const file = join(folder, 'a-file')
    await writeFile(file, '')
    await using daemon = await startScriptedDaemon()
    const { privateKey, publicKey } = makeKey()
    const certificate = await daemon.certifyAgent(publicKey)
    const identity = new Identity(file, {
      daemonUrl: daemon.url,
      agentId: 'agent-1',
      privateKey,
      certificate,
      caCertificate: daemon.authority.certificate,
    })
    const asked = identity.askRenewal()
    await assert.rejects(identity.takeRenewed(await daemon.certifyAgent(asked.publicKey)), { code: 'EEXIST' })
    assert.equal(identity.credentials.certificate, certificate)
  })
})
