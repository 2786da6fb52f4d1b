/** Types of instances: what their names say, and what is published of them. */
import Type from 'typebox'
import { instanceTypes } from '../../../rules-compiler/model/instance-types.ts'
import { readAction } from '../action.ts'
import { pageOf, pagingParameters } from '../paging.ts'
import { anyResource } from '../resources.ts'

const pages = { usual: 100, most: 1600 }

/** `ecs.g5` of `ecs.g5.large`. */
export function familyOf(type: string): string {
  return type.split('.').slice(0, -1).join('.')
}

/** By the size in its name, as types are named: `large` has two, `xlarge` four, `8xlarge` 32. 0 for other names. */
export function cpusOf(type: string): number {
  const [, count, size] = /\.(\d*)(x?large)$/.exec(type) ?? []
  if (size === 'large') return count === '' ? 2 : 0
  return size === 'xlarge' ? 4 * Number(count || 1) : 0
}

const typesParameters = Type.Object({
  InstanceTypes: Type.Optional(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 10 })),
  InstanceTypeFamily: Type.Optional(Type.String({ maxLength: 128 })),
  ...pagingParameters(pages),
})

/** In the order of their names, since pages go on by them. */
const publishedTypes = [...instanceTypes].sort(([a], [b]) => (a < b ? -1 : 1))
const kbitPerMbit = 1000

export const describeInstanceTypes = readAction({
  product: 'ecs',
  name: 'DescribeInstanceTypes',
  summary: 'types of instances, with what they carry',
  differs:
    'those whose thresholds of traffic scrubbing are known; what nobody says of a type (memory, numbers of interfaces and addresses, which are not limited) is 0',
  parameters: typesParameters,
  access: (_world, call) => ({ action: 'ecs:DescribeInstanceTypes', resources: [anyResource(call, 'instance')] }),
  read(_world, { parameters }) {
    const { InstanceTypes: asked = [], InstanceTypeFamily: family } = parameters
    const found = publishedTypes.filter(
      ([type]) => (asked.length === 0 || asked.includes(type)) && (!family || familyOf(type) === family),
    )
    const { items, fields } = pageOf(found, ([type]) => type, { MaxResults: pages.usual, ...parameters }, pages)
    return {
      InstanceTypes: {
        InstanceType: items.map(([type, { maxBpsMbit, maxPps }]) => ({
          InstanceTypeId: type,
          InstanceTypeFamily: familyOf(type),
          InstanceFamilyLevel: '',
          InstanceCategory: '',
          CpuCoreCount: cpusOf(type),
          CpuArchitecture: '',
          MemorySize: 0,
          GPUAmount: 0,
          GPUSpec: '',
          LocalStorageAmount: 0,
          EniQuantity: 0,
          EniTotalQuantity: 0,
          EniPrivateIpAddressQuantity: 0,
          EniIpv6AddressQuantity: 0,
          InstanceBandwidthRx: maxBpsMbit * kbitPerMbit,
          InstanceBandwidthTx: maxBpsMbit * kbitPerMbit,
          InstancePpsRx: maxPps,
          InstancePpsTx: maxPps,
        })),
      },
      NextToken: fields.NextToken,
    }
  },
})
