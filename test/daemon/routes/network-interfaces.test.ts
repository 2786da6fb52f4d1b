/** Instances, network interfaces, joining and leaving: what the API makes of them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, otherAccountId, startApi, type TestApi } from '../../support/api.ts'
import { macs, makeFleet, post } from '../../support/fleet-state.ts'

const enis = '/v1/network-interfaces'
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
type Shown = any

describe('a small fleet', () => {
  let api: TestApi
  before(async () => {
    api = await startApi()
    await makeFleet(api)
  })
  after(() => api[Symbol.asyncDispose]())

  test('an ENI by its device alone is what the agent reported, without what is on every device', async () => {
    const { networkInterface } = (await api.request('GET', `${enis}/eni-1`)).body
    const { macAddress, device, privateIpAddresses, ipv6Addresses, type } = networkInterface
    assert.deepEqual(
      { macAddress, device, privateIpAddresses, ipv6Addresses, type },
      { macAddress: macs.eth0, device: null, privateIpAddresses: ['198.18.0.1'], ipv6Addresses: [], type: 'Primary' },
    )
    const other = await post(api, enis, { instanceId: 'i-4', device: 'eth1', securityGroupIds: ['sg-1'] })
    const made = other.networkInterface as Record<string, unknown>
    assert.deepEqual(made.privateIpAddresses, ['198.18.0.90'])
    assert.deepEqual(made.ipv6Addresses, ['2001:db8::90'])
    assert.equal(made.privateIpAddress, '198.18.0.90')
  })

  test('where several devices have the MAC address, the name tells them apart', async () => {
    const { networkInterface } = await post(api, enis, {
      instanceId: 'i-4',
      device: 'br0',
      securityGroupIds: ['sg-1'],
    })
    const { macAddress, device, type } = networkInterface as Record<string, unknown>
    assert.deepEqual({ macAddress, device, type }, { macAddress: macs.shared, device: 'br0', type: 'Secondary' })
  })

  test('an ENI without groups gets the default group of its account and network, made once', async () => {
    const groupIds = []
    for (const [instanceId, vpcId] of [
      ['i-da', 'vpc-d'],
      ['i-db', 'vpc-d'],
      ['i-dc', 'vpc-e'],
    ]) {
      await post(api, '/v1/instances', { accountId, instanceId })
      const { networkInterface } = await post(api, enis, { instanceId, vpcId })
      groupIds.push(...(networkInterface as { securityGroupIds: string[] }).securityGroupIds)
    }
    const [first, second, third] = groupIds
    assert.equal(first, second)
    assert.notEqual(first, third)
    const { securityGroup } = (await api.request('GET', `/v1/security-groups/${third}`)).body
    assert.deepEqual(
      { isDefault: securityGroup.isDefault, vpcId: securityGroup.vpcId },
      { isDefault: true, vpcId: 'vpc-e' },
    )
  })

  test('the default group and the ENI that needs it are one commit', async () => {
    await post(api, '/v1/instances', { accountId, instanceId: 'i-one' })
    const head = api.store.head()
    await post(api, enis, { networkInterfaceId: 'eni-one', instanceId: 'i-one', networkType: 'classic' })
    assert.equal(api.store.head(), head + 1)
    const [commit] = await api.store.history(head + 1, 1)
    assert.deepEqual(
      commit!.changes.map(({ key }) => key.replace(/sg-.*/, 'sg-…')),
      ['group/sg-…', 'eni/eni-one'],
    )
  })

  test('the network is that of the first group, or of the primary ENI, where none is given', async () => {
    await post(api, '/v1/instances', { accountId, instanceId: 'i-net' })
    const byGroup = await post(api, enis, { instanceId: 'i-net', securityGroupIds: ['sg-vpc1'] })
    assert.equal((byGroup.networkInterface as { vpcId: string }).vpcId, 'vpc-1')
    const byPrimary = await post(api, enis, { instanceId: 'i-net', securityGroupIds: [] })
    assert.equal((byPrimary.networkInterface as { vpcId: string }).vpcId, 'vpc-1')
  })

  test('the same address is two in two networks', async () => {
    await post(api, '/v1/instances', { accountId, instanceId: 'i-same' })
    const common = { instanceId: 'i-same', privateIpAddresses: ['198.18.0.2'], securityGroupIds: [] }
    await post(api, enis, { ...common, vpcId: 'vpc-s' })
    await post(api, enis, { ...common, networkType: 'classic', nicType: 'intranet' })
    const found = await api.request('GET', `${enis}?address=198.18.0.2`)
    assert.deepEqual(
      found.body.items.map((item: { vpcId: unknown }) => item.vpcId).sort(),
      [null, null, 'vpc-s'].sort(),
    )
  })

  test('addresses and MAC addresses are stored as the kernel prints them', async () => {
    await post(api, '/v1/instances', { accountId, instanceId: 'i-canon' })
    const { networkInterface } = await post(api, enis, {
      instanceId: 'i-canon',
      macAddress: '02-AB-cd-00-00-09',
      ipv6Addresses: ['2001:DB8:0:0:0:0:0:00a'],
      securityGroupIds: [],
    })
    const { macAddress, ipv6Addresses, privateIpAddress } = networkInterface as Record<string, unknown>
    assert.deepEqual(
      { macAddress, ipv6Addresses, privateIpAddress },
      { macAddress: '02:ab:cd:00:00:09', ipv6Addresses: ['2001:db8::a'], privateIpAddress: null },
    )
  })

  test('a change of one family leaves the other alone, null clears, and nothing is written where nothing changes', async () => {
    await post(api, '/v1/instances', { accountId, instanceId: 'i-mod' })
    await post(api, enis, {
      networkInterfaceId: 'eni-mod',
      instanceId: 'i-mod',
      device: 'eth7',
      privateIpAddresses: ['198.18.7.1'],
      ipv6Addresses: ['2001:db8::71'],
      securityGroupIds: ['sg-1'],
      description: 'old',
    })
    const patch = {
      privateIpAddresses: ['198.18.7.2', '198.18.7.1'],
      device: null,
      description: null,
      tags: { a: 'b' },
    }
    const changed = await api.request('PATCH', `${enis}/eni-mod`, patch)
    const { privateIpAddress, ipv6Addresses, device, description, tags } = changed.body.networkInterface
    assert.deepEqual(
      { privateIpAddress, ipv6Addresses, device, description, tags },
      {
        privateIpAddress: '198.18.7.2',
        ipv6Addresses: ['2001:db8::71'],
        device: null,
        description: null,
        tags: { a: 'b' },
      },
    )
    const head = api.store.head()
    const again = await api.request('PATCH', `${enis}/eni-mod`, patch)
    assert.deepEqual([again.status, again.body.revision, api.store.head()], [200, head, head])
  })

  test('joining is all or nothing, of an instance its primary ENI, and idempotent', async () => {
    const join = { instanceIds: ['i-1', 'i-6'], networkInterfaceIds: ['eni-2', 'eni-1'] }
    const joined = await api.request('POST', '/v1/security-groups/sg-3/join', join)
    assert.deepEqual(joined.body.networkInterfaceIds, ['eni-1', 'eni-6', 'eni-2'])
    assert.deepEqual([...api.world.enisOfGroup('sg-3')].sort(), ['eni-1', 'eni-2', 'eni-6'])
    const head = api.store.head()
    assert.equal((await api.request('POST', '/v1/security-groups/sg-3/join', join)).status, 200)
    assert.equal(api.store.head(), head)
    const refused = await api.request('POST', '/v1/security-groups/sg-4/join', {
      networkInterfaceIds: ['eni-1', 'eni-3'],
    })
    assert.deepEqual([refused.status, refused.body.errors[0].field], [400, 'networkInterfaceIds[1]'])
    assert.equal(api.world.enisOfGroup('sg-4').size, 0)
    const left = await api.request('POST', '/v1/security-groups/sg-3/leave', join)
    assert.deepEqual([left.status, api.world.enisOfGroup('sg-3').size], [200, 0])
  })

  test('an ENI that has no policy yet may join, and keeps one group from then on', async () => {
    await api.request('POST', '/v1/security-groups/sg-5/join', { instanceIds: ['i-5'] })
    const left = await api.request('POST', '/v1/security-groups/sg-5/leave', { instanceIds: ['i-5'] })
    assert.deepEqual([left.status, left.body.code], [409, 'InstanceLastSecurityGroup'])
    assert.deepEqual(api.world.get('eni', 'eni-5')?.securityGroupIds, ['sg-5'])
  })

  test('an instance goes with its ENIs, in one commit', async () => {
    await post(api, '/v1/instances', { accountId, instanceId: 'i-gone' })
    for (const id of ['eni-g1', 'eni-g2']) {
      await post(api, enis, { networkInterfaceId: id, instanceId: 'i-gone', securityGroupIds: ['sg-6'] })
    }
    assert.equal((await api.request('DELETE', `${enis}/eni-g1`)).body.heldBy.networkInterfaceIds[0], 'eni-g2')
    const head = api.store.head()
    assert.deepEqual((await api.request('DELETE', '/v1/instances/i-gone')).body, {
      instanceId: 'i-gone',
      revision: head + 1,
    })
    assert.equal(api.world.enisOfGroup('sg-6').size, 0)
    assert.equal((await api.request('GET', `${enis}/eni-g2`)).status, 404)
  })

  test('an unknown instance type is taken, and port 25 is opened and closed', async () => {
    const { instance } = await post(api, '/v1/instances', { accountId, instanceType: 'my.own', instanceName: 'mail' })
    const { instanceId } = instance as { instanceId: string }
    for (const smtpUnblocked of [true, false]) {
      const answer = await api.request('PATCH', `/v1/instances/${instanceId}`, { smtpUnblocked })
      assert.equal(answer.body.instance.smtpUnblocked, smtpUnblocked)
    }
    const cleared = await api.request('PATCH', `/v1/instances/${instanceId}`, {
      instanceType: null,
      instanceName: null,
    })
    assert.deepEqual([cleared.body.instance.instanceType, cleared.body.instance.instanceName], [null, null])
  })

  test('an ENI of no instance is in its groups, and is attached and detached', async () => {
    const body = { networkInterfaceId: 'eni-free', securityGroupIds: ['sg-1'], privateIpAddresses: ['198.18.0.80'] }
    const { networkInterface } = await post(api, enis, { ...body, networkInterfaceName: 'free', vSwitchId: 'vsw-1' })
    const { accountId: owner, instanceId, type, networkInterfaceName, vSwitchId } = networkInterface as Shown
    assert.deepEqual(
      { owner, instanceId, type, networkInterfaceName, vSwitchId },
      { owner: accountId, instanceId: null, type: 'Secondary', networkInterfaceName: 'free', vSwitchId: 'vsw-1' },
    )
    assert.ok(api.world.membersOf('sg-1').has('198.18.0.80'))
    const members = (await api.request('GET', '/v1/security-groups/sg-1/members')).body.items
    assert.equal(members.find((each: Shown) => each.networkInterfaceId === 'eni-free').instanceId, null)
    // What its groups say can be asked before it is anywhere.
    const { verdict } = (
      await api.request('POST', '/v1/explain', {
        networkInterfaceId: 'eni-free',
        direction: 'ingress',
        protocol: 'tcp',
        source: '203.0.113.9',
        destination: '198.18.0.80',
        port: 22,
      })
    ).body
    assert.equal(verdict, 'drop')

    const attached = await post(api, `${enis}/eni-free/attach`, { instanceId: 'i-1', device: 'tap0' })
    const { device, privateIpAddress, type: attachedType } = attached.networkInterface as Shown
    assert.deepEqual([device, privateIpAddress, attachedType], ['tap0', '198.18.0.80', 'Secondary'])
    const again = await api.request('POST', `${enis}/eni-free/attach`, { instanceId: 'i-2' })
    assert.deepEqual([again.status, again.body.code], [409, 'InvalidOperation.InvalidEniState'])
    const elsewhere = await api.request('POST', `${enis}/eni-free/detach`, { instanceId: 'i-2' })
    assert.deepEqual([elsewhere.status, elsewhere.body.code], [409, 'InvalidOperation.InvalidEniState'])
    const primary = await api.request('POST', `${enis}/eni-1/detach`, {})
    assert.deepEqual([primary.status, primary.body.code], [409, 'InvalidOperation.DetachPrimaryEniNotAllowed'])
    const detached = await post(api, `${enis}/eni-free/detach`, { instanceId: 'i-1' })
    const { instanceId: none, device: gone, securityGroupIds } = detached.networkInterface as Shown
    assert.deepEqual([none, gone, securityGroupIds], [null, null, ['sg-1']])
    assert.equal((await api.request('DELETE', `${enis}/eni-free`)).status, 200)
    assert.ok(!api.world.membersOf('sg-1').has('198.18.0.80'))
  })

  test('an ENI of no instance is refused what only an instance gives it', async () => {
    const group = { securityGroupIds: ['sg-1'] }
    const rows: readonly [object, string][] = [
      [{ ...group, device: 'eth0' }, '400 device'],
      [{ ...group, type: 'Primary' }, '409 type'],
      // Of two accounts, one must be meant.
      [{ privateIpAddresses: ['198.18.0.81'] }, '400 accountId'],
      [{ ...group, instanceId: 'i-1', accountId: otherAccountId }, '400 accountId'],
      [{ ...group, accountId: otherAccountId }, '400 securityGroupIds[0]'],
      [{ ...group, privateIpAddresses: ['198.18.0.1'] }, '409 privateIpAddresses[0]'],
    ]
    for (const [body, expected] of rows) {
      const answer = await api.request('POST', enis, body)
      assert.equal(`${answer.status} ${answer.body.errors?.[0]?.field}`, expected, JSON.stringify(answer.body))
    }
    await post(api, enis, { networkInterfaceId: 'eni-lone', securityGroupIds: ['sg-b'] })
    assert.equal(api.world.get('eni', 'eni-lone')?.accountId, otherAccountId)
    const named = await api.request('PATCH', `${enis}/eni-lone`, { device: 'eth0' })
    assert.deepEqual([named.status, named.body.errors[0].field], [400, 'device'])
    const foreign = await api.request('POST', `${enis}/eni-lone/attach`, { instanceId: 'i-1' })
    assert.deepEqual([foreign.status, foreign.body.errors[0].field], [400, 'instanceId'])
    const mixed = { networkInterfaceId: 'eni-adv', securityGroupIds: ['sg-adv'] }
    await post(api, enis, mixed)
    const types = await api.request('POST', `${enis}/eni-adv/attach`, { instanceId: 'i-1' })
    assert.equal(types.status, 400, JSON.stringify(types.body))
    await post(api, enis, { networkInterfaceId: 'eni-mac', macAddress: macs.eth0, ...group })
    const sameMac = await api.request('POST', `${enis}/eni-mac/attach`, { instanceId: 'i-1' })
    assert.equal(sameMac.status, 409, JSON.stringify(sameMac.body))
    for (const id of ['eni-lone', 'eni-adv', 'eni-mac']) await api.request('DELETE', `${enis}/${id}`)
  })

  test('lists are filtered by what is asked for', async () => {
    const ids = async (url: string) => {
      const { items } = (await api.request('GET', url)).body
      return items.map((item: Record<string, string>) => item.networkInterfaceId ?? item.instanceId).join(' ')
    }
    assert.equal(await ids('/v1/instances?agentId=agent-1'), 'i-1 i-4')
    assert.equal(await ids('/v1/instances?securityGroupId=sg-adv'), 'i-2')
    assert.equal(await ids('/v1/instances?instanceName=m*l'), await ids('/v1/instances?instanceName=mail'))
    assert.equal(await ids(`${enis}?instanceId=i-1`), 'eni-1 eni-2')
    assert.equal(await ids(`${enis}?securityGroupId=sg-2&instanceId=i-6`), 'eni-6')
    assert.equal(await ids(`${enis}?macAddress=02-00-00-00-00-22`), 'eni-2')
    assert.equal(await ids(`${enis}?tag=a:b`), 'eni-mod')
    assert.equal(await ids(`${enis}?agentId=agent-none`), '')
  })

  test('a dry run says which rules and members a join touches, and stores nothing', async () => {
    const stored = await api.store.list('')
    const rule = { direction: 'ingress', ipProtocol: 'tcp', portRange: '22/22', sourceGroupId: 'sg-4' }
    const made = await api.request('POST', '/v1/security-groups/sg-1/rules', { permissions: [rule] })
    const [{ securityGroupRuleId }] = made.body.permissions
    const answer = await api.request('POST', '/v1/security-groups/sg-4/join?dryRun=true', { instanceIds: ['i-1'] })
    assert.deepEqual(answer.body.rules, [{ securityGroupId: 'sg-1', securityGroupRuleId, effect: 'members-changed' }])
    assert.deepEqual(
      answer.body.changes.map(({ key }: { key: string }) => key),
      ['eni/eni-1'],
    )
    assert.deepEqual(api.world.get('eni', 'eni-1')?.securityGroupIds, ['sg-1'])
    assert.equal((await api.store.list('')).revision, stored.revision + 1)
  })
})
