/** `ringwall agent --policy FILE`: stays, and keeps the kernel in agreement with the file. */
import { once } from 'node:events'
import { resolve } from 'node:path'
import { startAgent } from '../../agent/agent.ts'
import { createLogger, logLevels } from '../../common/log.ts'
import { choiceFlag, numberFlag, parseArguments, requireFlag } from '../arguments.ts'
import { type Command, UsageError } from '../command.ts'

const usage = `usage: ringwall agent --policy FILE [--metrics-address ADDRESS:PORT] [--state-dir DIR]
                      [--on-stop keep|flush] [--log-level LEVEL]

Keeps this network namespace in agreement with a policy file: applies each change of the file as the smallest
transaction, cuts sessions that are no longer allowed, heals the ruleset when something else alters it, and follows
devices that come, go or are renamed. A file with faults changes nothing: the last good ruleset stays in force.

  --policy FILE                   policy in YAML or JSON; best replaced by renaming a finished file over it
  --metrics-address ADDRESS:PORT  where /metrics and /health are served, loopback only; 127.0.0.1:9469 if left out,
                                  "none" for nowhere
  --state-dir DIR                 where the last good policy and ruleset are kept; none if left out
  --on-stop keep|flush            what becomes of the ruleset when the agent stops; keep if left out
  --log-level LEVEL               debug, info, warn or error; info if left out

Logs are JSON, one object a line, on standard output. "ringwall show" tells what is in force.
`

const options = {
  policy: { type: 'string' },
  'metrics-address': { type: 'string', default: '127.0.0.1:9469' },
  'state-dir': { type: 'string' },
  'on-stop': { type: 'string', default: 'keep' },
  'log-level': { type: 'string', default: 'info' },
} as const

export const command: Command = {
  name: 'agent',
  summary: 'stay, and keep the kernel in agreement with a policy file',
  usage,
  run,
}

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  if (positionals[0] !== undefined)
    throw new UsageError(`unexpected argument "${positionals[0]}": expected --policy FILE`)
  const stopSignal = Promise.race((['SIGTERM', 'SIGINT'] as const).map(signal => once(process, signal)))
  const log = createLogger('ringwall-agent', choiceFlag('log-level', values['log-level'], logLevels))
  process.once('uncaughtException', error => {
    log.fatal({ error, stack: error.stack }, 'the agent ends by a fault of its own; the ruleset stays in force')
    process.exit(1)
  })
  const agent = await startAgent({
    policyPath: resolve(requireFlag('policy', values.policy)),
    metrics: readMetricsAddress(values['metrics-address']),
    stateDir: values['state-dir'] === undefined ? null : resolve(values['state-dir']),
    onStop: choiceFlag('on-stop', values['on-stop'], ['keep', 'flush']),
    log,
  })
  await stopSignal
  await agent.stop()
  return 0
}

function readMetricsAddress(text: string): { readonly address: string; readonly port: number } | null {
  if (text === 'none') return null
  const [, address, port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(text) ?? []
  if (address === undefined || port === undefined) {
    throw new UsageError(`--metrics-address is "${text}", expected ADDRESS:PORT such as 127.0.0.1:9469, or "none"`)
  }
  return { address, port: numberFlag('metrics-address', port, [0, 65_535]) }
}
