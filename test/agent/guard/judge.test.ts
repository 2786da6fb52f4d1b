import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { findCuts, takesNothing, type Watched } from '../../../agent/guard/judge.ts'
import type { Session } from '../../../agent/guard/sessions.ts'
import { protocolNumbers } from '../../../rules-compiler/address/protocol.ts'
import { evaluate } from '../../../rules-compiler/policy/evaluate.ts'
import type { PolicyIr } from '../../../rules-compiler/policy/ir.ts'
import { findNarrowed } from '../../../rules-compiler/policy/narrowing.ts'
import type { Packet } from '../../../rules-compiler/policy/packet.ts'
import { arbitraryChange } from '../../support/arbitrary-ir.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'

const end = (address: string, port: number) => ({ address, port })
const daemon: Session = {
  kind: 'daemon',
  local: end('198.18.0.2', 40_000),
  remote: end('198.18.0.9', 8444),
  device: 'eth0',
  acknowledged: 0,
}
const shell: Session = {
  kind: 'rescue',
  local: end('198.18.0.2', 22),
  remote: end('198.18.0.8', 50_000),
  device: 'eth0',
  acknowledged: 0,
}
const both = [daemon, shell]

const ssh = makeRule({ id: 'ssh', protocol: 'tcp', ports: 22 })
const anything = makeRule({ id: 'any' })
const dns = makeRule({ id: 'dns', protocol: 'udp', ports: 53 })
const open = makeIr(makeEni([ssh]))
const closed = makeIr(makeEni([]))
const closedEgress = { rules: [], defaultVerdict: 'drop' } as const

const rows: readonly {
  readonly name: string
  readonly before: PolicyIr | 'nothing' | 'unknown'
  readonly next: PolicyIr
  readonly sessions?: readonly Session[]
  readonly cuts: readonly string[]
}[] = [
  { name: 'a policy that accepts both', before: 'nothing', next: open, cuts: [] },
  {
    name: 'a first policy without a rule for the shell',
    before: 'nothing',
    next: closed,
    cuts: [
      'the session from 198.18.0.8 to 198.18.0.2:22 (ENI eni-1 of placement host on eth0, ingress: no rule accepts it)',
    ],
  },
  {
    name: 'the same where it is not known what stands',
    before: 'unknown',
    next: closed,
    cuts: [
      'the session from 198.18.0.8 to 198.18.0.2:22 (ENI eni-1 of placement host on eth0, ingress: no rule accepts it)',
    ],
  },
  { name: 'a shell that is not allowed now either', before: closed, next: closed, cuts: [] },
  {
    name: 'a rule that drops the shell',
    before: open,
    next: makeIr(makeEni([ssh, makeRule({ id: 'no', verdict: 'drop', peer: '198.18.0.8/32' })])),
    cuts: [
      'the session from 198.18.0.8 to 198.18.0.2:22 (ENI eni-1 of placement host on eth0, ingress: rule no of sg-1)',
    ],
  },
  {
    name: 'no way out, but for the exception',
    before: open,
    next: makeIr(makeEni([ssh], { egress: closedEgress, controlConnections: [{ address: '198.18.0.9', port: 8444 }] })),
    cuts: [],
  },
  {
    name: 'no way out',
    before: open,
    next: makeIr(makeEni([ssh], { egress: closedEgress })),
    cuts: [
      'the connection to the daemon at 198.18.0.9:8444 (ENI eni-1 of placement host on eth0, egress: no rule accepts it)',
    ],
  },
  {
    name: "placement guest on the host's own uplink",
    before: open,
    next: makeIr(makeEni([ssh], { placement: 'guest' })),
    cuts: [
      'the connection to the daemon at 198.18.0.9:8444 (ENI eni-1 of placement guest on eth0, egress: the source guard)',
      'the session from 198.18.0.8 to 198.18.0.2:22 (ENI eni-1 of placement guest on eth0, egress: the source guard)',
    ],
  },
  {
    name: 'an ENI that is observed',
    before: open,
    next: makeIr(makeEni([], { placement: 'guest', isObserved: true })),
    cuts: [],
  },
  {
    name: 'an ENI that is observed no more',
    before: makeIr(makeEni([], { isObserved: true })),
    next: closed,
    sessions: [shell],
    cuts: [
      'the session from 198.18.0.8 to 198.18.0.2:22 (ENI eni-1 of placement host on eth0, ingress: no rule accepts it)',
    ],
  },
  {
    name: 'another device',
    before: open,
    next: closed,
    sessions: [{ ...shell, device: 'lo' }],
    cuts: [],
  },
  {
    name: 'IPv6',
    before: 'nothing',
    next: closed,
    sessions: [{ ...shell, local: end('2001:db8::2', 22), remote: end('2001:db8::8', 50_000) }],
    cuts: [
      'the session from 2001:db8::8 to [2001:db8::2]:22 (ENI eni-1 of placement host on eth0, ingress: no rule accepts it)',
    ],
  },
]

describe('what a policy would cut:', () => {
  for (const { name, before, next, sessions = both, cuts } of rows) {
    test(name, () => {
      assert.deepEqual(
        findCuts(before, next, sessions).map(({ text }) => text),
        cuts,
      )
    })
  }
})

describe('whether a change takes anything:', () => {
  const changes: readonly (readonly [string, PolicyIr, PolicyIr, boolean])[] = [
    ['none', open, open, true],
    ['a rule more', closed, open, true],
    ['a rule less', open, closed, false],
    ['another device', open, makeIr(makeEni([ssh], { device: 'eth1' })), false],
    ['an ENI that is observed', open, makeIr(makeEni([], { isObserved: true })), true],
    ['an ENI that is observed no more', makeIr(makeEni([ssh], { isObserved: true })), open, false],
    ['an ENI more', { ...open, enis: [] }, open, false],
    ['another placement', open, makeIr(makeEni([ssh], { placement: 'guest' })), false],
    [
      'an address less of a guest',
      makeIr(makeEni([ssh], { placement: 'guest' })),
      makeIr(makeEni([ssh], { placement: 'guest', addresses: ['198.18.0.2'] })),
      false,
    ],
  ]
  for (const [name, before, next, expected] of changes) {
    test(name, () => assert.equal(takesNothing(before, next, { rescuePorts: [22], daemonPort: 8444 }), expected))
  }

  const away = makeIr(makeEni([ssh], { egress: closedEgress }))
  const ports: readonly (readonly [string, PolicyIr, PolicyIr, Watched, boolean])[] = [
    ['at a port that is not watched', open, closed, { rescuePorts: [2222], daemonPort: null }, true],
    ['at one of several', open, closed, { rescuePorts: [2222, 22], daemonPort: null }, false],
    ['by a rule of all protocols', makeIr(makeEni([anything])), closed, { rescuePorts: [9], daemonPort: null }, false],
    ['by a rule of UDP', makeIr(makeEni([dns])), closed, { rescuePorts: [53], daemonPort: null }, true],
    ['the way out', open, away, { rescuePorts: [], daemonPort: 8444 }, false],
  ]
  for (const [name, before, next, watched, expected] of ports) {
    test(`a rule less, ${name}`, () => assert.equal(takesNothing(before, next, watched), expected))
  }

  test('never of a change that would cut a session', () => {
    let spared = 0
    fc.assert(
      fc.property(arbitraryChange, ({ previous, next, packets }) => {
        for (const packet of packets) {
          const session = sessionOf(previous, packet)
          if (session === null) continue
          const isRescue = session.kind === 'rescue'
          const watched = {
            rescuePorts: isRescue ? [session.local.port] : [],
            daemonPort: isRescue ? null : session.remote.port,
          }
          if (!takesNothing(previous, next, watched)) continue
          assert.deepEqual(findCuts(previous, next, [session]), [])
          if (findNarrowed(previous, next).length > 0) spared += 1
        }
      }),
      { numRuns: 2000 },
    )
    assert.ok(spared > 0, 'no change that takes something was let through')
  })
})

/** One whose first packet this is, at the ENI's device. */
function sessionOf({ enis }: PolicyIr, packet: Packet): Session | null {
  const { eniId, direction, source, destination, sourcePort, destinationPort } = packet
  const eni = enis.find(({ id }) => id === eniId)
  if (eni === undefined || sourcePort === undefined || destinationPort === undefined) return null
  const [from, to] = [end(source, sourcePort), end(destination, destinationPort)]
  const comesIn = (direction === 'ingress') === (eni.placement === 'host')
  const ends = comesIn
    ? ({ kind: 'rescue', local: to, remote: from } as const)
    : ({ kind: 'daemon', local: from, remote: to } as const)
  return { ...ends, device: eni.device, acknowledged: 0 }
}

test('the example is one that the policy itself decides so', () => {
  const packet = {
    eniId: 'eni-1',
    direction: 'ingress',
    protocol: protocolNumbers.tcp,
    source: '198.18.0.8',
    destination: '198.18.0.2',
    sourcePort: 50_000,
    destinationPort: 22,
  } as const
  assert.equal(evaluate(open, packet).verdict, 'accept')
})
