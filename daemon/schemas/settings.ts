/** Settings and limits, as the API shows and takes them. */
import Type, { type Static, type TSchema } from 'typebox'
import { loggingBounds, mostAllowListBlocks, scrubbingBounds } from '../../rules-compiler/model/policy.ts'
import { exact, nullable, revisionField } from './fields.ts'

/** No limit can be set above what the daemon and its agents were measured with, twenty times over. */
const maxLimit = 1_000_000

const limitTexts = {
  rulesPerGroup: 'Rules of one group, both directions together.',
  groupsPerEni: 'Groups of one ENI.',
  basicGroupPrivateIps: 'Private addresses in a basic group.',
  advancedGroupEnis: 'ENIs in an advanced group.',
  authorizationObjectsPerRequest: 'Authorization objects in one permission of a request.',
  keyPairsPerAccount: 'Key pairs of an account.',
} as const

export type LimitName = keyof typeof limitTexts
export const limitNames = Object.keys(limitTexts) as LimitName[]

function ofLimits<T extends TSchema>(each: (description: string) => T) {
  const entries = limitNames.map(name => [name, each(limitTexts[name])] as const)
  return Object.fromEntries(entries) as Record<LimitName, T>
}

const sessionTimeout = Type.Integer({
  description: 'Seconds after which an idle TCP session is forgotten.',
  minimum: 1,
  maximum: 910,
})
const revocation = Type.Enum(['immediate', 'drain'], {
  description: 'Whether a session that is no longer allowed is cut within a second, or lives on until it ends.',
})

const trafficScope = Type.Enum(['internet', 'all'], {
  description:
    'Whose traffic counts for traffic scrubbing and is cleaned: sources beyond private, shared, unique-local and link-local ranges, or all.',
})
const scrubbingTexts = {
  secondsOver: 'Scrubbing begins after so many seconds over a threshold, one after the other.',
  holdTime: 'Scrubbing ends when traffic has stayed under both thresholds for so many seconds.',
  blackHoleThreshold:
    'Mbit/s above which an instance is black-holed, or above its own threshold where that is higher; 0: never.',
  blackHoleHoldTime: 'Seconds of the first black hole of a day; each further one is twice as long.',
  mostBlackHoleHoldTime: 'The longest that a black hole becomes in this way, in seconds.',
} as const
export type ScrubbingNumber = keyof typeof scrubbingTexts
export const scrubbingNumbers = Object.keys(scrubbingTexts) as ScrubbingNumber[]

function ofScrubbing<T extends TSchema>(each: (name: ScrubbingNumber) => T) {
  return Object.fromEntries(scrubbingNumbers.map(name => [name, each(name)])) as Record<ScrubbingNumber, T>
}

const scrubbingNumber = (name: ScrubbingNumber) =>
  Type.Integer({ description: scrubbingTexts[name], ...scrubbingBounds[name] })
const allowList = Type.Array(Type.String({ maxLength: 64 }), {
  description: 'Blocks of addresses whose traffic is never cleaned nor black-holed; replaces those there are.',
  maxItems: mostAllowListBlocks,
})

const logging = {
  drops: Type.Boolean({
    description: 'Whether packets that are dropped, or would be where only observed, are logged.',
  }),
  sessions: Type.Boolean({ description: 'Whether each session that is accepted is logged, once.' }),
  perSecond: Type.Integer({
    description: 'Packets a second that are logged at most, for each network interface and direction.',
    ...loggingBounds.perSecond,
  }),
  nflogGroup: Type.Integer({ description: 'The NFLOG group of the kernel they go to.', ...loggingBounds.nflogGroup }),
} as const

const retentionTexts = {
  keptPerInstance: 'Events kept of one instance; the oldest go first.',
  keptDays: 'Days for which they are kept after their end.',
} as const
const retentionBounds = {
  keptPerInstance: { minimum: 1, maximum: 1000 },
  keptDays: { minimum: 1, maximum: 3650 },
} as const
const retentionNumber = (name: keyof typeof retentionTexts) =>
  Type.Integer({ description: retentionTexts[name], ...retentionBounds[name] })

export const settingsSchema = Type.Object({
  sessionTimeout,
  revocation,
  limits: Type.Object(ofLimits(description => Type.Integer({ description }))),
  trafficScope,
  scrubbing: Type.Object({ ...ofScrubbing(scrubbingNumber), allowList }),
  logging: Type.Object(logging),
  ddosEvents: Type.Object({
    keptPerInstance: retentionNumber('keptPerInstance'),
    keptDays: retentionNumber('keptDays'),
  }),
  revision: revisionField,
})
export type SettingsAnswer = Static<typeof settingsSchema>

export const modifySettingsSchema = Type.Object(
  {
    sessionTimeout: Type.Optional(sessionTimeout),
    revocation: Type.Optional(revocation),
    limits: Type.Optional(
      Type.Object(
        ofLimits(description => Type.Optional(Type.Integer({ description, minimum: 1, maximum: maxLimit }))),
        exact,
      ),
    ),
    trafficScope: Type.Optional(trafficScope),
    scrubbing: Type.Optional(
      Type.Object(
        { ...ofScrubbing(name => Type.Optional(scrubbingNumber(name))), allowList: Type.Optional(allowList) },
        exact,
      ),
    ),
    logging: Type.Optional(
      Type.Object(
        {
          drops: Type.Optional(logging.drops),
          sessions: Type.Optional(logging.sessions),
          perSecond: Type.Optional(logging.perSecond),
          nflogGroup: Type.Optional(logging.nflogGroup),
        },
        exact,
      ),
    ),
    ddosEvents: Type.Optional(
      Type.Object(
        {
          keptPerInstance: Type.Optional(retentionNumber('keptPerInstance')),
          keptDays: Type.Optional(retentionNumber('keptDays')),
        },
        exact,
      ),
    ),
  },
  exact,
)

const limitUseSchema = Type.Object({
  limit: Type.Enum(limitNames),
  description: Type.String(),
  maximum: Type.Integer({ description: 'The setting.' }),
  highest: Type.Integer({ description: 'The highest use of it among what the token may see.' }),
  where: nullable(Type.String({ description: 'The group or network interface of which that is; null for none.' })),
})

export const limitsSchema = Type.Object({ limits: Type.Array(limitUseSchema) })

export function limitText(name: LimitName): string {
  return limitTexts[name]
}
