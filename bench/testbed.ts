/**
 * Where packets are measured: a pair of network namespaces for each firewall to compare, joined by a veth pair whose
 * far end is the ENI, and the traffic generator that serves the pairs in turn (generator.c).
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { connect, createNamespace, type Namespace } from '../lab/netns.ts'

const execute = promisify(execFile)

/** What the generator can send; a burst is so many calls of it, a few milliseconds. */
export const traffic = {
  'new-flow': { callsPerBurst: 8, label: 'new-flow UDP packet' },
  'many-sources': { callsPerBurst: 8, label: 'UDP packet of a source not seen before' },
  syn: { callsPerBurst: 8, label: 'SYN of a source not seen before' },
  established: { callsPerBurst: 16, label: 'established UDP packet' },
  connections: { callsPerBurst: 10, label: 'new TCP connection' },
  bulk: { callsPerBurst: 2, label: 'MiB of TCP in bulk' },
} as const
export type Traffic = keyof typeof traffic

export interface Pair {
  readonly client: Namespace
  /** Its device is `eth0`, 198.18.0.2. */
  readonly server: Namespace
  readonly deviceIndex: number
}

export class Testbed implements AsyncDisposable {
  readonly #folder: string
  readonly #pairs: Pair[] = []

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** @throws {Error} where there is no C compiler */
  static async create(): Promise<Testbed> {
    const testbed = new Testbed(await mkdtemp(join(tmpdir(), 'ringwall-bench-')))
    const source = join(import.meta.dirname, 'generator.c')
    await execute('cc', ['-O2', '-Wall', '-o', testbed.#generator, source])
    return testbed
  }

  get #generator(): string {
    return join(this.#folder, 'generator')
  }

  async addPair(role: string): Promise<Pair> {
    const client = await createNamespace(`${role}-client`)
    const server = await createNamespace(`${role}-server`)
    await connect(
      { namespace: client, device: 'c0', addresses: ['198.18.0.1/15'], mac: '02:00:00:00:00:01' },
      { namespace: server, device: 'eth0', addresses: ['198.18.0.2/15'], mac: '02:00:00:00:00:02' },
    )
    const { stdout } = await server.run('cat', ['/sys/class/net/eth0/ifindex'])
    const pair = { client, server, deviceIndex: Number(stdout) }
    this.#pairs.push(pair)
    return pair
  }

  /** Loads nft text into a namespace after emptying it. */
  async load(namespace: Namespace, text: string): Promise<void> {
    const file = join(this.#folder, `${namespace.name}.nft`)
    await writeFile(file, `flush ruleset\n${text}`)
    await namespace.run('nft', ['-f', file])
  }

  /**
   * @param rounds  each of ten bursts a pair; connection tables are emptied in between
   * @returns CPU nanoseconds of one operation, of every burst, for each pair in the order given
   */
  async measure(kind: Traffic, pairs: readonly Pair[], rounds: number): Promise<readonly (readonly number[])[]> {
    const results: number[][] = pairs.map(() => [])
    const names = pairs.map(({ client, server }) => `${client.name}:${server.name}`)
    const core = String(availableParallelism() - 1)
    for (let round = 0; round < rounds; round += 1) {
      const { stdout } = await execute(this.#generator, [
        kind,
        core,
        '10',
        String(traffic[kind].callsPerBurst),
        ...names,
      ])
      const lines = stdout.trimEnd().split('\n')
      for (const [index, line] of lines.entries()) results[index]!.push(...line.trim().split(' ').map(Number))
      for (const { server } of pairs) await server.run('conntrack', ['-F'])
    }
    return results
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client, server } of this.#pairs) {
      await server[Symbol.asyncDispose]()
      await client[Symbol.asyncDispose]()
    }
    await rm(this.#folder, { recursive: true, force: true })
  }
}
