/**
 * Lockout drills of an agent that a file leads, with packets: policies that cut an administrator off from the host, and
 * what may happen in the middle of the trial.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isHealed, startAgent } from '../support/agent.ts'
import { addresses } from '../support/host-network.ts'
import {
  accepts,
  DrillHost,
  guardFlags,
  isConfirmed,
  isRefused,
  isTakenBack,
  isTrial,
  metricsFlags,
  notConfirmed,
  onTrial,
  openShell,
  patientSeconds,
  drillPorts as ports,
  roomySeconds,
  takenBack,
  trialSeconds,
  works,
} from '../support/lockout.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { arrives, eventually } from '../support/sessions.ts'

const drill = DrillHost.prepare()

interface LedOptions {
  readonly policyPath?: string
  readonly awaitInForce?: boolean
  readonly seconds?: number
}

const startLed = (policy: unknown, { seconds = trialSeconds, ...options }: LedOptions = {}) =>
  startAgent({
    namespace: drill.network.namespaces.host,
    policy,
    flags: [...guardFlags(seconds), ...metricsFlags, '--state-dir', drill.folder],
    ...options,
  })

test('a policy that cuts a live session is taken back by itself, and not tried again until it changes', {
  skip: needsKernel,
}, async () => {
  await using agent = await startLed(acceptingPorts(7000))
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  await agent.line(isTrial)
  await shell.client.send('said during the trial')
  const { reason } = await takenBack(agent)
  assert.equal(reason, notConfirmed())
  await agent.line(isRefused)
  assert.ok(await works(shell), 'the session lives on')
  await accepts(drill.network, [7000])
  const health = await drill.readHealth()
  assert.equal(health.status, 503)
  assert.match(health.problems.join(), /Taken back, and not tried again until the policy changes: nobody confirmed it/)

  // Another policy that cuts the same by the same rules costs no second lockout.
  const from = agent.log.length
  await agent.writePolicy({ ...acceptingPorts(7001), settings: { sessionTimeout: 300 } })
  await agent.line(isRefused, { from })
  await accepts(drill.network, [7000])

  await agent.replacePolicy(acceptingPorts(7000, 7001))
  await accepts(drill.network, [...ports])
  assert.equal((await drill.readHealth()).status, 200)
})

test('one administrator among hundreds of sessions of somebody else is not cut unasked', {
  skip: needsKernel,
}, async () => {
  await using agent = await startLed(acceptingPorts(7000), { seconds: patientSeconds })
  const { outside } = drill.network.namespaces
  await outside.run('ip', ['addr', 'add', '198.18.0.77/24', 'dev', 'eth0'])
  await using stack = new AsyncDisposableStack()
  stack.defer(async () => void (await outside.run('ip', ['addr', 'del', '198.18.0.77/24', 'dev', 'eth0'])))
  const { host: server, outside: client } = drill.network.peers
  const open = async (localAddress: string) => {
    const near = await client.connectTcp(addresses.host.ip, 7000, { localAddress })
    stack.defer(() => near.close())
    // Its end on the host is closed as well: what is cut hears of no end, and would be an administrator of the next drill.
    const key = { protocol: 'tcp', port: 7000, remotePort: near.localPort } as const
    const far = await eventually(() => server.accepted(key))
    stack.defer(() => far.close())
  }
  for (let opened = 0; opened < 320; opened += 20) {
    await Promise.all(Array.from({ length: 20 }, () => open(addresses.outside.ip)))
  }
  await open('198.18.0.77')
  const policy = acceptingPorts(7000)
  const [group] = policy.securityGroups
  const own = group!.rules!.map(rule => ('sourceCidrIp' in rule ? { ...rule, sourceCidrIp: '198.18.0.9/32' } : rule))
  await agent.writePolicy({ ...policy, securityGroups: [{ ...group!, rules: own }] })
  const { cuts } = await agent.line(isTrial)
  assert.match(String(cuts), /^the session from 198\.18\.0\.77 to 198\.18\.0\.2:7000 \(ENI [^,]+, [^,]+$/)
  await agent.replacePolicy(policy)
})

test('whoever confirms on the host keeps a policy that cuts a live session', { skip: needsKernel }, async () => {
  await using agent = await startLed(acceptingPorts(7000), { seconds: patientSeconds })
  const shell = await openShell(drill.network)
  assert.equal((await drill.ringwall('confirm')).exitCode, 1)
  await agent.writePolicy(acceptingPorts(7001))
  await onTrial(agent, drill.network, [7001])
  assert.equal(await arrives(shell.client, shell.server), false)
  assert.match(
    (await drill.readHealth()).problems.join(),
    /on trial, \d+ s left: it may cut the session from 198\.18\.0\.9/,
  )
  const { exitCode, stdout } = await drill.ringwall('confirm')
  assert.deepEqual([exitCode, stdout], [0, 'Confirmed.\n'])
  await agent.line(isConfirmed)
  await accepts(drill.network, [7001])
  assert.equal((await drill.readHealth()).status, 200)
})

test('a policy that lets the session through ends the trial of one that does not', { skip: needsKernel }, async () => {
  await using agent = await startLed(acceptingPorts(7000), { seconds: patientSeconds })
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  await onTrial(agent, drill.network, [7001])
  await agent.writePolicy(acceptingPorts(7000, 7001))
  await agent.line(line => line.msg.startsWith('the policy on trial is replaced'))
  assert.ok(await works(shell))
  assert.equal((await drill.ringwall('confirm')).exitCode, 1, 'nothing waits')
  await accepts(drill.network, [...ports])
  assert.equal(agent.log.some(isTakenBack), false)
  assert.equal((await drill.readHealth()).status, 200)
})

test('the first policy of a host that cuts a live session leaves the host as it was', {
  skip: needsKernel,
}, async () => {
  const shell = await openShell(drill.network)
  await using agent = await startLed(acceptingPorts(7001), { awaitInForce: false })
  await takenBack(agent)
  await accepts(drill.network, [...ports])
  assert.ok(await works(shell))
})

test('an agent that is killed during the trial takes the policy back when it starts again', {
  skip: needsKernel,
}, async () => {
  const policyPath = join(drill.folder, 'policy.json')
  const shell = await openShell(drill.network)
  {
    await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
    await using agent = await startLed(null, { policyPath, seconds: patientSeconds })
    await agent.writePolicy(acceptingPorts(7001))
    await onTrial(agent, drill.network, [7001])
    await agent.kill()
  }
  await accepts(drill.network, [7001])
  await using next = await startLed(null, { policyPath, awaitInForce: false })
  await next.line(line => line.msg.startsWith('the agent was ended during a trial'))
  await accepts(drill.network, [7000])
  assert.ok(await works(shell))
  await next.line(isRefused)
  await accepts(drill.network, [7000])
})

test('so is a table that somebody else had loaded before', { skip: needsKernel }, async () => {
  const policyPath = join(drill.folder, 'policy.json')
  await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
  assert.equal((await drill.ringwall('apply', policyPath)).exitCode, 0)
  const shell = await openShell(drill.network)
  await writeFile(policyPath, JSON.stringify(acceptingPorts(7001)))
  {
    await using agent = await startLed(null, { policyPath, seconds: patientSeconds })
    await onTrial(agent, drill.network, [7001])
    await agent.kill()
  }
  await using next = await startLed(null, { policyPath, awaitInForce: false })
  await next.line(isRefused)
  await accepts(drill.network, [7000])
  assert.ok(await works(shell))
})

test('what was confirmed stays, though the agent is killed at once, or before it could forget the trial', {
  skip: needsKernel,
}, async () => {
  const policyPath = join(drill.folder, 'policy.json')
  await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
  let noted: string
  {
    await using agent = await startLed(null, { policyPath, seconds: patientSeconds })
    await openShell(drill.network)
    await agent.writePolicy(acceptingPorts(7001))
    await onTrial(agent, drill.network, [7001])
    noted = await readFile(join(drill.folder, 'guard.json'), 'utf8')
    assert.equal((await drill.ringwall('confirm')).exitCode, 0)
    await agent.line(isConfirmed)
    await agent.kill()
  }
  for (const left of [null, noted]) {
    if (left !== null) await writeFile(join(drill.folder, 'guard.json'), left)
    const next = await startLed(null, { policyPath, seconds: patientSeconds, awaitInForce: false })
    await next.line(line => line.msg === 'in force already')
    assert.equal(
      next.log.find(line => isTrial(line) || isRefused(line) || isTakenBack(line)),
      undefined,
    )
    await accepts(drill.network, [7001])
    await next.kill()
  }
})

test('an agent that is stopped during the trial takes the policy back before', { skip: needsKernel }, async () => {
  const agent = await startLed(acceptingPorts(7000), { seconds: patientSeconds })
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  await onTrial(agent, drill.network, [7001])
  assert.equal(await agent.stop(), 0)
  await accepts(drill.network, [7000])
  assert.ok(await works(shell))
})

test('the first policy of a host that cuts nobody is in force at once', { skip: needsKernel }, async () => {
  await using agent = await startLed(acceptingPorts(7001))
  await accepts(drill.network, [7001])
  assert.equal(agent.log.some(isTrial), false)
  assert.equal((await drill.readHealth()).status, 200)
})

test('of two policies that come in a trial neither stays: what stood before both is put back', {
  skip: needsKernel,
}, async () => {
  await using agent = await startLed(acceptingPorts(7000), { seconds: roomySeconds })
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  await agent.line(isTrial)
  const from = agent.log.length
  await agent.writePolicy(acceptingPorts())
  await agent.line(isTrial, { from })
  const { reason } = await takenBack(agent)
  assert.equal(reason, notConfirmed(roomySeconds))
  assert.ok(await works(shell))
  await accepts(drill.network, [7000])
  assert.equal(agent.log.filter(isTakenBack).length, 1)
})

test('a session whose packets pass through the policy needs nobody: it came in through a port that is translated', {
  skip: needsKernel,
}, async () => {
  const { host } = drill.network.namespaces
  await host.run('nft', ['add table ip nat; add chain ip nat in { type nat hook prerouting priority -100; }'])
  await host.run('nft', ['add rule ip nat in tcp dport 7002 redirect to :7000'])
  await using _removed = { [Symbol.asyncDispose]: async () => void (await host.run('nft', ['delete table ip nat'])) }
  await using agent = await startLed(acceptingPorts(7000, 7002), { seconds: patientSeconds })
  const shell = await openShell(drill.network, 7002, 7000)
  await agent.writePolicy(acceptingPorts(7002))
  await agent.line(isTrial)
  // What the host sends, and the far end acknowledges, is what confirms.
  const typing = (async () => {
    while (!agent.log.some(isConfirmed) && !agent.log.some(isTakenBack)) await arrives(shell.server, shell.client, 100)
  })()
  await agent.line(isConfirmed)
  await typing
  assert.ok(await works(shell))
})

test('a table that somebody removes during the trial lets packets pass, and they prove nothing', {
  skip: needsKernel,
}, async () => {
  await using agent = await startLed(acceptingPorts(7000), { seconds: roomySeconds })
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  await onTrial(agent, drill.network, [7001])
  for (let times = 0; times < 3; times += 1) {
    const from = agent.log.length
    await drill.network.namespaces.host.run('nft', ['flush', 'ruleset'])
    await arrives(shell.client, shell.server, 50)
    await agent.line(line => isHealed(line) || isTakenBack(line), { from })
  }
  await takenBack(agent)
  assert.equal(agent.log.some(isConfirmed), false)
  await accepts(drill.network, [7000])
  assert.ok(await works(shell))
})

test('panic during a trial opens the host for good; undone, the policy is on trial again', {
  skip: needsKernel,
}, async () => {
  const panic = async (...flags: readonly string[]) => {
    const { exitCode, stderr } = await drill.ringwall('panic', '--state-dir', drill.folder, ...flags)
    assert.equal(exitCode, 0, stderr)
  }
  await using agent = await startLed(acceptingPorts(7000), { seconds: patientSeconds })
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  await onTrial(agent, drill.network, [7001])
  await panic()
  await accepts(drill.network, [...ports])
  assert.equal((await drill.ringwall('confirm')).exitCode, 1, 'nothing waits')
  assert.equal(agent.log.some(isTakenBack), false)
  await accepts(drill.network, [...ports])
  assert.ok(await works(shell))
  const from = agent.log.length
  await panic('--undo')
  await onTrial(agent, drill.network, [7001], from)
  assert.equal((await drill.ringwall('confirm')).exitCode, 0)
  await agent.line(isConfirmed, { from })
  await accepts(drill.network, [7001])
})

test('a panic after the agent was ended during a trial leaves nothing of that trial', {
  skip: needsKernel,
}, async () => {
  const policyPath = join(drill.folder, 'policy.json')
  await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
  {
    await using agent = await startLed(null, { policyPath, seconds: patientSeconds })
    await openShell(drill.network)
    await agent.writePolicy(acceptingPorts(7001))
    await onTrial(agent, drill.network, [7001])
    await agent.kill()
  }
  const opened = await drill.ringwall('panic', '--state-dir', drill.folder)
  assert.equal(opened.exitCode, 0, opened.stderr)
  await using next = await startLed(null, { policyPath, seconds: patientSeconds, awaitInForce: false })
  await next.line(line => line.msg.startsWith('THE HOST IS OPEN'))
  const from = next.log.length
  assert.equal((await drill.ringwall('panic', '--state-dir', drill.folder, '--undo')).exitCode, 0)
  await onTrial(next, drill.network, [7001], from)
  assert.equal(
    next.log.some(line => line.msg.startsWith('the agent was ended during a trial')),
    false,
  )
})

test('a clock that is stepped back makes a trial neither shorter nor longer', { skip: needsKernel }, async () => {
  const step = `const real = Date.now; process.on("SIGPWR", () => { Date.now = () => real() - 86_400_000 })`
  const prefix = ['env', `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(step)}`]
  await using agent = await startAgent({
    namespace: drill.network.namespaces.host,
    policy: acceptingPorts(7000),
    flags: [...guardFlags(), '--state-dir', drill.folder],
    prefix,
  })
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  const { time } = await agent.line(isTrial)
  process.kill(agent.pid, 'SIGPWR')
  const back = await takenBack(agent)
  // As the agent has written them, whose Date tells the time as it was; they may have been read late.
  assert.ok(Date.parse(String(back.time)) - Date.parse(String(time)) >= trialSeconds * 1000)
  assert.ok(await works(shell))
})

test('on a full disk a trial goes on all the same', { skip: needsKernel }, async () => {
  const mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@"'
  await using agent = await startAgent({
    namespace: drill.network.namespaces.host,
    policy: acceptingPorts(7000),
    flags: [...guardFlags(roomySeconds), '--state-dir', drill.folder],
    prefix: ['unshare', '-m', 'sh', '-c', mount, 'sh', drill.folder],
  })
  const disk = `/proc/${agent.pid}/root${drill.folder}`
  await eventually(() => readFile(join(disk, 'policy.last-good')))
  await drill.network.namespaces.host.run('dd', ['if=/dev/zero', `of=${disk}/full`, 'bs=4k'], { allowFailure: true })
  const shell = await openShell(drill.network)
  await agent.writePolicy(acceptingPorts(7001))
  await agent.line(isTrial)
  await agent.line(line => line.msg.startsWith('cannot keep on disk what the guard does'))
  await accepts(drill.network, [7001])
  await takenBack(agent)
  await accepts(drill.network, [7000])
  assert.ok(await works(shell))
})

test('a boot during the trial loads what was confirmed last', { skip: needsKernel }, async () => {
  const { host } = drill.network.namespaces
  const policyPath = join(drill.folder, 'policy.json')
  await writeFile(policyPath, JSON.stringify(acceptingPorts(7000)))
  await openShell(drill.network)
  {
    await using agent = await startLed(null, { policyPath, seconds: patientSeconds })
    await eventually(() => readFile(join(drill.folder, 'ruleset.nft')))
    await agent.writePolicy(acceptingPorts(7001))
    await onTrial(agent, drill.network, [7001])
    await agent.kill()
  }
  await host.run('nft', ['flush', 'ruleset'])
  await host.run('nft', ['-f', join(drill.folder, 'ruleset.nft')])
  await accepts(drill.network, [7000])
  await using next = await startLed(null, { policyPath, awaitInForce: false })
  await next.line(isRefused)
  await accepts(drill.network, [7000])
})
