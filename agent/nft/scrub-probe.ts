/**
 * Whether nft and the kernel can do what traffic scrubbing needs, by doing it in a table that is removed again. Its one
 * base chain is empty and on the loopback device; what is tried stands in a chain that nothing leads to.
 */

import { NftError } from './errors.ts'
import type { Nft, NftCommand, NftObject } from './nft.ts'

const family = 'inet'
const chain = 'tried'

interface ScrubTrial {
  readonly name: string
  readonly commands: (table: string) => readonly NftCommand[]
  /** What must be in the listing afterwards. */
  readonly listed: RegExp
}

const source = { payload: { protocol: 'ip', field: 'saddr' } } as const
const limit = { rate: 100, per: 'second', burst: 10, inv: true } as const

export const scrubTrials: readonly ScrubTrial[] = [
  {
    name: 'ingress hook of the inet family',
    commands: table => [
      {
        add: {
          chain: {
            ...at(table),
            name: 'ingress',
            type: 'filter',
            hook: 'ingress',
            dev: 'lo',
            prio: -500,
            policy: 'accept',
          },
        },
      },
    ],
    listed: /"hook":"ingress"/,
  },
  {
    name: 'sets with time limits and rates that rules fill',
    commands: table => [
      {
        add: {
          set: { ...at(table), name: 'metered', type: 'ipv4_addr', size: 16, flags: ['timeout'], timeout: 10 },
        },
      },
      rule(table, [{ set: { op: 'update', elem: source, set: '@metered', stmt: [{ limit }] } }, { drop: null }]),
    ],
    listed: /"op":"update".*"limit"/,
  },
  {
    name: 'limit objects',
    commands: table => [
      { add: { limit: { ...at(table), name: 'lane', ...limit } } },
      rule(table, [{ limit: 'lane' }, { drop: null }]),
    ],
    listed: /"limit":"lane"/,
  },
  {
    name: 'choice by chance',
    commands: table => [
      rule(table, [
        { match: { op: '==', left: { numgen: { mode: 'random', mod: 16, offset: 0 } }, right: 0 } },
        { drop: null },
      ]),
    ],
    listed: /"numgen"/,
  },
]

export interface ScrubFault {
  readonly name: string
  /** Null where nft took it and lost part of it. */
  readonly error: NftError | null
}

/**
 * What cannot be had; empty where all can.
 * @throws {NftError} if nft cannot be used at all
 */
export async function tryScrubFeatures(nft: Nft): Promise<readonly ScrubFault[]> {
  const table = `ringwall-probe-${process.pid}`
  const faults: ScrubFault[] = []
  try {
    await nft.apply([{ add: { table: { family, name: table } } }, { add: { chain: { ...at(table), name: chain } } }])
    for (const trial of scrubTrials) {
      const error = await refusalOf(nft, trial.commands(table))
      const isThere = error === null && trial.listed.test(textOf((await nft.list(family, table)) ?? []))
      if (!isThere) faults.push({ name: trial.name, error })
    }
    return faults
  } finally {
    const named = { table: { family, name: table } } as const
    await nft.apply([{ add: named }, { delete: named }])
  }
}

/** A refusal is an answer; nft that does not run at all is none. */
async function refusalOf(nft: Nft, commands: readonly NftCommand[]): Promise<NftError | null> {
  try {
    await nft.apply(commands)
    return null
  } catch (error) {
    if (error instanceof NftError && error.kind !== 'permission' && error.kind !== 'timeout') return error
    throw error
  }
}

function textOf(objects: readonly NftObject[]): string {
  return objects.map(object => JSON.stringify(object)).join('\n')
}

function rule(table: string, expr: readonly unknown[]): NftCommand {
  return { add: { rule: { ...at(table), chain, expr } } } as NftCommand
}

function at(table: string) {
  return { family, table } as const
}
