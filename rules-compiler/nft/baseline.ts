/**
 * What every host has, whatever its policy: where packets are taken, and what is done with those that conntrack does
 * not follow.
 *
 *   hook         ours   neighbours
 *   prerouting   -150   after conntrack (-200), before destination NAT (-100): ingress is judged as it stands on the wire
 *   postrouting   150   after source NAT (100): egress is judged as it will stand on the wire
 *
 * Forwarded packets pass both, so published container ports are no way round. An accept here ends these chains only: a
 * later base chain on the same hook can still drop (nft(8), verdict statements). A drop is final.
 */
import { type Family, families } from '../address/cidr.ts'
import { linkLocal6 } from '../address/ranges.ts'
import { accept, cidrOperand, differs, equals, field, goto } from './expressions.ts'
import { baseChains, deviceMap, type Hook, loopedChain, untrackedChain } from './names.ts'
import type { Chain, Expression, NftRule, Statement, Verdict, VerdictMap } from './ruleset.ts'

const hookPriority = { prerouting: -150, postrouting: 150 } as const satisfies Record<Hook, number>
const deviceKey = {
  prerouting: { name: 'iifname', index: 'iif' },
  postrouting: { name: 'oifname', index: 'oif' },
} as const

/** A device of the host with the chains its packets go to. */
export interface DeviceBinding {
  readonly name: string
  /** Kernel index, where known: keeps hold of the device when it is renamed, with no moment in between. */
  readonly index: number | null
  readonly hooks: Readonly<Record<Hook, DeviceHook>>
}

export interface DeviceHook {
  readonly chain: string
  /** What most packets of the device meet, to be asked before the jump: the bulk of established sessions. */
  readonly shortcut: readonly Statement[] | null
}

/**
 * Up to this many devices are told apart by comparing the index, 15 ns each; beyond that, looking it up costs less.
 * Looking up the name costs 100 ns more than either (bench/RESULTS.md), so it is for devices whose index is not known.
 */
const fewDevices = 4

export function dispatchChain(hook: Hook, devices: readonly DeviceBinding[]): Chain {
  const byName: Expression = { meta: { key: deviceKey[hook].name } }
  const byIndex: Expression = { meta: { key: deviceKey[hook].index } }
  const known = devices.filter(device => device.index !== null)
  const indexRules: readonly NftRule[] =
    known.length > fewDevices
      ? [{ statements: [{ vmap: { key: byIndex, data: `@${deviceMap(hook, 'index')}` } }] }]
      : known.flatMap(({ index, hooks }) => {
          const isDevice = equals(byIndex, index!)
          const { chain, shortcut } = hooks[hook]
          const jumpThere: NftRule = { statements: [isDevice, goto(chain)] }
          return shortcut === null ? [jumpThere] : [{ statements: [isDevice, ...shortcut] }, jumpThere]
        })
  return {
    name: baseChains[hook],
    base: { type: 'filter', hook, priority: hookPriority[hook], chainPolicy: 'accept' },
    rules: [...indexRules, { statements: [{ vmap: { key: byName, data: `@${deviceMap(hook, 'name')}` } }] }],
  }
}

/** The map by index holds every known device, looked up or not: after a restart it tells which device each ENI was. */
export function dispatchMaps(hook: Hook, devices: readonly DeviceBinding[]): readonly VerdictMap[] {
  const byName = devices.map((device): [string, Verdict] => [device.name, goto(device.hooks[hook].chain)])
  const byIndex = devices.flatMap((device): [string, Verdict][] =>
    device.index === null ? [] : [[String(device.index), goto(device.hooks[hook].chain)]],
  )
  return [
    { name: deviceMap(hook, 'name'), keyType: 'ifname', elements: new Map(byName) },
    { name: deviceMap(hook, 'index'), keyType: 'iface_index', elements: new Map(byIndex) },
  ]
}

/**
 * What the host has sent to a multicast group or as a broadcast, and the kernel hands back to listeners on the host
 * itself (ip_mc_output, ip6_finish_output2). It comes in by the device without having been on the wire. Its route tells:
 * what comes from the wire has none before it is routed (nft_rt_get_eval, NFT_BREAK). What comes out of a tunnel may have
 * something of the kind (metadata_dst), so this is for sessions alone that have left by the same device.
 */
export function makeLoopedChain(): Chain {
  const hasRoute = (family: Family): Statement => differs({ rt: { key: 'nexthop', family } }, anyAddress[family])
  return { name: loopedChain, rules: families.map(family => ({ statements: [hasRoute(family), accept] })) }
}

const anyAddress = { ip: '0.0.0.0', ip6: '::' } as const satisfies Record<Family, string>

/**
 * Neighbour and router discovery and MLD, which conntrack leaves untracked (nf_conntrack_proto_icmpv6.c). A redirect is
 * not among them: conntrack calls it invalid, and a host that must not be led astray is better without. Returns when
 * the packet is none of these. MLD comes from the unspecified address while the host has none yet (RFC 3590).
 */
export function makeUntrackedChain(): Chain {
  const untracked: Statement = { match: { op: 'in', left: { ct: { key: 'state' } }, right: 'untracked' } }
  const types = (names: readonly string[]): Statement => equals(field('icmpv6', 'type'), { set: names })
  const discovery = ['nd-router-solicit', 'nd-router-advert', 'nd-neighbor-solicit', 'nd-neighbor-advert']
  const listener = ['mld-listener-query', 'mld-listener-report', 'mld-listener-done', 'mld2-listener-report']
  const source = field('ip6', 'saddr')
  const rules: NftRule[] = [
    { statements: [untracked, types(discovery), equals(field('ip6', 'hoplimit'), 255), accept] },
    { statements: [untracked, types(listener), equals(source, cidrOperand(linkLocal6)), accept] },
    { statements: [untracked, types(listener), equals(source, '::'), accept] },
  ]
  return { name: untrackedChain, rules }
}
