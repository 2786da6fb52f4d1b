/**
 * The stamps on live sessions, read with conntrack(8). That lists the whole table (0.5 s at 100,000 entries), so it is
 * done only when stamps must be given out and nothing better is known.
 */
import { type CommandPrefix, RunError, type RunResult, run } from '../../common/exec.ts'

/** Enough for some ten million entries. */
const timeoutMs = 60_000
const markField = / mark=(\d+)/

/**
 * Marks of all sessions of the namespace, both families, as far as they lie in the mask; 0 is left out.
 * @param mask  which bits of the mark are ours
 * @throws {Error} if conntrack is missing, refuses or takes too long
 */
export async function usedMarks(
  mask: number,
  { prefix = [] }: { readonly prefix?: CommandPrefix } = {},
): Promise<ReadonlySet<number>> {
  const marks = new Set<number>()
  const note = (entry: string) => {
    const mark = (Number(markField.exec(entry)?.[1] ?? 0) & mask) >>> 0
    if (mark !== 0) marks.add(mark)
  }
  await listSessions(note, { prefix })
  return marks
}

/**
 * Every session of the namespace, both families.
 * @param onEntry  given each as conntrack prints it
 * @throws {Error} if conntrack is missing, refuses or takes too long
 */
export async function listSessions(
  onEntry: (entry: string) => void,
  { prefix = [] }: { readonly prefix?: CommandPrefix } = {},
): Promise<void> {
  // Older versions list IPv4 only where no family is given.
  for (const family of ['ipv4', 'ipv6']) await readEntries([...prefix, 'conntrack', '-L', '-f', family], onEntry)
}

async function readEntries(command: readonly string[], onLine: (entry: string) => void): Promise<void> {
  const { exitCode, stderr } = await runConntrack(command, onLine)
  if (exitCode !== 0) throw new Error(`Cannot read the marks of live sessions: ${stderr.trim()}`)
}

async function runConntrack(command: readonly string[], onLine: (entry: string) => void): Promise<RunResult> {
  try {
    return await run(command, { onLine, timeoutMs })
  } catch (error) {
    if (!(error instanceof RunError)) throw error
    const install = error.kind === 'no-such-command' ? ': install the package conntrack' : ''
    throw new Error(`Cannot read the marks of live sessions: ${error.message}${install}`, { cause: error })
  }
}
