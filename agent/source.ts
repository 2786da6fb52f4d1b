/** Where the desired policy comes from: a file or a daemon. */
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import type { ToDaemon } from '../wire/messages.ts'
import type { DaemonWay } from './guard/trial.ts'
import type { Outcome } from './reconcile/loop.ts'
import type { Link } from './watch/links.ts'

export interface Source {
  /** Resolves when the first policy has been handed on, or it is clear that there is none for now. */
  start(): Promise<void>
  /** Told of every run of the loop, after it has been reported. */
  noteOutcome(outcome: Outcome): void
  /** Resolves when a policy that stands in the kernel, and of which no outcome was told yet, is on disk, or the disk refuses. */
  keep(policy: PolicyIr): Promise<void>
  /** Told of the network devices whenever something has happened to one. */
  noteLinks(links: readonly Link[]): void
  /** Says something to the daemon; lost where there is none, or no connection to it. */
  send(message: ToDaemon): void
  /** The way to the daemon; null where none leads. */
  way(): DaemonWay | null
  /** Asks the daemon for an answer, so that `way` can tell whether there is one. */
  probeWay(): void
  status(): SourceStatus
  /** What is wrong with the source itself, one sentence each; empty where nothing is. */
  problems(): readonly string[]
  /** No policy comes any more. */
  close(): Promise<void>
  /** Resolves when what stands in the kernel is on disk. */
  settled(): Promise<void>
}

/** For /health and `ringwall show`. Times are ISO 8601. */
export type SourceStatus =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'daemon'
      readonly url: string
      readonly agentId: string
      readonly connected: boolean
      /** Since when it is connected, or is not. */
      readonly since: string
      /** Why it is not connected; null while it is, and before the first attempt has ended. */
      readonly reason: string | null
      /** Of the view that the daemon gave last, and of the policy in the kernel; null where there is none. */
      readonly revision: number | null
      readonly enforcedRevision: number | null
      readonly certificateExpires: string
    }

/** What a source acts on. */
export interface PolicySink {
  /** Makes this policy the desired one. */
  readonly setPolicy: (ir: PolicyIr) => void
  /** Resolves when the kernel has what was set, or has refused it. */
  readonly settled: () => Promise<void>
  /** Somebody who need not be on this host wants what is on trial. */
  readonly confirm: () => void
  /** Whether the kernel has a table of ours; also where that cannot be found out. */
  readonly stands: () => Promise<boolean>
}
