/** `ringwall limits`: how far each limit is used. */

import { nounCommand } from '../operate/noun-command.ts'
import type { Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { tableLines } from '../output/table.ts'
import { valueText } from '../output/values.ts'

const summary = 'how far each limit is used'

export const command = nounCommand({
  name: 'limits',
  summary,
  verbs: [
    verb({
      name: '',
      summary,
      effect: 'looks',
      words: [],
      flags: {},
      details: '"ringwall settings set --limit NAME=N" changes one.',
      async run({ daemon }) {
        const answer = await daemon.client.get<{ limits: readonly Shown[] }>('/v1/limits')
        const columns = [
          { heading: 'LIMIT', isWhole: true, cell: (item: Shown) => valueText(item.limit) },
          { heading: 'AT MOST', cell: (item: Shown) => valueText(item.maximum) },
          { heading: 'HIGHEST', cell: (item: Shown) => valueText(item.highest) },
          { heading: 'WHERE', isWhole: true, cell: (item: Shown) => valueText(item.where) },
          { heading: 'OF WHAT', cell: (item: Shown) => valueText(item.description) },
        ]
        return { answer, text: width => tableLines(columns, answer.limits, width) }
      },
    }),
  ],
})
