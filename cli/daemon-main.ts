/** `ringwall daemon` as packages start it: nothing is loaded that is not the daemon's. */
import { command } from './commands/daemon.ts'
import { runService } from './run-service.ts'

runService(command, 'ringwalld')
