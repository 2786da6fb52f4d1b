/**
 * Packets that an agent drops, lets through although its rules would drop them, or accepts, and what is told of them:
 * real packets in both families, `ringwall logs`, the file for shipping, the book of what was observed.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { LogRecord } from '../../agent/logs/record.ts'
import type { RecentRecords } from '../../agent/logs/traffic-log.ts'
import type { OpenOptions } from '../../lab/conversation.ts'
import type { ObservedEni } from '../../wire/observed.ts'
import { isHealed, startAgent, type TestAgent } from '../support/agent.ts'
import { addresses, createHostNetwork, type HostNetwork, metricsAddress } from '../support/host-network.ts'
import { acceptEcho, acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { Printed } from '../support/printed.ts'
import { needsKernel } from '../support/requirements.ts'
import { ringwallProgram } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

const { outside, host } = addresses
const refuse = { direction: 'ingress', policy: 'drop', ipProtocol: 'tcp', portRange: '7001/7001' } as const

/** Port 7000 is open; 7001 is refused by a rule of each family, everything else by default. */
function policy(options: { readonly mode?: 'observe' | 'enforce'; readonly logging?: object; echo?: boolean } = {}) {
  const rules = [
    ...acceptPort(7000),
    { ...refuse, id: 'sgr-four', sourceCidrIp: '198.18.0.0/15' },
    { ...refuse, id: 'sgr-six', ipv6SourceCidrIp: '2001:db8::/32' },
    ...(options.echo ? acceptEcho() : []),
  ]
  const group = { ...closedGroup('sg-1', rules), mode: options.mode ?? 'enforce' }
  return policyDocument({ host: ['sg-1'] }, [group], { logging: options.logging ?? {} })
}

suite('logs of packets', { skip: needsKernel }, () => {
  const stack = new AsyncDisposableStack()
  let network: HostNetwork
  let folder: string
  before(async () => {
    network = stack.use(await createHostNetwork())
    folder = await mkdtemp(join(tmpdir(), 'ringwall-logs-'))
    stack.defer(() => rm(folder, { recursive: true, force: true }))
    for (const port of [7000, 7001]) {
      await network.peers.host.listenTcp(port)
      await network.peers.host.listenUdp(port)
    }
  })
  after(() => stack.disposeAsync())

  async function start(document: unknown, flags: readonly string[] = []): Promise<TestAgent> {
    await network.namespaces.host.run(ringwallProgram, ['flush'])
    return startAgent({
      namespace: network.namespaces.host,
      policy: document,
      flags: ['--metrics-address', metricsAddress, ...flags],
    })
  }

  const ringwall = (...args: readonly string[]) =>
    network.namespaces.host.run(ringwallProgram, args, { allowFailure: true })

  async function ask<T>(path: string): Promise<T> {
    const { body } = await network.peers.host.httpGet('127.0.0.1', 9469, path)
    return JSON.parse(body) as T
  }

  async function metric(name: string): Promise<number> {
    const { body } = await network.peers.host.httpGet('127.0.0.1', 9469, '/metrics')
    const line = body.split('\n').find(each => each.startsWith(`${name} `))
    assert.ok(line !== undefined, `no metric ${name}`)
    return Number(line.slice(name.length + 1))
  }

  /** `ringwall logs --follow` that hears the kernel. */
  async function follow(agent: TestAgent, ...args: readonly string[]) {
    const child = network.namespaces.host.spawn(ringwallProgram, ['logs', '--follow', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [seen, said] = [new Printed(child.stdout!), new Printed(child.stderr!)]
    await agent.line(isReading)
    return { child, seen, said, end: () => endOf(child) }
  }

  async function endOf(child: ChildProcess): Promise<readonly [number | null, NodeJS.Signals | null]> {
    const closed = once(child, 'close')
    child.kill('SIGINT')
    return (await closed) as [number | null, NodeJS.Signals | null]
  }

  /** A datagram, which nobody has to answer. */
  async function sendUdp(address: string, port: number): Promise<void> {
    const conversation = await network.peers.outside.openUdp(address, port)
    await conversation.send('hello')
    await conversation.close()
  }

  async function passes(address: string, port: number, options: OpenOptions = {}): Promise<void> {
    await (await network.peers.outside.connectTcp(address, port, options)).close()
  }

  /** Long enough for a packet to be sent; and for an answer, where none should come. */
  const tryTcp = (address: string, port: number) => passes(address, port, { timeoutMs: 300 }).catch(() => {})
  const isDropped = (address: string, port: number) =>
    assert.rejects(passes(address, port, { timeoutMs: 300 }), { message: 'ETIMEDOUT' })

  /** One of each kind in each family, for a port that is refused. */
  async function knock(): Promise<void> {
    for (const address of [host.ip, host.ip6]) {
      await tryTcp(address, 7001)
      await sendUdp(address, 7002)
      await network.peers.outside.ping(address, { timeoutMs: 200 })
    }
  }

  const shown = ({ protocol, source, destination, port, icmpType, cause, ruleId }: LogRecord) =>
    `${protocol} ${source} -> ${destination} ${port ?? `type ${icmpType}`}: ${ruleId ?? cause}`
  const expected = [
    `icmp ${outside.ip} -> ${host.ip} type 8: default`,
    `icmpv6 ${outside.ip6} -> ${host.ip6} type 128: default`,
    `tcp ${outside.ip} -> ${host.ip} 7001: sgr-four`,
    `tcp ${outside.ip6} -> ${host.ip6} 7001: sgr-six`,
    `udp ${outside.ip} -> ${host.ip} 7002: default`,
    `udp ${outside.ip6} -> ${host.ip6} 7002: default`,
  ]
  const recordsOf = ({ text }: Printed) =>
    text
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as LogRecord)

  test('without a reader nothing is read, and that is said', async () => {
    await using _ = await start(policy())
    await knock()
    const { exitCode, stdout, stderr } = await ringwall('logs')
    assert.deepEqual([exitCode, stdout], [0, ''])
    assert.match(stderr, /^Nobody reads the kernel’s log now, so newer packets are missing\./)
    assert.equal(await metric('ringwall_agent_log_reading'), 0)
    assert.equal((await ringwall('logs', '--summary')).stdout, 'No interface of this host is observed.\n')
  })

  test('where no agent runs', async () => {
    const { exitCode, stdout, stderr } = await network.namespaces.outside.run(ringwallProgram, ['logs', '--follow'], {
      allowFailure: true,
    })
    assert.deepEqual(
      [exitCode, stdout, stderr],
      [1, '', 'Cannot ask the agent on this host: none runs in this network namespace\n'],
    )
  })

  test('drops of every kind, as two followers see them, each what it asked for', async () => {
    await using agent = await start(policy())
    const all = await follow(agent, '--json')
    const some = await follow(agent, '--drops', '--peer', '2001:db8::/32', '--port', '7001')
    await eventually(async () => assert.equal((await ask<RecentRecords>('/logs')).reader.kind, 'reading'))
    await knock()
    await eventually(async () => assert.deepEqual([...new Set(recordsOf(all.seen).map(shown))].sort(), expected))
    for (const record of recordsOf(all.seen)) {
      const { action, eniId, direction, device, instanceId } = record
      assert.deepEqual(
        { action, eniId, direction, device, instanceId },
        { action: 'drop', eniId: 'eni-host', direction: 'ingress', device: 'eth0', instanceId: 'i-host' },
      )
      assert.ok(Math.abs(Date.parse(record.time) - Date.now()) < 60_000)
    }
    // It may have begun to follow later than the other.
    await eventually(async () => {
      await tryTcp(host.ip6, 7001)
      assert.match(some.seen.text, /\n/)
    })
    for (const line of some.seen.text.trimEnd().split('\n')) {
      assert.match(
        line,
        /^\d\d:\d\d:\d\d\.\d{3} drop {6} eni-host ingress {2}tcp \[2001:db8::9\]:\d+ -> \[2001:db8::2\]:7001 {2}sgr-six of sg-1$/,
      )
    }
    assert.deepEqual(await Promise.all([all.end(), some.end()]), [
      [0, null],
      [0, null],
    ])
    assert.deepEqual([all.said.text, some.said.text], ['', ''])
    // The last who asked has gone: nobody reads any more, and what was read stays to be looked at.
    await eventually(async () => assert.equal((await ask<RecentRecords>('/logs')).reader.kind, 'off'))
    const recent = await ringwall('logs', '--port', '7001', '--eni', 'eni-host')
    assert.match(recent.stdout, /sgr-four of sg-1\n[\s\S]*sgr-six of sg-1\n/)
    assert.equal((await ringwall('logs', '--eni', 'eni-other')).stdout, '')
    assert.ok((await metric('ringwall_agent_log_records_total{action="drop"}')) >= 6)
  })

  test('an observed interface drops nothing, and a book is kept of what it would drop, over a restart', async () => {
    const state = ['--state-dir', join(folder, 'state')]
    const document = policy({ mode: 'observe' })
    const first = await start(document, state)
    await first.line(isReading)
    const before = await summary()
    assert.deepEqual(before.counts, [])
    await knock()
    for (const address of [host.ip, host.ip6]) await passes(address, 7001)
    const { flows, counts } = await eventually(async () => {
      const seen = await summary()
      assert.deepEqual(
        [...new Set(seen.flows.map(flowText))].sort(),
        expected.map(text => text.replace(/ -> \S+/, '')),
      )
      return seen
    })
    assert.ok(counts.every(({ packets }) => packets > 0))
    assert.deepEqual([...new Set(counts.map(({ ruleId, cause }) => ruleId ?? cause))].sort(), [
      'default',
      'sgr-four',
      'sgr-six',
    ])
    const { stdout } = await ringwall('logs', '--observed')
    assert.match(stdout, /would drop eni-host ingress {2}tcp /)
    assert.match(
      (await ringwall('logs', '--summary')).stdout,
      /^ENI eni-host\n\d+ packets would have been dropped[\s\S]*sgr-four/,
    )
    await first.stop()

    await using second = await startAgent({
      namespace: network.namespaces.host,
      policy: document,
      flags: ['--metrics-address', metricsAddress, ...state],
      awaitInForce: false,
    })
    await second.line(isReading)
    const resumed = await eventually(summary)
    assert.equal(resumed.since, before.since)
    assert.equal(resumed.flows.length, flows.length)
    assert.ok(total(resumed) >= total({ counts }))
    await sendUdp(host.ip, 7002)
    await eventually(async () => assert.ok(total(await summary()) > total(resumed)))

    await second.replacePolicy(policy({ mode: 'enforce' }))
    await eventually(async () => assert.deepEqual((await ask<{ enis: unknown[] }>('/observed')).enis, []))
    await isDropped(host.ip, 7001)
  })

  async function summary(): Promise<ObservedEni> {
    const { enis } = await ask<{ enis: ObservedEni[] }>('/observed')
    assert.equal(enis.length, 1)
    return enis[0]!
  }
  const total = ({ counts }: Pick<ObservedEni, 'counts'>) => counts.reduce((sum, { packets }) => sum + packets, 0)
  const flowText = ({ protocol, peer, port, icmpType, ruleId, cause }: ObservedEni['flows'][number]) =>
    `${protocol} ${peer} ${port ?? `type ${icmpType}`}: ${ruleId ?? cause}`

  test('a follower that nothing happens for is not taken for gone', async () => {
    await using agent = await start(policy())
    const { seen, said, child, end } = await follow(agent, '--json')
    // Longer than an agent that does not answer is waited for.
    await setTimeout(6000)
    assert.equal(child.exitCode, null)
    await eventually(async () => {
      await sendUdp(host.ip, 7002)
      assert.ok(recordsOf(seen).length > 0)
    })
    assert.equal(said.text, '')
    await end()
  })

  test('sessions that are accepted are logged once where that is asked for', async () => {
    await using agent = await start(policy({ logging: { sessions: true, drops: false } }))
    const { seen, end } = await follow(agent, '--accepted', '--json')
    const conversation = await network.peers.outside.connectTcp(host.ip, 7000)
    for (const word of ['one', 'two', 'three']) assert.equal(await conversation.ask(word), true)
    await conversation.close()
    await tryTcp(host.ip, 7001)
    await eventually(async () => assert.ok(recordsOf(seen).length > 0))
    const records = recordsOf(seen).filter(({ port }) => port === 7000)
    assert.deepEqual(
      records.map(({ action, cause, protocol }) => [action, cause, protocol]),
      [['accept', 'rule', 'tcp']],
    )
    assert.match(records[0]!.ruleId!, /^sg-1\/|^sgr-/)
    assert.deepEqual(
      recordsOf(seen).filter(({ action }) => action === 'drop'),
      [],
    )
    await end()
    assert.match(
      (await ringwall('logs', '--drops')).stderr,
      /Packets that are dropped are not logged: settings\.logging\.drops is false\.\n/,
    )
  })

  test('of guests, in both directions, and where a guest takes an address that is not its own', async () => {
    const { guest1 } = addresses
    const everywhere = [{ destCidrIp: '0.0.0.0/0' }, { ipv6DestCidrIp: '::/0' }]
    const rules = everywhere.map((block, index) => ({
      id: `sgr-out-${index}`,
      direction: 'egress',
      policy: 'drop',
      ipProtocol: 'udp',
      portRange: '7003/7003',
      ...block,
    }))
    const document = policyDocument({ guest1: ['sg-1'] }, [closedGroup('sg-1', rules)])
    await network.namespaces.guest1.run('ip', ['addr', 'replace', '198.18.99.9/32', 'dev', 'lo'])
    await using agent = await start(document)
    const { seen, end } = await follow(agent, '--json')
    const sayFrom = async (peer: 'outside' | 'guest1', address: string, port: number, localAddress?: string) => {
      const conversation = await network.peers[peer].openUdp(address, port, { ...(localAddress && { localAddress }) })
      await conversation.send('hello')
      await conversation.close()
    }
    for (const family of ['ip', 'ip6'] as const) {
      await sayFrom('outside', guest1[family], 7002)
      await sayFrom('guest1', outside[family], 7003)
    }
    await sayFrom('guest1', outside.ip, 7004, '198.18.99.9')
    const told = ({ eniId, direction, device, source, port, cause, ruleId }: LogRecord) =>
      `${eniId} ${direction} ${device} ${source} ${port}: ${ruleId ?? cause}`
    await eventually(async () =>
      assert.deepEqual(
        [
          ...new Set(
            recordsOf(seen)
              .filter(({ protocol }) => protocol === 'udp')
              .map(told),
          ),
        ].sort(),
        [
          'eni-1 egress tap1 198.18.1.2 7003: sgr-out-0',
          'eni-1 egress tap1 198.18.99.9 7004: source-guard',
          'eni-1 egress tap1 2001:db8:1::2 7003: sgr-out-1',
          'eni-1 ingress tap1 198.18.0.9 7002: default',
          'eni-1 ingress tap1 2001:db8::9 7002: default',
        ],
      ),
    )
    await end()
  })

  test('where perl is missing that is said, and everything else works', async () => {
    const tools = join(folder, 'tools')
    await mkdir(tools)
    for (const name of await readdir('/usr/bin')) {
      if (!name.startsWith('perl')) await symlink(join('/usr/bin', name), join(tools, name))
    }
    await network.namespaces.host.run(ringwallProgram, ['flush'])
    await using agent = await startAgent({
      namespace: network.namespaces.host,
      policy: policy({ mode: 'observe' }),
      prefix: ['env', `PATH=${tools}`],
      flags: ['--metrics-address', metricsAddress],
    })
    const { reason } = await agent.line(({ msg }) => msg.startsWith('the kernel’s log of packets cannot be read now'))
    assert.equal(reason, 'perl is not installed (Debian package perl-base)')
    assert.match((await ringwall('logs')).stderr, /^The kernel’s log cannot be read: perl is not installed /)
    await passes(host.ip, 7001)
    await eventually(async () => assert.ok(total(await summary()) > 0))
    await network.namespaces.host.run('nft', ['add', 'rule', 'inet', 'ringwall', 'eni-host/ingress', 'accept'])
    await agent.line(isHealed)
  })

  test('the file for shipping is appended to, and opened again by SIGHUP', async () => {
    const path = join(folder, 'traffic.log')
    await using agent = await start(policy(), ['--traffic-log', path])
    await agent.line(isReading)
    const lines = async (file: string) => (await readFile(file, 'utf8')).trimEnd().split('\n')
    await sendUdp(host.ip, 7002)
    await eventually(async () => assert.match((await lines(path)).at(-1)!, /"port":7002/))
    await rename(path, `${path}.1`)
    await network.namespaces.host.run('kill', ['-HUP', String(agent.pid)])
    await agent.line(({ msg }) => msg === 'everything is read again, as asked')
    await eventually(async () => {
      await sendUdp(host.ip6, 7003)
      assert.match((await lines(path)).at(-1)!, /"port":7003/)
    })
    for (const file of [path, `${path}.1`])
      for (const line of await lines(file)) assert.equal(JSON.parse(line).action, 'drop')
  })

  test('a reader that is killed is started again, and a follower notices nothing but the gap', async () => {
    await using agent = await start(policy())
    const { seen, said, end } = await follow(agent, '--json')
    const readers: number[] = []
    for (let round = 1; round <= 2; round += 1) {
      const { pid } = await agent.line(line => isReading(line) && !readers.includes(Number(line.pid)))
      readers.push(Number(pid))
      process.kill(Number(pid), 'SIGKILL')
    }
    await agent.line(line => isReading(line) && !readers.includes(Number(line.pid)), { timeoutMs: 60_000 })
    await eventually(async () => {
      await sendUdp(host.ip, 7004)
      assert.ok(recordsOf(seen).some(({ port }) => port === 7004))
    })
    assert.ok((await metric('ringwall_agent_log_reader_starts_total')) >= 3)
    assert.match(said.text, /^(The kernel’s log cannot be read: .*SIGKILL.*\n|The kernel’s log is read again\.\n)*$/)
    assert.deepEqual(await end(), [0, null])
    await passes(host.ip, 7000)
  })

  test('a group that another program listens to is told of, and read when it is free', async () => {
    const program = join(import.meta.dirname, '../../agent/logs/nflog.pl')
    const other = network.namespaces.host.spawn('perl', [program, '21079', '128'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const gone = once(other, 'close')
    await once(other.stdout!, 'data')
    await using agent = await start(policy())
    const child = network.namespaces.host.spawn(ringwallProgram, ['logs', '--follow'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said = new Printed(child.stderr!)
    await said.until(/^The kernel’s log cannot be read: another program listens to NFLOG group 21079 /)
    assert.equal((await network.peers.host.httpGet('127.0.0.1', 9469, '/health')).status, 200)
    // Its input ends: that is how it would notice that its agent was killed.
    other.stdin!.end()
    await gone
    // It is tried again after half a minute at the latest.
    await agent.line(isReading, { timeoutMs: 60_000 })
    await said.until(/The kernel’s log is read again\.\n$/)
    await endOf(child)
  })

  test('a flood while a follower does not read: it is told how many it lost, others and traffic notice nothing', {
    timeout: 240_000,
  }, async () => {
    await using agent = await start(policy({ logging: { perSecond: 10_000 } }))
    const slow = await openStalled()
    await agent.line(isReading)
    const fast = await follow(agent, '--json')
    const before = await residentKilobytes(agent.pid)
    await eventually(async () => {
      await network.peers.outside.flood(host.ip, 7005, { localAddress: outside.ip, packetsPerSecond: 8000, seconds: 1 })
      assert.ok((await metric(lostByReaders)) > 0)
    }, 60_000)
    await passes(host.ip, 7000)
    assert.ok((await residentKilobytes(agent.pid)) - before < 100_000, 'what waits is bounded')
    await eventually(async () => {
      await sendUdp(host.ip, 7006)
      assert.ok(recordsOf(fast.seen).some(({ port }) => port === 7006))
    })
    const { records, lost } = await slow.readOn()
    assert.ok(records > 0)
    assert.ok(lost > 0 && lost <= (await metric(lostByReaders)), `${lost} told of`)
    await fast.end()
  })

  /** Follows by the socket of the agent's HTTP, and takes nothing until it is told to. */
  async function openStalled() {
    const script = join(import.meta.dirname, '../support/slow-follower.ts')
    const child = network.namespaces.host.spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
    const said = new Printed(child.stdout!)
    await said.until(/open\n/)
    return {
      async readOn() {
        child.stdin!.end()
        await said.ended
        return JSON.parse(said.text.split('\n')[1]!) as { readonly records: number; readonly lost: number }
      },
    }
  }
})

const lostByReaders = 'ringwall_agent_log_records_lost_total{where="reader"}'

async function residentKilobytes(pid: number): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))![1])
}

const isReading = ({ msg }: { readonly msg: string }) => msg === 'the kernel’s log of packets is read'
