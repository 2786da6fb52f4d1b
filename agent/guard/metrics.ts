/** What the guard tells Prometheus. */
import { Gauge, type Registry } from 'prom-client'
import { counterBy } from '../../common/counter-by.ts'

const trialOutcomes = ['confirmed', 'rolled-back', 'superseded'] as const

export type GuardMetrics = ReturnType<typeof createGuardMetrics>

export function createGuardMetrics(registry: Registry) {
  const registers = [registry]
  const trials = counterBy({
    name: 'ringwall_agent_guard_trials_total',
    help: 'Policies that were put in force on trial, by outcome. A rise of "rolled-back" means policies that would lock the agent or an administrator out.',
    label: 'outcome',
    values: trialOutcomes,
    registers,
  })
  const onTrial = new Gauge({
    name: 'ringwall_agent_guard_on_trial',
    help: '1 while a policy is in force on trial; 0 means that none is.',
    registers,
  })
  const refusing = new Gauge({
    name: 'ringwall_agent_guard_refusing',
    help: '1 while a policy is refused because it would lock the agent or an administrator out; 0 means that none is.',
    registers,
  })
  const open = new Gauge({
    name: 'ringwall_agent_open',
    help: '1 while the host is open because of "ringwall panic" and nothing is enforced; 0 means that it is not.',
    registers,
  })
  return { trials, onTrial, refusing, open }
}
