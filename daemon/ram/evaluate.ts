/**
 * Who may do what: RAM policies judged in memory. An explicit deny decides, then an allow, and what nothing allows is
 * denied. Pure: both APIs ask here, and so does whoever wants to know beforehand.
 */
import { type ConditionContext, conditionHolds } from './conditions.ts'
import { matchesGlob, matchesResource } from './glob.ts'
import type { PolicyDocument, Principals, Statement } from './policy-document.ts'

export interface NamedPolicy {
  /** `System` or `Custom` and the name, as it is told to who was denied. */
  readonly name: string
  readonly document: PolicyDocument
}

/** What a principal has been given. */
export type Grants =
  /** The account itself. */
  | { readonly kind: 'everything' }
  | {
      readonly kind: 'policies'
      /** Its own and those of its groups, or those of its role. */
      readonly identity: readonly NamedPolicy[]
      /** Narrows one session of a role; null where nothing does. */
      readonly session: NamedPolicy | null
    }

export interface AccessRequest {
  /** `ecs:AuthorizeSecurityGroup`. */
  readonly action: string
  /** Everything that it is done to, at least one: each must be allowed. */
  readonly resources: readonly AskedResource[]
  readonly context: ConditionContext
}

export interface AskedResource {
  /** `acs:ecs:<region>:<account>:securitygroup/sg-1`. */
  readonly name: string
  /** Keys of this resource beside those of the request: `ecs:tag/team`. */
  readonly context?: ConditionContext
  /** Of its document, `group/sg-1`; left out for what stands for many, or for none. */
  readonly key?: string
}

export type Access =
  | { readonly isAllowed: true }
  | {
      readonly isAllowed: false
      readonly by: 'explicit-deny' | 'implicit-deny'
      readonly of: 'identity' | 'session' | 'trust'
      /** That was denied. */
      readonly resource: string
      /** Which statement denied; null where none allows. */
      readonly statement: StatementPlace | null
    }

export interface StatementPlace {
  readonly policy: string
  /** Counted from 0. */
  readonly index: number
}

const allowed: Access = { isAllowed: true }

export function decide(grants: Grants, request: AccessRequest): Access {
  if (grants.kind === 'everything') return allowed
  const { identity, session } = grants
  for (const resource of request.resources) {
    if (session !== null) {
      const narrowed = judge([session], request, resource)
      if (!narrowed.isAllowed) return { ...narrowed, of: 'session' }
    }
    const own = judge(identity, request, resource)
    if (!own.isAllowed) return own
  }
  return allowed
}

function judge(policies: readonly NamedPolicy[], request: AccessRequest, resource: AskedResource): Access {
  const action = request.action.toLowerCase()
  const context = withKeys(request.context, resource.context)
  const speaks = (statement: Statement) =>
    actionMatches(statement, action) &&
    statement.resources.some(pattern => matchesResource(pattern, resource.name)) &&
    statement.conditions.every(condition => conditionHolds(condition, context))
  return outcomeOf(policies, speaks, resource.name, 'identity')
}

/** Who asks to assume a role. */
export interface Caller {
  readonly accountId: string
  /** `acs:ram::<account>:user/<name>` or `…:role/<name>`; of the account itself `…:root`. */
  readonly name: string
}

/** What a role's trust policy says of who would assume it. A role that trusts a service alone trusts no caller. */
export function judgeTrust(trust: NamedPolicy, caller: Caller, role: string, context: ConditionContext): Access {
  const speaks = (statement: Statement) =>
    actionMatches(statement, 'sts:assumerole') &&
    isTrusted(statement.principals, caller) &&
    statement.conditions.every(condition => conditionHolds(condition, context))
  return outcomeOf([trust], speaks, role, 'trust')
}

function outcomeOf(
  policies: readonly NamedPolicy[],
  speaks: (statement: Statement) => boolean,
  resource: string,
  of: 'identity' | 'trust',
): Access {
  let isAllowed = false
  for (const { name, document } of policies) {
    for (const [index, statement] of document.statements.entries()) {
      if (!speaks(statement)) continue
      if (statement.effect === 'Deny')
        return { isAllowed: false, by: 'explicit-deny', of, resource, statement: { policy: name, index } }
      isAllowed = true
    }
  }
  return isAllowed ? allowed : { isAllowed: false, by: 'implicit-deny', of, resource, statement: null }
}

function actionMatches({ actions, isNotAction }: Statement, action: string): boolean {
  return actions.some(pattern => matchesGlob(pattern, action)) !== isNotAction
}

function isTrusted({ ram }: Principals, { accountId, name }: Caller): boolean {
  return ram.some(pattern => pattern === `acs:ram::${accountId}:root` || matchesResource(pattern, name))
}

function withKeys(request: ConditionContext, resource: ConditionContext | undefined): ConditionContext {
  return resource === undefined || resource.size === 0 ? request : new Map([...request, ...resource])
}
