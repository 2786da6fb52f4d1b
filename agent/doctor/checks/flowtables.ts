import type { SurveyedTable } from '../../nft/survey.ts'
import { defineCheck } from '../check.ts'
import { listed } from '../words.ts'

export const flowtables = defineCheck({
  name: 'flowtables',
  area: 'other programs',
  question: 'Do packets take a short cut past the rules?',
  needs: ['nft'],
  outcomes: {
    flowtable: {
      severity: 'warning',
      means:
        'Established sessions between these devices go past prerouting, forward and postrouting: they are not judged again, not counted, and a revoked one lives on.',
      advice: 'Take the devices of ENIs out of the flowtable.',
    },
    'no-flowtables': { severity: 'ok', means: 'Every packet meets the rules.', advice: '' },
  },
  gather: host => host.foreignTables(),
  judge(tables: readonly SurveyedTable[]) {
    const all = tables.flatMap(({ family, name, flowtables: own }) =>
      own.map(flowtable => ({ table: `${family} ${name}`, ...flowtable })),
    )
    if (all.length === 0) return [{ code: 'no-flowtables', found: 'no flowtables' }]
    const words = all.map(({ table, name, devices }) => `${name} of table ${table} (${listed(devices) || 'no device'})`)
    return [{ code: 'flowtable', found: listed(words, '; '), details: all }]
  },
})
