/**
 * The table of traffic scrubbing.
 *
 *   hook          priority   what
 *   ingress         -500     one chain for each device in host placement: count, then the defence; before conntrack (-200)
 *   prerouting      -175     what needs conntrack (-200), before the policy (-150); there while something is cleaned
 *   postrouting      140     guests: count, defence and what needs conntrack in one, before the policy (150)
 *
 * An accept ends these chains only: a later base chain, the policy's among them, can still drop.
 */
import { accept, goto } from '../nft/expressions.ts'
import type { Verdict } from '../nft/ruleset.ts'
import type { Defence } from './defence.ts'
import { allowedRules, defend } from './defend.ts'
import type { ScrubEni, ScrubIr } from './ir.ts'
import { measuringRules, offeredCounters, outOfScope } from './measure.ts'
import {
  allowedChain,
  arrivalsChain,
  conntrackChain,
  defenceChain,
  eniChain,
  guestDefenceChain,
  guestsChain,
  sessionsChain,
} from './names.ts'
import type { ScrubChain, ScrubHook, ScrubRuleset } from './ruleset.ts'
import { hasFlag, is, type ScrubRule } from './statements.ts'

export interface ScrubTable {
  readonly ir: ScrubIr
  /** Names of devices that are there now; ENIs of others are left out. */
  readonly devices: ReadonlySet<string>
  /** By instance; those without any are not defended. */
  readonly defences: ReadonlyMap<string, Defence>
}

const priority = { ingress: -500, prerouting: -175, postrouting: 140 } as const

/**
 * The kernel follows sessions while any rule asks for them, one that nothing leads to as well. Where no policy asks, and
 * cleaning would be the first to, sessions begun before would seem to be none.
 */
const followSessions: ScrubChain = { base: null, rules: [[hasFlag({ ct: { key: 'state' } }, 'established')]] }

/** @returns the same for the same table, in the same order */
export function compileScrub({ ir, devices, defences }: ScrubTable): ScrubRuleset {
  const instances = ir.instances.map(({ id, enis }) => ({
    id,
    enis: enis.filter(({ device }) => devices.has(device)),
    defence: defences.get(id) ?? ({ kind: 'none' } as const),
  }))
  const enis = instances.flatMap(instance => instance.enis.map(eni => ({ eni, instance })))
  const hosts = enis.filter(({ eni }) => eni.placement === 'host')
  const guests = enis.filter(({ eni }) => eni.placement === 'guest')
  const cleaned = hosts.filter(({ instance }) => instance.defence.kind === 'clean')
  const defended = instances.map(({ id, enis: own, defence }) => defend(id, own, defence))
  const allowed = allowedRules(ir)

  const measuring = (
    { eni, instance }: (typeof enis)[number],
    base: ScrubHook | null,
  ): readonly [string, ScrubChain] => [
    eniChain(eni.id),
    { base, rules: measuringRules(eni, ir.trafficScope, defenceOf(eni, instance)) },
  ]
  const chains: readonly (readonly [string, ScrubChain])[] = [
    ...hosts.map(each => measuring(each, { hook: 'ingress', device: each.eni.device, priority: priority.ingress })),
    ...baseChain(
      guestsChain,
      'postrouting',
      guests.length === 0 ? [] : byDevice('oifname', guests, ({ eni }) => eniChain(eni.id)),
    ),
    ...guests.map(each => measuring(each, null)),
    ...baseChain(
      arrivalsChain,
      'prerouting',
      cleaned.length === 0
        ? []
        : [
            ...outOfScope(ir.trafficScope).map(condition => [...condition, accept]),
            ...allowed,
            ...byDevice('iifname', cleaned, ({ instance }) => sessionsChain(instance.id)),
          ],
    ),
    ...(ir.instances.some(({ thresholds }) => thresholds !== null) ? [[conntrackChain, followSessions] as const] : []),
    ...defended.flatMap(({ chains: own }) => [...own]),
    ...(defended.some(({ chains: own }) => own.size > 0)
      ? [[allowedChain, { base: null, rules: allowed }] as const]
      : []),
  ]
  return {
    counters: new Set([
      ...enis.flatMap(({ eni }) => offeredCounters(eni)),
      ...defended.flatMap(({ counters }) => [...counters]),
    ]),
    limits: new Map(defended.flatMap(({ limits }) => [...limits])),
    sets: new Map(defended.flatMap(({ sets }) => [...sets])),
    chains: new Map(chains),
  }
}

/** Where a packet in scope goes after it was counted. */
function defenceOf(eni: ScrubEni, { id, defence }: { readonly id: string; readonly defence: Defence }): Verdict {
  if (defence.kind === 'none') return accept
  const needsSessions = defence.kind === 'clean' && eni.placement === 'guest'
  return goto(needsSessions ? guestDefenceChain(id) : defenceChain(id))
}

function baseChain(
  name: string,
  hook: 'prerouting' | 'postrouting',
  rules: readonly ScrubRule[],
): readonly (readonly [string, ScrubChain])[] {
  return rules.length === 0 ? [] : [[name, { base: { hook, priority: priority[hook] }, rules }]]
}

/** Up to this many devices are compared one after the other, 20 ns each; looking one up by its name costs 100. */
const fewDevices = 4

function byDevice<T extends { readonly eni: ScrubEni }>(
  key: 'iifname' | 'oifname',
  enis: readonly T[],
  target: (each: T) => string,
): readonly ScrubRule[] {
  if (enis.length <= fewDevices) {
    return enis.map(each => [is({ meta: { key } }, each.eni.device), goto(target(each))])
  }
  const elements = enis.map(each => [each.eni.device, goto(target(each))] as const)
  return [[{ vmap: { key: { meta: { key } }, data: { set: elements } } }]]
}
