/** What a user may, asked beforehand: which statements speak of it, and which of them decides. */
import type { RamUserDoc } from '../../model/ram.ts'
import { ramId } from '../../model/ram.ts'
import { type AskedResource, decide, type NamedPolicy } from '../../ram/evaluate.ts'
import type { Owner } from '../../ram/resource-names.ts'
import type { Simulation } from '../../schemas/ram.ts'
import type { World } from '../../state/world.ts'
import { contextOf, type RequestFacts } from '../access.ts'
import { grantedPolicies } from './identity.ts'
import { type EcsKind, ecsKinds, ecsTarget, ramTargetOf } from './targets.ts'

export interface Simulated {
  /** `ecs:AuthorizeSecurityGroup`. */
  readonly action: string
  /** At least one. */
  readonly resources: readonly AskedResource[]
  readonly facts: RequestFacts
}

export function simulate(world: World, user: RamUserDoc, { action, resources, facts }: Simulated): Simulation {
  const context = contextOf(facts)
  const judge = (policies: readonly NamedPolicy[], on: readonly AskedResource[]) =>
    decide({ kind: 'policies', identity: policies, session: null }, { action, resources: on, context })
  const granted = grantedOf(world, user)
  const whole = judge(
    granted.map(({ policy }) => policy),
    resources,
  )
  const decidedBy = whole.isAllowed ? 'allow' : whole.by === 'explicit-deny' ? 'deny' : 'nothing'
  const statements = granted.flatMap(({ policy, groupName }) =>
    policy.document.statements.flatMap((statement, index) => {
      const alone = [{ ...policy, document: { ...policy.document, statements: [statement] } }]
      const speaks = resources.some(resource => {
        const access = judge(alone, [resource])
        return access.isAllowed || access.by === 'explicit-deny'
      })
      if (!speaks) return []
      const [policyType = '', policyName = ''] = policy.name.split('/')
      return [
        {
          policyType: policyType as 'System' | 'Custom',
          policyName,
          statement: index + 1,
          effect: statement.effect,
          groupName,
          isDeciding: statement.effect.toLowerCase() === decidedBy,
        },
      ]
    }),
  )
  const names = resources.map(({ name }) => name)
  const refused = whole.isAllowed ? null : whole.resource
  return {
    userName: user.name,
    action,
    resources: names.toSorted((a, b) => Number(b === refused) - Number(a === refused)),
    isAllowed: whole.isAllowed,
    decidedBy,
    statements: [...statements.filter(each => each.isDeciding), ...statements.filter(each => !each.isDeciding)],
  }
}

/** In the order in which they are judged, each with the group that it comes from. */
function grantedOf(world: World, { accountId, policies, groups }: RamUserDoc) {
  const from = (attached: RamUserDoc['policies'], groupName: string | null) =>
    grantedPolicies(world, accountId, attached).map(policy => ({ policy, groupName }))
  return [
    ...from(policies, null),
    ...groups.flatMap(({ name }) => from(world.get('ramGroup', ramId(accountId, name))?.policies ?? [], name)),
  ]
}

/** By what ids begin with. */
const kindsOfIds: ReadonlyMap<string, EcsKind> = new Map([
  ['sg', 'group'],
  ['i', 'instance'],
  ['eni', 'eni'],
  ['pl', 'prefixList'],
  ['prl', 'portRangeList'],
])

/**
 * With the tags of the object where there is one, as a request for it would have.
 * @param text  an id such as `sg-web`, `user/alice`, or a whole name `acs:…`
 */
export function resourceMeant(world: World, owner: Owner, text: string): AskedResource {
  const [, relative = text] = /^acs:(?:[^:]*:){3}(.*)$/s.exec(text) ?? []
  const [, type = '', id = relative] = /^([a-z]+)\/(.*)$/s.exec(relative) ?? []
  const kind = type === '' ? kindsOfIds.get(id.split('-')[0]!) : ecsKinds.get(type)
  if (kind !== undefined) {
    const full = ecsTarget(world, owner, kind, id)
    return relative === text ? full : { ...full, name: text }
  }
  return relative === text ? ramTargetOf(owner.accountId, text) : { name: text }
}
