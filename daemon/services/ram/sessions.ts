/**
 * Sessions of roles. A session is no document: everything of it is in its security token, sealed, so a restart forgets
 * none and another daemon with the same key knows it too.
 */
import { ApiError } from '../../errors.ts'
import { type RamRoleDoc, ramId } from '../../model/ram.ts'
import type { ConditionContext } from '../../ram/conditions.ts'
import { decide, judgeTrust } from '../../ram/evaluate.ts'
import { readPolicyDocument } from '../../ram/policy-document.ts'
import type { Sealer } from '../../ram/seal.ts'
import { denied } from '../access.ts'
import type { RamIdentity } from '../principal.ts'
import { notExist, type RamCall, randomText } from './ram-call.ts'
import { roleArn, sessionSeconds } from './roles.ts'

export interface RamSession {
  readonly accessKeyId: string
  readonly secret: string
  readonly accountId: string
  readonly roleName: string
  readonly roleId: string
  readonly sessionName: string
  /** The access key, one that lasts, that began it, or began the session that did. */
  readonly begunBy: string
  /** JSON of the policy that narrows it; null where none does. */
  readonly policy: string | null
  readonly expiresAtMs: number
}

export interface AssumeRole {
  readonly begunBy: RamSession['begunBy']
  /** `acs:ram::<account>:role/<name>`. */
  readonly roleArn: string
  readonly sessionName: string
  readonly durationSeconds: number
  readonly policy: string | null
}

const arnForm = /^acs:ram::(?<account>\d{1,20}):role\/(?<name>[\w.-]{1,64})$/

const action = 'sts:AssumeRole'

/**
 * @param context  keys of the request, for conditions
 * @throws {ApiError} 404 where there is no such role; 403 where caller or role do not allow it; 400 for what makes no sense
 */
export function assumeRole(
  { world, nowMs }: Pick<RamCall, 'world' | 'nowMs'>,
  caller: RamIdentity,
  { sealer, context, given }: { sealer: Sealer; context: ConditionContext; given: AssumeRole },
) {
  const { account: accountId = '', name = '' } = arnForm.exec(given.roleArn)?.groups ?? {}
  if (name === '') throw invalid('RoleArn', given.roleArn, 'acs:ram::<account>:role/<name>')
  // Before anything is said of the role: who may not assume it learns nothing of it.
  const resource = roleArn({ accountId, name })
  const allowed = decide(caller.grants, { action, resources: [{ name: resource }], context })
  if (!allowed.isAllowed) throw denied(caller, action, allowed)
  const role = world.get('ramRole', ramId(accountId, name))
  requireTrust(role, caller, { resource, context })
  const { durationSeconds } = given
  if (durationSeconds < sessionSeconds.least || durationSeconds > role.maxSessionSeconds) {
    const expected = `${sessionSeconds.least} to ${role.maxSessionSeconds}, the most of this role`
    throw invalid('DurationSeconds', String(durationSeconds), expected)
  }
  const policy = sessionPolicy(given.policy)
  const session: RamSession = {
    accessKeyId: `STS.${randomText(24)}`,
    secret: randomText(30),
    accountId: role.accountId,
    roleName: role.name,
    roleId: role.id,
    sessionName: given.sessionName,
    begunBy: given.begunBy,
    policy,
    expiresAtMs: nowMs + durationSeconds * 1000,
  }
  const { accessKeyId, ...sealed } = session
  return { role, session, securityToken: sealer.seal(JSON.stringify(sealed), sealPurpose(accessKeyId)) }
}

/** @throws {ApiError} 404 also for one of another account that does not trust the caller: for him there is none */
function requireTrust(
  role: RamRoleDoc | undefined,
  caller: RamIdentity,
  { resource, context }: { readonly resource: string; readonly context: ConditionContext },
): asserts role is RamRoleDoc {
  if (role === undefined) throw notExist('Role', resource)
  const trust = { name: 'the trust policy', document: readPolicyDocument(role.trustPolicy, 'trust') }
  const trusted = judgeTrust(trust, { accountId: caller.accountId, name: trustedName(caller) }, resource, context)
  if (trusted.isAllowed) return
  throw role.accountId === caller.accountId ? denied(caller, action, trusted) : notExist('Role', resource)
}

/** A session is trusted as its role. */
function trustedName({ arn }: RamIdentity): string {
  return arn.replace(/:assumed-role\/([^/]+)\/.*$/s, ':role/$1')
}

function sessionPolicy(text: string | null): string | null {
  if (text === null) return null
  try {
    readPolicyDocument(text, 'session')
    return text
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    const code = text.length > 2048 ? 'InvalidParameter.PolicySize' : 'InvalidParameter.PolicyGrammar'
    throw new ApiError(400, code, error.message, { errors: error.errors, cause: error })
  }
}

/** @throws {ApiError} 400 `InvalidSecurityToken.…` */
export function readSession(
  sealer: Sealer,
  { accessKeyId, securityToken, nowMs }: { accessKeyId: string; securityToken: string; nowMs: number },
): RamSession {
  const opened = sealer.open(securityToken, sealPurpose(accessKeyId))
  if (opened === null) {
    const code = securityToken.startsWith('v1.') ? 'MismatchWithAccessKey' : 'Malformed'
    throw new ApiError(400, `InvalidSecurityToken.${code}`, 'The security token is not one of this access key.')
  }
  const session = { accessKeyId, ...(JSON.parse(opened) as Omit<RamSession, 'accessKeyId'>) }
  if (session.expiresAtMs <= nowMs) {
    throw new ApiError(400, 'InvalidSecurityToken.Expired', 'The session of this security token is over.')
  }
  return session
}

const sealPurpose = (accessKeyId: string) => `session ${accessKeyId}`

function invalid(name: string, value: string, expected: string): ApiError {
  return new ApiError(400, `InvalidParameter.${name}`, `Cannot use ${name} "${value}": expected ${expected}`)
}
