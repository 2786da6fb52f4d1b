/** What drills of the lockout guard share: an administrator's session to a host, and the lines of the agent's log. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach } from 'node:test'
import type { Conversation } from '../../lab/conversation.ts'
import type { LogLine, TestAgent } from './agent.ts'
import {
  addresses,
  createHostNetwork,
  type HostNetwork,
  hostHealth,
  metricsAddress,
  portsAccepted,
} from './host-network.ts'
import { needsKernel } from './requirements.ts'
import { ringwallProgram } from './ringwall.ts'
import { arrives, converse, eventually, listenForSessions, patienceMs } from './sessions.ts'
import { slowness } from './slowness.ts'

/** Short enough to wait for; nothing may have to be done during the trial. */
export const trialSeconds = 3 * slowness
/** For a trial that ends by itself, and in which something is done before, by a busy machine too. */
export const roomySeconds = 12 * slowness
/** Long enough for a busy machine to confirm within. */
export const patientSeconds = 120
/** The first stands for SSH. */
export const drillPorts = [7000, 7001] as const
export const metricsFlags = ['--metrics-address', metricsAddress] as const
export const guardFlags = (seconds: number = trialSeconds) =>
  ['--guard-seconds', String(seconds), '--rescue-port', String(drillPorts[0])] as const

/** The host of the drills of a file, as one that has never had a ruleset before each of them. */
export class DrillHost {
  #network: HostNetwork | null = null
  #folder: string | null = null

  /** Between `before` and `after`. */
  get network(): HostNetwork {
    return this.#network!
  }

  /** The agent's, in a drill: empty when it begins. */
  get folder(): string {
    return this.#folder!
  }

  ringwall(...args: readonly string[]) {
    return this.network.namespaces.host.run(ringwallProgram, args, { allowFailure: true })
  }

  readHealth() {
    return hostHealth(this.network)
  }

  /** Called where tests are declared. */
  static prepare(): DrillHost {
    const host = new DrillHost()
    before(async () => {
      if (needsKernel !== false) return
      host.#network = await createHostNetwork()
      for (const port of drillPorts) await listenForSessions(host.network.peers.host, port)
    })
    after(() => host.#network?.[Symbol.asyncDispose]())
    beforeEach(async () => {
      if (needsKernel !== false) return
      await host.network.namespaces.host.run(ringwallProgram, ['flush'])
      host.#folder = await mkdtemp(join(tmpdir(), 'ringwall-guarded-'))
    })
    afterEach(async () => {
      await closeShells()
      if (host.#folder !== null) await rm(host.#folder, { recursive: true, force: true })
    })
    return host
  }
}

export type Shell = Awaited<ReturnType<typeof openShell>>

const shells: Shell[] = []

/** An administrator's session from outside, that has carried something both ways. */
export async function openShell(
  { peers }: HostNetwork,
  port: number = drillPorts[0],
  listeningPort: number = port,
): Promise<{ readonly client: Conversation; readonly server: Conversation }> {
  const ends = { client: peers.outside, server: peers.host, address: addresses.host.ip, port, listeningPort }
  const shell = await converse('tcp', ends)
  shells.push(shell)
  return shell
}

/** After each drill: the next has administrators of its own. */
export async function closeShells(): Promise<void> {
  for (const { client, server } of shells.splice(0)) await Promise.all([client.close(), server.close()])
}

/** Both ways, by what is said now or was said before and is sent again: the later, the longer it was cut. */
export async function works({ client, server }: Shell): Promise<boolean> {
  const goes = (from: Conversation, to: Conversation) => arrives(from, to, patienceMs)
  return (await goes(client, server)) && (await goes(server, client))
}

/** On a busy machine what is accepted may once seem not to be. */
export async function accepts(network: HostNetwork, expected: readonly number[]): Promise<void> {
  await eventually(async () => assert.deepEqual(await portsAccepted(network, drillPorts), expected))
}

/** Resolves when a policy is on trial, and is what judges packets. */
export async function onTrial(agent: TestAgent, network: HostNetwork, expected: readonly number[], from = 0) {
  await agent.line(isTrial, { from })
  await accepts(network, expected)
}

/** Resolves when the trial has ended by itself. */
export const takenBack = (agent: TestAgent) => agent.line(isTakenBack, { timeoutMs: roomySeconds * 1000 + 60_000 })

export const isTrial = (line: LogLine) => line.msg.endsWith('it is put in force on trial')
export const isTakenBack = (line: LogLine) => line.msg.startsWith('the policy on trial is taken back')
export const isConfirmed = (line: LogLine) => line.msg === 'the policy on trial is confirmed'
export const isOrdered = (line: LogLine) => line.msg === 'the policy of the daemon cuts sessions of administrators'
export const isRefused = (line: LogLine) => line.msg.startsWith('the policy is refused')
export const notReached = (seconds: number = trialSeconds) =>
  `the daemon was not reached through it within ${seconds} s`
/** The kernel had it: otherwise that would be the reason. */
export const notConfirmed = (seconds: number = trialSeconds) =>
  `nobody confirmed it, and no packet of the session came within ${seconds} s`
