/** The `ringwall` command: finds the command asked for and runs it. Each command is loaded only when it is needed. */
import { version } from '../common/version.ts'
import { nearestWord } from '../rules-compiler/validate/nearest-word.ts'
import type { Io } from './command.ts'
import { commandGroups, listedCommands } from './command-list.ts'
import { runProcess } from './process.ts'

const exitBadCommandLine = 2

const nameWidth = Math.max(...[...listedCommands.keys()].map(({ length }) => length))

const groupTexts = commandGroups.map(({ title, commands }) => {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(nameWidth)}  ${summary}\n`)
  return `${title}\n${lines.join('')}`
})

const helpText = `ringwall: cloud-style security groups enforced on Linux hosts

usage: ringwall COMMAND [ARGUMENTS]

${groupTexts.join('\n')}
"ringwall help COMMAND" or "ringwall COMMAND --help" says more about one;
"ringwall --version" prints the version.
Exit codes: 0 done; 1 failed, or a finding the caller asked to fail on; 2 bad
input; 3 stored, but not in force everywhere in time; 4 the daemon refused; 5 it
cannot be reached.
`

await runProcess(main)

async function main([name, ...args]: readonly string[], io: Io): Promise<number> {
  switch (name) {
    case undefined:
      io.stderr.write(helpText)
      return exitBadCommandLine
    case 'help':
      if (args[0] !== undefined && !args[0].startsWith('-')) return runNamed(args[0], [...args.slice(1), '--help'], io)
      io.stdout.write(helpText)
      return 0
    case '--help':
    case '-h':
      io.stdout.write(helpText)
      return 0
    case '--version':
    case '-V':
    case 'version':
      io.stdout.write(`ringwall ${version}\n`)
      return 0
    default:
      return runNamed(name, args, io)
  }
}

async function runNamed(name: string, args: readonly string[], io: Io): Promise<number> {
  const listed = listedCommands.get(name)
  if (listed === undefined) {
    io.stderr.write(`ringwall: ${unknownText(name)}\n`)
    return exitBadCommandLine
  }
  const [{ runCommand }, { command }] = await Promise.all([import('./command.ts'), listed.load()])
  return runCommand(command, args, io)
}

function unknownText(name: string): string {
  const isFlag = name.startsWith('-')
  const nearest = nearestWord(name, isFlag ? ['--help', '--version'] : [...listedCommands.keys()])
  if (nearest !== null) return `unknown ${isFlag ? 'flag' : 'command'} "${name}"; did you mean "${nearest}"?`
  if (!isFlag) return `unknown command "${name}". See "ringwall --help".`
  return `"${name}" before the command; flags go behind it, as in: ringwall sg list --json`
}
