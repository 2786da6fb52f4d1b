/** A transaction in a few words, for logs: what was done to what, never how many bytes. */
import type { NftCommand } from '../../rules-compiler/nft/commands.ts'
import type { Transactions } from '../../rules-compiler/nft/diff.ts'

const mostNames = 6

/** For example `flush chain eni-1/ingress, add rule eni-1/ingress (9), add element sg-app/ip (1)`. */
export function describeTransactions({ prepare, change }: Transactions): string {
  const counts = new Map<string, number>()
  for (const command of [...prepare, ...change]) {
    const { label, count } = describeCommand(command)
    counts.set(label, (counts.get(label) ?? 0) + count)
  }
  const parts = [...counts].map(([label, count]) => (/ (rule|element) /.test(label) ? `${label} (${count})` : label))
  const more = parts.length > mostNames ? [`and ${parts.length - mostNames} more`] : []
  return [...parts.slice(0, mostNames), ...more].join(', ')
}

/** Elements added to and deleted from sets and maps. */
export function countElements({ prepare, change }: Transactions): { readonly added: number; readonly deleted: number } {
  const total = { added: 0, deleted: 0 }
  for (const { label, count } of [...prepare, ...change].map(describeCommand)) {
    if (label.startsWith('add element ')) total.added += count
    if (label.startsWith('delete element ')) total.deleted += count
  }
  return total
}

function describeCommand(command: NftCommand): { readonly label: string; readonly count: number } {
  const [verb, object] = Object.entries(command)[0]!
  const [kind, body] = Object.entries(object as Record<string, Record<string, unknown>>)[0]!
  const name = kind === 'rule' ? body.chain : body.name
  const elements = body.elem
  return { label: `${verb} ${kind} ${String(name)}`, count: Array.isArray(elements) ? elements.length : 1 }
}
