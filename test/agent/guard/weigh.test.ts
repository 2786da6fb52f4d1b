import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Session } from '../../../agent/guard/sessions.ts'
import { type Circumstances, isRisky, isTrialNeeded, weigh } from '../../../agent/guard/weigh.ts'
import { makeEni, makeIr, makeRule } from '../../support/ir.ts'

const end = (address: string, port: number) => ({ address, port })
const common = { device: 'eth0', acknowledged: 0 } as const
const shell: Session = { kind: 'rescue', local: end('198.18.0.2', 22), remote: end('198.18.0.8', 50_000), ...common }
const link: Session = { kind: 'daemon', local: end('198.18.0.2', 40_000), remote: end('198.18.0.9', 8444), ...common }

const open = makeIr(makeEni([makeRule({ id: 'ssh', protocol: 'tcp', ports: 22 })]))
const closedIn = makeIr(makeEni([]))
const closedOut = makeIr(makeEni([], { egress: { rules: [], defaultVerdict: 'drop' } }))
const emptyHost = { ...open, enis: [] }
const otherDevice = makeIr(makeEni([], { id: 'eni-2', device: 'eth1' }))
const observed = makeIr(makeEni([], { isObserved: true }))
const befores = {
  nothing: 'nothing',
  unknown: 'unknown',
  open,
  'no ENI': emptyHost,
  'another device': otherDevice,
  'what is observed': observed,
} as const
const policies = { open, 'without SSH': closedIn, 'without a way out': closedOut } as const

const leaders = {
  'a file': { isLed: false, isReached: false },
  'a daemon': { isLed: true, isReached: true },
  'a daemon that is away': { isLed: true, isReached: false },
} as const

/** Who leads, what stood, the policy; then what it waits for, and whether it outlives the agent. */
const rows: readonly (readonly [keyof typeof leaders, keyof typeof befores, keyof typeof policies, string])[] = [
  ['a file', 'nothing', 'open', 'nothing'],
  ['a file', 'nothing', 'without SSH', 'a person, risky'],
  ['a file', 'open', 'open', 'nothing'],
  ['a file', 'open', 'without SSH', 'a person, risky'],
  ['a daemon', 'nothing', 'open', 'the daemon'],
  ['a daemon', 'nothing', 'without SSH', 'the daemon, a person, risky'],
  ['a daemon', 'unknown', 'open', 'the daemon'],
  ['a daemon', 'unknown', 'without SSH', 'the daemon, a person, risky'],
  ['a daemon', 'open', 'open', 'nothing'],
  ['a daemon', 'open', 'without SSH', 'the daemon'],
  ['a daemon', 'open', 'without a way out', 'the daemon, risky'],
  ['a daemon', 'no ENI', 'open', 'nothing'],
  ['a daemon', 'no ENI', 'without SSH', 'the daemon, a person, risky'],
  ['a daemon', 'another device', 'without SSH', 'the daemon, a person, risky'],
  ['a daemon', 'what is observed', 'without SSH', 'the daemon, a person, risky'],
  ['a daemon that is away', 'nothing', 'open', 'nothing'],
  ['a daemon that is away', 'nothing', 'without SSH', 'a person, risky'],
  ['a daemon that is away', 'open', 'without SSH', 'nothing'],
]

describe('what a policy must show before it is trusted:', () => {
  for (const [leader, before, policy, expected] of rows) {
    test(`led by ${leader}, ${before} before, ${policy}`, () => {
      const sessions = leader === 'a file' ? [shell] : [shell, link]
      const circumstances: Circumstances = {
        before: befores[before],
        sessions,
        ...leaders[leader],
      }
      const demand = weigh(policies[policy], circumstances)
      const { needsDaemon, needsPerson } = demand
      const waitsFor = [
        ...(needsDaemon ? ['the daemon'] : []),
        ...(needsPerson ? ['a person'] : []),
        ...(isTrialNeeded(demand) && isRisky(demand) ? ['risky'] : []),
      ]
      assert.equal(waitsFor.join(', ') || 'nothing', expected)
    })
  }
})
