import { defineCheck } from '../check.ts'

/** Those that write or read marks of conntrack, or keep packets from it. */
const mattering: ReadonlySet<string> = new Set(['CONNMARK', 'connmark', 'CT', 'NOTRACK'])

export const unprintable = defineCheck({
  name: 'unprintable',
  area: 'other programs',
  question: 'Are there rules of iptables that nft cannot print?',
  needs: ['nft'],
  outcomes: {
    'rules-unprintable': {
      severity: 'warning',
      means:
        'nft cannot say what rules of iptables-nft do with these extensions, so this report does not know whether they write or read Ringwall’s bits of the conntrack mark, or keep packets from connection tracking.',
      advice: 'Look with iptables-save and ip6tables-save for CONNMARK, connmark, CT and NOTRACK.',
    },
    'rules-unprintable-in-part': {
      severity: 'note',
      means: 'Parts of rules of iptables-nft are not seen by nft, and none of them matters to this report.',
      advice: 'Look with iptables-save and ip6tables-save when a packet is missing.',
    },
    'all-printable': { severity: 'ok', means: 'nft can say what each rule does.', advice: '' },
  },
  gather: host => host.unprintable(),
  judge(extensions: readonly string[]) {
    if (extensions.length === 0) return [{ code: 'all-printable', found: 'none' }]
    const code = extensions.some(name => mattering.has(name)) ? 'rules-unprintable' : 'rules-unprintable-in-part'
    return [{ code, found: extensions.join(', '), details: extensions }]
  },
})
