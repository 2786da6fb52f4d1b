/** How the daemon stands in one sentence, for `systemctl status`. */
import { type AgentState, agentStates } from './push/agent-record.ts'

/** @param agents  how many are in each state; states that are missing have none */
export function statusLine(agents: ReadonlyMap<AgentState, number>, revision: number): string {
  const counts = agentStates.flatMap(state => {
    const count = agents.get(state) ?? 0
    return count === 0 ? [] : [`${count} ${state}`]
  })
  return `revision ${revision}; agents: ${counts.length === 0 ? 'none' : counts.join(', ')}`
}
