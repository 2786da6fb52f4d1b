/** A real daemon that tells of attacks by a signed webhook, over a receiver that is away and a kill. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { signatureOf } from '../../common/notify/webhook.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { ended, makeEvent, makeStatus } from '../support/ddos.ts'
import { enrolFake, FakeAgent } from '../support/fake-agent.ts'
import { startReceiver } from '../support/notifications.ts'
import { RestClient } from '../support/rest-client.ts'
import { eventually } from '../support/sessions.ts'

const key = Buffer.alloc(32, 9)

test('an attack is told of by a signed webhook, whatever happens to receiver and daemon in between', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-notify-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true }))
  let isAway = true
  const receiver = stack.use(await startReceiver((_, response) => void response.writeHead(isAway ? 503 : 204).end()))
  const secretFile = join(folder, 'secret')
  await writeFile(secretFile, `whsec_${key.toString('base64')}\n`, { mode: 0o600 })
  const flags = ['--notify-url', receiver.url, '--notify-secret-file', secretFile]
  const daemon = stack.use(new DaemonProcess(folder, flags))
  await daemon.start()
  {
    using client = new RestClient(daemon)
    await client.call('POST', '/v1/instances', { instanceId: 'i-1' })
    const { body } = await client.call('POST', '/v1/enrolment-tokens', { instanceIds: ['i-1'] })
    const agent = await FakeAgent.connect(daemon.agentPort, await enrolFake(daemon.agentPort, body.token))
    await agent.next('snapshot')
    agent.say({ type: 'ddos-status', instances: [makeStatus({ instanceId: 'i-1', phase: 'cleaning' })] })
    const event = makeEvent({
      id: 'ddos-1',
      changes: [{ time: new Date().toISOString(), kind: 'start', message: 'It began' }],
    })
    agent.say({ type: 'ddos-event', event })
    await agent.next('ddos-event-kept')
    const end = { time: new Date(Date.now() + 1).toISOString(), kind: 'end', message: 'It is over' } as const
    agent.say({ type: 'ddos-event', event: { ...ended(event), changes: [...event.changes, end] } })
    await agent.next('ddos-event-kept')
  }
  await receiver.count(1)

  await daemon.kill()
  isAway = false
  const before = receiver.received.length
  await daemon.start()
  // One that was under way at the kill may be among them: whoever gets notifications tells them apart by their ids.
  const told = await eventually(async () => {
    const each = new Map(receiver.received.slice(before).map(one => [one.headers['webhook-id'], one]))
    assert.deepEqual(
      [...each.values()].map(({ body }) => JSON.parse(body).type),
      ['ddos.start', 'ddos.end'],
    )
    return [...each.values()]
  })
  assert.equal(told[0]!.headers['webhook-id'], receiver.received[0]!.headers['webhook-id'])
  for (const { headers, body } of told) {
    const id = String(headers['webhook-id'])
    const timestamp = Number(headers['webhook-timestamp'])
    assert.equal(headers['webhook-signature'], signatureOf(key, { id, timestamp, body }))
    assert.equal(JSON.parse(body).data.event.id, 'ddos-1')
  }
  await eventually(async () => assert.deepEqual(await readdir(join(daemon.dataDir, 'notify', 'webhook')), []))
})
