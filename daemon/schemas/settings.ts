/** Settings and limits, as the API shows and takes them. */
import Type, { type Static, type TSchema } from 'typebox'
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

export const settingsSchema = Type.Object({
  sessionTimeout,
  revocation,
  limits: Type.Object(ofLimits(description => Type.Integer({ description }))),
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
  },
  exact,
)

export const limitUseSchema = Type.Object({
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
