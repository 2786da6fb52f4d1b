import { defineCheck } from '../check.ts'

export const ipv6 = defineCheck({
  name: 'ipv6',
  area: 'devices',
  question: 'Is there IPv6?',
  needs: [],
  outcomes: {
    'ipv6-disabled': {
      severity: 'note',
      means: 'Rules for IPv6 are loaded and never met.',
      advice: 'Nothing, if that is meant.',
    },
    ipv6: { severity: 'ok', means: 'Both families are judged.', advice: '' },
  },
  gather: ({ readText }) => readText('/proc/sys/net/ipv6/conf/all/disable_ipv6'),
  judge(disabled: string | null) {
    if (disabled === null) return [{ code: 'ipv6-disabled', found: 'the kernel has none' }]
    return disabled.trim() === '1'
      ? [{ code: 'ipv6-disabled', found: 'disabled for all devices' }]
      : [{ code: 'ipv6', found: 'enabled' }]
  },
})
