/** Writes that the published API has several actions for are audited as what they did. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { post } from '../../support/fleet-state.ts'

let api: TestApi
before(async () => {
  api = await startApi()
})
after(() => api[Symbol.asyncDispose]())

const rule = { direction: 'ingress', ipProtocol: 'tcp', portRange: '80/80', sourceCidrIp: '198.18.0.0/16' }
const out = { direction: 'egress', ipProtocol: 'tcp', portRange: '80/80', destCidrIp: '198.18.0.0/16' }
const other = { ...rule, portRange: '81/81' }
const otherOut = { ...out, portRange: '81/81' }
const csv = (...lines: readonly string[]) =>
  ['direction,ipProtocol,portRange,sourceCidrIp,destCidrIp', ...lines].join('\n')

const ingress = 'ecs:AuthorizeSecurityGroup'
const egress = 'ecs:AuthorizeSecurityGroupEgress'
const revoked = 'ecs:RevokeSecurityGroup'
const revokedOut = 'ecs:RevokeSecurityGroupEgress'
const made = 'ecs:CreateSecurityGroup'
const changed = 'ecs:ModifySecurityGroupRule'
const changedOut = 'ecs:ModifySecurityGroupEgressRule'

interface Row {
  readonly name: string
  /** Below the group; null makes one. `RULE` and `OUT` are the ids of its rules, in each direction one. */
  readonly url: string | null
  readonly method: 'POST' | 'PATCH' | 'DELETE'
  readonly body?: unknown
  readonly expected: readonly string[]
  readonly outcome?: 'refused'
}

const rows: readonly Row[] = [
  { name: 'a rule of egress', method: 'POST', url: '/rules', body: { permissions: [otherOut] }, expected: [egress] },
  {
    name: 'rules of both directions',
    method: 'POST',
    url: '/rules',
    body: { permissions: [otherOut, other] },
    expected: [ingress, egress],
  },
  {
    name: 'one that is there already is not added',
    method: 'POST',
    url: '/rules',
    body: { permissions: [rule, otherOut] },
    expected: [egress],
  },
  { name: 'a change of egress', method: 'PATCH', url: '/rules/OUT', body: { priority: 2 }, expected: [changedOut] },
  {
    name: 'a change of direction',
    method: 'PATCH',
    url: '/rules/OUT',
    body: { ...rule, portRange: '82/82', destCidrIp: null },
    expected: [changed, changedOut],
  },
  { name: 'egress taken away', method: 'DELETE', url: '/rules/OUT', expected: [revokedOut] },
  { name: 'ingress taken away', method: 'DELETE', url: '/rules/RULE', expected: [revoked] },
  {
    name: 'revoked by id',
    method: 'POST',
    url: '/rules/revoke',
    body: { securityGroupRuleIds: ['OUT'] },
    expected: [revokedOut],
  },
  {
    name: 'revoked by content, both',
    method: 'POST',
    url: '/rules/revoke',
    body: { permissions: [rule, out] },
    expected: [revoked, revokedOut],
  },
  {
    name: 'an import of egress',
    method: 'POST',
    url: '/import',
    body: { permissions: [otherOut] },
    expected: [egress],
  },
  {
    name: 'an import that replaces',
    method: 'POST',
    url: '/import?mode=replace',
    body: { permissions: [rule, otherOut] },
    expected: [egress, revokedOut],
  },
  {
    name: 'an import of other descriptions',
    method: 'POST',
    url: '/import?mode=replace',
    body: { permissions: [rule, { ...out, description: 'web' }] },
    expected: [egress],
  },
  {
    name: 'CSV',
    method: 'POST',
    url: '/import',
    body: csv('egress,tcp,83/83,,198.18.0.0/16'),
    expected: [egress],
  },
  { name: 'a clone', method: 'POST', url: '/clone', body: {}, expected: [made, ingress, egress] },
  { name: 'a group without rules', method: 'POST', url: null, body: {}, expected: [made] },
  {
    name: 'a group with rules of egress',
    method: 'POST',
    url: null,
    body: { permissions: [out] },
    expected: [made, egress],
  },
  {
    name: 'a group by template',
    method: 'POST',
    url: null,
    body: { template: 'web-server-linux' },
    expected: [made, ingress],
  },
  {
    name: 'a name and the inner policy',
    method: 'PATCH',
    url: '',
    body: { securityGroupName: 'db', innerAccessPolicy: 'drop' },
    expected: ['ecs:ModifySecurityGroupAttribute', 'ecs:ModifySecurityGroupPolicy'],
  },
  {
    name: 'refused: rules of both directions',
    method: 'POST',
    url: '/rules',
    body: { permissions: [{ ...out, portRange: '90/80' }, rule] },
    expected: [ingress, egress],
    outcome: 'refused',
  },
  {
    name: 'refused: what cannot be read',
    method: 'POST',
    url: '/rules',
    body: { permissions: [null, 7, { direction: 'both' }] },
    expected: [ingress],
    outcome: 'refused',
  },
  {
    name: 'refused: a change of a rule of egress',
    method: 'PATCH',
    url: '/rules/OUT',
    body: { portRange: '90/80' },
    expected: [changedOut],
    outcome: 'refused',
  },
  {
    name: 'refused: egress revoked by id',
    method: 'POST',
    url: '/rules/revoke',
    body: { securityGroupRuleIds: ['OUT', 'sgr-none'] },
    expected: [revokedOut],
    outcome: 'refused',
  },
  {
    name: 'refused: CSV may have been of both',
    method: 'POST',
    url: '/import',
    body: csv('egress,tcp,90/80,,198.18.0.0/16'),
    expected: [ingress, egress],
    outcome: 'refused',
  },
  {
    name: 'refused: a clone',
    method: 'POST',
    url: '/clone',
    body: { accountId: '3000000000000000' },
    expected: [made, ingress, egress],
    outcome: 'refused',
  },
]

describe('what is audited of', () => {
  for (const { name, method, url, body, expected, outcome = 'done' } of rows) {
    test(name, async () => {
      const { securityGroup, permissions } = await post(api, '/v1/security-groups', {
        accountId,
        permissions: [rule, out],
      })
      const { securityGroupId } = securityGroup as { readonly securityGroupId: string }
      const [ruleId, outId] = (permissions as { readonly securityGroupRuleId: string }[]).map(
        each => each.securityGroupRuleId,
      )
      const named = (text: string) => text.replaceAll('RULE', ruleId!).replaceAll('OUT', outId!)
      const path = url === null ? '/v1/security-groups' : `/v1/security-groups/${securityGroupId}${named(url)}`
      const asked =
        body === undefined || typeof body === 'string'
          ? body
          : { ...(url === null && { accountId }), ...JSON.parse(named(JSON.stringify(body))) }
      const headers = typeof body === 'string' ? { 'content-type': 'text/csv' } : {}
      const answer = await api.request(method, path, asked, { headers })
      assert.equal(answer.status < 300, outcome === 'done', JSON.stringify(answer.body))
      await api.audit.settled()
      const [event] = (await api.request('GET', '/v1/audit?maxResults=1')).body.items
      assert.deepEqual([event.outcome, event.action, event.actions], [outcome, expected[0], expected])
      for (const action of expected) {
        const [found] = (await api.request('GET', `/v1/audit?maxResults=1&action=${action}`)).body.items
        assert.equal(found.requestId, event.requestId, action)
      }
      if (outcome === 'refused') return
      const change = (await api.request('GET', `/v1/changes/${answer.body.revision}`)).body
      assert.deepEqual([change.action, change.actions], [expected[0], expected])
    })
  }
})
