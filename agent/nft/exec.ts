/**
 * nftables through the host's `nft`, one child process a call: never one we ship, because an older nft can crash on
 * what a newer one wrote, in anybody's table (k/k#136786).
 *
 * Truncated JSON on standard input is exit 0 and nothing done (nft 1.0.6 and 1.1). Input is a finished file (`run`) and
 * comes from JSON.stringify, so exit 0 means done.
 */

import { type CommandPrefix, RunError, type RunOptions, type RunResult, run } from '../../common/exec.ts'
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import { NftError, nftRefusal, nftRunFailure } from './errors.ts'
import { assertLabNamespace } from './namespace-guard.ts'
import type { BaseChain, Counters, Nft, NftCommand, NftFamily, NftObject } from './nft.ts'
import type { NftSession } from './session.ts'

export interface NftOptions {
  /** Has nft act in another network namespace than this process. */
  readonly prefix?: CommandPrefix
  /** A call is given up after this long; 30,000 where left out. A full load of 100,000 elements takes under a second. */
  readonly timeoutMs?: number
  /** Asked for counters, as long as it answers; whoever gives it closes it. */
  readonly session?: NftSession
}

/** A single argument may be 128 KiB (execve(2), MAX_ARG_STRLEN), with the byte that ends it. */
const maxStatementBytes = 128 * 1024 - 1
/** A session that fails is not asked again before. */
const sessionRestMs = 60_000
/** More than can be changing the ruleset between a commit and the line of `nft monitor` that tells of it. */
const rememberedPids = 256

/** Calls are done one after the other, in the order made. */
export function createNft({ prefix = [], timeoutMs = 30_000, session }: NftOptions = {}): Nft {
  const ownPids = new Set<number>()
  let lastPid = 0
  let queue: Promise<unknown> = Promise.resolve()
  let guarded: Promise<void> | null = null
  let sessionRestsUntilMs = 0

  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = queue.then(task)
    queue = turn.catch(() => {})
    return turn
  }

  async function call(args: readonly string[], command: string, options: RunOptions = {}): Promise<RunResult> {
    // The namespace behind a prefix does not change, so it is asked once; our own costs nothing to ask.
    guarded ??= assertLabNamespace(prefix)
    await guarded
    return runNft([...prefix, 'nft', ...args], command, { timeoutMs, ...options })
  }

  function change(args: readonly string[], command: string, input = ''): Promise<void> {
    return inTurn(async () => {
      await call(args, command, { input, onStart: remember })
    })
  }

  function remember(pid: number): void {
    lastPid = pid
    ownPids.delete(pid)
    ownPids.add(pid)
    if (ownPids.size > rememberedPids) ownPids.delete(ownPids.values().next().value!)
  }

  function read(args: readonly string[]): Promise<readonly NftObject[]> {
    const command = args.filter(arg => !arg.startsWith('-')).join(' ')
    return inTurn(async () => parseListing(command, (await call(args, command)).stdout))
  }

  async function orNull<T>(listing: Promise<T>): Promise<T | null> {
    try {
      return await listing
    } catch (error) {
      if (error instanceof NftError && error.kind === 'not-found') return null
      throw error
    }
  }

  /** Of the whole table: for `list counters`, nft 1.0.6 reads every set of every other one too. */
  function listCounters(family: string, table: string): Promise<Counters | null> {
    const question = `list table ${family} ${table}`
    return orNull(
      inTurn(async () => {
        const objects = await askSession(question)
        if (objects !== null) return countersOf(objects)
        return parseCounters((await call(['-t', 'list', 'table', family, table], question)).stdout)
      }),
    )
  }

  /** Null where there is none, or it does not answer: some builds of nft cannot be asked line by line. */
  async function askSession(question: string): Promise<readonly NftObject[] | null> {
    if (session === undefined || performance.now() < sessionRestsUntilMs) return null
    try {
      return parseListing(question, await session.ask(question))
    } catch (error) {
      if (error instanceof NftError && error.kind === 'not-found') throw error
      sessionRestsUntilMs = performance.now() + sessionRestMs
      return null
    }
  }

  async function listChains(): Promise<readonly Json[]> {
    const objects = await read(['-j', 'list', 'chains'])
    return objects.flatMap(object => (isRecord(object.chain) ? [object.chain] : []))
  }

  return {
    async apply(commands) {
      if (commands.length === 0) return
      await change(['-j', '-f', '-'], summarize(commands), JSON.stringify({ nftables: commands }))
    },

    async applyText(statement) {
      const command = statement.length <= 200 ? statement : `${statement.slice(0, 200)}…`
      if (Buffer.byteLength(statement) > maxStatementBytes) {
        throw new NftError('too-large', command, `a statement is at most ${maxStatementBytes} bytes`)
      }
      await change([statement], command)
    },

    async list(family, table, { terse = false } = {}) {
      if (!terse) return orNull(read(['-j', 'list', 'table', family, table]))
      const objects = (await read(['-j', '-t', 'list', 'ruleset', family])).filter(object => isOf(object, table))
      return objects.length === 0 ? null : objects
    },

    listCounters,
    resetCounters(family, table) {
      const args = ['reset', 'counters', 'table', family, table]
      return orNull(inTurn(async () => parseCounters((await call(args, args.join(' '))).stdout)))
    },

    async listElements(family, table, set) {
      const objects = await orNull(read(['-j', 'list', 'set', family, table, set]))
      if (objects === null) return null
      const elements = objects.flatMap(object => (isRecord(object.set) ? [object.set.elem] : []))
      return elements.flatMap(each => (Array.isArray(each) ? each : []))
    },

    async listBaseChains() {
      return (await listChains()).flatMap(chain => (chain.hook === undefined ? [] : [readBaseChain(chain)]))
    },

    async listTablesWithChains() {
      const tables = new Map<string, { family: NftFamily; name: string }>()
      for (const { family, table } of await listChains()) {
        tables.set(`${family} ${table}`, { family: family as NftFamily, name: String(table) })
      }
      return [...tables.values()]
    },

    async version() {
      const { stdout } = await inTurn(() => call(['--version'], 'version'))
      const version = /v(\d+(?:\.\d+)+)/.exec(stdout)?.[1]
      if (version === undefined) throw new NftError('unknown', 'version', `unexpected output "${stdout.trim()}"`)
      return version
    },

    isOwnPid: pid => ownPids.has(pid),

    get lastPid() {
      return lastPid
    },
  }
}

/**
 * One call; whoever makes it has seen to it that the namespace may be touched.
 * @param command  what is asked, in a few words
 * @throws {NftError}
 */
export async function runNft(words: readonly string[], command: string, options: RunOptions): Promise<RunResult> {
  try {
    const result = await run(words, options)
    if (result.exitCode !== 0) throw nftRefusal(command, result.stderr)
    return result
  } catch (error) {
    throw error instanceof RunError ? nftRunFailure(command, error) : error
  }
}

type Json = Readonly<Record<string, unknown>>

function parseListing(command: string, stdout: string): readonly NftObject[] {
  try {
    const { nftables } = JSON.parse(stdout) as { nftables: readonly NftObject[] }
    return nftables.filter(object => object.metainfo === undefined)
  } catch (cause) {
    throw new NftError('unknown', command, 'the listing is not the JSON expected', { cause })
  }
}

const counterForm = /^\tcounter (\S+) \{\s+packets (\d+) bytes (\d+)\s/gm

/** As text: nft needs a quarter less time for it than for JSON, and so does reading it. */
function parseCounters(stdout: string): Counters {
  const counters = new Map<string, { packets: number; bytes: number }>()
  for (const [, name = '', packets, bytes] of stdout.matchAll(counterForm)) {
    counters.set(name, { packets: Number(packets), bytes: Number(bytes) })
  }
  return counters
}

function countersOf(objects: readonly NftObject[]): Counters {
  return new Map(
    objects.flatMap(({ counter }) =>
      isRecord(counter)
        ? [[String(counter.name), { packets: Number(counter.packets), bytes: Number(counter.bytes) }] as const]
        : [],
    ),
  )
}

/** Whether it is the table, or something in it. */
function isOf(object: NftObject, table: string): boolean {
  return Object.entries(object).some(
    ([kind, body]) => isRecord(body) && (kind === 'table' ? body.name : body.table) === table,
  )
}

function readBaseChain(chain: Json): BaseChain {
  return {
    family: chain.family as NftFamily,
    table: String(chain.table),
    chain: String(chain.name),
    type: String(chain.type),
    hook: String(chain.hook),
    hookPriority: Number(chain.prio),
    // Listings of the chain type nat leave the policy out on some versions; the kernel's default is accept.
    chainPolicy: chain.policy === 'drop' ? 'drop' : 'accept',
  }
}

/** `add chain ×2, add rule ×14`. */
function summarize(commands: readonly NftCommand[]): string {
  const counts = new Map<string, number>()
  for (const command of commands) {
    const [verb, object] = Object.entries(command)[0] ?? ['nothing', null]
    const name = `${verb} ${isRecord(object) ? Object.keys(object)[0] : ''}`.trim()
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return [...counts].map(([name, count]) => (count === 1 ? name : `${name} ×${count}`)).join(', ')
}
