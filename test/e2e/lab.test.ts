import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { makeFleet } from '../../lab/fleet.ts'
import { runRingwall, startRingwall } from '../support/launcher.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallCommand } from '../support/ringwall.ts'

const further = 2
const args = ['lab', '--hosts', String(further)]
const { attempts, hosts } = makeFleet(further)

test('the lab cleans up after one that was killed, sees what the policies say, and leaves nothing', {
  skip: needsKernel,
}, async () => {
  const killed = await killOnceBuilt(startRingwall(args, ringwallCommand))
  assert.equal(namespacesOf(killed).length, hosts.length)

  const { exitCode, stdout, stderr } = await runRingwall(args, ringwallCommand)
  assert.equal(exitCode, 0, `${stdout}\n${stderr}`)
  assert.equal(stderr, '')
  assert.deepEqual(namespacesOf(killed), [])
  assert.match(stdout, /^Removed \d+ namespaces that an earlier run left behind\.$/m)
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

  const [, pid = ''] = /ringwall-lab-(\d+)-/.exec(stdout) ?? []
  assert.deepEqual(namespacesOf(Number(pid)), [])
  for (const lab of [killed, pid]) {
    assert.deepEqual(
      readdirSync(tmpdir()).filter(name => name.startsWith(`ringwall-lab-${lab}-`)),
      [],
    )
  }
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

function namespacesOf(pid: number): string[] {
  return readdirSync('/run/netns').filter(name => name.startsWith(`rw-${pid}-`))
}
