/**
 * `ringwall agent [run]` as packages start it: a process that stays, so nothing is loaded that is not the agent's. What Node
 * made of the sources is kept where the unit says (NODE_COMPILE_CACHE), with the functions that were needed meanwhile.
 */
import { flushCompileCache } from 'node:module'
import { runCommand } from './command.ts'
import { command } from './commands/agent.ts'
import { runProcess } from './process.ts'

/** By then it has put a policy in force, looked for drift and told systemd how it stands. */
const settledMs = 30_000

setTimeout(flushCompileCache, settledMs).unref()
void runProcess(([, ...args], io) => runCommand(command, args, io))
