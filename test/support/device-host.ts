/** Hosts with whatever devices a test makes, and policies for them; for tests of devices. */
import { execFileSync } from 'node:child_process'
import type { Namespace } from '../../lab/netns.ts'
import type { Group } from './policy-documents.ts'

export interface DeviceEni {
  readonly id: string
  readonly device: string
  readonly placement?: 'host' | 'guest'
  readonly addresses?: readonly string[]
  readonly securityGroupIds: readonly string[]
}

/** The instance types and thresholds of scrubbing are left out: traffic is measured only. */
export function deviceDocument(interfaces: readonly DeviceEni[], groups: readonly Group[]) {
  return { apiVersion: 'ringwall/v1', interfaces, securityGroups: groups }
}

/** Lines for `ip -batch -`, done in order. */
export async function ipBatch(namespace: Namespace, lines: readonly string[]): Promise<void> {
  await namespace.run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/** The value of one series of /metrics text; 0 where there is none. @param series  `name{label="x"}`, as it is printed */
export function metricValue(text: string, series: string): number {
  const line = text.split('\n').find(each => each.startsWith(`${series} `))
  return line === undefined ? 0 : Number(line.slice(series.length + 1))
}

/**
 * Whether the kernel can make a device of a kind, by making one in a namespace that goes at once.
 * @param words  `dummy`, or with what the kind needs: `vlan id 5`, `macvlan`; those above another device get one
 * @returns as node:test's `skip` option wants it: false, or the reason to skip
 */
export function needsDevice(words: string): string | false {
  const kind = words.split(' ')[0]!
  const script = 'ip link add below type veth && ip link add link below name probe0 type "$@"'
  const args = ['--net', 'sh', '-c', script, 'sh', ...words.split(' ')]
  try {
    execFileSync('unshare', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    return false
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? (error as Error).message)
      .trim()
      .split('\n')
      .at(-1)
    return `needs root and a kernel with ${kind} devices (npm run test:vm has one): ${said}`
  }
}
