/** `ringwall settings`: what holds for the whole fleet. */

import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import { type Bounds, type Logging, loggingBounds, scrubbingBounds } from '../../rules-compiler/model/policy.ts'
import { UsageError } from '../command.ts'
import type { Daemon } from '../operate/daemon.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { requireChange, said } from '../operate/objects.ts'
import type { Shown } from '../operate/resources.ts'
import { type Flags, type FlagValues, verb } from '../operate/verb.ts'
import { fieldLines } from '../output/table.ts'
import { durationText } from '../output/units.ts'
import { listText, valueText } from '../output/values.ts'

const path = '/v1/settings'

const rangeOf = ({ minimum, maximum }: Bounds) => [minimum, maximum] as const

const setFlags = {
  'session-timeout': {
    takes: 'number',
    value: 'SECONDS',
    range: [1, 910],
    help: 'when an idle TCP session is forgotten',
  },
  revocation: {
    takes: 'choice',
    choices: ['immediate', 'drain'],
    help: 'whether a session that is no longer allowed is cut, or lives on',
  },
  limit: { takes: 'list', value: 'NAME=N', help: 'a limit, rulesPerGroup=300; may be repeated ("ringwall limits")' },
  'traffic-scope': {
    takes: 'choice',
    choices: ['internet', 'all'],
    help: 'whose traffic counts as a flood and is cleaned: sources beyond private ranges, or all',
  },
  'seconds-over': {
    takes: 'number',
    value: 'SECONDS',
    range: rangeOf(scrubbingBounds.secondsOver),
    help: 'how long traffic is over a threshold before it is cleaned',
  },
  'hold-time': {
    takes: 'duration',
    value: 'TIME',
    range: rangeOf(scrubbingBounds.holdTime),
    help: 'how long traffic stays under both thresholds before cleaning ends: 60s, 5m',
  },
  'black-hole-threshold': {
    takes: 'number',
    value: 'MBIT',
    range: rangeOf(scrubbingBounds.blackHoleThreshold),
    help: 'Mbit/s above which all inbound traffic of an instance is dropped; 0 for never',
  },
  'black-hole-time': {
    takes: 'duration',
    value: 'TIME',
    range: rangeOf(scrubbingBounds.blackHoleHoldTime),
    help: 'how long the first black hole of a day lasts; each further one is twice as long',
  },
  'most-black-hole-time': {
    takes: 'duration',
    value: 'TIME',
    range: rangeOf(scrubbingBounds.mostBlackHoleHoldTime),
    help: 'the longest that it becomes in this way',
  },
  allow: { takes: 'list', value: 'CIDR', help: 'sources that are never cleaned nor black-holed; may be repeated' },
  disallow: { takes: 'list', value: 'CIDR', help: 'take such sources away again; may be repeated' },
  'log-drops': {
    takes: 'choice',
    choices: ['yes', 'no'],
    help: 'whether packets that are dropped, or would be where only observed, are logged',
  },
  'log-sessions': { takes: 'choice', choices: ['yes', 'no'], help: 'whether each accepted session is logged, once' },
  'log-per-second': {
    takes: 'number',
    value: 'N',
    range: rangeOf(loggingBounds.perSecond),
    help: 'packets a second that are logged at most, for each interface and direction',
  },
  'log-group': {
    takes: 'number',
    value: 'N',
    range: rangeOf(loggingBounds.nflogGroup),
    help: "the kernel's NFLOG group they go to",
  },
  'keep-events': { takes: 'number', value: 'N', range: [1, 1000], help: 'how many attacks are kept of each instance' },
  'keep-events-days': { takes: 'number', value: 'DAYS', range: [1, 3650], help: 'for how many days' },
} as const satisfies Flags

type SetFlags = FlagValues<typeof setFlags>

export const command = nounCommand({
  name: 'settings',
  summary: 'what holds for the whole fleet',
  verbs: [
    verb({
      name: 'show',
      summary: 'show the settings',
      effect: 'looks',
      words: [],
      flags: {},
      async run({ daemon }) {
        const answer = await daemon.client.get<Shown>(path)
        return { answer, text: width => fieldLines(fieldsOf((answer.settings ?? answer) as Shown), width) }
      },
    }),
    verb({
      name: 'set',
      summary: 'change settings',
      effect: 'changes',
      words: [],
      flags: setFlags,
      examples: [
        'ringwall settings set --session-timeout 600 --limit rulesPerGroup=300',
        'ringwall settings set --hold-time 5m --black-hole-threshold 10000 --allow 203.0.113.0/24',
      ],
      async run({ daemon, flags }) {
        const { ifRevision, ...scrubbing } = await scrubbingOf(daemon, flags)
        const ddosEvents = given({ keptPerInstance: flags['keep-events'], keptDays: flags['keep-events-days'] })
        const logging = given({
          drops: flags['log-drops'] && flags['log-drops'] === 'yes',
          sessions: flags['log-sessions'] && flags['log-sessions'] === 'yes',
          perSecond: flags['log-per-second'],
          nflogGroup: flags['log-group'],
        })
        const body = given({
          sessionTimeout: flags['session-timeout'],
          revocation: flags.revocation,
          limits: flags.limit && readLimits(flags.limit),
          trafficScope: flags['traffic-scope'],
          scrubbing: Object.keys(scrubbing).length > 0 ? scrubbing : undefined,
          logging: Object.keys(logging).length > 0 ? logging : undefined,
          ddosEvents: Object.keys(ddosEvents).length > 0 ? ddosEvents : undefined,
        })
        requireChange(body, setFlags)
        return said(await daemon.write({ method: 'PATCH', path, body, ifRevision }), 'Changed the settings')
      },
    }),
  ],
})

function fieldsOf(settings: Shown): readonly (readonly [string, string])[] {
  const { sessionTimeout, revocation, limits, trafficScope, scrubbing, logging, ddosEvents, revision } = settings
  return [
    ['session timeout', `${valueText(sessionTimeout)} s`],
    ['revocation', valueText(revocation)],
    ...Object.entries((limits ?? {}) as Record<string, number>).map(
      ([name, value]) => [`limit ${name}`, String(value)] as const,
    ),
    [
      'traffic scope',
      trafficScope === 'internet' ? 'internet: sources beyond private ranges' : valueText(trafficScope),
    ],
    ...scrubbingFields((scrubbing ?? {}) as Scrubbing),
    ...loggingFields(logging ?? {}),
    ...retentionFields((ddosEvents ?? {}) as Retention),
    ['revision', valueText(revision)],
  ]
}

/** As the API shows it. */
interface Scrubbing {
  readonly secondsOver: number
  readonly holdTime: number
  readonly blackHoleThreshold: number
  readonly blackHoleHoldTime: number
  readonly mostBlackHoleHoldTime: number
  readonly allowList: readonly string[]
}

interface Retention {
  readonly keptPerInstance: number
  readonly keptDays: number
}

function scrubbingFields(scrubbing: Scrubbing): readonly (readonly [string, string])[] {
  const { blackHoleThreshold: threshold, blackHoleHoldTime: first, mostBlackHoleHoldTime: most } = scrubbing
  return [
    ['seconds over', `${scrubbing.secondsOver} s over a threshold, then it is cleaned`],
    ['hold time', `${durationText(scrubbing.holdTime)} under both thresholds, then cleaning ends`],
    [
      'black hole',
      threshold === 0
        ? 'never by itself'
        : `above ${threshold} Mbit/s, or the instance's own threshold where that is higher`,
    ],
    ['black hole time', `${durationText(first)} the first of a day, up to ${durationText(most)}`],
    ['never cleaned', listText(scrubbing.allowList)],
  ]
}

function loggingFields({ drops, sessions, perSecond, nflogGroup }: Partial<Logging>) {
  // A daemon from before it says nothing of it.
  if (perSecond === undefined) return []
  const logged = [...(drops === true ? ['drops'] : []), ...(sessions === true ? ['accepted sessions'] : [])]
  return [
    ['logged', logged.length === 0 ? 'nothing' : listText(logged)],
    ['logged at most', `${perSecond} a second for each interface and direction, to NFLOG group ${nflogGroup}`],
  ] as const
}

function retentionFields({ keptPerInstance, keptDays }: Retention): readonly (readonly [string, string])[] {
  return [['attacks kept', `${keptPerInstance} of each instance, for ${keptDays} days`]]
}

/** Fields that were said. */
function given(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** With the revision that the list was read at, so that nobody's sources are lost. */
async function scrubbingOf(daemon: Daemon, flags: SetFlags): Promise<{ readonly ifRevision?: number }> {
  const fields = given({
    secondsOver: flags['seconds-over'],
    holdTime: flags['hold-time'],
    blackHoleThreshold: flags['black-hole-threshold'],
    blackHoleHoldTime: flags['black-hole-time'],
    mostBlackHoleHoldTime: flags['most-black-hole-time'],
  })
  const [added, removed] = [readBlocks('allow', flags.allow), readBlocks('disallow', flags.disallow)]
  if (added.length === 0 && removed.length === 0) return fields
  const { settings } = await daemon.client.get<{ settings: { scrubbing: Scrubbing; revision: number } }>(path)
  const { allowList } = settings.scrubbing
  const unknown = removed.find(block => !allowList.includes(block))
  if (unknown !== undefined) {
    const list = allowList.length === 0 ? 'nothing is allowed' : `expected one of ${listText(allowList)}`
    throw new UsageError(`--disallow is "${unknown}", which is not on the list; ${list}`)
  }
  const kept = allowList.filter(block => !removed.includes(block))
  return { ...fields, ...{ allowList: [...new Set([...kept, ...added])] }, ifRevision: settings.revision }
}

/** In the form the API shows them. @throws {UsageError} */
function readBlocks(flag: string, texts: readonly string[] = []): readonly string[] {
  return texts.map(text => {
    const block = parseCidr(text)
    if (block === null) throw new UsageError(`--${flag} is "${text}", expected an IPv4 or IPv6 address or CIDR block`)
    return block.text
  })
}

/** Which limits there are is for the daemon to say. @throws {UsageError} */
function readLimits(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    texts.map(text => {
      const [, name, number] = /^([A-Za-z]+)=(\d{1,9})$/.exec(text) ?? []
      if (name === undefined || number === undefined)
        throw new UsageError(`--limit is "${text}", expected NAME=N as "ringwall limits" names them`)
      return [name, Number(number)]
    }),
  )
}
