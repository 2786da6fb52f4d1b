/** The view as text for a terminal. */
import type { Hits } from '../../rules-compiler/nft/read-ruleset.ts'
import type { SourceStatus } from '../source.ts'
import type { DirectionView, EniView, View } from './view.ts'

const reasonText: Readonly<Record<string, string>> = {
  exception: 'accept: DHCP, control connection, rescue',
  smtp: 'drop: port 25 outside private ranges',
  'inner-access': 'accept: members of the same group',
  'source-guard': "drop: source address is not the guest's",
  invalid: 'drop: conntrack knows no such session',
}

export function printView(view: View): string {
  const groups = view.groups.map(({ id, ip, ip6 }) => `  ${id}: ${ip} IPv4 and ${ip6} IPv6 members`)
  const alone = view.unattachedEnis.map(({ id, device }) => `ENI ${id} on ${device}: no security group, left alone`)
  return [
    ...(view.source === undefined ? [] : [printSource(view.source), '']),
    ...view.enis.flatMap(printEni),
    ...alone,
    ...(groups.length === 0 ? [] : ['Groups that rules look into', ...groups]),
    `Idle TCP sessions are forgotten after ${view.sessionTimeoutSeconds} s. Packets count when they are judged: the first of a session.`,
    '',
  ].join('\n')
}

function printSource(source: SourceStatus): string {
  if (source.kind === 'file') return `Policy from the file ${source.path}`
  const { url, connected, since, reason, revision, enforcedRevision } = source
  const link = connected
    ? `connected since ${since}`
    : `NOT CONNECTED since ${since}${reason === null ? '' : `: ${reason}`}`
  const revisions = enforcedRevision === null ? '' : `, revision ${enforcedRevision} in force`
  const behind = revision === null || revision === enforcedRevision ? '' : ` (of ${revision})`
  return `Policy from the daemon ${url}, ${link}${revisions}${behind}`
}

function printEni(eni: EniView): readonly string[] {
  const state = eni.inForce ? '' : ' (NOT IN FORCE)'
  return [
    `ENI ${eni.id} on ${eni.device}, ${eni.placement}, groups ${eni.securityGroupIds.join(', ')}${state}`,
    `  addresses ${eni.addresses.join(', ') || 'none'}`,
    ...(eni.isObserved ? ['  OBSERVED ONLY: what says drop is let through, and counts at every packet'] : []),
    ...(eni.rescue.length === 0 ? [] : [`  rescue ${eni.rescue.join(', ')}: accepted whatever the rules say`]),
    ...eni.directions.flatMap(printDirection),
    '',
  ]
}

function printDirection(direction: DirectionView): readonly string[] {
  const shared = direction.sharedWith.length === 0 ? '' : `, counted together with ${direction.sharedWith.join(', ')}`
  const { default: byDefault, ...reasons } = direction.reasons
  return [
    `  ${direction.direction}${shared}`,
    ...Object.entries(reasons)
      .filter(([, hits]) => hits.packets > 0)
      .map(([reason, hits]) => row('    ', hits, reasonText[reason] ?? reason)),
    ...direction.layers.flatMap(({ verdict, rules }, index) => [
      `    layer ${index + 1}: ${verdict}`,
      ...rules.map(rule => row('      ', rule, `${rule.text}  [${rule.id} of ${rule.groupId}]`)),
    ]),
    row('    ', byDefault ?? { packets: 0, bytes: 0 }, `default: ${direction.defaultVerdict}`),
  ]
}

function row(indent: string, { packets, bytes }: Hits, text: string): string {
  return `${indent}${String(packets).padStart(9)} packets ${printBytes(bytes).padStart(9)}  ${text}`
}

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const

function printBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1)
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`
}
