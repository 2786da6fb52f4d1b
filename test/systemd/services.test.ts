/** The units on a host with systemd: started, killed, hung, reloaded, and a whole boot with somebody at the door. */
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { makeAuthority } from '../support/certificates.ts'
import { type Container, needsSystemd, startContainer, writeIn } from '../support/container.ts'
import { addresses } from '../support/host-network.ts'
import { acceptEcho, acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { eventually } from '../support/sessions.ts'

const agent = 'ringwall-agent.service'
const bootUnit = 'ringwall-boot.service'
const daemon = 'ringwalld.service'
/** Nobody outside may ping the host, the host may ping out. */
const policy = policyDocument({ host: ['sg-1'] }, [closedGroup('sg-1', [...acceptPort(7080), ...acceptEcho('egress')])])

const network = `
[Match]
Name=eth0
[Network]
Address=${addresses.host.ip}/24
LinkLocalAddressing=no
IPv6AcceptRA=no
`

let outside: Namespace
let host: Namespace
let container: Container

before(async () => {
  if (needsSystemd !== false) return
  outside = await createNamespace('outside')
  host = await createNamespace('host')
  await connect(
    { namespace: outside, device: 'eth0', addresses: [`${addresses.outside.ip}/24`] },
    { namespace: host, device: 'eth0' },
  )
  container = await startContainer(host, root => {
    writeIn(root, 'etc/systemd/network/eth0.network', network)
    writeIn(root, 'etc/ringwall/policy.yaml', JSON.stringify(policy))
    writeIn(root, 'etc/ringwall/agent.yaml', 'trafficLog: /var/log/ringwall/traffic.log\n')
  })
})

after(async () => {
  await container?.[Symbol.asyncDispose]()
  await host?.[Symbol.asyncDispose]()
  await outside?.[Symbol.asyncDispose]()
})

const systemctl = (...args: readonly string[]) => container.run('systemctl', args)
const kill = (signal: string, pid: string) => container.run('sh', ['-c', `kill -s ${signal} ${pid}`])
const mainPid = (unit: string) => container.property(unit, 'MainPID')

/** Waits until a unit is active in a process other than this one, if one is given. */
async function untilActive(unit: string, { not }: { readonly not?: string } = {}): Promise<string> {
  return eventually(async () => {
    // Asked at once: between two questions it may have ended.
    const { stdout: shown } = await systemctl('show', '-p', 'ActiveState', '-p', 'MainPID', unit)
    const [, pid = '0'] = /^MainPID=(\d+)$/m.exec(shown) ?? []
    const [, state = 'unknown'] = /^ActiveState=(.+)$/m.exec(shown) ?? []
    if (state === 'active' && pid !== '0' && pid !== not) return pid
    const { stdout } = await container.run('journalctl', ['-u', unit, '-n', '20', '--no-pager', '-o', 'cat'])
    throw new Error(`${unit} is ${state} (pid ${pid}):\n${stdout}`)
  }, 30_000)
}

/** Messages that the unit has logged. */
async function journal(unit: string): Promise<readonly string[]> {
  const { stdout } = await container.run('journalctl', ['-u', unit, '-o', 'cat', '--no-pager'])
  return stdout.split('\n').map(line => (line.startsWith('{') ? (JSON.parse(line).msg as string) : line))
}

async function hasTable(): Promise<boolean> {
  const { stdout } = await host.run('nft', ['list', 'tables'])
  return stdout.includes('table inet ringwall\n')
}

async function hostAnswers(): Promise<boolean> {
  const { exitCode } = await outside.run('ping', ['-n', '-c', '2', '-i', '0.1', '-W', '0.3', addresses.host.ip], {
    allowFailure: true,
  })
  return exitCode === 0
}

describe('services', { skip: needsSystemd }, () => {
  test('the agent is active when its policy is in force, as a user of its own with one capability', async () => {
    const pid = await untilActive(agent)
    assert.ok(await hasTable())
    assert.equal(await hostAnswers(), false)
    assert.equal(await container.property(agent, 'StatusText'), '1 ENI enforced; policy /etc/ringwall/policy.yaml')
    const { stdout } = await container.run('cat', [`/proc/${pid}/status`])
    assert.match(stdout, /^CapEff:\s+0000000000001000$/m)
    assert.match(stdout, /^Uid:\s+[1-9]/m)
    assert.match(stdout, /^NoNewPrivs:\s+1$/m)
    assert.ok((await journal(agent)).includes('in force'))
    const { stdout: complaints } = await container.run('journalctl', ['-u', agent, '-o', 'cat', '--no-pager'])
    assert.doesNotMatch(complaints, /"level":"(warn|error|fatal)"/)
  })

  test('within its unit it reads the log of packets, and ships what is dropped', async () => {
    await eventually(async () => {
      await hostAnswers()
      const { stdout } = await container.run('cat', ['/var/log/ringwall/traffic.log'])
      assert.match(
        stdout,
        /"action":"drop","eniId":"eni-host".*"cause":"default","protocol":"icmp","source":"198\.18\.0\.9"/,
      )
    })
    assert.equal(await container.property(agent, 'NRestarts'), '0')
    const { stdout } = await container.run('/usr/bin/ringwall', ['logs', '--drops', '--peer', addresses.outside.ip])
    assert.match(
      stdout,
      / drop +eni-host ingress +icmp type 8 code 0 198\.18\.0\.9 -> 198\.18\.0\.2 {2}no rule matches\n/,
    )
  })

  test('the ruleset for the next boot stands where the boot unit reads it', async () => {
    await eventually(() => container.run('test', ['-s', '/var/lib/ringwall/ruleset.nft']))
  })

  test('reload has everything read again, in the same process', async () => {
    const pid = await mainPid(agent)
    await systemctl('reload', agent)
    await eventually(async () => assert.ok((await journal(agent)).includes('everything is read again, as asked')))
    assert.equal(await untilActive(agent), pid)
  })

  test('an agent that is killed is started again, and the policy stays meanwhile', async () => {
    const pid = await mainPid(agent)
    await kill('SEGV', pid)
    assert.ok(await hasTable())
    await untilActive(agent, { not: pid })
    assert.ok(await hasTable())
    assert.equal(await container.property(agent, 'NRestarts'), '1')
  })

  test('an agent that hangs is ended by the watchdog', async () => {
    container.write('etc/systemd/system/ringwall-agent.service.d/test.conf', '[Service]\nWatchdogSec=3\n')
    await systemctl('daemon-reload')
    await systemctl('restart', agent)
    const pid = await untilActive(agent)
    await kill('STOP', pid)
    await untilActive(agent, { not: pid })
    assert.ok((await journal(agent)).some(line => line.includes('Watchdog timeout')))
  })

  test('a daemon is served by a user without capabilities; a host joins it by root, and its agent follows', async () => {
    await systemctl('start', daemon)
    const pid = await mainPid(daemon)
    const { stdout: status } = await container.run('cat', [`/proc/${pid}/status`])
    assert.match(status, /^CapEff:\s+0000000000000000$/m)
    assert.match(status, /^Uid:\s+[1-9]/m)
    const { stdout } = await container.run('ringwall', ['agent', 'invite', '--new-instance'])
    const [token] = /rwe1\.\S+/.exec(stdout) ?? []
    await container.run('ringwall', ['agent', 'join', 'https://127.0.0.1:9443', '--token', token!])
    const { stdout: owner } = await container.run('stat', ['-c', '%U %a', '/var/lib/ringwall/credentials.json'])
    assert.equal(owner, 'ringwall-agent 600\n')
    await systemctl('restart', agent)
    await eventually(async () =>
      assert.match(await container.property(agent, 'StatusText'), /; daemon connected since 20.* UTC$/),
    )
    await eventually(
      async () => assert.match(await container.property(daemon, 'StatusText'), /^revision \d+; agents: 1 in-sync$/),
      10_000,
    )
    // Back to the file, which goes before credentials where it is named.
    container.write('etc/ringwall/agent.yaml', 'policy: policy.yaml\n')
    await systemctl('restart', agent)
  })

  test('the daemon serves all addresses by TLS, and takes another certificate when it is told to', async () => {
    const { certificate, privateKey } = await makeAuthority()
    container.write('etc/ringwall/daemon.yaml', 'listen: 0.0.0.0:9480\ntlsCertificate: tls.crt\ntlsKey: tls.key\n')
    container.write('etc/ringwall/tls.crt', certificate)
    container.write('etc/ringwall/tls.key', privateKey)
    await systemctl('restart', daemon)
    const pid = await untilActive(daemon)
    const reloaded = async (message: string) => {
      await systemctl('reload', daemon)
      await eventually(async () => assert.ok((await journal(daemon)).includes(message)))
      assert.equal(await untilActive(daemon), pid)
    }
    await reloaded('the certificate of the REST API was read again')
    container.write('etc/ringwall/tls.key', (await makeAuthority()).privateKey)
    await reloaded('cannot take the certificate of the REST API; the one before stays in use')
  })

  test('a configuration with faults keeps a service from starting until it is mended; check says the same', async () => {
    const config = 'etc/ringwall/agent.yaml'
    const fault = '/etc/ringwall/agent.yaml:2 guardSeconds is the text "soon", expected a whole number from 0 to 3600'
    container.write(config, 'policy: policy.yaml\nguardSeconds: soon\n')
    await systemctl('restart', agent).catch(() => {})
    await eventually(async () => assert.equal(await container.property(agent, 'ActiveState'), 'failed'), 10_000)
    assert.equal(await container.property(agent, 'ExecMainStatus'), '2')
    assert.ok((await journal(agent)).includes(fault))
    // As somebody who has logged in: what the tests' own environment says is nothing to the host.
    const check = (program: string) =>
      container.run('env', ['-i', 'PATH=/usr/sbin:/usr/bin:/bin', 'ringwall', program, 'check'], { allowFailure: true })
    const refused = await check('agent')
    assert.deepEqual([refused.exitCode, refused.stderr], [2, `${fault}\n`])
    assert.match(refused.stdout, /^looked at as user \d+, whose "\/var\/lib\/ringwall" is$/m)

    container.write(config, 'policy: policy.yaml\nlogLevel: debug\n')
    await systemctl('reset-failed', agent)
    await systemctl('start', agent)
    await untilActive(agent)
    const { stdout } = await check('agent')
    assert.match(stdout, /^led by the policy file "\/etc\/ringwall\/policy\.yaml", which is sound: 1 ENI$/m)
    assert.match(stdout, /^127\.0\.0\.1:9469 is held by the one that runs \(pid \d+\)$/m)
    const { stdout: ofDaemon } = await check('daemon')
    // The key there is another's, by the test above.
    assert.match(ofDaemon, /^file: \/etc\/ringwall\/daemon\.yaml$/m)
    assert.match(ofDaemon, /^0\.0\.0\.0:9480 is held by the one that runs \(pid \d+\)$/m)
  })

  describe('a boot, with somebody at the door', () => {
    /** Switched on again as a machine is: no rules in the kernel, no address and no link. */
    async function rebootAndKnock() {
      // Known to whoever knocks: the question of who has the address would be tried once a second only.
      const { stdout: mac } = await host.run('cat', ['/sys/class/net/eth0/address'])
      const neighbour = [addresses.host.ip, 'lladdr', mac.trim(), 'dev', 'eth0', 'nud', 'permanent']
      await outside.run('ip', ['neigh', 'replace', ...neighbour])
      const ping = outside.spawn('ping', ['-n', '-i', '0.005', '-W', '0.1', addresses.host.ip], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      let answers = 0
      createInterface({ input: ping.stdout! }).on('line', line => {
        if (line.includes('bytes from')) answers += 1
      })
      await container.reboot(async () => {
        await host.run('nft', ['flush', 'ruleset'])
        await host.run('ip', ['addr', 'flush', 'dev', 'eth0'])
        await host.run('ip', ['link', 'set', 'eth0', 'down'])
        answers = 0
      })
      // It is there: it gets out.
      await eventually(() => container.run('ping', ['-c', '1', '-W', '1', addresses.outside.ip]), 20_000)
      await outside.run('ping', ['-n', '-c', '20', '-i', '0.01', '-W', '0.1', addresses.host.ip], {
        allowFailure: true,
      })
      ping.kill()
      return answers
    }

    test('the boot unit is done before the network begins, and not one packet meets less than the policy', async () => {
      assert.equal(await rebootAndKnock(), 0)
      const stamp = async (unit: string, name: string) => Number(await container.property(unit, `${name}Monotonic`))
      const loaded = await stamp(bootUnit, 'ActiveEnterTimestamp')
      assert.ok(loaded > 0, `it is not active: ${(await journal(bootUnit)).join('\n')}`)
      assert.ok(loaded < (await stamp('systemd-networkd.service', 'InactiveExitTimestamp')))
      const emptied = await stamp('systemd-tmpfiles-setup.service', 'ActiveEnterTimestamp')
      assert.ok(emptied > 0 && emptied <= (await stamp(bootUnit, 'InactiveExitTimestamp')), '/tmp is emptied before')
      assert.ok((await journal(bootUnit)).includes('ringwall-boot: in force: /var/lib/ringwall/ruleset.nft'))
      await untilActive(agent)
    })

    test('so it is with an agent that does not start', async () => {
      await systemctl('disable', agent)
      assert.equal(await rebootAndKnock(), 0)
      assert.equal(await container.property(agent, 'ActiveState'), 'inactive')
      assert.equal(await hostAnswers(), false)
    })

    test('without both the same knocking is answered', async () => {
      await systemctl('disable', bootUnit)
      assert.ok((await rebootAndKnock()) > 0)
    })
  })
})
