import { mostSessionTimeoutSeconds } from '../../../rules-compiler/model/policy.ts'
import { defineCheck } from '../check.ts'
import { listed } from '../words.ts'

/**
 * Settings of the kernel that say after how many idle seconds a session is forgotten, as files of
 * /proc/sys/net/netfilter. That of established TCP sessions is not among them: the ruleset sets its own.
 */
const settings = [
  'tcp_timeout_syn_sent',
  'tcp_timeout_syn_recv',
  'tcp_timeout_fin_wait',
  'tcp_timeout_close_wait',
  'tcp_timeout_last_ack',
  'tcp_timeout_time_wait',
  'tcp_timeout_close',
  'tcp_timeout_max_retrans',
  'tcp_timeout_unacknowledged',
  'udp_timeout',
  'udp_timeout_stream',
  'icmp_timeout',
  'icmpv6_timeout',
  'gre_timeout',
  'gre_timeout_stream',
  'sctp_timeout_established',
  'dccp_timeout_open',
  'generic_timeout',
].map(name => `nf_conntrack_${name}`)

export interface IdleTime {
  readonly setting: string
  readonly seconds: number
}

export const conntrackTimeouts = defineCheck({
  name: 'conntrack-timeouts',
  area: 'connection tracking',
  question: 'Are idle sessions forgotten in time?',
  needs: [],
  outcomes: {
    'idle-times-long': {
      severity: 'note',
      means: `Sessions of these kinds live on when they have been idle for the ${mostSessionTimeoutSeconds} s after which every session is to be forgotten.`,
      advice: `Set them to ${mostSessionTimeoutSeconds} or less.`,
    },
    'idle-times': { severity: 'ok', means: 'No session lives on that is idle for longer than it may.', advice: '' },
  },
  async gather({ readText }): Promise<readonly IdleTime[]> {
    const texts = await Promise.all(
      settings.map(async setting => ({ setting, text: await readText(`/proc/sys/net/netfilter/${setting}`) })),
    )
    // Not every kernel has all of them.
    return texts.flatMap(({ setting, text }) => (text === null ? [] : [{ setting, seconds: Number(text) }]))
  },
  judge(times) {
    if (times.length === 0) return []
    const long = times.filter(({ seconds }) => seconds > mostSessionTimeoutSeconds)
    if (long.length === 0) return [{ code: 'idle-times', found: `none is above ${mostSessionTimeoutSeconds} s` }]
    const found = listed(long.map(({ setting, seconds }) => `${setting} is ${seconds}`))
    return [{ code: 'idle-times-long', found, details: long }]
  },
})
