import { defaultSocketName, findHolder, type LockHolder } from '../../lock.ts'
import { defineCheck } from '../check.ts'

export interface LockFacts {
  readonly holder: LockHolder | null
  /** Whether anybody listens under the name. */
  readonly isTaken: boolean
}

export const agentLock = defineCheck<LockFacts, 'lock-stranger' | 'agent-away' | 'lock-held' | 'agent-runs'>({
  name: 'agent-lock',
  area: 'agent',
  question: 'Does an agent run here?',
  needs: [],
  outcomes: {
    'lock-stranger': {
      severity: 'failure',
      means:
        'A process that does not answer as Ringwall does holds the agent’s socket: no agent can start or be asked.',
      advice: '"ss -xlp" names the process; end it.',
    },
    'lock-held': {
      severity: 'note',
      means: 'Another command is changing the ruleset of this network namespace; an agent starts when it has ended.',
      advice: '',
    },
    'agent-away': {
      severity: 'note',
      means: 'What is in the kernel stays in force, and nothing follows changes.',
      advice:
        'Start it, if this host is to have one: systemctl start ringwall-agent, or ringwall agent without the package.',
    },
    'agent-runs': { severity: 'ok', means: 'It answers.', advice: '' },
  },
  async gather({ readText }) {
    const sockets = (await readText('/proc/net/unix')) ?? ''
    return {
      holder: await findHolder(),
      isTaken: sockets.split('\n').some(line => line.endsWith(` @${defaultSocketName}`)),
    }
  },
  judge({ holder, isTaken }) {
    if (holder === null && isTaken) return [{ code: 'lock-stranger', found: `@${defaultSocketName} is taken` }]
    if (holder === null) return [{ code: 'agent-away', found: 'no agent' }]
    const { role, pid, policyPath, daemonUrl } = holder
    if (role !== 'agent') return [{ code: 'lock-held', found: `ringwall ${role}, process ${pid}`, details: holder }]
    const lead = daemonUrl ?? policyPath
    return [{ code: 'agent-runs', found: `process ${pid}${lead === null ? '' : `, led by ${lead}`}`, details: holder }]
  },
})
