import { slowElementUpdateMs } from '../../nft/probe.ts'
import { countElements } from '../../nft/survey.ts'
import { defineCheck } from '../check.ts'

export interface LargeSet {
  readonly table: string
  readonly set: string
  /** About; null where nft did not say in time. */
  readonly elements: number | null
}

export interface UpdateFacts {
  readonly milliseconds: number
  /** Plain interval sets of others; null where nft did not list them. Not asked for while changes are quick. */
  readonly sets: readonly LargeSet[] | null
}

/** More than these are not counted: counting reads them. */
const mostCounted = 8
const mostNamed = 3
/** Reading 10,000 elements takes some 50 ms. */
const largeElements = 2_000

export const elementUpdate = defineCheck<UpdateFacts, 'element-update-slow' | 'element-update-late' | 'element-update'>(
  {
    name: 'element-update',
    area: 'nftables',
    question: 'How long does one change of a member take?',
    needs: ['nft'],
    outcomes: {
      'element-update-slow': {
        severity: 'warning',
        means:
          'nft reads every plain interval set of the host, in other tables too, before it changes one element: members, and what they may reach, are as late as that.',
        advice: 'Ask whoever owns these sets for smaller ones, or for sets of the type "ipv4_addr . inet_service".',
      },
      'element-update-late': {
        severity: 'note',
        means: 'One change took longer than it should, and no set of others is to blame: the host may be busy.',
        advice: 'Run it again when the host is quiet.',
      },
      'element-update': { severity: 'ok', means: 'Members are changed without delay.', advice: '' },
    },
    async gather(host) {
      const { elementUpdateMs: milliseconds } = await host.capabilities()
      if (milliseconds <= slowElementUpdateMs) return { milliseconds, sets: [] }
      const tables = await host.foreignTables().catch(() => null)
      if (tables === null) return { milliseconds, sets: null }
      const named = tables.flatMap(({ family, name, sets }) =>
        sets.filter(({ isPlainInterval }) => isPlainInterval).map(set => ({ family, table: name, set: set.name })),
      )
      const sets: LargeSet[] = []
      for (const { family, table, set } of named.slice(0, mostCounted)) {
        const elements = await countElements(family, table, set).catch(() => null)
        sets.push({ table: `${family} ${table}`, set, elements })
      }
      return { milliseconds, sets }
    },
    judge({ milliseconds, sets }) {
      const time = `${Math.round(milliseconds)} ms`
      if (milliseconds <= slowElementUpdateMs) return [{ code: 'element-update', found: time }]
      const large = (sets ?? [])
        .filter(({ elements }) => elements === null || elements >= largeElements)
        .sort((a, b) => (b.elements ?? Infinity) - (a.elements ?? Infinity))
      if (large.length === 0) return [{ code: 'element-update-late', found: time }]
      const named = large.slice(0, mostNamed).map(({ table, set, elements }) => {
        const size = elements === null ? 'too large to count' : `about ${elements.toLocaleString('en')} elements`
        return `set ${set} of table ${table} (${size})`
      })
      return [{ code: 'element-update-slow', found: [time, ...named].join('; '), details: { milliseconds, sets } }]
    },
  },
)
