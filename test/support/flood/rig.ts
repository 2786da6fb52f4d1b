/** A flooded host with a real agent on it, and what the agent and the kernel say of each flood. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RingSample } from '../../../agent/scrub/ring.ts'
import { type Peer, startPeer } from '../../../lab/conversation.ts'
import { scrubTableName } from '../../../rules-compiler/scrub/names.ts'
import type { DdosEvent, DdosStatus } from '../../../wire/ddos.ts'
import { startAgent, type TestAgent } from '../agent.ts'
import { childrenOf } from '../nft-children.ts'
import { eventually } from '../sessions.ts'
import { type Flood, floodFrames } from './frames.ts'
import { Observer } from './observer.ts'
import { buildScene, instanceId, type Scene, type SceneOptions, type ScrubPolicyOptions, scrubPolicy } from './scene.ts'
import { FloodSender } from './sender.ts'

export interface RigOptions extends ScrubPolicyOptions, SceneOptions {}

const agentPort = 9469

/** Of `ddos.json`. */
interface KeptOnDisk {
  readonly table: { readonly rulesetHash: string } | null
  readonly instances: readonly { readonly now: { readonly monotonicMs: number; readonly wallMs: number } }[]
}

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
    const rig = stack.use(new FloodRig({ scene, observer, policy, stateDir, peer, agent }))
    // Its table may come after the policy.
    await eventually(() => rig.table())
    return rig
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
  async until(holds: (status: DdosStatus) => boolean, timeoutMs = 60_000): Promise<DdosStatus> {
    return eventually(async () => {
      const status = await this.status()
      if (!holds(status)) throw new Error(`The instance does not come to stand so: ${JSON.stringify(status)}`)
      return status
    }, timeoutMs)
  }

  /**
   * Kills the agent at a moment of an event in which it has on disk what stands in the kernel, so that one who starts
   * goes on from it: another moment, just after a change of its table, gives a table made anew.
   */
  async killKept(eventId: string): Promise<void> {
    const read = () => this.#kept(({ instances }) => JSON.stringify(instances).includes(eventId))
    await eventually(async () => {
      const first = await read()
      const standing = await this.#outline()
      await this.#kept(({ instances }) => instances[0]!.now.monotonicMs > first.instances[0]!.now.monotonicMs)
      process.kill(this.#agent.pid, 'SIGSTOP')
      try {
        await eventually(async () => assert.deepEqual(this.#changesAtWork(), []))
        const last = await read()
        assert.equal(last.table?.rulesetHash, first.table?.rulesetHash)
        assert.equal(await this.#outline(), standing)
      } catch (error) {
        process.kill(this.#agent.pid, 'SIGCONT')
        throw error
      }
    }, 60_000)
    await this.#agent.kill()
  }

  /** Every nft the agent has started, or is about to, but the one that it asks line by line. */
  #changesAtWork(): readonly string[] {
    const words = childrenOf(this.#agent.pid).map(command => command.split('\0'))
    return words
      .filter(each => /^nft$|ringwall|node/.test(each[0]!) && !each.includes('-i'))
      .map(each => each.join(' '))
  }

  /** Waits until the agent has looked what its table is like after it has put it there, and has kept that on disk. */
  async untilLookedAt(putAtMs: number): Promise<void> {
    await this.#kept(({ instances }) => instances[0]!.now.wallMs > putAtMs)
  }

  /** What the agent has on disk once that is so and its table is known. */
  async #kept(holds: (kept: KeptOnDisk) => boolean): Promise<KeptOnDisk> {
    return eventually(async () => {
      const text = await readFile(join(this.#stateDir, 'ddos.json'), 'utf8')
      const kept = JSON.parse(text) as KeptOnDisk
      if (kept.table === null || !holds(kept)) throw new Error(`The agent has not kept it so: ${text.slice(0, 500)}`)
      return kept
    }, 60_000)
  }

  /** What scrubbing has in the kernel, without what counts and what is learned. */
  async #outline(): Promise<string> {
    const flags = ['--stateless', '--terse']
    return (await this.scene.host.run('nft', [...flags, 'list', 'table', 'inet', scrubTableName])).stdout
  }

  /** What the agent has measured each second, oldest first. */
  async samples(): Promise<readonly RingSample[]> {
    return (await this.#get<{ samples: readonly RingSample[] }>(`/ddos/hour?instanceId=${instanceId}`)).samples
  }

  /** What scrubbing has in the kernel, without what counts. */
  async table(): Promise<string> {
    const { stdout } = await this.scene.host.run('nft', ['--stateless', 'list', 'table', 'inet', scrubTableName])
    return stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent[Symbol.asyncDispose]()
  }

  #tell(): Promise<{ readonly instances: readonly DdosStatus[]; readonly events: readonly DdosEvent[] }> {
    return this.#get('/ddos')
  }

  async #get<Answer>(path: string): Promise<Answer> {
    const { status, body } = await this.#peer.httpGet('127.0.0.1', agentPort, path)
    if (status !== 200) throw new Error(`The agent answers "${path}" with ${status}: ${body}`)
    return JSON.parse(body)
  }
}

function startAgentOn({ host }: Scene, policy: unknown, stateDir: string, awaitInForce: boolean): Promise<TestAgent> {
  const flags = ['--metrics-address', `127.0.0.1:${agentPort}`, '--state-dir', stateDir]
  return startAgent({ namespace: host, policy, flags, awaitInForce })
}
