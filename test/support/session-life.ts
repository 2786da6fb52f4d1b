/** How long the kernel remembers sessions in a test namespace. */
import type { Namespace } from '../../lab/netns.ts'

/** Those that are shorter by default: 30 s for UDP, 3 s for SCTP. Kernels have those of the protocols they follow. */
const names = [
  'udp_timeout',
  'udp_timeout_stream',
  'icmp_timeout',
  'icmpv6_timeout',
  'gre_timeout',
  'gre_timeout_stream',
  'sctp_timeout_cookie_wait',
  'sctp_timeout_cookie_echoed',
  'tcp_timeout_syn_sent',
  'tcp_timeout_syn_recv',
] as const
const seconds = 600

/**
 * Sessions that were begun are not forgotten before a test goes on with them, however slow the machine is: what comes
 * next would be the first packet of another.
 */
export async function rememberSessions(namespace: Namespace): Promise<void> {
  const files = names.map(name => `/proc/sys/net/netfilter/nf_conntrack_${name}`).join(' ')
  await namespace.run('sh', ['-ec', `for file in ${files}; do [ ! -e $file ] || echo ${seconds} > $file; done`])
}
