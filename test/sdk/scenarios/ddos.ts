/** Anti-DDoS, which has no SDK: by generic calls and by pop-core. */
import assert from 'node:assert/strict'
import { keyOf } from '../../../daemon/model/documents.ts'
import { makeEvent } from '../../support/ddos.ts'
import { makeAgent } from '../../support/documents.ts'
import type { Scenarios } from '../../support/sdk/stage.ts'

const product = 'antiddos-public'
const asset = { DdosRegionId: 'local', InstanceType: 'ecs' }

export const ddosScenarios: Scenarios = {
  async 'thresholds are read, set and taken back'({ ask, refused, register }) {
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId: 'local' })
    const { instanceId: InstanceId } = await register('thresholds', [SecurityGroupId])
    const [InternetIp] = await addresses(ask, InstanceId)
    const threshold = async () => {
      const asked = { ...asset, DdosType: 'defense', InstanceIds: [InstanceId] }
      const { Thresholds } = await ask(product, 'DescribeDdosThreshold', asked)
      assert.equal(Thresholds.Threshold.length, 1)
      return Thresholds.Threshold[0]
    }
    assert.equal((await threshold()).IsAuto, true)
    await ask(product, 'ModifyDefenseThreshold', { ...asset, InstanceId, Bps: 100, Pps: 70_000 })
    const { Bps, Pps, IsAuto, DdosType } = await threshold()
    assert.deepEqual([Bps, Pps, IsAuto, DdosType], [100, 70_000, false, 'defense'])
    await ask(product, 'ModifyIpDefenseThreshold', { ...asset, InstanceId, InternetIp, Bps: 200, Pps: 80_000 })
    const one = await ask(product, 'DescribeIpDdosThreshold', { ...asset, DdosType: 'defense', InstanceId, InternetIp })
    assert.deepEqual([one.Threshold.Bps, one.Threshold.InternetIp], [200, InternetIp])
    for (const wrong of [{ Bps: 0, Pps: 1 }, { Bps: 'x', Pps: 1 }, { Bps: 100 }]) {
      await assert.rejects(ask(product, 'ModifyDefenseThreshold', { ...asset, InstanceId, ...wrong }))
    }
    await ask(product, 'ModifyDefenseThreshold', { ...asset, InstanceId, IsAuto: true })
    assert.equal((await threshold()).IsAuto, true)
    await refused('InstanceNotExist', 404, product, 'ModifyDefenseThreshold', {
      ...asset,
      InstanceId: 'i-none',
      Bps: 100,
      Pps: 70_000,
    })
  },

  async 'attacks, and how instances stand'({ ask, refused, register, api, accountId, word }) {
    const { SecurityGroupId } = await ask('ecs', 'CreateSecurityGroup', { RegionId: 'local' })
    const { instanceId: InstanceId } = await register('attacked', [SecurityGroupId])
    const agentId = `agent-${word}`
    const event = makeEvent({ id: `ddos-${word}`, instanceId: InstanceId })
    await api.store.commit({
      writes: [
        { key: keyOf('agent', agentId), value: makeAgent({ id: agentId }) },
        { key: keyOf('ddosEvent', event.id), value: { event, agentId, accountId, createdAtMs: 1, updatedAtMs: 1 } },
      ],
    })
    const list = await ask(product, 'DescribeDdosEventList', { ...asset, InstanceId, CurrentPage: 1, PageSize: 10 })
    assert.deepEqual([list.Total, list.DdosEventList.DdosEvent.length], [1, 1])
    assert.equal(typeof list.DdosEventList.DdosEvent[0].StartTime, 'number')
    const { DdosCount } = await ask(product, 'DescribeDdosCount', asset)
    assert.deepEqual(DdosCount, { InstacenCount: 1, DefenseCount: 0, BlackholeCount: 0 })
    const [InternetIp] = await addresses(ask, InstanceId)
    const { InstanceList } = await ask(product, 'DescribeInstance', { ...asset, InstanceIp: InternetIp })
    assert.deepEqual(
      InstanceList.Instance.map((each: Record<string, string>) => [each.InstanceId, each.InternetIp]),
      [[InstanceId, InternetIp]],
    )
    const located = await ask(product, 'DescribeIpLocationService', { InternetIp })
    assert.equal(located.Instance.InstanceId, InstanceId)
    await refused('InstanceNotExist', 404, product, 'DescribeIpLocationService', { InternetIp: '203.0.113.99' })
    await ask(product, 'ModifyDdosStatus', { ...asset, InstanceId })
    await refused('InstanceNotExist', 404, product, 'ModifyDdosStatus', { ...asset, InstanceId: 'i-none' })
    const { Regions } = await ask(product, 'DescribeRegions')
    assert.deepEqual(
      Regions.Region.map(({ RegionNo }: Record<string, string>) => RegionNo),
      ['local'],
    )
  },
}

async function addresses(ask: Parameters<Scenarios[string]>[0]['ask'], InstanceId: string): Promise<string[]> {
  const { InstanceList } = await ask(product, 'DescribeInstanceIpAddress', { ...asset, InstanceId })
  assert.equal(InstanceList.length, 1)
  return InstanceList[0].IpAddressConfig.map(({ InstanceIp }: { InstanceIp: string }) => InstanceIp)
}
