/** Rules between the words of requests, those of policy files, and the stored ones. */
import { fieldPath } from '../../rules-compiler/validate/problem.ts'
import { type FieldError, fieldError } from '../errors.ts'
import type { RuleDoc, RuleFields } from '../model/documents.ts'
import type { FileRuleText } from '../model/file-rule.ts'
import { isoTime } from '../schemas/fields.ts'
import { type AskedPermission, type ExportedRule, type Permission, ruleFieldNames } from '../schemas/rules.ts'
import { servicePorts } from './templates.ts'

export function showPermission(rule: RuleDoc): Permission {
  return { securityGroupRuleId: rule.id, ...exportRule(rule), createTime: isoTime(rule.createdAtMs) }
}

/** What a rule says, without what makes it this one. */
export function exportRule(rule: RuleFields): ExportedRule {
  return Object.fromEntries(
    ruleFieldNames.flatMap(name => (rule[name] === undefined ? [] : [[name, rule[name]]])),
  ) as ExportedRule
}

/** One rule that is asked for, unchecked. */
export interface AskedRule {
  readonly fields: FileRuleText
  /** A fault of the rule in the words of the request. @param error.field  of the rule; empty for the rule itself */
  readonly tell: (error: FieldError) => FieldError
}

/** Of the items of a list in the body. */
export function itemOf(list: string, index: number): AskedRule['tell'] {
  const path = `${list}[${index}]`
  return error => ({ ...error, field: error.field === '' ? path : fieldPath(path, error.field) })
}

/** What requests make of permissions: the rules, and the faults that are in the request's own words. */
export interface Asked {
  readonly rules: readonly AskedRule[]
  readonly errors: readonly FieldError[]
}

export interface AskOptions {
  /** Authorization objects that one permission may name. */
  readonly objectsPerPermission: number
  readonly tell?: (index: number) => AskedRule['tell']
}

/** Each permission becomes as many rules as it names authorization objects. */
export function askFor(
  permissions: readonly AskedPermission[],
  { objectsPerPermission, tell = index => itemOf('permissions', index) }: AskOptions,
): Asked {
  const asked = permissions.map((permission, index) => askForOne(permission, tell(index), objectsPerPermission))
  return { rules: asked.flatMap(({ rules }) => rules), errors: asked.flatMap(({ errors }) => errors) }
}

function askForOne(permission: AskedPermission, tell: AskedRule['tell'], maxObjects: number): Asked {
  const named = withService(permission)
  if (named.error !== null) return { rules: [], errors: [tell(named.error)] }
  const { fields } = named
  const tellService: AskedRule['tell'] = error =>
    tell(permission.service !== undefined && isOfService(error.field) ? { ...error, field: 'service' } : error)
  const object = objectFieldOf(fields)
  const texts = object === null ? [] : String(fields[object]).split(',')
  if (object === null || texts.length === 1) return { rules: [{ fields, tell: tellService }], errors: [] }
  if (texts.length > maxObjects) {
    const expected = `at most ${maxObjects} authorization objects in a rule (limits.authorizationObjectsPerRequest)`
    const error = fieldError('limit', object, { action: 'accept a count of', value: texts.length, expected })
    return { rules: [], errors: [tell(error)] }
  }
  return {
    rules: texts.map(each => ({ fields: { ...fields, [object]: each.trim() }, tell: tellService })),
    errors: [],
  }
}

type WithService = { readonly fields: FileRuleText; readonly error: null } | { readonly error: FieldError }

/** The service replaced by what it stands for. */
function withService({ service, ...permission }: AskedPermission): WithService {
  const { securityGroupRuleId: _id, createTime: _time, ...given } = permission as FileRuleText
  const fields = { policy: 'accept', ...given }
  if (service === undefined) return { fields, error: null }
  const besides = ['ipProtocol', 'portRange', 'portRangeListId'].find(field => Object.hasOwn(given, field))
  if (besides !== undefined) {
    const expected = 'one or the other'
    return {
      error: fieldError('conflict', besides, { action: 'use, beside service, the field', value: besides, expected }),
    }
  }
  const port = servicePorts.get(service.toLowerCase())
  if (port !== undefined) return { fields: { ...fields, ipProtocol: 'tcp', portRange: `${port}/${port}` }, error: null }
  const expected = `one of ${[...servicePorts.keys()].join(', ')}`
  return { error: fieldError('invalid-value', 'service', { action: 'find service', value: service, expected }) }
}

function isOfService(field: string): boolean {
  return field === 'ipProtocol' || field === 'portRange'
}

const objectFields = {
  ingress: ['sourceCidrIp', 'ipv6SourceCidrIp', 'sourceGroupId', 'sourcePrefixListId'],
  egress: ['destCidrIp', 'ipv6DestCidrIp', 'destGroupId', 'destPrefixListId'],
} as const

/** The field of the authorization object; of several, which is a fault that the checks find, the first. */
function objectFieldOf(fields: FileRuleText): string | null {
  const names = objectFields[fields.direction as 'ingress' | 'egress'] ?? []
  return names.find(name => fields[name] !== undefined) ?? null
}
