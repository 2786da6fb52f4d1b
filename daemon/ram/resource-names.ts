/** Names of resources in policies: `acs:ecs:<region>:<account>:securitygroup/sg-1`. */
import type { ConditionContext } from './conditions.ts'
import type { AskedResource } from './evaluate.ts'

/** Where the daemon is given none. */
export const defaultRegionId = 'local'

export interface Owner {
  readonly regionId: string
  readonly accountId: string
}

export type EcsType = 'securitygroup' | 'instance' | 'eni' | 'prefixlist' | 'portrangelist' | 'keypair'

/** @param id  `*` for a list, or for one that is to be made */
export function ecsResource(
  { regionId, accountId }: Owner,
  type: EcsType,
  id: string,
  tags: Readonly<Record<string, string>> = {},
): AskedResource {
  return { name: `acs:ecs:${regionId}:${accountId}:${type}/${id}`, context: tagContext(tags) }
}

/** RAM has no regions. @param relative  `user/alice` */
export function ramResource(accountId: string, relative: string): AskedResource {
  return { name: `acs:ram::${accountId}:${relative}` }
}

/** Traffic scrubbing knows no single resources. */
export function ddosResource({ regionId, accountId }: Owner): AskedResource {
  return { name: `acs:yundun-ddos:${regionId}:${accountId}:*` }
}

/** What Ringwall has and ECS has not: no single ones either. */
export function ringwallResource({ regionId, accountId }: Owner): AskedResource {
  return { name: `acs:ringwall:${regionId}:${accountId}:*` }
}

/** Keys of conditions are in any case, those of tags are not: a key may have the values of several. */
function tagContext(tags: Readonly<Record<string, string>>): ConditionContext {
  const byKey = Map.groupBy(Object.entries(tags), ([key]) => `ecs:tag/${key}`.toLowerCase())
  return new Map([...byKey].map(([key, same]) => [key, same.map(([, value]) => value)]))
}
