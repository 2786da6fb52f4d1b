/** Records and what was observed, as people read them. */
import type { LogRecord } from '../../agent/logs/record.ts'
import { familyOf } from '../../rules-compiler/address/cidr.ts'
import type { LogAction, LogCause } from '../../rules-compiler/nft/log-prefix.ts'
import type { ObservedEni } from '../../wire/observed.ts'
import { type ObservedReport, observedLines } from '../operate/observed.ts'
import { padText, printable } from '../output/text-width.ts'
import { clockText } from '../output/values.ts'

const actionTexts: Readonly<Record<LogAction, string>> = { drop: 'drop', observe: 'would drop', accept: 'accept' }
const longestAction = Math.max(...Object.values(actionTexts).map(text => text.length))

const causeTexts: Readonly<Record<Exclude<LogCause, 'rule' | 'inner-access'>, string>> = {
  default: 'no rule matches',
  smtp: 'port 25 outside private ranges',
  'source-guard': "source address is not the guest's",
  invalid: 'of no session',
  exception: 'DHCP, or the connection to the daemon',
}

/** `20:40:07.123  drop        eni-1 ingress  tcp 203.0.113.9:40000 -> 198.18.0.2:22  sgr-9 of sg-web`; the time is local. */
export function recordText(record: LogRecord): string {
  const { time, action, eniId, direction, protocol } = record
  const type = record.icmpType === undefined ? '' : ` type ${record.icmpType} code ${record.icmpCode}`
  const ends = `${endText(record.source, record.sourcePort)} -> ${endText(record.destination, record.port)}`
  const parts = [
    `${clockText(time)}${time.slice(19, 23)} ${padText(actionTexts[action] ?? action, longestAction)} ${eniId} ${direction}`,
    `${protocolText(protocol)}${type} ${ends}`,
    causeText(record),
  ]
  // Each word by itself, for runs of spaces are what holds the columns.
  return parts.map(part => part.split(' ').map(printable).join(' ')).join('  ')
}

function causeText({ cause, ruleId, securityGroupId }: LogRecord): string {
  if (cause === 'rule')
    return ruleId === undefined ? 'a rule, which has changed since' : `${ruleId} of ${securityGroupId}`
  if (cause === 'inner-access') return `member of ${securityGroupId ?? 'the same group'}`
  return causeTexts[cause] ?? cause
}

function endText(address: string, port: number | undefined): string {
  if (port === undefined) return address
  return familyOf(address) === 'ip' ? `${address}:${port}` : `[${address}]:${port}`
}

function protocolText(protocol: string): string {
  return /^\d+$/.test(protocol) ? `protocol ${protocol}` : protocol
}

/** What an agent knows of its observed ENIs, each for itself. */
export function summaryLines(enis: readonly ObservedEni[], width: number): readonly string[] {
  if (enis.length === 0) return ['No interface of this host is observed.']
  return enis.flatMap((eni, index) => [
    ...(index === 0 ? [] : ['']),
    printable(`ENI ${eni.eniId}`),
    ...observedLines(reportOf(eni), width),
  ])
}

/** In the words of the API, which says it of many. */
function reportOf({ eniId, since, counts, flows, flowsLeftOut, liveSessions }: ObservedEni): ObservedReport {
  const now = new Date().toISOString()
  return {
    networkInterfaceCount: 1,
    observedCount: 1,
    reportedCount: 1,
    isComplete: true,
    since,
    oldestReportTime: now,
    newestReportTime: now,
    packets: counts.reduce((sum, { packets }) => sum + packets, 0),
    reasons: counts.map(count => ({ ...reasonOf(count), networkInterfaceCount: 1 })),
    flows: flows.slice(0, mostFlows).map(flow => ({
      ...reasonOf(flow),
      networkInterfaceId: eniId,
      peer: flow.peer,
      protocol: flow.protocol,
      port: flow.port ?? null,
      icmpType: flow.icmpType ?? null,
      icmpCode: flow.icmpCode ?? null,
      lastTime: flow.lastTime,
    })),
    flowsLeftOut: flowsLeftOut + Math.max(0, flows.length - mostFlows),
    liveSessions,
    missing: [],
    missingCount: 0,
  }
}

const mostFlows = 20

function reasonOf({ direction, cause, ruleId, securityGroupId, packets }: ObservedEni['counts'][number]) {
  return {
    direction,
    cause,
    securityGroupRuleId: ruleId ?? null,
    securityGroupId: securityGroupId ?? null,
    packets,
  }
}
