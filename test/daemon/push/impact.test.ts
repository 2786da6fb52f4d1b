/** Which agents hear of which change. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { World } from '../../../daemon/state/world.ts'
import type { Write } from '../../../daemon/store/store.ts'
import { defaultLimits } from '../../../rules-compiler/model/policy.ts'
import {
  impactOn,
  makeAgent,
  makeEniDoc,
  makeGroup,
  makeInstance,
  makePrefixList,
  makeRuleDoc,
  put,
  worldOf,
} from '../../support/documents.ts'

const eni1 = makeEniDoc({ id: 'eni-1', instanceId: 'i-1', addresses: ['198.18.0.1'], securityGroupIds: ['sg-db'] })
const eni2 = makeEniDoc({ id: 'eni-2', instanceId: 'i-2', addresses: ['198.18.0.2'], securityGroupIds: ['sg-app'] })
const database = makeGroup({
  id: 'sg-db',
  rules: [
    makeRuleDoc({ id: 'sgr-1', sourceGroupId: 'sg-app' }),
    makeRuleDoc({ id: 'sgr-2', sourcePrefixListId: 'pl-1' }),
  ],
})
const application = makeGroup({ id: 'sg-app' })

/** agent-1 serves a database that lets sg-app in, agent-2 an application, agent-3 nothing. */
const world: World = worldOf(
  ...['agent-1', 'agent-2', 'agent-3'].map(id => put('agent', makeAgent({ id }))),
  put('instance', makeInstance({ id: 'i-1', agentId: 'agent-1' })),
  put('instance', makeInstance({ id: 'i-2', agentId: 'agent-2' })),
  put('instance', makeInstance({ id: 'i-none' })),
  put('eni', eni1),
  put('eni', eni2),
  put('group', database),
  put('group', application),
  put('prefixList', makePrefixList('pl-1', ['203.0.113.0/24'])),
  { key: 'settings/fleet', value: { sessionTimeout: 910, revocation: 'immediate', limits: defaultLimits } },
)

interface Row {
  readonly name: string
  readonly writes: readonly Write[]
  readonly viewKeys: readonly string[]
  readonly agentIds: readonly string[]
}

const served = makeInstance({ id: 'i-1', agentId: 'agent-1' })
const all = ['agent-1', 'agent-2', 'agent-3']
const rows: readonly Row[] = [
  { name: 'nothing', writes: [], viewKeys: [], agentIds: [] },
  { name: 'a group’s name', writes: [put('group', { ...database, name: 'x' })], viewKeys: [], agentIds: [] },
  {
    name: 'the time a rule was made',
    writes: [put('group', { ...database, rules: database.rules.map(rule => ({ ...rule, createdAtMs: 9 })) })],
    viewKeys: [],
    agentIds: [],
  },
  {
    name: 'a rule',
    writes: [put('group', { ...database, rules: [] })],
    viewKeys: ['group/sg-db'],
    agentIds: ['agent-1'],
  },
  {
    name: 'the mode of a group',
    writes: [put('group', { ...database, mode: 'observe' })],
    viewKeys: ['group/sg-db'],
    agentIds: ['agent-1'],
  },
  {
    name: 'the mode of an ENI',
    writes: [put('eni', { ...eni2, mode: 'observe' })],
    viewKeys: ['eni/eni-2'],
    agentIds: ['agent-2'],
  },
  {
    name: 'inner access of a group, whose members are told then',
    writes: [put('group', { ...application, innerAccessPolicy: 'accept' })],
    viewKeys: ['group/sg-app'],
    agentIds: ['agent-2'],
  },
  {
    name: 'who joins a group that another names',
    writes: [
      put(
        'eni',
        makeEniDoc({ id: 'eni-3', instanceId: 'i-none', addresses: ['198.18.0.3'], securityGroupIds: ['sg-app'] }),
      ),
    ],
    viewKeys: ['eni/eni-3', 'members/sg-app'],
    agentIds: ['agent-1'],
  },
  {
    name: 'who joins a group that nobody sees',
    writes: [
      put(
        'eni',
        makeEniDoc({ id: 'eni-3', instanceId: 'i-none', addresses: ['198.18.0.3'], securityGroupIds: ['sg-db'] }),
      ),
    ],
    viewKeys: ['eni/eni-3', 'members/sg-db'],
    agentIds: [],
  },
  {
    name: 'an address that another ENI of the group has as well',
    writes: [
      put(
        'eni',
        makeEniDoc({ id: 'eni-3', instanceId: 'i-none', addresses: ['198.18.0.2'], securityGroupIds: ['sg-app'] }),
      ),
    ],
    viewKeys: ['eni/eni-3'],
    agentIds: [],
  },
  {
    name: 'an ENI that takes the place of another in a group, address and all',
    writes: [
      { key: 'eni/eni-2', value: null },
      put(
        'eni',
        makeEniDoc({ id: 'eni-3', instanceId: 'i-none', addresses: ['198.18.0.2'], securityGroupIds: ['sg-app'] }),
      ),
    ],
    viewKeys: ['eni/eni-2', 'eni/eni-3'],
    agentIds: ['agent-2'],
  },
  {
    name: 'an ENI’s description',
    writes: [put('eni', { ...eni1, description: 'x' })],
    viewKeys: [],
    agentIds: [],
  },
  {
    name: 'an ENI that moves to an instance of another agent',
    writes: [put('eni', { ...eni1, instanceId: 'i-2' })],
    viewKeys: ['eni/eni-1'],
    agentIds: ['agent-1', 'agent-2'],
  },
  {
    name: 'an ENI of no instance, which is in its groups all the same',
    writes: [
      put(
        'eni',
        makeEniDoc({ id: 'eni-3', instanceId: null, addresses: ['198.18.0.3'], securityGroupIds: ['sg-app'] }),
      ),
    ],
    viewKeys: ['eni/eni-3', 'members/sg-app'],
    agentIds: ['agent-1'],
  },
  {
    name: 'an ENI that is taken from its instance: out of its agent’s view, and in its groups as before',
    writes: [put('eni', { ...eni2, instanceId: null })],
    viewKeys: ['eni/eni-2'],
    agentIds: ['agent-2'],
  },
  {
    name: 'an instance that changes agent',
    writes: [put('instance', makeInstance({ id: 'i-1', agentId: 'agent-3' }))],
    viewKeys: [],
    agentIds: ['agent-1', 'agent-3'],
  },
  {
    name: 'an instance and its ENI, new together',
    writes: [
      put('instance', makeInstance({ id: 'i-3', agentId: 'agent-3' })),
      put('eni', makeEniDoc({ id: 'eni-3', instanceId: 'i-3' })),
    ],
    viewKeys: ['eni/eni-3', 'instance/i-3'],
    agentIds: ['agent-3'],
  },
  {
    name: 'a prefix list',
    writes: [put('prefixList', makePrefixList('pl-1', []))],
    viewKeys: ['prefixList/pl-1'],
    agentIds: ['agent-1'],
  },
  {
    name: 'a prefix list that no rule names',
    writes: [put('prefixList', makePrefixList('pl-2', []))],
    viewKeys: ['prefixList/pl-2'],
    agentIds: [],
  },
  {
    name: 'a threshold of an instance',
    writes: [put('instance', { ...served, ddosThreshold: { bps: 1, pps: 1, source: 'manual' } })],
    viewKeys: ['instance/i-1'],
    agentIds: ['agent-1'],
  },
  {
    name: 'scrubbing that is cancelled, and an order',
    writes: [
      put('instance', {
        ...served,
        scrubbingCancelled: true,
        ddosOrder: { id: 'order-1', action: 'lift', holdSeconds: null },
      }),
    ],
    viewKeys: ['instance/i-1'],
    agentIds: ['agent-1'],
  },
  {
    name: 'how long events are kept',
    writes: [{ key: 'settings/fleet', value: { ...world.settings, ddosEvents: { keptDays: 1 } } }],
    viewKeys: [],
    agentIds: [],
  },
  {
    name: 'whose traffic is cleaned',
    writes: [{ key: 'settings/fleet', value: { ...world.settings, trafficScope: 'all', scrubbing: { holdTime: 9 } } }],
    viewKeys: ['settings/fleet'],
    agentIds: all,
  },
  {
    name: 'settings',
    writes: [{ key: 'settings/fleet', value: { sessionTimeout: 60, revocation: 'drain', limits: defaultLimits } }],
    viewKeys: ['settings/fleet'],
    agentIds: all,
  },
  {
    name: 'an agent’s own document',
    writes: [put('agent', makeAgent({ id: 'agent-1', hostName: 'x' }))],
    viewKeys: [],
    agentIds: [],
  },
]

describe('a change of', () => {
  for (const { name, writes, viewKeys, agentIds } of rows) {
    test(name, () => {
      assert.deepEqual(impactOn(world, writes), { viewKeys, agentIds })
    })
  }
})
