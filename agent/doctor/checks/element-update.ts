import { slowElementUpdateMs } from '../../nft/probe.ts'
import { countElements } from '../../nft/survey.ts'
import { defineCheck } from '../check.ts'

export interface LargeSet {
  readonly table: string
  /** `set blocked`, `map ports`. */
  readonly set: string
  /** About; null where nft did not say in time. */
  readonly elements: number | null
}

export interface UpdateFacts {
  readonly milliseconds: number
  /** Plain interval sets of others; null where nft did not list them. Not asked for while changes are quick. */
  readonly sets: readonly LargeSet[] | null
}

/** Counting reads them; those that are left after this long are not counted. */
const countingMs = 8_000
const mostNamed = 3
/** Of all together. Reading 10,000 takes some 50 ms. */
const manyElements = 2_000
/** Smaller ones than this share of all need no name. */
const smallShare = 0.05

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
      const untilMs = performance.now() + countingMs
      const sets: LargeSet[] = []
      for (const { family, name: table, sets: some } of tables) {
        for (const set of some.filter(({ isPlainInterval }) => isPlainInterval)) {
          const isLate = performance.now() > untilMs
          const elements = isLate ? null : await countElements({ family, table }, set).catch(() => null)
          sets.push({ table: `${family} ${table}`, set: `${set.kind} ${set.name}`, elements })
        }
      }
      return { milliseconds, sets }
    },
    judge({ milliseconds, sets }) {
      const time = `${Math.round(milliseconds)} ms`
      if (milliseconds <= slowElementUpdateMs) return [{ code: 'element-update', found: time }]
      const all = (sets ?? []).toSorted((a, b) => (b.elements ?? Infinity) - (a.elements ?? Infinity))
      const total = all.reduce((sum, { elements }) => sum + (elements ?? manyElements), 0)
      if (total < manyElements) return [{ code: 'element-update-late', found: time }]
      const large = all.filter(({ elements }, index) => index === 0 || (elements ?? total) >= smallShare * total)
      const named = large.slice(0, mostNamed).map(({ table, set, elements }) => {
        const size = elements === null ? 'not counted' : `about ${elements.toLocaleString('en')} elements`
        return `${set} of table ${table} (${size})`
      })
      const others = all.length - named.length
      if (others > 0) named.push(`${others} other${others === 1 ? '' : 's'}`)
      return [{ code: 'element-update-slow', found: [time, ...named].join('; '), details: { milliseconds, sets } }]
    },
  },
)
