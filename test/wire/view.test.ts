import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import { policyDocument, type ViewObject } from '../../wire/view.ts'
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

  test('has the way to the daemon', () => {
    const controlConnections = [{ address: '198.18.0.9', port: 8444 }]
    assert.deepEqual(policyDocument([], { ...onEth0, controlConnections }).settings, { controlConnections })
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
