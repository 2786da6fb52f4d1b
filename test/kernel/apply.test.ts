/** `ringwall apply`: trying without changing, and changing on trial. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, suite, test } from 'node:test'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { listTable } from '../support/kernel-listing.ts'
import { acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, flushPolicy, ringwallProgram } from '../support/ringwall.ts'
import { arrives, converse, eventually, listenForSessions, patienceMs } from '../support/sessions.ts'

const ports = { always: 7000, before: 7001, trial: 7002 } as const
const documentOf = (...accepted: readonly number[]) =>
  policyDocument({ host: ['sg-1'] }, [
    closedGroup(
      'sg-1',
      accepted.flatMap(port => acceptPort(port)),
      [`198.18.9.${accepted.length}`],
    ),
  ])
const standing = documentOf(ports.always, ports.before)
const trial = documentOf(ports.always, ports.trial)

let network: HostNetwork
let folder: string
let trialFile: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  folder = await mkdtemp(join(tmpdir(), 'ringwall-apply-'))
  trialFile = join(folder, 'trial.json')
  await writeFile(trialFile, JSON.stringify(trial))
  for (const port of Object.values(ports)) await listenForSessions(network.peers.host, port)
})

beforeEach(async () => {
  if (needsKernel === false) await flushPolicy(network.namespaces.host)
})

after(async () => {
  await network?.[Symbol.asyncDispose]()
  if (folder !== undefined) await rm(folder, { recursive: true })
})

/** An apply on trial, as far as its question. */
async function startTrial(seconds: number, file = trialFile) {
  const args = ['apply', file, '--confirm', String(seconds)]
  const child = network.namespaces.host.spawn(ringwallProgram, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'close') as Promise<[number | null]>
  const stderr = text(child.stderr!)
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const said: string[] = []
  while (!said.at(-1)?.startsWith('Confirm within')) {
    const { value, done } = await lines.next()
    if (done) throw new Error(`apply did not ask for confirmation: ${said.join('\n')}\n${await stderr}`)
    said.push(value)
  }
  return {
    child,
    async end() {
      const [exitCode] = await ended
      return { exitCode, stderr: await stderr }
    },
  }
}

const notConfirmed = { exitCode: 1, stderr: 'Not confirmed: the state before is in force again.\n' }

for (const before of ['nothing', 'another policy'] as const) {
  test(`--dry-run changes nothing where ${before} stands`, { skip: needsKernel }, async () => {
    const { host } = network.namespaces
    if (before === 'another policy') await applyPolicy(host, standing)
    const listing = await listTable(host)
    const { stdout } = await host.run(ringwallProgram, ['apply', '--dry-run', trialFile])
    assert.match(stdout, /^Would change: /)
    assert.deepEqual(await listTable(host), listing)
    await applyPolicy(host, trial)
    const again = await host.run(ringwallProgram, ['apply', '--dry-run', trialFile])
    assert.equal(again.stdout, 'Nothing to change: the policy is in force.\n')
  })

  for (const { name, seconds, act } of [
    { name: 'the time is over', seconds: 1, act: () => {} },
    { name: 'the terminal is lost', seconds: 30, act: (kill: Kill) => kill('SIGHUP') },
    { name: 'Ctrl-C is pressed', seconds: 30, act: (kill: Kill) => kill('SIGINT') },
    { name: 'it is told to end', seconds: 30, act: (kill: Kill) => kill('SIGTERM') },
  ] as const) {
    test(`unconfirmed because ${name}, ${before} stands again`, { skip: needsKernel }, async () => {
      const { host } = network.namespaces
      if (before === 'another policy') await applyPolicy(host, standing)
      const listing = await listTable(host)
      const { child, end } = await startTrial(seconds)
      // Where it ends by itself it may have done so by now.
      if (seconds > 1) assert.notDeepEqual(await listTable(host), listing, 'the trial is in force')
      act(signal => child.kill(signal))
      assert.deepEqual(await end(), notConfirmed)
      assert.deepEqual(await listTable(host), listing)
    })
  }
}

type Kill = (signal: NodeJS.Signals) => void

for (const { name, confirm } of [
  { name: 'Enter', confirm: async (trialed: Trial) => void trialed.child.stdin!.write('\n') },
  {
    name: '"ringwall confirm"',
    confirm: async () => {
      const { stdout } = await network.namespaces.host.run(ringwallProgram, ['confirm'])
      assert.equal(stdout, 'Confirmed.\n')
    },
  },
] as const) {
  test(`confirmed by ${name}, the trial stays`, { skip: needsKernel }, async () => {
    const { host } = network.namespaces
    await applyPolicy(host, standing)
    const trialed = await startTrial(30)
    const listing = await listTable(host)
    await confirm(trialed)
    assert.deepEqual(await trialed.end(), { exitCode: 0, stderr: '' })
    assert.deepEqual(await listTable(host), listing)
  })
}

type Trial = Awaited<ReturnType<typeof startTrial>>

test('"ringwall confirm" without a trial confirms nothing', { skip: needsKernel }, async () => {
  const result = await network.namespaces.host.run(ringwallProgram, ['confirm'], { allowFailure: true })
  assert.equal(result.exitCode, 1)
  assert.match(result.stderr, /^Cannot confirm: /)
})

test('standard input that ends is no confirmation', { skip: needsKernel }, async () => {
  const { child, end } = await startTrial(1)
  child.stdin!.end()
  assert.deepEqual(await end(), notConfirmed)
  assert.equal(await listTable(network.namespaces.host), null)
})

test('sessions live through a rollback as the policies say', { skip: needsKernel }, async () => {
  await applyPolicy(network.namespaces.host, standing)
  const always = await openSession(ports.always)
  const idle = await openSession(ports.before)
  const { child, end } = await startTrial(30)
  assert.ok(await arrives(always.server, always.client, patienceMs))
  child.kill('SIGHUP')
  await end()
  for (const { client, server } of [always, idle]) {
    assert.ok(await arrives(server, client, patienceMs))
    assert.ok(await arrives(client, server, patienceMs))
  }
})

test('a session that only the trial allowed is cut by the rollback', { skip: needsKernel }, async () => {
  for (const more of [[], [ports.before]]) {
    await applyPolicy(network.namespaces.host, standing)
    const file = join(folder, 'more.json')
    await writeFile(file, JSON.stringify(documentOf(ports.always, ports.trial, ...more)))
    const { child, end } = await startTrial(30, file)
    const { client, server } = await openSession(ports.trial)
    child.kill('SIGHUP')
    await end()
    const through = [await arrives(server, client), await arrives(client, server)]
    assert.deepEqual(
      through,
      [false, false],
      more.length === 0 ? 'the trial took something away' : 'the trial only added',
    )
  }
})

function openSession(port: number) {
  const { outside: client, host: server } = network.peers
  return converse('tcp', { client, server, address: addresses.host.ip, port })
}

suite('a live session to a port by which the host is administered', { skip: needsKernel }, () => {
  const rescuePort = `RINGWALL_AGENT_RESCUE_PORT=${ports.before}`
  const bySsh = 'SSH_CONNECTION=198.18.0.9 50000 198.18.0.2 22'
  const apply = (variables: readonly string[], ...args: readonly string[]) => {
    const command = [...variables, ringwallProgram, 'apply', ...args, '--config', 'none']
    return network.namespaces.host.run('env', command, { allowFailure: true })
  }
  const cut = `It would cut the session from 198.18.0.9 to 198.18.0.2:${ports.before} (ENI eni-host of placement host on eth0, ingress: no rule accepts it).`
  let shell: Awaited<ReturnType<typeof openSession>>
  beforeEach(async () => {
    await applyPolicy(network.namespaces.host, standing)
    shell = await openSession(ports.before)
  })
  afterEach(() => Promise.all([shell.client.close(), shell.server.close()]))

  test('is not cut by a policy that nobody confirms', async () => {
    const listing = await listTable(network.namespaces.host)
    const { exitCode, stdout, stderr } = await apply([bySsh, rescuePort, 'RINGWALL_AGENT_GUARD_SECONDS=1'], trialFile)
    assert.deepEqual({ exitCode, stderr }, notConfirmed)
    assert.deepEqual(stdout.split('\n').slice(0, 1), [cut])
    assert.match(stdout, /^Confirm within 1 s: /m)
    assert.deepEqual(await listTable(network.namespaces.host), listing)
    assert.ok(await arrives(shell.client, shell.server, patienceMs))
  })

  test('is known by the port that the terminal came in by', async () => {
    const { stdout } = await apply(
      [`SSH_CONNECTION=198.18.0.9 50000 198.18.0.2 ${ports.before}`],
      trialFile,
      '--dry-run',
    )
    assert.match(stdout, /^It would cut the session from 198\.18\.0\.9 .*\nWould change: /)
  })

  test('is cut where somebody confirms', async () => {
    const confirmed = apply([bySsh, rescuePort], trialFile)
    await eventually(async () => {
      const { stdout } = await network.namespaces.host.run(ringwallProgram, ['confirm'], { allowFailure: true })
      assert.equal(stdout, 'Confirmed.\n')
    }, 60_000)
    const { exitCode, stdout } = await confirmed
    assert.deepEqual([exitCode, stdout.endsWith('Confirmed.\n')], [0, true])
    assert.equal(await arrives(shell.client, shell.server), false)
  })

  for (const { name, variables, flags } of [
    { name: '--confirm 0', variables: [bySsh, rescuePort], flags: ['--confirm', '0'] },
    { name: 'an agent without trials', variables: [bySsh, rescuePort, 'RINGWALL_AGENT_GUARD_SECONDS=0'], flags: [] },
    { name: 'a port that is not watched', variables: [bySsh], flags: [] },
  ]) {
    test(`is cut at once with ${name}`, async () => {
      const { exitCode, stdout, stderr } = await apply(variables, trialFile, ...flags)
      assert.deepEqual([exitCode, stderr], [0, ''])
      assert.match(stdout, /^In force after \d+ ms: /)
      assert.equal(await arrives(shell.client, shell.server), false)
    })
  }

  test('is cut at once, and told, by a program that has nobody to ask', async () => {
    const { exitCode, stdout } = await apply(['-u', 'SSH_CONNECTION', rescuePort], trialFile)
    assert.equal(exitCode, 0)
    assert.deepEqual(stdout.split('\n').slice(0, 1), [cut])
    assert.match(stdout, /^In force after /m)
    assert.equal(await arrives(shell.client, shell.server), false)
  })

  test('that is not cut needs nobody', async () => {
    const file = join(folder, 'kept.json')
    await writeFile(file, JSON.stringify(documentOf(ports.before, ports.trial)))
    const { exitCode, stdout } = await apply([bySsh, rescuePort], file)
    assert.equal(exitCode, 0)
    assert.match(stdout, /^In force after /)
    assert.ok(await arrives(shell.client, shell.server, patienceMs))
  })
})
