/** `ringwall health`: what among all groups and rules deserves a second look. */
import { type Finding, severities } from '../../rules-compiler/analyze/finding.ts'
import { exitFailed } from '../command.ts'
import { accountFlag } from '../operate/flags.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { verb } from '../operate/verb.ts'
import { findingsText } from '../output/findings.ts'
import { count, listText } from '../output/values.ts'

const summary = 'report risky and pointless rules of the fleet'

export const command = nounCommand({
  name: 'health',
  summary,
  verbs: [
    verb({
      name: '',
      summary,
      effect: 'looks',
      words: [],
      flags: {
        account: accountFlag,
        group: { takes: 'text', value: 'GROUP', names: 'group', help: 'only this security group' },
        limit: { takes: 'number', value: 'N', range: [1, 5000], help: 'how many findings at most; 1000 if left out' },
        'fail-on': {
          takes: 'choice',
          choices: severities,
          help: 'exit code 1 if there is a finding of this severity or a higher one',
        },
      },
      details: '"ringwall analyze FILE" says the same of a policy file.',
      examples: ['ringwall health --fail-on high'],
      async run({ daemon, flags }) {
        const query = {
          accountId: await daemon.accountId(flags.account),
          securityGroupId: flags.group === undefined ? undefined : await daemon.idOf('group', flags.group),
          maxResults: flags.limit,
        }
        const answer = await daemon.client.get<Report>('/v1/health-report', query)
        const { findings, totalCount, observed, lostAddresses } = answer
        const more =
          findings.length < totalCount
            ? [`These are the first ${findings.length} of ${totalCount}; --limit shows more.`]
            : []
        return {
          answer,
          text: () => [
            ...findingsText(findings).trimEnd().split('\n'),
            ...more,
            ...observedLines(observed),
            ...lostLines(lostAddresses),
          ],
          exitCode: failsOn(answer, flags['fail-on']) ? exitFailed : 0,
        }
      },
    }),
  ],
})

interface Report {
  /** The most severe first. */
  readonly findings: readonly Finding[]
  readonly totalCount: number
  /** How many there are of each, also those that are not shown. */
  readonly severities: Readonly<Record<Finding['severity'], number>>
  /** Left out by daemons from before there was something to observe. */
  readonly observed?: {
    readonly networkInterfaceCount: number
    readonly networkInterfaceIds: readonly string[]
    readonly securityGroupIds: readonly string[]
  }
  /** Left out by older daemons. */
  readonly lostAddresses?: {
    readonly networkInterfaceCount: number
    readonly networkInterfaces: readonly LostAddresses[]
  }
}

interface LostAddresses {
  readonly networkInterfaceId: string
  readonly hostName: string
  readonly device: string
  readonly addresses: readonly string[]
  readonly deviceAddresses: readonly string[]
}

function lostLines(lost: Report['lostAddresses']): string[] {
  const { networkInterfaceCount = 0, networkInterfaces = [] } = lost ?? {}
  if (networkInterfaceCount === 0) return []
  const shown = networkInterfaces.slice(0, mostNamed)
  const more = networkInterfaceCount - shown.length
  return [
    `${count(networkInterfaceCount, 'network interface')} with addresses that the device does not have; groups go by them all the same.`,
    'Where the new ones are right: ringwall eni modify ENI --address ADDRESS …, all that it shall have.',
    ...shown.map(
      ({ networkInterfaceId, hostName, device, addresses, deviceAddresses }) =>
        `  ${networkInterfaceId}: not ${listText(addresses)}; ${device} of ${hostName} has ${listText(deviceAddresses) || 'none'}`,
    ),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ]
}

function observedLines(observed: Report['observed']): string[] {
  const { networkInterfaceCount = 0, networkInterfaceIds = [], securityGroupIds = [] } = observed ?? {}
  if (networkInterfaceCount === 0) return []
  const more = networkInterfaceCount - Math.min(networkInterfaceIds.length, mostNamed)
  const named = `${listText(networkInterfaceIds.slice(0, mostNamed))}${more > 0 ? ` and ${more} more` : ''}`
  const by = securityGroupIds.length === 0 ? '' : `; groups: ${listText(securityGroupIds)}`
  return [`Nothing is dropped at ${count(networkInterfaceCount, 'network interface')}, only observed: ${named}${by}`]
}

const mostNamed = 12

function failsOn({ severities: counts }: Report, severity: Finding['severity'] | undefined): boolean {
  return severity !== undefined && severities.slice(0, severities.indexOf(severity) + 1).some(each => counts[each] > 0)
}
