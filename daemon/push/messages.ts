/**
 * What agents say, read with distrust: of the right shape and size and nothing else, fields that are not known left
 * out. Text goes to operators' terminals, so it is printable.
 */
import Type, { type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseAddress, parseCidr } from '../../rules-compiler/address/cidr.ts'
import { mostRescues } from '../../rules-compiler/model/policy.ts'
import type { HostReport, ToDaemon } from '../../wire/messages.ts'
import { canonicalTime, ddosSchemas } from './ddos-messages.ts'
import { knownFieldsOf } from './known-fields.ts'
import { observedSchema } from './observed-message.ts'
import { printableText as text } from './text.ts'

export type Read<T> = { readonly value: T } | { readonly fault: string }

const revision = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const seconds = Type.Number({ minimum: 0, maximum: 1e9 })

/** Names of devices may be any bytes but slash, colon and space (dev_valid_name, net/core/dev.c). */
const device = Type.Object({
  name: text(64),
  macAddress: Type.Union([Type.Null(), Type.String({ pattern: '^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5,19}$' })]),
  kind: Type.Union([Type.Null(), text(64)]),
  up: Type.Boolean(),
  addresses: Type.Array(Type.String({ maxLength: 64, pattern: '^[0-9a-fA-F:.]+(/[0-9]{1,3})?$' }), { maxItems: 256 }),
})

/** More than a name server answers with at once. */
const mostControlConnections = 4096
const port = Type.Integer({ minimum: 1, maximum: 65_535 })
/** Canonical, as agents write them: a policy is made of both. */
const block = Type.Refine(
  Type.String({ maxLength: 49 }),
  words => parseCidr(words)?.text === words,
  () => 'must be a CIDR block',
)
const address = Type.Refine(
  Type.String({ maxLength: 45 }),
  words => parseAddress(words) === words,
  () => 'must be an address',
)

export const hostReportSchema = Type.Object({
  hostName: text(255),
  kernel: text(255),
  agentVersion: text(64),
  nftVersion: text(64),
  capabilities: Type.Record(Type.String({ pattern: '^[A-Za-z][\\w.-]{0,63}$' }), text(255), {
    additionalProperties: false,
    maxProperties: 64,
  }),
  devices: Type.Array(device, { maxItems: 4096 }),
  openSince: Type.Optional(Type.Union([Type.Null(), canonicalTime])),
  rescue: Type.Optional(Type.Array(Type.Object({ source: block, port }), { maxItems: mostRescues })),
  controlConnections: Type.Optional(Type.Array(Type.Object({ address, port }), { maxItems: mostControlConnections })),
  rescuePorts: Type.Optional(Type.Array(port, { maxItems: 65_535 })),
})

const position = { storeId: text(64), revision }

const schemas = {
  hello: Type.Object({
    type: Type.Literal('hello'),
    protocolVersion: Type.Integer(),
    report: hostReportSchema,
    view: Type.Union([Type.Null(), Type.Object({ ...position, keys: Type.Array(text(128), { maxItems: 100_000 }) })]),
    enforced: Type.Union([Type.Null(), Type.Object(position)]),
  }),
  report: Type.Object({ type: Type.Literal('report'), report: hostReportSchema }),
  enforced: Type.Object({
    type: Type.Literal('enforced'),
    revision,
    seconds,
    nftSeconds: seconds,
    enis: Type.Array(Type.Object({ id: text(64), state: Type.Enum(['enforced', 'device-missing', 'no-group']) }), {
      maxItems: 4096,
    }),
  }),
  refused: Type.Object({
    type: Type.Literal('refused'),
    revision,
    error: Type.Object({ kind: text(64), message: Type.String({ maxLength: 64 * 1024 }) }),
    retryInMs: Type.Number({ minimum: 0, maximum: 1e9 }),
    trial: Type.Optional(Type.Object({ cuts: Type.Array(text(512), { maxItems: 64 }), needsPerson: Type.Boolean() })),
  }),
  renew: Type.Object({ type: Type.Literal('renew'), publicKey: text(512), proof: text(512) }),
  ...ddosSchemas,
  observed: observedSchema,
} as const satisfies Record<ToDaemon['type'], TSchema>

const checks = Object.fromEntries(Object.entries(schemas).map(([type, schema]) => [type, Compile(schema)]))
const knownFields = {
  'ddos-status': knownFieldsOf(ddosSchemas['ddos-status']),
  'ddos-event': knownFieldsOf(ddosSchemas['ddos-event']),
  'ddos-samples': knownFieldsOf(ddosSchemas['ddos-samples']),
  observed: knownFieldsOf(observedSchema),
}
const protocolVersionOnly = Compile(Type.Object({ type: Type.Literal('hello'), protocolVersion: Type.Integer() }))

/** A nft message may be long; what an operator reads is its beginning. */
const maxErrorText = 2000

export function readToDaemon(json: string): Read<ToDaemon> {
  const message = parse(json)
  if (message === undefined) return { fault: 'expected JSON' }
  const type = (message as { type?: unknown } | null)?.type
  const check = typeof type === 'string' && Object.hasOwn(checks, type) ? checks[type] : undefined
  if (check === undefined) return { fault: `expected a message of type ${Object.keys(checks).join(', ')}` }
  if (!check.Check(message)) return { fault: `${type}: ${firstFault(check, message)}` }
  return { value: onlyKnown(message as ToDaemon) }
}

/** Of a `hello` of whatever version: later ones may look different in all else. @returns null where it is none */
export function readProtocolVersion(json: string): number | null {
  const message = parse(json)
  return protocolVersionOnly.Check(message) ? message.protocolVersion : null
}

export function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** @returns the place and the expectation; not the value, which may be large */
export function firstFault(check: ReturnType<typeof Compile>, value: unknown): string {
  const [fault] = check.Errors(value)
  return `${fault?.instancePath || 'the message'} ${fault?.message ?? 'has another shape'}`
}

function onlyKnown(message: ToDaemon): ToDaemon {
  switch (message.type) {
    case 'hello': {
      const { type, protocolVersion, report, view, enforced } = message
      return { type, protocolVersion, report: knownReport(report), view, enforced }
    }
    case 'report':
      return { type: 'report', report: knownReport(message.report) }
    case 'enforced':
      return { ...message, enis: message.enis.map(({ id, state }) => ({ id, state })) }
    case 'refused': {
      const { type, revision, error, retryInMs, trial } = message
      return {
        type,
        revision,
        error: { kind: error.kind, message: printable(error.message) },
        retryInMs,
        ...(trial !== undefined && { trial: { cuts: trial.cuts, needsPerson: trial.needsPerson } }),
      }
    }
    case 'renew':
      return message
    case 'ddos-status':
    case 'ddos-event':
    case 'ddos-samples':
    case 'observed':
      return knownFields[message.type](message) as ToDaemon
  }
}

/** What is stored of a report. */
export function knownReport({
  hostName,
  kernel,
  agentVersion,
  nftVersion,
  capabilities,
  devices,
  openSince,
  rescue,
  controlConnections,
  rescuePorts,
}: HostReport): HostReport {
  return {
    hostName,
    kernel,
    agentVersion,
    nftVersion,
    capabilities: { ...capabilities },
    devices: devices.map(({ name, macAddress, kind, up, addresses }) => ({ name, macAddress, kind, up, addresses })),
    ...(openSince !== undefined && { openSince }),
    ...(rescue && { rescue: rescue.map(({ source, port }) => ({ source, port })) }),
    ...(controlConnections && {
      controlConnections: controlConnections.map(({ address, port }) => ({ address, port })),
    }),
    ...(rescuePorts && { rescuePorts }),
  }
}

/** nft's messages have line breaks and carets. */
function printable(words: string): string {
  return words.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, maxErrorText)
}
