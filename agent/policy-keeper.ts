/**
 * The policy on its way from the file to the loop and, once it stands in the kernel, to the disk. A text that is no
 * policy changes nothing; while there has been none at all, the last policy that was in force is taken instead.
 */

import type { Logger } from '../common/log.ts'
import { compile } from '../rules-compiler/nft/compile.ts'
import { printRuleset } from '../rules-compiler/nft/print.ts'
import type { PolicyIr } from '../rules-compiler/policy/ir.ts'
import { resolvePolicy } from '../rules-compiler/policy/resolve.ts'
import { formatProblem } from '../rules-compiler/validate/problem.ts'
import { readPolicy } from '../rules-compiler/validate/read-policy.ts'
import type { FileProblem, FileText } from './link/file.ts'
import type { Reporter } from './report.ts'
import type { StateDir } from './state-dir.ts'

export interface PolicyKeeperOptions {
  readonly log: Logger
  readonly reporter: Reporter
  /** Null keeps nothing. */
  readonly stateDir: StateDir | null
  readonly setPolicy: (ir: PolicyIr) => void
}

export type PolicyKeeper = ReturnType<typeof createPolicyKeeper>

export function createPolicyKeeper({ log, reporter, stateDir, setPolicy }: PolicyKeeperOptions) {
  /** What the file said, for each policy made of it. */
  const texts = new WeakMap<PolicyIr, string>()
  let isFileGood = false
  let keptText: string | null = null
  let work: Promise<void> = Promise.resolve()

  /** At start, with a file that is bad or missing, the last policy that was in force is better than none. */
  async function fallBack(): Promise<void> {
    const text = isFileGood ? null : await stateDir?.readPolicyText()
    if (text == null || isFileGood) return
    const read = readIr(text)
    if (read.ir === null) {
      log.warn({ faults: read.faults }, 'the last policy that was in force cannot be read any more')
      return
    }
    log.warn('the last policy that was in force is taken instead')
    reporter.fallenBack(read.ir)
    setPolicy(read.ir)
  }

  async function keep(policyText: string, ir: PolicyIr): Promise<void> {
    try {
      // Without the device indexes and stamps of this boot: they mean other devices and sessions after the next.
      await stateDir?.write(policyText, printRuleset(compile(ir)))
    } catch (error) {
      keptText = null
      log.error({ error }, 'cannot keep the last good state; what is in force stays')
    }
  }

  function next(task: () => Promise<void>): void {
    work = work.then(task)
  }

  return {
    take({ text, noticedAtMs }: Pick<FileText, 'text' | 'noticedAtMs'>): void {
      const { ir, faults } = readIr(text)
      if (ir === null) {
        reporter.policyRefused(faults)
        next(fallBack)
        return
      }
      isFileGood = true
      texts.set(ir, text)
      reporter.policyAccepted(ir, noticedAtMs)
      setPolicy(ir)
    },

    noteProblem({ kind, message }: FileProblem): void {
      if (kind === 'unwatched') {
        log.warn({ reason: message }, 'the policy file is looked at now and then only')
        return
      }
      reporter.policyUnreadable(message)
      next(fallBack)
    },

    /** Told of each policy that stands in the kernel; one that is on disk already is not written again. */
    noteInForce(ir: PolicyIr): void {
      const text = texts.get(ir)
      if (stateDir === null || text === undefined || text === keptText) return
      keptText = text
      next(() => keep(text, ir))
    },

    /** Resolves when nothing is left to read or to write. */
    settled: () => work,
  }
}

type ReadIr =
  | { readonly ir: PolicyIr; readonly faults: readonly [] }
  | { readonly ir: null; readonly faults: readonly string[] }

/** Never throws: a text that trips the reader up is one more that is no policy. */
function readIr(text: string): ReadIr {
  try {
    const { policy, problems } = readPolicy(text)
    return policy === null
      ? { ir: null, faults: problems.map(formatProblem) }
      : { ir: resolvePolicy(policy), faults: [] }
  } catch (error) {
    return { ir: null, faults: [`Cannot read the policy, by a fault of Ringwall's own: ${(error as Error).message}`] }
  }
}
