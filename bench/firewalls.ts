/** What Ringwall is compared with, as nft text for a namespace of its own. */
import type { WireRule } from './policies.ts'

/** A chain that makes the kernel follow connections and takes everything: the floor of every stateful firewall. */
export const conntrackAlone = `
table inet floor {
	chain prerouting {
		type filter hook prerouting priority -150; policy accept;
		ct state new accept
	}
}
`

/** The same rules one after the other, as most firewalls have them: established sessions first, default drop. */
export function linearRules(rules: readonly WireRule[]): string {
  return `
table inet linear {
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
${rules.map(linearRule).join('\n')}
	}
}
`
}

function linearRule({ ipProtocol, portRange, sourceCidrIp, policy }: WireRule): string {
  const source = sourceCidrIp === '0.0.0.0/0' ? '' : `ip saddr ${sourceCidrIp} `
  return `\t\t${source}${ipProtocol} dport ${String(portRange).replace('/', '-')} ${policy}`
}
