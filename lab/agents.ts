/** The agents of the lab: one real `ringwall agent` process in each host that has ENIs, enrolled with a token. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Control } from './control.ts'
import type { AgentHost, Fleet } from './fleet.ts'
import { asHost, endOf, logOf, startLogged } from './launcher.ts'
import type { Namespace } from './netns.ts'
import type { Network } from './network.ts'
import { instanceId } from './policies.ts'

/** For the slowest of many on a loaded machine. */
const readyTimeoutMs = 120_000
const pollMs = 100
/** Starting a process takes a core for half a second: more at once than this only make each slower. */
const startedAtOnce = 4

export interface HostWithAgent {
  readonly name: string
  readonly namespace: Namespace
  /** What the agent will serve. */
  readonly instanceIds: readonly string[]
}

/**
 * Enrols and starts all agents, and waits until every one has what it must enforce in its kernel.
 * @throws {Error} with the end of its log if one does not in time
 */
export async function startAgents(
  { agentHosts, enis }: Fleet,
  { folder, network, control }: { readonly folder: string; readonly network: Network; readonly control: Control },
): Promise<void> {
  const hosts = agentHosts.map((name: AgentHost): HostWithAgent => {
    const instanceIds = enis.filter(eni => eni.host === name).map(({ owner }) => instanceId(owner))
    return { name, namespace: network.get(name)!, instanceIds }
  })
  await startAgentsOn(hosts, { folder, control })
}

/** The same for any hosts. @returns the processes, keyed by the host's name */
export async function startAgentsOn(
  hosts: readonly HostWithAgent[],
  { folder, control }: { readonly folder: string; readonly control: Control },
): Promise<ReadonlyMap<string, ChildProcess>> {
  const waiting = [...hosts]
  const running = new Map<string, ChildProcess>()
  const startNext = async (): Promise<void> => {
    for (let host = waiting.shift(); host !== undefined; host = waiting.shift()) {
      await enrol(host, folder, control)
      running.set(host.name, startAgent(host, folder))
    }
  }
  await Promise.all(Array.from({ length: startedAtOnce }, startNext))
  await allInSync(running, folder, control)
  return running
}

async function enrol({ name, namespace, instanceIds }: HostWithAgent, folder: string, control: Control): Promise<void> {
  const { token } = await control.call<{ token: string }>('POST', '/v1/enrolment-tokens', { instanceIds })
  const args = ['agent', 'join', control.agentUrl, '--token', token, '--state-dir', stateDirOf(folder, name)]
  await namespace.run(...asHost(name, args))
}

/** Of a host that has enrolled. */
export function startAgent(
  { name, namespace }: Pick<HostWithAgent, 'name' | 'namespace'>,
  folder: string,
  flags: readonly string[] = [],
): ChildProcess {
  const args = ['agent', '--state-dir', stateDirOf(folder, name), ...flags]
  return startLogged({ namespace, hostName: name, args, log: logOf(folder, name) })
}

async function allInSync(running: ReadonlyMap<string, ChildProcess>, folder: string, control: Control): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs
  for (;;) {
    const { totalCount } = await control.call<{ totalCount: number }>('GET', '/v1/agents?state=in-sync&maxResults=1')
    if (totalCount === running.size) return
    const dead = [...running].find(([, agent]) => agent.exitCode !== null || agent.signalCode !== null)
    if (dead !== undefined) throw new Error(`The agent of ${dead[0]} ended:\n${endOf(logOf(folder, dead[0]))}`)
    if (performance.now() > deadline) {
      const { items } = await control.call<{ items: unknown[] }>('GET', '/v1/agents')
      throw new Error(`${totalCount} of ${running.size} agents are in sync; all of them: ${JSON.stringify(items)}`)
    }
    await setTimeout(pollMs)
  }
}

export function stateDirOf(folder: string, name: string): string {
  return join(folder, `${name}.state`)
}
