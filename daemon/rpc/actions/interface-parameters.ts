/** Parameters and errors that the actions of network interfaces and of their addresses have in common. */
import Type, { type Static } from 'typebox'
import { parseAddress } from '../../../rules-compiler/address/cidr.ts'
import { ApiError } from '../../errors.ts'
import type { RpcCall } from '../action.ts'
import { coded } from '../read-parameters.ts'
import { coded400, coded403, coded404, type Recodings } from '../recode.ts'
import { accessByField } from '../resources.ts'

const mostAddresses = 100

export const id = Type.String({ maxLength: 64 })
export const address = Type.String({ minLength: 1, maxLength: 64 })
export const addresses = Type.Array(address, { maxItems: mostAddresses })

/** What is no address is none that an interface has. */
export const canonical = (text: string) => parseAddress(text) ?? text

const mostGroups = 10
export const groupIds = Type.Array(id, { maxItems: mostGroups })

/** One or several, by words that exclude each other. */
export const groupParameters = {
  SecurityGroupId: Type.Optional(id),
  SecurityGroupIds: Type.Optional(groupIds),
}
const askedGroups = Type.Object(groupParameters)

/** @throws {ApiError} 400 for both words */
export function groupsAsked({ SecurityGroupId, SecurityGroupIds = [] }: Static<typeof askedGroups>): readonly string[] {
  if (SecurityGroupId && SecurityGroupIds.length > 0) {
    const message = 'Cannot take SecurityGroupId and SecurityGroupIds at once: expected one of them'
    throw new ApiError(400, 'InvalidParameter.Conflict', message)
  }
  return SecurityGroupId ? [SecurityGroupId] : SecurityGroupIds
}

const eniId = coded('InvalidParams.EniId', Type.String({ minLength: 1, maxLength: 64 }))
export const byEni = Type.Object({ NetworkInterfaceId: eniId })
export const accessToEni = (name: string) => accessByField(name, 'eni', 'NetworkInterfaceId')
export const eniSubject = (call: RpcCall<typeof byEni>) =>
  ({ kind: 'eni', id: call.parameters.NetworkInterfaceId }) as const

export const codes: Recodings = {
  'InvalidSecurityGroupId.NotFound': coded404('InvalidSecurityGroupId.NotFound'),
  'InvalidInstanceId.NotFound': coded404('InvalidEcsId.NotFound'),
  'duplicate privateIpAddresses': coded403('InvalidIp.IpAssigned'),
  'duplicate ipv6Addresses': coded403('InvalidIp.IpAssigned'),
  'invalid-value privateIpAddresses': coded403('InvalidVSwitchId.IpInvalid'),
  'conflict securityGroupIds': coded403('InvalidOperation.VpcMismatch'),
  'duplicate securityGroupIds': coded400('InvalidParameter'),
  'limit securityGroupIds': coded403('SecurityGroupInstanceLimitExceed'),
  'limit instanceId': coded403('SecurityGroupInstanceLimitExceed'),
  'conflict instanceId': coded403('InvalidOperation.VpcMismatch'),
  InstanceLastSecurityGroup: coded403('InstanceLastSecurityGroup'),
}

/** @throws {ApiError} 400 */
export function unsupported(parameter: string, expected: string): never {
  throw new ApiError(400, 'UnsupportedParameter', `Cannot use ${parameter}: expected ${expected}`)
}

export const noAllocator = 'addresses by name, since Ringwall assigns none itself'

const count = Type.Optional(Type.Integer({ minimum: 0, maximum: mostAddresses }))
const prefixes = Type.Optional(Type.Array(id, { maxItems: mostAddresses }))
/** Numbers of addresses to be assigned, and prefixes. */
export const counted = {
  SecondaryPrivateIpAddressCount: count,
  Ipv6AddressCount: count,
  Ipv4PrefixCount: count,
  Ipv6PrefixCount: count,
  Ipv4Prefix: prefixes,
  Ipv6Prefix: prefixes,
}
const countedNames = Object.keys(counted) as (keyof typeof counted)[]
type AskedCounts = { readonly [Name in keyof typeof counted]?: number | readonly string[] | undefined }

/** @throws {ApiError} 400 for any */
export function refuseCounted(asked: AskedCounts): void {
  for (const name of countedNames) {
    const value = asked[name]
    if (value !== undefined && value !== 0 && (typeof value === 'number' || value.length > 0)) {
      unsupported(name, noAllocator)
    }
  }
}
