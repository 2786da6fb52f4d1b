/** `ringwall doctor`: whether this host suits Ringwall, and what an operator should know of it. */
import { agentConfig } from '../../agent/config.ts'
import type { Finding } from '../../agent/doctor/check.ts'
import { examineHost } from '../../agent/doctor/examine.ts'
import { defaultStateDir } from '../../agent/link/credentials.ts'
import { version } from '../../common/version.ts'
import { parseArguments } from '../arguments.ts'
import { type Command, type Io, UsageError } from '../command.ts'
import { findStateDir, findTrusted, readHostConfig } from '../host-agent.ts'
import { hostFindingsText } from '../output/host-findings.ts'
import { widthOf } from '../output/terminal.ts'

const usage = `usage: ringwall doctor [--state-dir DIR] [--config FILE] [--json]

Looks at this host, in the network namespace it runs in, and says what keeps Ringwall from working, what else decides
about packets, and what each finding means. Needs root. Nothing is changed: what nft can do is tried in a table of its
own that is removed again. It runs beside an agent, and without one.

  --state-dir DIR   where the agent keeps its files; if left out, where the agent that runs here does, or its
                    configuration says; ${defaultStateDir} where that says nothing or is faulty
  --config FILE     the configuration of the agent, if it has another than ${agentConfig.file}
  --json            the same for machines

Exit codes: 0 nothing that matters; 1 warnings; 2 something keeps Ringwall from working.
`

const options = { json: { type: 'boolean' }, 'state-dir': { type: 'string' }, config: { type: 'string' } } as const
const exitCodes = { ok: 0, note: 0, warning: 1, failure: 2 } as const
/** Wider lines are hard to read. */
const mostColumns = 80

export const command: Command = { name: 'doctor', summary: 'say whether this host suits Ringwall', usage, run }

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  if (positionals[0] !== undefined) throw new UsageError(`unexpected argument "${positionals[0]}"`)
  const [{ folder: stateDir }, configuration] = await Promise.all([
    findTrusted('agent').then(agent => findStateDir(values, agent)),
    readHostConfig(values),
  ])
  const findings = await examineHost({ stateDir, configuration })
  const width = Math.min(mostColumns, widthOf(io.stdout))
  io.stdout.write(values.json ? asJson(findings) : hostFindingsText(findings, width))
  return Math.max(...findings.map(({ severity }) => exitCodes[severity]))
}

function asJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ ringwallVersion: version, findings }, null, 2)}\n`
}
