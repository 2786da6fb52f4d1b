/** Every action of the RPC API. */
import type { RpcAction } from './action.ts'
import { ddosActions } from './actions/ddos.ts'
import { instanceActions } from './actions/instances.ts'
import { interfaceAddressActions } from './actions/interface-addresses.ts'
import { membershipActions } from './actions/membership.ts'
import { networkInterfaceActions } from './actions/network-interfaces.ts'
import { missingActions } from './actions/not-yet.ts'
import { portRangeListActions } from './actions/port-range-lists.ts'
import { prefixListActions } from './actions/prefix-lists.ts'
import { ramActions } from './actions/ram.ts'
import { regionActions } from './actions/regions.ts'
import { ruleActions } from './actions/rules.ts'
import { securityGroupActions } from './actions/security-groups.ts'
import { stsActions } from './actions/sts.ts'
import { tagActions } from './actions/tags.ts'

export const rpcActions: readonly RpcAction[] = [
  ...regionActions,
  ...securityGroupActions,
  ...ruleActions,
  ...instanceActions,
  ...networkInterfaceActions,
  ...interfaceAddressActions,
  ...membershipActions,
  ...prefixListActions,
  ...portRangeListActions,
  ...tagActions,
  ...ramActions,
  ...stsActions,
  ...ddosActions,
  ...missingActions,
]
