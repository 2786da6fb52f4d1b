/**
 * The policy on its way from the file to the loop and, once it stands in the kernel, to the disk. A text that is no
 * policy changes nothing; while there has been none at all, the last policy that was in force is taken instead.
 */

import type { Logger } from '../common/log.ts'
import type { Rescue } from '../rules-compiler/model/policy.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import { type Kept, LastGood, readIr } from './last-good.ts'
import type { FileProblem, FileText } from './link/file.ts'
import type { Reporter } from './report.ts'
import type { StateDir } from './state-dir.ts'

export interface PolicyKeeperOptions {
  readonly log: Logger
  readonly reporter: Reporter
  /** Null keeps nothing. */
  readonly stateDir: StateDir | null
  /** By whom and where the host is administered, besides those that the file names. */
  readonly rescue: readonly Rescue[]
  readonly setPolicy: (ir: PolicyIr) => void
}

export type PolicyKeeper = ReturnType<typeof createPolicyKeeper>

export function createPolicyKeeper({ log, reporter, stateDir, rescue, setPolicy }: PolicyKeeperOptions) {
  const lastGood = new LastGood({ log, stateDir, rescue })
  /** What the file said, for each policy made of it. */
  const read = new WeakMap<PolicyIr, Kept>()
  let isFileGood = false
  let fallingBack: Promise<void> = Promise.resolve()

  /** At start, with a file that is bad or missing, the last policy that was in force is better than none. */
  async function fallBack(): Promise<void> {
    const text = isFileGood ? null : await lastGood.readText()
    if (text === null || isFileGood) return
    const ir = lastGood.readIr(text)
    if (ir === null) return
    log.warn('the last policy that was in force is taken instead')
    reporter.fallenBack(ir)
    setPolicy(ir)
  }

  return {
    take({ text, noticedAtMs }: Pick<FileText, 'text' | 'noticedAtMs'>): void {
      const { ir, faults } = readIr(text, rescue)
      if (ir === null) {
        reporter.policyRefused(faults)
        fallingBack = fallingBack.then(fallBack)
        return
      }
      isFileGood = true
      read.set(ir, { ir, text: () => text })
      reporter.policyAccepted(ir, noticedAtMs)
      setPolicy(ir)
    },

    noteProblem({ kind, message }: FileProblem): void {
      if (kind === 'unwatched') {
        log.warn({ reason: message }, 'the policy file is looked at now and then only')
        return
      }
      reporter.policyUnreadable(message)
      fallingBack = fallingBack.then(fallBack)
    },

    /** Told of each policy that stands in the kernel. */
    noteInForce(ir: PolicyIr): void {
      const kept = read.get(ir)
      if (kept !== undefined) lastGood.note(kept)
    },

    /** What is wrong with the disk, one sentence each. */
    problems: () => lastGood.problems(),

    /** Nothing is written any more, but by `settled`. */
    close(): void {
      lastGood.close()
    },

    /** Resolves when nothing is left to read or to write, or the disk refuses. */
    async settled(): Promise<void> {
      await fallingBack
      await lastGood.settled()
    },
  }
}
