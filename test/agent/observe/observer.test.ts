/** When a daemon is told of observed ENIs, and when nothing is said. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { Observer } from '../../../agent/observe/observer.ts'
import { createLogger } from '../../../common/log.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { type ObservedEni, observedReportMs } from '../../../wire/observed.ts'
import { readValidPolicy } from '../../support/policies.ts'

beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }))
afterEach(() => mock.timers.reset())

function policyWith(mode: 'enforce' | 'observe'): PolicyIr {
  const eni = { id: 'eni-1', device: 'd0', addresses: ['198.18.0.1'], securityGroupIds: ['sg-1'], mode }
  return resolvePolicy(
    readValidPolicy(JSON.stringify({ apiVersion: 'ringwall/v1', interfaces: [eni], securityGroups: [{ id: 'sg-1' }] })),
  )
}

interface Scene {
  readonly observer: Observer
  readonly sent: (readonly ObservedEni[])[]
  connection: string | null
  countSessions: () => Promise<ReadonlyMap<string, number>>
  /** Until everything has come to rest after ten seconds. */
  turn(): Promise<void>
}

async function setScene(): Promise<Scene> {
  const sent: (readonly ObservedEni[])[] = []
  const scene: Scene = {
    observer: await Observer.open({
      log: createLogger('ringwall-agent', 'error', { write: () => {} }),
      kept: null,
      readCounters: async () => [],
      countSessions: () => scene.countSessions(),
      send: message => message.type === 'observed' && sent.push(message.enis),
      connection: () => scene.connection,
    }),
    sent,
    connection: 'first',
    countSessions: async () => new Map([['eni-1', 7]]),
    async turn() {
      mock.timers.tick(observedReportMs)
      for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate)
    },
  }
  return scene
}

const told = ({ sent }: Scene) => sent.map(enis => enis.map(({ eniId }) => eniId).join(' ') || 'none')

test('a daemon that has nothing observed hears nothing, on any connection', async () => {
  const scene = await setScene()
  await scene.turn()
  scene.observer.setPolicy(policyWith('enforce'))
  for (const connection of ['first', 'second', null]) {
    scene.connection = connection
    await scene.turn()
  }
  assert.deepEqual(told(scene), [])
  await scene.observer.close()
})

test('a daemon hears each time of an ENI that is observed, and once that it is not any more', async () => {
  const scene = await setScene()
  scene.observer.setPolicy(policyWith('observe'))
  await scene.turn()
  await scene.turn()
  assert.deepEqual(told(scene), ['eni-1', 'eni-1'])
  scene.observer.setPolicy(policyWith('enforce'))
  await scene.turn()
  await scene.turn()
  assert.deepEqual(told(scene), ['eni-1', 'eni-1', 'none'])
  await scene.observer.close()
})

test('a daemon that was away hears of it when it is back, and of nothing that ended meanwhile', async () => {
  const scene = await setScene()
  scene.observer.setPolicy(policyWith('observe'))
  await scene.turn()
  scene.connection = null
  await scene.turn()
  scene.connection = 'second'
  await scene.turn()
  assert.deepEqual(told(scene), ['eni-1', 'eni-1'])
  scene.connection = null
  scene.observer.setPolicy(policyWith('enforce'))
  await scene.turn()
  scene.connection = 'third'
  await scene.turn()
  assert.deepEqual(told(scene), ['eni-1', 'eni-1'])
  await scene.observer.close()
})

test('sessions that would end are told as they are counted; where they cannot be, that is not known', async () => {
  const scene = await setScene()
  scene.observer.setPolicy(policyWith('observe'))
  await scene.turn()
  assert.equal(scene.sent.at(-1)?.[0]?.liveSessions, 7)
  scene.countSessions = async () => {
    throw new Error('no conntrack here')
  }
  assert.equal((await scene.observer.report())[0]?.liveSessions, null)
  await scene.observer.close()
})
