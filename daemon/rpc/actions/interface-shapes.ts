/** Network interfaces and their addresses as answers of the RPC API have them. */
import { familyOf } from '../../../rules-compiler/address/cidr.ts'
import type { EniDoc } from '../../model/documents.ts'
import type { World } from '../../state/world.ts'
import type { RpcCall } from '../action.ts'
import { isoSeconds, tagList } from '../shapes.ts'

type Call = Pick<RpcCall<never>, 'regionId'>

/** There is one, and clients want its name. */
export function zoneOf({ regionId }: Call): string {
  return `${regionId}-a`
}

/** The first is the primary one. */
export function ipv4Of({ addresses }: EniDoc): string[] {
  return addresses.filter(address => familyOf(address) === 'ip')
}

export function ipv6Of({ addresses }: EniDoc): string[] {
  return addresses.filter(address => familyOf(address) === 'ip6')
}

/** Every container is there, also an empty one: clients reach into them unchecked. */
export function addressSets(eni: EniDoc) {
  return {
    PrivateIpSets: {
      PrivateIpSet: ipv4Of(eni).map((address, index) => ({
        PrivateIpAddress: address,
        Primary: index === 0,
        PrivateDnsName: '',
        AssociatedPublicIp: { PublicIpAddress: '', AllocationId: '' },
      })),
    },
    Ipv6Sets: { Ipv6Set: ipv6Of(eni).map(address => ({ Ipv6Address: address })) },
    Ipv4PrefixSets: { Ipv4PrefixSet: [] },
    Ipv6PrefixSets: { Ipv6PrefixSet: [] },
  }
}

/** Of no instance: to be had. */
export function eniStatus({ instanceId }: EniDoc): 'Available' | 'InUse' {
  return instanceId === null ? 'Available' : 'InUse'
}

export function describeEni(world: World, eni: EniDoc, call: Call) {
  return {
    NetworkInterfaceId: eni.id,
    NetworkInterfaceName: eni.name ?? '',
    Description: eni.description ?? '',
    Status: eniStatus(eni),
    Type: eni.type,
    VpcId: eni.vpcId ?? '',
    VSwitchId: eni.vSwitchId ?? '',
    ZoneId: zoneOf(call),
    MacAddress: eni.macAddress ?? '',
    PrivateIpAddress: ipv4Of(eni)[0] ?? '',
    ...addressSets(eni),
    SecurityGroupIds: { SecurityGroupId: eni.securityGroupIds },
    InstanceId: eni.instanceId ?? '',
    Attachment:
      eni.instanceId === null
        ? {}
        : {
            InstanceId: eni.instanceId,
            DeviceIndex: deviceIndex(world, eni.instanceId, eni),
            MemberNetworkInterfaceIds: { MemberNetworkInterfaceId: [] },
            TrunkNetworkInterfaceId: '',
          },
    AssociatedPublicIp: { PublicIpAddress: '', AllocationId: '' },
    QueueNumber: 1,
    QueuePairNumber: 0,
    DeleteOnRelease: true,
    SourceDestCheck: false,
    NetworkInterfaceTrafficMode: 'Standard',
    CreationTime: isoSeconds(eni.createdAtMs),
    OwnerId: eni.accountId,
    ResourceGroupId: '',
    ServiceManaged: false,
    ServiceID: 0,
    Tags: { Tag: tagList(eni.tags) },
  }
}

function deviceIndex(world: World, instanceId: string, { id, type }: EniDoc): number {
  if (type === 'Primary') return 0
  const others = [...world.enisOfInstance(instanceId)].filter(other => world.get('eni', other)?.type !== 'Primary')
  return others.sort().indexOf(id) + 1
}
