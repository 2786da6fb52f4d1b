import { analyze } from '../../rules-compiler/analyze/analyze.ts'
import { type Finding, severities } from '../../rules-compiler/analyze/finding.ts'
import { packetText } from '../../rules-compiler/policy/rule-text.ts'
import { choiceFlag, onlyFile, parseArguments } from '../arguments.ts'
import { type Command, type Io, loadPolicy } from '../command.ts'

const usage = `usage: ringwall analyze FILE [--json] [--fail-on high|medium|low]

Reports what in a valid policy deserves a second look: ports open to the world, rules that can
never decide or change nothing, groups without member or rule. Each finding about a rule comes
with a packet that shows it, where there can be one.

  FILE                policy file in YAML or JSON; - for standard input
  --json              one JSON object with all findings, for machines
  --fail-on SEVERITY  exit code 1 if there is a finding of this severity or a higher one
`

const options = { json: { type: 'boolean' }, 'fail-on': { type: 'string' } } as const

export const command: Command = { name: 'analyze', summary: 'report risky and pointless rules', usage, run }

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  const file = onlyFile(positionals)
  const failOn = values['fail-on'] === undefined ? null : choiceFlag('fail-on', values['fail-on'], severities)
  const findings = analyze(await loadPolicy(file, io))
  io.stdout.write(values.json ? `${JSON.stringify({ findings }, null, 2)}\n` : findingsText(findings))
  const failing = failOn === null ? [] : severities.slice(0, severities.indexOf(failOn) + 1)
  return findings.some(({ severity }) => failing.includes(severity)) ? 1 : 0
}

/** One block for each finding: severity, kind and subject, then what it is, then the packet that shows it. */
function findingsText(findings: readonly Finding[]): string {
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

function longest(texts: readonly string[]): number {
  return Math.max(...texts.map(({ length }) => length))
}
