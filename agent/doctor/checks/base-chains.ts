import type { BaseChain } from '../../nft/nft.ts'
import { defineCheck, type Found } from '../check.ts'
import { listed } from '../words.ts'

/** Where Ringwall is: the tables of traffic scrubbing and of the policy. */
const ourPriorities: Readonly<Record<string, readonly number[]>> = {
  ingress: [-500],
  prerouting: [-175, -150],
  postrouting: [140, 150],
}
/** Chains there never see a packet of an ENI: frames between ports of a bridge, ARP. */
const otherFamilies: ReadonlySet<string> = new Set(['bridge', 'arp'])

type Code = 'foreign-drop-policy' | 'foreign-chains' | 'foreign-nat' | 'foreign-same-priority' | 'base-chains'

export const baseChains = defineCheck<readonly BaseChain[], Code>({
  name: 'base-chains',
  area: 'other programs',
  question: 'Who else decides about packets?',
  needs: ['nft'],
  outcomes: {
    'foreign-drop-policy': {
      severity: 'warning',
      means:
        'These chains drop what their own rules do not accept. A drop is final wherever it happens: what Ringwall accepts may still be dropped there, and is missing from its counters of drops.',
      advice: 'Open there what groups are to decide about, or leave the host to one firewall.',
    },
    'foreign-same-priority': {
      severity: 'note',
      means:
        'These chains run at the same hook and priority as Ringwall’s: which is first depends on which was made first.',
      advice: 'Give them another priority where it matters who sees a packet first.',
    },
    'foreign-chains': {
      severity: 'note',
      means:
        'Other programs see the same packets. An accept of theirs opens nothing that Ringwall closes; a drop of theirs is final.',
      advice: 'Look there too when a packet is missing.',
    },
    'foreign-nat': {
      severity: 'note',
      means:
        'Addresses are translated here. Ringwall judges ingress before destination NAT and egress after source NAT: rules name addresses and ports as they are on the wire.',
      advice: 'Write rules for a published port with the port of the host, not of the container.',
    },
    'base-chains': { severity: 'ok', means: 'Nobody else decides about packets by nftables.', advice: '' },
  },
  gather: host => host.foreignBaseChains(),
  judge(all) {
    const chains = all.filter(({ family }) => !otherFamilies.has(family))
    const isNat = ({ type }: BaseChain) => type === 'nat'
    const dropping = chains.filter(({ chainPolicy }) => chainPolicy === 'drop')
    const equal = chains.filter(({ hook, hookPriority }) => ourPriorities[hook]?.includes(hookPriority) === true)
    const others = chains.filter(chain => !isNat(chain) && !dropping.includes(chain) && !equal.includes(chain))
    const found = [
      ...findingFor('foreign-drop-policy', dropping),
      ...findingFor('foreign-same-priority', equal),
      ...findingFor('foreign-chains', others),
      ...findingFor('foreign-nat', chains.filter(isNat)),
    ]
    return found.length > 0 ? found : [{ code: 'base-chains', found: 'none' }]
  },
})

function findingFor(code: Code, chains: readonly BaseChain[]): readonly Found<Code>[] {
  if (chains.length === 0) return []
  const details = chains.map(chain => ({ ...chain, order: orderOf(chain) }))
  return [{ code, found: listed(details.map(chainText), '; '), details }]
}

/** When a packet meets it on its way. */
function orderOf({ hook, hookPriority }: BaseChain): string {
  const [first = 0, last = first] = ourPriorities[hook] ?? []
  switch (hook) {
    case 'input':
    case 'forward':
      return 'after ingress was judged'
    case 'output':
      return 'before egress is judged'
    case 'egress':
      return 'after egress was judged'
    default:
      if (hookPriority < first) return 'before Ringwall'
      return hookPriority > last ? 'after Ringwall' : 'beside Ringwall'
  }
}

function chainText({
  family,
  table,
  chain,
  hook,
  hookPriority,
  order,
}: BaseChain & { readonly order: string }): string {
  return `${family} ${table} ${chain} (${hook} ${hookPriority}, ${order})`
}
