/** The process of a service that is bundled by itself. */
import { writeFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { type Command, runCommand } from './command.ts'
import { runProcess } from './process.ts'

/** By then a service has done each thing that it goes on doing. */
const settledMs = 30_000

/**
 * Runs the command, whose name comes first in the words of the process. What Node has compiled of it is kept for the next
 * start, where its unit says a folder for that (NODE_COMPILE_CACHE); what was needed to start alone is given back.
 * @param name  as ps, `ss -p` and `systemctl status` show the process, 15 characters at most
 */
export function runService(command: Command, name: string): void {
  callOurselves(name)
  setTimeout(settle, settledMs).unref()
  void runProcess(([, ...args], io) => runCommand(command, args, io))
}

/** Node says "MainThread". The command line stays as it is, unlike with `process.title`. */
function callOurselves(name: string): void {
  try {
    writeFileSync('/proc/self/comm', name)
  } catch {
    // Without /proc it has no name to be shown by.
  }
}

function settle(): void {
  flushCompileCache()
  // Code too, and that of functions used since is compiled again. Only for who starts with --expose-gc, systemd/debian/launcher.sh.
  void globalThis.gc?.({ type: 'major', flavor: 'last-resort' })
}
