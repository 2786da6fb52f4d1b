/**
 * A table that notes the packets which passed the ENI's chain on their way in, for those that a host takes in itself
 * and does not forward: it stands right behind Ringwall on the same hook.
 */
import type { Namespace } from '../../lab/netns.ts'

const table = `
table inet probe {
  set received { typeof ip id; flags dynamic; size 65535; }
  set received6 { typeof ip6 flowlabel; flags dynamic; size 65535; }
  chain prerouting {
    type filter hook prerouting priority -140
    iifname "d0" add @received { ip id }
    iifname "d0" add @received6 { ip6 flowlabel }
  }
}`

export async function loadProbe(host: Namespace): Promise<void> {
  await host.run('nft', ['-f', '-'], { input: table })
}

/** Indexes of the packets that passed since the probe was loaded. */
export async function readReceived(host: Namespace): Promise<ReadonlySet<number>> {
  const { stdout } = await host.run('nft', ['-j', 'list', 'table', 'inet', 'probe'])
  const { nftables }: { nftables: { set?: { elem?: number[] } }[] } = JSON.parse(stdout)
  return new Set(nftables.flatMap(object => object.set?.elem ?? []))
}
