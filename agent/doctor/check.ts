/**
 * What a check is: one question about the host, asked by reading, and all it can answer as data. Judging is apart from
 * reading and pure, so that hosts nobody has at hand can be judged too. docs/doctor.md lists every code; a test compares.
 */
import type { Host } from './host.ts'

/**
 * The worst first.
 *
 *   failure  keeps Ringwall from working here
 *   warning  it works, and something is not as an operator would expect
 *   note     good to know
 *   ok       looked at, and well
 */
export const severities = ['failure', 'warning', 'note', 'ok'] as const
export type Severity = (typeof severities)[number]

export const areas = [
  'this process',
  'agent',
  'nftables',
  'other programs',
  'connection tracking',
  'devices',
  'state directory',
  'daemon',
] as const
export type Area = (typeof areas)[number]

/** What a code stands for. */
export interface Outcome {
  readonly severity: Severity
  /** What it means for whoever operates the host; one or two sentences. */
  readonly means: string
  /** What to do; empty where there is nothing. */
  readonly advice: string
}

export interface Found<Code extends string = string> {
  readonly code: Code
  /** What was found here, in words: `1.0.6`. Text of the host in it is not trusted. */
  readonly found: string
  /** The same for programs, where it has parts. */
  readonly details?: unknown
}

/** What has to be had before a check can look. */
export type Need = 'nft'

export interface CheckDefinition<Facts, Code extends string> {
  /** Stable, one word with dashes. */
  readonly name: string
  readonly area: Area
  /** The question: "Is there room in the table of connections?". */
  readonly question: string
  readonly needs: readonly Need[]
  /** In the order of the documentation. */
  readonly outcomes: Readonly<Record<Code, Outcome>>
  /**
   * Changes nothing.
   * @throws {Error} if the question cannot be asked, which becomes a finding of its own
   */
  readonly gather: (host: Host) => Promise<Facts>
  readonly judge: (facts: Facts) => readonly Found<Code>[]
}

/** A check whose facts are its own affair. */
export interface Check {
  readonly name: string
  readonly area: Area
  readonly question: string
  readonly needs: readonly Need[]
  readonly outcomes: Readonly<Record<string, Outcome>>
  readonly examine: (host: Host) => Promise<readonly Found[]>
}

export function defineCheck<Facts, const Code extends string>(
  definition: CheckDefinition<Facts, Code>,
): CheckDefinition<Facts, Code> & Check {
  return { ...definition, examine: async host => definition.judge(await definition.gather(host)) }
}

export interface Finding extends Found, Outcome {
  readonly area: Area
}
