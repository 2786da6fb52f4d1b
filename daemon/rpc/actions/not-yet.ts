/** Actions that come later, or never: they say so. */
import type { MissingAction } from '../action.ts'

const keyPairs = [
  'CreateKeyPair',
  'ImportKeyPair',
  'DescribeKeyPairs',
  'DeleteKeyPairs',
  'AttachKeyPair',
  'DetachKeyPair',
]
const instanceRoles = ['AttachInstanceRamRole', 'DetachInstanceRamRole', 'DescribeInstanceRamRole']

export const missingActions: readonly MissingAction[] = [
  ...keyPairs.map(name => ({ product: 'ecs' as const, name, summary: 'key pairs', missing: 'key pairs are not kept' })),
  ...instanceRoles.map(name => ({
    product: 'ecs' as const,
    name,
    summary: 'roles of instances',
    missing: 'instances have no roles',
  })),
  {
    product: 'ecs',
    name: 'ModifyInstanceMetadataOptions',
    summary: 'the metadata service',
    missing: 'there is no metadata service',
  },
]
