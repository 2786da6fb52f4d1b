/** What stood before a policy on trial, to be put back. */

import type { Rescue } from '../../rules-compiler/model/policy.ts'
import { deleteTable } from '../../rules-compiler/nft/commands.ts'
import type { PolicyIr } from '../../rules-compiler/policy/ir.ts'
import { readIr } from '../last-good.ts'
import type { Nft } from '../nft/nft.ts'
import type { ReconcileLoop } from '../reconcile/loop.ts'
import { readTable, type Snapshot, snapshotOf, takeSnapshot } from '../snapshot.ts'
import type { StateDir } from '../state-dir.ts'
import { fingerprintOf } from './kept-guard.ts'

export type Before =
  | { readonly kind: 'policy'; readonly ir: PolicyIr }
  /** No table stood. */
  | { readonly kind: 'nothing' }
  /** A table stood whose policy is not known. */
  | { readonly kind: 'table'; readonly snapshot: Snapshot }

export interface BeforeParts {
  readonly loop: Pick<ReconcileLoop, 'setPolicy' | 'forget' | 'settled'>
  readonly nft: Nft
  readonly jsonCtTimeout: boolean
  /** Null keeps nothing. */
  readonly stateDir: StateDir | null
  /** By whom and where the host is administered, besides those that the policy on disk names. */
  readonly rescue: readonly Rescue[]
}

/** Where the policy in the kernel is not known: that of an earlier life, though a boot may have taken it away. */
export async function findBefore({ nft, jsonCtTimeout, stateDir, rescue }: BeforeParts): Promise<Before> {
  const ir = await keptPolicy(stateDir, rescue)
  if (ir !== null) return { kind: 'policy', ir }
  const snapshot = await takeSnapshot(nft, jsonCtTimeout)
  return snapshot.objects === null ? { kind: 'nothing' } : { kind: 'table', snapshot }
}

/** As it was noted when the trial began. @param table  what `tableOf` gave then */
export async function recallBefore(kind: Before['kind'], table: string | null, parts: BeforeParts): Promise<Before> {
  if (kind === 'nothing') return { kind }
  if (kind === 'policy' || table === null) return findBefore(parts)
  const { nft, jsonCtTimeout } = parts
  return { kind, snapshot: snapshotOf(JSON.parse(table), nft, jsonCtTimeout) }
}

/** What must be kept of it, besides what is on disk anyway; null for nothing. */
export function tableOf(before: Before): string | null {
  return before.kind === 'table' ? JSON.stringify(before.snapshot.objects) : null
}

export async function putBack(before: Before, { loop, nft }: BeforeParts): Promise<void> {
  if (before.kind === 'policy') {
    loop.setPolicy(before.ir)
    await loop.settled()
    return
  }
  loop.forget()
  await loop.settled()
  if (before.kind === 'table') await before.snapshot.restore()
  else if ((await readTable(nft)) !== null) await nft.apply([deleteTable])
}

export function judgedBy(before: Before): PolicyIr | 'nothing' | 'unknown' {
  if (before.kind === 'policy') return before.ir
  return before.kind === 'nothing' ? 'nothing' : 'unknown'
}

/** Whether a policy that was on trial is on disk: then it was confirmed. */
export async function isOnDisk(fingerprint: string, { stateDir, rescue }: BeforeParts): Promise<boolean> {
  const ir = await keptPolicy(stateDir, rescue)
  return ir !== null && fingerprintOf(ir) === fingerprint
}

async function keptPolicy(stateDir: StateDir | null, rescue: readonly Rescue[]): Promise<PolicyIr | null> {
  const text = await stateDir?.readPolicyText()
  return text == null ? null : readIr(text, rescue).ir
}
