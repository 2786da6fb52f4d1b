/** `ringwall analyze FILE`: what in a valid policy deserves a second look. */
import { analyze } from '../../rules-compiler/analyze/analyze.ts'
import { severities } from '../../rules-compiler/analyze/finding.ts'
import { choiceFlag, onlyFile, parseArguments } from '../arguments.ts'
import { type Command, type Io, loadPolicy } from '../command.ts'
import { failsOn, findingsText } from '../output/findings.ts'

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
  const failOn = values['fail-on'] === undefined ? undefined : choiceFlag('fail-on', values['fail-on'], severities)
  const findings = analyze(await loadPolicy(file, io))
  io.stdout.write(values.json ? `${JSON.stringify({ findings }, null, 2)}\n` : findingsText(findings))
  return failsOn(findings, failOn) ? 1 : 0
}
