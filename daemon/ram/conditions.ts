/**
 * Conditions of RAM policies: operators over keys of a request. All conditions of a statement must hold; of the values
 * of one key any suffices, and for the operators with `Not` none may match.
 *
 * A key that the request does not have fails an operator, satisfies one with `Not`, and satisfies every one that ends in
 * `IfExists`.
 */
import { type Cidr, containsAddress, parseAddress, parseCidr } from '../../rules-compiler/address/cidr.ts'
import { matchesGlob } from './glob.ts'

export interface Condition {
  /** As written: `NotIpAddressIfExists`. */
  readonly operator: OperatorName
  /** In lower case, as keys are compared without it. */
  readonly key: string
  /** As written, at least one. */
  readonly values: readonly string[]
}

/** What is known of a request: keys in lower case, each with the values it has. */
export type ConditionContext = ReadonlyMap<string, readonly string[]>

interface Test {
  /** Null where a value makes no sense to the operator. */
  readonly read: (value: string) => unknown
  readonly holds: (given: never, wanted: never) => boolean
  /** What values must be, for messages. */
  readonly expected: string
}

function test<T>(expected: string, read: (value: string) => T | null, holds: (given: T, wanted: T) => boolean): Test {
  return { expected, read, holds }
}

const isEqual = <T>(given: T, wanted: T) => given === wanted
const asIs = (value: string) => value
const lower = (value: string) => value.toLowerCase()
const string = (holds: (given: string, wanted: string) => boolean, read = asIs) => test('a text', read, holds)
const numeric = (holds: (given: number, wanted: number) => boolean) => test('a number', readNumber, holds)
const date = (holds: (given: number, wanted: number) => boolean) =>
  test('a time such as 2026-03-01T10:20:30Z', readTime, holds)

/** Those that also exist with a `Not` in them say so. */
const positive = {
  StringEquals: string(isEqual),
  StringEqualsIgnoreCase: string(isEqual, lower),
  StringLike: string((given, wanted) => matchesGlob(wanted, given)),
  NumericEquals: numeric(isEqual),
  NumericLessThan: numeric((given, wanted) => given < wanted),
  NumericLessThanEquals: numeric((given, wanted) => given <= wanted),
  NumericGreaterThan: numeric((given, wanted) => given > wanted),
  NumericGreaterThanEquals: numeric((given, wanted) => given >= wanted),
  DateEquals: date(isEqual),
  DateLessThan: date((given, wanted) => given < wanted),
  DateLessThanEquals: date((given, wanted) => given <= wanted),
  DateGreaterThan: date((given, wanted) => given > wanted),
  DateGreaterThanEquals: date((given, wanted) => given >= wanted),
  Bool: test('true or false', readBoolean, isEqual),
  IpAddress: test<Cidr>('an IP address or a CIDR block', parseCidr, (given, wanted) =>
    containsAddress(wanted, given.text.slice(0, given.text.indexOf('/'))),
  ),
} as const satisfies Readonly<Record<string, Test>>

/** Each is true where the one behind it is not. */
const negative = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  NumericNotEquals: 'NumericEquals',
  DateNotEquals: 'DateEquals',
  NotIpAddress: 'IpAddress',
} as const satisfies Readonly<Record<string, keyof typeof positive>>

type Plain = keyof typeof positive | keyof typeof negative
export type OperatorName = Plain | `${Plain}IfExists`

const ifExists = 'IfExists'
const plainOperators: readonly Plain[] = [
  ...(Object.keys(positive) as (keyof typeof positive)[]),
  ...(Object.keys(negative) as (keyof typeof negative)[]),
]

export const operatorNames: readonly OperatorName[] = plainOperators.flatMap(name => [
  name,
  `${name}${ifExists}` as const,
])

export function isOperator(name: string): name is OperatorName {
  return (operatorNames as readonly string[]).includes(name)
}

/** What a value of a policy must be, where this one makes no sense to the operator; null where it does. */
export function expectedValue(operator: OperatorName, value: string): string | null {
  const { read, expected } = testOf(operator).test
  return read(value) === null ? expected : null
}

export function conditionHolds({ operator, key, values }: Condition, context: ConditionContext): boolean {
  const { test, isNegative, isOptional } = testOf(operator)
  const given = context.get(key)
  if (given === undefined || given.length === 0) return isOptional || isNegative
  return given.some(value => values.some(wanted => matches(test, value, wanted))) !== isNegative
}

/** What the request has and the operator cannot read matches nothing. */
function matches({ read, holds }: Test, given: string, wanted: string): boolean {
  const [left, right] = [read(given), read(wanted)]
  return left !== null && right !== null && holds(left as never, right as never)
}

function testOf(operator: OperatorName) {
  const isOptional = operator.endsWith(ifExists)
  const plain = (isOptional ? operator.slice(0, -ifExists.length) : operator) as Plain
  const isNegative = Object.hasOwn(negative, plain)
  const name = isNegative ? negative[plain as keyof typeof negative] : (plain as keyof typeof positive)
  return { test: positive[name], isNegative, isOptional }
}

function readNumber(text: string): number | null {
  return /^[-+]?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : null
}

function readBoolean(text: string): boolean | null {
  const word = text.toLowerCase()
  return word === 'true' ? true : word === 'false' ? false : null
}

const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/

/** ISO 8601 with a zone, in milliseconds since 1970. */
function readTime(text: string): number | null {
  const time = timeForm.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(time) ? null : time
}

/** As `acs:SourceIp` has it; what is no address (a local socket) has none. */
export function sourceIpValues(sourceAddress: string): readonly string[] {
  const mapped = sourceAddress.replace(/^::ffff:(?=\d+\.)/, '')
  return parseAddress(mapped) === null ? [] : [mapped]
}
