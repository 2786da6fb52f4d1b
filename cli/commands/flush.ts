/** `ringwall flush`: everything that is Ringwall's goes from this network namespace, and nothing else. */
import { acquireLock } from '../../agent/lock.ts'
import { createNft } from '../../agent/nft/exec.ts'
import type { Nft } from '../../agent/nft/nft.ts'
import { deleteTable } from '../../rules-compiler/nft/commands.ts'
import { tableFamily, tableName } from '../../rules-compiler/nft/ruleset.ts'
import { scrubTableName } from '../../rules-compiler/scrub/names.ts'
import { deleteScrubTable } from '../../rules-compiler/scrub/transaction.ts'
import { noArguments } from '../arguments.ts'
import type { Command } from '../command.ts'

const usage = `usage: ringwall flush

Removes the tables "${tableFamily} ${tableName}" and "${tableFamily} ${scrubTableName}" from this network namespace,
and nothing else. Traffic is then as if Ringwall had never been here. Refused while an agent runs here: it would put
them back; stop it first, or start it with --on-stop flush.
`

const tables = [
  { name: tableName, remove: deleteTable },
  { name: scrubTableName, remove: deleteScrubTable },
] as const

/** @returns the names of those that stood */
export async function removeTables(nft: Nft): Promise<readonly string[]> {
  const standing = await standingTables(nft)
  await nft.apply(standing.map(table => table.remove))
  return standing.map(({ name }) => name)
}

export async function hasTables(nft: Nft): Promise<boolean> {
  return (await standingTables(nft)).length > 0
}

async function standingTables(nft: Nft): Promise<readonly (typeof tables)[number][]> {
  const standing = []
  for (const table of tables)
    if ((await nft.list(tableFamily, table.name, { terse: true })) !== null) standing.push(table)
  return standing
}

export const command: Command = {
  name: 'flush',
  summary: "remove all that is Ringwall's from the kernel",
  usage,
  async run(args, io) {
    noArguments(args)
    const lock = await acquireLock('flush')
    try {
      const names = await removeTables(createNft())
      const removed = names.map(name => `Removed table ${tableFamily} ${name}.\n`)
      io.stdout.write(removed.length === 0 ? 'Nothing to remove.\n' : removed.join(''))
      return 0
    } finally {
      await lock.release()
    }
  },
}
