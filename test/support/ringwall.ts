/** The `ringwall` command as a user runs it, inside a namespace. */
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { CommandResult, Namespace } from '../../lab/netns.ts'

/** From the sources, as a developer starts it. */
export const ringwallCommand = join(import.meta.dirname, '../../ringwall')
/** As packages hold it, where test/run.ts has it made: program.ts. */
export const ringwallProgram = process.env.RINGWALL_TEST_PROGRAM ?? ringwallCommand

/**
 * Puts a policy document in force; JSON is YAML, and a file is not needed.
 * @throws {Error} with what the command printed where it fails
 */
export function applyPolicy(namespace: Namespace, document: unknown): Promise<CommandResult> {
  return namespace.run(ringwallProgram, ['apply', '-'], { input: JSON.stringify(document) })
}

export function flushPolicy(namespace: Namespace): Promise<CommandResult> {
  return namespace.run(ringwallProgram, ['flush'])
}

export interface RunningAgent extends AsyncDisposable {
  /**
   * Replaces the policy file; returns when the agent has it in force.
   * @throws {Error} if the agent warns of something, or ends
   */
  follow(document: unknown): Promise<void>
}

/** `ringwall agent` on a policy file of its own; when it goes, its ruleset goes with it. */
export async function startAgent(namespace: Namespace, document: unknown): Promise<RunningAgent> {
  const directory = await mkdtemp(join(tmpdir(), 'ringwall-agent-'))
  const file = join(directory, 'policy.json')
  await writeFile(file, JSON.stringify(document))
  const flags = ['--policy', file, '--metrics-address', 'none', '--on-stop', 'flush']
  const child = namespace.spawn(ringwallProgram, ['agent', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()

  async function inForce(): Promise<void> {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error('The agent ended before its policy was in force')
      const { level, msg } = JSON.parse(value)
      if (msg === 'in force') return
      if (level === 'error') throw new Error(`The agent says: ${value}`)
    }
  }

  await inForce()
  return {
    async follow(next) {
      await writeFile(`${file}.new`, JSON.stringify(next))
      await rename(`${file}.new`, file)
      await inForce()
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const [exitCode] = await ended
      await rm(directory, { recursive: true })
      if (exitCode !== 0) throw new Error(`The agent ended with ${exitCode}: expected 0`)
    },
  }
}
