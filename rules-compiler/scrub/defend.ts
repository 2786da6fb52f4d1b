/** What is done to packets in scope of one instance that is defended: its chains, sets, limits and counters. */
import { type Family, families } from '../address/cidr.ts'
import { type LaneType, laneTypes, scrubSteps, type TrafficRate } from '../model/traffic.ts'
import { accept, addressType, count, drop, goto, jump } from '../nft/expressions.ts'
import type { Cleaning, Defence } from './defence.ts'
import type { ScrubEni, ScrubIr } from './ir.ts'
import { closeLimits, connectionLimit, limitText, shareLimits } from './limits.ts'
import {
  allowedChain,
  blackHoleSet,
  type DefencePart,
  defenceChain,
  defencePart,
  droppedCounter,
  guestDefenceChain,
  heavySet,
  knownSet,
  laneLimit,
  type MeterKind,
  meterSet,
  sampledSet,
  seenSynSet,
  sessionsChain,
  totalChain,
  totalLimit,
  unknownLimit,
} from './names.ts'
import type { ScrubChain, ScrubRuleset, ScrubSet } from './ruleset.ts'
import {
  hasFlag,
  type InlineLimit,
  is,
  isAbove,
  isElement,
  isFamily,
  isFragment,
  isFrom,
  isFromDnsPort,
  isProtocol,
  opensConnection,
  opensNoConnection,
  remember,
  returns,
  type ScrubRule,
  type ScrubStatement,
  source,
  tcpSourcePort,
} from './statements.ts'

/** One packet in so many is looked at for its source: what a counter in `sampledSet` says is to be multiplied by it. */
export const sampledOneIn = 16

/**
 * Every set is bounded: an instance that is cleaned costs the kernel at most some 45 MB, with a SYN lane some 90 MB, and
 * as a rule a few hundred KB. Where a set is full, sources that are not in it are judged by what follows. Elements of
 * both families, bytes each as measured (docs/ruleset.md).
 */
const sizes = { heavy: 16_384, known: 65_536, sampled: 8_192, meter: 16_384, seenSyn: 262_144 } as const

const seconds = {
  /** How long a source above its share is dropped; then it is measured again. */
  heavy: 10,
  known: 600,
  sampled: 5,
  /** A bucket of one second is full again after that time, so nothing is lost by forgetting it. */
  meter: 2,
  /** Clients send a SYN again after 1, 3 and 7 seconds (RFC 6298): the first gap, and, seen again, the second. */
  seenSyn: 3,
} as const

export type DefenceParts = ScrubRuleset

const nothing: DefenceParts = { counters: new Set(), limits: new Map(), sets: new Map(), chains: new Map() }

/**
 * @param enis  of the instance, as far as they are there
 * @param hasAllowed  whether there is a chain of sources that are never cleaned
 */
export function defend(id: string, enis: readonly ScrubEni[], defence: Defence, hasAllowed: boolean): DefenceParts {
  const allowed: readonly ScrubRule[] = hasAllowed ? [[jump(allowedChain)]] : []
  switch (defence.kind) {
    case 'none':
      return nothing
    case 'black-hole':
      return blackHole(id, enis, defence.remainingSeconds, allowed)
    case 'clean':
      return clean(id, enis, defence, allowed)
  }
}

/** Conditions for what is never cleaned, each with its verdict. */
export function allowedRules(ir: ScrubIr): readonly ScrubRule[] {
  const lists = families.flatMap(family => {
    const blocks = ir.allowList.filter(block => block.family === family)
    return blocks.length === 0 ? [] : [[...isFrom(family, blocks), accept]]
  })
  const control = ir.controlConnections.map(({ address, port }): ScrubRule => {
    const family: Family = address.includes(':') ? 'ip6' : 'ip'
    return [is(source(family), address), is(tcpSourcePort, port), accept]
  })
  return [...lists, ...control]
}

/** All steps, so that an instance's counters go on when a black hole follows on cleaning, or another lane comes. */
const droppedCounters = (id: string) => new Set(scrubSteps.map(step => droppedCounter(id, step)))

function blackHole(
  id: string,
  enis: readonly ScrubEni[],
  remainingSeconds: number,
  allowed: readonly ScrubRule[],
): DefenceParts {
  const name = blackHoleSet(id)
  const keys = new Set(enis.map(({ placement }) => (placement === 'host' ? 'iifname' : 'oifname')))
  const dropped = [...keys].map(
    (key): ScrubRule => [isElement({ meta: { key } }, name), count(droppedCounter(id, 'black-hole')), drop],
  )
  const elements = new Map(enis.map(({ device }) => [device, Math.max(1, Math.ceil(remainingSeconds))]))
  const devices: ScrubSet = { key: ['ifname'], size: 65_535, timeoutSeconds: null, counts: false, elements }
  return {
    counters: droppedCounters(id),
    limits: new Map(),
    sets: new Map([[name, devices]]),
    chains: new Map([[defenceChain(id), { base: null, rules: [...allowed, ...dropped] }]]),
  }
}

function clean(id: string, enis: readonly ScrubEni[], cleaning: Cleaning, allowed: readonly ScrubRule[]): DefenceParts {
  const limits = new Map<string, InlineLimit>()
  const sets = new Map<string, ScrubSet>()
  const chains = new Map<string, ScrubChain>()

  const part = (name: DefencePart) => defencePart(id, name)
  const dropAs = (step: (typeof scrubSteps)[number]): readonly ScrubStatement[] => [
    count(droppedCounter(id, step)),
    drop,
  ]
  const addChain = (name: string, rules: readonly ScrubRule[]) => chains.set(name, { base: null, rules })
  const addSet = (name: string, set: Partial<ScrubSet> & Pick<ScrubSet, 'key' | 'size' | 'timeoutSeconds'>): string => {
    sets.set(name, { counts: false, elements: new Map(), ...set })
    return name
  }
  const perSource = (
    name: (instanceId: string, family: Family) => string,
    size: number,
    timeoutSeconds: number,
    counts: boolean,
  ) => {
    for (const family of families)
      addSet(name(id, family), { key: [addressType[family]], size, timeoutSeconds, counts })
    return (family: Family) => name(id, family)
  }
  const heavy = perSource(heavySet, sizes.heavy, seconds.heavy, true)
  const sampled = perSource(sampledSet, sizes.sampled, seconds.sampled, true)
  const known = perSource(knownSet, sizes.known, seconds.known, false)

  /** Rules that go on with `over` for packets of sources above the limit. */
  const meter = (kind: MeterKind, limit: InlineLimit, over: readonly ScrubStatement[]): readonly ScrubRule[] =>
    families.map(family => {
      const set = addSet(meterSet(id, kind, limitText(limit), family), {
        key: [addressType[family]],
        size: sizes.meter,
        timeoutSeconds: seconds.meter,
      })
      return [isAbove(set, source(family), limit), ...over]
    })
  const share = (kind: 'known' | 'unknown'): readonly ScrubRule[] => {
    const { packets, bytes } = shareLimits(cleaning.shares[kind])
    return [packets, bytes].flatMap(limit => meter(kind, limit, [goto(part('heavy'))]))
  }
  /** Drops what is above a named limit. */
  const within = (
    name: (instanceId: string, rate: string) => string,
    rate: TrafficRate,
    steps: readonly [packets: (typeof scrubSteps)[number], bytes: (typeof scrubSteps)[number]],
  ): readonly ScrubRule[] => {
    const { packets, bytes } = closeLimits(rate)
    return [packets, bytes].map((limit, index) => {
      const limitName = name(id, limitText(limit))
      limits.set(limitName, limit)
      return [{ limit: limitName }, ...dropAs(steps[index]!)]
    })
  }

  addChain(defenceChain(id), [
    ...allowed,
    ...families.map(family => [isElement(source(family), heavy(family)), ...dropAs('sources')]),
    ...families.map(family => [
      isFamily(family),
      is({ numgen: { mode: 'random', mod: sampledOneIn, offset: 0 } }, 0),
      remember('update', sampled(family), source(family)),
    ]),
    // Before known sources are let past: whoever opens connections in numbers is known by them.
    ...(cleaning.connectionsPerSource === null
      ? []
      : [[isProtocol('tcp'), opensConnection, jump(part('connections'))]]),
    ...families.map(family => [isElement(source(family), known(family)), goto(part('known'))]),
    [goto(part('unknown'))],
  ])
  if (cleaning.connectionsPerSource !== null) {
    addChain(
      part('connections'),
      meter('connections', connectionLimit(cleaning.connectionsPerSource), dropAs('connections')),
    )
  }
  addChain(part('known'), share('known'))
  addChain(part('unknown'), [...share('unknown'), ...(cleaning.lanes.size === 0 ? [] : [[goto(part('lanes'))]])])
  addChain(part('heavy'), [
    ...families.map(family => [remember('add', heavy(family), source(family))]),
    // Also where the set is full.
    dropAs('sources'),
  ])
  if (cleaning.lanes.size > 0) {
    const toLane = (lane: LaneType): ScrubStatement => (cleaning.lanes.has(lane) ? goto(part(`lane/${lane}`)) : returns)
    addChain(part('lanes'), [
      ...families.map(family => [isFragment[family], toLane('fragments')]),
      [isProtocol('tcp'), opensConnection, toLane('syn')],
      [isProtocol('tcp'), returns],
      [isProtocol('udp'), isFromDnsPort, toLane('dns-answers')],
      [isProtocol('udp'), toLane('udp')],
      [isProtocol('icmp', 'icmpv6'), toLane('icmp')],
      [toLane('other')],
    ])
  }
  for (const lane of laneTypes) {
    const rate = cleaning.lanes.get(lane)
    if (rate === undefined) continue
    const limited = within((instanceId, text) => laneLimit(instanceId, lane, text), rate, [lane, lane])
    if (lane !== 'syn') {
      addChain(part(`lane/${lane}`), limited)
      continue
    }
    const flow = (family: Family) => ({ concat: [source(family), tcpSourcePort] })
    for (const family of families)
      addSet(seenSynSet(id, family), {
        key: [addressType[family], 'inet_service'],
        size: sizes.seenSyn,
        timeoutSeconds: seconds.seenSyn,
      })
    addChain(part('lane/syn'), [
      ...families.map(family => [isElement(flow(family), seenSynSet(id, family)), goto(part('lane/syn/again'))]),
      ...families.map(family => [remember('add', seenSynSet(id, family), flow(family))]),
      dropAs('syn'),
    ])
    addChain(part('lane/syn/again'), [
      ...families.map(family => [remember('update', seenSynSet(id, family), flow(family))]),
      ...limited,
    ])
  }

  if (enis.some(({ placement }) => placement === 'guest')) {
    addChain(guestDefenceChain(id), [[jump(defenceChain(id))], [goto(sessionsChain(id))]])
  }
  const isAssured = hasFlag({ ct: { key: 'status' } }, 'assured')
  addChain(sessionsChain(id), [
    ...families.map(family => [isFamily(family), isAssured, remember('update', known(family), source(family))]),
    [isAssured, goto(totalChain(id))],
    ...(cleaning.dropSessionless
      ? [
          [
            isProtocol('tcp'),
            hasFlag({ ct: { key: 'state' } }, { set: ['new', 'invalid'] }),
            opensNoConnection,
            ...dropAs('sessions'),
          ],
        ]
      : []),
    ...families.map(family => [isElement(source(family), known(family)), goto(totalChain(id))]),
    ...within(unknownLimit, cleaning.total, ['packet-rate', 'bit-rate']),
    [goto(totalChain(id))],
  ])
  addChain(totalChain(id), within(totalLimit, cleaning.total, ['packet-rate', 'bit-rate']))
  return { counters: droppedCounters(id), limits, sets, chains: inJumpOrder(id, chains) }
}

/** Every jump further down: the guests' chain, which jumps to both others, first. */
function inJumpOrder(id: string, chains: ReadonlyMap<string, ScrubChain>): ReadonlyMap<string, ScrubChain> {
  const first = guestDefenceChain(id)
  return new Map([...chains].sort(([a], [b]) => Number(b === first) - Number(a === first)))
}
