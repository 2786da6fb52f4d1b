/** Agents, enrolment tokens and changes, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import { accountIdField, exact, nullable, revisionField, timeField } from './fields.ts'
import { instanceTypeField } from './instances.ts'

const maxEnrolmentSeconds = 7 * 24 * 3600
export const defaultEnrolmentSeconds = 3600

export const trialSchema = Type.Object(
  {
    revision: Type.Integer({ description: 'Whose policy it is.' }),
    cuts: Type.Array(Type.String(), { description: 'Whom it would cut by what, one sentence each.' }),
    needsPerson: Type.Boolean({ description: 'It waits for somebody who confirms it.' }),
    until: timeField('When it is taken back.'),
  },
  { description: 'A policy that is in force there on trial.' },
)

export const agentSchema = Type.Object({
  agentId: Type.String(),
  hostName: Type.String(),
  state: Type.Enum(['in-sync', 'behind', 'refusing', 'away', 'revoked'], {
    description:
      'in-sync: its kernel has all that concerns it. behind: not yet. refusing: its last answer was a refusal. away: not connected.',
  }),
  since: timeField('Since when it is in that state.'),
  enforcedRevision: nullable(Type.Integer({ description: 'What stands in its kernel; null where that is not known.' })),
  relevantRevision: Type.Integer({ description: 'The last revision that changed something for it.' }),
  lastError: nullable(Type.String({ description: 'Why it refused.' })),
  trial: nullable(trialSchema),
  isOpen: Type.Boolean({
    description:
      'Its administrator has opened the host (`ringwall panic`), as it said last: nothing is enforced there.',
  }),
  openSince: nullable(timeField('Since when; null where it is not open, or that is not known.')),
  certificateExpireTime: nullable(timeField('When it must have renewed its certificate.')),
  instanceIds: Type.Array(Type.String()),
  kernel: nullable(Type.String()),
  nftVersion: nullable(Type.String()),
  agentVersion: nullable(Type.String()),
  capabilities: Type.Record(Type.String(), Type.String(), { description: 'How each feature is done on the host.' }),
  rescue: nullable(
    Type.Array(
      Type.Object({
        source: Type.String({ description: 'A CIDR block.' }),
        port: Type.Integer({ description: 'The TCP port of the host.' }),
      }),
      {
        description:
          'Set on the host (`rescue` of its agent.yaml): accepted at its network interfaces of placement host, whatever the rules say. null where its agent is from before it was told.',
      },
    ),
  ),
  rescuePorts: nullable(
    Type.Array(Type.Integer(), {
      description: 'TCP ports of the host whose sessions its lockout guard watches over (`rescuePort`); null as above.',
    }),
  ),
  devices: Type.Array(
    Type.Object({
      name: Type.String(),
      macAddress: nullable(Type.String()),
      kind: nullable(Type.String({ description: '`veth`, `bridge` …; null for hardware.' })),
      up: Type.Boolean(),
      addresses: Type.Array(Type.String()),
    }),
  ),
  networkInterfaces: Type.Array(
    Type.Object({
      networkInterfaceId: Type.String(),
      state: Type.Enum(['enforced', 'device-missing', 'no-group']),
    }),
    { description: 'As it said with its last acknowledgement.' },
  ),
  observedNetworkInterfaceIds: Type.Array(Type.String(), {
    description: 'Of its instances, those that are only observed: nothing is dropped there.',
  }),
  createTime: timeField('When it enrolled first.'),
  revision: revisionField,
})
export type Agent = Static<typeof agentSchema>

const newInstanceSchema = Type.Object(
  { accountId: accountIdField('Who owns it.'), instanceType: Type.Optional(nullable(instanceTypeField)) },
  { ...exact, description: 'Makes an instance for the host, named after it.' },
)

export const enrolmentTokenSchema = Type.Object({
  enrolmentTokenId: Type.String(),
  agentId: nullable(Type.String({ description: 'The agent that enrols again; null: a new one.' })),
  instanceIds: Type.Array(Type.String(), { description: 'Instances that the agent will serve.' }),
  newInstance: nullable(Type.Object({ accountId: Type.String(), instanceType: nullable(Type.String()) })),
  createTime: timeField('When it was made.'),
  expireTime: timeField('When it ends.'),
  usedByAgentId: nullable(Type.String({ description: 'null until it was used.' })),
  revision: revisionField,
})
export type EnrolmentToken = Static<typeof enrolmentTokenSchema>

export const createEnrolmentTokenSchema = Type.Object(
  {
    agentId: Type.Optional(
      Type.String({ description: 'An agent that is to enrol again: revoked, or its host made anew.', maxLength: 64 }),
    ),
    instanceIds: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), {
        description: 'Instances that the agent will serve.',
        maxItems: 100,
      }),
    ),
    newInstance: Type.Optional(newInstanceSchema),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: maxEnrolmentSeconds, default: defaultEnrolmentSeconds }),
    ),
  },
  exact,
)
