import { defineCheck } from '../check.ts'

const settings = ['/etc/nftables.conf', '/etc/sysconfig/nftables.conf'] as const
const enabledUnit = '/etc/systemd/system/sysinit.target.wants/nftables.service'

export const flushRuleset = defineCheck({
  name: 'flush-ruleset',
  area: 'other programs',
  question: 'Does nftables.service flush everybody’s rules?',
  needs: [],
  outcomes: {
    'flush-ruleset': {
      severity: 'note',
      means:
        'Where nftables.service is started, reloaded or stopped, the tables of everybody are removed, Ringwall’s among them. A running agent puts its own back within a second; without one the host is open.',
      advice: 'Have that file delete its own tables only, or disable nftables.service.',
    },
    'no-flush-ruleset': {
      severity: 'ok',
      means: 'Its settings leave other tables alone, or there are none.',
      advice: '',
    },
  },
  async gather({ readText }) {
    const unit = await readText(enabledUnit)
    const files = await Promise.all(settings.map(async path => ({ path, text: await readText(path) })))
    return { files, isEnabled: unit !== null }
  },
  judge({ files, isEnabled }) {
    const flushing = files.filter(({ text }) => /^\s*flush\s+ruleset\s*;?\s*$/m.test(text ?? ''))
    if (flushing.length === 0) return [{ code: 'no-flush-ruleset', found: 'no "flush ruleset"' }]
    const state = isEnabled ? 'starts at boot' : 'does not start at boot'
    return flushing.map(({ path }) => ({ code: 'flush-ruleset', found: `${path}; nftables.service ${state}` }))
  },
})
