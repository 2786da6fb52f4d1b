/** What rules of observed network interfaces would have dropped, as the API shows it. */
import Type, { type Static } from 'typebox'
import { observedCauses } from '../../wire/observed.ts'
import { nullable, timeField } from './fields.ts'

/** More than anybody reads. */
export const maxListed = 100
export const maxReasons = 1000
export const defaultFlows = 100

const reason = {
  direction: Type.Enum(['ingress', 'egress']),
  cause: Type.Enum([...observedCauses], { description: 'rule: a rule that drops. default: no rule accepts.' }),
  securityGroupRuleId: nullable(Type.String()),
  securityGroupId: nullable(Type.String({ description: 'The group the rule stands in.' })),
}

const reasonSchema = Type.Object({
  ...reason,
  packets: Type.Integer({ description: 'All there were.' }),
  networkInterfaceCount: Type.Integer({ description: 'Where.' }),
})

const flowSchema = Type.Object({
  networkInterfaceId: Type.String(),
  ...reason,
  peer: Type.String({ description: 'The far side.' }),
  protocol: Type.String(),
  port: nullable(Type.Integer({ description: 'The destination’s.' })),
  icmpType: nullable(Type.Integer()),
  icmpCode: nullable(Type.Integer()),
  packets: Type.Integer({ description: 'As many as were seen of it: a sample.' }),
  firstTime: timeField('By the clock of the host.'),
  lastTime: timeField('The same.'),
})

const missingSchema = Type.Object({
  networkInterfaceId: Type.String(),
  instanceId: Type.String(),
  agentId: nullable(Type.String()),
  reason: Type.Enum(['no-agent', 'away', 'not-capable', 'not-reported', 'cut'], {
    description:
      'no-agent: nobody enforces there. away: its agent is not connected. not-capable: its agent is too old to observe, and enforces. not-reported: its agent has told nothing of it since the daemon’s start. cut: there was no room for all of it.',
  }),
  lastReportTime: nullable(timeField('Of what is in the report nevertheless.')),
})

export const observedFields = {
  networkInterfaceCount: Type.Integer({ description: 'That it is about.' }),
  observedCount: Type.Integer({ description: 'How many of them are observed.' }),
  reportedCount: Type.Integer({ description: 'Of how many of those there is a report.' }),
  isComplete: Type.Boolean({ description: 'There is one of each, and its agent is connected.' }),
  since: nullable(timeField('Since when the first of them is observed, by the clock of its host.')),
  oldestReportTime: nullable(timeField('When the daemon heard the oldest of the reports.')),
  newestReportTime: nullable(timeField('The newest.')),
  packets: Type.Integer({ description: 'That would have been dropped, of all reasons.' }),
  reasons: Type.Array(reasonSchema, { description: `The most packets first, ${maxReasons} at most.` }),
  flows: Type.Array(flowSchema, { description: 'The most packets first.' }),
  flowsLeftOut: Type.Integer({ description: 'How many more there were, as far as is known.' }),
  liveSessions: nullable(
    Type.Integer({ description: 'Sessions that are only let through and would end; null where no agent has told.' }),
  ),
  missing: Type.Array(missingSchema, { description: `Where it is not complete, ${maxListed} at most.` }),
  missingCount: Type.Integer(),
}

const report = Type.Object(observedFields)
export type ObservedReport = Static<typeof report>

export const observedQuery = Type.Object(
  {
    maxFlows: Type.Optional(
      Type.Integer({ description: 'Flows to show.', minimum: 0, maximum: 1000, default: defaultFlows }),
    ),
  },
  { additionalProperties: false },
)
