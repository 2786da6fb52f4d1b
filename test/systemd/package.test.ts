/**
 * The packages on a Debian that has no Node: installed, upgraded and taken back under traffic, removed, purged; and that of
 * npm in an empty folder.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { type Container, needsSystemd, startContainer, writeIn } from '../support/container.ts'
import { addresses } from '../support/host-network.ts'
import { acceptEcho, acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { complaintsIn } from '../support/service-host.ts'
import { eventually } from '../support/sessions.ts'

const project = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'ringwall-packages-'))
after(() => rmSync(folder, { recursive: true }))

const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as { version: string }
const newer = `${version}+next`

interface BuildOptions {
  /** Of the sources; this project's where left out. */
  readonly from?: string
  readonly umask?: string
  readonly only: 'debian' | 'npm'
}

/** @returns the folder with the packages */
function makePackages(name: string, { from = project, umask = '022', only }: BuildOptions): string {
  const made = join(folder, name)
  const build = [process.execPath, join(from, 'scripts/package.ts'), '--folder', made, '--only', only]
  execFileSync('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...build], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: '1767225600' },
  })
  return made
}

/** The sources at another place, as they are now. */
function copySources(from: string, name: string): string {
  const copy = join(folder, name)
  cpSync(from, copy, {
    recursive: true,
    filter: path => !/\/(node_modules|dist|\.git)$/.test(path),
  })
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** A package, unpacked, changed and packed again into another folder. @param to  the path of the new one */
function changePackage(from: string, to: string, change: (root: string) => void): void {
  const root = mkdtempSync(join(folder, 'changed-'))
  execFileSync('dpkg-deb', ['-R', from, root])
  change(root)
  mkdirSync(dirname(to), { recursive: true })
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '-b', root, to], { stdio: 'ignore' })
  rmSync(root, { recursive: true })
}

function replaceIn(file: string, text: string, by: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(text, by))
}

/** Of each hook and each test, with builds, on a machine that does other things too: a suite gives them none of its own. */
const timeout = 600_000

describe('Debian packages', { skip: needsSystemd }, () => {
  const agent = 'ringwall-agent.service'
  const bootUnit = 'ringwall-boot.service'
  const daemon = 'ringwalld.service'
  const port = 7080
  const [pingByIpv4] = acceptEcho()
  /** Who is outside may ping the host by IPv4, not by IPv6, and connect to one port. */
  const policy = policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', [...acceptPort(port), pingByIpv4!])])
  const settings = '# By the administrator.\nguardSeconds: 0\n'

  let outside: Namespace
  let host: Namespace
  let peers: { readonly outside: Peer; readonly host: Peer }
  let container: Container

  before(
    async () => {
      const old = makePackages('old', { only: 'debian' })
      const next = join(folder, 'next')
      for (const deb of globSync(`${old}/*.deb`)) {
        // All that a build of another version makes otherwise, and a file of configuration that has changed.
        changePackage(deb, join(next, basename(deb)), root => {
          replaceIn(join(root, 'DEBIAN/control'), version, newer)
          const said = join(root, 'usr/lib/ringwall/package.json')
          if (existsSync(said)) replaceIn(said, version, newer)
          const settings = join(root, 'etc/ringwall/agent.yaml')
          if (existsSync(settings)) appendFileSync(settings, '# Another version of it.\n')
        })
      }
      const [agentPackage = ''] = globSync(`${next}/ringwall-agent_*.deb`)
      const broken = join(folder, 'broken')
      changePackage(agentPackage, join(broken, basename(agentPackage)), root =>
        writeFileSync(join(root, 'DEBIAN/preinst'), '#!/bin/sh\nexit 1\n', { mode: 0o755 }),
      )
      outside = await createNamespace('outside')
      host = await createNamespace('host')
      await connect(
        {
          namespace: outside,
          device: 'eth0',
          addresses: [`${addresses.outside.ip}/24`, `${addresses.outside.ip6}/64`],
        },
        { namespace: host, device: 'eth0', addresses: [`${addresses.host.ip}/24`, `${addresses.host.ip6}/64`] },
      )
      // Each new connection takes a port, for a minute otherwise: on a fast machine they would run out.
      await outside.sysctl({ 'net.ipv4.tcp_tw_reuse': 1, 'net.ipv4.ip_local_port_range': '1024 65535' })
      peers = { outside: await startPeer(outside), host: await startPeer(host) }
      await peers.host.listenTcp(port)
      container = await startContainer(
        host,
        root => {
          writeIn(root, 'etc/systemd/network/eth0.network', '[Match]\nName=eth0\n[Link]\nUnmanaged=yes\n')
          writeIn(root, 'var/lib/another/file', 'of somebody else')
          for (const each of [old, next, broken]) {
            for (const deb of globSync(`${each}/*.deb`)) {
              const target = join(root, 'srv', each.slice(folder.length), deb.slice(each.length))
              mkdirSync(dirname(target), { recursive: true })
              cpSync(deb, target)
            }
          }
        },
        { root: 'bookworm', program: 'none' },
      )
    },
    { timeout },
  )

  after(async () => {
    await container?.[Symbol.asyncDispose]()
    for (const each of [peers?.outside, peers?.host, host, outside]) await each?.[Symbol.asyncDispose]()
  })

  /** As an administrator's shell: what this machine's own says to its programs is not for them. */
  const shell = async (command: string) => {
    const clean = ['-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/var/tmp']
    const { stdout, stderr } = await container.run('env', [...clean, 'sh', '-c', command], { timeoutMs: 120_000 })
    return stdout + stderr
  }
  /** As apt calls it where nobody can answer: files that the administrator has changed stay. */
  const dpkg = (flags: string) => shell(`DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold ${flags}`)
  const isThere = async (path: string) =>
    (await container.run('test', ['-e', path], { allowFailure: true })).exitCode === 0
  const isEnabled = async (unit: string) =>
    (await container.run('systemctl', ['is-enabled', unit], { allowFailure: true })).stdout.trim()
  const mainPid = () => container.property(agent, 'MainPID')

  /** The kernel's handle of the table: another one would be another table. */
  async function tableHandle(): Promise<string | null> {
    const { stdout } = await host.run('nft', ['-a', 'list', 'tables'])
    return /^table inet ringwall # handle (\d+)$/m.exec(stdout)?.[1] ?? null
  }

  async function untilAnswered(address: string): Promise<void> {
    await eventually(async () => assert.ok(await answers(address)))
  }

  async function answers(address: string): Promise<boolean> {
    const { exitCode } = await outside.run('ping', ['-n', '-c', '2', '-i', '0.1', '-W', '0.3', address], {
      allowFailure: true,
    })
    return exitCode === 0
  }

  async function untilInForce(): Promise<void> {
    await eventually(async () => {
      const { stdout } = await container.run('systemctl', ['status', '--no-pager', agent], { allowFailure: true })
      assert.match(stdout, /Active: active/)
      assert.match(stdout, /Status: "1 ENI enforced/)
    }, 30_000)
  }

  /** A table of the test's own counts what comes to the host, and what of it comes as far as its sockets. */
  const kinds = {
    allowedPing: 'icmp type echo-request',
    connection: `tcp dport ${port} tcp flags & (syn | ack) == syn`,
    forbiddenPing: 'icmpv6 type echo-request',
  } as const
  type Kind = keyof typeof kinds
  const counting = (chain: string, hook: string) => {
    const rules = Object.entries(kinds).map(([kind, match]) => `${match} counter comment "${chain} ${kind}"`)
    return `chain ${chain} { type filter hook ${hook}; ${rules.join('; ')}; }`
  }
  const startCounting = () => {
    const chains = [counting('before', 'prerouting priority -400'), counting('behind', 'input priority 400')]
    return host.run('nft', ['-f', '-'], { input: `table inet test { ${chains.join('; ')}; }` })
  }
  async function readCounts(): Promise<Record<Kind, { readonly before: number; readonly behind: number }>> {
    const { stdout } = await host.run('nft', ['list', 'table', 'inet', 'test'])
    const count = (name: string) =>
      Number(new RegExp(`counter packets (\\d+) bytes \\d+ comment "${name}"`).exec(stdout)?.[1])
    const both = (kind: Kind) => ({ before: count(`before ${kind}`), behind: count(`behind ${kind}`) })
    return {
      allowedPing: both('allowedPing'),
      connection: both('connection'),
      forbiddenPing: both('forbiddenPing'),
    }
  }

  async function stopCounting() {
    const counts = await readCounts()
    await host.run('nft', ['delete', 'table', 'inet', 'test'])
    return counts
  }

  /** A ping a millisecond. @returns how to end it */
  function pingAlways(address: string) {
    const child = outside.spawn('ping', ['-n', '-q', '-i', '0.001', address], { stdio: 'ignore' })
    return async () => {
      const ended = once(child, 'exit')
      child.kill('SIGINT')
      await ended
    }
  }

  /** New connections to the port, one after the other. @returns their number so far, and how to end it, with the faults */
  function connectAlways() {
    let made = 0
    let goesOn = true
    const faults: string[] = []
    const work = (async () => {
      while (goesOn) {
        try {
          const { close } = await peers.outside.connectTcp(addresses.host.ip, port, { timeoutMs: 20_000 })
          made += 1
          await close()
        } catch (error) {
          faults.push((error as Error).message)
        }
      }
    })()
    return {
      made: () => made,
      async end() {
        goesOn = false
        await work
        return faults
      },
    }
  }

  /** Whatever the packages do meanwhile: what is allowed passes, every packet of it, and nothing else does. */
  async function underTraffic(work: () => Promise<void>): Promise<void> {
    await startCounting()
    const ends = [pingAlways(addresses.host.ip), pingAlways(addresses.host.ip6)]
    const connections = connectAlways()
    /** Of each kind: a ping may take longer to start than all of the work. */
    const some = async () => {
      const made = connections.made()
      const counted = await readCounts()
      await eventually(async () => {
        assert.ok(connections.made() >= made + 10)
        const now = await readCounts()
        for (const kind of Object.keys(kinds) as Kind[]) assert.ok(now[kind].before >= counted[kind].before + 10)
      }, 30_000)
    }
    const endAll = async () => {
      for (const end of ends) await end()
      return connections.end()
    }
    try {
      await some()
      await work()
      await some()
    } catch (error) {
      await endAll()
      await stopCounting()
      throw error
    }
    assert.deepEqual(await endAll(), [])
    const { allowedPing, connection, forbiddenPing } = await stopCounting()
    for (const { before } of [allowedPing, connection, forbiddenPing]) assert.ok(before > 10)
    assert.equal(allowedPing.behind, allowedPing.before)
    assert.equal(connection.behind, connection.before)
    assert.equal(forbiddenPing.behind, 0)
  }

  test('they are installed; what has nothing to do waits', { timeout }, async () => {
    await untilAnswered(addresses.host.ip6)
    await dpkg('-i /srv/old/*.deb')
    assert.equal(await shell('ringwall --version'), `ringwall ${version}\n`)
    assert.equal((await container.run('node', ['-v'], { allowFailure: true })).exitCode !== 0, true)
    assert.equal(await isEnabled(agent), 'enabled')
    assert.equal(await isEnabled(bootUnit), 'enabled')
    assert.equal(await isEnabled(daemon), 'disabled')
    assert.equal(await container.property(agent, 'ActiveState'), 'inactive')
    assert.equal(await container.property(daemon, 'ActiveState'), 'inactive')
    assert.equal(await shell('stat -c "%U %a" /var/lib/ringwall'), 'ringwall-agent 700\n')
    assert.match(await shell('ringwall-agent --help'), /^usage: ringwall agent /)
    assert.match(await shell('ringwalld --help'), /^usage: ringwall daemon /)
    // A hyphen is \- in these.
    assert.match(await shell('zcat /usr/share/man/man8/ringwall-agent.8.gz'), /^\.B \\-\\-policy FILE$/m)
    assert.match(await shell('zcat /usr/share/man/man1/ringwall.1.gz'), /^\.SS ringwall rule add$/m)
    for (const [page, field] of [
      ['ringwall-agent.yaml', 'guardSeconds'],
      ['ringwalld.yaml', 'agentUrl'],
      ['ringwall-policy.yaml', 'securityGroups[].id'],
    ]) {
      assert.ok((await shell(`zcat /usr/share/man/man5/${page}.5.gz`)).includes(`.B ${field}\n`), field)
    }
    await untilAnswered(addresses.host.ip6)
  })

  test('the policy is in force when the agent is started', { timeout }, async () => {
    container.write('etc/ringwall/agent.yaml', settings)
    container.write('etc/ringwall/policy.yaml', JSON.stringify(policy))
    await container.run('systemctl', ['start', agent])
    await untilInForce()
    assert.equal(await answers(addresses.host.ip6), false)
    await untilAnswered(addresses.host.ip)
    assert.match(await shell('ringwall show'), /eni-/)
    const { stdout } = await container.run('journalctl', ['-u', agent, '-o', 'cat', '--no-pager'])
    assert.deepEqual(complaintsIn(stdout), [])
  })

  test('the daemon serves its API, its page, and reports from a thread', { timeout }, async () => {
    await container.run('systemctl', ['enable', '--now', daemon])
    await shell('ringwall sg create sg-web')
    assert.match(await shell('ringwall rule add sg-web ingress allow tcp/22 from any && ringwall sg list'), /sg-web/)
    assert.match(await shell('ringwall health'), /22/)
    const served = (path: string) => peers.host.httpGet('127.0.0.1', 9480, path)
    assert.match((await served('/docs/')).body, /swagger-ui/)
    for (const file of ['swagger-ui-bundle.js', 'swagger-ui.css', 'index.css', 'logo.svg']) {
      assert.equal((await served(`/docs/static/${file}`)).status, 200, file)
    }
  })

  test('an upgrade loses no packet that is allowed, lets none through that is not, and keeps the configuration', {
    timeout,
  }, async () => {
    const [pid, handle] = [await mainPid(), await tableHandle()]
    const boot = await container.property(bootUnit, 'InvocationID')
    await underTraffic(async () => {
      await dpkg('-i /srv/next/*.deb')
      await untilInForce()
    })
    assert.equal(await shell('ringwall --version'), `ringwall ${newer}\n`)
    assert.notEqual(await mainPid(), pid)
    assert.equal(await tableHandle(), handle)
    assert.equal(await container.property(bootUnit, 'InvocationID'), boot)
    assert.equal(await container.property(daemon, 'ActiveState'), 'active')
    assert.match(await shell('ringwall sg list'), /sg-web/)
    assert.equal(await shell('cat /etc/ringwall/agent.yaml'), settings)
    assert.match(await shell('cat /etc/ringwall/agent.yaml.dpkg-dist'), /Another version/)
  })

  test('the version before can be put back, in the same way', { timeout }, async () => {
    const handle = await tableHandle()
    await underTraffic(async () => {
      await dpkg('-i /srv/old/*.deb')
      await untilInForce()
    })
    assert.equal(await shell('ringwall --version'), `ringwall ${version}\n`)
    assert.equal(await tableHandle(), handle)
    assert.match(await shell('ringwall sg list'), /sg-web/)
  })

  test('an upgrade that fails leaves the agent at work', { timeout }, async () => {
    const pid = await mainPid()
    await underTraffic(async () => {
      await assert.rejects(dpkg('-i /srv/broken/*.deb'), /pre-installation script/)
    })
    assert.equal(await mainPid(), pid)
    assert.match(
      await shell('dpkg -s ringwall-agent'),
      new RegExp(`^Status: install ok installed$[^]*^Version: ${version}$`, 'm'),
    )
    await untilInForce()
  })

  test('what an administrator has disabled and stopped is not started by an upgrade', { timeout }, async () => {
    await container.run('systemctl', ['disable', '--now', agent, daemon])
    await dpkg('-i /srv/next/*.deb')
    assert.equal(await isEnabled(agent), 'disabled')
    assert.equal(await container.property(agent, 'ActiveState'), 'inactive')
    assert.equal(await container.property(daemon, 'ActiveState'), 'inactive')
    // And the policy stays.
    assert.equal(await answers(addresses.host.ip6), false)
    await container.run('systemctl', ['enable', '--now', agent])
    await untilInForce()
  })

  test('a removed agent takes its ruleset with it and says so; its configuration stays', { timeout }, async () => {
    const said = await dpkg('-r ringwall-agent')
    assert.match(said, /Removed table inet ringwall\.\n/)
    assert.match(said, /enforces nothing on this host any more/)
    assert.equal(await tableHandle(), null)
    await untilAnswered(addresses.host.ip6)
    for (const path of ['/etc/ringwall/agent.yaml', '/etc/ringwall/policy.yaml', '/var/lib/ringwall/ruleset.nft'])
      assert.ok(await isThere(path), path)
  })

  test('installed again it goes on with what was there', { timeout }, async () => {
    await dpkg('-i /srv/next/ringwall-agent_*.deb')
    await untilInForce()
    assert.equal(await answers(addresses.host.ip6), false)
    assert.equal(await shell('cat /etc/ringwall/agent.yaml'), settings)
  })

  test('purging takes all that is of Ringwall, and nothing else', { timeout }, async () => {
    await dpkg('-P ringwall-agent')
    assert.equal(await tableHandle(), null)
    // The daemon is still there, and these may be for it.
    assert.ok(await isThere('/etc/ringwall/policy.yaml'))
    assert.equal(await isThere('/etc/ringwall/agent.yaml'), false)
    await dpkg('-P ringwalld ringwall')
    const elsewhere = ['/srv', '/proc', '/sys', '/var/log/journal'].map(path => `-path ${path}`).join(' -o ')
    // systemd takes away the private /tmp of a service beside all else, after its end.
    await eventually(async () => {
      const left = await shell(
        `find / -xdev -ignore_readdir_race \\( ${elsewhere} \\) -prune -o -name "*ringwall*" -print`,
      )
      assert.equal(left, '')
    })
    assert.equal(await shell('cat /var/lib/another/file'), 'of somebody else')
    assert.match(await shell('getent passwd ringwall-agent ringwalld'), /ringwall-agent[\s\S]*ringwalld/)
    assert.equal(await shell('dpkg -l | grep ringwall || true'), '')
  })
})

describe('the package of npm', () => {
  const here = copySources(project, 'here')
  const made = makePackages('npm', { from: here, only: 'npm' })
  const [tarball = ''] = globSync(`${made}/*.tgz`)
  const home = join(folder, 'user')
  const policyFile = join(home, 'policy.json')
  const policy = policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', acceptPort(443))])
  const npx = (env: Readonly<Record<string, string>>, ...args: readonly string[]) =>
    spawnSync('npx', ['--offline', '--no-install', ...args], {
      cwd: home,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    })

  before(() => {
    mkdirSync(home)
    writeFileSync(policyFile, JSON.stringify(policy))
    // Node itself comes with it, 40 MB, which need not be fetched to see that it is found.
    execFileSync('npm', ['install', '--offline', '--omit=optional', '--no-audit', '--no-fund', tarball], {
      cwd: home,
      stdio: 'ignore',
    })
  })

  /** Files of the program that look for others beside them, and what that is in the package. */
  const beside: Readonly<Record<string, string>> = {
    'agent/logs/reader.ts': 'lib/nflog.pl',
    'agent/watch/nft-monitor.ts': 'lib/nft-generations.pl',
    'common/version.ts': 'package.json',
    'daemon/services/health-report/reporter.ts': 'lib/worker.cjs',
    'daemon/store/migrations.ts': 'lib/migrations/001-documents.sql',
    'lab/conversation.ts': 'lib/peer.js',
    'lab/launcher.ts': 'ringwall',
  }

  test('what code reads and starts beside itself is in it', () => {
    const sources = globSync('{agent,cli,common,daemon,lab,rules-compiler,wire}/**/*.ts', { cwd: project })
    const looking = sources.filter(file => readFileSync(join(project, file), 'utf8').includes('import.meta.'))
    assert.deepEqual(looking.sort(), Object.keys(beside))
    for (const path of Object.values(beside)) assert.ok(existsSync(join(made, 'npm', path)), path)
  })

  test('the agent has nothing of the daemon, nor of its libraries', () => {
    const bundled = readFileSync(join(made, 'npm/lib/agent.cjs'), 'utf8')
    for (const word of ['fastify', 'node:sqlite', 'swagger']) assert.equal(bundled.includes(word), false, word)
    assert.ok(readFileSync(join(made, 'npm/lib/daemon.cjs'), 'utf8').includes('node:sqlite'))
  })

  /** Node's own modules that a command has loaded when it ends. @param load  what loads the program named after it */
  function loadedBy(load: string, program: string, ...command: readonly string[]): readonly string[] {
    const list = 'process.on("exit", () => process.stderr.write(process.moduleLoadList.join("\\n")))'
    const words = ['-e', `${list}; ${load}(process.argv[1])`, join(made, 'npm/lib', program), ...command, '--help']
    const { stdout, stderr, status } = spawnSync(process.execPath, words, { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    assert.match(stdout, new RegExp(`^usage: ringwall ${command.join(' ')}`))
    return stderr.split('\n').map(line => line.replace('NativeModule ', ''))
  }

  test('the agent loads for a daemon what it needs for one only', () => {
    const loaded = loadedBy('require', 'agent.cjs', 'agent')
    const wanted = { http: true, https: false, tls: false }
    assert.deepEqual(Object.fromEntries(Object.keys(wanted).map(name => [name, loaded.includes(name)])), wanted)
  })

  test('a command loads no client of HTTP that it does not use', () => {
    for (const command of ['apply', 'show', 'lab', 'flush']) {
      const loaded = loadedBy('import', 'ringwall.js', command)
      assert.equal(loaded.includes('internal/deps/undici/undici'), false, command)
    }
  })

  test('the same sources make the same bytes, at any place and with any umask', () => {
    const there = copySources(here, 'there')
    const [other = ''] = globSync(`${makePackages('other', { from: there, umask: '077', only: 'npm' })}/*.tgz`)
    assert.ok(readFileSync(tarball).equals(readFileSync(other)))
  })

  test('`npm pack` in the repository makes it too, and leaves the sources as they were', () => {
    const manifest = readFileSync(join(here, 'package.json'), 'utf8')
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1767225600' }
    const pack = () => execFileSync('npm', ['pack', '--silent'], { cwd: here, encoding: 'utf8', env })
    const packed = join(here, pack().trim())
    assert.equal(readFileSync(join(here, 'package.json'), 'utf8'), manifest)
    // As one leaves it that is killed before its end.
    renameSync(join(here, 'package.json'), join(here, 'dist/package.json'))
    writeFileSync(join(here, 'package.json'), '{ "name": "ringwall", "version": "0", "scripts": {} }')
    const after = [join(here, 'scripts/package/npm-pack.ts'), 'after']
    execFileSync(process.execPath, after)
    assert.equal(readFileSync(join(here, 'package.json'), 'utf8'), manifest)

    const [, ...files] = execFileSync('tar', ['-tzf', packed], { encoding: 'utf8' }).trim().split('\n')
    assert.deepEqual(
      files.filter(file => /\.ts$|\/(agent|cli|daemon|test)\//.test(file)),
      [],
    )
    const user = join(folder, 'npx')
    mkdirSync(user)
    const words = ['--yes', '--offline', '--omit=optional', '--package', packed, 'ringwall', '--version']
    const { stdout, stderr } = spawnSync('npx', words, {
      cwd: user,
      encoding: 'utf8',
      env: { ...env, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, npm_config_cache: join(user, 'cache') },
    })
    assert.equal(stdout, `ringwall ${version}\n`, stderr)
  })

  test('works by npx with the Node of the machine, if it is new enough', () => {
    const withNode = { PATH: `${dirname(process.execPath)}:${process.env.PATH}` }
    assert.equal(npx(withNode, 'ringwall', '--version').stdout, `ringwall ${version}\n`)
    const { stdout, stderr, status } = npx(withNode, 'ringwall', 'compile', policyFile, '--format', 'text')
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^table inet ringwall \{$/m)
  })

  test('and with the one that npm installs beside it', () => {
    const name = `node-linux-${process.arch}`
    symlinkSync(join(project, 'node_modules', name), join(home, 'node_modules', name))
    const { stdout, stderr, status } = npx({}, 'ringwall', 'explain', '--help')
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^usage: ringwall explain/)
  })
})
