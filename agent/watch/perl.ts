/** perl(1), by which the agent listens to netlink: who changes rules, and the kernel's log of packets. */
import { RunError, run } from '../../common/exec.ts'

const timeoutMs = 5_000

/** `5.36.0`; null where there is none. @throws {Error} where it cannot be run */
export async function perlVersion(): Promise<string | null> {
  try {
    const { stdout } = await run(['perl', '-e', 'printf "%vd", $^V'], { timeoutMs })
    return stdout
  } catch (error) {
    if (error instanceof RunError && error.kind === 'no-such-command') return null
    throw error
  }
}
