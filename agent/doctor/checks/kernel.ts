import { release } from 'node:os'
import { defineCheck } from '../check.ts'

/** What the ruleset needs came with it: the ingress hook of the inet family, counters in elements. */
const oldest = [5, 10] as const

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
    const [major = 0, minor = 0] = version.split(/[.-]/).map(Number)
    const isOld = major < oldest[0] || (major === oldest[0] && minor < oldest[1])
    return [{ code: isOld ? 'kernel-old' : 'kernel', found: `Linux ${version}` }]
  },
})
