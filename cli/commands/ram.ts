/** `ringwall ram`: who may call, and what policies let them do. */
import { nounGroup } from '../operate/noun-group.ts'
import { keyNoun, simulateNoun } from '../ram/keys.ts'
import { policyNoun, roleNoun } from '../ram/policies.ts'
import { groupNoun, userNoun } from '../ram/users.ts'

export const command = nounGroup({
  name: 'ram',
  summary: 'users, groups, policies, roles and access keys',
  details: `Policies say what a user may, by the RPC API (access keys) and by REST ("ringwall token create --user"). An
explicit deny decides, then an allow; what nothing allows is denied.`,
  nouns: [userNoun, groupNoun, policyNoun, roleNoun, keyNoun, simulateNoun],
})
