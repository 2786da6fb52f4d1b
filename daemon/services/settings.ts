/** What every agent is told, and how much is allowed of what. */
import type { Static } from 'typebox'
import { defaultLogging, defaultScrubbing, defaultSettings } from '../../rules-compiler/model/policy.ts'
import { checkPolicy } from '../../rules-compiler/validate/read-policy.ts'
import type { ViewScrubbing } from '../../wire/view.ts'
import { defaultEventRetention, type EventRetention, keyOf, type SettingsDoc, settingsId } from '../model/documents.ts'
import { type LimitName, limitNames, type modifySettingsSchema, type SettingsAnswer } from '../schemas/settings.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { conflict, Faults, invalidRequest } from './faults.ts'
import { limitUses } from './limits.ts'

export function showSettings(settings: SettingsDoc, revision: number): SettingsAnswer {
  const { sessionTimeout, revocation, limits, trafficScope = defaultSettings.trafficScope } = settings
  const { allowList = [], ...numbers } = settings.scrubbing ?? {}
  const scrubbing = { ...defaultScrubbing, ...numbers }
  return {
    sessionTimeout,
    revocation,
    limits: { ...limits },
    trafficScope,
    scrubbing: {
      ...scrubbing,
      // A first black hole that was made longer than the longest is by default is the longest.
      mostBlackHoleHoldTime: Math.max(scrubbing.blackHoleHoldTime, scrubbing.mostBlackHoleHoldTime),
      allowList: [...allowList],
    },
    logging: { ...defaultLogging, ...settings.logging },
    ddosEvents: retentionOf(settings),
    revision,
  }
}

export function retentionOf({ ddosEvents }: SettingsDoc): EventRetention {
  return { ...defaultEventRetention, ...ddosEvents }
}

export function modifySettings(
  world: World,
  {
    limits: given = {},
    scrubbing: givenScrubbing,
    logging,
    ddosEvents,
    ...others
  }: Static<typeof modifySettingsSchema>,
): Plan<{ settings: SettingsAnswer }> {
  const faults = new Faults()
  const { settings } = world
  checkLimits(world, given, faults)
  const scrubbing = givenScrubbing && changeScrubbing(settings.scrubbing ?? {}, givenScrubbing, faults)
  faults.throwIfAny()
  const changed: SettingsDoc = {
    ...settings,
    ...others,
    limits: { ...settings.limits, ...given },
    ...someOf('scrubbing', scrubbing),
    ...someOf('logging', logging && { ...settings.logging, ...logging }),
    ...someOf('ddosEvents', ddosEvents && { ...settings.ddosEvents, ...ddosEvents }),
  }
  // Defaults are not written until something differs from them.
  const isSame = JSON.stringify(changed) === JSON.stringify(settings)
  return {
    writes: isSame ? [] : [{ key: keyOf('settings', settingsId), value: changed }],
    body: revisionOf => ({ settings: showSettings(changed, revisionOf('settings', settingsId)) }),
  }
}

/** What is there stays there: a limit below it would be passed already. */
function checkLimits(world: World, given: Partial<Record<LimitName, number>>, faults: Faults): void {
  const lowered = limitNames.filter(name => (given[name] ?? Number.POSITIVE_INFINITY) < world.settings.limits[name])
  if (lowered.length === 0) return
  const uses = limitUses(world, () => true)
  for (const name of lowered) {
    const { highest, where } = uses.get(name)!
    const limit = given[name]!
    if (highest <= limit) continue
    const message = `Cannot set limit "${name}" to ${limit}: expected ${highest} or more, which ${where} has`
    faults.add(conflict, { code: 'conflict', field: `limits.${name}`, message, value: limit })
  }
}

/** The field, unless nothing is said in it. */
function someOf<N extends string, T extends object>(name: N, fields: T | undefined) {
  const some = fields !== undefined && Object.keys(fields).length > 0
  return (some ? { [name]: fields } : {}) as { readonly [K in N]?: T }
}

/** What is there with what is asked for, as a policy file may have it; blocks canonical and disjoint. */
function changeScrubbing(
  present: ViewScrubbing,
  given: NonNullable<Static<typeof modifySettingsSchema>['scrubbing']>,
  faults: Faults,
): ViewScrubbing {
  const changed = { ...present, ...given }
  const { policy, problems } = checkPolicy({ apiVersion: 'ringwall/v1', settings: { scrubbing: changed } })
  for (const { code, path, message, value } of problems) {
    faults.add(invalidRequest, { code, field: path.replace(/^settings\./, ''), message, value })
  }
  if (given.allowList === undefined || policy === null) return changed
  return { ...changed, allowList: policy.settings.scrubbing.allowList.map(({ text }) => text) }
}
