/** Views in few words. */
import type { ViewEni, ViewGroup, ViewInstance, ViewMembers, ViewObject, ViewSettings } from '../../wire/view.ts'

export const ownerAccount = '1234567890123456'

export const settingsObject = (
  change: Partial<Omit<ViewSettings, 'limits'>> & { readonly basicGroupPrivateIps?: number } = {},
): Extract<ViewObject, { kind: 'settings' }> => {
  const { basicGroupPrivateIps = 2000, ...fields } = change
  const limits = {
    rulesPerGroup: 200,
    groupsPerEni: 5,
    basicGroupPrivateIps,
    advancedGroupEnis: 50_000,
    authorizationObjectsPerRequest: 10,
    keyPairsPerAccount: 500,
  }
  return { kind: 'settings', id: 'fleet', value: { sessionTimeout: 910, revocation: 'immediate', limits, ...fields } }
}

export const instanceObject = (id = 'i-1', fields: Partial<ViewInstance> = {}): ViewObject => ({
  kind: 'instance',
  id,
  value: { id, smtpUnblocked: false, ...fields },
})

export function eniObject(id: string, fields: Partial<ViewEni> = {}): ViewObject {
  const value: ViewEni = {
    id,
    instanceId: 'i-1',
    macAddress: null,
    device: 'eth0',
    placement: 'host',
    addresses: ['198.18.0.2'],
    securityGroupIds: ['sg-1'],
    nicType: 'internet',
    ...fields,
  }
  return { kind: 'eni', id, value }
}

export function groupObject(id: string, rules: ViewGroup['rules'] = [], fields: Partial<ViewGroup> = {}): ViewObject {
  const value: ViewGroup = {
    id,
    type: 'basic',
    networkType: 'vpc',
    ownerAccount,
    innerAccessPolicy: 'drop',
    rules,
    ...fields,
  }
  return { kind: 'group', id, value }
}

export function membersObject(id: string, addresses: readonly string[], fields: Partial<ViewMembers> = {}): ViewObject {
  return { kind: 'members', id, value: { networkType: 'vpc', ownerAccount, addresses, ...fields } }
}

export const acceptPort = (port: number) => ({
  direction: 'ingress',
  policy: 'accept',
  priority: 1,
  ipProtocol: 'tcp',
  portRange: `${port}/${port}`,
  sourceCidrIp: '198.18.0.0/15',
})

export const acceptGroup = (sourceGroupId: string) => ({
  direction: 'ingress',
  policy: 'accept',
  priority: 1,
  ipProtocol: 'all',
  portRange: '-1/-1',
  sourceGroupId,
})

/** One ENI on eth0 whose group accepts the ports, and the members of another group. */
export function smallView(ports: readonly number[] = [443], appMembers: readonly string[] = []): readonly ViewObject[] {
  return [
    settingsObject(),
    instanceObject(),
    eniObject('eni-1'),
    groupObject('sg-1', [...ports.map(acceptPort), acceptGroup('sg-app')]),
    membersObject('sg-app', appMembers),
  ]
}
