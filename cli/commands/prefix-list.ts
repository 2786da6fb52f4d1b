/** `ringwall prefix-list`: named lists of CIDR blocks. */
import { parseCidr } from '../../rules-compiler/address/cidr.ts'
import { UsageError } from '../command.ts'
import { entryListCommand } from '../operate/entry-lists.ts'
import { prefixLists } from '../operate/kinds.ts'
import { valueText } from '../output/values.ts'

export const command = entryListCommand({
  name: 'prefix-list',
  summary: 'named lists of CIDR blocks',
  kind: prefixLists,
  entry: {
    column: { heading: 'BLOCK', isWhole: true, cell: entry => valueText(entry.cidr) },
    value: 'CIDR',
    read: cidr => ({ cidr }),
  },
  create: {
    summary: 'make a prefix list',
    example: 'ringwall prefix-list create pl-office --add 203.0.113.0/24,198.51.100.7',
    addHelp: 'a block to begin with; may be repeated',
    flags: { family: { takes: 'choice', choices: ['IPv4', 'IPv6'], help: 'by the first block if left out' } },
    fieldsOf: ({ family }, blocks) => ({ addressFamily: family ?? familyOf(blocks?.[0]) }),
  },
  modify: {
    summary: 'add and remove blocks, or change what a prefix list is called',
    example: 'ringwall prefix-list modify pl-office --add 192.0.2.0/24 --remove 198.51.100.7',
    addHelp: 'a block to add; may be repeated',
    removeHelp: 'a block to take away; may be repeated',
  },
  maxEntriesHelp: 'how many entries it may have at most, and how many rules one that names it counts for',
  deleteSummary: 'delete a prefix list that no rule names',
})

/** @throws {UsageError} where there is no block to tell it by */
function familyOf(cidr: string | undefined): 'IPv4' | 'IPv6' {
  const family = cidr === undefined ? undefined : parseCidr(cidr)?.family
  if (cidr === undefined) throw new UsageError('missing --family, or --add with a block to tell it by')
  if (family === undefined) throw new UsageError(`--add is "${cidr}", expected an IPv4 or IPv6 address or CIDR block`)
  return family === 'ip' ? 'IPv4' : 'IPv6'
}
