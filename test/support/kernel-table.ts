/** Ringwall's table in the kernel of a test namespace. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNft } from '../../agent/nft/exec.ts'
import type { Nft } from '../../agent/nft/nft.ts'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { deleteTable, type NftCommand } from '../../rules-compiler/nft/commands.ts'
import { type ActualRuleset, readRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import { tableFamily, tableName } from '../../rules-compiler/nft/ruleset.ts'

export interface KernelTable extends AsyncDisposable {
  readonly namespace: Namespace
  readonly nft: Nft
  /** Loads nft text as an operator would: `nft -f FILE`. */
  loadText(text: string): Promise<void>
  /** Loads commands as an operator would: `nft -j -f FILE`. */
  loadJson(commands: readonly NftCommand[]): Promise<void>
  /** Null where there is no table. */
  read(): Promise<ActualRuleset | null>
  remove(): Promise<void>
}

/** A namespace of its own without a table. */
export async function createKernelTable(role: string): Promise<KernelTable> {
  const namespace = await createNamespace(role)
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-'))
  const nft = createNft({ prefix: ['ip', 'netns', 'exec', namespace.name] })
  const load = async (name: string, content: string, args: readonly string[]) => {
    const file = join(folder, name)
    await writeFile(file, content)
    await namespace.run('nft', [...args, '-f', file])
  }
  return {
    namespace,
    nft,
    loadText: text => load('ruleset.nft', text, []),
    loadJson: commands => load('ruleset.json', JSON.stringify({ nftables: commands }), ['-j']),
    async read() {
      const objects = await nft.list(tableFamily, tableName)
      return objects === null ? null : readRuleset(objects, new Map([['lo', 1]]))
    },
    async remove() {
      if ((await nft.list(tableFamily, tableName, { terse: true })) !== null) await nft.apply([deleteTable])
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true })
      await namespace[Symbol.asyncDispose]()
    },
  }
}
