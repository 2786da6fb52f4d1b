/** A ruleset as nft text, loadable with `nft -f` on every supported version; the one place where nft syntax is made. */
import { addressType } from './expressions.ts'
import {
  type Chain,
  type Expression,
  elementText,
  type IntervalSet,
  type MemberSet,
  type NftRule,
  type Operand,
  type Ruleset,
  type Statement,
  tableFamily,
  tableName,
  type Verdict,
  type VerdictMap,
} from './ruleset.ts'

/**
 * The complete table, to be loaded whole: it replaces what was there in one transaction, so loading it twice is
 * loading it once.
 */
export function printRuleset(ruleset: Ruleset): string {
  const table = `${tableFamily} ${tableName}`
  const blocks = [
    ...[...ruleset.counters].map(name => block(`counter ${name}`, [])),
    ...[...ruleset.ctTimeouts].map(printCtTimeout),
    ...[...ruleset.limits].map(printLimit),
    ...[...ruleset.memberSets.values()].map(printMemberSet),
    ...[...ruleset.intervalSets.values()].map(printIntervalSet),
    ...[...ruleset.verdictMaps.values()].map(printVerdictMap),
    ...[...ruleset.chains.values()].map(printChain),
  ]
  return [`table ${table}`, `delete table ${table}`, `table ${table} {`, blocks.join('\n\n'), '}', ''].join('\n')
}

function printRule(rule: NftRule): string {
  const comment = rule.ruleId === undefined ? [] : [`comment "${rule.ruleId}"`]
  return [...rule.statements.map(printStatement), ...comment].join(' ')
}

/** An inner block's brace must stand on a line of its own: nft 1.0.6 takes `; } }` for an error. */
function block(head: string, lines: readonly string[]): string {
  return [`\t${head} {`, ...lines.map(line => `\t\t${line}`), '\t}'].join('\n')
}

/** The one-line statement that makes a timeout object: nft 1.0.6 loses its policy when it comes as JSON. */
export function printCtTimeoutStatement(name: string, seconds: number): string {
  const policy = `{ protocol tcp; l3proto ip; policy = { established: ${seconds} }; }`
  return `add ct timeout ${tableFamily} ${tableName} ${name} ${policy}`
}

function printCtTimeout([name, seconds]: readonly [string, number]): string {
  return block(`ct timeout ${name}`, ['protocol tcp;', 'l3proto ip;', `policy = { established: ${seconds} };`])
}

function printLimit([name, perSecond]: readonly [string, number]): string {
  return block(`limit ${name}`, [`rate ${perSecond}/second burst ${perSecond} packets`])
}

function printMemberSet({ name, family, addresses }: MemberSet): string {
  return block(`set ${name}`, [`type ${addressType[family]}`, ...printElements([...addresses])])
}

function printIntervalSet({ name, fields, elements }: IntervalSet): string {
  const texts = elements.map(element => `${elementText(element)} comment "${element.ruleId}"`)
  return block(`set ${name}`, [`type ${fields.join(' . ')}`, 'flags interval', 'counter', ...printElements(texts)])
}

function printVerdictMap({ name, keyType, elements }: VerdictMap): string {
  const quote = keyType === 'ifname' ? '"' : ''
  const texts = [...elements].map(([key, verdict]) => `${quote}${key}${quote} : ${printVerdict(verdict)}`)
  return block(`map ${name}`, [`type ${keyType} : verdict`, ...printElements(texts)])
}

function printElements(texts: readonly string[]): readonly string[] {
  return texts.length === 0 ? [] : [`elements = { ${texts.join(',\n\t\t             ')} }`]
}

function printChain({ name, base, rules }: Chain): string {
  const hook = base && [`type ${base.type} hook ${base.hook} priority ${base.priority}; policy ${base.chainPolicy};`]
  return block(`chain ${name}`, [...(hook ?? []), ...rules.map(printRule)])
}

function printStatement(statement: Statement): string {
  if ('match' in statement) {
    const { op, left, right } = statement.match
    return [
      printExpression(left),
      ...comparison(op, left),
      '&' in left ? hex(Number(right)) : printOperand(right),
    ].join(' ')
  }
  if ('vmap' in statement) {
    return `${printExpression(statement.vmap.key)} vmap ${statement.vmap.data}`
  }
  if ('mangle' in statement)
    return `${printExpression(statement.mangle.key)} set ${printExpression(statement.mangle.value)}`
  if ('ct timeout' in statement) return `ct timeout set "${statement['ct timeout']}"`
  if ('limit' in statement) return `limit name "${statement.limit}"`
  if ('log' in statement) {
    const { prefix, group, snaplen, 'queue-threshold': threshold } = statement.log
    return `log prefix "${prefix}" group ${group} snaplen ${snaplen} queue-threshold ${threshold}`
  }
  if ('counter' in statement) return statement.counter === null ? 'counter' : `counter name "${statement.counter}"`
  return printVerdict(statement)
}

/** The equals sign is written only where the left side is an expression of its own; `in` (has the bit) never. */
function comparison(op: string, left: Expression): readonly string[] {
  return op === '!=' || op === '!' || (op === '==' && '&' in left) ? [op] : []
}

function printVerdict(verdict: Verdict): string {
  if ('jump' in verdict) return `jump ${verdict.jump.target}`
  if ('goto' in verdict) return `goto ${verdict.goto.target}`
  return 'accept' in verdict ? 'accept' : 'drop'
}

function printExpression(expression: Expression): string {
  if ('meta' in expression) return `meta ${expression.meta.key}`
  if ('rt' in expression) return `rt ${expression.rt.family} ${expression.rt.key}`
  if ('payload' in expression) return `${expression.payload.protocol} ${expression.payload.field}`
  if ('concat' in expression) return expression.concat.map(printExpression).join(' . ')
  if ('&' in expression) return `${printExpression(expression['&'][0])} & ${hex(expression['&'][1])}`
  if ('|' in expression) return `${printExpression(expression['|'][0])} | ${hex(expression['|'][1])}`
  const { key, dir } = expression.ct
  return dir === undefined ? `ct ${key}` : `ct ${dir} ${key}`
}

function printOperand(operand: Operand): string {
  if (typeof operand === 'number') return String(operand)
  if (typeof operand === 'string') return operand
  if ('prefix' in operand) return `${operand.prefix.addr}/${operand.prefix.len}`
  if ('range' in operand) return operand.range.join('-')
  return `{ ${operand.set.map(printOperand).join(', ')} }`
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
