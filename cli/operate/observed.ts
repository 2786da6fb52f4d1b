/** What rules of observed interfaces would have dropped, in tables; and the commands that observe, enforce and show it. */
import { tableLines } from '../output/table.ts'
import { printable } from '../output/text-width.ts'
import { countText } from '../output/units.ts'
import { count, listText, secondText, timeText, valueText } from '../output/values.ts'
import type { WriteAnswer } from './daemon.ts'
import type { Kind } from './objects.ts'
import { said } from './objects.ts'
import { pathOf, resources, type Shown } from './resources.ts'
import { type Verb, verb } from './verb.ts'

interface Reason {
  readonly direction: string
  readonly cause: string
  readonly securityGroupRuleId: string | null
  readonly securityGroupId: string | null
  readonly packets: number
}

interface Flow extends Reason {
  readonly networkInterfaceId: string
  readonly peer: string
  readonly protocol: string
  readonly port: number | null
  readonly icmpType: number | null
  readonly icmpCode: number | null
  readonly lastTime: string
}

interface Missing {
  readonly networkInterfaceId: string
  readonly instanceId: string
  readonly agentId: string | null
  readonly reason: string
  readonly lastReportTime: string | null
}

/** As the API shows it, of one interface, of a group, or before something is enforced. */
export interface ObservedReport {
  readonly networkInterfaceCount: number
  readonly observedCount: number
  readonly reportedCount: number
  readonly isComplete: boolean
  readonly since: string | null
  readonly oldestReportTime: string | null
  readonly newestReportTime: string | null
  readonly packets: number
  readonly reasons: readonly (Reason & { readonly networkInterfaceCount: number })[]
  readonly flows: readonly Flow[]
  readonly flowsLeftOut: number
  readonly liveSessions: number | null
  readonly missing: readonly Missing[]
  readonly missingCount: number
}

const reasonColumns = [
  { heading: 'DIRECTION', cell: ({ direction }: Reason) => direction },
  { heading: 'CAUSE', cell: ({ cause }: Reason) => cause },
  { heading: 'RULE', isWhole: true, cell: ({ securityGroupRuleId }: Reason) => valueText(securityGroupRuleId) },
] as const

const countColumns = [
  { heading: 'PACKETS', isRight: true, cell: ({ packets }: Reason) => countText(packets) },
  ...reasonColumns,
  { heading: 'GROUP', isWhole: true, cell: ({ securityGroupId }: Reason) => valueText(securityGroupId) },
  {
    heading: 'ENIS',
    isRight: true,
    cell: ({ networkInterfaceCount }: ObservedReport['reasons'][number]) => String(networkInterfaceCount),
  },
]

const flowColumns = [
  { heading: 'SEEN', isRight: true, cell: ({ packets }: Flow) => countText(packets) },
  { heading: 'PEER', isWhole: true, cell: ({ peer }: Flow) => peer },
  { heading: 'WHAT', isWhole: true, cell: whatText },
  { heading: 'ENI', isWhole: true, cell: ({ networkInterfaceId }: Flow) => networkInterfaceId },
  ...reasonColumns,
  { heading: 'LAST', isWhole: true, cell: ({ lastTime }: Flow) => secondText(lastTime) },
]

const missingColumns = [
  { heading: 'ENI', isWhole: true, cell: ({ networkInterfaceId }: Missing) => networkInterfaceId },
  { heading: 'INSTANCE', isWhole: true, cell: ({ instanceId }: Missing) => instanceId },
  { heading: 'AGENT', isWhole: true, cell: ({ agentId }: Missing) => valueText(agentId) },
  { heading: 'WHY', cell: ({ reason }: Missing) => whyTexts[reason] ?? reason },
  { heading: 'LAST REPORT', isWhole: true, cell: ({ lastReportTime }: Missing) => secondText(lastReportTime) },
]

const whyTexts: Readonly<Record<string, string>> = {
  'no-agent': 'nobody enforces there',
  away: 'its agent is away',
  'not-capable': 'its agent is too old to observe, and enforces',
  'not-reported': 'its agent has not told of it yet',
  cut: 'there was no room for all of it',
}

/** `tcp/443`, `icmp type 8 code 0`. */
function whatText({ protocol, port, icmpType, icmpCode }: Flow): string {
  if (port !== null) return `${protocol}/${port}`
  return icmpType === null ? protocol : `${protocol} type ${icmpType} code ${icmpCode ?? 0}`
}

export function observedLines(report: ObservedReport, width: number): string[] {
  const { since, reasons, flows, flowsLeftOut, liveSessions, reportedCount, packets } = report
  if (reportedCount === 0) return incompleteLines(report, width)
  const heard =
    report.oldestReportTime === report.newestReportTime
      ? secondText(report.newestReportTime)
      : `${secondText(report.oldestReportTime)} to ${secondText(report.newestReportTime)}`
  const where = count(reportedCount, 'network interface')
  return [
    // An agent on this host is whoever holds its socket.
    printable(
      `${countText(packets)} ${packets === 1 ? 'packet' : 'packets'} would have been dropped at ${where} since ${timeText(since)}, as heard ${heard}.`,
    ),
    ...(liveSessions === null
      ? []
      : [`${count(liveSessions, 'session')} that there ${liveSessions === 1 ? 'is' : 'are'} now would end.`]),
    ...(reasons.length === 0 ? [] : ['', ...tableLines(countColumns, reasons, width)]),
    ...(flows.length === 0
      ? []
      : ['', 'Seen most, in a sample of the packets:', ...tableLines(flowColumns, flows, width)]),
    ...(flowsLeftOut === 0 ? [] : [`And ${countText(flowsLeftOut)} more.`]),
    ...incompleteLines(report, width),
  ]
}

function incompleteLines(
  { isComplete, missing, missingCount, observedCount, reportedCount }: ObservedReport,
  width: number,
) {
  if (isComplete) return []
  return [
    ...(reportedCount === 0 ? [] : ['']),
    `Not complete for ${missingCount} of ${count(observedCount, 'observed network interface')}:`,
    ...tableLines(missingColumns, missing, width),
    ...(missing.length < missingCount ? [`And ${missingCount - missing.length} more.`] : []),
  ]
}

/** More than fits a screen is asked for. */
const usualFlows = 20

/** In a preview: what was seen that would be dropped. */
export function wouldDropLines(answer: Shown, width: number): string[] {
  const report = answer.observed as (ObservedReport & StillObserved) | undefined
  if (report === undefined) return []
  const { networkInterfaceCount, stillObservedIds, stillObservedCount } = report
  const more = stillObservedCount - stillObservedIds.length
  const still = `${listText(stillObservedIds)}${more > 0 ? ` and ${more} more` : ''}`
  return [
    ...(networkInterfaceCount === 0
      ? []
      : [
          '',
          `${count(networkInterfaceCount, 'network interface')} would be enforced that ${networkInterfaceCount === 1 ? 'is' : 'are'} observed now.`,
        ]),
    ...(networkInterfaceCount === 0 ? [] : observedLines(withUsualFlows(report), width)),
    ...(stillObservedCount === 0 ? [] : ['', `Still observed, by themselves or another group: ${still}`]),
  ]
}

function withUsualFlows(report: ObservedReport): ObservedReport {
  const flows = report.flows.slice(0, usualFlows)
  return { ...report, flows, flowsLeftOut: report.flowsLeftOut + report.flows.length - flows.length }
}

interface StillObserved {
  readonly stillObservedIds: readonly string[]
  readonly stillObservedCount: number
}

/** `enforced`, `observed (by sg-x)`, or '' without group. */
export function enforcementText({ networkInterfaceId, enforcement, observedBy }: Shown): string {
  if (enforcement !== 'observed') return enforcement === 'none' ? '' : valueText(enforcement)
  const by = ((observedBy ?? []) as readonly string[]).map(id => (id === networkInterfaceId ? 'itself' : id))
  return by.length === 1 && by[0] === 'itself' ? 'observed' : `observed (by ${by.join(', ')})`
}

const noUnits = { group: 'security group', eni: 'network interface' } as const

/** `observe`, `enforce` and `observed`, of ENIs and of groups. */
export function modeVerbs(kind: Kind & { readonly kind: 'eni' | 'group' }): readonly Verb[] {
  const resource = resources[kind.kind]
  const noun = noUnits[kind.kind]
  const command = kind.kind === 'eni' ? 'eni' : 'sg'
  const modeVerb = (mode: 'observe' | 'enforce', summary: string, details: string) =>
    verb({
      name: mode,
      summary,
      effect: 'changes',
      words: [kind.word],
      flags: {},
      details,
      async run({ daemon, words: [text = ''] }) {
        const id = await daemon.idOf(kind.kind, text)
        const answer = await daemon.write({ method: 'PATCH', path: pathOf(resource, id), body: { mode } })
        return mode === 'observe'
          ? said(answer, `${id} is observed: what its rules drop passes, and is counted`, [
              `What that is: ringwall ${command} observed ${id}`,
            ])
          : said(answer, `${id} is enforced`, stillLines(kind.kind, id, answer))
      },
    })
  return [
    modeVerb(
      'observe',
      kind.kind === 'eni'
        ? 'drop nothing at a network interface, and count what would be dropped'
        : 'drop nothing at any interface in a security group, and count what would be dropped',
      `Sessions that rules accept notice nothing. "ringwall ${command} observed" shows what would be dropped.`,
    ),
    modeVerb(
      'enforce',
      kind.kind === 'eni'
        ? 'drop again what the rules of a network interface drop'
        : 'drop again what rules drop at the interfaces in a security group',
      '--dry-run shows what was seen that would be dropped: by rule, by flow, and how many sessions would end.',
    ),
    verb({
      name: 'observed',
      summary: `show what rules of an observed ${noun} would have dropped`,
      effect: 'looks',
      words: [kind.word],
      flags: {
        flows: {
          takes: 'number',
          value: 'N',
          range: [0, 1000],
          help: `how many flows at most; ${usualFlows} if left out`,
        },
      },
      async run({ daemon, words: [text = ''], flags }) {
        const id = await daemon.idOf(kind.kind, text)
        const answer = await daemon.client.get<{ observed: ObservedReport }>(pathOf(resource, id, 'observed'), {
          maxFlows: flags.flows ?? usualFlows,
        })
        const { observed } = answer
        return {
          answer,
          text: width =>
            observed.observedCount === 0
              ? [
                  `Nothing is observed ${kind.kind === 'eni' ? 'at' : 'in'} ${id}. Begin with: ringwall ${command} observe ${id}`,
                ]
              : observedLines(observed, width),
        }
      },
    }),
  ]
}

/** Enforcing one thing is not all where another observes. */
function stillLines(kind: 'eni' | 'group', id: string, answer: WriteAnswer): string[] {
  if (kind === 'eni') {
    const eni = (answer.networkInterface ?? {}) as Shown
    return eni.enforcement === 'observed' ? [`But still ${enforcementText(eni)}; see "ringwall sg enforce".`] : []
  }
  const { observedCount = 0 } = (answer.securityGroup ?? {}) as { readonly observedCount?: number }
  if (observedCount === 0) return []
  return [
    `${count(observedCount, 'network interface')} in it ${observedCount === 1 ? 'is' : 'are'} still observed, by another group or by ${observedCount === 1 ? 'itself' : 'themselves'}:`,
    `ringwall eni list --group ${id} --enforcement observed`,
  ]
}
