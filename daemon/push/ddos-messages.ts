/** What agents say of traffic scrubbing: shapes and sizes, as strict as messages.ts is about the rest. */
import Type, { type TSchema } from 'typebox'
import { floodTypes, scrubSteps, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import { ddosChanges, ddosEndReasons, ddosEventPhases, ddosPhases, ddosTriggers } from '../../wire/ddos.ts'
import { instanceId, printableText } from './text.ts'

/** More instances than a host serves. */
const maxInstances = 1024
/** As many as the agent sends at most: the first and the last 50 of an event. */
export const maxChanges = 100
const maxSources = 10

/** Canonical, as `Date.toISOString` writes it, so that text is in the order of time. */
export const canonicalTime = Type.String({
  pattern: '^20\\d{2}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3])(:[0-5]\\d){2}\\.\\d{3}Z$',
})
const time = canonicalTime
const count = Type.Number({ minimum: 0, maximum: 1e18 })
const share = Type.Number({ minimum: 0, maximum: 1 })
const rate = Type.Object({ packetsPerSecond: count, bitsPerSecond: count })
const amount = Type.Object({ packets: count, bytes: count })
const orNull = <T extends TSchema>(schema: T) => Type.Union([Type.Null(), schema])
const eventId = Type.String({ pattern: '^ddos-[A-Za-z0-9_.-]{1,58}$' })
const thresholds = Type.Object({ bpsMbit: count, pps: count })

/** Of each name or of none. */
function byName<T extends TSchema>(names: readonly string[], each: T) {
  return Type.Object(Object.fromEntries(names.map(name => [name, Type.Optional(each)])))
}

const source = Type.Object({
  address: Type.String({ maxLength: 45, pattern: '^[0-9a-f:.]{2,45}$' }),
  packets: count,
  bytes: count,
  share,
})
const topSources = Type.Array(source, { maxItems: maxSources })

const sample = Type.Object({
  instanceId,
  time,
  intervalSeconds: Type.Number({ minimum: 0, maximum: 1e9 }),
  offered: rate,
  passed: rate,
  all: rate,
  byType: byName(trafficTypes, rate),
  dropped: byName(scrubSteps, rate),
})

const status = Type.Object({
  instanceId,
  phase: Type.Enum([...ddosPhases]),
  since: time,
  eventId: orNull(eventId),
  attackTypes: Type.Array(Type.Enum([...floodTypes]), { maxItems: floodTypes.length }),
  sample: orNull(sample),
  topSources,
  proposal: orNull(thresholds),
  blackHole: orNull(
    Type.Object({ endTime: time, holdSeconds: Type.Number({ minimum: 0, maximum: 1e9 }), isManual: Type.Boolean() }),
  ),
  orderId: orNull(printableText(64)),
})

const evidence = Type.Object({
  type: Type.Enum([...floodTypes]),
  share,
  peak: rate,
  usual: rate,
  synRatio: orNull(count),
  sourceConcentration: orNull(share),
})

const change = Type.Object({ time, kind: Type.Enum([...ddosChanges]), message: printableText(512) })

const event = Type.Object({
  id: eventId,
  version: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  instanceId,
  phase: Type.Enum([...ddosEventPhases]),
  trigger: Type.Enum([...ddosTriggers]),
  startTime: time,
  endTime: orNull(time),
  endReason: orNull(Type.Enum([...ddosEndReasons])),
  thresholds: orNull(thresholds),
  peak: Type.Object({ packetsPerSecond: count, bitsPerSecond: count, time }),
  offered: amount,
  passed: amount,
  dropped: byName(scrubSteps, amount),
  attackTypes: Type.Array(evidence, { maxItems: floodTypes.length }),
  topSources,
  blackHoles: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  changes: Type.Array(change, { maxItems: maxChanges }),
})

export const ddosSchemas = {
  'ddos-status': Type.Object({
    type: Type.Literal('ddos-status'),
    instances: Type.Array(status, { maxItems: maxInstances }),
  }),
  'ddos-event': Type.Object({ type: Type.Literal('ddos-event'), event }),
  'ddos-samples': Type.Object({
    type: Type.Literal('ddos-samples'),
    samples: Type.Array(sample, { maxItems: maxInstances }),
  }),
} as const satisfies Record<string, TSchema>
