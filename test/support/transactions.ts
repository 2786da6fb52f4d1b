/** Transactions and rulesets in words: for tests of what a change costs, and of what it leaves. */
import { canonicalRule } from '../../rules-compiler/nft/canonical.ts'
import type { NftCommand } from '../../rules-compiler/nft/commands.ts'
import type { ActualRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import { elementText, type Ruleset, type Statement, type Verdict } from '../../rules-compiler/nft/ruleset.ts'

/** A compiled ruleset as if it had been read back from the kernel. */
export function asActual(ruleset: Ruleset, facts: Partial<ActualRuleset> = {}): ActualRuleset {
  return { ...ruleset, foreign: [], counterHits: new Map(), ruleHits: [], ...facts }
}

/** `add element sg-1/ip ×1`, `flush chain eni-1/ingress`, `add rule eni-1/ingress`: one line for each command. */
export function showCommands(commands: readonly NftCommand[]): readonly string[] {
  return commands.map(command => {
    const [verb = '', target] = Object.entries(command)[0] ?? []
    const [kind = '', body] = Object.entries(target as Readonly<Record<string, Body>>)[0] ?? []
    const name = kind === 'rule' ? body?.chain : kind === 'table' ? `${body?.family} ${body?.name}` : body?.name
    return `${verb} ${kind} ${name}${body?.elem === undefined ? '' : ` ×${body.elem.length}`}`
  })
}

interface Body {
  readonly family?: string
  readonly name?: string
  readonly chain?: string
  readonly elem?: readonly unknown[]
}

/**
 * What packets are judged by, one text a line, sorted: base chains and all that can be reached from them, with the
 * content of every set and map. Equal for two rulesets that do the same; what nothing refers to is not in it, nor is
 * what has been counted. The members of a set are one line, so that a difference stays readable.
 */
export function judgedState(ruleset: Ruleset): readonly string[] {
  const lines = new Map<string, string>()
  const visitChain = (name: string): void => {
    const chain = ruleset.chains.get(name)
    if (chain === undefined || lines.has(`chain ${name}`)) return
    const rules = chain.rules.map(canonicalRule)
    lines.set(`chain ${name}`, `chain ${name} ${JSON.stringify(chain.base ?? null)} ${JSON.stringify(rules)}`)
    for (const statement of chain.rules.flatMap(rule => rule.statements)) visitStatement(statement)
  }
  const visitVerdict = (verdict: Verdict): void => {
    if ('jump' in verdict) visitChain(verdict.jump.target)
    if ('goto' in verdict) visitChain(verdict.goto.target)
  }
  const visitStatement = (statement: Statement): void => {
    if ('vmap' in statement) {
      visitMap(statement.vmap.data.slice(1))
    } else if ('match' in statement) {
      const { right } = statement.match
      if (typeof right === 'string' && right.startsWith('@')) visitSet(right.slice(1))
    } else if ('goto' in statement || 'jump' in statement) visitVerdict(statement)
  }
  const visitMap = (name: string): void => {
    const map = ruleset.verdictMaps.get(name)
    if (map === undefined || lines.has(`map ${name}`)) return
    const elements = [...map.elements].map(([key, verdict]) => `${key}: ${JSON.stringify(verdict)}`)
    lines.set(`map ${name}`, `map ${name} ${map.keyType} ${elements.sort().join(', ')}`)
    for (const verdict of map.elements.values()) visitVerdict(verdict)
  }
  const visitSet = (name: string): void => {
    const members = ruleset.memberSets.get(name)
    if (members !== undefined)
      lines.set(`set ${name}`, `set ${name} ${members.family} ${[...members.addresses].sort().join(', ')}`)
    const intervals = ruleset.intervalSets.get(name)
    if (intervals === undefined) return
    const elements = intervals.elements.map(element => `${elementText(element)} ${element.ruleId}`)
    lines.set(`set ${name}`, `set ${name} ${intervals.fields.join(' . ')} ${elements.sort().join(', ')}`)
  }
  for (const chain of ruleset.chains.values()) if (chain.base !== undefined) visitChain(chain.name)
  return [...lines.values()].sort()
}

/** Names of all that stands in a table, sorted; timeout objects apart, which stay for the sessions begun under them. */
export function namesIn(ruleset: Ruleset): readonly string[] {
  const { counters, limits, memberSets, intervalSets, verdictMaps, chains } = ruleset
  return [
    ...[...counters].map(name => `counter ${name}`),
    ...[...limits].map(([name, perSecond]) => `limit ${name} ${perSecond}`),
    ...[...memberSets.keys(), ...intervalSets.keys()].map(name => `set ${name}`),
    ...[...verdictMaps.keys()].map(name => `map ${name}`),
    ...[...chains.keys()].map(name => `chain ${name}`),
  ].sort()
}
