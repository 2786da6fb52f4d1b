/** Policy IR in, ruleset out: the same input always gives the same ruleset, in the same order. */
import { families } from '../address/cidr.ts'
import type { Direction } from '../model/policy.ts'
import type { PolicyIr } from '../policy/ir.ts'
import {
  type DeviceBinding,
  type DeviceHook,
  dispatchChain,
  dispatchMaps,
  makeLoopedChain,
  makeUntrackedChain,
} from './baseline.ts'
import { makeHookChains, makeShortcut } from './hook-chains.ts'
import { type JudgeParts, makeJudge } from './judge.ts'
import * as names from './names.ts'
import { makeDropChain, makeOutcomes, makePassChains } from './outcomes.ts'
import type { Chain, MemberSet, Ruleset } from './ruleset.ts'
import { type Stamps, stampKey } from './stamps.ts'

const hooks: readonly names.Hook[] = ['prerouting', 'postrouting']
const directions: readonly Direction[] = ['ingress', 'egress']

export interface CompileOptions {
  /**
   * Current stamp of each ENI and direction; by default they are numbered in the order of the ENIs. Sessions of one
   * without a stamp are judged at every packet.
   */
  readonly stamps?: Stamps
  /** Kernel indexes of the devices ENIs are bound to, keyed by ENI id; without one an ENI is found by name only. */
  readonly deviceIndexes?: ReadonlyMap<string, number>
}

/**
 * The complete content of the table for one host.
 * @param ir  the host's policy; ENIs without a group are not in it, so their devices are left alone
 */
export function compile(ir: PolicyIr, options: CompileOptions = {}): Ruleset {
  const stamps = options.stamps ?? numberStamps(ir)
  const parts = ir.enis.map(eni => {
    const outcomesOf = (direction: Direction) =>
      makeOutcomes(ir, eni, direction, stamps.get(stampKey(eni.id, direction)) ?? null)
    return { eni, outcomes: { ingress: outcomesOf('ingress'), egress: outcomesOf('egress') } }
  })
  const judged = parts.flatMap(({ eni, outcomes }) =>
    directions.map(direction => makeJudge(ir, eni, direction, outcomes[direction])),
  )
  const hooked = parts.map(({ eni, outcomes }) => makeHookChains(eni, ir.ctMarkMask, stamps, outcomes))
  const decided = parts.flatMap(({ outcomes }) => directions.map(direction => outcomes[direction]))
  const devices = ir.enis.map((eni): DeviceBinding => {
    const onHook = (hook: names.Hook): DeviceHook => ({
      chain: names.hookChain(eni.id, hook),
      shortcut: makeShortcut(eni, hook, ir.ctMarkMask, stamps),
    })
    return {
      name: eni.device,
      index: options.deviceIndexes?.get(eni.id) ?? null,
      hooks: { prerouting: onHook('prerouting'), postrouting: onHook('postrouting') },
    }
  })
  const chains: Chain[] = [
    ...hooks.map(hook => dispatchChain(hook, devices)),
    ...hooked.flatMap(part => part.chains),
    ...judged.flatMap(part => part.chains),
    ...decided.flatMap(outcomes => outcomes.chains()),
    makeLoopedChain(),
    makeUntrackedChain(),
    ...makePassChains(ir),
    makeDropChain(ir.ctMarkMask),
  ]
  return {
    counters: new Set([...hooked.flatMap(part => part.counters), ...judged.flatMap(part => part.counters)]),
    ctTimeouts: new Map([[names.sessionTimeout(ir.sessionTimeoutSeconds), ir.sessionTimeoutSeconds]]),
    limits: new Map(decided.flatMap(outcomes => [...outcomes.limits()])),
    memberSets: byName(memberSets(ir, judged)),
    intervalSets: byName(judged.flatMap(part => part.intervalSets)),
    verdictMaps: byName([
      ...hooks.flatMap(hook => dispatchMaps(hook, devices)),
      ...judged.flatMap(part => part.verdictMaps),
    ]),
    chains: byName(chains),
  }
}

/** Stamps for a first load, or for looking at a ruleset without a kernel. */
export function numberStamps(ir: PolicyIr): Stamps {
  const keys = ir.enis.flatMap(eni => directions.map(direction => stampKey(eni.id, direction)))
  return new Map(keys.map((key, index) => [key, index + 1]))
}

function memberSets(ir: PolicyIr, judged: readonly JudgeParts[]): readonly MemberSet[] {
  const groupIds = [...new Set(judged.flatMap(part => part.memberGroupIds))].sort()
  return groupIds.flatMap(groupId =>
    families.map(
      (family): MemberSet => ({
        name: names.memberSet(groupId, family),
        family,
        addresses: new Set(ir.groups.get(groupId)?.[family]),
      }),
    ),
  )
}

function byName<T extends { readonly name: string }>(items: readonly T[]): ReadonlyMap<string, T> {
  return new Map(items.map(item => [item.name, item]))
}
