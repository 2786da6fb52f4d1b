/** Addresses of network interfaces: given and taken, for each family by actions of its own. */
import Type, { type Static } from 'typebox'
import { ApiError } from '../../errors.ts'
import type { EniDoc } from '../../model/documents.ts'
import { modifyNetworkInterface } from '../../services/network-interfaces.ts'
import { type Principal, writable } from '../../services/principal.ts'
import type { World } from '../../state/world.ts'
import { type RpcAction, type WriteAction, writeAction } from '../action.ts'
import { renamed } from '../envelope.ts'
import { recoded } from '../recode.ts'
import {
  accessToEni,
  addresses,
  byEni,
  canonical,
  codes,
  counted,
  eniSubject,
  refuseCounted,
} from './interface-parameters.ts'
import { ipv4Of, ipv6Of } from './interface-shapes.ts'

interface Family {
  readonly parameter: 'PrivateIpAddress' | 'Ipv6Address'
  /** Of `/v1`. */
  readonly field: 'privateIpAddresses' | 'ipv6Addresses'
  readonly of: (eni: EniDoc) => string[]
  /** The first one is it, and stays. */
  readonly hasPrimary: boolean
  readonly assigned: (eniId: string, given: readonly string[]) => object
}

const ipv4: Family = {
  parameter: 'PrivateIpAddress',
  field: 'privateIpAddresses',
  of: ipv4Of,
  hasPrimary: true,
  assigned: (NetworkInterfaceId, PrivateIpAddress) => ({
    AssignedPrivateIpAddressesSet: {
      NetworkInterfaceId,
      PrivateIpSet: { PrivateIpAddress },
      Ipv4PrefixSet: { Ipv4Prefixes: [] },
    },
  }),
}
const ipv6: Family = {
  parameter: 'Ipv6Address',
  field: 'ipv6Addresses',
  of: ipv6Of,
  hasPrimary: false,
  assigned: (NetworkInterfaceId, Ipv6Address) => ({
    NetworkInterfaceId,
    Ipv6Sets: { Ipv6Address },
    Ipv6PrefixSets: { Ipv6Prefix: [] },
  }),
}

/** Of the other family they are passed over. */
const parameters = Type.Object({
  ...byEni.properties,
  PrivateIpAddress: Type.Optional(addresses),
  Ipv6Address: Type.Optional(addresses),
})
const assignParameters = Type.Object({ ...parameters.properties, ...counted })

interface AskedOfFamily {
  readonly family: Family
  readonly asked: Static<typeof parameters>
}

/** @throws {ApiError} 400, or 404 for the interface */
function readAsked(world: World, principal: Principal, { family, asked }: AskedOfFamily) {
  const eni = writable(world, principal, 'eni', asked.NetworkInterfaceId)
  const { parameter } = family
  const given = asked[parameter] ?? []
  if (given.length > 0) return { eni, given }
  const message = `Cannot do without ${parameter}: expected one address at least`
  throw new ApiError(400, `MissingParameter.${parameter}`, message)
}

/** @throws {ApiError} 403 for what it has not, 400 for the primary one */
function left(eni: EniDoc, { of, hasPrimary }: Family, given: readonly string[]): string[] {
  const going = new Set(given.map(canonical))
  const standing = of(eni)
  for (const text of going) {
    if (standing.includes(text)) continue
    const message = `Cannot take address "${text}" from ${eni.id}: it does not have it`
    throw new ApiError(403, 'InvalidIp.IpUnassigned', message)
  }
  if (hasPrimary && going.has(standing[0]!)) {
    const message = `Cannot take address "${standing[0]}" from ${eni.id}: expected a secondary one, but it is the primary one`
    throw new ApiError(400, 'InvalidParameter', message)
  }
  return standing.filter(each => !going.has(each))
}

type Text = Pick<WriteAction, 'name' | 'summary' | 'differs'>

function assigns(family: Family, text: Text): RpcAction {
  return writeAction({
    product: 'ecs',
    ...text,
    parameters: assignParameters,
    access: accessToEni(text.name),
    subject: eniSubject,
    plan(world, { principal, parameters: asked }) {
      refuseCounted(asked)
      const { eni, given } = readAsked(world, principal, { family, asked })
      const body = { [family.field]: [...family.of(eni), ...given] }
      const plan = recoded(codes, () => modifyNetworkInterface(world, principal, { id: eni.id, body }))
      return renamed(plan, () => family.assigned(eni.id, given.map(canonical)))
    },
  })
}

function unassigns(family: Family, text: Text): RpcAction {
  return writeAction({
    product: 'ecs',
    ...text,
    parameters,
    access: accessToEni(text.name),
    subject: eniSubject,
    plan(world, { principal, parameters: asked }) {
      const { eni, given } = readAsked(world, principal, { family, asked })
      const body = { [family.field]: left(eni, family, given) }
      return renamed(modifyNetworkInterface(world, principal, { id: eni.id, body }), () => ({}))
    },
  })
}

const givenAlone = 'those that are given: Ringwall assigns none itself'

export const interfaceAddressActions: readonly RpcAction[] = [
  assigns(ipv4, {
    name: 'AssignPrivateIpAddresses',
    summary: 'give an interface further IPv4 addresses',
    differs: `${givenAlone}; the first one of an interface becomes its primary one`,
  }),
  unassigns(ipv4, {
    name: 'UnassignPrivateIpAddresses',
    summary: 'take secondary IPv4 addresses from an interface',
  }),
  assigns(ipv6, { name: 'AssignIpv6Addresses', summary: 'give an interface IPv6 addresses', differs: givenAlone }),
  unassigns(ipv6, { name: 'UnassignIpv6Addresses', summary: 'take IPv6 addresses from an interface' }),
]
