/** A noun as a command: reads the arguments, finds the daemon, runs the verb and tells what came of it. */
import { insteadOf } from '../arguments.ts'
import { Client } from '../client/client.ts'
import { Connection } from '../client/connection.ts'
import { contextsPath, isReadByOthers } from '../client/contexts.ts'
import { RefusedError } from '../client/errors.ts'
import { findTarget, tokenAdvice } from '../client/target.ts'
import { type Command, exitFailed, type Io, UsageError } from '../command.ts'
import { confirmed, isTerminal, StatusLine, widthOf } from '../output/terminal.ts'
import { Daemon } from './daemon.ts'
import { type Enforcement, enforcementExit, enforcementLines } from './enforcement.ts'
import type { CommonValues } from './flags.ts'
import { nounHelp, verbHelp } from './help.ts'
import { type Parsed, parseVerb } from './parse.ts'
import { previewLines } from './preview.ts'
import type { Shown } from './resources.ts'
import { type Call, type LocalCall, NotConfirmed, type Noun, type Result, type Verb } from './verb.ts'

export interface NounCommand extends Command {
  readonly noun: Noun
  helpFor(args: readonly string[]): string
}

export function nounCommand(noun: Noun): NounCommand {
  return {
    name: noun.name,
    summary: noun.summary,
    usage: nounHelp(noun),
    noun,
    helpFor(args) {
      const verb = noun.verbs.find(({ name }) => name === '' || name === args.find(arg => !arg.startsWith('-')))
      return verb === undefined ? nounHelp(noun) : verbHelp(noun, verb)
    },
    run: (args, io) => runNoun(noun, args, io),
  }
}

/** @throws {UsageError | InputError | OperationError} */
async function runNoun(noun: Noun, args: readonly string[], io: Io, env: Call['env'] = process.env): Promise<number> {
  const [only] = noun.verbs
  if (only?.name === '') return runVerb(only, args, io, env)
  const [name, ...rest] = args
  const verb = noun.verbs.find(each => each.name === name)
  if (verb !== undefined) return await inPlace(`${noun.name} ${verb.name}`, () => runVerb(verb, rest, io, env))
  const names = noun.verbs.map(each => each.name)
  if (name === undefined) throw new UsageError(`missing VERB, expected ${names.join(', ')}`)
  if (name.startsWith('-')) {
    throw new UsageError(
      `"${name}" before the verb; flags go behind it, as in: ringwall ${noun.name} ${names[0]} ${name}`,
    )
  }
  throw new UsageError(`unknown verb "${name}"; ${insteadOf(name, names)}`)
}

/** A mistake in a verb's words is one to be read up under the verb. */
async function inPlace<T>(place: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(error.message, place) : error
  }
}

async function runVerb(verb: Verb, args: readonly string[], io: Io, env: Call['env']): Promise<number> {
  const parsed = parseVerb(verb, args)
  const flags = parsed.flags as CommonValues
  const call: LocalCall = {
    ...(parsed as Parsed & Pick<Call, 'flags'>),
    io,
    env,
    confirm: question => confirm(question, flags, io),
  }
  try {
    const result = await runWhere(verb, call)
    return result === null ? 0 : tell(result, flags, io)
  } catch (error) {
    if (!(error instanceof NotConfirmed)) throw error
    io.stderr.write('Nothing was changed.\n')
    return exitFailed
  }
}

/** @throws {UsageError} where a daemon is named, and none is to be asked */
function runWhere(verb: Verb, call: LocalCall): Promise<Result | null> {
  const flags = call.flags as CommonValues
  if (verb.effect === 'local') return verb.run(call as Call)
  if (verb.runLocally === undefined || flags.local !== true) {
    return withDaemon(flags, call, daemon => verb.run({ ...call, daemon }))
  }
  const named = (['context', 'url', 'token'] as const).find(flag => flags[flag] !== undefined)
  if (named !== undefined) {
    throw new UsageError(`--local and --${named} exclude each other: the agent on this host is asked, or a daemon`)
  }
  return verb.runLocally(call)
}

/** Finds the daemon, and closes the connection to it in the end. */
export async function withDaemon<T>(
  flags: CommonValues,
  { io, env }: Pick<LocalCall, 'io' | 'env'>,
  use: (daemon: Daemon) => Promise<T>,
): Promise<T> {
  const target = await findTarget(flags, env)
  if (target.context !== null && (await isReadByOthers(contextsPath(env)))) {
    io.stderr.write(`warning: others may read the tokens of "${contextsPath(env)}"; chmod 600 it\n`)
  }
  const status = new StatusLine(io.stderr)
  const connection = new Connection(target)
  const client = new Client(connection, {
    onPause: seconds => io.stderr.write(`The daemon asks for a pause of ${seconds} s.\n`),
  })
  try {
    return await use(new Daemon({ client, target, flags, status, showsProgress: isTerminal(io.stderr) }))
  } catch (error) {
    const isOfToken = error instanceof RefusedError && error.problem.status === 401
    throw isOfToken ? new RefusedError(error.problem, tokenAdvice(target)) : error
  } finally {
    status.clear()
    connection.close()
  }
}

/** Where nobody sits at a terminal, the command itself was the decision. */
async function confirm(question: string, flags: CommonValues, io: Io): Promise<void> {
  if (flags.yes === true || flags['dry-run'] === true || !isTerminal(io.stdin)) return
  if (!(await confirmed(question, io))) throw new NotConfirmed()
}

/** What an answer to a write may have. */
interface Waited {
  readonly dryRun: boolean
  readonly enforcement: Enforcement
}

function tell({ answer, text, exitCode = 0 }: Result, flags: CommonValues, io: Io): number {
  const { dryRun = false, enforcement, revision } = (answer ?? {}) as Shown & Partial<Waited>
  const waited = flags.wait !== undefined && enforcement !== undefined ? enforcement : null
  if (flags.json === true) {
    io.stdout.write(`${JSON.stringify(answer, null, 2)}\n`)
  } else {
    const width = widthOf(io.stdout)
    const lines = dryRun === true ? previewLines(answer as Shown, width) : text(width)
    for (const line of [...lines, ...(waited === null ? [] : enforcementLines(waited, Number(revision), width))])
      io.stdout.write(`${line}\n`)
  }
  return waited === null ? exitCode : enforcementExit(waited) || exitCode
}
