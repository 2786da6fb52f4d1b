/** Joining, over real TLS, and everybody who is not the daemon of the token. */
import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { enrol } from '../../../agent/link/enrol.ts'
import { proofText } from '../../../wire/enrolment.ts'
import type { HostReport } from '../../../wire/messages.ts'
import { certify, type IssueOptions, issue, makeAuthority } from '../../support/certificates.ts'
import { type ScriptedDaemonOptions, startScriptedDaemon } from '../../support/scripted-daemon.ts'

const report: HostReport = {
  hostName: 'web-1',
  kernel: '6.18.0',
  agentVersion: '0.1.0',
  nftVersion: '1.0.6',
  capabilities: {},
  devices: [],
}

const join = ({ url, token }: { readonly url: string; readonly token: string }) => enrol({ url, token, report })

test('a host joins: it gets a certificate for a key that it has shown to have', async () => {
  await using daemon = await startScriptedDaemon()
  const credentials = await join({ url: `${daemon.url}/`, token: ` ${daemon.token()}\n` })
  const { privateKey, certificate, ...rest } = credentials
  assert.deepEqual(rest, {
    daemonUrl: daemon.url,
    agentId: 'agent-1',
    caCertificate: daemon.authority.certificate,
  })
  assert.match(privateKey, /^-----BEGIN PRIVATE KEY-----/)
  assert.match(certificate, /^-----BEGIN CERTIFICATE-----/)
  const [request] = daemon.enrolments
  assert.deepEqual(request?.report, report)
  const key = createPublicKey({ key: Buffer.from(request!.publicKey, 'base64url'), format: 'der', type: 'spki' })
  const text = Buffer.from(proofText(request!.tokenId, request!.publicKey))
  const proof = Buffer.from(request!.proof, 'base64url')
  assert.ok(verify('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, proof))
})

describe('nothing is sent', () => {
  const dayMs = 86_400_000
  const wrong: readonly { name: string; server: Partial<IssueOptions>; says: RegExp }[] = [
    {
      name: 'an agent that plays the daemon',
      server: { usage: 'client' },
      says: /its certificate is not a server certificate/,
    },
    {
      name: 'one with a certificate for nothing',
      server: { usage: 'none' },
      says: /its certificate is not a server certificate/,
    },
    {
      name: 'one whose certificate has run out',
      server: { fromMs: Date.now() - 2 * dayMs, untilMs: Date.now() - dayMs },
      says: /its certificate is not valid after .*, and the clock says/,
    },
    {
      name: 'one whose certificate begins tomorrow',
      server: { fromMs: Date.now() + dayMs, untilMs: Date.now() + 2 * dayMs },
      says: /its certificate is not valid before/,
    },
  ]
  for (const { name, server, says } of wrong) {
    test(`to ${name}`, async () => {
      await using daemon = await startScriptedDaemon({ server })
      await assert.rejects(join({ url: daemon.url, token: daemon.token() }), says)
      assert.deepEqual(daemon.enrolments, [])
    })
  }

  test('to another daemon than that of the token', async () => {
    await using daemon = await startScriptedDaemon()
    const token = daemon.token(await makeAuthority())
    const says = /whoever listens there is not the daemon that this token is for .*; nothing was sent$/
    await assert.rejects(join({ url: daemon.url, token }), says)
    assert.deepEqual(daemon.enrolments, [])
  })

  test('to one that shows the right CA certificate beside a certificate of its own', async () => {
    const real = await makeAuthority()
    const impostor = await makeAuthority()
    await using daemon = await startScriptedDaemon({
      authority: { ...impostor, certificate: impostor.certificate + real.certificate },
    })
    await assert.rejects(
      join({ url: daemon.url, token: daemon.token(real) }),
      /is not the daemon that this token is for/,
    )
    assert.deepEqual(daemon.enrolments, [])
  })

  test('to one that speaks TLS 1.2 at most', async () => {
    const options: ScriptedDaemonOptions = { maxVersion: 'TLSv1.2' }
    await using daemon = await startScriptedDaemon(options)
    await assert.rejects(join({ url: daemon.url, token: daemon.token() }), /does not speak TLS 1\.3/)
    assert.deepEqual(daemon.enrolments, [])
  })
})

describe('the error says', () => {
  test('that nobody listens', async () => {
    const url = 'https://127.0.0.1:1'
    const token = await tokenOfAnother()
    await assert.rejects(join({ url, token }), new RegExp(`^Error: Cannot join "${url}": nobody listens there`))
  })

  test('that whoever listens speaks no TLS', async () => {
    const token = await tokenOfAnother()
    const server = createServer(socket => socket.end('SSH-2.0-OpenSSH_9.2\r\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address() as { port: number }
    await assert.rejects(join({ url: `https://127.0.0.1:${address.port}`, token }), /does not speak TLS 1\.3/)
    server.close()
  })

  for (const url of [
    'http://127.0.0.1:1',
    'https://127.0.0.1:1/v1',
    'https://',
    '127.0.0.1:8444',
    'https://u@127.0.0.1:1',
    'https://:p@127.0.0.1:1',
  ]) {
    test(`what a URL is, for "${url}"`, async () => {
      const token = `rwe1.tok-1.${'a'.repeat(43)}.${'b'.repeat(43)}`
      await assert.rejects(join({ url, token }), /expected https:\/\/HOST:PORT/)
    })
  }

  test('what a token is, and does not repeat it', async () => {
    const token = `rwe1.tok-1.${'S'.repeat(42)}`
    await assert.rejects(join({ url: 'https://127.0.0.1:1', token }), (error: Error) => {
      assert.match(error.message, /^Cannot read the token: expected/)
      return !error.message.includes('SSS')
    })
  })

  test('what the daemon says of a token that was used', async () => {
    await using daemon = await startScriptedDaemon()
    const token = daemon.token()
    await join({ url: daemon.url, token })
    const says = /the daemon says: the token was used already \(InvalidToken\)$/
    await assert.rejects(join({ url: daemon.url, token }), says)
  })

  test('nothing that would act on a terminal', async () => {
    await using daemon = await startScriptedDaemon()
    daemon.enrolBy(async () => ({ status: 500, body: { detail: '\u001b[2Jgone\r\n' } }))
    await assert.rejects(join({ url: daemon.url, token: daemon.token() }), /says: {2}\[2Jgone *$/)
  })
})

describe('an answer is not taken that', () => {
  const rows = [
    {
      name: 'is none',
      body: { hello: 1 },
      says: /its answer is not what a daemon gives \(Cannot read "agentId": expected text\)/,
    },
    { name: 'is too large', body: { agentId: 'x'.repeat(100_000) }, says: /too large/ },
    {
      name: 'has a certificate for another key',
      of: async (authority: Awaited<ReturnType<typeof makeAuthority>>) =>
        (await issue(authority, { usage: 'client' })).certificate,
      says: /for another key/,
    },
    {
      name: 'has a certificate of another CA',
      of: async (_: unknown, publicKey: string) => certify(await makeAuthority(), publicKey, { usage: 'client' }),
      says: /not signed by the CA/,
    },
    { name: 'has no certificate', of: async () => 'PEM', says: /not a certificate in PEM/ },
  ]
  for (const { name, body, of, says } of rows) {
    test(name, async () => {
      await using daemon = await startScriptedDaemon()
      const { authority } = daemon
      daemon.enrolBy(async ({ publicKey }) => {
        const certificate = await of?.(authority, publicKey)
        return { status: 201, body: body ?? { agentId: 'agent-1', certificate, caCertificate: authority.certificate } }
      })
      await assert.rejects(join({ url: daemon.url, token: daemon.token() }), says)
    })
  }

  test('names another CA', async () => {
    await using daemon = await startScriptedDaemon()
    const { certificate: caCertificate } = await makeAuthority()
    daemon.enrolBy(async ({ publicKey }) => {
      return { status: 201, body: { agentId: 'a', certificate: await daemon.certifyAgent(publicKey), caCertificate } }
    })
    await assert.rejects(join({ url: daemon.url, token: daemon.token() }), /a CA certificate that is not the token's/)
  })
})

async function tokenOfAnother(): Promise<string> {
  await using daemon = await startScriptedDaemon()
  return daemon.token()
}
