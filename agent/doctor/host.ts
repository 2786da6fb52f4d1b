/** The host as checks see it: what several of them ask is read once. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Reading } from '../../common/config/read.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { agentConfig } from '../config.ts'
import { readIr } from '../last-good.ts'
import { type Credentials, readCredentials } from '../link/credentials.ts'
import { createNft } from '../nft/exec.ts'
import type { BaseChain, Nft } from '../nft/nft.ts'
import { type Capabilities, probe } from '../nft/probe.ts'
import { type SurveyedTable, surveyRuleset } from '../nft/survey.ts'
import { policyFile } from '../state-dir.ts'
import { type Link, listLinks } from '../watch/links.ts'

export interface HostOptions {
  /** Where the agent keeps its files. */
  readonly stateDir: string
  /** The agent's settings, as it would have them if it started now. */
  readonly configuration: Reading<(typeof agentConfig)['settings']>
}

export interface Host extends HostOptions {
  readonly nft: Nft
  /** Why nft cannot be used at all; null where it can. */
  nftFault(): Promise<unknown>
  /** @throws {NftError} */
  capabilities(): Promise<Capabilities>
  /** Of every table that is not Ringwall's. @throws {NftError} */
  foreignBaseChains(): Promise<readonly BaseChain[]>
  /** Every table that is not Ringwall's. @throws {NftError} */
  foreignTables(): Promise<readonly SurveyedTable[]>
  /** Extensions of iptables in their rules that nft cannot print. @throws {NftError} */
  unprintable(): Promise<readonly string[]>
  /** @throws {Error} if `ip` is missing or refuses */
  devices(): Promise<readonly Link[]>
  /** The last policy that was in force; null where there is none that can be read. */
  policy(): Promise<PolicyIr | null>
  /** Null where this host has joined no daemon. @throws {Error} if they cannot be read */
  credentials(): Promise<Credentials | null>
  /** Names of the processes that this one can see, as the kernel has them: 15 characters at most. */
  processes(): Promise<ReadonlySet<string>>
  /** Null where there is no such file, or it may not be read. */
  readText(path: string): Promise<string | null>
}

/** A transaction of a probe waits for those of others. */
const nftTimeoutMs = 10_000

export function openHost(options: HostOptions): Host {
  const { stateDir, configuration } = options
  const nft = createNft({ timeoutMs: nftTimeoutMs })
  const survey = once(surveyRuleset)
  return {
    ...options,
    nft,
    nftFault: once(async () => {
      try {
        await nft.version()
        await nft.listBaseChains()
        return null
      } catch (error) {
        return error
      }
    }),
    capabilities: once(() => probe(nft)),
    foreignBaseChains: once(async () => (await nft.listBaseChains()).filter(({ table }) => !isOurs(table))),
    foreignTables: once(async () => (await survey()).tables.filter(({ name }) => !isOurs(name))),
    unprintable: async () => (await survey()).unprintable,
    devices: once(() => listLinks()),
    policy: once(async () => {
      const text = await readText(join(stateDir, policyFile))
      return text === null ? null : readIr(text, configuration.config?.values.rescue).ir
    }),
    credentials: once(() => readCredentials(stateDir)),
    processes: once(listProcesses),
    readText,
  }
}

/** Those of the policy, of traffic scrubbing, and of probes under way. */
function isOurs(table: string): boolean {
  return table === 'ringwall' || table.startsWith('ringwall-')
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | null = null
  return () => {
    answer ??= read()
    return answer
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return null
  }
}

async function listProcesses(): Promise<ReadonlySet<string>> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const names = await Promise.all(pids.map(pid => readText(`/proc/${pid}/comm`)))
  return new Set(names.flatMap(name => (name === null ? [] : [name.trim()])))
}
