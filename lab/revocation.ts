/**
 * Rules are taken away over REST: two TCP sessions from the Internet to the web server are open, the rules that accepted
 * one of them are revoked, and that session is cut while the other goes on.
 */
import { setTimeout } from 'node:timers/promises'
import { type Family, families } from '../rules-compiler/address/cidr.ts'
import { type Control, putInForce } from './control.ts'
import type { Conversation } from './conversation.ts'
import { addresses, groups, httpsRuleNames } from './fleet.ts'
import { addRules, type RuleIds } from './set-up.ts'
import type { Peers } from './traffic.ts'

export interface Revocation {
  readonly family: Family
  /** From the request to the last message of the revoked session; null where one went through after the daemon's answer. */
  readonly cutAfterMs: number | null
  /** Messages of the other session in that time and after, and how many of them were answered. */
  readonly otherAsked: number
  readonly otherAnswered: number
}

/** However busy the machine is. */
const patienceMs = 20_000
const silenceMs = 700
const paceMs = 10

export interface Revocations {
  readonly sessions: readonly Revocation[]
  /** Afterwards the rules are put back, for who plays with the lab then: whether their port answers again. */
  readonly answersAgain: boolean
}

export async function demonstrateRevocation(control: Control, ruleIds: RuleIds, peers: Peers): Promise<Revocations> {
  const open = (family: Family, port: number) => peers.get('outside')!.connectTcp(addresses.web[family], port)
  const sessions = await Promise.all(
    families.map(async family => ({ family, revoked: await open(family, 443), other: await open(family, 80) })),
  )
  for (const { revoked, other } of sessions) {
    if (!(await revoked.ask('before')) || !(await other.ask('before'))) {
      throw new Error('The sessions to the web server do not answer, so cutting one would show nothing')
    }
  }
  const revocation: Progress = { isEnforced: false }
  const watching = sessions.map(async ({ family, revoked, other }) => {
    const [lastHeard, counts] = await watch(revoked, other, revocation)
    return { family, lastHeard, ...counts }
  })
  const askedAt = performance.now()
  const securityGroupRuleIds = httpsRuleNames.map(name => ruleIds.get(name))
  const path = '/v1/security-groups/sg-web/rules/revoke'
  const revoking = putInForce(control, path, { securityGroupRuleIds }).finally(() => {
    revocation.isEnforced = true
  })
  const [, seen] = await Promise.all([revoking, Promise.all(watching)])
  await addRules(control, 'sg-web', httpsRules)
  const again = await Promise.all(families.map(async family => (await open(family, 443)).ask('again')))
  return {
    sessions: seen.map(({ lastHeard, ...rest }) => ({
      ...rest,
      cutAfterMs: lastHeard === null ? null : Math.max(0, lastHeard - askedAt),
    })),
    answersAgain: again.every(Boolean),
  }
}

const httpsRules = groups
  .flatMap(({ rules }) => rules)
  .filter(({ name }) => (httpsRuleNames as readonly string[]).includes(name))

interface Progress {
  /** The daemon says so, or refuses. */
  isEnforced: boolean
}

/** Talks on both sessions until the revocation is enforced and the first is silent, or is not although it is. */
async function watch(revoked: Conversation, other: Conversation, revocation: Progress) {
  const counts = { otherAsked: 0, otherAnswered: 0 }
  let silent = false
  const talkOn = async () => {
    while (!silent) {
      counts.otherAsked += 1
      if (await other.ask(`still ${counts.otherAsked}`, patienceMs)) counts.otherAnswered += 1
      await setTimeout(paceMs)
    }
  }
  const untilSilent = async () => {
    let lastHeard = performance.now()
    for (let number = 1; ; number += 1) {
      const { isEnforced } = revocation
      const isAnswered = await revoked.ask(`message ${number}`, silenceMs)
      if (isEnforced) return isAnswered ? null : lastHeard
      if (isAnswered) lastHeard = performance.now()
      await setTimeout(paceMs)
    }
  }
  const talking = talkOn()
  const lastHeard = await untilSilent()
  silent = true
  await talking
  return [lastHeard, counts] as const
}
