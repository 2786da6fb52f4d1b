/** Ingress rules that let in more than most operators mean. A rule counts only where it decides: not behind a drop. */
import { type Cidr, parseCidr } from '../address/cidr.ts'
import { hasPorts } from '../address/protocol.ts'
import { privateRanges, unroutedRanges } from '../address/ranges.ts'
import type { RuleIr } from '../policy/ir.ts'
import { axes, type Box, findUncovered, intersectBoxes } from './coverage.ts'
import type { Remark } from './rule-findings.ts'
import { sensitivePorts } from './sensitive-ports.ts'
import { everything, peerBoxes, portBox, type Space } from './space.ts'
import type { Entry, Part, Region, Scope, Standing } from './standing.ts'
import { knownPeers } from './witness.ts'

/** A range of more ports than this is wide. */
const widePortCount = 1000

/** Where packets from the Internet do not come from. */
const notInternet: readonly Cidr[] = [...privateRanges, ...unroutedRanges]

/** Asked about first, so that the packet shown has an address people know. */
const knownSources: readonly Cidr[] = knownPeers.map(address => parseCidr(address)!)

/** Blocks whose ends a scope must know for its exposures to be found. */
export const exposureBlocks: readonly Cidr[] = [...notInternet, ...knownSources]

/**
 * What a rule exposes, nothing for most.
 * @param scope  ingress, made with `exposureBlocks`
 */
export function findExposures(scope: Scope, entry: Entry, standing: Standing): readonly Remark[] {
  const rule = entry.rule
  if (rule === null || rule.verdict === 'drop' || rule.peer.kind === 'group') return []
  if (standing.kind !== 'decides' && standing.kind !== 'redundant') return []
  const isOpen = entry.parts.some(part => isWorld(entry, part))
  const openings = isOpen ? findOpenings(scope, entry, rule) : []
  const ports = rule.ports.last - rule.ports.first + 1
  if (!hasPorts(rule.protocol) || ports <= widePortCount) return openings
  const severity = isOpen ? 'medium' : 'low'
  const detail = `opens ${ports} ports where a service needs few`
  return [...openings, { kind: 'wide-port-range', severity, detail, region: standing.region }]
}

function findOpenings(scope: Scope, entry: Entry, rule: RuleIr): readonly Remark[] {
  if (rule.protocol === 'all') {
    const region = findOpenRegion(scope, entry, space => portBox(space, 'tcp', { first: 1, last: 65_535 }))
    const detail = 'opens every protocol and port to the Internet'
    return region === null ? [] : [{ kind: 'all-from-anywhere', severity: 'high', detail, region }]
  }
  const open = sensitivePorts.flatMap(({ protocol, port, service }) => {
    if (protocol !== rule.protocol) return []
    const region = findOpenRegion(scope, entry, space => portBox(space, protocol, { first: port, last: port }))
    return region === null ? [] : [{ region, text: `${service} (${port})` }]
  })
  if (open[0] === undefined) return []
  const detail = `opens ${open.map(({ text }) => text).join(', ')} to the Internet`
  return [{ kind: 'open-to-world', severity: 'high', detail, region: open[0].region }]
}

/** Whether the rule's blocks of a family together are the whole family. */
function isWorld(entry: Entry, { space, covers }: Part): boolean {
  const whole = everything(space)
  const spread = covers.map(({ box }) => ({ box: withPeersOf(whole, box), owner: entry }))
  return findUncovered(whole, spread) === null
}

function withPeersOf(box: Box, { [axes.peer]: first, [axes.peer + 1]: last }: Box): Box {
  return box.with(axes.peer, first!).with(axes.peer + 1, last!)
}

/**
 * Where the rule itself decides about wanted packets that come from the Internet, at an address people know if it does
 * there; null where nowhere.
 */
function findOpenRegion(scope: Scope, entry: Entry, wanted: (space: Space) => Box): Region | null {
  for (const { space, covers } of entry.parts) {
    const asked = covers.map(({ box }) => intersectBoxes(box, wanted(space))).filter(box => box !== null)
    if (asked.length === 0) continue
    const known = peerBoxes(space, knownSources).flatMap(place => asked.map(box => intersectBoxes(box, place)))
    const elsewhere = peerBoxes(space, notInternet).map(box => ({ box, owner: entry }))
    for (const box of [...known.filter(box => box !== null), ...asked]) {
      const near = scope.near.get(space)!(box)
      const stronger = near.filter(({ owner }) => owner.rank < entry.rank && owner.groupId === null)
      const open = findUncovered(box, [...stronger, ...elsewhere])
      if (open !== null) return { space, box: open }
    }
  }
  return null
}
