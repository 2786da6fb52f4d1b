/** Instances as answers of the RPC API have them. */
import type { EniDoc, InstanceDoc } from '../../model/documents.ts'
import { enisOf } from '../../services/instances.ts'
import type { World } from '../../state/world.ts'
import type { RpcCall } from '../action.ts'
import { isoMinutes, tagList } from '../shapes.ts'
import { cpusOf, familyOf } from './instance-types.ts'
import { addressSets, ipv4Of, zoneOf } from './interface-shapes.ts'

/** What answers are told by. */
export type Shown = Pick<RpcCall<never>, 'regionId' | 'api'>

/** Whether the agent that serves it is connected; of one that none serves, nobody can say that it runs. */
export function statusOf({ agentId }: InstanceDoc, { api }: Shown): 'Running' | 'Stopped' {
  const state = agentId === null ? 'away' : (api.fleet.statusOf(agentId)?.state ?? 'away')
  return state === 'away' || state === 'revoked' ? 'Stopped' : 'Running'
}

/** What both descriptions of an instance have. */
export function commonFields(world: World, instance: InstanceDoc, call: Shown) {
  const type = instance.instanceType ?? ''
  const report = instance.agentId === null ? null : (world.get('agent', instance.agentId)?.report ?? null)
  const [primary] = enisOf(world, instance.id)
  return {
    InstanceId: instance.id,
    InstanceName: instance.name ?? '',
    Description: instance.description ?? '',
    HostName: report?.hostName ?? '',
    Status: statusOf(instance, call),
    RegionId: call.regionId,
    ZoneId: zoneOf(call),
    InstanceType: type,
    Cpu: cpusOf(type),
    Memory: 0,
    ImageId: '',
    SerialNumber: '',
    CreationTime: isoMinutes(instance.createdAtMs),
    ExpiredTime: '',
    InstanceChargeType: 'PostPaid',
    InternetChargeType: '',
    InternetMaxBandwidthIn: 0,
    InternetMaxBandwidthOut: 0,
    IoOptimized: true,
    ClusterId: '',
    VlanId: '',
    StoppedMode: 'Not-applicable',
    InstanceNetworkType: primary?.networkType ?? 'vpc',
    SecurityGroupIds: { SecurityGroupId: primary?.securityGroupIds ?? [] },
    VpcAttributes: {
      VpcId: primary?.vpcId ?? '',
      VSwitchId: primary?.vSwitchId ?? '',
      NatIpAddress: '',
      PrivateIpAddress: { IpAddress: primary === undefined ? [] : ipv4Of(primary) },
    },
    PublicIpAddress: { IpAddress: [] },
    InnerIpAddress: { IpAddress: [] },
    EipAddress: { AllocationId: '', IpAddress: '', InternetChargeType: '' },
    OperationLocks: { LockReason: [] },
    DedicatedHostAttribute: { DedicatedHostId: '', DedicatedHostName: '', DedicatedHostClusterId: '' },
    CreditSpecification: '',
  }
}

export function describeInstance(world: World, instance: InstanceDoc, call: Shown) {
  const kernel = instance.agentId === null ? undefined : world.get('agent', instance.agentId)?.report?.kernel
  return {
    ...commonFields(world, instance, call),
    InstanceTypeFamily: familyOf(instance.instanceType ?? ''),
    OSType: 'linux',
    OSName: kernel === undefined ? '' : `Linux ${kernel}`,
    OSNameEn: kernel === undefined ? '' : `Linux ${kernel}`,
    StartTime: isoMinutes(instance.createdAtMs),
    AutoReleaseTime: '',
    KeyPairName: '',
    ResourceGroupId: '',
    DeletionProtection: false,
    Recyclable: false,
    DeviceAvailable: true,
    SaleCycle: '',
    SpotStrategy: 'NoSpot',
    SpotPriceLimit: 0,
    DeploymentSetId: '',
    HpcClusterId: '',
    LocalStorageAmount: 0,
    GPUAmount: 0,
    GPUSpec: '',
    NetworkInterfaces: { NetworkInterface: enisOf(world, instance.id).map(describeInterface) },
    MetadataOptions: { HttpEndpoint: 'disabled', HttpTokens: 'optional', HttpPutResponseHopLimit: 1 },
    RdmaIpAddress: { IpAddress: [] },
    Tags: { Tag: tagList(instance.tags) },
  }
}

function describeInterface(eni: EniDoc) {
  return {
    NetworkInterfaceId: eni.id,
    MacAddress: eni.macAddress ?? '',
    PrimaryIpAddress: ipv4Of(eni)[0] ?? '',
    Type: eni.type,
    ...addressSets(eni),
  }
}
