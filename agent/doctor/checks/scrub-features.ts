import { NftError } from '../../nft/errors.ts'
import { scrubTrials, tryScrubFeatures } from '../../nft/scrub-probe.ts'
import { defineCheck } from '../check.ts'

export const scrubFeatures = defineCheck({
  name: 'scrub-features',
  area: 'nftables',
  question: 'Can nft and the kernel do what traffic scrubbing needs?',
  needs: ['nft'],
  outcomes: {
    'scrub-feature-missing': {
      severity: 'warning',
      means: 'Floods cannot be measured or cleaned on this host. Policies are enforced all the same.',
      advice: 'Use Linux 5.10 or later with CONFIG_NETFILTER_INGRESS and all its nf_tables modules.',
    },
    'scrub-features': { severity: 'ok', means: 'Each was tried in a table of its own and read back.', advice: '' },
  },
  gather: host => tryScrubFeatures(host.nft),
  judge(faults) {
    if (faults.length === 0) return [{ code: 'scrub-features', found: scrubTrials.map(({ name }) => name).join(', ') }]
    return faults.map(({ name, error }) => ({
      code: 'scrub-feature-missing',
      found: `${name} (${error instanceof NftError ? error.kind : 'lost when read back'})`,
    }))
  },
})
