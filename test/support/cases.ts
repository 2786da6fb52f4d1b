/** The cases of test/cases: a policy each, and what must happen to packets under it. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import type { Direction, Policy, RuleVerdict } from '../../rules-compiler/model/policy.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import type { Packet } from '../../rules-compiler/policy/packet.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { parsePacket } from './packets.ts'
import { readValidPolicy } from './policies.ts'

export interface Case {
  /** Name of its files without ending. */
  readonly name: string
  readonly policyFile: string
  readonly policyText: string
  readonly policy: Policy
  readonly ir: PolicyIr
  readonly expectations: readonly Expectation[]
  /** Where the ruleset compiled from the policy is kept, to be compared. */
  readonly goldenFile: string
}

export interface Expectation {
  /** The packet as the file writes it, with its place. */
  readonly name: string
  readonly packet: Packet
  readonly verdict: RuleVerdict
  /** `rule sgr-1`, `default`, `inner-access sg-1`, …: test/cases/README.md. */
  readonly reason: string
}

const folder = fileURLToPath(new URL('../cases/', import.meta.url))
const ending = '.expect.yaml'

/**
 * All cases, ordered by name.
 * @throws {Error} if a policy is not valid or an expectation cannot be read
 */
export function loadCases(): readonly Case[] {
  return readdirSync(folder)
    .filter(file => file.endsWith(ending))
    .sort()
    .map(file => loadCase(file.slice(0, -ending.length)))
}

function loadCase(name: string): Case {
  const policyFile = `${folder}${name}.yaml`
  const policyText = readFileSync(policyFile, 'utf8')
  const policy = readValidPolicy(policyText)
  const expectations = readExpectations(readFileSync(`${folder}${name}${ending}`, 'utf8'))
  return {
    name,
    policyFile,
    policyText,
    policy,
    ir: resolvePolicy(policy),
    expectations,
    goldenFile: `${folder}${name}.nft`,
  }
}

/** A map from `ingress at eni-1` to a map from packet to `accept rule sgr-1`. */
function readExpectations(text: string): readonly Expectation[] {
  const places: Readonly<Record<string, Readonly<Record<string, string>>>> = parse(text)
  return Object.entries(places).flatMap(([place, rows]) => {
    const { direction, eniId } = readPlace(place)
    return Object.entries(rows).map(([packet, decision]) => {
      const [, verdict, reason] = /^(accept|drop) (.+)$/.exec(decision) ?? []
      if (verdict === undefined) throw new Error(`Cannot read decision "${decision}": expected "accept|drop REASON"`)
      return {
        name: `${packet} (${place})`,
        packet: parsePacket(packet, { eniId, direction }),
        verdict: verdict as RuleVerdict,
        reason: reason!,
      }
    })
  })
}

function readPlace(text: string): { readonly direction: Direction; readonly eniId: string } {
  const [, direction, eniId] = /^(ingress|egress) at (\S+)$/.exec(text) ?? []
  if (eniId === undefined) throw new Error(`Cannot read place "${text}": expected "ingress|egress at ENI"`)
  return { direction: direction as Direction, eniId }
}
