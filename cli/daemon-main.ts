/** `ringwall daemon` as packages start it. */
import { runCommand } from './command.ts'
import { command } from './commands/daemon.ts'
import { runProcess } from './process.ts'

void runProcess(([, ...args], io) => runCommand(command, args, io))
