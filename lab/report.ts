/** What the lab prints: hosts, groups, the table of traffic, what becomes of changes. Each function gives lines of text. */
import type { Family } from '../rules-compiler/address/cidr.ts'
import type { PolicyIr, RuleIr } from '../rules-compiler/policy/ir.ts'
import { ruleText } from '../rules-compiler/policy/rule-text.ts'
import type { Attack } from './attack.ts'
import type { Expectation } from './expectation.ts'
import { type Attempt, addressesOf, type Fleet, groups, type LabEni } from './fleet.ts'
import type { Membership } from './membership.ts'
import type { Revocation, Revocations } from './revocation.ts'
import type { Outcome } from './traffic.ts'

/** One attempt in both families: what the policies say and what was seen. */
export interface TrafficRow {
  readonly attempt: Attempt
  readonly expected: Readonly<Record<Family, Expectation>>
  readonly seen: Readonly<Record<Family, Outcome>>
}

export function hostLines({ hosts, enis }: Fleet): string[] {
  const rows = hosts.flatMap(host => {
    if (host === 'router') return []
    const { ip, ip6 } = addressesOf(host)
    const own = enis.filter(eni => eni.host === host)
    const first = own[0] === undefined ? (host === 'control' ? 'the control daemon' : 'no agent') : eniText(own[0])
    return [[host, ip, ip6, first], ...own.slice(1).map(eni => ['', '', '', eniText(eni)])]
  })
  return table(['host', 'IPv4', 'IPv6', 'ENI (device, placement): groups'], rows)
}

export function groupLines(irs: Iterable<PolicyIr>): string[] {
  const rules = new Map<string, RuleIr>()
  for (const { enis: resolved } of irs) {
    for (const { ingress, egress } of resolved) {
      for (const rule of [...ingress.rules, ...egress.rules]) rules.set(`${rule.groupId} ${rule.id}`, rule)
    }
  }
  const idWidth = Math.max(...[...rules.values()].map(({ id }) => id.length))
  return groups.flatMap(({ id, description }) => {
    const own = [...rules.values()].filter(rule => rule.groupId === id)
    const lines = own.map(rule => `    ${rule.id.padEnd(idWidth)}  ${rule.direction.padEnd(8)}${ruleText(rule)}`)
    return [`${id}: ${description}`, ...lines]
  })
}

export function trafficLines(rows: readonly TrafficRow[]): string[] {
  const cells = rows.map(row => {
    const { from, as, to, service } = row.attempt
    const sender = as === null ? from : `${from} (${as.label})`
    const what = service.protocol === 'ping' ? 'ping' : `${service.protocol} ${service.port}`
    const mark = asExpected(row) ? '' : '  <-- NOT AS EXPECTED'
    return [sender, to, what, expectedText(row), row.seen.ip, row.seen.ip6, `${whyText(row)}${mark}`]
  })
  return table(['who', 'to whom', 'what', 'expected', 'IPv4 seen', 'IPv6 seen', 'why'], cells)
}

/** Seen in both families what `evaluate` says, and `evaluate` says what the attempt's own line demands. */
export function asExpected({ attempt, expected, seen }: TrafficRow): boolean {
  const verdicts = [expected.ip.verdict, expected.ip6.verdict, seen.ip, seen.ip6]
  return verdicts.every(verdict => verdict === attempt.must)
}

export function revocationLines({ sessions, answersAgain }: Revocations): string[] {
  const lines = sessions.map(revocation => {
    const { family, cutAfterMs, otherAsked, otherAnswered } = revocation
    const late = (cutAfterMs ?? 0) > promisedMs ? ', later than the second it should take: is this machine busy?' : ''
    const cut = cutAfterMs === null ? 'was NOT cut' : `cut ${Math.round(cutAfterMs)} ms after the request${late}`
    const name = family === 'ip' ? 'IPv4' : 'IPv6'
    const mark = revokedAsPromised(revocation) ? '' : '  <-- NOT AS EXPECTED'
    return `${name}: session to port 443 ${cut}; session to port 80 goes on, ${otherAnswered} of ${otherAsked} messages answered${mark}`
  })
  const again = answersAgain ? 'and port 443 answers again' : 'and port 443 does NOT answer  <-- NOT AS EXPECTED'
  return [...lines, `The rules are put back, ${again}.`]
}

export function revocationsAsPromised({ sessions, answersAgain }: Revocations): boolean {
  return sessions.every(revokedAsPromised) && answersAgain
}

export function membershipLines(membership: Membership): string[] {
  const { reachedBefore, joinMs, agents, reachedAsMember, leaveMs, cutWhenLeft } = membership
  const mark = membershipAsPromised(membership) ? '' : '  <-- NOT AS EXPECTED'
  return [
    `before:  web ${reachedBefore ? 'reaches' : 'does not reach'} port 5432 of db`,
    `joined:  in force on ${agents} agents after ${Math.round(joinMs)} ms; web ${reachedAsMember ? 'is let in' : 'is NOT let in'}`,
    `left:    in force after ${Math.round(leaveMs)} ms; its open session ${cutWhenLeft ? 'is cut' : 'is NOT cut'}${mark}`,
  ]
}

export function membershipAsPromised({ reachedBefore, reachedAsMember, cutWhenLeft }: Membership): boolean {
  return !reachedBefore && reachedAsMember && cutWhenLeft
}

const promisedMs = 1000

/** Cut when the daemon says that it is, and nothing lost where the session is still allowed. */
function revokedAsPromised({ cutAfterMs, otherAsked, otherAnswered }: Revocation): boolean {
  return cutAfterMs !== null && otherAsked > 0 && otherAnswered === otherAsked
}

export function attackLines(attack: Attack): string[] {
  const { sent, cleaningAfterMs, event, asked, answered } = attack
  const count = (value: number) => Math.round(value).toLocaleString('en')
  const mark = cleanedAsPromised(attack) ? '' : '  <-- NOT AS EXPECTED'
  const told = event === null ? 'the daemon was told of NO event' : `recognised as ${event.types.join(', ')}; `
  const amounts =
    event === null ? '' : `${count(event.passedPackets)} of ${count(event.offeredPackets)} packets have passed`
  return [
    `${count(sent)} packets were sent; ${cleaningAfterMs === null ? 'NOTHING was cleaned' : `the daemon knows of cleaning after ${count(cleaningAfterMs)} ms`}`,
    `${told}${amounts}`,
    `a session from another address goes on, ${answered} of ${asked} messages answered${mark}`,
  ]
}

/** Most of it is kept away, and who is no part of it loses nothing. */
export function cleanedAsPromised({ event, asked, answered }: Attack): boolean {
  return event !== null && event.passedPackets < event.offeredPackets / 2 && asked > 0 && answered === asked
}

/** Columns padded to their widest cell, under a heading. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [heading, ...rows]
  const widths = heading.map((_, column) => Math.max(...all.map(row => row[column]!.length)))
  return all.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}

function eniText({ id, device, placement, groupIds }: LabEni): string {
  return `${id} (${device}, ${placement}): ${groupIds.join(', ')}`
}

function expectedText({ attempt, expected }: TrafficRow): string {
  const { ip, ip6 } = expected
  if (ip.verdict === attempt.must && ip6.verdict === attempt.must) return attempt.must
  return `${attempt.must}, but evaluate says ${ip.verdict}/${ip6.verdict}`
}

function whyText({ expected: { ip, ip6 } }: TrafficRow): string {
  const what = ip.decidedBy === ip6.decidedBy ? ip.decidedBy : `${ip.decidedBy} / ${ip6.decidedBy}`
  return ip.eniId === null ? what : `${what} at ${ip.eniId}`
}
