/** Whatever the kernel calls a host and its devices, the daemon takes the report of it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { readToDaemon } from '../../../daemon/push/messages.ts'
import { needsKernel } from '../../support/requirements.ts'

const program = `
import { makeHostReport } from ${JSON.stringify(import.meta.resolve('../../../agent/link/host-report.ts'))}
import { listLinks } from ${JSON.stringify(import.meta.resolve('../../../agent/watch/links.ts'))}
const nft = { nftVersion: '1.0.9', capabilities: {} }
const exceptions = { rescue: [], controlConnections: [], rescuePorts: [] }
const report = await makeHostReport({ nft, stateDir: null, exceptions })
console.log(JSON.stringify({ report, links: await listLinks() }))
`

/** In namespaces of their own for names and devices, which are gone with the process. */
const script = `
set -e
printf 'web\\033[2J\\342\\200\\250' > /proc/sys/kernel/hostname
ip link add name "$(printf 'd\\342\\200\\2501')" type bridge
ip link add name "$(printf 'd\\033[7m')" type bridge
exec "$1" --input-type=module -e "$2"
`

test('a host and devices with names of any bytes are told in such that can be shown', { skip: needsKernel }, () => {
  const output = execFileSync('unshare', ['--net', '--uts', 'sh', '-c', script, 'sh', process.execPath, program])
  const { report, links } = JSON.parse(String(output))
  assert.equal(report.hostName, 'web?[2J?')
  // Modules of the kernel may have devices of their own in each namespace, as that of tunnels has.
  const oursIn = (devices: readonly { name: string }[]) =>
    devices
      .map(({ name }) => name)
      .filter(name => name.startsWith('d'))
      .sort()
  assert.deepEqual(oursIn(report.devices), ['d?1', 'd?[7m'])
  assert.deepEqual(oursIn(links), ['d\u001b[7m', 'd\u20281'])
  assert.ok('value' in readToDaemon(JSON.stringify({ type: 'report', report })))
})
