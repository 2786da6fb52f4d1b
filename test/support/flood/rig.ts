/** A flooded host with a real agent on it, and what the agent and the kernel say of each flood. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Peer, startPeer } from '../../../lab/conversation.ts'
import { scrubTableName } from '../../../rules-compiler/scrub/names.ts'
import type { DdosEvent, DdosStatus } from '../../../wire/ddos.ts'
import { startAgent, type TestAgent } from '../agent.ts'
import { eventually } from '../sessions.ts'
import { type Flood, floodFrames } from './frames.ts'
import { Observer } from './observer.ts'
import { buildScene, instanceId, type Scene, type SceneOptions, type ScrubPolicyOptions, scrubPolicy } from './scene.ts'
import { FloodSender } from './sender.ts'

export interface RigOptions extends ScrubPolicyOptions, SceneOptions {}

const agentPort = 9469

export class FloodRig implements AsyncDisposable {
  readonly scene: Scene
  readonly observer: Observer
  readonly #policy: unknown
  readonly #stateDir: string
  readonly #peer: Peer
  #agent: TestAgent

  private constructor(parts: {
    readonly scene: Scene
    readonly observer: Observer
    readonly policy: unknown
    readonly stateDir: string
    readonly peer: Peer
    readonly agent: TestAgent
  }) {
    this.scene = parts.scene
    this.observer = parts.observer
    this.#policy = parts.policy
    this.#stateDir = parts.stateDir
    this.#peer = parts.peer
    this.#agent = parts.agent
  }

  /** @param stack  disposes of everything */
  static async start(stack: AsyncDisposableStack, options: RigOptions): Promise<FloodRig> {
    const scene = await buildScene(stack, options)
    const observer = stack.use(await Observer.start(scene.host, scene.device))
    const stateDir = await mkdtemp(join(tmpdir(), 'ringwall-flooded-'))
    stack.defer(() => rm(stateDir, { recursive: true, force: true }))
    const peer = stack.use(await startPeer(scene.host))
    const policy = scrubPolicy(scene, options)
    const agent = await startAgentOn(scene, policy, stateDir, true)
    return stack.use(new FloodRig({ scene, observer, policy, stateDir, peer, agent }))
  }

  get agent(): TestAgent {
    return this.#agent
  }

  /** After the agent was killed; does not wait until it is ready. */
  async startAgent(): Promise<void> {
    this.#agent = await startAgentOn(this.scene, this.#policy, this.#stateDir, false)
  }

  sender(flood: Flood): Promise<FloodSender> {
    const { internet, internetDevice, target } = this.scene
    return FloodSender.create(internet, internetDevice, floodFrames(flood, target))
  }

  async status(): Promise<DdosStatus> {
    const { instances } = await this.#tell()
    const own = instances.find(each => each.instanceId === instanceId)
    if (own === undefined) throw new Error(`The agent tells nothing of "${instanceId}"`)
    return own
  }

  /** Newest first. */
  async events(): Promise<readonly DdosEvent[]> {
    return (await this.#tell()).events
  }

  /** @throws {Error} with what the status is if it does not become so in time */
  async until(holds: (status: DdosStatus) => boolean, timeoutMs = 10_000): Promise<DdosStatus> {
    return eventually(async () => {
      const status = await this.status()
      if (!holds(status)) throw new Error(`The instance does not come to stand so: ${JSON.stringify(status)}`)
      return status
    }, timeoutMs)
  }

  /** Waits until the agent has just kept on disk how it stands in an event, which it does each second. */
  async untilKept(eventId: string): Promise<void> {
    const read = () => readFile(join(this.#stateDir, 'ddos.json'), 'utf8')
    const before = await read().catch(() => null)
    await eventually(async () => {
      const text = await read()
      const { table, instances } = JSON.parse(text) as { table: object | null; instances: object[] }
      if (text === before || table === null || !JSON.stringify(instances).includes(eventId))
        throw new Error(`The agent has not kept event "${eventId}": ${text}`)
    }, 20_000)
  }

  /** What scrubbing has in the kernel, without what counts. */
  async table(): Promise<string> {
    const { stdout } = await this.scene.host.run('nft', ['--stateless', 'list', 'table', 'inet', scrubTableName])
    return stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent[Symbol.asyncDispose]()
  }

  async #tell(): Promise<{ readonly instances: readonly DdosStatus[]; readonly events: readonly DdosEvent[] }> {
    const { status, body } = await this.#peer.httpGet('127.0.0.1', agentPort, '/ddos')
    if (status !== 200) throw new Error(`The agent answers "/ddos" with ${status}: ${body}`)
    return JSON.parse(body)
  }
}

function startAgentOn({ host }: Scene, policy: unknown, stateDir: string, awaitInForce: boolean): Promise<TestAgent> {
  const flags = ['--metrics-address', `127.0.0.1:${agentPort}`, '--state-dir', stateDir]
  return startAgent({ namespace: host, policy, flags, awaitInForce })
}
