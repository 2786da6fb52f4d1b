/**
 * An `nft` that stays and is asked line by line, for what is read every second: a question takes 0.7 ms, against 4 ms and
 * more for a process each. The answer is one line of JSON, without elements of sets (`-t`), or an error on standard error.
 *
 * For `list` alone: nft 1.0.6 answers a `reset` with what it read before.
 */
import { type CommandPrefix, type LineProcess, spawnLines } from '../../common/exec.ts'
import { NftError, nftRefusal } from './errors.ts'
import { assertLabNamespace } from './namespace-guard.ts'

export interface NftSession {
  /**
   * One question at a time.
   * @returns the answer, JSON
   * @throws {NftError} what nft refuses, as it does for a process of its own; `timeout` or `unknown` where it did not
   *         answer: the next question goes to another process
   */
  ask(question: string): Promise<string>
  close(): Promise<void>
}

export interface NftSessionOptions {
  readonly prefix?: CommandPrefix
  readonly timeoutMs: number
  /** A process that is not asked for this long is ended; 60,000 where left out. */
  readonly idleMs?: number
}

/** Whatever nft may keep for itself goes with the process: an hour of readings. */
const questionsOfOne = 3600
const defaultIdleMs = 60_000

interface Question {
  readonly text: string
  readonly answer: (line: string) => void
  readonly fail: (error: NftError) => void
}

export function openNftSession(options: NftSessionOptions): NftSession {
  const { prefix = [], timeoutMs, idleMs = defaultIdleMs } = options
  let child: LineProcess | null = null
  let asked = 0
  let waiting: Question | null = null
  let idle: NodeJS.Timeout | undefined

  async function running(): Promise<LineProcess> {
    if (child !== null && asked >= questionsOfOne) await end()
    if (child !== null) return child
    await assertLabNamespace(prefix)
    asked = 0
    const started = spawnLines([...prefix, 'nft', '-j', '-t', '-i'], {
      takesInput: true,
      onLine: line => waiting?.answer(line),
      // The lines after it show where in the question.
      onErrorLine: line => /(^|: )Error: /.test(line) && waiting?.fail(nftRefusal(waiting.text, line)),
      onEnd(reason) {
        if (child === started) child = null
        waiting?.fail(new NftError('unknown', waiting.text, reason))
      },
    })
    child = started
    return started
  }

  async function end(): Promise<void> {
    clearTimeout(idle)
    const ended = child
    child = null
    await ended?.close()
  }

  return {
    async ask(text) {
      clearTimeout(idle)
      const process = await running()
      asked += 1
      const { promise, resolve, reject } = Promise.withResolvers<string>()
      waiting = { text, answer: resolve, fail: reject }
      const timer = setTimeout(() => {
        reject(new NftError('timeout', text, `no answer within ${timeoutMs} ms`))
        void end()
      }, timeoutMs)
      process.write(`${text}\n`)
      try {
        return await promise
      } finally {
        clearTimeout(timer)
        waiting = null
        idle = setTimeout(() => void end(), idleMs).unref()
      }
    },
    close: end,
  }
}
