/** Every check that a policy file must pass, in the order their faults are told. */
import type { Check } from './check-context.ts'
import { advancedGroups } from './checks/advanced-groups.ts'
import { authorizationObjects } from './checks/authorization-objects.ts'
import { blackHoles } from './checks/black-holes.ts'
import { classicGroups } from './checks/classic-groups.ts'
import { ddosThresholds } from './checks/ddos-thresholds.ts'
import { devicesAndAddresses } from './checks/devices-and-addresses.ts'
import { groupTypes } from './checks/group-types.ts'
import { limits } from './checks/limits.ts'
import { owners } from './checks/owners.ts'
import { portRanges } from './checks/port-ranges.ts'
import { references } from './checks/references.ts'
import { ruleIds } from './checks/rule-ids.ts'
import { sameNetwork } from './checks/same-network.ts'
import { uniqueIds } from './checks/unique-ids.ts'

export const checks: readonly Check[] = [
  uniqueIds,
  ruleIds,
  references,
  devicesAndAddresses,
  authorizationObjects,
  portRanges,
  advancedGroups,
  classicGroups,
  sameNetwork,
  groupTypes,
  owners,
  limits,
  ddosThresholds,
  blackHoles,
]
