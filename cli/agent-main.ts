/** `ringwall agent` as packages start it: a process that stays, so nothing is loaded that is not the agent's. */
import { command } from './commands/agent.ts'
import { runService } from './run-service.ts'

runService(command, 'ringwall-agent')
