import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScrubOrder } from '../../rules-compiler/scrub/ir.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import { policyDocument, type ViewObject, type ViewScrubbing } from '../../wire/view.ts'
import {
  acceptGroup,
  eniObject,
  groupObject,
  instanceObject,
  membersObject,
  settingsObject,
  smallView,
} from '../support/view-objects.ts'

const onEth0 = { deviceOf: () => 'eth0' }
const problemsOf = (objects: readonly ViewObject[]) =>
  checkPolicy(policyDocument(objects, onEth0)).problems.map(({ path, code }) => `${path} ${code}`)

describe('the policy file of a view', () => {
  test('is one that passes every check', () => {
    assert.deepEqual(problemsOf(smallView([443], ['198.18.0.9'])), [])
  })

  test('does not depend on the order of the objects', () => {
    const objects = smallView([443], ['198.18.0.9'])
    assert.deepEqual(policyDocument(objects.toReversed(), onEth0), policyDocument(objects, onEth0))
  })

  test('has members of groups that are attached, and of groups that are only named', () => {
    const objects = [...smallView([], ['198.18.0.9']), membersObject('sg-1', ['198.18.0.2'])]
    const { securityGroups } = policyDocument(objects, onEth0)
    assert.deepEqual(
      securityGroups.map(({ id, members }) => [id, members]),
      [
        ['sg-1', ['198.18.0.2']],
        ['sg-app', ['198.18.0.9']],
      ],
    )
  })

  test('leaves out an ENI that is no device here, and says nothing of MAC addresses', () => {
    const objects = [...smallView(), eniObject('eni-2', { macAddress: '02:00:00:00:00:01' })]
    const { interfaces } = policyDocument(objects, { deviceOf: ({ id }) => (id === 'eni-1' ? 'eth0' : null) })
    assert.deepEqual(
      interfaces.map(({ id }) => id),
      ['eni-1'],
    )
    assert.ok(interfaces.every(eni => !Object.hasOwn(eni, 'macAddress')))
  })

  test('has the way to the daemon, and administrators of the host', () => {
    const controlConnections = [{ address: '198.18.0.9', port: 8444 }]
    const rescue = [{ source: '198.18.0.0/24', port: 22 }]
    const { settings } = policyDocument([], { ...onEth0, controlConnections, rescue })
    assert.deepEqual(settings, { controlConnections, rescue })
  })

  describe('brings numbers of traffic scrubbing within the bounds of a policy file', () => {
    const most = Number.MAX_SAFE_INTEGER
    const source = 'manual'
    const thresholds: readonly (readonly [
      type: string | null,
      given: readonly number[],
      expected: readonly number[],
    ])[] = [
      ['ecs.g5.large', [500, 100_000], [500, 100_000]],
      ['ecs.g5.large', [1000, 300_000], [1000, 300_000]],
      ['ecs.g5.large', [1001, 1], [1000, 1]],
      ['ecs.g5.large', [0, most], [1, 300_000]],
      ['not.published', [1001, 300_001], [1001, 300_001]],
      [null, [most, most], [10_000_000, 1_000_000_000]],
    ]
    for (const [instanceType, [bps, pps], expected] of thresholds) {
      test(`thresholds ${bps} and ${pps} of type ${instanceType}`, () => {
        const ddosThreshold = { bps: bps!, pps: pps!, source } as const
        const objects = [instanceObject('i-1', { ddosThreshold, ...(instanceType !== null && { instanceType }) })]
        const [instance] = policyDocument(objects, onEth0).instances
        assert.deepEqual(instance?.ddosThreshold, { bps: expected[0], pps: expected[1], source })
        assert.deepEqual(problemsOf(objects), [])
      })
    }

    const orders: readonly (readonly [given: ScrubOrder, expected: object])[] = [
      [{ id: 'o', action: 'lift', holdSeconds: null }, {}],
      [{ id: 'o', action: 'lift', holdSeconds: 60 }, {}],
      [{ id: 'o', action: 'black-hole', holdSeconds: null }, {}],
      [{ id: 'o', action: 'black-hole', holdSeconds: 60 }, { holdSeconds: 60 }],
      [{ id: 'o', action: 'black-hole', holdSeconds: 0 }, { holdSeconds: 1 }],
      [{ id: 'o', action: 'black-hole', holdSeconds: most }, { holdSeconds: 604_800 }],
    ]
    for (const [ddosOrder, expected] of orders) {
      test(`an order to ${ddosOrder.action} for ${ddosOrder.holdSeconds}`, () => {
        const objects = [instanceObject('i-1', { ddosOrder })]
        const { id, action } = ddosOrder
        assert.deepEqual(policyDocument(objects, onEth0).instances[0]?.ddosOrder, { id, action, ...expected })
        assert.deepEqual(problemsOf(objects), [])
      })
    }

    const settings: readonly (readonly [given: ViewScrubbing, expected: ViewScrubbing])[] = [
      [{}, {}],
      [
        { holdTime: 60, allowList: ['203.0.113.0/24'] },
        { holdTime: 60, allowList: ['203.0.113.0/24'] },
      ],
      [
        { secondsOver: 0, holdTime: 0, blackHoleThreshold: most },
        { secondsOver: 1, holdTime: 1, blackHoleThreshold: 10_000_000 },
      ],
      [{ mostBlackHoleHoldTime: 1 }, { mostBlackHoleHoldTime: 1800 }],
      [{ blackHoleHoldTime: most }, { blackHoleHoldTime: 604_800 }],
      [
        { blackHoleHoldTime: 600, mostBlackHoleHoldTime: 599 },
        { blackHoleHoldTime: 600, mostBlackHoleHoldTime: 600 },
      ],
    ]
    for (const [scrubbing, expected] of settings) {
      test(`settings ${JSON.stringify(scrubbing)}`, () => {
        const objects = [settingsObject({ scrubbing })]
        const document = policyDocument(objects, onEth0)
        assert.deepEqual('scrubbing' in document.settings && document.settings.scrubbing, expected)
        assert.deepEqual(problemsOf(objects), [])
      })
    }
  })

  test('brings what is logged within the bounds too', () => {
    const most = Number.MAX_SAFE_INTEGER
    const objects = [settingsObject({ logging: { drops: false, perSecond: most, nflogGroup: 0 } })]
    const { settings } = policyDocument(objects, onEth0)
    assert.deepEqual('logging' in settings && settings.logging, { drops: false, perSecond: 10_000, nflogGroup: 1 })
    assert.deepEqual(problemsOf(objects), [])
  })

  test('says which ENIs and groups are observed, and of others nothing', () => {
    const objects = [
      settingsObject(),
      instanceObject(),
      eniObject('eni-1', { mode: 'observe', securityGroupIds: ['sg-1', 'sg-2'] }),
      groupObject('sg-1', [], { mode: 'observe' }),
      groupObject('sg-2'),
    ]
    assert.deepEqual(problemsOf(objects), [])
    const { interfaces, securityGroups } = policyDocument(objects, onEth0)
    assert.deepEqual(
      [...interfaces, ...securityGroups].map(object => ('mode' in object ? object.mode : null)),
      ['observe', 'observe', null],
    )
  })

  describe('takes any number of members of a group that is named only', () => {
    const addresses = Array.from({ length: 2_001 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
    const naming = (network: 'vpc' | 'classic', attached: readonly ViewObject[] = []) => [
      settingsObject(),
      instanceObject(),
      eniObject('eni-1'),
      groupObject('sg-1', [acceptGroup('sg-app')], { networkType: network }),
      ...attached,
      membersObject('sg-app', addresses, { networkType: network }),
    ]
    const rows = [
      { name: 'in a VPC, where it may be advanced', objects: naming('vpc'), expected: [] },
      {
        name: 'but not on the classic network',
        objects: naming('classic'),
        expected: ['securityGroups[1].members limit'],
      },
      {
        name: 'but not where it is attached and basic',
        objects: naming('vpc', [groupObject('sg-app')]),
        expected: ['securityGroups[1].members limit'],
      },
    ]
    for (const { name, objects, expected } of rows) test(name, () => assert.deepEqual(problemsOf(objects), expected))
  })
})
