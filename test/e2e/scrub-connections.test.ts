/** A flood of connections that are all finished, from a few addresses that really exist: a limit for each source. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CustomerEnd, Customers } from '../support/flood/customers.ts'
import { FloodRig } from '../support/flood/rig.ts'
import { servicePort } from '../support/flood/scene.ts'
import { needsKernel } from '../support/requirements.ts'

const thresholds = { bps: 20, pps: 1000 }
/** Of who is held up, connections stay unfinished, and look like a flood of SYNs beside that of connections. */
const areOfConnections = (types: readonly string[]) =>
  types.includes('connections') && types.every(type => type === 'connections' || type === 'syn')

describe('connections in numbers', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let rig: FloodRig
  let customers: Customers

  before(async () => {
    rig = await FloodRig.start(stack, { thresholds, scrubbing: { holdTime: 5 } })
    customers = stack.use(
      await Customers.start(rig.scene, { downloadBytesPerSecond: 0, knocksPerSecond: 2, patienceMs: 5000 }),
    )
  })
  after(() => stack.disposeAsync())

  test('are recognised, and limited for those who open them', async () => {
    const { internet, target, newcomer } = rig.scene
    const flood = new CustomerEnd(internet)
    const attackers = Array.from({ length: 4 }, (_, index) => newcomer(index + 241).ip)
    await flood.do({
      kind: 'knock',
      address: target.addresses.ip,
      port: servicePort,
      perSecond: 500,
      localAddresses: attackers,
      timeoutMs: 300,
    })
    const { attackTypes } = await rig.until(status => status.attackTypes.includes('connections'))
    assert.ok(areOfConnections(attackTypes), attackTypes.join())
    await rig.until(({ sample }) => (sample?.dropped.connections?.packetsPerSecond ?? 0) > 50)
    await rig.until(({ sample }) => (sample?.passed.packetsPerSecond ?? Number.POSITIVE_INFINITY) < thresholds.pps)
    await flood[Symbol.asyncDispose]()
    await rig.until(({ phase }) => phase === 'normal')

    const service = await customers.service()
    const [event] = await rig.events()
    const types = event!.attackTypes.map(({ type }) => type)
    assert.ok(areOfConnections(types), types.join())
    const { synRatio } = event!.attackTypes.find(({ type }) => type === 'connections')!
    assert.ok(synRatio !== null && synRatio > 0.05 && synRatio < 0.6, `${synRatio} SYNs for each other packet`)
    for (const { address } of event!.topSources.slice(0, 3)) assert.ok(attackers.includes(address), address)
    assert.deepEqual(service.brokenSessions, [])
    assert.ok(service.answered > 0, 'sessions are answered')
  })
})
