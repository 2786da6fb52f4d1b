/** `ringwall change`: what was written, and where it is in force. */
import { UsageError } from '../command.ts'
import { type Enforcement, enforcementExit, enforcementLines } from '../operate/enforcement.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { moreLine } from '../operate/objects.ts'
import type { Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { fieldLines, tableLines } from '../output/table.ts'
import { StatusLine } from '../output/terminal.ts'
import { actionsText, listText, timeText, valueText } from '../output/values.ts'

const limitFlag = { takes: 'number', value: 'N', range: [1, 10_000], help: 'how many at most; 50 if left out' } as const

export const command = nounCommand({
  name: 'change',
  summary: 'what was written, and where it is in force',
  verbs: [
    verb({
      name: 'list',
      summary: 'list the latest changes, newest first',
      effect: 'looks',
      words: [],
      flags: { limit: limitFlag },
      async run({ daemon, flags: { limit = 50 } }) {
        const page = await daemon.client.list<Shown>('/v1/changes', {}, limit)
        return {
          answer: page,
          text: width =>
            page.items.length === 0
              ? ['Nothing was written yet.']
              : [...tableLines(columns, page.items, width), ...moreLine(page, 'change')],
        }
      },
    }),
    verb({
      name: 'show',
      summary: 'say where a change is in force, and who is behind',
      effect: 'looks',
      words: [{ name: 'REVISION', help: 'the number that the write answered with' }],
      flags: {
        follow: { takes: 'nothing', help: 'until it is in force everywhere' },
        timeout: {
          takes: 'duration',
          value: 'TIME',
          help: 'with --follow: no longer than 90s, 15m, 2h; for ever if left out',
        },
      },
      details: 'Exit code 3 where it is not in force everywhere.',
      async run({ daemon, words: [text = ''], flags, io }) {
        const revision = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
        if (!(revision > 0)) throw new UsageError(`REVISION is "${text}", expected a number as writes answer it`)
        if (flags.follow)
          await daemon.follow(revision, flags.timeout ?? Number.POSITIVE_INFINITY, new StatusLine(io.stderr))
        const answer = await daemon.client.get<Shown>(`/v1/changes/${revision}`)
        const enforcement = answer.enforcement as Enforcement
        return {
          answer,
          text: width => [
            ...fieldLines(fieldsOf(answer), width),
            '',
            ...enforcementLines(enforcement, revision, width),
          ],
          exitCode: enforcementExit(enforcement),
        }
      },
    }),
  ],
})

const columns = [
  { heading: 'REVISION', isWhole: true, cell: (item: Shown) => valueText(item.revision) },
  { heading: 'TIME', isWhole: true, cell: (item: Shown) => timeText(item.time as string) },
  { heading: 'BY', cell: principalText },
  { heading: 'ACTION', isWhole: true, cell: actionsText },
  { heading: 'IN FORCE', cell: inForceText },
  { heading: 'OBJECTS', cell: (item: Shown) => listText(item.keys as string[]) },
]

/** `12 of 50` */
function inForceText({ enforcement }: Shown): string {
  const { agents, enforced } = (enforcement ?? {}) as Partial<Enforcement>
  return agents === undefined || agents === 0 ? '' : `${enforced} of ${agents}`
}

function principalText({ principal }: Shown): string {
  const { name, id } = (principal ?? {}) as Shown
  return valueText(name ?? id)
}

function fieldsOf(answer: Shown): readonly (readonly [string, string])[] {
  return [
    ['revision', valueText(answer.revision)],
    ['time', timeText(answer.time as string)],
    ['action', actionsText(answer)],
    ['by', principalText(answer)],
    ['objects', listText(answer.keys as string[])],
  ]
}
