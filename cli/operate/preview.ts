/** What --dry-run says: the changes, the agents that would hear of them, and the rules that would act otherwise. */
import { count, valueText } from '../output/values.ts'
import { wouldDropLines } from './observed.ts'
import type { Shown } from './resources.ts'
import { type Permission, ruleWords } from './rule-words.ts'

interface Change {
  readonly key: string
  readonly before: Shown | null
  readonly after: Shown | null
}

interface TouchedRule {
  readonly securityGroupId: string
  readonly securityGroupRuleId: string
  readonly effect: string
}

/** @param width  columns there are */
export function previewLines(answer: Shown, width: number): string[] {
  const changes = (answer.changes ?? []) as readonly Change[]
  const agents = (answer.agents ?? []) as readonly string[]
  const rules = (answer.rules ?? []) as readonly TouchedRule[]
  if (changes.length === 0 && agents.length === 0) {
    const isUntold = untold.some(field => field in answer)
    return [isUntold ? 'Nothing was stored. It would be done; the daemon does not show how.' : 'Nothing would change.']
  }
  return [
    'Nothing was stored. It would',
    ...changes.flatMap(changeLines),
    agents.length === 0
      ? 'No agent would hear of it.'
      : `${count(agents.length, 'agent')} would hear of it: ${agents.join(', ')}`,
    ...(rules.length === 0 ? [] : [`It touches ${count(rules.length, 'rule')}:`]),
    ...rules.map(({ securityGroupId, securityGroupRuleId, effect }) => {
      return `  ${securityGroupRuleId} of ${securityGroupId}: ${effects[effect] ?? effect}`
    }),
    ...wouldDropLines(answer, width),
  ]
}

/** What answers have of objects whose changes the daemon shows to nobody, because they hold secrets. */
const untold = [
  ...['agent', 'agentId', 'apiToken', 'tokenId'],
  ...['enrolmentToken', 'enrolmentTokenId', 'accessKey', 'accessKeyId'],
]

const effects: Readonly<Record<string, string>> = {
  added: 'added',
  removed: 'removed',
  changed: 'changed',
  'members-changed': 'matches other addresses',
  'entries-changed': 'its list has other entries',
}

function changeLines({ key, before, after }: Change): string[] {
  const [kind = '', id = ''] = key.split(/\/(.*)/)
  const name = `${kindNames[kind] ?? kind} ${id}`
  if (after === null) return [`  delete ${name}`]
  if (before === null) return [`  make ${name}`, ...fieldsOf({}, after, id)]
  return [`  change ${name}`, ...fieldsOf(before, after, id)]
}

const kindNames: Readonly<Record<string, string>> = {
  account: 'account',
  group: 'security group',
  prefixList: 'prefix list',
  portRangeList: 'list of ports',
  instance: 'instance',
  eni: 'network interface',
  agent: 'agent',
  enrolment: 'invitation',
  token: 'API token',
  settings: 'settings',
}

/** @param id  of the object, which is said already */
function fieldsOf(before: Shown, after: Shown, id: string): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap(field => {
    const [was, is] = [before[field], after[field]]
    if (JSON.stringify(was) === JSON.stringify(is) || is === id || hidden.has(field)) return []
    if (Array.isArray(was ?? []) && Array.isArray(is ?? []))
      return itemsOf(field, (was ?? []) as unknown[], (is ?? []) as unknown[])
    const [from, to] = [valueText(was) || '-', valueText(is) || '-']
    if (was === undefined) return to === '-' ? [] : [`    ${field}: ${to}`]
    return from === to ? [] : [`    ${field}: ${from} -> ${to}`]
  })
}

/** The moment of a trial. */
const hidden: ReadonlySet<string> = new Set(['createTime', 'updateTime'])

function itemsOf(field: string, before: readonly unknown[], after: readonly unknown[]): string[] {
  const known = (items: readonly unknown[]) => new Set(items.map(item => JSON.stringify(item)))
  const [old, now] = [known(before), known(after)]
  return [
    ...before.filter(item => !now.has(JSON.stringify(item))).map(item => `    ${field}: - ${itemText(item)}`),
    ...after.filter(item => !old.has(JSON.stringify(item))).map(item => `    ${field}: + ${itemText(item)}`),
  ]
}

function itemText(item: unknown): string {
  const isRule = typeof item === 'object' && item !== null && 'direction' in item && 'ipProtocol' in item
  return isRule ? ruleWords(item as Permission) : valueText(item)
}
