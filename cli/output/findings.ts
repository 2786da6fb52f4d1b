/** What the health report and `ringwall analyze` say. */
import { type Finding, severities } from '../../rules-compiler/analyze/finding.ts'
import { packetText } from '../../rules-compiler/policy/rule-text.ts'

/** One block for each finding: severity, kind and subject, then what it is, then the packet that shows it. */
export function findingsText(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'no findings\n'
  const widths = [longest(findings.map(({ severity }) => severity)), longest(findings.map(({ kind }) => kind))] as const
  const blocks = findings.map(({ severity, kind, groupId, ruleIds, eniIds, message, witness }) => {
    const subject = [groupId, ...ruleIds].join(' ')
    const place = eniIds.length === 0 ? '' : ` (only at ${eniIds.join(', ')})`
    const lines = [
      `${severity.padEnd(widths[0])}  ${kind.padEnd(widths[1])}  ${subject}${place}`,
      `    ${message}`,
      ...(witness === null ? [] : [`    packet: ${packetText(witness)}`]),
    ]
    return `${lines.join('\n')}\n`
  })
  const counts = severities.map(name => `${findings.filter(({ severity }) => severity === name).length} ${name}`)
  return `${blocks.join('')}${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}: ${counts.join(', ')}\n`
}

/** @returns whether there is a finding of this severity or a higher one */
export function failsOn(findings: readonly Finding[], failOn: Finding['severity'] | undefined): boolean {
  const failing: readonly string[] = failOn === undefined ? [] : severities.slice(0, severities.indexOf(failOn) + 1)
  return findings.some(({ severity }) => failing.includes(severity))
}

function longest(texts: readonly string[]): number {
  return texts.reduce((most, { length }) => Math.max(most, length), 0)
}
