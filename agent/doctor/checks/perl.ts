import { perlVersion } from '../../watch/perl.ts'
import { defineCheck } from '../check.ts'

export const perl = defineCheck({
  name: 'perl',
  area: 'nftables',
  question: 'Can the agent hear who changes rules, and read the kernel’s log of packets?',
  needs: [],
  outcomes: {
    'perl-missing': {
      severity: 'warning',
      means:
        '"ringwall logs" shows nothing, and of observed interfaces packets are counted without their flows. The agent hears of changed rules by "nft monitor", which may not say who it was. What is enforced does not depend on it.',
      advice: 'Install the package perl-base.',
    },
    perl: {
      severity: 'ok',
      means: 'It listens to the kernel by two small programs.',
      advice: '',
    },
  },
  gather: () => perlVersion(),
  judge(version: string | null) {
    if (version === null) return [{ code: 'perl-missing', found: 'perl not found' }]
    return [{ code: 'perl', found: `perl ${version}` }]
  },
})
