/** RAM: users, groups, policies, roles and access keys. */
import type { RpcAction } from '../action.ts'
import { keyActions } from './ram/access-keys.ts'
import { attachmentActions, entitiesAction, policyActions } from './ram/policies.ts'
import { roleActions } from './ram/roles.ts'
import { groupActions, userActions } from './ram/users-and-groups.ts'

export const ramActions: readonly RpcAction[] = [
  ...userActions,
  ...groupActions,
  ...policyActions,
  ...attachmentActions,
  entitiesAction,
  ...roleActions,
  ...keyActions,
]
