/** `ringwall doctor` on hosts as they are found: what it says of each, and that it leaves them as they were. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Finding } from '../../agent/doctor/check.ts'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, ringwallProgram, startAgent } from '../support/ringwall.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-doctor-'))
  // mkdtemp makes it for its owner alone, and one test is another user.
  await chmod(folder, 0o755)
})
after(() => rm(folder, { recursive: true }))

interface Report {
  readonly exitCode: number
  readonly findings: readonly Finding[]
  readonly of: (code: string) => Finding | undefined
}

interface Options {
  readonly stateDir?: string
  /** Put before the command. */
  readonly wrap?: readonly string[]
}

async function examine(namespace: Namespace, { stateDir, wrap = [] }: Options = {}): Promise<Report> {
  const doctor = [ringwallProgram, 'doctor', '--json', '--state-dir', stateDir ?? join(folder, 'none')]
  const [program = '', ...args] = [...wrap, ...doctor]
  const { exitCode, stdout, stderr } = await namespace.run(program, args, { allowFailure: true })
  assert.equal(stderr, '')
  const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] }
  return { exitCode, findings, of: code => findings.find(each => each.code === code) }
}

const everything = async (namespace: Namespace) =>
  (await namespace.run('nft', ['--stateless', '--handle', 'list', 'ruleset'])).stdout
const load = (namespace: Namespace, rules: string) => namespace.run('nft', ['-f', '-'], { input: rules })
const mattering = ({ findings }: Report) =>
  findings.filter(({ severity }) => severity === 'failure' || severity === 'warning').map(({ code }) => code)

const closed = {
  apiVersion: 'ringwall/v1',
  interfaces: [{ id: 'eni-1', device: 'd0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
  securityGroups: [{ id: 'sg-1', members: [], rules: [] }],
}

suite('hosts', { skip: needsKernel, concurrency: 2 }, () => {
  test('a clean one has nothing that matters, and is as it was afterwards', async () => {
    await using namespace = await createNamespace('doctor')
    const report = await examine(namespace)
    assert.deepEqual(mattering(report), [])
    assert.equal(report.exitCode, 0)
    for (const code of ['nft', 'features', 'scrub-features', 'base-chains', 'ct-marks']) {
      assert.equal(report.of(code)?.severity, 'ok', code)
    }
    assert.equal(await everything(namespace), '')
  })

  test('beside an agent it names the agent, and calls nothing of ours foreign', async () => {
    await using namespace = await createNamespace('doctor')
    await namespace.run('ip', ['link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'wire'])
    await using _agent = await startAgent(namespace, closed)
    const standing = await everything(namespace)
    const report = await examine(namespace)
    assert.match(report.of('agent-runs')?.found ?? '', /^process \d+, led by \//)
    assert.deepEqual(mattering(report), [])
    assert.equal(report.of('base-chains')?.severity, 'ok')
    assert.equal(await everything(namespace), standing)
  })

  test('another firewall: what drops, where, and whose it is', async () => {
    await using namespace = await createNamespace('doctor')
    const rules = `
      table inet filter {
        chain early { type filter hook prerouting priority -300; policy accept; ip saddr 203.0.113.9 drop; }
        chain input { type filter hook input priority 0; policy drop; iif lo accept; }
      }
      table inet firewalld { chain filter_INPUT { accept; }; }
    `
    await load(namespace, rules)
    const standing = await everything(namespace)
    const report = await examine(namespace)
    assert.equal(report.exitCode, 1)
    assert.equal(report.of('foreign-drop-policy')?.found, 'inet filter input (input 0, after ingress was judged)')
    assert.equal(report.of('foreign-chains')?.found, 'inet filter early (prerouting -300, before Ringwall)')
    assert.equal(report.of('found-firewalld')?.found, 'table inet firewalld')
    assert.equal(await everything(namespace), standing)
  })

  test('other programs as they leave a host', async () => {
    await using namespace = await createNamespace('doctor')
    for (const file of ['container-engine', 'cluster-proxy', 'virtual-machines', 'zone-firewall']) {
      await load(namespace, await readFile(join(import.meta.dirname, `../cases/foreign/${file}.nft`), 'utf8'))
    }
    const report = await examine(namespace)
    for (const program of ['docker', 'kube-proxy', 'libvirt', 'firewalld']) {
      assert.ok(report.of(`found-${program}`), program)
    }
    assert.ok(report.of('foreign-nat'))
    assert.equal(report.of('check-failed'), undefined)
  })

  test('a large interval set of somebody else is named with its size', async t => {
    await using namespace = await createNamespace('doctor')
    const blocks = Array.from({ length: 30_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`)
    await load(
      namespace,
      `table inet geo { set blocked { type ipv4_addr; flags interval; elements = { ${blocks} }; }; }`,
    )
    const report = await examine(namespace)
    if (report.of('element-update')) return t.skip('this nft reads no sets of others before it changes one')
    const { found = '' } = report.of('element-update-slow') ?? {}
    assert.match(found, /^\d+ ms; set blocked of table inet geo \(about 30,000 elements\)$/)
    assert.equal(report.exitCode, 1)
  })

  test('a large map is counted, and found behind small sets', async t => {
    await using namespace = await createNamespace('doctor')
    const blocks = Array.from({ length: 20_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25 : drop`)
    const small = Array.from(
      { length: 9 },
      (_, n) => `set s${n} { type ipv4_addr; flags interval; elements = { 198.18.0.0/24 }; };`,
    )
    const large = `map m { type ipv4_addr : verdict; flags interval; elements = { ${blocks} }; };`
    await load(namespace, `table inet geo { ${small.join(' ')} ${large} }`)
    const report = await examine(namespace)
    if (report.of('element-update')) return t.skip('this nft reads no sets of others before it changes one')
    const { found = '' } = report.of('element-update-slow') ?? {}
    assert.match(found, /^\d+ ms; map m of table inet geo \(about 20,000 elements\); 9 others$/)
  })

  test('an SSH server at a port that the lockout guard does not watch over', async () => {
    await using namespace = await createNamespace('doctor')
    const listener = `use Socket; $0 = "sshd"; socket(S, AF_INET, SOCK_STREAM, 0) or die;
      bind(S, sockaddr_in(2222, INADDR_ANY)) or die; listen(S, 1) or die; $| = 1; print "listens\n"; sleep 600;`
    const server = namespace.spawn('perl', ['-e', listener], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(server.stdout!, 'data')
      const { of } = await examine(namespace)
      assert.equal(of('rescue-port-unwatched')?.found, 'SSH at port 2222; rescuePort is 22')
      assert.equal(of('rescue-port-unwatched')?.severity, 'warning')
    } finally {
      server.kill()
    }
  })

  test('who writes the mark, and who reads it', async () => {
    await using namespace = await createNamespace('doctor')
    const rules = `
      table inet mesh {
        chain c {
          type filter hook prerouting priority -140;
          ct mark set 0x1
          ct mark & 0xff == 0x2 accept
          ct mark set ct mark & 0xffffff00 | 0x3
          ct mark 0x4 accept
        }
      }
    `
    await load(namespace, rules)
    const report = await examine(namespace)
    assert.equal(report.of('ct-mark-written')?.found, 'inet mesh c: ct mark set 0x00000001')
    assert.equal(report.of('ct-mark-read')?.found, 'inet mesh c: ct mark 0x00000004 accept')
  })

  test('an ENI on a port of a bridge, and one whose device is not there', async () => {
    await using namespace = await createNamespace('doctor')
    await namespace.run('ip', ['link', 'add', 'br0', 'type', 'bridge'])
    await namespace.run('ip', ['link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'wire'])
    const stateDir = join(folder, 'bridge')
    await mkdir(stateDir, { mode: 0o700 })
    const two = [
      ...closed.interfaces,
      { ...closed.interfaces[0], id: 'eni-2', device: 'd9', addresses: ['198.18.0.3'] },
    ]
    await writeFile(join(stateDir, 'policy.last-good'), JSON.stringify({ ...closed, interfaces: two }), { mode: 0o600 })
    await namespace.run('ip', ['link', 'set', 'd0', 'master', 'br0'])
    const report = await examine(namespace, { stateDir })
    assert.equal(report.of('eni-on-bridge-port')?.found, 'eni-1: d0 is a port of br0')
    assert.equal(report.of('eni-without-device')?.found, 'eni-2: no device d9')
    assert.equal(report.of('bridge-ports')?.found, 'd0 of br0')
    assert.equal(report.of('forwarding-off')?.severity, 'note')
  })

  test('files that are torn, or open to others', async () => {
    await using namespace = await createNamespace('doctor')
    const stateDir = join(folder, 'torn')
    await mkdir(stateDir, { mode: 0o700 })
    await writeFile(join(stateDir, 'policy.last-good'), 'apiVersion: ringw', { mode: 0o600 })
    await writeFile(join(stateDir, 'ruleset.nft'), 'table inet ringwall {\n\tchain x {\n', { mode: 0o644 })
    await writeFile(join(stateDir, 'ddos.json'), '{"format":1,', { mode: 0o600 })
    const report = await examine(namespace, { stateDir })
    const damaged = report.findings.filter(({ code }) => code === 'state-file-damaged').map(({ found }) => found)
    assert.deepEqual(damaged.map(text => text.split(':')[0]).sort(), ['ddos.json', 'policy.last-good', 'ruleset.nft'])
    assert.equal(report.of('state-readable-by-others')?.found, 'ruleset.nft')
    assert.equal(await everything(namespace), '', 'the file was looked at, not loaded')
  })

  test('the files of a policy that was applied are whole', async () => {
    await using namespace = await createNamespace('doctor')
    const stateDir = join(folder, 'whole')
    await mkdir(stateDir, { mode: 0o700 })
    await applyPolicy(namespace, closed)
    const standing = await everything(namespace)
    const { stdout } = await namespace.run(ringwallProgram, ['compile', '-', '--format', 'text'], {
      input: JSON.stringify(closed),
    })
    await writeFile(join(stateDir, 'ruleset.nft'), stdout, { mode: 0o600 })
    await writeFile(join(stateDir, 'policy.last-good'), JSON.stringify(closed), { mode: 0o600 })
    const report = await examine(namespace, { stateDir })
    assert.equal(report.of('state-files')?.found, 'policy.last-good, ruleset.nft')
    assert.equal(await everything(namespace), standing)
  })

  test('a host that was opened', async () => {
    await using namespace = await createNamespace('doctor')
    const stateDir = join(folder, 'opened')
    await namespace.run(ringwallProgram, ['panic', '--state-dir', stateDir])
    const report = await examine(namespace, { stateDir })
    assert.equal(report.exitCode, 2)
    assert.match(report.of('panic-on')?.found ?? '', /^since 20\d\d-/)
  })

  test('nft is not there', async () => {
    await using namespace = await createNamespace('doctor')
    // The search path always has /usr/sbin: there an empty folder is mounted over it, for this process alone.
    const tools = join(folder, 'tools')
    await mkdir(tools)
    for (const tool of ['ip', 'conntrack']) {
      const { stdout } = await namespace.run('sh', ['-c', `command -v ${tool}`])
      await namespace.run('cp', ['-L', stdout.trim(), join(tools, tool)])
    }
    const wrap = [
      'unshare',
      '-m',
      'sh',
      '-c',
      `mount --bind ${tools} /usr/sbin && PATH=/usr/sbin:/usr/bin:/bin exec "$@"`,
      'sh',
    ]
    const report = await examine(namespace, { wrap })
    assert.equal(report.exitCode, 2)
    assert.deepEqual(mattering(report), ['nft-missing'])
    assert.match(report.of('check-skipped')?.found ?? '', /^features, /)
  })

  test('nft crashes on what somebody has put there: the rest is told all the same', async () => {
    await using namespace = await createNamespace('doctor')
    await load(namespace, 'table inet filter { chain input { type filter hook input priority 0; policy drop; }; }')
    const crashing = join(folder, 'crashing')
    await mkdir(crashing)
    const script = `#!/bin/sh\ncase "$*" in *"list ruleset"*) kill -SEGV $$ ;; esac\nPATH='${process.env.PATH}' exec nft "$@"\n`
    await writeFile(join(crashing, 'nft'), script, { mode: 0o755 })
    const report = await examine(namespace, { wrap: ['env', `PATH=${crashing}:${process.env.PATH}`] })
    assert.deepEqual(mattering(report), ['foreign-drop-policy', 'check-failed'])
    const { found = '' } = report.of('check-failed') ?? {}
    assert.match(found, /^flowtables, unprintable, ct-marks, untracked: nft refused "list ruleset": .* SIGSEGV/)
    assert.equal(report.of('nft')?.severity, 'ok')
  })

  test('somebody else holds the agent’s socket', async () => {
    await using namespace = await createNamespace('doctor')
    const listen = "require('node:net').createServer().listen({ path: '\\0ringwall' }, () => console.log('held'))"
    const stranger = namespace.spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(stranger.stdout!, 'data')
    const report = await examine(namespace)
    assert.deepEqual(mattering(report), ['lock-stranger'])
    assert.equal(report.exitCode, 2)
  })

  test('a policy that keeps other bits of the mark is taken at its word', async () => {
    await using namespace = await createNamespace('doctor')
    const stateDir = join(folder, 'mask')
    await mkdir(stateDir, { mode: 0o700 })
    const settings = { ctMarkMask: '0x00ffff00' }
    await writeFile(join(stateDir, 'policy.last-good'), JSON.stringify({ ...closed, settings }), { mode: 0o600 })
    const rule = 'ct mark set ct mark & 0x00ffffff | 0x40000000'
    await load(namespace, `table inet mesh { chain c { type filter hook prerouting priority -140; ${rule}; }; }`)
    assert.equal((await examine(namespace)).of('ct-mark-written')?.details !== undefined, true)
    assert.equal((await examine(namespace, { stateDir })).of('ct-marks')?.found, '0x00ffff00 is free')
  })

  test('without root', async () => {
    await using namespace = await createNamespace('doctor')
    const wrap = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all']
    const report = await examine(namespace, { wrap })
    assert.equal(report.exitCode, 2)
    assert.deepEqual(mattering(report).slice(0, 2), ['not-privileged', 'nft-unusable'])
    assert.equal(report.of('check-failed'), undefined)
  })

  test('for people: the worst first, within 80 columns', async () => {
    await using namespace = await createNamespace('doctor')
    await load(namespace, 'table inet filter { chain input { type filter hook input priority 0; policy drop; }; }')
    const { stdout, exitCode } = await namespace.run(ringwallProgram, ['doctor', '--state-dir', join(folder, 'none')], {
      allowFailure: true,
    })
    assert.equal(exitCode, 1)
    assert.match(stdout, /^WARNINGS\n {2}foreign-drop-policy: inet filter input/)
    assert.deepEqual(
      stdout.split('\n').filter(line => line.length > 80),
      [],
    )
    assert.match(stdout, /\n0 failures, 1 warning, \d+ notes, \d+ well\n$/)
  })
})
