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
import { heldBy } from './held-by.ts'
import { newId } from './ids.ts'
import { enisOf } from './instances.ts'
import { enforcementOf, modeOf, withMode } from './modes.ts'
import { accountFor, mayRead, type Principal, visible, writable } from './principal.ts'

type CreateBody = Static<typeof createNetworkInterfaceSchema>
type ModifyBody = Static<typeof modifyNetworkInterfaceSchema>

export function showNetworkInterface(world: World, eni: EniDoc, revision: number): NetworkInterface {
  const fields = describeInterface(eni)
  const privateIpAddress = fields.privateIpAddresses[0] ?? null
  return { ...fields, privateIpAddress, ...enforcementOf(world, eni), revision }
}

/** What the interface itself says, and each thing once. */
export function describeInterface(eni: EniDoc) {
  return {
    networkInterfaceId: eni.id,
    accountId: eni.accountId,
    instanceId: eni.instanceId,
    networkInterfaceName: eni.name ?? null,
    type: eni.type,
    description: eni.description,
    tags: eni.tags,
    networkType: eni.networkType,
    vpcId: eni.vpcId,
    vSwitchId: eni.vSwitchId ?? null,
    macAddress: eni.macAddress,
    device: eni.device,
    placement: eni.placement,
    privateIpAddresses: eni.addresses.filter(address => familyOf(address) === 'ip'),
    ipv6Addresses: eni.addresses.filter(address => familyOf(address) === 'ip6'),
    securityGroupIds: [...eni.securityGroupIds],
    nicType: eni.nicType,
    mode: modeOf(eni),
    createTime: isoTime(eni.createdAtMs),
  }
}

export interface NewEni {
  readonly body: CreateBody
  readonly nowMs: number
}

export function createNetworkInterface(
  world: World,
  principal: Principal,
  wish: NewEni,
): Plan<{ networkInterface: NetworkInterface }> {
  const { instanceId } = wish.body
  const instance = instanceId === undefined ? null : writable(world, principal, 'instance', instanceId, 'instanceId')
  return makeInterface(world, principal, { ...wish, instance })
}

/** @param instance  also one that is made by the same commit */
export function makeInterface(
  world: World,
  principal: Principal,
  { instance, body, nowMs }: NewEni & { readonly instance: InstanceDoc | null },
): Plan<{ networkInterface: NetworkInterface }> {
  const faults = new Faults()
  const accountId = ownerFor(world, principal, { instance, body }, faults)
  const siblings = instance === null ? [] : enisOf(world, instance.id)
  const network = networkFor(world, siblings, body, faults)
  const type = instance === null ? typeAlone(body.type, faults) : typeFor(siblings, instance, body.type, faults)
  requireNicTypeFits(network, body.nicType, faults)
  checkGroupsVisible(world, principal, body.securityGroupIds ?? [], faults)
  requireInstanceForDevice(instance, body.device, faults)
  const hardware =
    isDeviceAlone(body) && instance !== null
      ? reportedHardware(world, instance, body, faults)
      : givenHardware(body, noHardware, faults)
  const id = newId(world, 'eni', body.networkInterfaceId, 'networkInterfaceId')
  faults.throwIfAny()
  const { securityGroupIds, writes } = groupsFor(world, { accountId, network, body, nowMs })
  const made: EniDoc = {
    id,
    accountId,
    instanceId: instance?.id ?? null,
    type,
    ...(body.networkInterfaceName && { name: body.networkInterfaceName }),
    ...(body.vSwitchId && { vSwitchId: body.vSwitchId }),
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
  requireInstanceForDevice(before.instanceId, body.device, faults)
  const hardware = givenHardware(body, before, faults)
  faults.throwIfAny()
  const eni: EniDoc = {
    ...withName(withMode(before, body.mode), body.networkInterfaceName),
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

/**
 * @param state  `unattached` where one that is of an instance shall be refused
 * @throws {ApiError} 409 for the primary one of an instance that has others
 */
export function deleteNetworkInterface(
  world: World,
  principal: Principal,
  { id, state = 'any' }: { readonly id: string; readonly state?: 'any' | 'unattached' },
): Plan<{ networkInterfaceId: string }> {
  const eni = writable(world, principal, 'eni', id)
  if (state === 'unattached' && eni.instanceId !== null) {
    const message = `Cannot delete network interface "${id}": expected one of no instance, but it is of ${eni.instanceId}; detach it first`
    throw new ApiError(409, invalidEniState, message)
  }
  requireNoOthers(world, eni, { action: 'delete', code: 'DependencyViolation' })
  return { writes: [{ key: keyOf('eni', id), value: null }], body: () => ({ networkInterfaceId: id }) }
}

/** Of an interface that is, or is not, of an instance already. */
export const invalidEniState = 'InvalidOperation.InvalidEniState'

/** The primary interface of an instance goes last. @throws {ApiError} 409 */
export function requireNoOthers(
  world: World,
  { id, type, instanceId }: EniDoc,
  { action, code }: { readonly action: string; readonly code: string },
): void {
  if (type !== 'Primary' || instanceId === null) return
  const others = enisOf(world, instanceId).filter(other => other.id !== id)
  if (others.length === 0) return
  const message = `Cannot ${action} network interface "${id}": it is the primary one of ${instanceId}, which has others; ${action} them first`
  throw new ApiError(409, code, message, {
    details: heldBy({ networkInterfaceIds: others.map(other => other.id) }),
  })
}

/** An ENI that has a policy keeps one: without group its device would be left alone, and so be open. */
export function refuseLastGroup(eni: EniDoc, field: string, faults: Faults): void {
  if (eni.securityGroupIds.length === 0) return
  const message = `Cannot take ${eni.id} out of its last group: expected it to keep at least one`
  faults.add({ status: 409, code: 'InstanceLastSecurityGroup' }, { code: 'conflict', field, message, value: eni.id })
}

interface Ownership {
  readonly instance: InstanceDoc | null
  readonly body: CreateBody
}

/** @throws {ApiError} where nothing says whose it is */
function ownerFor(world: World, principal: Principal, { instance, body }: Ownership, faults: Faults): string {
  const { accountId, securityGroupIds = [] } = body
  if (instance !== null) {
    if (accountId !== undefined && accountId !== instance.accountId) {
      const message = `Cannot use account "${accountId}": expected ${instance.accountId}, which owns ${instance.id}`
      faults.add(invalidRequest, { code: 'conflict', field: 'accountId', message, value: accountId })
    }
    return instance.accountId
  }
  const [groupId] = securityGroupIds
  const group = groupId === undefined ? undefined : world.get('group', groupId)
  const isSeen = group !== undefined && mayRead(principal, group.accountId)
  return accountFor(world, principal, accountId ?? (isSeen ? group.accountId : undefined))
}

function withName(eni: EniDoc, name: string | null | undefined): EniDoc {
  if (name === undefined) return eni
  const { name: _, ...rest } = eni
  return name === null ? rest : { ...rest, name }
}

/** Devices are of hosts. */
function requireInstanceForDevice(instance: unknown, device: string | null | undefined, faults: Faults): void {
  if (instance !== null || device === undefined || device === null) return
  const message = `Cannot use device "${device}": expected none as long as the network interface is of no instance`
  faults.add(invalidRequest, { code: 'conflict', field: 'device', message, value: device })
}

function networkFor(
  world: World,
  siblings: readonly EniDoc[],
  { networkType, vpcId, securityGroupIds }: CreateBody,
  faults: Faults,
): Network {
  if (networkType === undefined && vpcId === undefined) {
    const group = world.get('group', securityGroupIds?.[0] ?? '')
    const { networkType: type = 'vpc', vpcId: id = null } = group ?? siblings[0] ?? {}
    return { networkType: type, vpcId: id }
  }
  if (networkType === 'classic' && vpcId !== undefined) {
    const message = `Cannot use VPC "${vpcId}": expected no vpcId on the classic network`
    faults.add(invalidRequest, { code: 'conflict', field: 'vpcId', message, value: vpcId })
  }
  return networkType === 'classic' ? { networkType, vpcId: null } : { networkType: 'vpc', vpcId: vpcId ?? null }
}

function typeAlone(given: EniDoc['type'] | undefined, faults: Faults): EniDoc['type'] {
  if (given === 'Primary') {
    const message = 'Cannot make a Primary network interface of no instance: expected Secondary, or instanceId'
    faults.add(conflict, { code: 'conflict', field: 'type', message, value: given })
  }
  return 'Secondary'
}

/** The first one of an instance is its primary one. */
export function fittingType(siblings: readonly EniDoc[]): EniDoc['type'] {
  return siblings.some(({ type }) => type === 'Primary') ? 'Secondary' : 'Primary'
}

function typeFor(
  siblings: readonly EniDoc[],
  instance: InstanceDoc,
  given: EniDoc['type'] | undefined,
  faults: Faults,
): EniDoc['type'] {
  const fitting = fittingType(siblings)
  if (given !== undefined && given !== fitting) {
    const primary = siblings.find(({ type }) => type === 'Primary')
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

export type Hardware = Pick<EniDoc, 'macAddress' | 'device' | 'addresses'>

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
export function reportedHardware(
  world: World,
  { agentId }: InstanceDoc,
  { device: name, placement }: Pick<CreateBody, 'device' | 'placement'>,
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

export interface ChangeParts {
  readonly world: World
  readonly principal: Principal
  /** Of the default group, where it is made with the ENI. */
  readonly writes: readonly Write[]
  readonly faults: Faults
}

/** @throws {ApiError} with every fault of the ENI as it shall be */
export function checkChange(change: EniChange, { world, principal, writes, faults }: ChangeParts): void {
  const { before, after, at } = change
  checkAddresses(change, { world, faults, mayName: eni => mayRead(principal, eni.accountId) })
  const agentId = world.agentOfEni(after)
  const isElsewhere = before?.instanceId !== after.instanceId
  if (isElsewhere || before.macAddress !== after.macAddress || before.device !== after.device) {
    checkBindings(world, agentId, [{ eni: after, at }], faults)
  }
  // Without an agent nobody makes one policy of them yet.
  if (agentId !== null) checkHostAddresses(world, agentId, [{ eni: after, at }], faults)
  const newGroups = writes.filter(({ key }) => parseKey(key).kind === 'group').map(({ value }) => value as GroupDoc)
  checkGroups([change], { world, faults, newGroups })
  faults.throwIfAny()
}

export function writeEni(
  world: World,
  eni: EniDoc,
  writes: readonly Write[],
): Plan<{ networkInterface: NetworkInterface }> {
  return {
    writes: [...writes, { key: keyOf('eni', eni.id), value: eni }],
    body: revisionOf => ({ networkInterface: showNetworkInterface(world, eni, revisionOf('eni', eni.id)) }),
  }
}
