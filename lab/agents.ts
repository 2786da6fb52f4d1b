/** The agents of the lab: one real `ringwall agent` process in each host that has ENIs. */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type AgentHost, agentHosts } from './fleet.ts'
import type { Network } from './network.ts'
import { type PolicyChange, policyText } from './policies.ts'
import type { Peers } from './traffic.ts'

const launcher = join(import.meta.dirname, '..', 'ringwall')
const metricsPort = 9469
const readyTimeoutMs = 20_000
const pollMs = 50

export interface AgentFiles {
  readonly policy: string
  readonly log: string
  readonly stateDir: string
}

export function agentFiles(folder: string, host: AgentHost): AgentFiles {
  const inFolder = (name: string) => join(folder, name)
  return { policy: inFolder(`${host}.yaml`), log: inFolder(`${host}.log`), stateDir: inFolder(`${host}.state`) }
}

export async function writePolicy(folder: string, host: AgentHost, change: PolicyChange = {}): Promise<void> {
  await writeFile(agentFiles(folder, host).policy, policyText(host, change))
}

/**
 * Starts all agents and waits until every one says that its ruleset stands in the kernel.
 * @throws {Error} with the end of its log if one does not within 20 s
 */
export async function startAgents(folder: string, network: Network, peers: Peers): Promise<void> {
  await Promise.all(
    agentHosts.map(async host => {
      const { policy, log, stateDir } = agentFiles(folder, host)
      await writePolicy(folder, host)
      const address = `127.0.0.1:${metricsPort}`
      const args = ['agent', '--policy', policy, '--metrics-address', address, '--state-dir', stateDir]
      const output = openSync(log, 'a')
      const agent = network.get(host)!.spawn(launcher, args, { stdio: ['ignore', output, output] })
      closeSync(output)
      const deadline = performance.now() + readyTimeoutMs
      while (!(await isInForce(host, peers))) {
        if (agent.exitCode === null && agent.signalCode === null && performance.now() < deadline)
          await setTimeout(pollMs)
        else throw new Error(`The agent of ${host} is not in force; the end of ${log}:\n${endOf(log)}`)
      }
    }),
  )
}

/** Whether the agent says that its policy stands in the kernel; false where it does not answer yet. */
export async function isInForce(host: AgentHost, peers: Peers): Promise<boolean> {
  try {
    const { status, body } = await peers.get(host)!.httpGet('127.0.0.1', metricsPort, '/health')
    return status === 200 && (JSON.parse(body) as { inForce?: boolean }).inForce === true
  } catch {
    return false
  }
}

function endOf(log: string): string {
  return readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')
}
