/** The way to a daemon, with real TLS on loopback. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer as createPlainServer, type Server } from 'node:net'
import { after, test } from 'node:test'
import { createServer } from 'node:tls'
import { agentConfig } from '../../../agent/config.ts'
import { daemon } from '../../../agent/doctor/checks/daemon.ts'
import { openHost } from '../../../agent/doctor/host.ts'
import type { Credentials } from '../../../agent/link/credentials.ts'
import { readConfig } from '../../../common/config/read.ts'
import { issue, makeAuthority } from '../../support/certificates.ts'

/** As it is without a file. */
const configuration = await readConfig(agentConfig, {
  flags: new Map([['config', 'none']]),
  environment: {},
  folder: '/',
})
const authority = await makeAuthority()
const other = await makeAuthority()
const client = await issue(authority, { usage: 'client' })
const servers: Server[] = []
after(() => {
  for (const server of servers) server.close()
})

async function portOf(server: Server): Promise<number> {
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function startDaemon(by = authority): Promise<number> {
  const { certificate, privateKey } = await issue(by, { usage: 'server' })
  const server = createServer({ key: privateKey, cert: certificate, minVersion: 'TLSv1.3', requestCert: true })
  // Whoever only looks goes away without a word.
  server.on('tlsClientError', () => {})
  return portOf(server)
}

async function examine(daemonUrl: string, certificate = client.certificate): Promise<readonly string[]> {
  const { privateKey } = client
  const credentials: Credentials = {
    daemonUrl,
    agentId: 'agent-1',
    privateKey,
    certificate,
    caCertificate: authority.certificate,
  }
  const host = { ...openHost({ stateDir: '/nonexistent', configuration }), credentials: async () => credentials }
  return (await daemon.examine(host)).map(({ code, found }) => `${code}: ${found.replace(/\d{5}/g, 'PORT')}`)
}

test('the one that was joined', async () => {
  const [said = '', ...more] = await examine(`https://127.0.0.1:${await startDaemon()}`)
  assert.match(said, /^daemon: https:\/\/127\.0\.0\.1:PORT, certificate [\w-]{4,}; this host’s is good until 20\d\d-/)
  assert.deepEqual(more, [])
})

test('another one at its address', async () => {
  assert.deepEqual(await examine(`https://127.0.0.1:${await startDaemon(other)}`), [
    'daemon-untrusted: https://127.0.0.1:PORT at 127.0.0.1: its certificate is not signed by the CA',
  ])
})

test('something that speaks no TLS', async () => {
  const port = await portOf(createPlainServer(socket => socket.end('220 mail\r\n')))
  const [said = ''] = await examine(`https://127.0.0.1:${port}`)
  assert.match(said, /^daemon-untrusted: https:\/\/127\.0\.0\.1:PORT at 127\.0\.0\.1: ERR_SSL/)
})

test('nobody listens', async () => {
  assert.deepEqual(await examine('https://127.0.0.1:1'), [
    'daemon-unreachable: https://127.0.0.1:1 at 127.0.0.1: ECONNREFUSED',
  ])
})

test('a certificate of this host that has run out', async () => {
  const old = await issue(authority, {
    usage: 'client',
    fromMs: Date.now() - 7_200_000,
    untilMs: Date.now() - 3_600_000,
  })
  const [said = '', ...more] = await examine(`https://127.0.0.1:${await startDaemon()}`, old.certificate)
  assert.match(said, /^certificate-ended: the certificate of agent-1 ended at 20\d\d-/)
  assert.deepEqual(more, [])
})

test('a certificate of this host that has not begun, and one of another CA that has run out', async () => {
  const hourMs = 3_600_000
  const times = (fromHours: number, untilHours: number) => ({
    fromMs: Date.now() + fromHours * hourMs,
    untilMs: Date.now() + untilHours * hourMs,
  })
  const early = await issue(authority, { usage: 'client', ...times(1, 2) })
  const foreign = await issue(other, { usage: 'client', ...times(-2, -1) })
  const url = `https://127.0.0.1:${await startDaemon()}`
  const [said = ''] = await examine(url, early.certificate)
  assert.match(said, /^certificate-invalid: the agent’s certificate: not valid before /)
  const [first = '', second = ''] = await examine(url, foreign.certificate)
  assert.equal(first, 'certificate-invalid: the agent’s certificate: not signed by the CA')
  assert.match(second, /^certificate-ended: /)
})
