/** The listing of everybody's tables, read by its indentation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSurvey } from '../../../agent/nft/survey.ts'

test('chains with their rules, kinds of sets, devices of flowtables', () => {
  const listing = `# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip nat {
	chain DOCKER {
		iifname "docker0" counter return
	}
	chain PREROUTING {
		type nat hook prerouting priority -100; policy accept;
		fib daddr type 2 counter jump DOCKER
	}
}
table inet edge { # progname guard
	comment "of ours"
	set countries {
		type ipv4_addr
		flags interval
	}
	set pairs {
		type ipv4_addr . inet_service
		flags interval,timeout
	}
	map services {
		type ipv4_addr : verdict
		flags interval
	}
	set hosts {
		type ipv4_addr
	}
	flowtable fast {
		hook ingress priority 0
		devices = { "eth0", eth1 }
	}
	chain odd name {
		comment "what it is for"
		accept
	}
}
`
  assert.deepEqual(parseSurvey(listing), [
    {
      family: 'ip',
      name: 'nat',
      chains: [
        { name: 'DOCKER', rules: ['iifname "docker0" counter return'] },
        { name: 'PREROUTING', rules: ['fib daddr type 2 counter jump DOCKER'] },
      ],
      sets: [],
      flowtables: [],
    },
    {
      family: 'inet',
      name: 'edge',
      chains: [{ name: 'odd name', rules: ['accept'] }],
      sets: [
        { kind: 'set', name: 'countries', isPlainInterval: true },
        { kind: 'set', name: 'pairs', isPlainInterval: false },
        { kind: 'map', name: 'services', isPlainInterval: true },
        { kind: 'set', name: 'hosts', isPlainInterval: false },
      ],
      flowtables: [{ name: 'fast', devices: ['eth0', 'eth1'] }],
    },
  ])
})
