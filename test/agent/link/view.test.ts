import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { documentOf, type Surroundings, View, type ViewUpdate } from '../../../agent/link/view.ts'
import { parseCidr } from '../../../rules-compiler/address/cidr.ts'
import { resolvePolicy } from '../../../rules-compiler/policy/resolve.ts'
import { formatProblem } from '../../../rules-compiler/validate/problem.ts'
import { checkPolicy } from '../../../rules-compiler/validate/read-policy.ts'
import type { MembersDelta } from '../../../wire/messages.ts'
import type { ViewInstance, ViewObject } from '../../../wire/view.ts'
import { makeScrubIr } from '../../support/ir.ts'
import {
  acceptGroup,
  acceptPort,
  eniObject,
  groupObject,
  instanceObject,
  membersObject,
  settingsObject,
  smallView,
} from '../../support/view-objects.ts'

const onEth0: Surroundings = { devices: new Map([['eni-1', 'eth0']]), controlConnections: [], rescue: [] }

interface Changes {
  readonly storeId?: string
  readonly set?: readonly ViewObject[]
  readonly remove?: readonly string[]
  readonly members?: readonly MembersDelta[]
}

const snapshot = (objects: readonly ViewObject[], revision = 1): ViewUpdate => ({
  type: 'snapshot',
  storeId: 's',
  revision,
  objects,
})
const delta = (revision: number, changes: Changes = {}): ViewUpdate => ({
  type: 'delta',
  storeId: 's',
  revision,
  set: [],
  remove: [],
  members: [],
  ...changes,
})

function viewOf(objects: readonly ViewObject[]): View {
  const view = new View()
  assert.equal(view.apply(snapshot(objects)), null)
  return view
}

const appMembers = (view: View) => view.makePolicy(onEth0).ir?.groups.get('sg-app')?.ip

describe('a view', () => {
  test('makes the policy that it says', () => {
    const { ir } = viewOf(smallView([443], ['198.18.0.9'])).makePolicy(onEth0)
    assert.deepEqual(
      ir?.enis.map(({ id, device }) => [id, device]),
      [['eni-1', 'eth0']],
    )
    assert.deepEqual(ir?.groups.get('sg-app')?.ip, ['198.18.0.9'])
  })

  test('has no position, no key and no image before the first snapshot', () => {
    const view = new View()
    assert.deepEqual([view.position, view.keys(), view.image()], [null, [], null])
  })

  test('is replaced by a snapshot, of another store and an older revision too', () => {
    const view = viewOf(smallView([443]))
    assert.equal(view.apply({ ...snapshot([settingsObject()], 0), storeId: 'restored' }), null)
    assert.deepEqual(view.keys(), ['settings/fleet'])
    assert.deepEqual(view.position, { storeId: 'restored', revision: 0 })
  })

  test('observes and enforces as deltas say', () => {
    const view = viewOf(smallView())
    const isObserved = () => view.makePolicy(onEth0).ir?.enis.map(eni => eni.isObserved)
    assert.deepEqual(isObserved(), [false])
    view.apply(delta(2, { set: [groupObject('sg-1', [], { mode: 'observe' })] }))
    assert.deepEqual(isObserved(), [true])
    view.apply(delta(3, { set: [groupObject('sg-1'), eniObject('eni-1', { mode: 'observe' })] }))
    assert.deepEqual(isObserved(), [true])
    view.apply(delta(4, { set: [eniObject('eni-1')] }))
    assert.deepEqual(isObserved(), [false])
  })

  test('follows deltas', () => {
    const view = viewOf(smallView([443], ['198.18.0.8', '198.18.0.9']))
    view.apply(delta(2, { members: [{ id: 'sg-app', add: ['198.18.0.10'], remove: ['198.18.0.8'] }] }))
    assert.deepEqual(appMembers(view), ['198.18.0.10', '198.18.0.9'])
    view.apply(delta(5, { set: [groupObject('sg-1', [acceptPort(80)])], remove: ['members/sg-app'] }))
    const { ir } = view.makePolicy(onEth0)
    assert.deepEqual(
      ir?.enis[0]?.ingress.rules.map(({ ports }) => ports.first),
      [80],
    )
    assert.equal(ir?.groups.size, 0)
    assert.deepEqual(view.position, { storeId: 's', revision: 5 })
  })

  test('takes members of a group that comes in the same delta', () => {
    const view = viewOf([settingsObject(), instanceObject(), eniObject('eni-1'), groupObject('sg-1')])
    const change = { add: ['198.18.0.10'], remove: [] }
    const set = [groupObject('sg-1', [acceptGroup('sg-app')]), membersObject('sg-app', ['198.18.0.9'])]
    assert.equal(view.apply(delta(2, { set, members: [{ id: 'sg-app', ...change }] })), null)
    assert.deepEqual(appMembers(view), ['198.18.0.10', '198.18.0.9'])
  })

  const refusals: readonly { name: string; update: ViewUpdate; says: RegExp }[] = [
    { name: 'of another store', update: delta(2, { storeId: 'other' }), says: /store "other": expected "s"/ },
    { name: 'to an older revision', update: delta(0), says: /revision 0: expected 1/ },
    {
      name: 'of members that are not held',
      update: delta(2, { set: [groupObject('sg-9')], members: [{ id: 'sg-9', add: [], remove: [] }] }),
      says: /members of group "sg-9": they are not held/,
    },
    {
      name: 'of members that it takes away itself',
      update: delta(2, { remove: ['members/sg-app'], members: [{ id: 'sg-app', add: ['198.18.0.1'], remove: [] }] }),
      says: /they are not held/,
    },
    {
      name: 'with a key twice',
      update: delta(2, { set: [groupObject('sg-9'), groupObject('sg-9')] }),
      says: /"group\/sg-9" a second time/,
    },
  ]
  for (const { name, update, says } of refusals) {
    test(`does not follow a delta ${name}, and is as it was`, () => {
      const view = viewOf(smallView([443], ['198.18.0.9']))
      const before = { policy: view.makePolicy(onEth0), keys: view.keys(), position: view.position }
      assert.match(view.apply(update) ?? '', says)
      const after = { policy: view.makePolicy(onEth0), keys: view.keys(), position: view.position }
      assert.deepEqual(after, before)
      assert.equal(after.policy, before.policy)
    })
  }

  test('follows no delta before the first snapshot', () => {
    assert.match(new View().apply(delta(2)) ?? '', /no view is held/)
  })

  test('gives the same value where nothing changed', () => {
    const view = viewOf(smallView([443], ['198.18.0.9']))
    const before = view.makePolicy(onEth0)
    view.apply(delta(7))
    view.apply(delta(8, { members: [{ id: 'sg-app', add: ['198.18.0.9'], remove: ['198.18.0.77'] }] }))
    assert.equal(view.makePolicy({ ...onEth0, devices: new Map(onEth0.devices) }), before)
    assert.equal(view.position?.revision, 8)
  })

  test('makes another policy of other surroundings', () => {
    const view = viewOf(smallView())
    const moved = view.makePolicy({ ...onEth0, devices: new Map([['eni-1', 'eth7']]) })
    assert.equal(moved.ir?.enis[0]?.device, 'eth7')
    const controlConnections = [{ address: '198.18.0.9', port: 8444 }]
    assert.deepEqual(
      view.makePolicy({ ...onEth0, controlConnections }).ir?.enis[0]?.controlConnections,
      controlConnections,
    )
    assert.deepEqual(view.makePolicy({ ...onEth0, devices: new Map() }).ir?.enis, [])
  })

  test('has an image that later changes leave alone', () => {
    const view = viewOf(smallView([443], ['198.18.0.9']))
    const image = view.image()!
    view.apply(delta(2, { members: [{ id: 'sg-app', add: ['198.18.0.10'], remove: [] }] }))
    assert.equal(image.revision, 1)
    assert.deepEqual(image.objects(), smallView([443], ['198.18.0.9']))
  })

  const faulty = [
    { name: 'a rule names a group that is not in it', objects: [...smallView().slice(0, 4)], says: /sg-app/ },
    { name: 'a member is no address', objects: smallView([443], ['nonsense']), says: /nonsense/ },
    {
      name: 'a group has too many members',
      objects: [
        settingsObject({ basicGroupPrivateIps: 2 }),
        ...smallView().slice(1),
        membersObject('sg-1', ['198.18.0.2', '198.18.0.3', '198.18.0.4']),
      ],
      says: /limits\.basicGroupPrivateIps/,
    },
  ]
  for (const { name, objects, says } of faulty) {
    test(`makes no policy where ${name}`, () => {
      const { ir, faults } = viewOf(objects).makePolicy(onEth0)
      assert.equal(ir, null)
      assert.match(faults.join('\n'), says)
    })
  }
})

/** Small, so that what is done meets what was done. */
const memberAddress = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 12 }).map(host => `198.18.0.${host}`) },
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 6 }).map(host => `2001:db8::${host}`) },
  { weight: 1, arbitrary: fc.constantFrom('198.18.0.01', '2001:DB8::1', 'nonsense') },
)
const memberAddresses = fc.array(memberAddress, { maxLength: 8 })
const groupId = fc.constantFrom('sg-1', 'sg-2', 'sg-app')
/** Beyond the bounds of a policy file, too: those hold back nothing else. */
const anyNumber = fc.constantFrom(0, 1, 60, 500, 1001, 86_400, 604_801, 2_000_000_000)
const scrubbing = fc.record(
  {
    secondsOver: anyNumber,
    holdTime: anyNumber,
    blackHoleThreshold: anyNumber,
    blackHoleHoldTime: anyNumber,
    mostBlackHoleHoldTime: anyNumber,
    allowList: fc.subarray(['203.0.113.0/24', '203.0.113.9', '2001:db8:9::/48']),
  },
  { requiredKeys: [] },
)
const scrubbedInstance = fc.record(
  {
    instanceType: fc.constantFrom('ecs.g5.large', 'not.published'),
    ddosThreshold: fc.record({ bps: anyNumber, pps: anyNumber, source: fc.constantFrom('manual', 'auto') }),
    scrubbingCancelled: fc.boolean(),
    ddosOrder: fc.record({
      id: fc.constantFrom('order-1', 'order-2'),
      action: fc.constantFrom('lift', 'black-hole'),
      holdSeconds: fc.option(anyNumber),
    }),
  },
  { requiredKeys: [] },
)
const anyObject: fc.Arbitrary<ViewObject> = fc.oneof(
  fc
    .record({ basicGroupPrivateIps: fc.integer({ min: 3, max: 12 }), scrubbing }, { requiredKeys: ['scrubbing'] })
    .map(settingsObject),
  scrubbedInstance.map(fields => instanceObject('i-1', fields)),
  fc.constantFrom('eni-1', 'eni-2').chain(id =>
    fc
      .record({
        addresses: fc.uniqueArray(
          memberAddress.filter(text => text !== 'nonsense'),
          { maxLength: 3 },
        ),
        securityGroupIds: fc.uniqueArray(groupId, { maxLength: 2 }),
      })
      .map(fields => eniObject(id, { device: id, ...fields })),
  ),
  fc
    .record({
      id: groupId,
      ports: fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { maxLength: 3 }),
      names: fc.uniqueArray(groupId, { maxLength: 2 }),
      innerAccessPolicy: fc.constantFrom('accept' as const, 'drop' as const),
    })
    .map(({ id, ports, names, innerAccessPolicy }) =>
      groupObject(id, [...ports.map(acceptPort), ...names.map(acceptGroup)], { innerAccessPolicy }),
    ),
  fc.record({ id: groupId, addresses: memberAddresses }).map(({ id, addresses }) => membersObject(id, addresses)),
)
const anyChange = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .array(fc.record({ id: groupId, add: memberAddresses, remove: memberAddresses }), { maxLength: 2 })
      .map(members => ({ members })),
  },
  { weight: 1, arbitrary: fc.array(anyObject, { maxLength: 2 }).map(set => ({ set })) },
  { weight: 1, arbitrary: groupId.map(id => ({ remove: [`members/${id}`] })) },
)

describe('what a view says of traffic scrubbing', () => {
  const addresses = ['198.18.0.2']

  const scrubOf = (objects: readonly ViewObject[]) => viewOf(objects).makePolicy(onEth0).ir?.scrub
  const withInstance = (fields: Partial<ViewInstance>, settings = settingsObject()) => [
    settings,
    instanceObject('i-1', fields),
    ...smallView().slice(2),
  ]

  test('is part of its policy', () => {
    const scrub = scrubOf(
      withInstance(
        {
          instanceType: 'ecs.g5.large',
          ddosThreshold: { bps: 500, pps: 100_000, source: 'auto' },
          scrubbingCancelled: true,
          ddosOrder: { id: 'order-1', action: 'black-hole', holdSeconds: null },
        },
        settingsObject({ trafficScope: 'all', scrubbing: { holdTime: 5, allowList: ['203.0.113.0/24'] } }),
      ),
    )
    assert.deepEqual(
      scrub,
      makeScrubIr(
        [
          {
            instanceType: 'ecs.g5.large',
            addresses,
            maximum: { maxBpsMbit: 1000, maxPps: 300_000 },
            thresholds: { bpsMbit: 500, pps: 100_000, source: 'auto' },
            scrubbing: 'cancelled',
            order: { id: 'order-1', action: 'black-hole', holdSeconds: null },
          },
        ],
        { trafficScope: 'all', holdSeconds: 5, allowList: [parseCidr('203.0.113.0/24')!] },
      ),
    )
  })

  test('changes with its instance and its settings, and is the same value while only members change', () => {
    const view = viewOf(smallView([443], ['198.18.0.9']))
    const scrub = () => view.makePolicy(onEth0).ir?.scrub
    const before = scrub()
    assert.deepEqual(before, makeScrubIr([{ addresses }]))
    view.apply(delta(2, { members: [{ id: 'sg-app', add: ['198.18.0.10'], remove: [] }] }))
    assert.equal(scrub(), before)
    const order = { id: 'order-1', action: 'lift', holdSeconds: null } as const
    view.apply(delta(3, { set: [instanceObject('i-1', { ddosOrder: order })] }))
    assert.deepEqual(scrub(), makeScrubIr([{ addresses, order }]))
    view.apply(delta(4, { set: [settingsObject({ trafficScope: 'all' })] }))
    assert.deepEqual(scrub(), makeScrubIr([{ addresses, order }], { trafficScope: 'all' }))
  })

  test('spares the way to the daemon', () => {
    const controlConnections = [{ address: '198.18.0.9', port: 8444 }]
    const { ir } = viewOf(smallView()).makePolicy({ ...onEth0, controlConnections })
    assert.deepEqual(ir?.scrub.controlConnections, controlConnections)
  })
})

/** The way a policy file goes. */
function checkedAnew(view: View, surroundings: Surroundings) {
  const { policy, problems } = checkPolicy(documentOf(view.image()?.objects() ?? [], surroundings))
  return policy === null ? { ir: null, faults: problems.map(formatProblem) } : { ir: resolvePolicy(policy), faults: [] }
}

test('whatever led to a view, its policy is that of the same view checked anew', () => {
  const both: Surroundings = {
    devices: new Map([
      ['eni-1', 'eth0'],
      ['eni-2', 'eth1'],
    ]),
    controlConnections: [],
    rescue: [],
  }
  let policies = 0
  let faulty = 0
  fc.assert(
    fc.property(
      fc.array(anyChange, { maxLength: 12 }),
      fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
      (changes, narrow) => {
        const view = viewOf(smallView([443], ['198.18.0.9']))
        for (const [index, change] of changes.entries()) {
          view.apply(delta(index + 2, change))
          const surroundings = narrow[index] ? onEth0 : both
          const made = view.makePolicy(surroundings)
          assert.deepEqual(made, checkedAnew(view, surroundings))
          if (made.ir === null) faulty += 1
          else policies += 1
        }
      },
    ),
    { numRuns: 300 },
  )
  assert.ok(policies > 100 && faulty > 100, `${policies} policies and ${faulty} faulty views were compared`)
})
