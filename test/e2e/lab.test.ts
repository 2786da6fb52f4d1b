import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { makeFleet } from '../../lab/fleet.ts'
import { startRingwall } from '../support/launcher.ts'
import { openNetnsView } from '../support/netns-view.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallCommand } from '../support/ringwall.ts'

const further = 2
const { attempts, hosts } = makeFleet(further)

test('the lab cleans up after one that was killed, sees what the policies say, and leaves nothing', {
  skip: needsKernel,
  timeout: 300_000,
}, async () => {
  await using view = await openNetnsView()
  const [command, ...args] = [...view.prefix, ringwallCommand, 'lab', '--hosts', String(further)]
  const killed = await killOnceBuilt(startRingwall(args, command))
  const left = view.names()
  assert.deepEqual([left.length, left.filter(name => !name.startsWith(`rw-${killed}-`))], [hosts.length, []])

  const lab = startRingwall(args, command)
  const ended = once(lab, 'close')
  const [stdout, stderr, [exitCode]] = await Promise.all([text(lab.stdout!), text(lab.stderr!), ended])
  assert.deepEqual(view.names(), [])
  assert.equal(stderr, '')
  assert.equal(exitCode, 0, stdout)
  assert.ok(stdout.includes(`Removed ${hosts.length} namespaces that an earlier run left behind.\n`))
  assert.match(stdout, /^ {2}who +to whom +what +expected +IPv4 seen +IPv6 seen +why$/m)
  assert.match(stdout, /^ {2}outside +web +tcp 443 +accept +accept +accept +web-https-v4 \/ web-https-v6 at eni-web$/m)
  assert.match(stdout, /^ {2}outside +conthost +tcp 8080 +drop +drop +drop +ingress default at eni-conthost$/m)
  assert.match(stdout, new RegExp(`Without Ringwall: ${2 * attempts.length} of ${2 * attempts.length} attempts`))
  assert.match(stdout, new RegExp(`^A network of ${hosts.length} hosts is made on this machine`, 'm'))
  assert.match(stdout, /^ {2}The rules are put back, and port 443 answers again\.$/m)
  assert.match(stdout, /^ {2}IPv6: session to port 443 cut \d+ ms after the request/m)
  assert.match(stdout, /^ {2}recognised as udp; [\d,]+ of [\d,]+ packets have passed$/m)
  assert.match(stdout, /^ {2}a session from another address goes on, (\d+) of \1 messages answered$/m)
  assert.match(stdout, /^7 agents have enrolled with one-time tokens; all of them are in sync\.$/m)
  assert.match(stdout, /^ {2}joined: {2}in force on \d+ agents after \d+ ms; web is let in$/m)
  assert.match(stdout, new RegExp(`^${attempts.length} of ${attempts.length} rows as expected`, 'm'))

  const folders = readdirSync(tmpdir()).filter(name => /^ringwall-lab-/.test(name))
  for (const pid of [killed, lab.pid]) assert.ok(!folders.some(name => name.startsWith(`ringwall-lab-${pid}-`)))
})

/** @returns the pid of the lab, which ends in the middle of its work */
async function killOnceBuilt(lab: ChildProcess): Promise<number> {
  const ended = once(lab, 'exit')
  for await (const line of createInterface({ input: lab.stdout! })) {
    if (line.startsWith('Without Ringwall')) break
  }
  lab.kill('SIGKILL')
  await ended
  return lab.pid!
}
