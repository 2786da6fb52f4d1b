/**
 * A daemon whose state went back: agents take it up as it is, those that the state has forgotten are told, and nobody
 * who may connect is locked out by a certificate that was renewed since.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { DaemonProcess } from '../support/daemon-process.ts'
import { enrolFake, FakeAgent, type FakeCredentials, makeKeyPair, prove } from '../support/fake-agent.ts'
import { RestClient } from '../support/rest-client.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'
import type { ViewCopy } from '../support/view-copy.ts'

interface Scene {
  readonly folder: string
  readonly daemon: DaemonProcess
  readonly credentials: FakeCredentials
  readonly backup: string
}

/** A daemon with an agent whose view has one group, and a backup of it. */
async function inScene(act: (scene: Scene) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-restore-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const daemon = stack.use(new DaemonProcess(folder))
  await daemon.start()
  const token = await call(daemon, async client => {
    await client.call('POST', '/v1/security-groups', { securityGroupId: 'sg-web' })
    await client.call('POST', '/v1/instances', { instanceId: 'i-web' })
    const eni = { networkInterfaceId: 'eni-web', device: 'eth0', privateIpAddresses: ['198.18.0.1'] }
    await client.call('POST', '/v1/network-interfaces', { ...eni, instanceId: 'i-web', securityGroupIds: ['sg-web'] })
    return invite(client, { instanceIds: ['i-web'] })
  })
  const credentials = await enrolFake(daemon.agentPort, token)
  const backup = join(folder, 'backup.db')
  await backupCommand(daemon, 'create', backup)
  await nextSecond()
  await act({ folder, daemon, credentials, backup })
}

async function call<T>(daemon: DaemonProcess, act: (client: RestClient) => Promise<T>): Promise<T> {
  using client = new RestClient(daemon)
  return await act(client)
}

async function invite(client: RestClient, body: object): Promise<string> {
  return (await client.call('POST', '/v1/enrolment-tokens', body)).body.token
}

/** @throws {Error} with what it says where it fails */
async function backupCommand(daemon: DaemonProcess, ...args: readonly string[]): Promise<void> {
  const flags = ['--url', `http://127.0.0.1:${daemon.port}`, '--token', daemon.token]
  await promisify(execFile)(ringwallProgram, ['backup', ...args, ...flags])
}

/** Certificates know whole seconds: which came first is told by no less. */
const nextSecond = () => setTimeout(1000 - (Date.now() % 1000))

/** The new certificate, not used yet. */
async function renew({ agentPort }: DaemonProcess, credentials: FakeCredentials): Promise<FakeCredentials> {
  const agent = await FakeAgent.connect(agentPort, credentials)
  const keys = makeKeyPair()
  agent.say({ type: 'renew', publicKey: keys.publicKey, proof: prove(credentials.agentId, keys) })
  const { certificate } = await agent.next('renewed')
  await agent.close()
  return { ...credentials, privateKey: keys.privateKey, certificate }
}

async function use({ agentPort }: DaemonProcess, credentials: FakeCredentials): Promise<FakeAgent> {
  const agent = await FakeAgent.connect(agentPort, credentials)
  await agent.until(({ updates }) => updates.length > 0)
  return agent
}

/** An agent that has used a new certificate hears its updates; that those before are over is written down beside that. */
async function untilEnded(daemon: DaemonProcess, times: number): Promise<void> {
  await eventually(async () => {
    const { body } = await call(daemon, client =>
      client.call('GET', '/v1/audit?action=ringwall:ConfirmAgentCertificate'),
    )
    assert.equal(body.items.length, times)
  })
}

/** Stops the daemon, and starts it with this file in the place of its store. */
async function putInPlace(daemon: DaemonProcess, file: string): Promise<void> {
  await daemon.stop()
  await rm(join(daemon.dataDir, 'store.db-wal'), { force: true })
  await copyFile(file, join(daemon.dataDir, 'store.db'))
  await daemon.start()
}

/** Daemons start and stop some times in each, on a machine that has more to do. */
const limit = { timeout: 240_000 }

describe('a backup in the place of the store', () => {
  test(
    'lets in who has renewed its certificate since, and nobody with the one before once that was used',
    limit,
    async () => {
      await inScene(async ({ daemon, credentials, backup }) => {
        const renewed = await renew(daemon, credentials)
        const before = await use(daemon, renewed)
        await untilEnded(daemon, 1)
        await assert.rejects(FakeAgent.connect(daemon.agentPort, credentials), /unlisted/)
        await before.close()
        await putInPlace(daemon, backup)
        const after = await use(daemon, renewed)
        assert.notEqual(after.view.position!.storeId, before.view.position!.storeId)
        await untilEnded(daemon, 2)
        await assert.rejects(FakeAgent.connect(daemon.agentPort, credentials), /unlisted/)
        await after.close()
        await daemon.stop()
        await daemon.start()
        await (await use(daemon, renewed)).close()
        const { items } = await call(daemon, async client => {
          return (await client.call('GET', '/v1/audit?action=ringwall:AdoptAgentCertificate')).body
        })
        assert.equal(items.length, 1)
        assert.equal(items[0].changes[0].after.certificates.added[0].serialNumber, serialOf(renewed))
      })
    },
  )

  test('tells an agent that has joined since to join again', limit, async () => {
    await inScene(async ({ daemon, backup }) => {
      const since = await enrolFake(daemon.agentPort, await call(daemon, client => invite(client, {})))
      await putInPlace(daemon, backup)
      await assert.rejects(FakeAgent.connect(daemon.agentPort, since), {
        message: new RegExp(`^401 .*there is no agent \\\\"${since.agentId}\\\\": enrol again with a new token`, 's'),
      })
    })
  })
})

describe('a backup restored into the daemon', () => {
  test('leaves certificates, revocations and used tokens as they are', limit, async () => {
    await inScene(async ({ daemon, credentials, folder }) => {
      const tokens = await call(daemon, async client => [await invite(client, {}), await invite(client, {})])
      const stolen = await enrolFake(daemon.agentPort, tokens[0]!)
      const backup = join(folder, 'later.db')
      await backupCommand(daemon, 'create', backup)
      await enrolFake(daemon.agentPort, tokens[1]!)
      await call(daemon, async client => {
        await client.call('POST', `/v1/agents/${stolen.agentId}/revoke`)
        await client.call('PATCH', '/v1/security-groups/sg-web', { innerAccessPolicy: 'drop' })
      })
      const renewed = await renew(daemon, credentials)
      const agent = await use(daemon, renewed)
      await untilEnded(daemon, 1)
      await backupCommand(daemon, 'restore', backup, '--yes')
      await agent.until(({ view }) => innerAccessOf(view) === 'accept')
      assert.equal(agent.goodbye, null)
      await assert.rejects(FakeAgent.connect(daemon.agentPort, credentials), /unlisted/)
      await assert.rejects(FakeAgent.connect(daemon.agentPort, stolen), /AgentRevoked/)
      await assert.rejects(enrolFake(daemon.agentPort, tokens[1]!), /EnrolmentTokenUsed/)
    })
  })

  test('of another CA lets in who has renewed with that one since, from the next start on', limit, async () => {
    await inScene(async ({ folder, daemon, credentials, backup }) => {
      const renewed = await renew(daemon, credentials)
      await (await use(daemon, renewed)).close()
      await daemon.stop()
      await using fresh = new DaemonProcess(join(folder, 'fresh'))
      await fresh.start()
      await backupCommand(fresh, 'restore', backup, '--yes')
      await fresh.stop()
      await fresh.start()
      await (await use(fresh, renewed)).close()
      await untilEnded(fresh, 1)
      await assert.rejects(FakeAgent.connect(fresh.agentPort, credentials), /unlisted/)
    })
  })
})

test('a copy of the store from before is found out by the audit log, and agents take it whole', limit, async () => {
  await inScene(async ({ folder, daemon, credentials }) => {
    await daemon.stop()
    const copy = join(folder, 'copy.db')
    await copyFile(join(daemon.dataDir, 'store.db'), copy)
    await daemon.start()
    await call(daemon, client => client.call('PATCH', '/v1/security-groups/sg-web', { innerAccessPolicy: 'drop' }))
    const before = await use(daemon, credentials)
    await before.close()
    await putInPlace(daemon, copy)
    // As many revisions as there were: by its number alone, what the agent holds would be the present.
    await call(daemon, async client => {
      const { revision } = before.view.position!
      for (let number = 1; ; number += 1) {
        const { body } = await client.call('PATCH', '/v1/settings', { sessionTimeout: 100 + number })
        if (body.revision > revision) break
      }
    })
    const after = await FakeAgent.connect(daemon.agentPort, credentials, { view: before.view })
    await after.until(({ updates }) => updates.length > 0)
    assert.equal(after.updates[0]!.type, 'snapshot')
    assert.equal(innerAccessOf(after.view), 'accept')
  })
})

const innerAccessOf = ({ objects }: ViewCopy) =>
  (objects.get('group/sg-web')?.value as { readonly innerAccessPolicy?: string } | undefined)?.innerAccessPolicy
const serialOf = ({ certificate }: FakeCredentials) => new X509Certificate(certificate).serialNumber
