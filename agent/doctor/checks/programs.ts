import type { SurveyedTable } from '../../nft/survey.ts'
import { defineCheck, type Found, type Outcome } from '../check.ts'

/** What a program is known by: its tables and chains, its processes. */
interface Program {
  readonly tables?: RegExp
  readonly chains?: RegExp
  /** As the kernel has their names: 15 characters at most. */
  readonly processes?: RegExp
  readonly outcome: Outcome
}

const dropsToo = 'It drops by rules of its own, and a drop is final: what Ringwall accepts must be open there too.'

const programs = {
  firewalld: {
    tables: /^firewalld/,
    processes: /^firewalld$/,
    outcome: {
      severity: 'note',
      means: `${dropsToo} Its reload leaves other tables alone, but where FlushAllOnReload meets the iptables backend.`,
      advice: 'Open in its zones what groups decide about, or put the devices of ENIs into the zone "trusted".',
    },
  },
  ufw: {
    chains: /^ufw6?-/,
    outcome: {
      severity: 'note',
      means: dropsToo,
      advice: 'Open there what groups decide about, or disable it: ufw disable.',
    },
  },
  docker: {
    tables: /^docker-/,
    chains: /^DOCKER/,
    processes: /^dockerd$/,
    outcome: {
      severity: 'note',
      means:
        'Published ports pass Ringwall on the device they come in by, under the address and port of the host. Traffic between containers of one bridge does not meet it.',
      advice: 'Write rules for the ports of the host. Do not make bridges or container devices ENIs.',
    },
  },
  podman: {
    tables: /^netavark/,
    chains: /^NETAVARK/,
    outcome: {
      severity: 'note',
      means: 'As with any container engine: published ports pass Ringwall under the address and port of the host.',
      advice: 'Write rules for the ports of the host.',
    },
  },
  containerd: {
    chains: /^CNI-/,
    processes: /^(containerd|crio)$/,
    outcome: {
      severity: 'note',
      means: 'Containers may come and go here, each with a device; devices that no policy names are left alone.',
      advice: '',
    },
  },
  libvirt: {
    tables: /^libvirt/,
    chains: /^LIBVIRT_/,
    processes: /^(libvirtd|virtqemud|virtnetworkd)$/,
    outcome: {
      severity: 'note',
      means:
        'Guests of its NAT networks are ports of a bridge such as virbr0, and a port’s packets do not meet Ringwall at the port. Its rules reject what comes from outside to such guests.',
      advice: 'Route guests that are to have ENIs of their own: one device for each, no bridge.',
    },
  },
  lxd: {
    tables: /^(lxd|incus)$/,
    processes: /^(lxd|incusd)$/,
    outcome: {
      severity: 'note',
      means: 'Its instances are ports of a bridge, and a port’s packets do not meet Ringwall at the port.',
      advice: 'Use routed devices for instances that are to have ENIs of their own.',
    },
  },
  openvswitch: {
    processes: /^ovs-vswitchd$/,
    outcome: {
      severity: 'warning',
      means:
        'Packets between ports of its switches never meet nftables, and its flows may set the conntrack mark, which this report cannot see.',
      advice:
        'Give groups to devices that are no port of a switch; compare "ovs-ofctl dump-flows" (ct_mark) with settings.ctMarkMask.',
    },
  },
  proxmox: {
    tables: /^proxmox-firewall/,
    chains: /^PVEFW-/,
    processes: /^(pve-firewall|proxmox-firewal)$/,
    outcome: { severity: 'note', means: dropsToo, advice: 'Let one of the two filter guests.' },
  },
  'kube-proxy': {
    tables: /^kube-proxy/,
    chains: /^KUBE-/,
    processes: /^(kube-proxy|kubelet)$/,
    outcome: {
      severity: 'note',
      means:
        'Services are translated after ingress is judged: rules name node ports, not services. It marks packets (0x4000, 0x8000), which are not marks of conntrack.',
      advice: 'Put groups on the devices of nodes, not of pods.',
    },
  },
  calico: {
    tables: /^calico/,
    chains: /^cali-/,
    processes: /^(calico-node|calico-felix)$/,
    outcome: {
      severity: 'warning',
      means: `${dropsToo} It marks packets and may mark sessions; where it runs with eBPF, packets go past nftables.`,
      advice: 'Leave its devices (cali*) without ENIs, and compare the marks of both: settings.ctMarkMask.',
    },
  },
  cilium: {
    chains: /^(OLD_)?CILIUM_/,
    processes: /^cilium-agent$/,
    outcome: {
      severity: 'warning',
      means:
        'Its eBPF programs may hand packets on before nftables sees them: such packets are neither judged nor counted.',
      advice: 'Leave its devices without ENIs; try what matters with real traffic.',
    },
  },
  fail2ban: {
    tables: /^f2b-/,
    chains: /^f2b-/,
    processes: /^fail2ban-server$/,
    outcome: { severity: 'note', means: 'It drops addresses for a time; its drops are final.', advice: '' },
  },
  crowdsec: {
    tables: /^crowdsec/,
    chains: /^(crowdsec|CROWDSEC)/,
    processes: /^(crowdsec.*|cs-firewall-bou)$/,
    outcome: { severity: 'note', means: 'It drops addresses for a time; its drops are final.', advice: '' },
  },
  tailscale: {
    chains: /^ts-(input|forward|postrouting)$/,
    processes: /^tailscaled$/,
    outcome: {
      severity: 'note',
      means: 'What comes through its tunnel is in the clear at its own device only; elsewhere it is UDP.',
      advice: '',
    },
  },
} as const satisfies Readonly<Record<string, Program>>

type Name = keyof typeof programs
type Code = `found-${Name}` | 'programs'

export interface ProgramFacts {
  /** Null where nft could not list them. */
  readonly tables: readonly Pick<SurveyedTable, 'family' | 'name' | 'chains'>[] | null
  readonly processes: ReadonlySet<string>
  /** `/etc/ufw/ufw.conf`; null where there is none. */
  readonly ufwSettings: string | null
}

const outcomes = Object.fromEntries(
  Object.entries<Program>(programs).map(([name, { outcome }]) => [`found-${name}`, outcome]),
) as Record<Exclude<Code, 'programs'>, Outcome>

export const programsCheck = defineCheck<ProgramFacts, Code>({
  name: 'programs',
  area: 'other programs',
  question: 'Which container engines and firewall managers are here?',
  needs: [],
  outcomes: {
    ...outcomes,
    programs: { severity: 'ok', means: 'None that this report knows.', advice: '' },
  },
  async gather(host) {
    const tables = (await host.nftFault()) === null ? await host.foreignTables().catch(() => null) : null
    return { tables, processes: await host.processes(), ufwSettings: await host.readText('/etc/ufw/ufw.conf') }
  },
  judge(facts) {
    const found = Object.entries<Program>(programs).flatMap(([name, program]): Found<Code>[] => {
      const signs = [...tableSigns(program, facts), ...processSigns(program, facts), ...settingSigns(name, facts)]
      return signs.length === 0 ? [] : [{ code: `found-${name as Name}`, found: signs.join(', '), details: signs }]
    })
    return found.length > 0 ? found : [{ code: 'programs', found: 'none known' }]
  },
})

function tableSigns({ tables: ofTable, chains: ofChain }: Program, { tables }: ProgramFacts): readonly string[] {
  return (tables ?? []).flatMap(({ family, name, chains }) => {
    if (ofTable?.test(name)) return [`table ${family} ${name}`]
    const known = chains.filter(chain => ofChain?.test(chain.name))
    return known.length === 0 ? [] : [`${known[0]!.name} in table ${family} ${name}`]
  })
}

function processSigns({ processes: ofProcess }: Program, { processes }: ProgramFacts): readonly string[] {
  return [...processes].filter(name => ofProcess?.test(name)).map(name => `process ${name}`)
}

function settingSigns(name: string, { ufwSettings }: ProgramFacts): readonly string[] {
  return name === 'ufw' && /^ENABLED=yes/im.test(ufwSettings ?? '') ? ['enabled in /etc/ufw/ufw.conf'] : []
}
