/** The modes of ENIs and groups: who is observed, by what, and how the API shows and audits it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { makeFleet, post } from '../../support/fleet-state.ts'

const groups = '/v1/security-groups'
const enis = '/v1/network-interfaces'

async function setMode(api: TestApi, url: string, mode: 'enforce' | 'observe') {
  const answer = await api.request('PATCH', url, { mode })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body
}

async function standingOf(api: TestApi, eniId: string): Promise<string> {
  const { networkInterface } = (await api.request('GET', `${enis}/${eniId}`)).body
  const { mode, enforcement, observedBy } = networkInterface
  return [mode, enforcement, ...observedBy].join(' ')
}

describe('the mode', () => {
  test('of an ENI or of one of its groups makes it observed', async () => {
    await using api = await startApi()
    await makeFleet(api)
    assert.equal(await standingOf(api, 'eni-6'), 'enforce enforced')
    await setMode(api, `${groups}/sg-2`, 'observe')
    assert.equal(await standingOf(api, 'eni-6'), 'enforce observed sg-2')
    await setMode(api, `${enis}/eni-6`, 'observe')
    assert.equal(await standingOf(api, 'eni-6'), 'observe observed eni-6 sg-2')
    await setMode(api, `${groups}/sg-2`, 'enforce')
    assert.equal(await standingOf(api, 'eni-6'), 'observe observed eni-6')
    await setMode(api, `${enis}/eni-6`, 'enforce')
    assert.equal(await standingOf(api, 'eni-6'), 'enforce enforced')
  })

  test('of a group is counted in the answer that sets it', async () => {
    await using api = await startApi()
    await makeFleet(api)
    await setMode(api, `${enis}/eni-6`, 'observe')
    const counted = async (mode: 'enforce' | 'observe') => {
      const { securityGroup } = await setMode(api, `${groups}/sg-2`, mode)
      return [securityGroup.mode, securityGroup.observedCount, securityGroup.networkInterfaceCount]
    }
    assert.deepEqual(await counted('observe'), ['observe', 2, 2])
    assert.deepEqual(await counted('enforce'), ['enforce', 1, 2])
  })

  test('of an ENI without group says nothing yet', async () => {
    await using api = await startApi()
    await makeFleet(api)
    await setMode(api, `${enis}/eni-5`, 'observe')
    assert.equal(await standingOf(api, 'eni-5'), 'observe none')
  })

  test('that is there already changes nothing, and gone it leaves the document as it was', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const before = api.world.get('group', 'sg-1')
    const head = api.store.head()
    await setMode(api, `${groups}/sg-1`, 'enforce')
    assert.equal(api.store.head(), head)
    await setMode(api, `${groups}/sg-1`, 'observe')
    await setMode(api, `${groups}/sg-1`, 'observe')
    assert.equal(api.store.head(), head + 1)
    await setMode(api, `${groups}/sg-1`, 'enforce')
    assert.deepEqual(api.world.get('group', 'sg-1'), before)
  })

  test('stays through other changes, and may be said when something is made; a copy is enforced', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const { securityGroup } = (await post(api, groups, { accountId, securityGroupId: 'sg-new', mode: 'observe' })) as {
      securityGroup: { mode: string }
    }
    assert.equal(securityGroup.mode, 'observe')
    const eni = { networkInterfaceId: 'eni-new', instanceId: 'i-3', mode: 'observe', securityGroupIds: ['sg-3'] }
    await post(api, enis, eni)
    await api.request('PATCH', `${groups}/sg-new`, { securityGroupName: 'new' })
    await api.request('POST', `${groups}/sg-new/join`, { networkInterfaceIds: ['eni-new'] })
    assert.equal(await standingOf(api, 'eni-new'), 'observe observed eni-new sg-new')
    const clone = await api.request('POST', `${groups}/sg-new/clone`, { securityGroupId: 'sg-copy' })
    assert.deepEqual([clone.status, clone.body.securityGroup.mode], [201, 'enforce'])
    const exported = await api.request('GET', `${groups}/sg-new/export`)
    assert.deepEqual(exported.body, { permissions: [] })
  })

  test('is what lists are filtered by, and groups count whom it concerns', async () => {
    await using api = await startApi()
    await makeFleet(api)
    await setMode(api, `${groups}/sg-2`, 'observe')
    await setMode(api, `${enis}/eni-1`, 'observe')
    const ids = async (url: string) => {
      const { items } = (await api.request('GET', url)).body
      return items.map((item: Record<string, string>) => item.networkInterfaceId ?? item.securityGroupId).join(' ')
    }
    assert.equal(await ids(`${groups}?mode=observe`), 'sg-2')
    assert.equal(await ids(`${enis}?mode=observe`), 'eni-1')
    assert.equal(await ids(`${enis}?enforcement=observed`), 'eni-1 eni-2 eni-6')
    assert.equal(await ids(`${enis}?enforcement=none`), 'eni-5')
    assert.equal((await api.request('GET', `${enis}?enforcement=some`)).status, 400)
    const counts = (await api.request('GET', `${groups}?accountId=${accountId}`)).body.items.map(
      (group: Record<string, string>) =>
        `${group.securityGroupId} ${group.observedCount}/${group.networkInterfaceCount}`,
    )
    assert.deepEqual(
      counts.filter((text: string) => !text.includes(' 0/')),
      ['sg-1 2/2', 'sg-2 2/2'],
    )
  })

  test('is audited in the words of ECS, done and refused', async () => {
    await using api = await startApi()
    await makeFleet(api)
    await setMode(api, `${groups}/sg-1`, 'observe')
    await setMode(api, `${enis}/eni-1`, 'observe')
    await api.request('PATCH', `${groups}/sg-1`, { securityGroupName: 'one' })
    assert.equal((await api.request('PATCH', `${groups}/sg-1`, { mode: 'watch' })).status, 400)
    assert.equal((await api.request('PATCH', `${groups}/sg-none`, { mode: 'enforce' })).status, 404)
    const { items } = (await api.request('GET', '/v1/audit?maxResults=5')).body
    assert.deepEqual(
      items.map(({ action, outcome, objects, changes }: Record<string, unknown>) => [
        action,
        outcome,
        ...(objects as string[]),
        ...(changes as { after: unknown }[]).map(({ after }) => JSON.stringify(after)),
      ]),
      [
        ['ecs:ModifySecurityGroupPolicy', 'refused', 'group/sg-none'],
        ['ecs:ModifySecurityGroupPolicy', 'refused', 'group/sg-1'],
        ['ecs:ModifySecurityGroupAttribute', 'done', 'group/sg-1', '{"securityGroupName":"one"}'],
        ['ecs:ModifyNetworkInterfaceAttribute', 'done', 'eni/eni-1', '{"mode":"observe"}'],
        ['ecs:ModifySecurityGroupPolicy', 'done', 'group/sg-1', '{"mode":"observe"}'],
      ],
    )
  })

  test('needs write on the account', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const token = await api.makeToken([{ accountId, access: 'read' }])
    for (const url of [`${groups}/sg-1`, `${enis}/eni-1`]) {
      assert.equal((await api.request('PATCH', url, { mode: 'observe' }, { token })).status, 403)
    }
    assert.equal(await standingOf(api, 'eni-1'), 'enforce enforced')
  })
})
