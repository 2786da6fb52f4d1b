/** What is found when a check could not look. */
import type { Outcome } from './check.ts'

export const notAsked = {
  'check-failed': {
    severity: 'warning',
    means: 'This question could not be answered; what it would have found is not known.',
    advice: 'See what it says; run it again as root, on a quieter host.',
  },
  'check-skipped': {
    severity: 'note',
    means: 'These questions are asked of nftables, which cannot be used here.',
    advice: 'Make nft usable, then run this again.',
  },
} as const satisfies Readonly<Record<string, Outcome>>
