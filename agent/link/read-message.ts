/** What the daemon sends, from text to exact types. A daemon that is broken or hostile must not bring the agent down. */
import type { EnforcementMode, Limits, Logging } from '../../rules-compiler/model/policy.ts'
import type { ScrubOrder } from '../../rules-compiler/scrub/ir.ts'
import { type GoodbyeCode, goodbyeCodes, type MembersDelta, type Position, type ToAgent } from '../../wire/messages.ts'
import type {
  ViewEni,
  ViewGroup,
  ViewInstance,
  ViewKind,
  ViewMembers,
  ViewObject,
  ViewPrefixList,
  ViewScrubbing,
  ViewSettings,
} from '../../wire/view.ts'
import {
  count,
  fieldsOf,
  listOf,
  objectOf,
  oneOf,
  orNull,
  type Reader,
  readJsonWith,
  recordOf,
  refuse,
  text,
  textOrNumber,
  truth,
} from './shape.ts'

const texts = listOf(text)
const networkType = oneOf(['vpc', 'classic'])

const limits = objectOf<Limits>({
  rulesPerGroup: count,
  groupsPerEni: count,
  basicGroupPrivateIps: count,
  advancedGroupEnis: count,
  authorizationObjectsPerRequest: count,
  keyPairsPerAccount: count,
})

const scrubbing = objectOf<ViewScrubbing>(
  {},
  {
    secondsOver: count,
    holdTime: count,
    blackHoleThreshold: count,
    blackHoleHoldTime: count,
    mostBlackHoleHoldTime: count,
    allowList: texts,
  },
)
const logging = objectOf<Partial<Logging>>({}, { drops: truth, sessions: truth, perSecond: count, nflogGroup: count })
const mode = oneOf<EnforcementMode>(['enforce', 'observe'])
const ddosThreshold = objectOf<NonNullable<ViewInstance['ddosThreshold']>>({
  bps: count,
  pps: count,
  source: oneOf(['manual', 'auto']),
})
const ddosOrder = objectOf<ScrubOrder>({
  id: text,
  action: oneOf(['black-hole', 'lift']),
  holdSeconds: orNull(count),
})

const values: { readonly [Kind in ViewKind]: Reader<Extract<ViewObject, { kind: Kind }>['value']> } = {
  settings: objectOf<ViewSettings>(
    { sessionTimeout: count, revocation: oneOf(['immediate', 'drain']), limits },
    { trafficScope: oneOf(['internet', 'all']), scrubbing, logging },
  ),
  instance: objectOf<ViewInstance>(
    { id: text, smtpUnblocked: truth },
    { instanceType: text, ddosThreshold, scrubbingCancelled: truth, ddosOrder },
  ),
  eni: objectOf<ViewEni>(
    {
      id: text,
      instanceId: text,
      macAddress: orNull(text),
      device: orNull(text),
      placement: oneOf(['host', 'guest']),
      addresses: texts,
      securityGroupIds: texts,
      nicType: oneOf(['internet', 'intranet']),
    },
    { mode },
  ),
  // A field of a rule that is not known may narrow it, so rules are read as they are and judged whole by the policy's checks.
  group: objectOf<ViewGroup>(
    {
      id: text,
      type: oneOf(['basic', 'advanced']),
      networkType,
      ownerAccount: text,
      innerAccessPolicy: oneOf(['accept', 'drop']),
      rules: listOf(recordOf(textOrNumber)),
    },
    { vpcId: text, mode },
  ),
  members: objectOf<ViewMembers>({ networkType, ownerAccount: text, addresses: texts }, { vpcId: text }),
  prefixList: objectOf<ViewPrefixList>({ id: text, entries: texts }),
}

const kind = oneOf(Object.keys(values) as ViewKind[])
const named = objectOf<{ kind: ViewKind; id: string }>({ kind, id: text })

export const readViewObject: Reader<ViewObject> = value => {
  const { kind, id } = named(value)
  const read = objectOf<{ value: ViewObject['value'] }>({ value: values[kind] })(value)
  if ('id' in read.value && read.value.id !== id) return refuse(`the id "${id}" in the value too`)
  return { kind, id, ...read } as ViewObject
}

const position = { storeId: text, revision: count }
const bodies = {
  snapshot: objectOf<Position & { objects: readonly ViewObject[] }>({ ...position, objects: listOf(readViewObject) }),
  delta: objectOf<
    Position & {
      set: readonly ViewObject[]
      remove: readonly string[]
      members: readonly MembersDelta[]
    }
  >({
    ...position,
    set: listOf(readViewObject),
    remove: texts,
    members: listOf(objectOf<MembersDelta>({ id: text, add: texts, remove: texts })),
  }),
  'ddos-event-kept': objectOf<{ eventId: string; version: number }>({ eventId: text, version: count }),
  'ddos-watch': objectOf<{ instanceIds: readonly string[] }>({ instanceIds: texts }),
  renewed: objectOf<{ certificate: string }>({ certificate: text }),
  confirm: objectOf<{ revision: number }>({ revision: count }),
  // A code of a later version ends the connection like any other.
  goodbye: objectOf<{ code: GoodbyeCode; message: string }>({ code: text as Reader<GoodbyeCode>, message: text }),
}

const type = oneOf(Object.keys(bodies) as ToAgent['type'][])

const readBody: Reader<ToAgent> = value => {
  const { type: name } = objectOf<{ type: ToAgent['type'] }>({ type })(fieldsOf(value))
  return { type: name, ...bodies[name](value) } as ToAgent
}

/** A delta that was read before, and kept. */
export const readDelta: Reader<Extract<ToAgent, { type: 'delta' }>> = value =>
  ({ type: 'delta', ...bodies.delta(value) }) as Extract<ToAgent, { type: 'delta' }>

export function readToAgent(json: string): { readonly value: ToAgent } | { readonly fault: string } {
  return readJsonWith(readBody, json)
}

export function isKnownGoodbye(code: string): code is GoodbyeCode {
  return goodbyeCodes.some(known => known === code)
}
