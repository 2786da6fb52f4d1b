/** A real daemon in its own process, from an attack to what operators see of it, over a kill. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DaemonProcess } from '../support/daemon-process.ts'
import { ended, makeEvent, makeStatus } from '../support/ddos.ts'
import { enrolFake, FakeAgent } from '../support/fake-agent.ts'
import { RestClient } from '../support/rest-client.ts'

test('attacks, thresholds and orders are there after a kill, and each attack once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-ddos-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true }))
  const daemon = stack.use(new DaemonProcess(folder))
  await daemon.start()
  const ask = async (method: string, path: string, body?: unknown) => {
    using client = new RestClient(daemon)
    const answer = await client.ask(method, path, body)
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  await ask('POST', '/v1/instances', { instanceId: 'i-1', instanceType: 'ecs.g5.large' })
  const { token } = await ask('POST', '/v1/enrolment-tokens', { instanceIds: ['i-1'] })
  const credentials = await enrolFake(daemon.agentPort, token)
  const agent = await FakeAgent.connect(daemon.agentPort, credentials)
  await agent.next('snapshot')

  const threshold = await ask('PUT', '/v1/instances/i-1/ddos-threshold?wait=enforced&timeout=60', {
    bps: 100,
    pps: 70_000,
  })
  assert.equal(threshold.enforcement.state, 'enforced')
  const { scrubbing } = await ask('POST', '/v1/instances/i-1/black-hole?wait=enforced&timeout=60', { holdSeconds: 60 })
  const told = agent.view.objects.get('instance/i-1')
  assert.deepEqual(told?.value, {
    id: 'i-1',
    instanceType: 'ecs.g5.large',
    smtpUnblocked: false,
    ddosThreshold: { bps: 100, pps: 70_000, source: 'manual' },
    ddosOrder: { id: scrubbing.order.orderId, action: 'black-hole', holdSeconds: 60 },
  })

  const event = makeEvent({ id: 'ddos-1' })
  const orderId = scrubbing.order.orderId
  agent.say({ type: 'ddos-status', instances: [makeStatus({ instanceId: 'i-1', phase: 'black-hole', orderId })] })
  agent.say({ type: 'ddos-event', event })
  await agent.next('ddos-event-kept')
  const standing = (await ask('GET', '/v1/ddos/instances/i-1')).ddosInstance
  assert.partialDeepStrictEqual(standing, {
    phase: 'black-hole',
    carriedOutOrderId: orderId,
    bps: 100,
    staleSince: null,
  })
  const before = (await ask('GET', '/v1/ddos/events/ddos-1')).ddosEvent

  await daemon.kill()
  await daemon.start()
  assert.deepEqual((await ask('GET', '/v1/ddos/events/ddos-1')).ddosEvent, before)
  assert.equal((await ask('GET', '/v1/ddos/instances/i-1')).ddosInstance.phase, null)
  const again = await FakeAgent.connect(daemon.agentPort, credentials, { view: agent.view })
  again.say({ type: 'ddos-event', event: ended(event) })
  again.say({ type: 'ddos-event', event })
  assert.partialDeepStrictEqual(await again.next('ddos-event-kept'), { eventId: 'ddos-1', version: 2 })
  const { items } = await ask('GET', '/v1/ddos/events')
  assert.deepEqual(
    items.map(({ eventId, version, phase }: { eventId: string; version: number; phase: string }) => [
      eventId,
      version,
      phase,
    ]),
    [['ddos-1', 2, 'ended']],
  )
  const audit = await ask('GET', '/v1/audit?action=ringwall:ReportDdosEvent')
  assert.deepEqual(
    audit.items.map(({ principal, objects }: { principal: { kind: string }; objects: string[] }) => [
      principal.kind,
      ...objects,
    ]),
    [
      ['agent', 'ddosEvent/ddos-1'],
      ['agent', 'ddosEvent/ddos-1'],
    ],
  )
  assert.deepEqual(daemon.complaints, [])
  again.break()
})
