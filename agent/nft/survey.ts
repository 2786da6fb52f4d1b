/**
 * The tables of everybody on a host, for reports. Terse and as text: elements of sets are not read, and what iptables-nft
 * has put there, which JSON leaves out, is there in words. It reads every rule all the same, and nft 1.0.6 may crash on
 * what a newer one wrote (k/k#136786): nothing that enforces may depend on it.
 */
import type { RunResult } from '../../common/exec.ts'
import { unprintableExtensions } from './errors.ts'
import { runNft } from './exec.ts'
import { assertLabNamespace } from './namespace-guard.ts'

export interface SurveyedTable {
  readonly family: string
  readonly name: string
  readonly chains: readonly SurveyedChain[]
  /** Maps among them. */
  readonly sets: readonly SurveyedSet[]
  readonly flowtables: readonly { readonly name: string; readonly devices: readonly string[] }[]
}

export interface SurveyedChain {
  readonly name: string
  /** As nft prints them, numbers for names. */
  readonly rules: readonly string[]
}

export interface SurveyedSet {
  readonly kind: 'set' | 'map'
  readonly name: string
  /** An interval set of one field, kept by the kernel as a tree: nft 1.0.6 reads all of them before it changes an element. */
  readonly isPlainInterval: boolean
}

const timeoutMs = 10_000

export interface Survey {
  readonly tables: readonly SurveyedTable[]
  /** Extensions of iptables that rules use and nft could not print. */
  readonly unprintable: readonly string[]
}

/** @throws {NftError} */
export async function surveyRuleset(): Promise<Survey> {
  const { stdout, stderr } = await look(['-s', '-n', '-t', 'list', 'ruleset'])
  return { tables: parseSurvey(stdout), unprintable: unprintableExtensions(stderr) }
}

/**
 * About how many elements a set or map has: counted as they are printed, none is kept.
 * @throws {NftError}
 */
export async function countElements(
  { family, table }: { readonly family: string; readonly table: string },
  { kind, name }: Pick<SurveyedSet, 'kind' | 'name'>,
): Promise<number> {
  let elements = 0
  let isInside = false
  await look(['-s', 'list', kind, family, table, name], line => {
    isInside ||= /^\t\telements = \{/.test(line)
    if (isInside) elements += line.replace(/"[^"]*"/g, '').split(',').length - (line.trimEnd().endsWith(',') ? 1 : 0)
    isInside &&= !/\}$/.test(line)
  })
  return elements
}

/**
 * Has nft and the kernel look at a file of rules, and change nothing.
 * @throws {NftError} if it could not be loaded
 */
export async function checkRulesetFile(path: string): Promise<void> {
  await look(['-c', '-f', path])
}

async function look(args: readonly string[], onLine?: (line: string) => void): Promise<RunResult> {
  const command = args.filter(arg => !arg.startsWith('-')).join(' ')
  await assertLabNamespace()
  return runNft(['nft', ...args], command, { timeoutMs, ...(onLine !== undefined && { onLine }) })
}

interface Block {
  readonly kind: string
  readonly name: string
  readonly lines: string[]
}

/** By its indentation, which nft keeps to: tables at the margin, what is in them by one tab, and theirs by two. */
export function parseSurvey(text: string): readonly SurveyedTable[] {
  const tables: { family: string; name: string; blocks: Block[] }[] = []
  for (const line of text.split('\n')) {
    const [, family, table] = /^table (\S+) (.+) \{(?: #.*)?$/.exec(line) ?? []
    const [, kind, name] = /^\t(ct [a-z]+|[a-z]+) (.+) \{/.exec(line) ?? []
    const blocks = tables.at(-1)?.blocks
    if (family !== undefined && table !== undefined) tables.push({ family, name: unquoted(table), blocks: [] })
    else if (kind !== undefined && name !== undefined) blocks?.push({ kind, name: unquoted(name), lines: [] })
    else if (/^\t\t[^\t ]/.test(line)) blocks?.at(-1)?.lines.push(line.trim())
  }
  return tables.map(({ family, name, blocks }) => ({
    family,
    name,
    chains: ofKind(blocks, /^chain$/).map(chain => ({
      name: chain.name,
      rules: chain.lines.filter(line => !/^type \w+ hook |^comment "/.test(line)),
    })),
    sets: ofKind(blocks, /^(set|map)$/).map(({ kind, name: set, lines }) => ({
      kind: kind as 'set' | 'map',
      name: set,
      isPlainInterval: isPlainInterval(lines),
    })),
    flowtables: ofKind(blocks, /^flowtable$/).map(table => ({ name: table.name, devices: readDevices(table.lines) })),
  }))
}

function ofKind(blocks: readonly Block[], kind: RegExp): readonly Block[] {
  return blocks.filter(block => kind.test(block.kind))
}

function isPlainInterval(lines: readonly string[]): boolean {
  const type = lines.find(line => /^(type|typeof) /.test(line))?.split(' : ')[0] ?? ''
  return !type.includes(' . ') && lines.some(line => /^flags .*\binterval\b/.test(line))
}

function readDevices(lines: readonly string[]): readonly string[] {
  const list = /^devices = \{(.*)\}/.exec(lines.find(line => line.startsWith('devices')) ?? '')?.[1] ?? ''
  return list
    .split(',')
    .map(name => unquoted(name.trim()))
    .filter(name => name !== '')
}

function unquoted(name: string): string {
  return name.replace(/^"|"$/g, '')
}
