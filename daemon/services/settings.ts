/** What every agent is told, and how much is allowed of what. */
import type { Static } from 'typebox'
import { keyOf, type SettingsDoc, settingsId } from '../model/documents.ts'
import { type LimitName, limitNames, type modifySettingsSchema, type SettingsAnswer } from '../schemas/settings.ts'
import type { World } from '../state/world.ts'
import type { Plan } from './executor.ts'
import { conflict, Faults } from './faults.ts'
import { limitUses } from './limits.ts'

export function showSettings({ sessionTimeout, revocation, limits }: SettingsDoc, revision: number): SettingsAnswer {
  return { sessionTimeout, revocation, limits: { ...limits }, revision }
}

export function modifySettings(
  world: World,
  { limits: given = {}, ...others }: Static<typeof modifySettingsSchema>,
): Plan<{ settings: SettingsAnswer }> {
  const faults = new Faults()
  checkLimits(world, given, faults)
  faults.throwIfAny()
  const { settings } = world
  const changed: SettingsDoc = { ...settings, ...others, limits: { ...settings.limits, ...given } }
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
