/** `ringwall ddos`: floods on instances, what was done about them, and what an operator does. */
import { ddosThresholdBounds } from '../../rules-compiler/model/policy.ts'
import { floodTypes } from '../../rules-compiler/model/traffic.ts'
import { ddosEventPhases } from '../../wire/ddos.ts'
import { insteadOf } from '../arguments.ts'
import { exitFailed, OperationError, UsageError } from '../command.ts'
import { type AttackEvent, eventColumns, eventLines } from '../ddos/event.ts'
import { readStandings } from '../ddos/feed.ts'
import { askAgent, chooseLocal } from '../ddos/local-agent.ts'
import { giveOrder } from '../ddos/order.ts'
import { type Standing, standingLines, standingTable } from '../ddos/standing.ts'
import { ownThresholdsText, type ThresholdFields, thresholdFields } from '../ddos/threshold.ts'
import type { Daemon } from '../operate/daemon.ts'
import { accountFlag, type CommonValues } from '../operate/flags.ts'
import { instances } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { moreLine, said } from '../operate/objects.ts'
import { pathOf, resources, type Shown } from '../operate/resources.ts'
import { type FlagValues, type Result, type Verb, verb } from '../operate/verb.ts'
import { fieldLines, tableLines } from '../output/table.ts'
import { durationText } from '../output/units.ts'

const instanceWord = instances.word
const eventWord = { name: 'EVENT', names: 'ddosEvent', help: 'id of the attack ("ringwall ddos events")' } as const

const eventFlags = {
  instance: { takes: 'text', value: 'INSTANCE', names: 'instance', help: 'only attacks on this instance' },
  account: { ...accountFlag, help: 'only attacks on instances of this account' },
  phase: {
    takes: 'choice',
    choices: ddosEventPhases,
    help: 'only those in this phase',
  },
  type: { takes: 'choice', choices: floodTypes, help: `only those in which this was seen: ${floodTypes.join(', ')}` },
  since: { takes: 'moment', value: 'TIME', help: 'going on after: 15m, 2h, 7d ago, or 2026-11-26T20:40Z' },
  until: { takes: 'moment', value: 'TIME', help: 'begun before: the same' },
  limit: { takes: 'number', value: 'N', range: [1, 10_000], help: 'how many at most; 50 if left out' },
} as const

const thresholdFlags = {
  bps: {
    takes: 'number',
    value: 'MBIT',
    range: [ddosThresholdBounds.bps.minimum, ddosThresholdBounds.bps.maximum],
    help: 'bit rate in Mbit/s (10^6 bits a second), at most that of the instance type; the other one stays as it is',
  },
  pps: {
    takes: 'number',
    value: 'PPS',
    range: [ddosThresholdBounds.pps.minimum, ddosThresholdBounds.pps.maximum],
    help: 'packet rate in packets a second; the same',
  },
  type: { takes: 'nothing', help: 'back to the maxima of the instance type' },
  auto: { takes: 'nothing', help: 'what the agent proposes, from what it has seen' },
} as const

export const command = nounCommand({
  name: 'ddos',
  summary: 'floods on instances: thresholds, cleaning, black holes',
  details: '"ringwall top" shows traffic as it comes. "ringwall settings" has what holds for all instances.',
  verbs: [
    verb({
      name: 'status',
      summary: 'say how instances stand; one alone in full',
      effect: 'looks',
      words: [{ ...instanceWord, isOptional: true, isMany: true, help: `${instanceWord.help}; all if left out` }],
      flags: {},
      details: `LOAD is the higher of bit rate and packet rate offered, each as a share of its threshold. Agents tell it every few
seconds. PHASE: normal; over (a threshold, not yet for long enough); cleaning; uncleaned (over, and scrubbing is
cancelled); black-hole.`,
      examples: ['ringwall ddos status', 'ringwall ddos status i-web1', 'ringwall ddos status --local'],
      async run({ daemon, words }) {
        const ids = words.length === 0 ? null : await daemon.idsOf('instance', words)
        return statusResult(await readStandings(daemon.client, ids), words, resources.instance.whenNone)
      },
      async runLocally({ words }) {
        return statusResult(chooseLocal((await askAgent()).instances, words), words, 'Its policy has no instance.')
      },
    }),
    verb({
      name: 'events',
      summary: 'list attacks, newest first',
      effect: 'looks',
      words: [],
      flags: eventFlags,
      examples: ['ringwall ddos events --since 2h', 'ringwall ddos events --instance i-web1 --type syn'],
      async run({ daemon, flags }) {
        const { limit = 50 } = flags
        const page = await daemon.client.list<AttackEvent>('/v1/ddos/events', await eventQuery(daemon, flags), limit)
        return eventsResult(page, moreLine(page, 'attack'), hasFilter(flags))
      },
      async runLocally({ flags }) {
        const { limit = 50 } = flags
        if (flags.account !== undefined) throw new UsageError('--account is for the daemon: an agent knows no accounts')
        const items = (await askAgent()).events.filter(event => isWanted(event, flags)).slice(0, limit)
        return eventsResult({ items }, [], hasFilter(flags))
      },
    }),
    verb({
      name: 'show',
      summary: 'say all about an attack: how much, what dropped it, why it was taken for one, who sent it',
      effect: 'looks',
      words: [eventWord],
      flags: {},
      async run({ daemon, words: [text = ''] }) {
        const event = await daemon.find('ddosEvent', text)
        return { answer: { ddosEvent: event }, text: width => eventLines(event as unknown as AttackEvent, width) }
      },
      async runLocally({ words: [text = ''] }) {
        const event = localEvent((await askAgent()).events, text)
        return { answer: { ddosEvent: event }, text: width => eventLines(event, width) }
      },
    }),
    verb({
      name: 'threshold',
      summary: 'show or set the thresholds of an instance',
      effect: 'changes',
      words: [instanceWord],
      flags: thresholdFlags,
      details: `Without flags it shows them. Traffic above either of them is cleaned. They are the maxima of the instance type unless
set lower; an instance without a known type has none until both are set.`,
      examples: [
        'ringwall ddos threshold i-web1',
        'ringwall ddos threshold i-web1 --bps 500 --pps 100000',
        'ringwall ddos threshold i-web1 --auto',
      ],
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf('instance', text)
        const path = pathOf(resources.instance, id, 'ddos-threshold')
        const { bps, pps } = flags
        const source = chosenSource(flags)
        if (source === null) return shownThreshold(daemon, path, flags)
        const { body, ifRevision } =
          source === 'manual' ? await ofBoth(daemon, path, { id, bps, pps }) : { body: { source } }
        const answer = await daemon.write({ method: 'PUT', path, body, ifRevision })
        const threshold = answer.ddosThreshold as ThresholdFields | undefined
        return said(answer, `Thresholds of ${id}: ${threshold === undefined ? '' : ownThresholdsText(threshold)}`)
      },
    }),
    switchVerb({
      name: 'cancel',
      summary: 'measure an instance, and do not clean its traffic until that is resumed',
      details: 'A black hole comes all the same.',
      path: ['scrubbing', 'cancel'],
      done: id => `Traffic of ${id} is not cleaned any more`,
    }),
    switchVerb({
      name: 'resume',
      summary: 'clean the traffic of an instance again when it is over its thresholds',
      path: ['scrubbing', 'resume'],
      done: id => `Traffic of ${id} is cleaned when it is over its thresholds`,
    }),
    verb({
      name: 'blackhole',
      summary: 'drop all inbound traffic of an instance for a time; its agent stays in reach',
      effect: 'deletes',
      words: [instanceWord],
      flags: {
        for: { takes: 'duration', value: 'TIME', help: 'how long: 90s, 10m, 2h; as the settings say if left out' },
      },
      details: `What is dropped is traffic in scope ("ringwall settings show"). It ends by itself, or with "ringwall ddos lift".
--wait is until the agent has carried it out.`,
      examples: ['ringwall ddos blackhole i-web1 --for 10m'],
      async run({ daemon, words: [text = ''], flags, confirm }) {
        const id = await daemon.idOf('instance', text)
        const time = flags.for === undefined ? 'the usual time' : durationText(flags.for)
        await confirm(`Drop all inbound traffic of ${id === text ? id : `${text} (${id})`} for ${time}?`)
        return giveOrder(daemon, id, {
          path: ['black-hole'],
          body: flags.for === undefined ? {} : { holdSeconds: flags.for },
          sentence: `Ordered a black hole for ${id}, for ${time}`,
          flags,
        })
      },
    }),
    verb({
      name: 'lift',
      summary: 'end a black hole before its time',
      effect: 'changes',
      words: [instanceWord],
      flags: {},
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf('instance', text)
        const sentence = `Ordered the end of the black hole of ${id}`
        return giveOrder(daemon, id, { path: ['black-hole', 'lift'], sentence, flags })
      },
    }),
  ],
})

interface SwitchVerb {
  readonly name: string
  readonly summary: string
  readonly details?: string
  /** Of the route below that of the instance. */
  readonly path: readonly string[]
  readonly done: (id: string) => string
}

function switchVerb({ path, done, ...definition }: SwitchVerb): Verb {
  return verb({
    ...definition,
    effect: 'changes',
    words: [instanceWord],
    flags: {},
    async run({ daemon, words: [text = ''] }) {
      const id = await daemon.idOf('instance', text)
      return said(await daemon.write({ method: 'POST', path: pathOf(resources.instance, id, ...path) }), done(id))
    },
  })
}

function statusResult(standings: readonly Standing[], words: readonly string[], whenNone: string): Result {
  const [only] = standings
  return {
    answer: { items: standings },
    text: width => {
      if (only === undefined) return [`There are no instances. ${whenNone}`]
      return words.length === 1 ? standingLines(only, width) : standingTable(standings, width)
    },
  }
}

type EventFlags = FlagValues<typeof eventFlags>

async function eventQuery(daemon: Daemon, { instance, account, phase, type, since, until }: EventFlags) {
  return {
    instanceId: instance === undefined ? undefined : await daemon.idOf('instance', instance),
    accountId: await daemon.accountId(account),
    phase,
    attackType: type,
    since,
    until,
  }
}

/** As the daemon's filters do it. */
function isWanted({ instanceId, ...event }: AttackEvent, { instance, phase, type, since, until }: EventFlags): boolean {
  return (
    (instance === undefined || instanceId === instance) &&
    (phase === undefined || event.phase === phase) &&
    (type === undefined || event.attackTypes.some(each => each.type === type)) &&
    (since === undefined || event.endTime === null || event.endTime >= since) &&
    (until === undefined || event.startTime < until)
  )
}

function eventsResult(
  page: { readonly items: readonly AttackEvent[] },
  more: readonly string[],
  isFiltered: boolean,
): Result {
  const none = isFiltered ? 'There were no such attacks.' : 'There were no attacks yet.'
  return {
    answer: page,
    text: width => (page.items.length === 0 ? [none] : [...tableLines(eventColumns, page.items, width), ...more]),
  }
}

function hasFilter(flags: EventFlags): boolean {
  return Object.keys(eventFlags).some(name => name !== 'limit' && flags[name as keyof EventFlags] !== undefined)
}

/** @throws {OperationError} */
function localEvent(events: readonly AttackEvent[], id: string): AttackEvent {
  const found = events.find(({ eventId }) => eventId === id)
  if (found !== undefined) return found
  const ids = events.map(({ eventId }) => eventId)
  const hint = ids.length === 0 ? 'it knows of none' : insteadOf(id, ids, '"ringwall ddos events --local" shows them')
  throw new OperationError([`no such attack "${id}" that the agent on this host still knows of; ${hint}`], exitFailed)
}

/** Where thresholds shall be from; null where nothing is to be changed. @throws {UsageError} for two of them */
function chosenSource({ bps, pps, type, auto }: FlagValues<typeof thresholdFlags>): 'manual' | 'type' | 'auto' | null {
  const measure = bps !== undefined ? 'bps' : pps !== undefined ? 'pps' : null
  const [one, another] = [measure, type ? 'type' : null, auto ? 'auto' : null].filter(flag => flag !== null)
  if (another !== undefined) throw new UsageError(`--${one} and --${another} exclude each other`)
  return type ? 'type' : auto ? 'auto' : measure === null ? null : 'manual'
}

/** @throws {UsageError} where a flag says that something is to be changed */
async function shownThreshold(daemon: Daemon, path: string, flags: object): Promise<Result> {
  const common = flags as CommonValues
  const meant = (['dry-run', 'wait', 'if-revision'] as const).find(
    name => common[name] !== undefined && common[name] !== false,
  )
  if (meant !== undefined) {
    throw new UsageError(`nothing to change with --${meant}, expected --bps, --pps, --type or --auto`)
  }
  const answer = await daemon.client.get<{ ddosThreshold: ThresholdFields }>(path)
  return { answer, text: width => fieldLines(thresholdFields(answer.ddosThreshold), width) }
}

interface Measures {
  readonly id: string
  readonly bps: number | undefined
  readonly pps: number | undefined
}

/** The one that was not said stays as it is, if nobody changes it meanwhile. @throws {UsageError} where there is none */
async function ofBoth(daemon: Daemon, path: string, { id, bps, pps }: Measures) {
  if (bps !== undefined && pps !== undefined) return { body: { bps, pps } }
  const { ddosThreshold: now } = await daemon.client.get<{ ddosThreshold: ThresholdFields & Shown }>(path)
  const both = { bps: bps ?? now.bps, pps: pps ?? now.pps }
  const missing = both.bps === null ? 'bps' : both.pps === null ? 'pps' : null
  if (missing !== null) throw new UsageError(`missing --${missing}, for ${id} has no threshold of that kind yet`)
  return { body: both, ifRevision: Number(now.revision) }
}
