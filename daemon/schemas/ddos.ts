/** Traffic scrubbing, as the API shows and takes it. Thresholds are in Mbit/s (10^6 bits) and packets a second, as published. */
import Type, { type Static, type TProperties, type TSchema } from 'typebox'
import { ddosThresholdBounds, orderedHoldBounds } from '../../rules-compiler/model/policy.ts'
import { floodTypes, scrubSteps, trafficTypes } from '../../rules-compiler/model/traffic.ts'
import { ddosChanges, ddosEndReasons, ddosEventPhases, ddosPhases, ddosTriggers } from '../../wire/ddos.ts'
import { exact, nullable, revisionField, timeField } from './fields.ts'

const bpsText = 'Mbit/s (10^6 bits a second).'
const ppsText = 'Packets a second.'

const sourceField = (description: string) => nullable(Type.Enum(['type', 'manual', 'auto'], { description }))

export const ddosThresholdSchema = Type.Object({
  instanceId: Type.String(),
  bps: nullable(Type.Number({ description: `${bpsText} null: no threshold, traffic is measured and never scrubbed.` })),
  pps: nullable(Type.Number({ description: ppsText })),
  maxBps: nullable(
    Type.Number({ description: 'The most that its instance type allows; null where that is not known.' }),
  ),
  maxPps: nullable(Type.Number({ description: 'The same for packets.' })),
  source: sourceField(
    'type: the maxima of the instance type. manual: set by hand. auto: taken over from what the agent proposed. null: there is none.',
  ),
  proposedBps: nullable(
    Type.Number({
      description: 'What the agent would set it to, from what it has seen; null before it has seen enough.',
    }),
  ),
  proposedPps: nullable(Type.Number({ description: 'The same for packets.' })),
  revision: revisionField,
})
export type ShownThreshold = Static<typeof ddosThresholdSchema>

export const setThresholdSchema = Type.Object(
  {
    bps: Type.Optional(
      Type.Integer({ description: `${bpsText} At most what the instance type allows.`, ...ddosThresholdBounds.bps }),
    ),
    pps: Type.Optional(
      Type.Integer({ description: `${ppsText} At most what the instance type allows.`, ...ddosThresholdBounds.pps }),
    ),
    source: Type.Optional(
      Type.Enum(['type', 'manual', 'auto'], {
        description:
          'manual, with bps and pps, is what is meant where it is left out. type: back to the maxima of the instance type. auto: what the agent proposes now.',
      }),
    ),
  },
  exact,
)

export const scrubbingSchema = Type.Object({
  instanceId: Type.String(),
  scrubbingCancelled: Type.Boolean({
    description: 'Whether an operator cancelled it; a black hole comes all the same.',
  }),
  order: nullable(
    Type.Object(
      {
        orderId: Type.String(),
        action: Type.Enum(['black-hole', 'lift']),
        holdSeconds: nullable(Type.Integer({ description: 'null: the usual time.' })),
      },
      { description: 'What was ordered last. The agent carries it out once.' },
    ),
  ),
  revision: revisionField,
})
export type ShownScrubbing = Static<typeof scrubbingSchema>

export const blackHoleSchema = Type.Object(
  {
    holdSeconds: Type.Optional(
      Type.Integer({ description: 'How long; as long as the settings say where left out.', ...orderedHoldBounds }),
    ),
  },
  exact,
)

const rate = (description: string) =>
  Type.Object({ packetsPerSecond: Type.Number(), bitsPerSecond: Type.Number() }, { description })
const amount = (description: string) => Type.Object({ packets: Type.Number(), bytes: Type.Number() }, { description })

function byName<T extends TSchema>(names: readonly string[], each: T, description: string) {
  const fields = Object.fromEntries(names.map(name => [name, Type.Optional(each)])) as TProperties
  return Type.Object(fields, { description })
}

const sampleFields = {
  time: timeField('When the interval ended, by the clock of the host.'),
  intervalSeconds: Type.Number(),
  offered: rate('In scope, before anything was dropped.'),
  passed: rate('Of that, what scrubbing let through.'),
  all: rate('In scope or not.'),
  byType: byName(trafficTypes, rate('Of this type.'), 'What was offered, by type; types without traffic are left out.'),
  dropped: byName(scrubSteps, rate('By this step.'), 'By the step that dropped it; others are left out.'),
}
/** One `sample` event of the live feed. */
export const ddosSampleSchema = Type.Object({ instanceId: Type.String(), ...sampleFields })

const topSources = Type.Array(
  Type.Object({ address: Type.String(), packets: Type.Number(), bytes: Type.Number(), share: Type.Number() }),
  { description: 'Heaviest first, 10 at most, estimated. Addresses may be forged.' },
)
const attackType = Type.Enum([...floodTypes])

/** How each instance stands. */
export const ddosInstanceSchema = Type.Object({
  instanceId: Type.String(),
  accountId: Type.String(),
  agentId: nullable(Type.String()),
  phase: nullable(
    Type.Enum([...ddosPhases], {
      description:
        'over: above a threshold, not yet for long enough. uncleaned: above, and scrubbing is cancelled. null: the daemon has heard nothing since its start.',
    }),
  ),
  since: nullable(timeField('Since when it is in that phase, by the clock of the host.')),
  staleSince: nullable(
    timeField('The agent is away since then, and all that it told is from before; null: it is connected.'),
  ),
  eventId: nullable(Type.String({ description: 'Of the event under way.' })),
  attackTypes: Type.Array(attackType),
  bitsPerSecond: nullable(Type.Number({ description: 'Offered in scope, as of the last sample.' })),
  packetsPerSecond: nullable(Type.Number({ description: 'The same in packets.' })),
  sample: nullable(Type.Object(sampleFields, { description: 'The last one, some seconds old.' })),
  topSources,
  blackHole: nullable(
    Type.Object({ endTime: timeField('When it ends.'), holdSeconds: Type.Number(), isManual: Type.Boolean() }),
  ),
  bps: ddosThresholdSchema.properties.bps,
  pps: ddosThresholdSchema.properties.pps,
  maxBps: ddosThresholdSchema.properties.maxBps,
  maxPps: ddosThresholdSchema.properties.maxPps,
  source: ddosThresholdSchema.properties.source,
  proposedBps: ddosThresholdSchema.properties.proposedBps,
  proposedPps: ddosThresholdSchema.properties.proposedPps,
  scrubbingCancelled: scrubbingSchema.properties.scrubbingCancelled,
  order: scrubbingSchema.properties.order,
  carriedOutOrderId: nullable(Type.String({ description: 'The last order that the agent carried out.' })),
  revision: revisionField,
})
export type ShownDdosInstance = Static<typeof ddosInstanceSchema>

export const ddosEventSchema = Type.Object({
  eventId: Type.String(),
  instanceId: Type.String(),
  accountId: Type.String(),
  agentId: Type.String({ description: 'The agent that told of it.' }),
  version: Type.Integer({ description: 'Rises with each change.' }),
  phase: Type.Enum([...ddosEventPhases]),
  trigger: Type.Enum([...ddosTriggers], { description: 'What set it off.' }),
  startTime: timeField('By the clock of the host, as every time here.'),
  endTime: nullable(timeField('The traffic went down for good the hold time before; null while it goes on.')),
  endReason: nullable(
    Type.Enum([...ddosEndReasons], {
      description:
        'Traffic went down; thresholds or instance are gone; the host was started anew meanwhile; nobody tells of it any more.',
    }),
  ),
  thresholds: nullable(
    Type.Object({ bps: Type.Number({ description: bpsText }), pps: Type.Number({ description: ppsText }) }),
  ),
  peak: Type.Object(
    { packetsPerSecond: Type.Number(), bitsPerSecond: Type.Number(), time: timeField('Of the peak.') },
    { description: 'Highest one-second rates offered; each measure by itself.' },
  ),
  offered: amount('In scope, from start to end.'),
  passed: amount('Of that, what scrubbing let through.'),
  dropped: byName(scrubSteps, amount('By this step.'), 'By the step that dropped it; others are left out.'),
  attackTypes: Type.Array(
    Type.Object({
      type: attackType,
      share: Type.Number({ description: 'Of the traffic in scope in the measure that was exceeded, at its highest.' }),
      peak: rate('At its highest.'),
      usual: rate('Before the event, of the same kind.'),
      synRatio: nullable(
        Type.Number({ description: 'SYNs for each other TCP packet in the second in which it was named.' }),
      ),
      sourceConcentration: nullable(Type.Number({ description: 'What the ten heaviest sources had of the packets.' })),
    }),
    { description: 'In the order they were recognised, with what told them.' },
  ),
  topSources,
  blackHoles: Type.Integer({ description: 'How often it was black-holed.' }),
  changes: Type.Array(
    Type.Object({ time: timeField('When.'), kind: Type.Enum([...ddosChanges]), message: Type.String() }),
    { description: 'Oldest first; of many the first and the last 50.' },
  ),
  revision: revisionField,
})
export type ShownDdosEvent = Static<typeof ddosEventSchema>
