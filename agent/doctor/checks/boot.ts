import { join } from 'node:path'
import { rulesetFile } from '../../state-dir.ts'
import { defineCheck } from '../check.ts'

export interface BootFacts {
  /** The unit that loads the ruleset before there is a network. */
  readonly isEnabled: boolean
  /** What it loads. */
  readonly loads: string
  /** What the agent writes. */
  readonly written: string
  /** A policy has been in force here. */
  readonly hasRuleset: boolean
}

const unit = '/etc/systemd/system/sysinit.target.wants/ringwall-boot.service'
const settings = '/etc/ringwall/boot.env'
const usual = '/var/lib/ringwall/ruleset.nft'

export const boot = defineCheck<BootFacts, 'boot-elsewhere' | 'boot-off' | 'boot'>({
  name: 'boot',
  area: 'state directory',
  question: 'Will the last policy be in force from a boot on?',
  needs: [],
  outcomes: {
    'boot-elsewhere': {
      severity: 'warning',
      means:
        'The boot unit loads another file than the agent writes: until the agent has started, what is there is in force, or nothing; and it does not see that "ringwall panic" has opened the host.',
      advice: 'Name the agent’s in /etc/ringwall/boot.env: RINGWALL_BOOT_RULESET=….',
    },
    'boot-off': {
      severity: 'note',
      means: 'From a boot until the agent has put its policy in force nothing is enforced here.',
      advice: 'Where that matters: systemctl enable ringwall-boot.',
    },
    boot: { severity: 'ok', means: 'The boot unit loads it before there is a network.', advice: '' },
  },
  async gather({ readText, stateDir }) {
    const written = join(stateDir, rulesetFile)
    return {
      isEnabled: (await readText(unit)) !== null,
      loads: namedIn((await readText(settings)) ?? '') ?? usual,
      written,
      hasRuleset: (await readText(written)) !== null,
    }
  },
  judge({ isEnabled, loads, written, hasRuleset }) {
    if (isEnabled && loads !== written) {
      return [{ code: 'boot-elsewhere', found: `it loads ${loads}, the agent writes ${written}` }]
    }
    if (isEnabled) return [{ code: 'boot', found: loads }]
    return hasRuleset ? [{ code: 'boot-off', found: `nothing loads ${written}` }] : []
  },
})

/** As systemd reads it (systemd.exec(5), EnvironmentFile=); null where it names none. */
export function namedIn(variables: string): string | null {
  const form = /^[ \t]*RINGWALL_BOOT_RULESET[ \t]*=[ \t]*(?:"([^"]*)"|'?([^\s'"]*))/gm
  const last = [...variables.matchAll(form)].at(-1)
  return last?.[1] ?? last?.[2] ?? null
}
