/** `ringwall logs`: packets that the agent of this host drops, would drop or accepts, as its kernel logs them. */
import { askHolder, openHolder } from '../../agent/lock.ts'
import type { ReaderState } from '../../agent/logs/reader.ts'
import type { LogRecord } from '../../agent/logs/record.ts'
import type { LogNotice, RecentRecords } from '../../agent/logs/traffic-log.ts'
import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import type { LogAction } from '../../rules-compiler/nft/log-prefix.ts'
import type { ObservedEni } from '../../wire/observed.ts'
import { requireAnswer } from '../client/agent-answer.ts'
import { readLines } from '../client/event-stream.ts'
import { exitFailed, type Io, OperationError, UsageError } from '../command.ts'
import { readJson } from '../ddos/read-json.ts'
import { matches, type RecordFilter } from '../logs/filter.ts'
import { recordText, summaryLines } from '../logs/record-text.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { type FlagValues, localVerb, type Result } from '../operate/verb.ts'
import { Ending } from '../output/ending.ts'
import { printable } from '../output/text-width.ts'
import { count, secondText } from '../output/values.ts'

const summary = 'packets that are dropped, would be, or are accepted here'

const flags = {
  follow: { takes: 'nothing', help: 'show records as they come, until Ctrl-C' },
  drops: { takes: 'nothing', help: 'what was dropped' },
  observed: { takes: 'nothing', help: 'what would have been dropped, at interfaces that are observed' },
  accepted: { takes: 'nothing', help: 'sessions that were accepted; logged where settings.logging.sessions says so' },
  eni: { takes: 'list', value: 'ENI,…', help: 'of these interfaces' },
  peer: { takes: 'text', value: 'CIDR', help: 'whose far side is in this block' },
  port: { takes: 'number', value: 'PORT', range: [0, 65_535], help: 'to this destination port' },
  since: { takes: 'moment', value: 'TIME', help: 'not before: 15m, 2h ago, or 2026-11-26T20:40Z' },
  summary: { takes: 'nothing', help: 'what observed interfaces would have dropped since they are observed' },
  json: { takes: 'nothing', help: 'a JSON object a line, for programs' },
} as const

type Asked = FlagValues<typeof flags>

export const command = nounCommand({
  name: 'logs',
  summary,
  verbs: [
    localVerb({
      name: '',
      summary,
      words: [],
      flags,
      details: `Asks the agent that runs here. The kernel logs a sample, at most settings.logging.perSecond packets a second for
each interface and direction. It is read only while somebody follows, while the agent has a --traffic-log, or while an
interface of this host is observed: without --follow the last thousand records of such times are shown, and it is said
where there were none. With --follow, --since shows those first.

Addresses are those on the wire: before destination NAT, after source NAT. Records go to standard output, and what was
lost, and why nothing can be read, to standard error. Leaving by Ctrl-C or SIGTERM is exit code 0.`,
      examples: [
        'ringwall logs --follow --drops',
        'ringwall logs --since 10m --peer 203.0.113.0/24 --port 22',
        'ringwall logs --summary',
      ],
      run: ({ flags: asked, io }) => (asked.summary ? summarize(asked, io) : show(asked, io)),
    }),
  ],
})

async function show(asked: Asked, io: Io): Promise<Result | null> {
  const filter = filterOf(asked)
  const tell = (record: LogRecord) => {
    if (matches(filter, record)) io.stdout.write(`${asked.json ? JSON.stringify(record) : recordText(record)}\n`)
  }
  if (asked.follow) await follow(asked.since === undefined ? '/logs?follow' : '/logs?follow&recent', tell, io)
  else await showRecent(asked, tell, io)
  return null
}

/** @throws {UsageError} */
function filterOf(asked: Asked): RecordFilter {
  const actions = (
    [
      ['drops', 'drop'],
      ['observed', 'observe'],
      ['accepted', 'accept'],
    ] as const
  ).flatMap(([flag, action]): LogAction[] => (asked[flag] ? [action] : []))
  const peer = asked.peer === undefined ? null : parseCidr(asked.peer)
  if (asked.peer !== undefined && peer === null) {
    throw new UsageError(`--peer is "${asked.peer}", expected a CIDR block or an address such as 203.0.113.0/24`)
  }
  return {
    actions: actions.length === 0 ? null : actions,
    eniIds: asked.eni === undefined || asked.eni.length === 0 ? null : asked.eni,
    peer,
    port: asked.port ?? null,
    since: asked.since ?? null,
  }
}

async function showRecent(asked: Asked, tell: (record: LogRecord) => void, io: Io): Promise<void> {
  const recent = readJson<RecentRecords>(requireAnswer(await askHolder('/logs')).body)
  for (const record of recent.records) tell(record)
  for (const line of circumstances(recent, asked)) io.stderr.write(`${printable(line)}\n`)
}

/** Why there may be less than somebody expects. */
function circumstances({ reader, readingSince, logging, file }: RecentRecords, asked: Asked): readonly string[] {
  if (logging === null) return ['No policy is in force here, so no packet is judged or logged.']
  const isWanted = (flag: 'drops' | 'observed' | 'accepted') =>
    asked[flag] || !(asked.drops || asked.observed || asked.accepted)
  return [
    ...(reader.kind === 'off'
      ? [
          'Nobody reads the kernel’s log now, so newer packets are missing. To see them as they come: ringwall logs --follow',
        ]
      : [readerText(reader) ?? `Read since ${secondText(readingSince)}; before, nobody asked.`]),
    ...(!logging.drops && (isWanted('drops') || isWanted('observed'))
      ? ['Packets that are dropped are not logged: settings.logging.drops is false.']
      : []),
    ...(!logging.sessions && asked.accepted
      ? ['Accepted sessions are not logged: settings.logging.sessions is false.']
      : []),
    ...(file === null || file.problem === null ? [] : [`Records are not written to "${file.path}": ${file.problem}`]),
  ]
}

function readerText(reader: ReaderState): string | null {
  if (reader.kind === 'failed') return `The kernel’s log cannot be read: ${reader.reason}. It is tried again.`
  return reader.kind === 'starting' ? 'Reading the kernel’s log has only just begun.' : null
}

async function follow(path: string, tell: (record: LogRecord) => void, io: Io): Promise<void> {
  using ending = new Ending(io)
  await ending.orEnd(followUntil(path, tell, io, ending.signal))
}

async function followUntil(
  path: string,
  tell: (record: LogRecord) => void,
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const { chunks } = requireAnswer(await openHolder(path, signal))
  const trouble = new Trouble()
  try {
    for await (const line of readLines(chunks)) {
      const value = readJson<LogRecord | LogNotice>(line)
      if ('reader' in value) {
        const text = trouble.news(value.reader)
        if (text !== null) io.stderr.write(`${printable(text)}\n`)
      } else if ('lost' in value) {
        io.stderr.write(`${count(value.lost, 'record')} lost here: ${lossTexts[value.where] ?? value.where}\n`)
      } else tell(value)
    }
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof OperationError) throw error
  }
  if (!signal.aborted) throw new OperationError(['The agent on this host has ended'], exitFailed)
}

/** It is told again and again how reading stands: what is news of it. */
class Trouble {
  #said: string | null = null

  news(reader: ReaderState): string | null {
    if (reader.kind === 'starting') return null
    const before = this.#said
    this.#said =
      reader.kind === 'failed'
        ? readerText(reader)
        : reader.kind === 'off'
          ? 'No policy is in force here; waiting for one.'
          : null
    if (this.#said === before) return null
    return this.#said ?? 'The kernel’s log is read again.'
  }
}

const lossTexts: Readonly<Record<string, string>> = {
  kernel: 'more came than the kernel had room for',
  agent: 'more came than the agent takes a second',
  reader: 'this command reads too slowly',
}

async function summarize({ json }: Asked, io: Io): Promise<Result | null> {
  const { enis } = readJson<{ readonly enis: readonly ObservedEni[] }>(requireAnswer(await askHolder('/observed')).body)
  if (!json) return { answer: enis, text: width => summaryLines(enis, width) }
  for (const eni of enis) io.stdout.write(`${JSON.stringify(eni)}\n`)
  return null
}
