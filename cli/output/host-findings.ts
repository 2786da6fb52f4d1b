/** What `ringwall doctor` says to people. */
import { type Finding, severities } from '../../agent/doctor/check.ts'
import { printable, wrapText } from './text-width.ts'
import { count } from './values.ts'

const headings = { failure: 'FAILURES', warning: 'WARNINGS', note: 'NOTES', ok: 'WELL' } as const
const codeIndent = '  '
const indent = '    '

/**
 * The worst first; of what is well, what was found and no more.
 * @param findings  ordered by severity
 */
export function hostFindingsText(findings: readonly Finding[], width: number): string {
  const blocks = severities.flatMap(severity => {
    const some = findings.filter(finding => finding.severity === severity)
    return some.length === 0
      ? []
      : [`${[headings[severity], ...some.flatMap(each => linesOf(each, width))].join('\n')}\n`]
  })
  return `${blocks.join('\n')}\n${summary(findings)}\n`
}

function linesOf({ severity, code, found, means, advice }: Finding, width: number): readonly string[] {
  const head = wrapped(`${code}: ${found}`, width).map((line, index) => (index === 0 ? codeIndent : indent) + line)
  if (severity === 'ok') return head
  const text = [...wrapped(means, width), ...(advice === '' ? [] : wrapped(`-> ${advice}`, width))]
  return [...head, ...text.map(line => indent + line)]
}

function wrapped(text: string, width: number): readonly string[] {
  return wrapText(printable(text), width - indent.length)
}

function summary(findings: readonly Finding[]): string {
  const of = (severity: Finding['severity']) => findings.filter(finding => finding.severity === severity).length
  return `${count(of('failure'), 'failure')}, ${count(of('warning'), 'warning')}, ${count(of('note'), 'note')}, ${of('ok')} well`
}
