/** conntrack(8), which the agent needs at times (marks.ts). */
import { RunError, run } from '../../common/exec.ts'

const timeoutMs = 5_000

/** `1.4.7`; null where there is none. @throws {Error} where it cannot be run */
export async function conntrackVersion(): Promise<string | null> {
  try {
    const { stdout } = await run(['conntrack', '--version'], { timeoutMs })
    return /v(\d[\d.]*)/.exec(stdout)?.[1] ?? stdout.trim()
  } catch (error) {
    if (error instanceof RunError && error.kind === 'no-such-command') return null
    throw error
  }
}
