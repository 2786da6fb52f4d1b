/** `ringwall audit`: who did what, and who was refused. */
import { UsageError } from '../command.ts'
import type { Daemon } from '../operate/daemon.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { moreLine } from '../operate/objects.ts'
import { resources, type Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { tableLines } from '../output/table.ts'
import { actionsText, listText, timeText, valueText } from '../output/values.ts'

const summary = 'who did what, and who was refused'

export const command = nounCommand({
  name: 'audit',
  summary,
  verbs: [
    verb({
      name: '',
      summary,
      effect: 'looks',
      words: [],
      flags: {
        action: { takes: 'text', value: 'ACTION', help: 'only this one, ecs:AuthorizeSecurityGroup' },
        principal: {
          takes: 'text',
          value: 'WHO',
          names: 'token',
          help: 'only what this token did, by its id or, while it is there, its name',
        },
        outcome: { takes: 'choice', choices: ['done', 'refused'], help: 'only what ended so' },
        object: { takes: 'text', value: 'ID', help: 'only what concerns this object: sg-web, i-web1, ramUser/…' },
        since: { takes: 'moment', value: 'TIME', help: 'not before: 15m, 2h, 7d ago, or 2026-11-26T20:40Z' },
        until: { takes: 'moment', value: 'TIME', help: 'not after: the same' },
        request: { takes: 'text', value: 'ID', help: 'only this request' },
        limit: { takes: 'number', value: 'N', range: [1, 10_000], help: 'how many at most; 50 if left out' },
      },
      details: 'Newest first. "--json" shows each object before and after.',
      examples: ['ringwall audit --since 1h', 'ringwall audit --object sg-web --action ecs:AuthorizeSecurityGroup'],
      async run({ daemon, flags }) {
        const { limit = 50 } = flags
        const query = {
          action: flags.action,
          principalId: flags.principal && (await principalOf(daemon, flags.principal)),
          outcome: flags.outcome,
          key: flags.object && keyOf(flags.object),
          since: flags.since,
          until: flags.until,
          requestId: flags.request,
        }
        const page = await daemon.client.list<Shown>('/v1/audit', query, limit)
        return {
          answer: page,
          text: width =>
            page.items.length === 0
              ? ['Nothing of this kind was written or refused.']
              : [...tableLines(columns, page.items, width), ...moreLine(page, 'event')],
        }
      },
    }),
  ],
})

/** Who is gone by now is still known by his id. */
async function principalOf(daemon: Daemon, text: string): Promise<string> {
  const { items } = await daemon.list('token', { name: text })
  return items.some(({ name }) => name === text) ? daemon.idOf('token', text) : text
}

/** How objects are called in the audit log, by the forms of their ids. */
const keyKinds = {
  account: 'account',
  group: 'group',
  prefixList: 'prefixList',
  portRangeList: 'portRangeList',
  instance: 'instance',
  eni: 'eni',
  agent: 'agent',
  token: 'token',
  invitation: 'enrolment',
  accessKey: 'accessKey',
} as const

/** @throws {UsageError} where the id does not say what it is of */
function keyOf(text: string): string {
  if (text.includes('/')) return text
  const kinds = Object.keys(keyKinds) as (keyof typeof keyKinds)[]
  const kind = kinds.find(each => resources[each].idForm.test(text))
  if (kind !== undefined) return `${keyKinds[kind]}/${text}`
  throw new UsageError(`--object is "${text}", expected an id such as sg-web, or as the table has it: ramUser/…`)
}

const columns = [
  { heading: 'TIME', isWhole: true, cell: (item: Shown) => timeText(item.time as string) },
  { heading: 'BY', cell: ({ principal }: Shown) => valueText((principal as Shown | undefined)?.name) },
  { heading: 'FROM', cell: (item: Shown) => valueText(item.sourceAddress) },
  { heading: 'ACTION', isWhole: true, cell: actionsText },
  { heading: 'OUTCOME', cell: outcomeText },
  { heading: 'REVISION', cell: (item: Shown) => valueText(item.revision) },
  { heading: 'OBJECTS', cell: (item: Shown) => listText(item.objects as string[]) },
  { heading: 'DETAIL', isOptional: true, cell: (item: Shown) => valueText(item.detail) },
]

/** What was refused says why. */
function outcomeText({ outcome, code }: Shown): string {
  return typeof code === 'string' ? `${valueText(outcome)}: ${code}` : valueText(outcome)
}
