/** Who leads the agent, by its settings and by what is on the host. */
import { access } from 'node:fs/promises'
import type { Config } from '../common/config/read.ts'
import type { AgentSource } from './agent.ts'
import { type agentConfig, defaultPolicyFile } from './config.ts'
import { defaultStateDir, readCredentials } from './link/credentials.ts'

/**
 * A policy file that is named; else the daemon whose credentials are there; else the usual policy file.
 * @param usualPolicyFile  another one, for tests
 * @returns null where there is none of them
 * @throws {Error} if there are credentials that cannot be read
 */
export async function findSource(
  { values, settings }: Config<(typeof agentConfig)['settings']>,
  usualPolicyFile = defaultPolicyFile,
): Promise<AgentSource | null> {
  const { policy } = values
  const stateDir = values.stateDir ?? defaultStateDir
  if (policy !== null) {
    // On the command line a policy is tried; who writes it into a file, or a variable of a unit, runs a service.
    const isTrial = settings.get('policy')?.origin.kind === 'flag' && values.stateDir === null
    return { kind: 'file', policyPath: policy, stateDir: isTrial ? null : stateDir }
  }
  const credentials = await readCredentials(stateDir)
  if (credentials !== null) return { kind: 'daemon', credentials, stateDir }
  return (await isThere(usualPolicyFile)) ? { kind: 'file', policyPath: usualPolicyFile, stateDir } : null
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
