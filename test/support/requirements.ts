/** What a test needs from the machine, as node:test's `skip` option wants it: false, or the reason to skip. */
import { createNamespace } from '../../lab/netns.ts'

const probeRuleset = `
add table inet probe
add chain inet probe c { type filter hook prerouting priority -150; }
add rule inet probe c ct state new ct mark set 1
`

/** Root, network namespaces, and nftables with connection tracking in them. */
export const needsKernel: string | false = await reasonAgainstKernelTests()

async function reasonAgainstKernelTests(): Promise<string | false> {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root'
  try {
    await using probe = await createNamespace('probe')
    await probe.run('nft', ['-f', '-'], { input: probeRuleset })
    return false
  } catch (error) {
    return `needs network namespaces and nftables: ${(error as Error).message}`
  }
}
