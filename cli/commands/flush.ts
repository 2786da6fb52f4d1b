/** `ringwall flush`: everything that is Ringwall's goes from this network namespace, and nothing else. */
import { acquireLock } from '../../agent/lock.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { deleteTable } from '../../rules-compiler/nft/commands.ts'
import { tableFamily, tableName } from '../../rules-compiler/nft/ruleset.ts'
import { noArguments } from '../arguments.ts'
import type { Command } from '../command.ts'

const usage = `usage: ringwall flush

Removes the table "${tableFamily} ${tableName}" from this network namespace, and nothing else. Traffic is then as
if Ringwall had never been here. Refused while an agent runs here: it would put the table back; stop it first, or
start it with --on-stop flush.
`

export const command: Command = {
  name: 'flush',
  summary: "remove all that is Ringwall's from the kernel",
  usage,
  async run(args, io) {
    noArguments(args)
    const lock = await acquireLock('flush')
    try {
      const nft = createNft()
      const standing = (await nft.list(tableFamily, tableName, { terse: true })) !== null
      if (standing) await nft.apply([deleteTable])
      io.stdout.write(standing ? `Removed table ${tableFamily} ${tableName}.\n` : 'Nothing to remove.\n')
      return 0
    } finally {
      await lock.release()
    }
  },
}
