/** What checks make of hosts that are not at hand. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { severities } from '../../../agent/doctor/check.ts'
import { agentLock } from '../../../agent/doctor/checks/agent-lock.ts'
import { baseChains } from '../../../agent/doctor/checks/base-chains.ts'
import { boot, namedIn } from '../../../agent/doctor/checks/boot.ts'
import { clock } from '../../../agent/doctor/checks/clock.ts'
import { configuration } from '../../../agent/doctor/checks/configuration.ts'
import { conntrackTable } from '../../../agent/doctor/checks/conntrack-table.ts'
import { conntrackTimeouts } from '../../../agent/doctor/checks/conntrack-timeouts.ts'
import { conntrackTool } from '../../../agent/doctor/checks/conntrack-tool.ts'
import { daemon } from '../../../agent/doctor/checks/daemon.ts'
import { devices } from '../../../agent/doctor/checks/devices.ts'
import { elementUpdate } from '../../../agent/doctor/checks/element-update.ts'
import { endings } from '../../../agent/doctor/checks/endings.ts'
import { enis } from '../../../agent/doctor/checks/enis.ts'
import { features } from '../../../agent/doctor/checks/features.ts'
import { flowtables } from '../../../agent/doctor/checks/flowtables.ts'
import { flushRuleset } from '../../../agent/doctor/checks/flush-ruleset.ts'
import { forwarding } from '../../../agent/doctor/checks/forwarding.ts'
import { ipv6 } from '../../../agent/doctor/checks/ipv6.ts'
import { kernel } from '../../../agent/doctor/checks/kernel.ts'
import { legacyIptables } from '../../../agent/doctor/checks/legacy-iptables.ts'
import { nft } from '../../../agent/doctor/checks/nft.ts'
import { offloads } from '../../../agent/doctor/checks/offloads.ts'
import { perl } from '../../../agent/doctor/checks/perl.ts'
import { privileges } from '../../../agent/doctor/checks/privileges.ts'
import { programsCheck } from '../../../agent/doctor/checks/programs.ts'
import { readPorts, rescue } from '../../../agent/doctor/checks/rescue.ts'
import { rpFilter } from '../../../agent/doctor/checks/rp-filter.ts'
import { stateDir } from '../../../agent/doctor/checks/state-dir.ts'
import { stateFiles } from '../../../agent/doctor/checks/state-files.ts'
import { unprintable } from '../../../agent/doctor/checks/unprintable.ts'
import { untracked } from '../../../agent/doctor/checks/untracked.ts'
import { checks } from '../../../agent/doctor/checks.ts'
import { notAsked } from '../../../agent/doctor/not-asked.ts'
import type { Ending } from '../../../agent/endings.ts'
import { NftError, unprintableExtensions } from '../../../agent/nft/errors.ts'
import type { BaseChain } from '../../../agent/nft/nft.ts'
import { parseOffloads } from '../../../agent/watch/offloads.ts'
import { countKills } from '../../../agent/watch/unit.ts'
import { RunError } from '../../../common/exec.ts'

/** `code: what was found`. */
const said = (found: readonly { readonly code: string; readonly found: string }[]) =>
  found.map(({ code, found: text }) => `${code}: ${text}`)
const codes = (found: readonly { readonly code: string }[]) => found.map(({ code }) => code)

const emptyTable = { family: 'ip', name: 'other', chains: [], sets: [], flowtables: [] } as const

test('every code is that of one check, and no two checks have one name', () => {
  const all = [...checks.flatMap(({ outcomes }) => Object.keys(outcomes)), ...Object.keys(notAsked)]
  assert.deepEqual(all, [...new Set(all)])
  const names = checks.map(({ name }) => name)
  assert.deepEqual(names, [...new Set(names)])
})

test('whatever is not well says what to do, or that it is only to be known', () => {
  for (const outcome of checks.flatMap(({ outcomes }) => Object.values(outcomes))) {
    assert.ok(severities.includes(outcome.severity))
    assert.ok(outcome.means.endsWith('.'), outcome.means)
    if (outcome.severity === 'failure' || outcome.severity === 'warning') assert.notEqual(outcome.advice, '')
  }
})

describe('this process', () => {
  test('root, some user, and one that may change the network', () => {
    assert.deepEqual(said(privileges.judge({ uid: 0, capabilities: '1ffffffffff' })), ['privileges: user id 0'])
    assert.deepEqual(codes(privileges.judge({ uid: 1000, capabilities: '0' })), ['not-privileged'])
    assert.deepEqual(codes(privileges.judge({ uid: 0, capabilities: '0' })), ['not-privileged'])
    assert.deepEqual(codes(privileges.judge({ uid: 1000, capabilities: '1000' })), ['not-root'])
  })

  for (const [version, code] of [
    ['4.19.0-26-amd64', 'kernel-old'],
    ['5.9.16', 'kernel-old'],
    ['5.10.0-30-amd64', 'kernel'],
    ['6.1.0', 'kernel'],
  ] as const) {
    test(`kernel ${version}`, () => assert.deepEqual(codes(kernel.judge(version)), [code]))
  }

  test('who holds the socket', () => {
    const agent = {
      role: 'agent',
      pid: 7,
      policyPath: '/etc/ringwall/policy.yaml',
      daemonUrl: null,
      stateDir: null,
    } as const
    assert.deepEqual(said(agentLock.judge({ holder: agent, isTaken: true })), [
      'agent-runs: process 7, led by /etc/ringwall/policy.yaml',
    ])
    assert.deepEqual(codes(agentLock.judge({ holder: { ...agent, role: 'apply' }, isTaken: true })), ['lock-held'])
    assert.deepEqual(codes(agentLock.judge({ holder: null, isTaken: true })), ['lock-stranger'])
    assert.deepEqual(codes(agentLock.judge({ holder: null, isTaken: false })), ['agent-away'])
  })

  test('a configuration that is faulty, and an agent that was given another', () => {
    const sound = { faults: [], file: '/etc/ringwall/agent.yaml', stateDir: '/var/lib/ringwall', holder: null }
    const agent = { role: 'agent', pid: 7, stateDir: '/var/lib/ringwall' } as const
    assert.deepEqual(said(configuration.judge(sound)), ['configuration: /etc/ringwall/agent.yaml'])
    assert.deepEqual(codes(configuration.judge({ ...sound, file: null, holder: agent })), ['configuration'])
    assert.deepEqual(codes(configuration.judge({ ...sound, holder: { ...agent, stateDir: null } })), ['configuration'])
    const other = { ...agent, stateDir: '/srv/ringwall' }
    assert.deepEqual(said(configuration.judge({ ...sound, holder: other })), [
      'configuration-elsewhere: the agent (process 7) keeps its files in /srv/ringwall, its configuration says /var/lib/ringwall',
    ])
    assert.deepEqual(said(configuration.judge({ ...sound, faults: ['one', 'two'], holder: other })), [
      'configuration-faulty: one; two',
    ])
  })

  const ways = {
    rescue: [{ source: '198.18.7.0/24', port: 22 }],
    rescuePorts: [22],
    guardSeconds: 60,
    listening: [22, 80],
    ssh: [22],
  }
  for (const [name, changes, expected] of [
    ['who gets in', {}, ['rescue: 198.18.7.0/24 to port 22']],
    ['nobody', { rescue: [] }, ['rescue-none: no rescue address']],
    [
      'SSH at a port that is not watched',
      { ssh: [22, 2222], listening: [22, 2222] },
      ['rescue-port-unwatched: SSH at port 2222; rescuePort is 22'],
    ],
    ['no trials, so nothing is watched', { guardSeconds: 0, ssh: [2222] }, ['guard-off: guardSeconds is 0']],
    [
      'a port at which nobody listens',
      { rescue: [...ways.rescue, { source: '2001:db8::/64', port: 23 }] },
      ['rescue-port-closed: 2001:db8::/64 to port 23'],
    ],
    ['who listens is not known', { listening: null, ssh: [] }, ['rescue: 198.18.7.0/24 to port 22']],
  ] as const) {
    test(`ways in: ${name}`, () => assert.deepEqual(said(rescue.judge({ ...ways, ...changes })), expected))
  }

  test('ways in: no settings can be read', () => assert.deepEqual(rescue.judge(null), []))

  test('ways in, as ss tells of them', () => {
    const listening = [
      '0      128          0.0.0.0:2222      0.0.0.0:*    users:(("sshd",pid=812,fd=3))',
      '0      4096   127.0.0.53%lo:53        0.0.0.0:*    users:(("systemd-resolve",pid=611,fd=18))',
      '0      4096               *:22              *:*    users:(("systemd",pid=1,fd=97))',
      '0      4096            [::]:443          [::]:*    ',
      '0      128        127.0.0.1:6010      0.0.0.0:*    users:(("sshd-session",pid=900,fd=7))',
      '0      128            [::1]:6010         [::]:*    users:(("sshd-session",pid=900,fd=8))',
    ].join('\n')
    const established = [
      '0      0      [::ffff:198.18.0.2]:22    [::ffff:198.18.0.9]:50000 users:(("sshd-session",pid=900,fd=4))',
      '0      0               127.0.0.1:41000           127.0.0.1:5432  users:(("sshd-session",pid=900,fd=9))',
      '0      0              198.18.0.2:443          198.18.0.9:50001 users:(("nginx",pid=901,fd=9))',
    ].join('\n')
    assert.deepEqual(readPorts(listening, established), { listening: [2222, 22, 443], ssh: [22, 2222] })
    assert.deepEqual(readPorts('', ''), { listening: [], ssh: [] })
    assert.deepEqual(readPorts(null, established), { listening: null, ssh: [] })
  })

  test('a clock before what has happened', () => {
    const now = Date.UTC(2026, 10, 27)
    assert.deepEqual(codes(clock.judge({ now, newestFile: now - 1000 })), ['clock'])
    assert.deepEqual(codes(clock.judge({ now, newestFile: now + 60_000 })), ['clock'])
    assert.deepEqual(codes(clock.judge({ now, newestFile: now + 3_600_000 })), ['clock-behind'])
    assert.deepEqual(codes(clock.judge({ now: 0, newestFile: null })), ['clock-behind'])
  })
})

describe('a boot', () => {
  const usual = '/var/lib/ringwall/ruleset.nft'
  const facts = { isEnabled: true, loads: usual, written: usual, hasRuleset: true }
  for (const [name, changes, expected] of [
    ['the same file', {}, [`boot: ${usual}`]],
    ['a unit that is not enabled', { isEnabled: false }, [`boot-off: nothing loads ${usual}`]],
    ['no policy yet', { isEnabled: false, hasRuleset: false }, []],
    [
      'another state directory',
      { written: '/srv/ringwall/ruleset.nft' },
      [`boot-elsewhere: it loads ${usual}, the agent writes /srv/ringwall/ruleset.nft`],
    ],
  ] as const) {
    test(name, () => assert.deepEqual(said(boot.judge({ ...facts, ...changes })), expected))
  }

  for (const [text, expected] of [
    ['', null],
    ['RINGWALL_BOOT_OPEN_PORTS="22, 2222"\n', null],
    ['# RINGWALL_BOOT_RULESET=/a\n', null],
    ['RINGWALL_BOOT_RULESET=/srv/ringwall/ruleset.nft\n', '/srv/ringwall/ruleset.nft'],
    ['RINGWALL_BOOT_RULESET=/a\nRINGWALL_BOOT_RULESET="/b c"', '/b c'],
    ["RINGWALL_BOOT_RULESET='/a'", '/a'],
  ] as const) {
    test(`boot.env: ${JSON.stringify(text)}`, () => assert.equal(namedIn(text), expected))
  }
})

describe('nftables', () => {
  test('an nft that is missing, refuses, is old', () => {
    const cause = new RunError('no-such-command', 'nft not found')
    const missing = new NftError('unsupported', 'version', cause.message, { cause })
    assert.deepEqual(said(nft.judge({ fault: missing })), ['nft-missing: nft not found'])
    assert.deepEqual(codes(nft.judge({ fault: new NftError('permission', 'list chains', 'Error: no') })), [
      'nft-unusable',
    ])
    assert.deepEqual(codes(nft.judge({ version: '0.9.8' })), ['nft-old'])
    assert.deepEqual(codes(nft.judge({ version: '1.0.1' })), ['nft-old'])
    assert.deepEqual(codes(nft.judge({ version: '1.0.6' })), ['nft'])
    assert.deepEqual(codes(nft.judge({ version: '1.1' })), ['nft'])
  })

  test('features that are needed, and others', () => {
    const support = {
      'ct timeout policy': 'text',
      'element counters': 'json',
      'concatenated intervals': 'json',
      'ct tuple': 'json',
      'rule comments': 'json',
      NFLOG: 'json',
    } as const
    assert.deepEqual(codes(features.judge(support)), ['features'])
    assert.deepEqual(
      said(features.judge({ ...support, 'ct tuple': 'missing', 'rule comments': 'missing', NFLOG: 'missing' })),
      ['feature-missing: ct tuple', 'feature-left-out: rule comments', 'feature-left-out: NFLOG'],
    )
  })

  test('slow changes name the largest sets', () => {
    const sets = [
      { table: 'inet geo', set: 'set small', elements: 20 },
      { table: 'ip6 geo', set: 'set other', elements: null },
      { table: 'inet geo', set: 'map ports', elements: 65_536 },
    ]
    assert.deepEqual(codes(elementUpdate.judge({ milliseconds: 4, sets: [] })), ['element-update'])
    for (const none of [null, [], sets.slice(0, 1)]) {
      assert.deepEqual(codes(elementUpdate.judge({ milliseconds: 40, sets: none })), ['element-update-late'])
    }
    assert.deepEqual(said(elementUpdate.judge({ milliseconds: 702.4, sets })), [
      'element-update-slow: 702 ms; set other of table ip6 geo (not counted); map ports of table inet geo (about 65,536 elements); 1 other',
    ])
    // Each of them is small, all together are not.
    const many = Array.from({ length: 40 }, (_, n) => ({ table: 'ip geo', set: `set s${n}`, elements: 200 }))
    assert.deepEqual(said(elementUpdate.judge({ milliseconds: 35, sets: many })), [
      'element-update-slow: 35 ms; set s0 of table ip geo (about 200 elements); 39 others',
    ])
  })
})

describe('other programs', () => {
  const chain = (hook: string, hookPriority: number, more: Partial<BaseChain> = {}): BaseChain => ({
    family: 'inet',
    table: 'other',
    chain: 'c',
    type: 'filter',
    hook,
    hookPriority,
    chainPolicy: 'accept',
    ...more,
  })

  for (const [name, chains, expected] of [
    ['nobody', [], ['base-chains: none']],
    [
      'ports of bridges and ARP',
      [chain('forward', 0, { family: 'bridge', chainPolicy: 'drop' })],
      ['base-chains: none'],
    ],
    [
      'one that drops by itself',
      [chain('input', 0, { chainPolicy: 'drop' })],
      ['foreign-drop-policy: inet other c (input 0, after ingress was judged)'],
    ],
    [
      'on both sides of ours',
      [chain('prerouting', -300), chain('prerouting', -160), chain('postrouting', 200), chain('output', 0)],
      [
        'foreign-chains: inet other c (prerouting -300, before Ringwall); inet other c (prerouting -160, beside Ringwall); inet other c (postrouting 200, after Ringwall); inet other c (output 0, before egress is judged)',
      ],
    ],
    [
      'at the same place',
      [chain('prerouting', -150)],
      ['foreign-same-priority: inet other c (prerouting -150, beside Ringwall)'],
    ],
    [
      'address translation',
      [chain('prerouting', -100, { type: 'nat' })],
      ['foreign-nat: inet other c (prerouting -100, after Ringwall)'],
    ],
  ] as const) {
    test(name, () => assert.deepEqual(said(baseChains.judge(chains)), expected))
  }

  test('programs are known by chains, tables, processes and settings', () => {
    const table = (family: string, name: string, ...names: readonly string[]) => ({
      family,
      name,
      chains: names.map(each => ({ name: each, rules: [] })),
    })
    const facts = { tables: [], processes: new Set<string>(), ufwSettings: null }
    assert.deepEqual(said(programsCheck.judge({ ...facts, tables: null })), ['programs: none known'])
    assert.deepEqual(said(programsCheck.judge({ ...facts, tables: [table('ip', 'nat', 'DOCKER', 'PREROUTING')] })), [
      'found-docker: DOCKER in table ip nat',
    ])
    assert.deepEqual(
      said(programsCheck.judge({ ...facts, tables: [table('inet', 'firewalld')], processes: new Set(['firewalld']) })),
      ['found-firewalld: table inet firewalld, process firewalld'],
    )
    assert.deepEqual(said(programsCheck.judge({ ...facts, ufwSettings: '# ufw\nENABLED=yes\n' })), [
      'found-ufw: enabled in /etc/ufw/ufw.conf',
    ])
    assert.deepEqual(codes(programsCheck.judge({ ...facts, ufwSettings: 'ENABLED=no\n' })), ['programs'])
  })

  test('flowtables with their devices', () => {
    const table = { ...emptyTable, flowtables: [{ name: 'f', devices: ['eth0', 'eth1'] }] }
    assert.deepEqual(said(flowtables.judge([table])), ['flowtable: f of table ip other (eth0, eth1)'])
    assert.deepEqual(codes(flowtables.judge([{ ...table, flowtables: [] }])), ['no-flowtables'])
  })

  test('extensions of iptables that nft does not know', () => {
    const judge = (stderr: string) => said(unprintable.judge(unprintableExtensions(stderr)))
    const stderr = 'XT target CONNMARK not found\n# Warning: table ip raw is managed by iptables-nft, do not touch!\n'
    assert.deepEqual(judge(`${stderr}XT match conntrack not found\nXT target CONNMARK not found\n`), [
      'rules-unprintable: CONNMARK, conntrack',
    ])
    assert.deepEqual(judge('XT match conntrack not found\n'), ['rules-unprintable-in-part: conntrack'])
    assert.deepEqual(judge(''), ['all-printable: none'])
  })

  test('rules that keep packets from conntrack', () => {
    const judge = (...rules: readonly string[]) =>
      said(untracked.judge([{ ...emptyTable, chains: [{ name: 'c', rules }] }]))
    assert.deepEqual(judge('udp dport 53 notrack', 'accept comment "notrack"'), [
      'notrack: ip other c: udp dport 53 notrack',
    ])
    assert.deepEqual(judge('accept'), ['all-tracked: no rule with notrack'])
  })

  test('flush ruleset, in effect or as a comment', () => {
    const judge = (text: string | null, isEnabled = false) =>
      said(flushRuleset.judge({ files: [{ path: '/etc/nftables.conf', text }], isEnabled }))
    assert.deepEqual(judge('#!/usr/sbin/nft -f\n\nflush ruleset\n', true), [
      'flush-ruleset: /etc/nftables.conf; nftables.service starts at boot',
    ])
    assert.deepEqual(judge('# flush ruleset\n'), ['no-flush-ruleset: no "flush ruleset"'])
    assert.deepEqual(judge(null), ['no-flush-ruleset: no "flush ruleset"'])
  })

  test('tables of iptables-legacy', () => {
    assert.deepEqual(said(legacyIptables.judge([{ name: 'iptables', text: 'nat\nfilter\n' }])), [
      'legacy-iptables: tables of iptables nat, filter',
    ])
    assert.deepEqual(codes(legacyIptables.judge([{ name: 'iptables', text: '' }])), ['no-legacy-iptables'])
  })
})

test('how full the table of sessions is', () => {
  const judge = (count: number, most: number) => said(conntrackTable.judge({ count, most }))
  assert.deepEqual(judge(10, 100), ['conntrack-table: 10 of 100 sessions (10%)'])
  assert.deepEqual(judge(70, 100), ['conntrack-filling: 70 of 100 sessions (70%)'])
  assert.deepEqual(judge(250_000, 262_144), ['conntrack-full: 250,000 of 262,144 sessions (95%)'])
  // The kernel takes 0 for no limit.
  assert.deepEqual(codes(conntrackTable.judge({ count: 10, most: 0 })), ['conntrack-table'])
  assert.deepEqual(codes(conntrackTable.judge(null)), ['conntrack-unreadable'])
})

test('idle times of sessions', () => {
  const udp = { setting: 'nf_conntrack_udp_timeout', seconds: 910 }
  const dccp = { setting: 'nf_conntrack_dccp_timeout_open', seconds: 43_200 }
  assert.deepEqual(said(conntrackTimeouts.judge([udp])), ['idle-times: none is above 910 s'])
  assert.deepEqual(said(conntrackTimeouts.judge([udp, dccp])), [
    'idle-times-long: nf_conntrack_dccp_timeout_open is 43200',
  ])
  assert.deepEqual(conntrackTimeouts.judge([]), [])
})

test('perl, or none', () => {
  assert.deepEqual(said(perl.judge('5.36.0')), ['perl: perl 5.36.0'])
  assert.deepEqual(codes(perl.judge(null)), ['perl-missing'])
})

describe('how agents have ended', () => {
  const nowMs = Date.UTC(2026, 2, 8, 12)
  const hoursAgo = (hours: number, kind: Ending['kind'] = 'crash'): Ending => {
    return { timeMs: nowMs - hours * 3_600_000, kind, why: 'it was ended by SIGSEGV' }
  }
  const unit = { hasFailed: false, result: 'success', status: '0', restarts: 0, controlGroup: '' }
  const nothing = { nowMs, unit: null, endings: [], killsInLog: null, killedNow: 0 }
  const judge = (facts: Partial<Parameters<typeof endings.judge>[0]>) => endings.judge({ ...nothing, ...facts })

  test('well, or nobody knows', () => {
    assert.deepEqual(codes(judge({})), ['agent-endings'])
    assert.deepEqual(codes(judge({ unit })), ['agent-endings'])
    assert.deepEqual(codes(judge({ unit, endings: [hoursAgo(24 * 8), hoursAgo(-1)] })), ['agent-endings'])
  })

  test('seldom, often', () => {
    assert.deepEqual(said(judge({ endings: [hoursAgo(2)] })), [
      'agent-ended: once, last at 2026-03-08T10:00:00.000Z: it was ended by SIGSEGV',
    ])
    assert.deepEqual(codes(judge({ endings: [hoursAgo(50), hoursAgo(30), hoursAgo(2)] })), ['agent-ended'])
    assert.deepEqual(codes(judge({ endings: [hoursAgo(20), hoursAgo(3), hoursAgo(2)] })), ['agent-ends-often'])
    assert.deepEqual(said(judge({ unit: { ...unit, restarts: 4 } })), [
      'agent-ended: systemd has started it again 4 times',
    ])
  })

  test('because memory ran out: it is known, or the kernel’s log explains who has killed it', () => {
    assert.deepEqual(codes(judge({ endings: [hoursAgo(2, 'memory')] })), ['agent-out-of-memory'])
    assert.deepEqual(codes(judge({ endings: [hoursAgo(2, 'killed')] })), ['agent-ended'])
    assert.deepEqual(codes(judge({ endings: [hoursAgo(2, 'killed')], killsInLog: 0 })), ['agent-ended'])
    assert.deepEqual(codes(judge({ endings: [hoursAgo(2, 'killed')], killsInLog: 1 })), ['agent-out-of-memory'])
    assert.deepEqual(codes(judge({ endings: [hoursAgo(3), hoursAgo(2, 'memory')] })), [
      'agent-out-of-memory',
      'agent-ended',
    ])
    assert.deepEqual(said(judge({ killedNow: 2 })), [
      'agent-out-of-memory: the kernel killed 2 processes of the agent that runs',
    ])
  })

  test('and systemd does not start it again', () => {
    const failed = { ...unit, hasFailed: true, result: 'exit-code', status: '2' }
    assert.deepEqual(said(judge({ unit: failed })), ['agent-failed: exit-code, status 2'])
  })

  test('the kernel’s log counts for the agent, not for its nft nor for others', () => {
    const line = (group: string, task: string) =>
      `[  12.3] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=${group},task=${task},pid=7,uid=998`
    const own = '/system.slice/ringwall-agent.service'
    assert.equal(
      countKills([line(own, 'MainThread'), line(own, 'nft'), line('/system.slice/x.service', 'node')].join('\n')),
      1,
    )
    assert.equal(countKills(''), 0)
  })
})

test('conntrack(8), or none', () => {
  assert.deepEqual(said(conntrackTool.judge('1.4.7')), ['conntrack-tool: conntrack 1.4.7'])
  assert.deepEqual(codes(conntrackTool.judge('1.5')), ['conntrack-tool'])
  assert.deepEqual(said(conntrackTool.judge('1.4.6')), ['conntrack-tool-old: conntrack 1.4.6'])
  assert.deepEqual(codes(conntrackTool.judge(null)), ['conntrack-tool-missing'])
})

describe('devices', () => {
  const bridge = { name: 'br0', kind: 'bridge' } as const
  const port = { name: 'tap0', kind: 'tun', master: 'br0' } as const
  const bond = { name: 'bond0', kind: 'bond' } as const
  const slave = { name: 'eth0', master: 'bond0' } as const

  test('ports of a bridge, not those of a bond', () => {
    const judge = (all: Parameters<typeof devices.judge>[0]['devices'], bridgeNetfilter: boolean | null = null) =>
      said(devices.judge({ devices: all, bridgeNetfilter }))
    assert.deepEqual(judge([bridge, port, bond, slave]), ['bridge-ports: tap0 of br0'])
    assert.deepEqual(judge([bond, slave]), ['devices: bond0, eth0'])
    assert.deepEqual(judge([bridge], true), ['bridge-netfilter: bridge-nf-call-iptables is 1'])
    assert.deepEqual(judge([{ name: 'eth0', hasXdp: true }]), ['xdp: eth0'])
    assert.deepEqual(judge({ fault: 'ip not found' }), ['ip-unusable: ip not found'])
  })

  test('ENIs whose packets are not met', () => {
    const judge = (device: string) =>
      said(
        enis.judge({
          enis: [{ id: 'eni-1', device }],
          devices: [bridge, port, { name: 'ens3', altNames: ['enp0s3'], hasXdp: true }],
        }),
      )
    assert.deepEqual(judge('tap0'), ['eni-on-bridge-port: eni-1: tap0 is a port of br0'])
    assert.deepEqual(judge('enp0s3'), ['eni-on-other-name: eni-1: enp0s3 is another name of ens3'])
    assert.deepEqual(judge('ens3'), ['eni-device-xdp: eni-1: ens3'])
    assert.deepEqual(judge('eth9'), ['eni-without-device: eni-1: no device eth9'])
    assert.deepEqual(judge('br0'), ['enis: eni-1'])
    assert.deepEqual(enis.judge({ enis: null, devices: [] }), [])
  })

  test('what joins packets before they are counted', () => {
    const on = parseOffloads('Features for eth0:\ngeneric-receive-offload: on\nlarge-receive-offload: off [fixed]\n')
    assert.deepEqual(on, { joinsInKernel: true, joinsInDevice: false })
    const eth0 = { device: 'eth0', offloads: on }
    const eth1 = { device: 'eth1', offloads: { joinsInKernel: false, joinsInDevice: true } }
    assert.deepEqual(said(offloads.judge([eth0, eth1])), ['device-joins-packets: eth1', 'kernel-joins-packets: eth0'])
    assert.deepEqual(codes(offloads.judge([{ device: 'eth0', offloads: null }])), ['offloads-unknown'])
    assert.deepEqual(said(offloads.judge([])), ['offloads: no device'])
  })

  test('forwarding, ways of return, IPv6', () => {
    const enabled = { IPv4: true, IPv6: false }
    assert.deepEqual(codes(forwarding.judge({ enabled, guests: 0 })), ['forwarding'])
    assert.deepEqual(codes(forwarding.judge({ enabled, guests: 2 })), ['forwarding-off'])
    assert.deepEqual(codes(forwarding.judge({ enabled: { IPv4: true, IPv6: null }, guests: 2 })), ['forwarding'])
    const device = (value: number) => [{ name: 'eth0', value }]
    assert.deepEqual(codes(rpFilter.judge({ all: 0, devices: device(1) })), ['rp-filter-strict'])
    assert.deepEqual(codes(rpFilter.judge({ all: 1, devices: device(0) })), ['rp-filter-strict'])
    assert.deepEqual(codes(rpFilter.judge({ all: 1, devices: device(2) })), ['rp-filter'])
    assert.deepEqual(codes(ipv6.judge('0\n')), ['ipv6'])
    assert.deepEqual(codes(ipv6.judge('1\n')), ['ipv6-disabled'])
    assert.deepEqual(codes(ipv6.judge(null)), ['ipv6-disabled'])
  })
})

test('the state directory and its disk', () => {
  const facts = { path: '/state', exists: true, fault: null, freeBytes: 2 ** 30, freeFiles: 1000 }
  assert.deepEqual(said(stateDir.judge(facts)), ['state-dir: /state: 1,024 MiB free'])
  assert.deepEqual(codes(stateDir.judge({ ...facts, exists: false })), ['state-dir-missing'])
  assert.deepEqual(codes(stateDir.judge({ ...facts, fault: 'permission denied' })), ['state-dir-not-writable'])
  assert.deepEqual(codes(stateDir.judge({ ...facts, freeBytes: 20e6 })), ['disk-filling'])
  assert.deepEqual(codes(stateDir.judge({ ...facts, freeBytes: 4096 })), ['disk-full'])
  assert.deepEqual(codes(stateDir.judge({ ...facts, freeFiles: 0 })), ['disk-full'])
  assert.deepEqual(codes(stateDir.judge({ ...facts, freeFiles: null })), ['state-dir'])
})

test('files in the state directory', () => {
  const file = (name: string, fault: string | null = null, readableByOthers = false) => ({
    name,
    fault,
    readableByOthers,
  })
  assert.deepEqual(codes(stateFiles.judge([])), ['no-state-files'])
  assert.deepEqual(said(stateFiles.judge([file('ddos.json')])), ['state-files: ddos.json'])
  assert.deepEqual(
    said(stateFiles.judge([file('ddos.json', 'it is not JSON'), file('credentials.json', null, true)])),
    ['state-file-damaged: ddos.json: it is not JSON', 'state-readable-by-others: credentials.json'],
  )
  assert.deepEqual(codes(stateFiles.judge([file('view.behind')])), ['state-behind'])
})

test('how far it is to the daemon', () => {
  const facts = {
    url: 'https://daemon.example:9443',
    agentId: 'agent-1',
    certificateFault: null,
    certificateExpires: '2027-01-02T03:04:05.000Z',
    hasEnded: false,
    nameFault: null,
    addresses: [],
  }
  const at = (stage: 'unreachable' | 'untrusted' | 'trusted', word: string) => ({
    ...facts,
    addresses: [{ address: '198.18.0.1', stage, word }],
  })
  assert.deepEqual(codes(daemon.judge(null)), ['not-joined'])
  assert.deepEqual(codes(daemon.judge({ fault: 'Cannot read credentials' })), ['credentials-unreadable'])
  assert.deepEqual(codes(daemon.judge({ ...facts, certificateFault: 'not valid after …' })), ['certificate-invalid'])
  assert.deepEqual(said(daemon.judge({ ...facts, hasEnded: true })), [
    'certificate-ended: the certificate of agent-1 ended at 2027-01-02T03:04:05.000Z',
  ])
  assert.deepEqual(codes(daemon.judge({ ...facts, nameFault: 'ENOTFOUND' })), ['daemon-unresolvable'])
  assert.deepEqual(said(daemon.judge(at('unreachable', 'ECONNREFUSED'))), [
    'daemon-unreachable: https://daemon.example:9443 at 198.18.0.1: ECONNREFUSED',
  ])
  assert.deepEqual(codes(daemon.judge(at('untrusted', 'its certificate is not signed by the CA'))), [
    'daemon-untrusted',
  ])
  assert.deepEqual(said(daemon.judge(at('trusted', 'AbCd'))), [
    'daemon: https://daemon.example:9443, certificate AbCd; this host’s is good until 2027-01-02',
  ])
})
