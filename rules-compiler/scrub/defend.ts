/** What is done to packets in scope of one instance: the chains, sets, limits and counters of its defence. */
import { type Family, families } from '../address/cidr.ts'
import { scrubSteps } from '../model/traffic.ts'
import { accept, jump } from '../nft/expressions.ts'
import { addCleaning } from './clean.ts'
import type { Defence } from './defence.ts'
import type { ScrubEni, ScrubIr } from './ir.ts'
import { allowedChain, blackHoleSet, defenceChain, droppedCounter } from './names.ts'
import type { ScrubRuleset } from './ruleset.ts'
import { Scaffold } from './scaffold.ts'
import { is, isElement, isFrom, isNeighbourDiscovery, type ScrubRule, source, tcpSourcePort } from './statements.ts'

export { sampledOneIn } from './clean.ts'

const nothing: ScrubRuleset = { counters: new Set(), limits: new Map(), sets: new Map(), chains: new Map() }

/** @param enis  of the instance, as far as they are there */
export function defend(id: string, enis: readonly ScrubEni[], defence: Defence): ScrubRuleset {
  if (defence.kind === 'none') return nothing
  const scaffold = new Scaffold(id)
  if (defence.kind === 'clean') addCleaning(scaffold, enis, defence)
  else addBlackHole(scaffold, enis, defence.remainingSeconds)
  const { limits, sets, chains } = scaffold
  // All steps, so that counters go on where a black hole follows on cleaning, or another lane comes.
  return { counters: new Set(scrubSteps.map(step => droppedCounter(id, step))), limits, sets, chains }
}

/**
 * What is never cleaned nor black-holed, each with its verdict: besides what the operator says, neighbour discovery,
 * without which the control daemon could not be reached either.
 */
export function allowedRules(ir: ScrubIr): readonly ScrubRule[] {
  const lists = families.flatMap((family): readonly ScrubRule[] => {
    const blocks = ir.allowList.filter(block => block.family === family)
    return blocks.length === 0 ? [] : [[...isFrom(family, blocks), accept]]
  })
  const control = ir.controlConnections.map(({ address, port }): ScrubRule => {
    const family: Family = address.includes(':') ? 'ip6' : 'ip'
    return [is(source(family), address), is(tcpSourcePort, port), accept]
  })
  return [...lists, ...control, [...isNeighbourDiscovery, accept]]
}

/** Ends by itself: each device is in the set for the time that is left. */
function addBlackHole(scaffold: Scaffold, enis: readonly ScrubEni[], remainingSeconds: number): void {
  const seconds = Math.max(1, Math.ceil(remainingSeconds))
  const devices = scaffold.addSet(blackHoleSet(scaffold.instanceId), {
    key: ['ifname'],
    size: 65_535,
    timeoutSeconds: null,
    elements: new Map(enis.map(({ device }) => [device, seconds])),
  })
  const keys = new Set(enis.map(({ placement }) => (placement === 'host' ? 'iifname' : 'oifname')))
  scaffold.addChain(defenceChain(scaffold.instanceId), [
    [jump(allowedChain)],
    ...[...keys].map(key => [isElement({ meta: { key } }, devices), ...scaffold.dropAs('black-hole')]),
  ])
}
