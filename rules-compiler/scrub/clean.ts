/**
 * The order in which packets in scope meet what cleans them:
 *
 *   at the device     sources above their share, dropped for some seconds
 *                     one packet in so many is looked at for its source
 *                     connections one source opens
 *                     known sources: their share, and past the lanes
 *                     other sources: their share, and a lane for each flood type that stands out (lanes.ts)
 *   after conntrack   sources with a session of their own become known
 *                     TCP that belongs to no session
 *                     everything together, known sources first (total.ts)
 *
 * Memory: every set is bounded. Full of both families they hold some 170 MB for one instance (docs/ruleset.md), more than
 * half of it the SYN lane's, and a few hundred KB as a rule. A source that finds a set full is judged by what follows.
 */
import { type Family, families } from '../address/cidr.ts'
import { addressType, goto, jump } from '../nft/expressions.ts'
import type { Cleaning } from './defence.ts'
import type { ScrubEni } from './ir.ts'
import { addLanes } from './lanes.ts'
import { connectionLimit, limitText, measures, shareOf } from './limits.ts'
import {
  allowedChain,
  defenceChain,
  defencePart,
  guestDefenceChain,
  heavySet,
  knownSet,
  type MeterKind,
  meterSet,
  sampledSet,
  sessionsChain,
  sessionsPart,
} from './names.ts'
import type { Scaffold } from './scaffold.ts'
import {
  hasFlag,
  is,
  isAbove,
  isElement,
  isFamily,
  isOneIn,
  isProtocol,
  type Limit,
  opensConnection,
  opensNoConnection,
  remember,
  type ScrubRule,
  type ScrubStatement,
  source,
} from './statements.ts'
import { addTotal } from './total.ts'

/** One packet in so many is looked at for its source: what is counted in `sampledSet` is to be multiplied by it. */
export const sampledOneIn = 16

const heavy = { size: 16_384, timeoutSeconds: 10 } as const
const known = { size: 65_536, timeoutSeconds: 600 } as const
const refreshedOneIn = 16
const sampled = { size: 8_192, timeoutSeconds: 5 } as const
/** A bucket of one second is full again after that time, so nothing is lost by forgetting it. */
const meter = { size: 16_384, timeoutSeconds: 2 } as const

export function addCleaning(scaffold: Scaffold, enis: readonly ScrubEni[], cleaning: Cleaning): void {
  const { instanceId } = scaffold
  for (const family of families) {
    const key = [addressType[family]]
    scaffold.addSet(heavySet(instanceId, family), { key, ...heavy, counts: true })
    scaffold.addSet(sampledSet(instanceId, family), { key, ...sampled, counts: true })
    scaffold.addSet(knownSet(instanceId, family), { key, ...known })
  }
  addAtDevice(scaffold, cleaning)
  addAfterConntrack(scaffold, cleaning)
  if (enis.some(({ placement }) => placement === 'guest')) {
    // In postrouting conntrack has been asked before.
    scaffold.addChain(guestDefenceChain(instanceId), [
      [jump(defenceChain(instanceId))],
      [goto(sessionsChain(instanceId))],
    ])
  }
}

function addAtDevice(scaffold: Scaffold, cleaning: Cleaning): void {
  const { instanceId } = scaffold
  const { connectionsPerSource, shares } = cleaning
  const part = (name: Parameters<typeof defencePart>[1]) => defencePart(instanceId, name)
  for (const kind of ['known', 'unknown'] as const) {
    const { limits } = shareOf(shares[kind])
    scaffold.addChain(
      part(`${kind}/share`),
      measures.flatMap(measure => metered(scaffold, kind, limits[measure], [goto(part('heavy'))])),
    )
  }
  const share = (kind: 'known' | 'unknown'): ScrubRule => {
    const { oneIn } = shareOf(shares[kind])
    return [...(oneIn === 1 ? [] : [isOneIn(oneIn)]), jump(part(`${kind}/share`))]
  }
  scaffold.addChain(defenceChain(instanceId), [
    [jump(allowedChain)],
    ...families.map(family => [isElement(source(family), heavySet(instanceId, family)), ...scaffold.dropAs('sources')]),
    ...families.map(family => [
      isFamily(family),
      isOneIn(sampledOneIn),
      remember('update', sampledSet(instanceId, family), source(family)),
    ]),
    // Before known sources are let past: whoever opens connections in numbers is known by them.
    ...(connectionsPerSource === null ? [] : [[isProtocol('tcp'), opensConnection, jump(part('connections'))]]),
    ...families.map(family => [isElement(source(family), knownSet(instanceId, family)), goto(part('known'))]),
    [goto(part('unknown'))],
  ])
  if (connectionsPerSource !== null) {
    const limit = connectionLimit(connectionsPerSource)
    scaffold.addChain(part('connections'), metered(scaffold, 'connections', limit, scaffold.dropAs('connections')))
  }
  scaffold.addChain(part('known'), [share('known')])
  scaffold.addChain(part('unknown'), [share('unknown'), [goto(part('lanes'))]])
  scaffold.addChain(part('heavy'), [
    ...families.map(family => [remember('add', heavySet(instanceId, family), source(family))]),
    // A rule of its own, so that it also drops where the set is full.
    scaffold.dropAs('sources'),
  ])
  addLanes(scaffold, cleaning)
}

/** Rules that go on with `over` for packets of sources above the limit. */
function metered(
  scaffold: Scaffold,
  kind: MeterKind,
  limit: Limit,
  over: readonly ScrubStatement[],
): readonly ScrubRule[] {
  return families.map((family: Family) => {
    const set = scaffold.addSet(meterSet(scaffold.instanceId, kind, limitText(limit), family), {
      key: [addressType[family]],
      ...meter,
    })
    return [isAbove(set, source(family), limit), ...over]
  })
}

function addAfterConntrack(scaffold: Scaffold, { dropSessionless, total }: Cleaning): void {
  const { instanceId } = scaffold
  const part = (name: Parameters<typeof sessionsPart>[1]) => sessionsPart(instanceId, name)
  // Not what is merely related: anybody may send an ICMP error about a session of others.
  const isEstablished = hasFlag({ ct: { key: 'state' } }, 'established')
  const isAssured = [isEstablished, hasFlag({ ct: { key: 'status' } }, 'assured')]
  scaffold.addChain(sessionsChain(instanceId), [
    ...(dropSessionless
      ? [
          [
            isProtocol('tcp'),
            hasFlag({ ct: { key: 'state' } }, { set: ['new', 'invalid'] }),
            opensNoConnection,
            ...scaffold.dropAs('sessions'),
          ],
        ]
      : []),
    ...families.map(family => [isElement(source(family), knownSet(instanceId, family)), goto(part('known'))]),
    [...isAssured, goto(part('learn'))],
    // It answers what was asked from here, such as a name server.
    [isEstablished, is({ ct: { key: 'direction' } }, 'reply'), goto(part('learn'))],
    [goto(part('unknown/packets'))],
  ])
  scaffold.addChain(part('known'), [
    // Now and then is often enough for a set that forgets after minutes.
    [isOneIn(refreshedOneIn), ...isAssured, goto(part('learn'))],
    [goto(part('known/packets'))],
  ])
  scaffold.addChain(part('learn'), [
    ...families.map(family => [remember('update', knownSet(instanceId, family), source(family))]),
    [goto(part('known/packets'))],
  ])
  addTotal(scaffold, total)
}
