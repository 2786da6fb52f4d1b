/** `ringwall confirm`: keeps what a waiting `ringwall apply`, or an agent's trial, has put in force. */
import type { Guard } from '../../agent/guard/guard.ts'
import { askHolder } from '../../agent/lock.ts'
import { noArguments } from '../arguments.ts'
import type { Command } from '../command.ts'
import { findTrusted } from '../host-agent.ts'

const usage = `usage: ringwall confirm

Keeps what a "ringwall apply" that waits for it in this network namespace has put in force, or the policy
that the agent here has put in force on trial. Run it from a new connection to the host: that it gets through is the
proof. An agent that a daemon leads must reach it through the policy too.
`

/** A signal, because only root and the one who applied may send it; anybody could write to the lock's socket. */
export const confirmSignal = 'SIGUSR2'

export const command: Command = {
  name: 'confirm',
  summary: 'keep what "apply" or the agent has put in force on trial',
  usage,
  async run(args, io) {
    noArguments(args)
    // Whoever else answers may have any process sent the signal, which ends it.
    const holder = await findTrusted('apply', 'agent')
    if (holder === null || !(await isOnTrial())) {
      io.stderr.write('Cannot confirm: nothing in this network namespace waits for it.\n')
      return 1
    }
    process.kill(holder.pid, confirmSignal)
    io.stdout.write('Confirmed.\n')
    return 0
  },
}

/** What an `apply` answers where an agent's guard would: of it nothing else is asked. */
export function standingOf({ waits }: { readonly waits: boolean }): {
  readonly trial: Pick<Trial, 'needsPerson'> | null
} {
  return { trial: waits ? { needsPerson: true } : null }
}

type Trial = NonNullable<ReturnType<Guard['status']>['trial']>

async function isOnTrial(): Promise<boolean> {
  const answer = await askHolder('/guard')
  return (
    answer?.status === 200 && (JSON.parse(answer.body) as ReturnType<typeof standingOf>).trial?.needsPerson === true
  )
}
