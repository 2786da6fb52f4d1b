/** Policy documents of RAM, read and checked: `{"Version": "1", "Statement": [{Effect, Action, Resource, Condition}]}`. */
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import { nearestWord } from '../../rules-compiler/validate/nearest-word.ts'
import { ApiError, type FieldError } from '../errors.ts'
import { parseStrictJson } from '../strict-json.ts'
import { type Condition, expectedValue, isOperator, operatorNames } from './conditions.ts'
import { resourceParts } from './glob.ts'

export interface PolicyDocument {
  readonly statements: readonly Statement[]
}

export interface Statement {
  readonly effect: 'Allow' | 'Deny'
  /** In lower case, as actions are compared without it. */
  readonly actions: readonly string[]
  /** `NotAction`: meant is every action but these. */
  readonly isNotAction: boolean
  /** Empty in trust policies, which are about the role they belong to. */
  readonly resources: readonly string[]
  readonly conditions: readonly Condition[]
  /** Of trust policies alone. */
  readonly principals: Principals
}

export interface Principals {
  /** `acs:ram::<account>:root` (everybody of the account), `…:user/<name>` or `…:role/<name>`. */
  readonly ram: readonly string[]
  /** `ecs.aliyuncs.com`. */
  readonly services: readonly string[]
}

/** `identity`: of users, groups and roles; `session`: narrows one session; `trust`: who may assume a role. */
export type PolicyUse = 'identity' | 'session' | 'trust'

const policySizes = { identity: 6144, session: 2048, trust: 2048 } as const satisfies Record<PolicyUse, number>
const mostStatements = 100
const mostFaults = 20

/** @throws {ApiError} 400 `MalformedPolicyDocument`, with every fault and where it is */
export function readPolicyDocument(text: string, use: PolicyUse): PolicyDocument {
  if (text.length > policySizes[use]) {
    throw malformed([
      { field: '', message: `Cannot use a policy of ${text.length} characters: expected ${policySizes[use]} at most` },
    ])
  }
  const reader = new Reader(use)
  const document = reader.read(parsed(text))
  if (reader.faults.length > 0) throw malformed(reader.faults)
  return document
}

interface Fault {
  readonly field: string
  readonly message: string
  readonly value?: unknown
}

function malformed(faults: readonly Fault[]): ApiError {
  const errors = faults.slice(0, mostFaults).map((fault): FieldError => ({ code: 'invalid-value', ...fault }))
  const [first] = faults
  const where = first?.field === '' ? '' : `${first?.field}: `
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''
  return new ApiError(400, 'MalformedPolicyDocument', `${where}${first?.message}${more}`, { errors })
}

function parsed(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    throw new ApiError(400, 'MalformedPolicyDocument', error.message, { errors: error.errors, cause: error })
  }
}

class Reader {
  readonly faults: Fault[] = []
  readonly #use: PolicyUse

  constructor(use: PolicyUse) {
    this.#use = use
  }

  read(value: unknown): PolicyDocument {
    const { Version: version, Statement: statements } = this.#object('', value, ['Version', 'Statement'])
    if (version !== '1') this.#refuse('Version', version, '"1"')
    if (!Array.isArray(statements) || statements.length === 0 || statements.length > mostStatements) {
      this.#refuse('Statement', statements, `a list of 1 to ${mostStatements} statements`)
      return { statements: [] }
    }
    return { statements: statements.map((each, index) => this.#statement(`Statement[${index}]`, each)) }
  }

  #statement(field: string, value: unknown): Statement {
    const isTrust = this.#use === 'trust'
    const known = ['Effect', 'Action', 'NotAction', isTrust ? 'Principal' : 'Resource', 'Condition']
    const given = this.#object(field, value, known)
    const { Effect: effect, Action: action, NotAction: notAction } = given
    if (effect !== 'Allow' && effect !== 'Deny') this.#refuse(`${field}.Effect`, effect, '"Allow" or "Deny"')
    if ((action === undefined) === (notAction === undefined)) {
      this.#fault(field, 'Cannot read which actions are meant: expected either Action or NotAction')
    }
    const isNotAction = action === undefined
    const name = isNotAction ? 'NotAction' : 'Action'
    const actions = isNotAction && notAction === undefined ? [] : this.#texts(`${field}.${name}`, action ?? notAction)
    for (const each of actions) {
      if (each !== '*' && !actionForm.test(each)) this.#refuse(`${field}.${name}`, each, '"*" or "service:Name"')
    }
    return {
      effect: effect === 'Deny' ? 'Deny' : 'Allow',
      actions: actions.map(each => each.toLowerCase()),
      isNotAction,
      resources: isTrust ? [] : this.#resources(`${field}.Resource`, given.Resource),
      conditions: this.#conditions(`${field}.Condition`, given.Condition),
      principals: isTrust ? this.#principals(`${field}.Principal`, given.Principal) : { ram: [], services: [] },
    }
  }

  #resources(field: string, value: unknown): readonly string[] {
    const resources = this.#texts(field, value)
    for (const each of resources) {
      const parts = resourceParts(each)
      if (each === '*' || (parts.length === 5 && parts[0] === 'acs')) continue
      this.#refuse(field, each, '"*" or "acs:<service>:<region>:<account>:<resource>"')
    }
    return resources
  }

  #conditions(field: string, value: unknown): readonly Condition[] {
    if (value === undefined) return []
    return Object.entries(this.#object(field, value)).flatMap(([operator, keys]) => {
      const at = `${field}.${operator}`
      if (isOperator(operator)) {
        const given = Object.entries(this.#object(at, keys))
        // It would hold of every request.
        if (given.length === 0) this.#refuse(at, keys, 'a key, with the values it must have')
        return given.map(([key, values]) => ({
          operator,
          key: key.toLowerCase(),
          values: this.#values(`${at}.${key}`, operator, values),
        }))
      }
      this.#refuseWord(field, operator, operatorNames, 'an operator such as StringEquals')
      return []
    })
  }

  #values(field: string, operator: Condition['operator'], value: unknown): readonly string[] {
    const values = this.#texts(field, value, 'scalars')
    for (const each of values) {
      const expected = expectedValue(operator, each)
      if (expected !== null) this.#refuse(field, each, expected)
    }
    return values
  }

  #principals(field: string, value: unknown): Principals {
    const given = this.#object(field, value, ['RAM', 'Service'])
    if (Object.keys(given).length === 0) this.#fault(field, 'Cannot trust nobody: expected RAM, Service, or both')
    const ram = given.RAM === undefined ? [] : this.#texts(`${field}.RAM`, given.RAM)
    for (const each of ram) {
      if (!principalForm.test(each))
        this.#refuse(`${field}.RAM`, each, '"acs:ram::<account>:root", "…:user/<name>" or "…:role/<name>"')
    }
    const services = given.Service === undefined ? [] : this.#texts(`${field}.Service`, given.Service)
    return { ram, services }
  }

  #object(field: string, value: unknown, known?: readonly string[]): Readonly<Record<string, unknown>> {
    if (!isRecord(value)) {
      this.#refuse(field || 'the policy', value, 'an object')
      return {}
    }
    for (const name of Object.keys(value)) {
      if (known === undefined || known.includes(name)) continue
      this.#refuseWord(field || 'the policy', name, known, known.join(', '))
    }
    return value
  }

  /** A text or a list of them, at least one. */
  #texts(field: string, value: unknown, allowed: 'texts' | 'scalars' = 'texts'): readonly string[] {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    const texts = list.flatMap(each => {
      if (typeof each === 'string') return [each]
      return allowed === 'scalars' && (typeof each === 'boolean' || typeof each === 'number') ? [String(each)] : []
    })
    if (texts.length === list.length && texts.length > 0) return texts
    this.#refuse(field, value, 'a text, or a list of texts with at least one')
    return []
  }

  #refuse(field: string, value: unknown, expected: string): void {
    const text = value === undefined ? 'nothing' : JSON.stringify(value)
    const shown = text.length > maxShown ? `${text.slice(0, maxShown)}…` : text
    this.faults.push({ field, message: `Cannot use ${shown}: expected ${expected}`, value })
  }

  #refuseWord(field: string, word: string, known: readonly string[], expected: string): void {
    const nearest = nearestWord(word, known)
    if (nearest === null) this.#refuse(field, word, expected)
    else this.#fault(field, `Cannot use "${word}": is "${nearest}" meant?`)
  }

  #fault(field: string, message: string): void {
    this.faults.push({ field, message })
  }
}

const maxShown = 80
const actionForm = /^[\w.*?-]+:[\w*?]+$/
const principalForm = /^acs:ram::\d{1,20}:(root|(user|role)\/[\w.@*?-]+)$/
