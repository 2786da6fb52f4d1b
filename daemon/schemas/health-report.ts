/** The health report, as the API shows it: the findings of `ringwall analyze --json`. */
import Type, { type Static } from 'typebox'
import { findingKinds, severities } from '../../rules-compiler/analyze/finding.ts'
import { exact, nullable } from './fields.ts'

/** A packet in the words of `ringwall explain --json`. */
export const packetSchema = Type.Object({
  eniId: Type.String({ description: 'Empty where it is any.' }),
  direction: Type.Enum(['ingress', 'egress']),
  protocol: Type.Integer({ description: 'IP protocol number.' }),
  source: Type.String(),
  destination: Type.String(),
  sourcePort: Type.Integer(),
  destinationPort: Type.Integer(),
  icmpType: Type.Optional(Type.Integer()),
})

/** More than anybody reads of one finding. */
export const maxEniIds = 100

const findingSchema = Type.Object({
  kind: Type.Enum([...findingKinds]),
  severity: Type.Enum([...severities]),
  groupId: Type.String(),
  ruleIds: Type.Array(Type.String(), { description: 'Empty where it is about the group itself.' }),
  coveredBy: Type.Array(Type.Object({ groupId: Type.String(), ruleId: Type.String() }), {
    description: 'Rules that take the place of a shadowed or redundant one.',
  }),
  eniIds: Type.Array(Type.String(), {
    description: `Where it holds, ${maxEniIds} at most; empty where it holds wherever the group is attached.`,
  }),
  eniCount: Type.Integer({ description: 'How many those are in all.' }),
  message: Type.String(),
  witness: nullable(packetSchema),
})
export type ShownFinding = Static<typeof findingSchema>

const reportFields = {
  revision: Type.Integer({ description: 'Of the state that was looked at.' }),
  findings: Type.Array(findingSchema, { description: 'The most severe first.' }),
  totalCount: Type.Integer({ description: 'Findings in all, also those beyond maxResults.' }),
  severities: Type.Object({ high: Type.Integer(), medium: Type.Integer(), low: Type.Integer() }),
}
const findingsSchema = Type.Object(reportFields)
export type HealthReport = Static<typeof findingsSchema>

export const healthReportSchema = Type.Object({
  ...reportFields,
  observed: Type.Object(
    {
      networkInterfaceCount: Type.Integer({ description: 'In the groups that the report is about.' }),
      networkInterfaceIds: Type.Array(Type.String(), { description: `${maxEniIds} of them at most.` }),
      securityGroupIds: Type.Array(Type.String(), { description: 'Groups among them whose mode is observe.' }),
    },
    { description: 'Where nothing is dropped, because it is only observed.' },
  ),
  lostAddresses: Type.Object(
    {
      networkInterfaceCount: Type.Integer({ description: 'In the groups that the report is about.' }),
      networkInterfaces: Type.Array(
        Type.Object({
          networkInterfaceId: Type.String(),
          hostName: Type.String(),
          device: Type.String({ description: 'Its device on that host.' }),
          addresses: Type.Array(Type.String(), { description: 'Of the interface, and not of its device.' }),
          deviceAddresses: Type.Array(Type.String(), { description: 'What its device has.' }),
        }),
        { description: `${maxEniIds} of them at most.` },
      ),
    },
    { description: 'Interfaces with addresses that, as agents have told last, their device does not have.' },
  ),
})

export const healthReportQuery = Type.Object(
  {
    accountId: Type.Optional(Type.String({ description: 'Groups of this account alone.', maxLength: 64 })),
    securityGroupId: Type.Optional(Type.String({ description: 'This group alone.', maxLength: 64 })),
    maxResults: Type.Optional(
      Type.Integer({ description: 'Findings to show.', minimum: 1, maximum: 5000, default: 1000 }),
    ),
  },
  exact,
)
