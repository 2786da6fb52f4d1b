import type { SurveyedTable } from '../../nft/survey.ts'
import { defineCheck } from '../check.ts'
import { listed } from '../words.ts'

export const untracked = defineCheck({
  name: 'untracked',
  area: 'connection tracking',
  question: 'Is traffic kept from connection tracking?',
  needs: ['nft'],
  outcomes: {
    notrack: {
      severity: 'warning',
      means:
        'What these rules keep from connection tracking belongs to no session: on ENIs it is dropped, but for neighbour discovery and MLD.',
      advice: 'Have them leave out the devices and addresses of ENIs.',
    },
    'all-tracked': { severity: 'ok', means: 'Every packet belongs to a session.', advice: '' },
  },
  gather: host => host.foreignTables(),
  judge(tables: readonly SurveyedTable[]) {
    const rules = tables.flatMap(({ family, name, chains }) =>
      chains.flatMap(chain =>
        chain.rules
          .filter(rule => /\bnotrack\b|\bNOTRACK\b/.test(rule.replace(/"[^"]*"/g, '')))
          .map(rule => ({ table: `${family} ${name}`, chain: chain.name, rule })),
      ),
    )
    if (rules.length === 0) return [{ code: 'all-tracked', found: 'no rule with notrack' }]
    const words = rules.map(({ table, chain, rule }) => `${table} ${chain}: ${rule}`)
    return [{ code: 'notrack', found: listed(words, '; '), details: rules }]
  },
})
