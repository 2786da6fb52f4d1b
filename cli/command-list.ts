/**
 * Every command in the order of the help text. Summaries stand here too, and a test compares them with the commands'
 * own, so that the list can be printed without loading all of them: that takes ten times as long.
 */
import type { Command } from './command.ts'

export interface ListedCommand {
  readonly summary: string
  readonly load: () => Promise<{ readonly command: Command }>
}

export interface CommandGroup {
  readonly title: string
  readonly commands: Readonly<Record<string, ListedCommand>>
}

export const commandGroups: readonly CommandGroup[] = [
  {
    title: 'Look, without changing anything:',
    commands: {
      compile: {
        summary: 'print the nftables ruleset of a policy file',
        load: () => import('./commands/compile.ts'),
      },
      explain: { summary: 'say what decides about a packet', load: () => import('./commands/explain.ts') },
      analyze: { summary: 'report risky and pointless rules', load: () => import('./commands/analyze.ts') },
      show: { summary: 'show what is in force, with counters', load: () => import('./commands/show.ts') },
    },
  },
  {
    title: 'Act on the network namespace it runs in (needs root):',
    commands: {
      apply: { summary: 'load a policy file into the kernel', load: () => import('./commands/apply.ts') },
      confirm: { summary: 'keep what "apply --confirm" has put in force', load: () => import('./commands/confirm.ts') },
      flush: { summary: "remove all that is Ringwall's from the kernel", load: () => import('./commands/flush.ts') },
      agent: {
        summary: 'stay, and keep the kernel in agreement with a policy file',
        load: () => import('./commands/agent.ts'),
      },
    },
  },
  {
    title: 'Play, in network namespaces of its own (needs root):',
    commands: {
      lab: {
        summary: 'try it: hosts, agents and real traffic on this machine',
        load: () => import('./commands/lab.ts'),
      },
    },
  },
]

export const listedCommands: ReadonlyMap<string, ListedCommand> = new Map(
  commandGroups.flatMap(({ commands }) => Object.entries(commands)),
)
