/**
 * Commands beside the agent go by its settings: they look where it looks, and leave in whom it would leave in; where its
 * configuration is faulty, the host can be opened all the same.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { Finding } from '../../agent/doctor/check.ts'
import { isInForce, startAgent } from '../support/agent.ts'
import { createHostNetwork, type HostNetwork, portsAccepted } from '../support/host-network.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { listenForSessions } from '../support/sessions.ts'

const ports = [7000, 7001] as const
const [ssh, web] = ports
/** The peer outside is 198.18.0.9. */
const rescue = `198.18.0.8/30:${ssh}`

let network: HostNetwork
let folder: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  for (const port of ports) await listenForSessions(network.peers.host, port)
})
after(() => network?.[Symbol.asyncDispose]())

beforeEach(async () => {
  if (needsKernel !== false) return
  await network.namespaces.host.run(ringwallProgram, ['flush'])
  folder = await mkdtemp(join(tmpdir(), 'ringwall-host-'))
  await mkdir(join(folder, 'lib'))
})
afterEach(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

/** With a /var/lib of the test's own, for what stands in the usual folder. */
const ownLib = ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /var/lib && exec "$@"'] as const

function ringwall(args: readonly string[], { environment = [] as readonly string[], input = '' } = {}) {
  const [program, ...rest] = ownLib
  const command = [...rest, join(folder, 'lib'), 'env', ...environment, ringwallProgram, ...args]
  return network.namespaces.host.run(program, command, { allowFailure: true, input })
}

async function configured(...lines: readonly string[]): Promise<string> {
  const path = join(folder, 'agent.yaml')
  await writeFile(path, lines.map(line => `${line}\n`).join(''))
  return path
}

const accepted = () => portsAccepted(network, ports)
const policyOf = (...open: readonly number[]) => JSON.stringify(acceptingPorts(...open))
const panicFile = (...parts: readonly string[]) => join(folder, ...parts, 'panic.json')

describe('ringwall panic looks where the agent looks', { skip: needsKernel }, () => {
  const byFile = () => `RINGWALL_AGENT_CONFIG=${join(folder, 'agent.yaml')}`
  for (const { name, flags = () => [], environment = () => [], expected } of [
    { name: 'by the file', flags: () => ['--config', join(folder, 'agent.yaml')], expected: 'by-file' },
    { name: 'by the file that a variable names', environment: () => [byFile()], expected: 'by-file' },
    {
      name: 'by a variable before the file',
      environment: () => [byFile(), `RINGWALL_AGENT_STATE_DIR=${folder}/by-variable`],
      expected: 'by-variable',
    },
    {
      name: 'by --state-dir before both',
      flags: () => ['--state-dir', join(folder, 'by-flag')],
      environment: () => [byFile()],
      expected: 'by-flag',
    },
    { name: 'in the usual folder', expected: 'lib/ringwall' },
  ]) {
    test(name, async () => {
      await configured('stateDir: by-file')
      const given = { environment: environment() }
      await ringwall(['apply', '-', '--config', 'none'], { input: policyOf(ssh) })
      assert.deepEqual(await accepted(), [ssh])
      const { exitCode, stderr } = await ringwall(['panic', ...flags()], given)
      assert.deepEqual({ exitCode, stderr }, { exitCode: 0, stderr: '' })
      assert.ok(existsSync(panicFile(expected)))
      assert.deepEqual(await accepted(), [...ports])
      const undone = await ringwall(['panic', '--undo', ...flags()], given)
      assert.deepEqual([undone.exitCode, undone.stderr, existsSync(panicFile(expected))], [0, '', false])
    })
  }

  for (const { lines, fault, expected } of [
    { lines: ['stateDir: [', 'x'], fault: /^\/\S+agent\.yaml:\d+:\d+ /, expected: 'lib/ringwall' },
    { lines: ['stateDir: 7'], fault: /agent\.yaml:1 stateDir is /, expected: 'lib/ringwall' },
    { lines: ['stateDri: there'], fault: /stateDri is no setting; is "stateDir" meant\?/, expected: 'lib/ringwall' },
    { lines: ['stateDir: there', 'guardSeconds: -1'], fault: /agent\.yaml:2 guardSeconds is /, expected: 'there' },
  ]) {
    test(`and a faulty file ("${lines[0]}") keeps nobody from opening the host: it is said where the word is kept`, async () => {
      const config = await configured(...lines)
      await ringwall(['apply', '-', '--config', 'none'], { input: policyOf(ssh) })
      const { exitCode, stdout, stderr } = await ringwall(['panic', '--config', config])
      assert.equal(exitCode, 0, stderr)
      assert.match(stdout, /^THE HOST IS OPEN/)
      assert.match(stderr, fault)
      const usual = expected === 'there' ? join(folder, 'there') : '/var/lib/ringwall'
      assert.ok(stderr.includes(`Its state directory is taken to be "${usual}"; --state-dir names another.`), stderr)
      assert.ok(existsSync(panicFile(expected)), stderr)
      assert.deepEqual(await accepted(), [...ports])
      assert.equal((await ringwall(['panic', '--undo', '--config', config])).exitCode, 0)
    })
  }

  test('nor does one that is not there', async () => {
    const gone = await ringwall(['panic', '--config', join(folder, 'nowhere.yaml')])
    assert.equal(gone.exitCode, 0)
    assert.match(gone.stderr, /^--config is "\S+nowhere\.yaml", expected a file that is there, or none$/m)
  })

  test('an agent that runs says itself where it looks: no flag and no sound file is needed', async () => {
    const config = await configured('stateDir: [')
    const environment = [`RINGWALL_AGENT_CONFIG=${config}`]
    const flags = ['--state-dir', join(folder, 'own'), '--config', 'none']
    await using agent = await startAgent({ namespace: network.namespaces.host, policy: acceptingPorts(ssh), flags })
    assert.deepEqual(await accepted(), [ssh])
    const opened = await ringwall(['panic'], { environment })
    assert.deepEqual([opened.exitCode, opened.stderr], [0, ''])
    assert.deepEqual(await accepted(), [...ports])
    assert.ok(existsSync(panicFile('own')))
    const from = agent.log.length
    const undone = await ringwall(['panic', '--undo'], { environment })
    assert.deepEqual([undone.exitCode, undone.stderr], [0, ''])
    await agent.line(isInForce, { from })
    assert.deepEqual(await accepted(), [ssh])
  })

  test('who holds the socket without any right to it neither leads root elsewhere nor keeps the host closed', async () => {
    const mine = join(folder, 'strange')
    await ringwall(['apply', '-', '--config', 'none'], { input: policyOf(ssh) })
    const child = await startStranger({ stateDir: mine })
    try {
      const { exitCode, stdout } = await ringwall(['panic'])
      assert.deepEqual([exitCode, stdout.startsWith('THE HOST IS OPEN')], [0, true])
      assert.ok(existsSync(panicFile('lib', 'ringwall')))
      assert.equal(existsSync(mine), false)
      assert.deepEqual(await accepted(), [...ports])
    } finally {
      child.kill()
    }
  })

  test('nor does he have a process of root’s sent a signal', async () => {
    const { host } = network.namespaces
    // As a process of Ringwall’s looks in a listing.
    const victim = host.spawn('sh', ['-c', 'echo; sleep 60', 'agent'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(victim, 'exit')
    await once(victim.stdout!, 'data')
    const child = await startStranger({ pid: victim.pid!, trial: { needsPerson: true } })
    try {
      const { exitCode, stderr } = await ringwall(['confirm'])
      assert.deepEqual([exitCode, stderr.startsWith('Cannot confirm: ')], [1, true])
      victim.kill('SIGTERM')
      assert.deepEqual(await ended, [null, 'SIGTERM'])
    } finally {
      child.kill()
      victim.kill()
    }
  })

  test('an agent that hangs does not keep it closed, and keeps it open when it goes on', async () => {
    const flags = ['--state-dir', join(folder, 'lib', 'own')]
    await using agent = await startAgent({ namespace: network.namespaces.host, policy: acceptingPorts(ssh), flags })
    process.kill(agent.pid, 'SIGSTOP')
    const { exitCode, stdout } = await ringwall(['panic', '--state-dir', join(folder, 'lib', 'own')])
    assert.deepEqual([exitCode, stdout.startsWith('THE HOST IS OPEN')], [0, true])
    assert.deepEqual(await accepted(), [...ports])
    process.kill(agent.pid, 'SIGCONT')
    await agent.line(({ msg }) => msg.startsWith('THE HOST IS OPEN'))
    assert.deepEqual(await accepted(), [...ports])
  })

  test('an apply that waits for its confirmation does not close the host again', async () => {
    const file = join(folder, 'policy.json')
    await writeFile(file, policyOf(ssh))
    await ringwall(['apply', '-', '--config', 'none'], { input: policyOf(web) })
    const args = ['apply', file, '--config', 'none', '--confirm', '600']
    const child = network.namespaces.host.spawn(ringwallProgram, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = new Promise(resolve => child.once('close', resolve))
    let said = ''
    await new Promise<void>(resolve => {
      child.stdout!.on('data', chunk => {
        said += chunk
        if (said.includes('Confirm within')) resolve()
      })
    })
    const { exitCode, stderr } = await ringwall(['panic'])
    assert.deepEqual([exitCode, stderr], [0, ''])
    assert.equal(await ended, 1)
    assert.deepEqual(await accepted(), [...ports])
  })
})

/** Somebody without any right who holds the agent’s socket, and answers every question so. */
async function startStranger(answer: object): Promise<ChildProcess> {
  const program = `
    const answer = { role: 'agent', pid: process.pid, policyPath: null, daemonUrl: null, stateDir: null, ...${JSON.stringify(answer)} }
    require('node:http').createServer((_, response) => response.end(JSON.stringify(answer)))
      .listen({ path: '\\0ringwall' }, () => console.log('listens'))
  `
  const asNobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--bounding-set', '-all']
  const command = [...asNobody, process.execPath, '-e', program, 'agent']
  const child = network.namespaces.host.spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
  return child
}

describe('the host’s own administrators', { skip: needsKernel }, () => {
  const question = ['--eni', 'eni-host', '--direction', 'ingress', '--protocol', 'tcp', '--destination', '198.18.0.2']
  const explain = async (source: string, port: number, ...flags: readonly string[]) => {
    const { enis } = { enis: acceptingPorts().interfaces }
    const asked = question.with(1, enis[0]!.id)
    const { stdout, stderr } = await ringwall(
      ['explain', '-', ...asked, '--source', source, '--port', String(port), '--json', ...flags],
      { input: policyOf() },
    )
    assert.equal(stderr, '')
    const { verdict, reason } = JSON.parse(stdout) as { verdict: string; reason: { kind: string; name: string | null } }
    return `${verdict} ${reason.name ?? reason.kind}`
  }

  test('are not cut by an apply, and explain and show say so', async () => {
    const config = await configured(`rescue: ["${rescue}"]`)
    const file = join(folder, 'policy.json')
    await writeFile(file, policyOf())
    const applied = await ringwall(['apply', file, '--config', config])
    assert.equal(applied.exitCode, 0, applied.stderr)
    assert.deepEqual(await accepted(), [ssh])
    assert.equal(await explain('198.18.0.9', ssh, '--config', config), 'accept rescue')
    assert.equal(await explain('198.18.0.9', web, '--config', config), 'drop default')
    assert.equal(await explain('198.18.0.12', ssh, '--config', config), 'drop default')
    const { stdout } = await ringwall(['show', file, '--config', config])
    assert.match(stdout, /^ {2}rescue 198\.18\.0\.8\/30 to port 7000: accepted whatever/m)
    const again = await ringwall(['apply', file, '--config', config])
    assert.equal(again.stdout, 'Nothing to change: the policy is in force.\n')
  })

  test('are named by a variable or a flag as well, and forgotten with --config none', async () => {
    const environment = [`RINGWALL_AGENT_RESCUE=${rescue}`]
    const apply = (flags: readonly string[], given: readonly string[]) =>
      ringwall(['apply', '-', ...flags], { environment: given, input: policyOf() })
    assert.equal((await apply([], environment)).exitCode, 0)
    assert.deepEqual(await accepted(), [ssh])
    assert.equal((await apply(['--rescue', `198.18.0.9:${web}`], environment)).exitCode, 0)
    assert.deepEqual(await accepted(), [web])
    const config = await configured(`rescue: ["${rescue}"]`)
    assert.equal((await apply([], [`RINGWALL_AGENT_CONFIG=${config}`])).exitCode, 0)
    assert.deepEqual(await accepted(), [ssh])
    assert.equal((await apply(['--config', 'none'], [`RINGWALL_AGENT_CONFIG=${config}`])).exitCode, 0)
    assert.deepEqual(await accepted(), [])
  })

  test('nothing is applied, explained or shown by settings that are faulty: who they name is not known', async () => {
    const config = await configured(`resuce: ["${rescue}"]`)
    const file = join(folder, 'policy.json')
    await writeFile(file, policyOf())
    await ringwall(['apply', '-', '--config', 'none'], { input: policyOf(web) })
    for (const command of [
      ['apply', file],
      ['apply', file, '--dry-run'],
      ['show', file],
      ['explain', file, ...question, '--source', '198.18.0.9', '--port', '22'],
    ]) {
      const { exitCode, stdout, stderr } = await ringwall([...command, '--config', config])
      assert.deepEqual([exitCode, stdout], [2, ''], command.join(' '))
      assert.match(
        stderr,
        /agent\.yaml:1 resuce is no setting; is "rescue" meant\?\n.*--config none goes without its file/,
      )
    }
    assert.deepEqual(await accepted(), [web])
  })

  test('an apply leaves a host open that its administrator has opened', async () => {
    const config = await configured('stateDir: there')
    assert.equal((await ringwall(['panic', '--config', config])).exitCode, 0)
    const refused = await ringwall(['apply', '-', '--config', config], { input: policyOf(ssh) })
    assert.deepEqual([refused.exitCode, refused.stdout], [1, ''])
    assert.match(refused.stderr, /^Cannot apply: this host is open since 20\S+, until "ringwall panic --undo"\.$/m)
    assert.deepEqual(await accepted(), [...ports])
    assert.equal((await ringwall(['panic', '--undo', '--config', config])).exitCode, 0)
    assert.equal((await ringwall(['apply', '-', '--config', config], { input: policyOf(ssh) })).exitCode, 0)
    assert.deepEqual(await accepted(), [ssh])
  })
})

describe('ringwall doctor', { skip: needsKernel }, () => {
  async function examine(flags: readonly string[], environment: readonly string[] = []) {
    const { stdout, stderr } = await ringwall(['doctor', '--json', ...flags], { environment })
    assert.equal(stderr, '')
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] }
    return (code: string) => findings.find(each => each.code === code)?.found
  }

  test('looks where the configuration says, and names who gets in and who would not', async () => {
    const config = await configured('stateDir: there', `rescue: ["${rescue}", "198.18.0.9:2222"]`)
    await ringwall(['panic', '--config', config])
    const found = await examine(['--config', config])
    assert.match(found('panic-on') ?? '', /^since 20/)
    assert.equal(found('configuration'), config)
    assert.equal(found('rescue-port-closed'), '198.18.0.9/32 to port 2222')
    assert.equal(found('rescue-none'), undefined)
    assert.match((await examine(['--config', 'none']))('rescue-none') ?? '', /^no rescue address/)
  })

  test('says that a configuration is faulty, and goes on with the rest', async () => {
    const config = await configured('stateDir: there', 'logLevel: loud')
    const found = await examine([], [`RINGWALL_AGENT_CONFIG=${config}`])
    assert.match(found('configuration-faulty') ?? '', /agent\.yaml:2 logLevel is "loud", expected /)
    assert.match(found('state-dir-missing') ?? '', new RegExp(`^${folder}/there: `))
  })

  test('looks where an agent looks that runs, and says that its configuration says otherwise', async () => {
    const own = join(folder, 'own')
    const flags = ['--state-dir', own, '--config', 'none']
    await using _agent = await startAgent({ namespace: network.namespaces.host, policy: acceptingPorts(ssh), flags })
    const found = await examine([])
    assert.match(found('state-dir') ?? '', new RegExp(`^${own}: `))
    assert.match(
      found('configuration-elsewhere') ?? '',
      new RegExp(`^the agent \\(process \\d+\\) keeps its files in ${own}, its configuration says /var/lib/ringwall$`),
    )
  })
})
