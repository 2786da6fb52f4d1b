import { type Panic, readPanic } from '../../guard/panic.ts'
import { defineCheck } from '../check.ts'

export const panic = defineCheck({
  name: 'panic',
  area: 'state directory',
  question: 'Has an administrator opened this host?',
  needs: [],
  outcomes: {
    'panic-on': {
      severity: 'failure',
      means:
        'Nothing is enforced here until that is undone, whatever the policy says and however often the agent starts.',
      advice: 'When what made it necessary is over: ringwall panic --undo.',
    },
    'no-panic': { severity: 'ok', means: 'Policies are enforced.', advice: '' },
  },
  gather: ({ stateDir }) => readPanic(stateDir),
  judge(state: Panic | null) {
    return [state === null ? { code: 'no-panic', found: 'no' } : { code: 'panic-on', found: `since ${state.since}` }]
  },
})
