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
    title: 'Speak to the control daemon:',
    commands: {
      sg: { summary: 'security groups, and who is in them', load: () => import('./commands/sg.ts') },
      rule: { summary: 'rules of security groups', load: () => import('./commands/rule.ts') },
      'prefix-list': { summary: 'named lists of CIDR blocks', load: () => import('./commands/prefix-list.ts') },
      'port-range-list': { summary: 'named lists of ports', load: () => import('./commands/port-range-list.ts') },
      instance: { summary: 'hosts and the virtual machines on them', load: () => import('./commands/instance.ts') },
      eni: { summary: 'network interfaces, where groups are enforced', load: () => import('./commands/eni.ts') },
      account: { summary: 'owners of all other objects', load: () => import('./commands/account.ts') },
    },
  },
  {
    title: 'See floods, and what is done about them:',
    commands: {
      ddos: {
        summary: 'floods on instances: thresholds, cleaning, black holes',
        load: () => import('./commands/ddos.ts'),
      },
      top: { summary: 'watch inbound traffic and floods, once a second', load: () => import('./commands/top.ts') },
    },
  },
  {
    title: 'Look after the control daemon and its fleet:',
    commands: {
      context: { summary: 'which daemon commands speak to', load: () => import('./commands/context.ts') },
      token: { summary: 'API tokens: who may ask, and for what', load: () => import('./commands/token.ts') },
      ram: {
        summary: 'users, groups, policies, roles and access keys',
        load: () => import('./commands/ram.ts'),
      },
      change: { summary: 'what was written, and where it is in force', load: () => import('./commands/change.ts') },
      audit: { summary: 'who did what, and who was refused', load: () => import('./commands/audit.ts') },
      health: { summary: 'report risky and pointless rules of the fleet', load: () => import('./commands/health.ts') },
      limits: { summary: 'how far each limit is used', load: () => import('./commands/limits.ts') },
      settings: { summary: 'what holds for the whole fleet', load: () => import('./commands/settings.ts') },
      backup: { summary: 'the whole state, into a file and back', load: () => import('./commands/backup.ts') },
    },
  },
  {
    title: 'Run the services:',
    commands: {
      daemon: { summary: 'run the control daemon', load: () => import('./commands/daemon.ts') },
      agent: {
        summary: 'enforce here what the daemon or a policy file says; manage agents',
        load: () => import('./commands/agent.ts'),
      },
    },
  },
  {
    title: 'Look at policy files and packets, without changing anything:',
    commands: {
      compile: { summary: 'print the nftables ruleset of a policy file', load: () => import('./commands/compile.ts') },
      explain: { summary: 'say what decides about a packet', load: () => import('./commands/explain.ts') },
      analyze: { summary: 'report risky and pointless rules', load: () => import('./commands/analyze.ts') },
      show: { summary: 'show what is in force, with counters', load: () => import('./commands/show.ts') },
    },
  },
  {
    title: 'Act on the network namespace it runs in (needs root):',
    commands: {
      apply: { summary: 'load a policy file into the kernel', load: () => import('./commands/apply.ts') },
      confirm: {
        summary: 'keep what "apply" or the agent has put in force on trial',
        load: () => import('./commands/confirm.ts'),
      },
      logs: {
        summary: 'packets that are dropped, would be, or are accepted here',
        load: () => import('./commands/logs.ts'),
      },
      doctor: { summary: 'say whether this host suits Ringwall', load: () => import('./commands/doctor.ts') },
      panic: { summary: 'open this host at once, and keep it open', load: () => import('./commands/panic.ts') },
      flush: { summary: "remove all that is Ringwall's from the kernel", load: () => import('./commands/flush.ts') },
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
  {
    title: 'Work faster:',
    commands: {
      completion: {
        summary: 'make a shell complete commands, ids and names',
        load: () => import('./commands/completion.ts'),
      },
    },
  },
]

export const listedCommands: ReadonlyMap<string, ListedCommand> = new Map(
  commandGroups.flatMap(({ commands }) => Object.entries(commands)),
)
