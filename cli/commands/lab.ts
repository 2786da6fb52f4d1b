/** `ringwall lab`: hosts, agents and real traffic on this one machine; and the way into a running lab. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname } from 'node:path'
import { mostFurtherHosts } from '../../lab/fleet.ts'
import { runLab } from '../../lab/lab.ts'
import { launcher } from '../../lab/launcher.ts'
import { table } from '../../lab/report.ts'
import { type LabState, runningLabs } from '../../lab/state.ts'
import { insteadOf, numberFlag, parseArguments } from '../arguments.ts'
import { type Command, type Io, UsageError } from '../command.ts'

const usage = `usage: ringwall lab [--once] [--hosts N]
       ringwall lab status
       ringwall lab env [--lab PID]
       ringwall lab shell HOST [--lab PID] [-- COMMAND…]

Builds ten hosts as network namespaces, starts a control daemon in one of them and a real agent in five,
which enrol with one-time tokens; tells the daemon over REST what is to be enforced; tries real connections
over IPv4 and IPv6, and prints what the policies demand beside what was seen. Then an instance joins a group
and leaves it, and rules are revoked under open sessions. Nothing outside its namespaces is touched. Needs root.

On a terminal the lab then stays up for playing, until Ctrl-C. Elsewhere, and with --once, it ends:
exit code 0 if all was as expected, 1 otherwise.

  --hosts N      N further hosts with an agent each, up to 200; some 100 MB of memory for each
  status         the running labs: hosts, namespaces, whether a ruleset stands, logs, the daemon's address
  env            prints settings for a shell, so that "ringwall sg list" and the like speak to the lab's daemon
  shell HOST     a shell, or COMMAND, in a host of a running lab
  --lab PID      which lab, where several run
`

const options = { once: { type: 'boolean' }, hosts: { type: 'string', default: '0' }, lab: { type: 'string' } } as const

export const command: Command = {
  name: 'lab',
  summary: 'try it: hosts, agents and real traffic on this machine',
  usage,
  async run(args, io) {
    const { values, positionals } = parseArguments(args, options)
    const [action, host, ...words] = positionals
    switch (action) {
      case undefined: {
        const stay = values.once !== true && process.stdin.isTTY && process.stdout.isTTY
        const furtherHosts = numberFlag('hosts', values.hosts, [0, mostFurtherHosts])
        return (await runLab({ stay, furtherHosts, print: line => io.stdout.write(`${line}\n`) })) ? 0 : 1
      }
      case 'status':
        return printStatus(io)
      case 'env':
        return printEnvironment(chooseLab(values.lab), io)
      case 'shell':
        return runIn(chooseLab(values.lab), host, words, io)
      default:
        throw new UsageError(`unknown action "${action}"; ${insteadOf(action, ['status', 'env', 'shell'])}`)
    }
  },
}

function printStatus(io: Io): number {
  const labs = runningLabs()
  if (labs.length === 0) io.stdout.write('No lab is running. Start one with: ringwall lab\n')
  for (const { pid, folder, namespaces, url } of labs) {
    const rows = Object.entries(namespaces).map(([host, name]) => {
      const standing = enter(name, ['nft', '-t', 'list', 'table', 'inet', 'ringwall']).status === 0
      return [host, name, standing ? 'stands' : 'none']
    })
    io.stdout.write(`lab ${pid}, daemon at ${url}, logs in ${folder}\n`)
    for (const line of table(['host', 'namespace', 'ruleset'], rows)) io.stdout.write(`  ${line}\n`)
  }
  return 0
}

function printEnvironment({ url, token }: LabState, io: Io): number {
  io.stdout.write(`export RINGWALL_URL=${url} RINGWALL_TOKEN=${token}\n`)
  return 0
}

function enter(namespace: string, words: readonly string[]) {
  return spawnSync('ip', ['netns', 'exec', namespace, ...words], { stdio: 'ignore' })
}

function chooseLab(pidText: string | undefined): LabState {
  const labs = runningLabs()
  const pids = labs.map(({ pid }) => pid).join(', ')
  if (pidText !== undefined) {
    const pid = numberFlag('lab', pidText, [1, 4_194_304])
    const chosen = labs.find(lab => lab.pid === pid)
    if (chosen === undefined) throw new UsageError(`--lab ${pid} is not running, expected ${pids || 'a running lab'}`)
    return chosen
  }
  const [only, another] = labs
  if (only === undefined) throw new UsageError('no lab is running, start one with "ringwall lab" in another terminal')
  if (another !== undefined) throw new UsageError(`several labs are running, choose one with --lab: ${pids}`)
  return only
}

async function runIn(lab: LabState, host: string | undefined, words: readonly string[], io: Io): Promise<number> {
  const hosts = Object.keys(lab.namespaces)
  if (host === undefined) throw new UsageError(`missing HOST, expected ${hosts.join(', ')}`)
  if (!hosts.includes(host)) throw new UsageError(`unknown host "${host}"; ${insteadOf(host, hosts)}`)
  const interactive = words.length === 0
  if (interactive) io.stdout.write(hints(lab, host))
  const child = spawn('ip', ['netns', 'exec', lab.namespaces[host]!, ...(interactive ? ['bash', '--norc'] : words)], {
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: `${dirname(launcher)}${delimiter}${process.env.PATH}`,
      PS1: `[${host}] \\w # `,
      RINGWALL_LAB_ONLY: '1',
    },
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

function hints(lab: LabState, host: string): string {
  return `You are in "${host}" of lab ${lab.pid}; leave with exit. To try:
  ip -br address                          where you are
  ping -c 1 198.18.1.2                    web; 2001:db8:1::2 by IPv6
  timeout 2 bash -c '</dev/tcp/198.18.1.2/443' && echo reached
  ringwall show                           what is in force here, with counters
  nft list table inet ringwall            the same as nft sees it
Changes are the daemon's: from another terminal, eval "$(ringwall lab env)" and ringwall rule add …
`
}
