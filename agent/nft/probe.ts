/**
 * What the host's nft and kernel can do, found out by doing it in a table of its own and reading it back: nft takes
 * some of its JSON without an error and loses part of it.
 *
 * The table has no base chain, so no packet ever sees it. It is removed again, also after failures; one left behind by
 * a killed process is removed by the next probe.
 */
import { isRecord } from '../../rules-compiler/validate/is-record.ts'
import { NftError } from './errors.ts'
import type { Nft, NftCommand, NftObject } from './nft.ts'

/** How a feature can be had: by JSON, only by nft's text syntax, or not at all. */
export type Support = 'json' | 'text' | 'missing'

export type Feature =
  | 'ct timeout policy'
  | 'element counters'
  | 'concatenated intervals'
  | 'ct tuple'
  | 'rule comments'
  | 'NFLOG'

export interface Capabilities {
  readonly nftVersion: string
  readonly features: Readonly<Record<Feature, Support>>
  /** The quickest of three additions of one element to a small hash set. */
  readonly elementUpdateMs: number
  /** What an operator should know, one sentence each; empty where all is well. */
  readonly messages: readonly string[]
}

/** One element takes 3 to 6 ms; beyond this, interval sets of other tables are read at every change. */
export const slowElementUpdateMs = 30
const timedUpdates = 3
/** Who flushes everything does so once, as a rule. */
const attempts = 5

const family = 'inet'
const tablePrefix = 'ringwall-probe-'
const chain = 'probed'

interface Trial {
  readonly feature: Feature
  /** Without it there is no ruleset; otherwise a part of it goes another way. */
  readonly needed: boolean
  /** Object of which the text form takes the place; made first by JSON under the same name. */
  readonly json: (table: string) => readonly NftCommand[]
  readonly text: (table: string) => readonly string[]
  readonly isThere: (objects: readonly NftObject[]) => boolean
}

const trials: readonly Trial[] = [
  {
    feature: 'ct timeout policy',
    needed: false,
    json: table => [
      {
        add: {
          'ct timeout': { ...at(table), name: 'json', protocol: 'tcp', l3proto: 'ip', policy: { established: 910 } },
        },
      },
    ],
    text: table => [
      `add ct timeout ${family} ${table} text { protocol tcp; l3proto ip; policy = { established: 910 }; }`,
    ],
    isThere: objects =>
      objects.some(({ 'ct timeout': timeout }) => {
        const policy = isRecord(timeout) ? timeout.policy : null
        return isRecord(policy) && policy.established === 910
      }),
  },
  {
    feature: 'element counters',
    needed: true,
    json: table => [
      { add: { set: { ...at(table), name: 'counted', type: 'ipv4_addr', stmt: [{ counter: null }] } } },
      { add: { element: { ...at(table), name: 'counted', elem: ['198.18.0.1'] } } },
    ],
    text: table => [`add set ${family} ${table} counted { type ipv4_addr; counter; elements = { 198.18.0.1 }; }`],
    isThere: objects => JSON.stringify(find(objects, 'set', 'counted')).includes('"packets":0'),
  },
  {
    feature: 'concatenated intervals',
    needed: true,
    json: table => [
      { add: { set: { ...at(table), name: 'ranges', type: ['ipv4_addr', 'inet_service'], flags: ['interval'] } } },
      { add: { element: { ...at(table), name: 'ranges', elem: [{ concat: [probedBlock, { range: [80, 90] }] }] } } },
    ],
    text: table => [
      `add set ${family} ${table} ranges { type ipv4_addr . inet_service; flags interval; elements = { 198.18.0.0/24 . 80-90 }; }`,
    ],
    isThere: objects => JSON.stringify(find(objects, 'set', 'ranges')).includes('"range":[80,90]'),
  },
  {
    feature: 'ct tuple',
    needed: true,
    json: table => [
      {
        add: {
          rule: {
            ...at(table),
            chain,
            expr: [{ match: { op: '==', left: originalSource, right: '198.18.0.1' } }, { accept: null }],
          },
        },
      },
    ],
    text: table => [`add rule ${family} ${table} ${chain} ct original ip saddr 198.18.0.1 accept`],
    isThere: objects => rulesText(objects).includes('"dir":"original"'),
  },
  {
    feature: 'rule comments',
    needed: false,
    json: table => [{ add: { rule: { ...at(table), chain, comment: 'sgr-probe', expr: [{ accept: null }] } } }],
    text: table => [`add rule ${family} ${table} ${chain} accept comment "sgr-probe"`],
    isThere: objects => rulesText(objects).includes('"comment":"sgr-probe"'),
  },
  {
    // Kernels can be built without nfnetlink_log, and a container cannot load it: then the rule is refused.
    feature: 'NFLOG',
    needed: false,
    json: table => [
      { add: { limit: { ...at(table), name: 'rate', rate: 7, per: 'second', burst: 7 } } },
      {
        add: {
          rule: {
            ...at(table),
            chain,
            expr: [{ limit: 'rate' }, { log: { prefix: 'rw probe', group: 1, snaplen: 128, 'queue-threshold': 1 } }],
          },
        },
      },
    ],
    text: table => [
      `add limit ${family} ${table} rate { rate 7/second burst 7 packets; }`,
      `add rule ${family} ${table} ${chain} limit name "rate" log prefix "rw probe" group 1 snaplen 128 queue-threshold 1`,
    ],
    isThere: objects =>
      rulesText(objects).includes('"limit":"rate"') &&
      rulesText(objects).includes('"prefix":"rw probe","group":1,"snaplen":128,"queue-threshold":1'),
  },
]

const probedBlock = { prefix: { addr: '198.18.0.0', len: 24 } }
const originalSource = { ct: { key: 'ip saddr', dir: 'original' } }

/** Without these there is no ruleset; others are left out of it, or go another way. */
export const neededFeatures: ReadonlySet<Feature> = new Set(
  trials.filter(({ needed }) => needed).map(({ feature }) => feature),
)

/**
 * Takes some 50 ms, and three element updates more where those are slow.
 * @throws {NftError} if nft cannot be used at all: not there, no right to, no answer
 */
export async function probe(nft: Nft): Promise<Capabilities> {
  const nftVersion = await nft.version()
  await removeStale(nft)
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const probed = await tryOnce(nft, `${tablePrefix}${process.pid}`)
    if (probed === null) continue
    const { features, elementUpdateMs } = probed
    return { nftVersion, features, elementUpdateMs, messages: messagesFor(nftVersion, features, elementUpdateMs) }
  }
  throw new NftError(
    'not-found',
    'probe',
    `somebody removed its table ${attempts} times; expected it to stay for 0.1 s`,
  )
}

/** Null where somebody has removed the table meanwhile: a flush at boot must not pass for a feature that is missing. */
async function tryOnce(nft: Nft, table: string): Promise<Pick<Capabilities, 'features' | 'elementUpdateMs'> | null> {
  const isThere = async () => (await nft.list(family, table)) !== null
  try {
    await nft.apply([{ add: { table: { family, name: table } } }, { add: { chain: { ...at(table), name: chain } } }])
    const features = await tryFeatures(nft, table)
    const elementUpdateMs = await timeElementUpdate(nft, table)
    return (await isThere()) ? { features, elementUpdateMs } : null
  } catch (error) {
    if (error instanceof NftError && error.kind === 'not-found' && !(await isThere())) return null
    throw error
  } finally {
    await nft.apply(removal(table))
  }
}

/** Removes what killed probes left; a table whose process lives is another probe's. */
async function removeStale(nft: Nft): Promise<void> {
  for (const { family: tableFamily, name } of await nft.listTablesWithChains()) {
    if (tableFamily !== family || !name.startsWith(tablePrefix)) continue
    const pid = Number(name.slice(tablePrefix.length))
    if (pid === process.pid || !isAlive(pid)) await nft.apply(removal(name))
  }
}

/** Adding first makes the deletion good whether or not the table is there. */
function removal(table: string): readonly NftCommand[] {
  return [{ add: { table: { family, name: table } } }, { delete: { table: { family, name: table } } }]
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** All by JSON in one transaction, which is the usual case; those that fail by themselves, and then as text. */
async function tryFeatures(nft: Nft, table: string): Promise<Record<Feature, Support>> {
  const together = await succeeds(() => nft.apply(trials.flatMap(trial => trial.json(table))))
  const objects = together ? await nft.list(family, table) : null
  const found = trials.map(async (trial): Promise<[Feature, Support]> => {
    const byJson = objects === null ? await tryJson(nft, table, trial) : trial.isThere(objects)
    return [trial.feature, byJson ? 'json' : (await tryText(nft, table, trial)) ? 'text' : 'missing']
  })
  return Object.fromEntries(await Promise.all(found)) as Record<Feature, Support>
}

async function tryJson(nft: Nft, table: string, trial: Trial): Promise<boolean> {
  return (await succeeds(() => nft.apply(trial.json(table)))) && trial.isThere((await nft.list(family, table)) ?? [])
}

async function tryText(nft: Nft, table: string, trial: Trial): Promise<boolean> {
  for (const statement of trial.text(table)) if (!(await succeeds(() => nft.applyText(statement)))) return false
  return trial.isThere((await nft.list(family, table)) ?? [])
}

/** A refusal is an answer; nft that does not run at all is none. A crash is a refusal: 1.0.6 crashes on some JSON. */
async function succeeds(change: () => Promise<void>): Promise<boolean> {
  try {
    await change()
    return true
  } catch (error) {
    if (error instanceof NftError && error.kind !== 'permission' && error.kind !== 'timeout') return false
    throw error
  }
}

async function timeElementUpdate(nft: Nft, table: string): Promise<number> {
  const name = 'timed'
  await nft.apply([{ add: { set: { ...at(table), name, type: 'ipv4_addr' } } }])
  let quickestMs = Number.POSITIVE_INFINITY
  for (let host = 1; host <= timedUpdates; host += 1) {
    const startedAt = performance.now()
    await nft.apply([{ add: { element: { ...at(table), name, elem: [`198.18.0.${host}`] } } }])
    quickestMs = Math.min(quickestMs, performance.now() - startedAt)
  }
  return quickestMs
}

function messagesFor(version: string, features: Readonly<Record<Feature, Support>>, elementUpdateMs: number): string[] {
  const messages = trials.flatMap(({ feature, needed }): string[] => {
    if (features[feature] !== 'missing') return []
    const effect = needed ? 'rulesets cannot be loaded' : 'it is left out of rulesets'
    return [`nft ${version} or this kernel has no ${feature}: ${effect}; expected nft 1.0.2 on Linux 5.10, or later`]
  })
  if (elementUpdateMs > slowElementUpdateMs) {
    messages.push(
      `One element takes ${Math.round(elementUpdateMs)} ms to change: nft ${version} reads every plain interval set of the host before it, in other tables too; ` +
        'expected under 10 ms. Large interval sets of others (country lists, say) delay membership changes by this much',
    )
  }
  return messages
}

function at(table: string) {
  return { family, table } as const
}

function find(objects: readonly NftObject[], kind: string, name: string): unknown {
  return objects.map(object => object[kind]).find(body => isRecord(body) && body.name === name) ?? null
}

function rulesText(objects: readonly NftObject[]): string {
  return JSON.stringify(objects.filter(object => 'rule' in object))
}
