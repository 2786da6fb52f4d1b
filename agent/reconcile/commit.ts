/** Carries transactions out, in what the host's nft understands. */
import type { NftCommand } from '../../rules-compiler/nft/commands.ts'
import type { Transactions } from '../../rules-compiler/nft/diff.ts'
import { printCtTimeoutStatement } from '../../rules-compiler/nft/print.ts'
import type { Nft } from '../nft/nft.ts'

/**
 * Prepares, then switches. A failure in between leaves objects that nothing refers to; the next run takes them away.
 * nft 1.0.6 loses the policy of a timeout object given as JSON, so that object goes as text, before the rest: nothing
 * refers to it yet.
 * @param jsonCtTimeout  whether the host's nft gets it right in JSON
 */
export async function commit(nft: Nft, { prepare, change }: Transactions, jsonCtTimeout: boolean): Promise<void> {
  const asJson: NftCommand[] = []
  const asText: string[] = []
  for (const command of prepare) {
    const timeout = jsonCtTimeout ? null : readCtTimeout(command)
    if (timeout === null) asJson.push(command)
    else asText.push(printCtTimeoutStatement(timeout.name, timeout.policy.established))
  }
  if (asJson.length > 0) await nft.apply(asJson)
  for (const statement of asText) await nft.applyText(statement)
  if (change.length > 0) await nft.apply(change)
}

interface CtTimeout {
  readonly name: string
  readonly policy: { readonly established: number }
}

function readCtTimeout(command: NftCommand): CtTimeout | null {
  const added = command.add
  return typeof added === 'object' && added !== null && 'ct timeout' in added
    ? (added['ct timeout'] as CtTimeout)
    : null
}
