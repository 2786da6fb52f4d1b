/** Every action of the RPC API. */
import type { RpcAction } from './action.ts'
import { ramActions } from './actions/ram.ts'
import { regionActions } from './actions/regions.ts'
import { ruleActions } from './actions/rules.ts'
import { securityGroupActions } from './actions/security-groups.ts'
import { stsActions } from './actions/sts.ts'

export const rpcActions: readonly RpcAction[] = [
  ...regionActions,
  ...securityGroupActions,
  ...ruleActions,
  ...ramActions,
  ...stsActions,
]
