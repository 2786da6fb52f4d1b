/** Anti-DDoS by the RPC API. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { keyOf } from '../../../daemon/model/documents.ts'
import type { DdosStanding } from '../../../daemon/services/ddos-board.ts'
import type { DdosEvent } from '../../../wire/ddos.ts'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { ended, makeEvent, makeStatus, second } from '../../support/ddos.ts'
import { makeAgent } from '../../support/documents.ts'
import { accountKey, userKey } from '../../support/ram.ts'
import { type RpcKey, rpcCalls } from '../../support/rpc-client.ts'

const asset = { DdosRegionId: 'local', InstanceType: 'ecs' }
const mostMbit = 10_000_000

let api: TestApi
let root: RpcKey
let standings: Map<string, DdosStanding>

beforeEach(async () => {
  standings = new Map()
  api = await startApi({ ddos: () => ({ standingOf: id => standings.get(id), watch: () => () => {} }) })
  root = await accountKey(api)
  await api.store.commit({ writes: [{ key: keyOf('agent', 'agent-1'), value: makeAgent({ id: 'agent-1' }) }] })
  for (const instance of [
    { accountId, instanceId: 'i-1', instanceName: 'web', instanceType: 'ecs.g5.large', agentId: 'agent-1' },
    { accountId, instanceId: 'i-2' },
    { accountId: otherAccountId, instanceId: 'i-b' },
  ]) {
    const made = await api.request('POST', '/v1/instances', instance)
    assert.equal(made.status, 201)
  }
  for (const [instanceId, privateIpAddresses] of [
    ['i-1', ['198.18.0.10', '198.18.0.11']],
    ['i-b', ['198.18.9.1']],
  ] as const) {
    const body = { instanceId, privateIpAddresses, ...(instanceId === 'i-1' && { ipv6Addresses: ['2001:db8::1'] }) }
    const made = await api.request('POST', '/v1/network-interfaces', body)
    assert.equal(made.status, 201, JSON.stringify(made.body))
  }
})
afterEach(() => api[Symbol.asyncDispose]())

const { call, did } = rpcCalls(
  () => api.app,
  () => root,
  { always: asset, version: '2017-05-18' },
)
async function thresholdOf(InstanceId: string, DdosType = 'defense') {
  const { Thresholds } = await did('DescribeDdosThreshold', { DdosType, InstanceIds: [InstanceId] })
  assert.equal(Thresholds.Threshold.length, 1)
  return Thresholds.Threshold[0]
}
async function happened(...events: readonly DdosEvent[]) {
  await api.store.commit({
    writes: events.map(event => ({
      key: keyOf('ddosEvent', event.id),
      value: {
        event,
        agentId: 'agent-1',
        accountId: event.instanceId === 'i-b' ? otherAccountId : accountId,
        createdAtMs: 1,
        updatedAtMs: 1,
      },
    })),
  })
}
const stands = (instanceId: string, status: Parameters<typeof makeStatus>[0]) =>
  standings.set(instanceId, { agentId: 'agent-1', status: makeStatus(status) })

describe('thresholds', () => {
  test('are those of the type, and what is set, and told in full', async () => {
    const ofType = {
      InstanceId: 'i-1',
      InternetIp: '198.18.0.10',
      DdosType: 'defense',
      Bps: 1000,
      Pps: 300_000,
      MaxBps: 1000,
      MaxPps: 300_000,
      ElasticBps: 5000,
      IsAuto: true,
    }
    assert.deepEqual(await thresholdOf('i-1'), ofType)
    await did('ModifyDefenseThreshold', { InstanceId: 'i-1', Bps: 100, Pps: 70_000 })
    assert.deepEqual(await thresholdOf('i-1'), { ...ofType, Bps: 100, Pps: 70_000, IsAuto: false })
    assert.deepEqual(api.world.get('instance', 'i-1')?.ddosThreshold, { bps: 100, pps: 70_000, source: 'manual' })
    await did('ModifyIpDefenseThreshold', { InstanceId: 'i-1', InternetIp: '2001:0DB8::1', Bps: 200, Pps: 80_000 })
    const { Threshold } = await did('DescribeIpDdosThreshold', {
      DdosType: 'defense',
      InstanceId: 'i-1',
      InternetIp: '198.18.0.11',
    })
    assert.deepEqual(Threshold, { ...ofType, InternetIp: '198.18.0.11', Bps: 200, Pps: 80_000, IsAuto: false })
    await did('ModifyDefenseThreshold', { InstanceId: 'i-1', IsAuto: true })
    assert.deepEqual(await thresholdOf('i-1'), ofType)
  })

  test('of a black hole are those of the settings, or the own one where that is higher', async () => {
    const { Bps, Pps, DdosType } = await thresholdOf('i-1', 'blackhole')
    assert.deepEqual([DdosType, Bps, Pps], ['blackhole', 5000, 0])
    await api.request('PATCH', '/v1/settings', { scrubbing: { blackHoleThreshold: 600 } })
    assert.equal((await thresholdOf('i-1', 'blackhole')).Bps, 1000)
    await api.request('PATCH', '/v1/settings', { scrubbing: { blackHoleThreshold: 0 } })
    assert.equal((await thresholdOf('i-1', 'blackhole')).Bps, mostMbit)
  })

  test('are the largest there can be where there is none, and listed for the account', async () => {
    const { Bps, MaxBps, InternetIp, IsAuto } = await thresholdOf('i-2')
    assert.deepEqual([Bps, MaxBps, InternetIp, IsAuto], [mostMbit, mostMbit, '', true])
    const { Thresholds } = await did('DescribeDdosThreshold', { DdosType: 'defense' })
    assert.deepEqual(
      Thresholds.Threshold.map(({ InstanceId }: { InstanceId: string }) => InstanceId),
      ['i-1', 'i-2'],
    )
  })

  const change = { InstanceId: 'i-1', Bps: 1, Pps: 1 }
  const rows: readonly [string, object, string][] = [
    ['ModifyDefenseThreshold', { ...change, Bps: 1001 }, '400 InvalidParameter'],
    ['ModifyDefenseThreshold', { ...change, Pps: 300_001 }, '400 InvalidParameter'],
    ['ModifyDefenseThreshold', { ...change, Bps: 0 }, '400 InvalidParameter'],
    ['ModifyDefenseThreshold', { ...change, Pps: -1 }, '400 InvalidParameter'],
    ['ModifyDefenseThreshold', { ...change, Bps: 'many' }, '400 InvalidParameter'],
    ['ModifyDefenseThreshold', { ...change, IsAuto: 'perhaps' }, '400 InvalidParameter'],
    ['ModifyDefenseThreshold', { InstanceId: 'i-1', Bps: 1 }, '400 MissingParameter'],
    ['ModifyDefenseThreshold', { InstanceId: 'i-1' }, '400 MissingParameter'],
    ['ModifyDefenseThreshold', { Bps: 1, Pps: 1 }, '400 MissingParameter.InstanceId'],
    ['ModifyDefenseThreshold', { ...change, DdosRegionId: undefined }, '400 MissingParameter.DdosRegionId'],
    ['ModifyDefenseThreshold', { ...change, InstanceId: 'i-9' }, '404 InstanceNotExist'],
    ['ModifyDefenseThreshold', { ...change, InstanceId: 'i-b' }, '404 InstanceNotExist'],
    ['ModifyDefenseThreshold', { ...change, InstanceType: 'eip' }, '404 InstanceNotExist'],
    ['ModifyDefenseThreshold', { ...change, InstanceType: 'car' }, '400 InvalidParameter'],
    ['ModifyDefenseThreshold', { ...change, InternetIp: '198.18.9.1' }, '400 InvalidParameter'],
    ['ModifyIpDefenseThreshold', change, '400 MissingParameter.InternetIp'],
    ['DescribeDdosThreshold', {}, '400 MissingParameter.DdosType'],
    ['DescribeDdosThreshold', { DdosType: 'flood' }, '400 InvalidParameter'],
    ['DescribeDdosThreshold', { DdosType: 'defense', InstanceIds: ['i-1', 'i-9'] }, '404 InstanceNotExist'],
    ['DescribeIpDdosThreshold', { DdosType: 'defense', InstanceId: 'i-1' }, '400 MissingParameter.InternetIp'],
    ['DescribeIpDdosThreshold', { DdosType: 'defense', InstanceId: 'i-1', InternetIp: 'x' }, '400 InvalidParameter'],
  ]
  for (const [action, parameters, expected] of rows) {
    test(`${action} ${JSON.stringify(parameters)}: ${expected}`, async () => {
      const { revision } = api.world
      const { status, Code, Message } = await call(action, parameters)
      assert.equal(`${status} ${Code}`, expected, Message)
      assert.doesNotMatch(Message, /NotFound/)
      assert.equal(api.world.revision, revision)
    })
  }
})

describe('attacks', () => {
  const running = makeEvent({ id: 'ddos-1', startTime: second(100), changes: [] })
  const over = ended(
    makeEvent({
      id: 'ddos-2',
      blackHoles: 1,
      changes: [
        { time: second(0), kind: 'start', message: 'began' },
        { time: second(5), kind: 'black-hole', message: 'black-holed' },
        { time: second(60), kind: 'lift', message: 'lifted' },
      ],
    }),
  )

  test('are listed newest first, with times in milliseconds', async () => {
    await happened(running, over, makeEvent({ id: 'ddos-b', instanceId: 'i-b' }))
    const { Total, DdosEventList } = await did('DescribeDdosEventList', { InstanceId: 'i-1' })
    assert.equal(Total, 2)
    const ms = (seconds: number) => Date.parse(second(seconds))
    assert.deepEqual(DdosEventList.DdosEvent, [
      {
        DdosType: 'defense',
        DdosStatus: 'mitigating',
        StartTime: ms(100),
        EndTime: 0,
        DelayTime: ms(100),
        UnBlackholeTime: 0,
      },
      {
        DdosType: 'blackhole',
        DdosStatus: 'normal',
        StartTime: ms(0),
        EndTime: ms(90),
        DelayTime: ms(5),
        UnBlackholeTime: ms(60),
      },
    ])
    const all = await did('DescribeDdosEventList', { CurrentPage: 2, PageSize: 1, InternetIp: '198.18.0.11' })
    assert.deepEqual([all.Total, all.DdosEventList.DdosEvent.length], [2, 1])
    assert.equal((await did('DescribeDdosEventList', { QueryDays: 1 })).Total, 0)
    assert.equal((await did('DescribeDdosEventList', { InstanceType: 'slb' })).Total, 0)
  })

  test('in a black hole say when it will be lifted', async () => {
    await happened({ ...running, phase: 'black-hole', blackHoles: 1 })
    const blackHole = { endTime: second(1800), holdSeconds: 1800, isManual: false }
    stands('i-1', { instanceId: 'i-1', phase: 'black-hole', eventId: 'ddos-1', blackHole })
    const { DdosEventList } = await did('DescribeDdosEventList', { InstanceId: 'i-1' })
    assert.partialDeepStrictEqual(DdosEventList.DdosEvent[0], {
      DdosType: 'blackhole',
      DdosStatus: 'blackholed',
      UnBlackholeTime: Date.parse(second(1800)),
    })
  })

  test('of an instance that is not there, or by another’s address, are refused', async () => {
    await happened(running)
    assert.equal((await call('DescribeDdosEventList', { InstanceId: 'i-b' })).Code, 'InstanceNotExist')
    const other = await call('DescribeDdosEventList', { InstanceId: 'i-1', InternetIp: '198.18.9.1' })
    assert.equal(other.Code, 'InvalidParameter')
    assert.equal((await call('DescribeDdosEventList', { PageSize: 51 })).Code, 'InvalidParameter')
  })

  test('are counted by how instances stand', async () => {
    const count = async () => (await did('DescribeDdosCount')).DdosCount
    assert.deepEqual(await count(), { InstacenCount: 2, DefenseCount: 0, BlackholeCount: 0 })
    stands('i-1', { instanceId: 'i-1', phase: 'uncleaned' })
    stands('i-2', { instanceId: 'i-2', phase: 'black-hole' })
    assert.deepEqual(await count(), { InstacenCount: 2, DefenseCount: 1, BlackholeCount: 1 })
    assert.equal((await call('DescribeDdosCount', { InstanceType: 'x' })).Code, 'InvalidParameter')
  })
})

describe('instances', () => {
  const shown = {
    DefenseBpsThreshold: 1000,
    DefensePpsThreshold: 300_000,
    BlackholeThreshold: 5000,
    ElasticThreshold: 5000,
    IsBgppack: false,
  }

  test('are listed with their addresses, plainly', async () => {
    stands('i-1', { instanceId: 'i-1', phase: 'cleaning' })
    const { Total, InstanceList } = await did('DescribeInstanceIpAddress')
    assert.equal(Total, 2)
    assert.deepEqual(InstanceList[0], {
      InstanceId: 'i-1',
      InstanceName: 'web',
      InstanceType: 'ecs',
      IpAddressConfig: (
        [
          ['198.18.0.10', 'v4'],
          ['198.18.0.11', 'v4'],
          ['2001:db8::1', 'v6'],
        ] as const
      ).map(([InstanceIp, IpVersion]) => ({
        InstanceIp,
        IpVersion,
        ...shown,
        IpStatus: 'mitigating',
        RegionId: 'local',
      })),
    })
    assert.deepEqual(InstanceList[1].IpAddressConfig, [])
    const idsOf = async (parameters: object) =>
      (await did('DescribeInstanceIpAddress', parameters)).InstanceList.map(
        ({ InstanceId }: { InstanceId: string }) => InstanceId,
      )
    assert.deepEqual(await idsOf({ DdosStatus: 'normal' }), ['i-2'])
    assert.deepEqual(await idsOf({ DdosStatus: 'mitigating', InstanceIp: '198.18.0.11' }), ['i-1'])
    assert.deepEqual(await idsOf({ InstanceName: 'web' }), ['i-1'])
    assert.deepEqual(await idsOf({ InstanceId: 'i-b' }), [])
    assert.deepEqual(await idsOf({ CurrentPage: 2, PageSize: 1 }), ['i-2'])
    assert.equal((await call('DescribeInstanceIpAddress', { DdosStatus: 'fine' })).Code, 'InvalidParameter')
  })

  test('are listed by address', async () => {
    const { Total, InstanceList } = await did('DescribeInstance', { InstanceIp: '198.18.0.11' })
    assert.equal(Total, 1)
    assert.deepEqual(InstanceList.Instance, [
      {
        InstanceId: 'i-1',
        InstanceName: 'web',
        InstanceType: 'ecs',
        InternetIp: '198.18.0.11',
        InstanceStatus: 'normal',
        InstanceIp: '198.18.0.11',
        IpVersion: 'v4',
        ...shown,
      },
    ])
    assert.equal((await did('DescribeInstance')).Total, 4)
    assert.equal((await did('DescribeInstance', { InstanceType: 'slb' })).Total, 0)
    assert.equal((await call('DescribeInstance', { CurrentPage: 0 })).Code, 'InvalidParameter')
  })

  test('are found by an address', async () => {
    const { Instance } = await did('DescribeIpLocationService', { InternetIp: '2001:DB8:0::1' })
    assert.deepEqual([Instance.InstanceId, Instance.Region, Instance.InternetIp], ['i-1', 'local', '2001:db8::1'])
    const none = await call('DescribeIpLocationService', { InternetIp: '198.18.9.1' })
    assert.deepEqual([none.status, none.Code], [404, 'InstanceNotExist'])
  })

  test('are no longer cleaned', async () => {
    await did('ModifyDdosStatus', { InstanceId: 'i-1' })
    assert.equal(api.world.get('instance', 'i-1')?.scrubbingCancelled, true)
    assert.equal((await call('ModifyDdosStatus', { InstanceId: 'i-b' })).Code, 'InstanceNotExist')
    assert.equal((await call('ModifyDdosStatus', { InstanceId: 'i-2', InternetIp: '198.18.0.10' })).status, 400)
  })
})

test('the region is told, and what there is not is refused with the reason', async () => {
  const { Regions } = await did('DescribeRegions')
  assert.equal(Regions.Region[0].RegionNo, 'local')
  for (const action of ['DescribeCap', 'DescribeDdosCredit', 'DescribeBgpPackByIp']) {
    const { status, Code, Message } = await call(action)
    assert.deepEqual([status, Code], [400, 'UnsupportedOperation'])
    assert.match(Message, new RegExp(`Cannot carry out ${action} yet: \\w+`))
  }
})

test('users may what policies say, and the audit log has it', async () => {
  const key = await userKey(api, 'ops', {
    looks: [{ Effect: 'Allow', Action: 'yundun-ddos:Describe*', Resource: '*' }],
  })
  assert.equal((await call('DescribeDdosThreshold', { DdosType: 'defense' }, key)).status, 200)
  for (const [action, parameters] of [
    ['ModifyDefenseThreshold', { InstanceId: 'i-1', Bps: 1, Pps: 1 }],
    ['ModifyDdosStatus', { InstanceId: 'i-1' }],
  ] as const) {
    const { status, Code, AccessDeniedDetail } = await call(action, parameters, key)
    assert.deepEqual([status, Code], [403, 'Forbidden.RAM'])
    assert.equal(AccessDeniedDetail.AuthAction, `yundun-ddos:${action}`)
  }
  const none = await userKey(api, 'nobody', {})
  const actions = ['DescribeDdosEventList', 'DescribeDdosCount', 'DescribeInstance', 'DescribeInstanceIpAddress']
  for (const action of actions) assert.equal((await call(action, {}, none)).Code, 'Forbidden.RAM', action)
  await did('ModifyDefenseThreshold', { InstanceId: 'i-1', Bps: 1, Pps: 1 })
  await api.audit.settled()
  const { items } = (await api.request('GET', '/v1/audit?action=yundun-ddos:ModifyDefenseThreshold')).body
  assert.deepEqual(
    items.map(({ outcome }: { outcome: string }) => outcome),
    ['done', 'refused'],
  )
})
