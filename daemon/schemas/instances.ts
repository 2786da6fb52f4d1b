/** Instances, as the API shows and takes them. */
import Type, { type Static } from 'typebox'
import {
  accountIdField,
  descriptionField,
  exact,
  idField,
  nameField,
  nullable,
  revisionField,
  tagsField,
  timeField,
} from './fields.ts'

export const instanceSchema = Type.Object({
  instanceId: Type.String(),
  accountId: Type.String(),
  instanceName: nullable(Type.String()),
  description: nullable(Type.String()),
  tags: tagsField,
  instanceType: nullable(Type.String({ description: 'One that is not known is measured and never scrubbed.' })),
  agentId: nullable(Type.String({ description: 'The agent that enforces there; null: nobody does.' })),
  smtpUnblocked: Type.Boolean({ description: 'Whether an administrator opened outbound TCP port 25.' }),
  scrubbingCancelled: Type.Boolean({ description: 'Whether an operator cancelled traffic scrubbing.' }),
  networkInterfaceIds: Type.Array(Type.String(), { description: 'The primary one first.' }),
  createTime: timeField('When it was made.'),
  revision: revisionField,
})
export type Instance = Static<typeof instanceSchema>

export const instanceTypeField = nameField('As published, `ecs.g5.large`; any other name is taken too.')

const common = {
  instanceName: Type.Optional(nullable(nameField('What people call it.'))),
  description: Type.Optional(nullable(descriptionField('instance'))),
  tags: Type.Optional(tagsField),
  instanceType: Type.Optional(nullable(instanceTypeField)),
  agentId: Type.Optional(
    nullable(
      Type.String({
        description:
          'The agent that enforces there. Needs write on "*": a host takes its rules from whoever decides this.',
        maxLength: 64,
      }),
    ),
  ),
}

export const createInstanceSchema = Type.Object(
  {
    accountId: Type.Optional(accountIdField('Who owns it; the only account there is, where left out.')),
    instanceId: Type.Optional(idField('instance', 'Made where left out.')),
    ...common,
  },
  exact,
)

export const modifyInstanceSchema = Type.Object(
  {
    ...common,
    smtpUnblocked: Type.Optional(
      Type.Boolean({
        description: 'Opens outbound TCP port 25, which is then for the rules to decide. Needs write on "*".',
      }),
    ),
  },
  exact,
)
