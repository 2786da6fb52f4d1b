/** The table as it stands, to be put back if what comes next is not confirmed. */
import { deleteTable } from '../rules-compiler/nft/commands.ts'
import { diff, type Transactions } from '../rules-compiler/nft/diff.ts'
import { type ActualRuleset, readRuleset } from '../rules-compiler/nft/read-ruleset.ts'
import { tableFamily, tableName } from '../rules-compiler/nft/ruleset.ts'
import type { Nft, NftObject } from './nft/nft.ts'
import { commit } from './reconcile/commit.ts'
import { listLinks } from './watch/links.ts'

export interface Snapshot {
  /** As nft listed it; null where there was none. */
  readonly objects: readonly NftObject[] | null
  /** Makes the kernel as it was when the snapshot was taken. */
  readonly restore: () => Promise<void>
}

export async function takeSnapshot(nft: Nft, jsonCtTimeout: boolean): Promise<Snapshot> {
  return snapshotOf(await nft.list(tableFamily, tableName), nft, jsonCtTimeout)
}

/** The same of a listing that was kept. */
export function snapshotOf(objects: Snapshot['objects'], nft: Nft, jsonCtTimeout: boolean): Snapshot {
  return {
    objects,
    async restore() {
      const before = objects && (await readListing(objects))
      for (let complete = false; !complete; ) {
        const transactions = way(await readTable(nft), before)
        await commit(nft, transactions, jsonCtTimeout)
        complete = transactions.complete
      }
    },
  }
}

export async function readTable(nft: Nft): Promise<ActualRuleset | null> {
  const objects = await nft.list(tableFamily, tableName)
  return objects && readListing(objects)
}

async function readListing(objects: readonly NftObject[]): Promise<ActualRuleset> {
  const links = await listLinks()
  return readRuleset(objects, new Map(links.map(link => [link.name, link.index])))
}

function way(now: ActualRuleset | null, before: ActualRuleset | null): Transactions {
  if (before !== null) return diff(now, before)
  return { prepare: [], change: now === null ? [] : [deleteTable], complete: true }
}
