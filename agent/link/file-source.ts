/** Policies from a file. */
import type { Logger } from '../../common/log.ts'
import type { Rescue } from '../../rules-compiler/model/policy.ts'
import { createPolicyKeeper } from '../policy-keeper.ts'
import type { Reporter } from '../report.ts'
import type { PolicySink, Source } from '../source.ts'
import type { StateDir } from '../state-dir.ts'
import { type FileWatch, watchFile } from './file.ts'

export interface FileSourceOptions {
  /** Absolute, so that others can be told. */
  readonly path: string
  readonly log: Logger
  readonly reporter: Reporter
  /** Null keeps nothing. */
  readonly stateDir: StateDir | null
  /** By whom and where the host is administered, besides those that the file names. */
  readonly rescue: readonly Rescue[]
  readonly sink: PolicySink
}

export function createFileSource({ path, log, reporter, stateDir, rescue, sink }: FileSourceOptions): Source {
  const keeper = createPolicyKeeper({ log, reporter, stateDir, rescue, setPolicy: sink.setPolicy })
  let file: FileWatch | null = null
  return {
    async start() {
      file = watchFile(path, {
        onText: text => keeper.take(text),
        onProblem: problem => keeper.noteProblem(problem),
      })
      await file.ready
      await keeper.settled()
    },
    noteOutcome(outcome) {
      if (outcome.kind !== 'refused') keeper.noteInForce(outcome.policy)
    },
    keep(policy) {
      keeper.noteInForce(policy)
      return keeper.settled()
    },
    noteLinks() {},
    send() {},
    way: () => null,
    probeWay() {},
    status: () => ({ kind: 'file', path }),
    problems: () => keeper.problems(),
    async close() {
      keeper.close()
      await file?.close()
    },
    settled: () => keeper.settled(),
  }
}
