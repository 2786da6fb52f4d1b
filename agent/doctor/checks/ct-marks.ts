import { defaultSettings } from '../../../rules-compiler/model/policy.ts'
import type { SurveyedTable } from '../../nft/survey.ts'
import { defineCheck } from '../check.ts'
import { readMarkUse } from '../mark-use.ts'
import { listed } from '../words.ts'

interface MarkFacts {
  /** The bits of the conntrack mark that are Ringwall's. */
  readonly mask: number
  readonly tables: readonly Pick<SurveyedTable, 'family' | 'name' | 'chains'>[]
}

export const ctMarks = defineCheck({
  name: 'ct-marks',
  area: 'connection tracking',
  question: 'Does anybody else use Ringwall’s bits of the conntrack mark?',
  needs: ['nft'],
  outcomes: {
    'ct-mark-written': {
      severity: 'warning',
      means:
        'These rules change bits by which Ringwall knows that it has accepted a session. Such sessions are judged at every packet, which is slower; a value that is a stamp of Ringwall’s at the time passes for accepted.',
      advice:
        'Have them write other bits only ("ct mark set ct mark and MASK or VALUE"), or give Ringwall others: settings.ctMarkMask.',
    },
    'ct-mark-read': {
      severity: 'note',
      means: 'These rules read bits that Ringwall writes: what they compare with no longer matches.',
      advice:
        'Have them mask the mark ("ct mark & 0x000000ff == …"), or give Ringwall other bits: settings.ctMarkMask.',
    },
    'ct-marks': { severity: 'ok', means: 'Nobody else touches these bits.', advice: '' },
  },
  async gather(host): Promise<MarkFacts> {
    const mask = (await host.policy())?.ctMarkMask ?? defaultSettings.ctMarkMask
    return { mask, tables: await host.foreignTables() }
  },
  judge({ mask, tables }) {
    const uses = tables.flatMap(({ family, name, chains }) =>
      chains.flatMap(chain =>
        chain.rules.map(rule => ({ table: `${family} ${name}`, chain: chain.name, rule, ...readMarkUse(rule) })),
      ),
    )
    const meeting = (bits: 'written' | 'read') => uses.filter(use => (use[bits] & mask) !== 0)
    const found = (
      [
        ['ct-mark-written', meeting('written')],
        ['ct-mark-read', meeting('read').filter(use => (use.written & mask) === 0)],
      ] as const
    ).flatMap(([code, rules]) => {
      if (rules.length === 0) return []
      const words = rules.map(({ table, chain, rule }) => `${table} ${chain}: ${rule}`)
      return [{ code, found: listed(words, '; '), details: rules }]
    })
    return found.length > 0 ? found : [{ code: 'ct-marks', found: `0x${mask.toString(16).padStart(8, '0')} is free` }]
  },
})
