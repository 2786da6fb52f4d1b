import { defineCheck } from '../check.ts'

export interface ConntrackFacts {
  readonly count: number
  readonly most: number
}

const folder = '/proc/sys/net/netfilter'
const highShare = 0.7
const fullShare = 0.95

export const conntrackTable = defineCheck<
  ConntrackFacts | null,
  'conntrack-unreadable' | 'conntrack-full' | 'conntrack-filling' | 'conntrack-table'
>({
  name: 'conntrack-table',
  area: 'connection tracking',
  question: 'Is there room in the table of sessions?',
  needs: [],
  outcomes: {
    'conntrack-full': {
      severity: 'failure',
      means: 'The kernel drops packets that begin a session, whatever the policy says ("nf_conntrack: table full").',
      advice: 'Raise net.netfilter.nf_conntrack_max, find who opens so many, shorten idle times.',
    },
    'conntrack-filling': {
      severity: 'warning',
      means: 'When the table is full, new sessions are dropped, whatever the policy says.',
      advice: 'Raise net.netfilter.nf_conntrack_max before it is needed: 300 bytes of memory each.',
    },
    'conntrack-unreadable': {
      severity: 'warning',
      means:
        'The size of the table cannot be read: the module nf_conntrack is not loaded yet, or /proc hides it. Without the module no ruleset can be loaded.',
      advice: 'Try "modprobe nf_conntrack", then run this again.',
    },
    'conntrack-table': { severity: 'ok', means: 'There is room for new sessions.', advice: '' },
  },
  async gather({ readText }) {
    const [count, most] = await Promise.all(['count', 'max'].map(name => readText(`${folder}/nf_conntrack_${name}`)))
    return count == null || most == null ? null : { count: Number(count), most: Number(most) }
  },
  judge(facts) {
    if (facts === null) return [{ code: 'conntrack-unreadable', found: `${folder}/nf_conntrack_max cannot be read` }]
    const { count, most } = facts
    const share = most === 0 ? 0 : count / most
    const found = `${count.toLocaleString('en')} of ${most.toLocaleString('en')} sessions (${Math.round(share * 100)}%)`
    const code = share >= fullShare ? 'conntrack-full' : share >= highShare ? 'conntrack-filling' : 'conntrack-table'
    return [{ code, found, details: facts }]
  },
})
