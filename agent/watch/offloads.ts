/** What a device does to packets before the kernel sees them, for reports: ethtool(8) knows. */
import { RunError, run } from '../../common/exec.ts'

export interface Offloads {
  /** The kernel joins segments of a TCP session into larger packets (GRO). */
  readonly joinsInKernel: boolean
  /** The device itself does, and not so that they could be sent on as they came (LRO). */
  readonly joinsInDevice: boolean
}

const timeoutMs = 5_000

/** @returns null where there is no ethtool. @throws {Error} where it refuses */
export async function readOffloads(device: string): Promise<Offloads | null> {
  try {
    const { exitCode, stdout, stderr } = await run(['ethtool', '-k', device], { timeoutMs })
    if (exitCode !== 0) throw new Error(`Cannot read offloads of "${device}": ${stderr.trim()}`)
    return parseOffloads(stdout)
  } catch (error) {
    if (error instanceof RunError && error.kind === 'no-such-command') return null
    throw error
  }
}

export function parseOffloads(text: string): Offloads {
  const isOn = (feature: string) => new RegExp(`^${feature}: on\\b`, 'm').test(text)
  return { joinsInKernel: isOn('generic-receive-offload'), joinsInDevice: isOn('large-receive-offload') }
}
