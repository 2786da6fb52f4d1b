import { defineCheck } from '../check.ts'

const lists = { iptables: '/proc/net/ip_tables_names', ip6tables: '/proc/net/ip6_tables_names' } as const

export const legacyIptables = defineCheck({
  name: 'legacy-iptables',
  area: 'other programs',
  question: 'Are there rules that nft cannot see?',
  needs: [],
  outcomes: {
    'legacy-iptables': {
      severity: 'note',
      means:
        'Rules of iptables-legacy run beside nftables and are in no listing of nft, nor in this report. Their drops are final.',
      advice: 'Look with iptables-legacy-save; change to iptables-nft.',
    },
    'no-legacy-iptables': { severity: 'ok', means: 'All rules of this host are nftables’.', advice: '' },
  },
  async gather({ readText }) {
    return Promise.all(
      Object.entries(lists).map(async ([name, path]) => ({ name, text: (await readText(path)) ?? '' })),
    )
  },
  judge(families) {
    const loaded = families.flatMap(({ name, text }) => {
      const tables = text.split('\n').filter(line => line !== '')
      return tables.length === 0 ? [] : [`${name} ${tables.join(', ')}`]
    })
    if (loaded.length === 0) return [{ code: 'no-legacy-iptables', found: 'none' }]
    return [{ code: 'legacy-iptables', found: `tables of ${loaded.join('; ')}` }]
  },
})
