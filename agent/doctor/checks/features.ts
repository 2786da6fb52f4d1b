import { type Feature, neededFeatures, type Support } from '../../nft/probe.ts'
import { defineCheck, type Found } from '../check.ts'

export const features = defineCheck({
  name: 'features',
  area: 'nftables',
  question: 'Can nft and the kernel do what the policy’s table needs?',
  needs: ['nft'],
  outcomes: {
    'feature-missing': {
      severity: 'failure',
      means: 'Rulesets cannot be loaded.',
      advice: 'Install nft 1.0.2 or later, and use Linux 5.10 or later with all its nf_tables modules.',
    },
    'feature-left-out': {
      severity: 'warning',
      means:
        'Rulesets are loaded without it: idle times of sessions are the host’s, hits of rules cannot be told apart, or nothing is logged of packets (NFLOG).',
      advice: 'Install a newer nft or kernel where that matters.',
    },
    features: { severity: 'ok', means: 'Each was tried in a table of its own and read back.', advice: '' },
  },
  gather: async host => (await host.capabilities()).features,
  judge(support) {
    const missing = (Object.entries(support) as [Feature, Support][]).flatMap(([name, how]) =>
      how === 'missing' ? [name] : [],
    )
    const found: Found<'feature-missing' | 'feature-left-out' | 'features'>[] = missing.map(name => ({
      code: neededFeatures.has(name) ? 'feature-missing' : 'feature-left-out',
      found: name,
    }))
    return found.length > 0 ? found : [{ code: 'features', found: Object.keys(support).join(', '), details: support }]
  },
})
