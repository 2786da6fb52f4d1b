import { release } from 'node:os'
import { defineCheck } from '../check.ts'
import { isOlder } from '../words.ts'

/** What the ruleset needs came with it: the ingress hook of the inet family, counters in elements. */
const oldest = [5, 10]

export const kernel = defineCheck({
  name: 'kernel',
  area: 'this process',
  question: 'Is the kernel new enough?',
  needs: [],
  outcomes: {
    'kernel-old': {
      severity: 'warning',
      means: 'Kernels before 5.10 lack parts of what Ringwall needs. It was tested on Linux 6.18, and in part on 6.1.',
      advice: 'See which features are missing; use a newer kernel.',
    },
    kernel: { severity: 'ok', means: 'New enough.', advice: '' },
  },
  gather: async () => release(),
  judge(version) {
    return [{ code: isOlder(version, oldest) ? 'kernel-old' : 'kernel', found: `Linux ${version}` }]
  },
})
