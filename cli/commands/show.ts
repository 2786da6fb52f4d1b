/** `ringwall show`: what is in force here, rule by rule, with what each has decided. */
import { askHolder } from '../../agent/lock.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { printView } from '../../agent/show/print.ts'
import { makeView, type View } from '../../agent/show/view.ts'
import { readTable } from '../../agent/snapshot.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { onlyFile, parseArguments } from '../arguments.ts'
import { type Command, type Io, UsageError } from '../command.ts'
import { type HostFlags, hostFlagsHelp, hostPolicyFlags, loadHostPolicy } from '../host-agent.ts'

const usage = `usage: ringwall show [FILE [--rescue LIST] [--config FILE]] [--json]

Shows the ENIs of this network namespace, their groups, layers and rules with verdicts, and what each has decided.
Asks the agent that runs here; with FILE it reads the policy from there and the counters from the kernel, for rules
that "ringwall apply" has loaded.

  --json           the same for machines
${hostFlagsHelp(19)}
Exit codes: 0 shown; 1 no agent answers, or the kernel cannot be read; 2 FILE has faults.
`

const options = { json: { type: 'boolean' }, ...hostPolicyFlags } as const

export const command: Command = { name: 'show', summary: 'show what is in force, with counters', usage, run }

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  const needless = (['rescue', 'config'] as const).find(flag => values[flag] !== undefined)
  if (positionals.length === 0 && needless !== undefined) throw new UsageError(`--${needless} is for a policy FILE`)
  const view = positionals.length === 0 ? await askAgent() : await lookUp(onlyFile(positionals), values, io)
  io.stdout.write(values.json ? `${JSON.stringify(view, null, 2)}\n` : printView(view))
  return 0
}

async function askAgent(): Promise<View> {
  const answer = await askHolder('/show')
  if (answer === null || answer.status === 404) {
    throw new Error('Cannot show: no agent runs in this network namespace; name the policy file: ringwall show FILE')
  }
  if (answer.status !== 200) throw new Error(`Cannot show: ${reasonIn(answer.body)}`)
  return JSON.parse(answer.body) as View
}

/** The agent's own words, `{"error": …}`; what else it says as it is. */
function reasonIn(body: string): string {
  try {
    return String((JSON.parse(body) as { readonly error: unknown }).error)
  } catch {
    return `the agent says ${body.trim()}`
  }
}

async function lookUp(file: string, flags: HostFlags, io: Io): Promise<View> {
  const { policy } = await loadHostPolicy(file, flags, io)
  return makeView(resolvePolicy(policy), await readTable(createNft()))
}
