/** An agent, or its nft, for which memory runs out while it loads a large policy. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { readEndings } from '../../agent/endings.ts'
import { startTime } from '../../lab/netns.ts'
import { needsSystemd } from '../support/container.ts'
import { acceptGroup, acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { opening, type ServiceHost, startServiceHost, stateDir, units } from '../support/service-host.ts'
import { eventually } from '../support/sessions.ts'

/** An agent dies and is started anew, twice, with rests between; the last loads a large policy. */
const patienceMs = 120_000
const timeout = 300_000
/**
 * Of version 1: a container here has version 2, in which a machine that has its memory controller in version 1 can set no
 * MemoryMax=. The kernel that kills is the same.
 */
const memoryGroups = '/sys/fs/cgroup/memory'
const needsMemoryGroups =
  needsSystemd || (existsSync(join(memoryGroups, 'cgroup.procs')) ? false : `needs ${memoryGroups} (cgroups(7))`)

/** One that a killed test has left is another. */
const group = join(memoryGroups, `ringwall-test-${process.pid}-${startTime(process.pid)}`)
const unit = units.agent
const dropIn = `etc/systemd/system/${unit}.d/memory.conf`
let it: ServiceHost

before(async () => {
  if (needsSystemd !== false) return
  it = await startServiceHost({ files: { 'etc/ringwall/policy.yaml': opening(7080) } })
})
after(async () => {
  await it?.[Symbol.asyncDispose]()
  // With a process in it, it cannot be removed.
  if (existsSync(group)) await eventually(async () => rmdirSync(group))
})

/** Its ports are these; it takes the agent and nft tens of megabytes. */
function large(port: number): string {
  const rules = [...Array(500).keys()].flatMap(index => acceptPort(20_000 + index))
  const members = [...Array(60_000).keys()].map(index => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`)
  const groups = [
    closedGroup('sg-1', [...acceptPort(port), acceptGroup('sg-2'), ...rules]),
    closedGroup('sg-2', [], members),
  ]
  const document = policyDocument({ host: ['sg-1'] }, groups)
  return JSON.stringify({ ...document, settings: { limits: { rulesPerGroup: 10_000, basicGroupPrivateIps: 100_000 } } })
}

/** What stands while a policy is loaded and the agent dies of it: the one before, whole, or the one after. */
class Watch implements AsyncDisposable {
  readonly faults: string[] = []
  #open = true
  readonly #watching: Promise<void>

  constructor(before: number, after: number) {
    this.#watching = this.#watch(before, after)
  }

  async #watch(before: number, after: number): Promise<void> {
    while (this.#open) {
      const text = await it.ruleset().catch(error => `none: ${error}`)
      const [hasBefore, hasAfter] = [before, after].map(port => new RegExp(`\\b${port}\\b`).test(text))
      if (hasBefore === hasAfter) this.faults.push(text.slice(0, 2_000))
      await sleep(200)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false
    await this.#watching
  }
}

async function restarts(): Promise<number> {
  return Number(await it.container.property(unit, 'NRestarts'))
}

/** What the boot unit would load is what nft takes, and names the port. */
async function assertKept(port: number): Promise<void> {
  await it.untilKept(port)
  await it.container.run('nft', ['-c', '-f', `${stateDir}/ruleset.nft`])
}

describe('an agent that the kernel kills because memory runs out', { skip: needsMemoryGroups }, () => {
  test('while it loads a policy: the one before stands whole, the next agent loads it, and the journal says what was', {
    timeout,
  }, async () => {
    await it.untilActive(unit)
    await it.untilKept(7080)
    const before = await restarts()
    mkdirSync(group)
    writeFileSync(join(group, 'memory.limit_in_bytes'), `${16 * 1024 * 1024}`)
    writeFileSync(join(group, 'cgroup.procs'), `${await agentPid()}`)
    {
      await using watch = new Watch(7080, 7081)
      await it.replacePolicy(large(7081))
      await eventually(async () => assert.ok((await restarts()) > before), patienceMs)
      await it.untilInKernel(7081, patienceMs)
      assert.deepEqual(watch.faults, [])
    }
    const [, kills] = /^oom_kill (\d+)$/m.exec(readFileSync(join(group, 'memory.oom_control'), 'utf8')) ?? []
    assert.ok(Number(kills) >= 1, 'it was the kernel that killed it')
    const killed =
      /^ringwall-agent: somebody killed it, or the kernel did because memory ran out .+; the ruleset stays in force$/
    await it.untilLogged(unit, [killed])
    await assertKept(7081)
    assert.equal(await it.answers(), false)
  })
})

describe('an agent whose own heap is full', { skip: needsSystemd }, () => {
  test('is started again and again, not at once, says why, and enforces the last good policy until there is another', {
    timeout,
  }, async () => {
    await it.untilActive(unit)
    await it.replacePolicy(opening(7080))
    await it.untilKept(7080)
    it.container.write(dropIn, '[Service]\nEnvironment=NODE_OPTIONS=--max-old-space-size=14\n')
    await it.systemctl('daemon-reload')
    await it.systemctl('restart', unit)
    await it.untilActive(unit)
    const before = await restarts()
    {
      await using watch = new Watch(7080, 7082)
      await it.replacePolicy(large(7082))
      await eventually(async () => assert.ok((await restarts()) >= before + 2), patienceMs)
      const said = [
        /JavaScript heap out of memory/,
        /^ringwall-agent: it gave up, as it does where its own memory is full/,
      ]
      await it.untilLogged(unit, said)
      const { codes } = await it.doctor()
      assert.ok(codes.includes('agent-out-of-memory'), codes.join(' '))
      // Between two starts systemd waits for what says that.
      assert.match(await it.container.property(unit, 'ExecStopPost'), /ended\.sh/)
      assert.deepEqual(watch.faults, [])
    }
    assert.equal(await it.answers(), false)
    await assertKept(7080)
    await it.replacePolicy(opening(7083))
    await it.untilInKernel(7083)
    await it.untilActive(unit)
    await it.container.run('rm', [`/${dropIn}`])
    await it.systemctl('daemon-reload')
    await it.systemctl('restart', unit)
  })
})

describe('an agent whose nft gets no memory', { skip: needsSystemd }, () => {
  test('keeps what is in force, says so, and loads the policy when there is memory again', { timeout }, async () => {
    await it.untilActive(unit)
    await it.replacePolicy(opening(7080))
    await it.untilKept(7080)
    const before = await restarts()
    await it.container.run('mv', ['/usr/sbin/nft', '/usr/sbin/nft.real'])
    // What it maps at its start is some 20 MiB; sets of 60,000 addresses do not fit beside it.
    it.container.write('usr/sbin/nft', '#!/bin/sh\nulimit -v 32768\nexec /usr/sbin/nft.real "$@"\n', 0o755)
    {
      await using watch = new Watch(7080, 7084)
      await it.replacePolicy(large(7084))
      await eventually(async () => {
        const { healthy, problems } = await it.health()
        assert.equal(healthy, false)
        assert.match(problems.join('\n'), /[Mm]emory/)
      }, patienceMs)
      assert.deepEqual(watch.faults, [])
      await assertKept(7080)
      await it.container.run('mv', ['/usr/sbin/nft.real', '/usr/sbin/nft'])
      await it.untilInKernel(7084, patienceMs)
    }
    assert.equal(await restarts(), before)
    await assertKept(7084)
  })
})

describe('what says why it has ended', () => {
  let folder: string
  const script = join(import.meta.dirname, '../../systemd/ended.sh')
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringwall-ended-'))
  })
  after(() => rmSync(folder, { recursive: true }))
  const end = (result: string, status: string, directory = folder) =>
    spawnSync('sh', [script], {
      env: { ...process.env, SERVICE_RESULT: result, EXIT_STATUS: status, STATE_DIRECTORY: directory },
      encoding: 'utf8',
    })
  const kept = () => readFileSync(join(folder, 'ended.log'), 'utf8')

  test('where the kernel says that memory ran out, it does, and the next start waits a little', () => {
    const begun = performance.now()
    const { stdout, stderr, status } = end('oom-kill', 'KILL')
    assert.equal(stdout, 'ringwall-agent: the kernel killed it because memory ran out; the ruleset stays in force\n')
    assert.deepEqual([status, stderr], [0, ''])
    assert.ok(performance.now() - begun >= 4_900)
    assert.deepEqual(
      readEndings(kept()).map(({ kind }) => kind),
      ['memory'],
    )
  })

  test('what the agent has said itself is written down, and not said again', () => {
    const { stdout, stderr, status } = end('exit-code', '1', `${folder}:/var/lib/other`)
    assert.deepEqual([status, stdout, stderr], [0, '', ''])
    assert.deepEqual(readEndings(kept()).at(-1)?.why, 'it ended with exit code 1')
  })

  test('a stop is neither', () => {
    const before = kept()
    assert.deepEqual([end('success', '0').stdout, kept()], ['', before])
  })

  test('the latest hundred are kept, whole', () => {
    const [line] = kept().split('\n')
    writeFileSync(join(folder, 'ended.log'), `${line}\n`.repeat(150))
    end('signal', 'SEGV')
    const endings = readEndings(kept())
    assert.equal(endings.length, 100)
    assert.deepEqual([endings[98]?.kind, endings[99]?.why], ['memory', 'it was ended by SIGSEGV'])
    assert.deepEqual(readdirSync(folder), ['ended.log'])
  })

  test('a disk that refuses keeps what it has, and the journal is told all the same', () => {
    const before = kept()
    mkdirSync(join(folder, 'ended.log.new'))
    const { stdout, stderr, status } = end('watchdog', '0')
    assert.deepEqual([status, stderr, kept()], [0, '', before])
    assert.match(stdout, /^ringwall-agent: it did not answer any more/)
  })
})

/** As this machine numbers it: the process in the host's network namespace that is the first of its unit. */
async function agentPid(): Promise<number> {
  const inside = await it.mainPid(unit)
  const { stdout } = await it.host.run('ip', ['netns', 'pids', it.host.name])
  const found = stdout
    .split('\n')
    .filter(Boolean)
    .find(pid => {
      const numbers = pidsOf(pid)
      return numbers.length > 1 && numbers.at(-1) === inside
    })
  assert.ok(found !== undefined, `no process is ${inside} inside`)
  return Number(found)
}

/** The pids of a process, as this machine numbers it and as those do that it is inside of; none of one that has ended. */
function pidsOf(pid: string): readonly string[] {
  try {
    return /^NSpid:\s+(.+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.split('\t') ?? []
  } catch {
    return []
  }
}
