import { defineCheck } from '../check.ts'

export const conntrackSettings = defineCheck({
  name: 'conntrack-settings',
  area: 'connection tracking',
  question: 'What becomes of TCP sessions that the kernel has not seen begin?',
  needs: [],
  outcomes: {
    'tcp-strict': {
      severity: 'note',
      means:
        'A TCP packet of a session that is not in the table is invalid, and ENIs drop it: sessions do not live through a restart of this host or a change of the route to another one.',
      advice: 'Set net.netfilter.nf_conntrack_tcp_loose to 1 where that matters.',
    },
    'tcp-loose': {
      severity: 'ok',
      means:
        'A TCP packet of a session that is not in the table begins one, in the direction of that packet, and is judged so.',
      advice: '',
    },
  },
  gather: ({ readText }) => readText('/proc/sys/net/netfilter/nf_conntrack_tcp_loose'),
  judge(loose: string | null) {
    if (loose === null) return []
    const found = `nf_conntrack_tcp_loose is ${loose.trim()}`
    return [{ code: loose.trim() === '0' ? 'tcp-strict' : 'tcp-loose', found }]
  },
})
