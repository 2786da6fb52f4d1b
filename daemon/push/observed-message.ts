/** What agents say of observed ENIs: shape and size, as strict as messages.ts is about the rest. */
import Type from 'typebox'
import { observedCauses, observedLimits } from '../../wire/observed.ts'
import { idPattern } from '../services/ids.ts'
import { canonicalTime as time } from './ddos-messages.ts'
import { printableText } from './text.ts'

const packets = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const octet = Type.Integer({ minimum: 0, maximum: 255 })

const reason = {
  direction: Type.Enum(['ingress', 'egress']),
  cause: Type.Enum([...observedCauses]),
  ruleId: Type.Optional(printableText(64)),
  securityGroupId: Type.Optional(printableText(64)),
  packets,
}

const flow = Type.Object({
  ...reason,
  peer: Type.String({ maxLength: 45, pattern: '^[0-9a-f:.]{2,45}$' }),
  protocol: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,15}$' }),
  port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
  icmpType: Type.Optional(octet),
  icmpCode: Type.Optional(octet),
  firstTime: time,
  lastTime: time,
})

const eni = Type.Object({
  eniId: Type.String({ maxLength: 64, pattern: idPattern('eni') }),
  since: time,
  counts: Type.Array(Type.Object(reason), { maxItems: observedLimits.countsOfEni }),
  flows: Type.Array(flow, { maxItems: observedLimits.flowsOfEni }),
  flowsLeftOut: packets,
  liveSessions: Type.Union([Type.Null(), packets]),
})

export const observedSchema = Type.Object({
  type: Type.Literal('observed'),
  enis: Type.Array(eni, { maxItems: observedLimits.enis }),
})
