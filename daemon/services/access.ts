/** Whether policies let a caller do what it asks for: both APIs ask here, before anything is read or planned. */
import { ApiError } from '../errors.ts'
import { type ConditionContext, sourceIpValues } from '../ram/conditions.ts'
import { type Access, type AskedResource, decide } from '../ram/evaluate.ts'
import type { Principal, RamIdentity } from './principal.ts'

/** Everything of it must be allowed. */
export interface AccessNeed {
  /** `ecs:AuthorizeSecurityGroup`. */
  readonly action: string
  readonly resources: readonly AskedResource[]
}

/** What conditions can be about, beside the resources. */
export interface RequestFacts {
  readonly sourceAddress: string
  readonly isSecure: boolean
  readonly nowMs: number
}

/** @throws {ApiError} 403 that says which statement denied, or that none allowed */
export function requireAccess({ ram }: Principal, need: AccessNeed, facts: RequestFacts): void {
  if (ram === undefined) return
  const access = decide(ram.grants, { ...need, context: contextOf(facts) })
  if (!access.isAllowed) throw denied(ram, need.action, access)
}

export function contextOf({ sourceAddress, isSecure, nowMs }: RequestFacts): ConditionContext {
  return new Map([
    ['acs:sourceip', sourceIpValues(sourceAddress)],
    ['acs:securetransport', [String(isSecure)]],
    ['acs:currenttime', [new Date(nowMs).toISOString()]],
  ])
}

type Denied = Exclude<Access, { readonly isAllowed: true }>

const policyTypes = {
  identity: 'AccountLevelIdentityBasedPolicy',
  session: 'SessionPolicy',
  trust: 'AssumeRolePolicy',
} as const satisfies Record<Denied['of'], string>

/** The shape in which the published service tells of it; RAM and STS have another code than all others. */
export function denied({ type, accountId, displayName }: RamIdentity, action: string, access: Denied): ApiError {
  const { by, of, resource, statement } = access
  const why =
    statement === null
      ? `no ${of} policy allows it`
      : `statement ${statement.index + 1} of ${statement.policy} denies it`
  const message = `${displayName} may not ${action} on ${resource}: ${why}`
  const code = /^(ram|sts):/i.test(action) ? 'NoPermission' : 'Forbidden.RAM'
  return new ApiError(403, code, message, {
    details: {
      accessDeniedDetail: {
        AuthAction: action,
        AuthPrincipalType: type === 'AssumedRoleUser' ? 'AssumedRoleUser' : 'SubUser',
        AuthPrincipalOwnerId: accountId,
        AuthPrincipalDisplayName: displayName,
        NoPermissionType: by === 'explicit-deny' ? 'ExplicitDeny' : 'ImplicitDeny',
        PolicyType: policyTypes[of],
        EncodedDiagnosticMessage: '',
      },
    },
  })
}
