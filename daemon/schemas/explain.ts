/** What decides about a packet, as the API is asked and answers: the explanation of `ringwall explain --json`. */
import Type, { type Static } from 'typebox'
import { exact, nullable } from './fields.ts'
import { packetSchema } from './health-report.ts'

const address = Type.String({ description: 'As it stands on the wire.', maxLength: 64 })
const port = (description: string) => Type.Integer({ description, minimum: 0, maximum: 65_535 })
const octet = { minimum: 0, maximum: 255 }

export const explainSchema = Type.Object(
  {
    networkInterfaceId: Type.String({ description: 'The network interface the packet passes.', maxLength: 64 }),
    direction: Type.Enum(['ingress', 'egress'], { description: 'Towards the instance, or from it.' }),
    protocol: Type.Unsafe<string | number>({
      description: 'tcp, udp, icmp, icmpv6, gre or a protocol number.',
      anyOf: [
        { type: 'string', maxLength: 16 },
        { type: 'integer', ...octet },
      ],
    }),
    source: address,
    sourcePort: Type.Optional(port('tcp and udp; 40000 if left out.')),
    destination: address,
    port: Type.Optional(port('tcp and udp: the destination port, needed there.')),
    icmpType: Type.Optional(Type.Integer({ description: 'icmp and icmpv6; an echo request if left out.', ...octet })),
  },
  exact,
)
export type PacketQuestion = Static<typeof explainSchema>

const verdict = Type.Enum(['accept', 'drop'])

export const explanationSchema = Type.Object({
  revision: Type.Integer({ description: 'Of the state that was asked.' }),
  verdict,
  isObserved: Type.Boolean({
    description: 'The verdict is drop, and the packet passes: the network interface is in observe mode.',
  }),
  reason: Type.Object({
    kind: Type.Enum(['rule', 'inner-access', 'default', 'exception', 'smtp', 'source-guard', 'invalid', 'no-policy'], {
      description: 'no-policy: the network interface has no security group, so its device is left alone.',
    }),
    name: nullable(Type.String({ description: 'Which exception.' })),
  }),
  ruleId: nullable(Type.String()),
  groupId: nullable(Type.String({ description: 'Of the deciding rule, or whose inner access decided.' })),
  priority: nullable(Type.Integer()),
  matchingRules: Type.Array(
    Type.Object({ ruleId: Type.String(), groupId: Type.String(), policy: verdict, priority: Type.Integer() }),
    { description: 'Every rule that matches, in deciding order.' },
  ),
  packet: packetSchema,
  text: Type.String({ description: 'The same for people, in several lines.' }),
})
export type ShownExplanation = Static<typeof explanationSchema>
