/** `ringwall confirm`: keeps what a waiting `ringwall apply --confirm` has put in force. */
import { readFileSync } from 'node:fs'
import { findHolder } from '../../agent/lock.ts'
import { noArguments } from '../arguments.ts'
import type { Command } from '../command.ts'

const usage = `usage: ringwall confirm

Keeps what a "ringwall apply --confirm SECONDS" that waits in this network namespace has put in force. Run it from a
new connection to the host: that it gets through is the proof.
`

/** A signal, because only root and the one who applied may send it; anybody could write to the lock's socket. */
export const confirmSignal = 'SIGUSR2'

export const command: Command = {
  name: 'confirm',
  summary: 'keep what "apply --confirm" has put in force',
  usage,
  async run(args, io) {
    noArguments(args)
    const holder = await findHolder()
    // Who answers the socket may be anybody, so what it says is believed of a process that is an apply only.
    if (holder?.role !== 'apply' || !isApply(holder.pid)) {
      io.stderr.write('Cannot confirm: no "ringwall apply --confirm" is waiting in this network namespace.\n')
      return 1
    }
    process.kill(holder.pid, confirmSignal)
    io.stdout.write('Confirmed.\n')
    return 0
  },
}

function isApply(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return words.includes('apply') && words.some(word => word.startsWith('--confirm'))
  } catch {
    return false
  }
}
