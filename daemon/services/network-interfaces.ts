/** Network interfaces (ENIs): where groups are enforced. */
import type { Static } from 'typebox'
import { familyOf } from '../../rules-compiler/address/cidr.ts'
import { ApiError } from '../errors.ts'
import { type EniDoc, type GroupDoc, type InstanceDoc, keyOf, parseKey } from '../model/documents.ts'
import { isoTime } from '../schemas/fields.ts'
import type {
  createNetworkInterfaceSchema,
  modifyNetworkInterfaceSchema,
  NetworkInterface,
} from '../schemas/network-interfaces.ts'
import type { Network, World } from '../state/world.ts'
import type { Write } from '../store/store.ts'
import { readAddresses, readDevice, readMacAddress, usableAddresses } from './addresses.ts'
import { ensureDefaultGroup } from './default-group.ts'
import { checkBindings, checkHostAddresses } from './eni-bindings.ts'
import { checkAddresses, checkGroups, type EniChange } from './eni-groups.ts'
import type { Plan } from './executor.ts'
import { conflict, Faults, invalidRequest } from './faults.ts'
import { newId } from './ids.ts'
import { enisOf } from './instances.ts'
import { enforcementOf, withMode } from './modes.ts'
import { mayRead, type Principal, visible, writable } from './principal.ts'

type CreateBody = Static<typeof createNetworkInterfaceSchema>
type ModifyBody = Static<typeof modifyNetworkInterfaceSchema>

export function showNetworkInterface(world: World, eni: EniDoc, revision: number): NetworkInterface {
  const privateIpAddresses = eni.addresses.filter(address => familyOf(address) === 'ip')
  return {
    networkInterfaceId: eni.id,
    accountId: eni.accountId,
    instanceId: eni.instanceId,
    type: eni.type,
    description: eni.description,
    tags: eni.tags,
    networkType: eni.networkType,
    vpcId: eni.vpcId,
    macAddress: eni.macAddress,
    device: eni.device,
    placement: eni.placement,
    privateIpAddress: privateIpAddresses[0] ?? null,
    privateIpAddresses,
    ipv6Addresses: eni.addresses.filter(address => familyOf(address) === 'ip6'),
    securityGroupIds: [...eni.securityGroupIds],
    nicType: eni.nicType,
    mode: eni.mode ?? 'enforce',
    ...enforcementOf(world, eni),
    createTime: isoTime(eni.createdAtMs),
    revision,
  }
}

export function createNetworkInterface(
  world: World,
  principal: Principal,
  { body, nowMs }: { readonly body: CreateBody; readonly nowMs: number },
): Plan<{ networkInterface: NetworkInterface }> {
  const instance = writable(world, principal, 'instance', body.instanceId, 'instanceId')
  const faults = new Faults()
  const network = networkFor(world, instance, body, faults)
  const type = typeFor(world, instance, body.type, faults)
  requireNicTypeFits(network, body.nicType, faults)
  checkGroupsVisible(world, principal, body.securityGroupIds ?? [], faults)
  const hardware = isDeviceAlone(body)
    ? reportedHardware(world, instance, body, faults)
    : givenHardware(body, { macAddress: null, device: null, addresses: [] }, faults)
  const id = newId(world, 'eni', body.networkInterfaceId, 'networkInterfaceId')
  faults.throwIfAny()
  const { securityGroupIds, writes } = groupsFor(world, { accountId: instance.accountId, network, body, nowMs })
  const made: EniDoc = {
    id,
    accountId: instance.accountId,
    instanceId: instance.id,
    type,
    description: body.description ?? null,
    tags: body.tags ?? {},
    ...network,
    ...hardware,
    placement: body.placement ?? 'host',
    securityGroupIds,
    nicType: body.nicType ?? 'internet',
    createdAtMs: nowMs,
  }
  const eni = withMode(made, body.mode)
  checkChange({ before: null, after: eni, at: field => field }, { world, principal, writes, faults })
  return writeEni(world, eni, writes)
}

export function modifyNetworkInterface(
  world: World,
  principal: Principal,
  { id, body }: { readonly id: string; readonly body: ModifyBody },
): Plan<{ networkInterface: NetworkInterface }> {
  const before = writable(world, principal, 'eni', id)
  const faults = new Faults()
  requireNicTypeFits(before, body.nicType, faults)
  checkGroupsVisible(world, principal, body.securityGroupIds ?? [], faults)
  if (body.securityGroupIds?.length === 0) refuseLastGroup(before, 'securityGroupIds', faults)
  const hardware = givenHardware(body, before, faults)
  faults.throwIfAny()
  const eni: EniDoc = {
    ...withMode(before, body.mode),
    ...(body.description !== undefined && { description: body.description }),
    ...(body.tags !== undefined && { tags: body.tags }),
    ...hardware,
    ...(body.placement !== undefined && { placement: body.placement }),
    ...(body.securityGroupIds !== undefined && { securityGroupIds: body.securityGroupIds }),
    ...(body.nicType !== undefined && { nicType: body.nicType }),
  }
  checkChange({ before, after: eni, at: field => field }, { world, principal, writes: [], faults })
  return writeEni(world, eni, [])
}

/** @throws {ApiError} 409 for the primary one of an instance that has others */
export function deleteNetworkInterface(
  world: World,
  principal: Principal,
  id: string,
): Plan<{ networkInterfaceId: string }> {
  const eni = writable(world, principal, 'eni', id)
  const others = enisOf(world, eni.instanceId).filter(other => other.id !== id)
  if (eni.type === 'Primary' && others.length > 0) {
    const message = `Cannot delete network interface "${id}": it is the primary one of ${eni.instanceId}, which has others; delete them first`
    throw new ApiError(409, 'DependencyViolation', message, {
      details: { heldBy: { networkInterfaceIds: others.map(other => other.id) } },
    })
  }
  return { writes: [{ key: keyOf('eni', id), value: null }], body: () => ({ networkInterfaceId: id }) }
}

/** An ENI that has a policy keeps one: without group its device would be left alone, and so be open. */
export function refuseLastGroup(eni: EniDoc, field: string, faults: Faults): void {
  if (eni.securityGroupIds.length === 0) return
  const message = `Cannot take ${eni.id} out of its last group: expected it to keep at least one`
  faults.add({ status: 409, code: 'InstanceLastSecurityGroup' }, { code: 'conflict', field, message, value: eni.id })
}

function networkFor(
  world: World,
  instance: InstanceDoc,
  { networkType, vpcId, securityGroupIds }: CreateBody,
  faults: Faults,
): Network {
  if (networkType === undefined && vpcId === undefined) {
    const group = world.get('group', securityGroupIds?.[0] ?? '')
    const { networkType: type = 'vpc', vpcId: id = null } = group ?? enisOf(world, instance.id)[0] ?? {}
    return { networkType: type, vpcId: id }
  }
  if (networkType === 'classic' && vpcId !== undefined) {
    const message = `Cannot use VPC "${vpcId}": expected no vpcId on the classic network`
    faults.add(invalidRequest, { code: 'conflict', field: 'vpcId', message, value: vpcId })
  }
  return networkType === 'classic' ? { networkType, vpcId: null } : { networkType: 'vpc', vpcId: vpcId ?? null }
}

function typeFor(
  world: World,
  instance: InstanceDoc,
  given: EniDoc['type'] | undefined,
  faults: Faults,
): EniDoc['type'] {
  const primary = enisOf(world, instance.id).find(eni => eni.type === 'Primary')
  const fitting = primary === undefined ? 'Primary' : 'Secondary'
  if (given !== undefined && given !== fitting) {
    const reason = primary === undefined ? 'it has no other' : `${primary.id} is its primary one`
    const message = `Cannot make a ${given} network interface of ${instance.id}: expected ${fitting}, since ${reason}`
    faults.add(conflict, { code: 'conflict', field: 'type', message, value: given })
  }
  return fitting
}

function requireNicTypeFits({ networkType }: Network, nicType: EniDoc['nicType'] | undefined, faults: Faults): void {
  // Every ENI is shown with one, and what is shown may be sent back.
  if (nicType === undefined || nicType === 'internet' || networkType === 'classic') return
  const message = `Cannot use nicType "${nicType}": expected none, since in a VPC every rule is for every interface`
  faults.add(invalidRequest, { code: 'conflict', field: 'nicType', message, value: nicType })
}

function checkGroupsVisible(world: World, principal: Principal, ids: readonly string[], faults: Faults): void {
  for (const [index, id] of ids.entries()) {
    const field = `securityGroupIds[${index}]`
    faults.attempt(field, () => visible(world, principal, 'group', id, field))
  }
}

type Hardware = Pick<EniDoc, 'macAddress' | 'device' | 'addresses'>

function isDeviceAlone({ device, macAddress, privateIpAddresses, ipv6Addresses }: CreateBody): boolean {
  const others = [macAddress, privateIpAddresses, ipv6Addresses]
  return device !== undefined && device !== null && others.every(field => field === undefined)
}

/** What is left out stays as it was; null clears. */
function givenHardware(body: ModifyBody, before: Hardware, faults: Faults): Hardware {
  const { macAddress = before.macAddress, device = before.device, privateIpAddresses: ipv4, ipv6Addresses: ipv6 } = body
  const kept = (family: 'ip' | 'ip6') => before.addresses.filter(address => familyOf(address) === family)
  return {
    macAddress: macAddress === null ? null : readMacAddress(macAddress, 'macAddress', faults),
    device: device === null ? null : readDevice(device, 'device', faults),
    addresses: [
      ...(ipv4 === undefined ? kept('ip') : readAddresses(ipv4, 'ip', 'privateIpAddresses', faults)),
      ...(ipv6 === undefined ? kept('ip6') : readAddresses(ipv6, 'ip6', 'ipv6Addresses', faults)),
    ],
  }
}

const noHardware: Hardware = { macAddress: null, device: null, addresses: [] }

/** What the instance's agent said of the device. */
function reportedHardware(
  world: World,
  { agentId }: InstanceDoc,
  { device: name, placement }: CreateBody,
  faults: Faults,
): Hardware {
  const refuse = (field: string, message: string) => {
    faults.add(invalidRequest, { code: 'missing', field, message, value: name })
    return noHardware
  }
  if (placement === 'guest') {
    const message = `Cannot take addresses from device "${name}": the agent sees the host's end of it; expected the guest's own`
    return refuse('privateIpAddresses', message)
  }
  const report = agentId === null ? null : world.get('agent', agentId)?.report
  if (report == null) {
    const reason = agentId === null ? 'the instance has no agent' : `agent "${agentId}" has reported nothing yet`
    return refuse('privateIpAddresses', `Cannot take addresses from device "${name}": ${reason}; expected them here`)
  }
  const found = report.devices.find(device => device.name === name)
  if (found === undefined) {
    const names = report.devices.map(device => device.name).join(', ') || 'none'
    return refuse('device', `Cannot find device "${name}": expected one that agent "${agentId}" reported (${names})`)
  }
  const macAddress = found.macAddress === null ? null : readMacAddress(found.macAddress, 'device', faults)
  const isShared = report.devices.some(other => other !== found && other.macAddress === found.macAddress)
  return {
    macAddress,
    // By MAC address alone it stays the same when it is renamed; where that does not tell it apart, the name must.
    device: macAddress === null || isShared ? found.name : null,
    addresses: usableAddresses(found.addresses),
  }
}

interface GroupChoice {
  readonly accountId: string
  readonly network: Network
  readonly body: CreateBody
  readonly nowMs: number
}

function groupsFor(world: World, { accountId, network, body, nowMs }: GroupChoice) {
  if (body.securityGroupIds !== undefined) return { securityGroupIds: body.securityGroupIds, writes: [] }
  const { groupId, writes } = ensureDefaultGroup(world, { accountId, network }, nowMs)
  return { securityGroupIds: [groupId], writes }
}

interface ChangeParts {
  readonly world: World
  readonly principal: Principal
  /** Of the default group, where it is made with the ENI. */
  readonly writes: readonly Write[]
  readonly faults: Faults
}

function checkChange(change: EniChange, { world, principal, writes, faults }: ChangeParts): void {
  const { before, after, at } = change
  checkAddresses(change, { world, faults, mayName: eni => mayRead(principal, eni.accountId) })
  const agentId = world.get('instance', after.instanceId)!.agentId
  if (before?.macAddress !== after.macAddress || before.device !== after.device) {
    checkBindings(world, agentId, [{ eni: after, at }], faults)
  }
  // Without an agent nobody makes one policy of them yet.
  if (agentId !== null) checkHostAddresses(world, agentId, [{ eni: after, at }], faults)
  const newGroups = writes.filter(({ key }) => parseKey(key).kind === 'group').map(({ value }) => value as GroupDoc)
  checkGroups([change], { world, faults, newGroups })
  faults.throwIfAny()
}

function writeEni(world: World, eni: EniDoc, writes: readonly Write[]): Plan<{ networkInterface: NetworkInterface }> {
  return {
    writes: [...writes, { key: keyOf('eni', eni.id), value: eni }],
    body: revisionOf => ({ networkInterface: showNetworkInterface(world, eni, revisionOf('eni', eni.id)) }),
  }
}
