/** What a table of Ringwall's holds, in a form in which two tables that do the same are equal. */
import type { Namespace } from '../../lab/netns.ts'

type Json = Record<string, unknown>

/**
 * One line an object, sorted; rules in their order in the chain. Left out are handles, what has been counted, what is
 * left of an element's time, and with `stamps: false` the stamps, which a table made anew has others of.
 * @returns null where there is no table
 */
export async function listTable(
  namespace: Namespace,
  { stamps = true, table = 'ringwall' }: { readonly stamps?: boolean; readonly table?: string } = {},
): Promise<readonly string[] | null> {
  const listing = await namespace.run('nft', ['-j', 'list', 'table', 'inet', table], { allowFailure: true })
  if (listing.exitCode !== 0) return null
  const { nftables }: { nftables: readonly Record<string, Json>[] } = JSON.parse(listing.stdout)
  const rulesOf = new Map<string, number>()
  const lines = nftables.flatMap(object => {
    const [kind, body] = Object.entries(object)[0]!
    if (kind === 'metainfo') return []
    if (kind !== 'rule') return [`${kind} ${body.name}: ${JSON.stringify(bare(body, stamps))}`]
    const chain = String(body.chain)
    const number = (rulesOf.get(chain) ?? 0) + 1
    rulesOf.set(chain, number)
    return [`rule ${chain} ${String(number).padStart(3, '0')}: ${JSON.stringify(bare(body, stamps))}`]
  })
  return lines.sort()
}

const unsteady = ['handle', 'packets', 'bytes', 'expires']

function bare(value: unknown, stamps: boolean): unknown {
  if (typeof value === 'number' && !stamps && value > 0xff) return 'stamp or mask'
  if (Array.isArray(value)) return value.map(each => bare(each, stamps))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !unsteady.includes(key))
      .map(([key, each]) => [key, key === 'elem' && Array.isArray(each) ? sorted(each, stamps) : bare(each, stamps)]),
  )
}

/** Hash sets list their elements in no order. */
function sorted(elements: readonly unknown[], stamps: boolean): string[] {
  return elements.map(element => JSON.stringify(bare(element, stamps))).sort()
}
