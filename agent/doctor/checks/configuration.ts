import { defaultStateDir } from '../../link/credentials.ts'
import { findHolder, type LockHolder } from '../../lock.ts'
import { defineCheck } from '../check.ts'

export interface ConfigurationFacts {
  readonly faults: readonly string[]
  /** Null where there is none. */
  readonly file: string | null
  /** As the settings have it. */
  readonly stateDir: string
  readonly holder: Pick<LockHolder, 'role' | 'pid' | 'stateDir'> | null
}

export const configuration = defineCheck<
  ConfigurationFacts,
  'configuration-faulty' | 'configuration-elsewhere' | 'configuration'
>({
  name: 'configuration',
  area: 'agent',
  question: 'Would an agent start with its configuration?',
  needs: [],
  outcomes: {
    'configuration-faulty': {
      severity: 'failure',
      means:
        'An agent does not start with it; one that runs goes on with what it has read before. Here the defaults stand for what is faulty.',
      advice: 'Mend it: "ringwall agent check" shows every setting, and where it comes from.',
    },
    'configuration-elsewhere': {
      severity: 'note',
      means:
        'The agent that runs was given other settings, by flags or variables of its unit, or has not been started since they changed: what is said here of settings may not be what it has.',
      advice: 'Write settings into the file, and restart the agent.',
    },
    configuration: { severity: 'ok', means: 'Its settings can be used.', advice: '' },
  },
  async gather({ configuration: { config, faults, file } }) {
    return { faults, file, stateDir: config?.values.stateDir ?? defaultStateDir, holder: await findHolder() }
  },
  judge({ faults, file, stateDir, holder }) {
    if (faults.length > 0) return [{ code: 'configuration-faulty', found: faults.join('; '), details: faults }]
    if (holder?.role === 'agent' && holder.stateDir !== null && holder.stateDir !== stateDir) {
      const found = `the agent (process ${holder.pid}) keeps its files in ${holder.stateDir}, its configuration says ${stateDir}`
      return [{ code: 'configuration-elsewhere', found }]
    }
    return [{ code: 'configuration', found: file ?? 'no file, so the defaults' }]
  },
})
