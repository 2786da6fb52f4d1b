/** The units on a host with systemd: started, killed, hung, reloaded, and a whole boot with somebody at the door. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { makeAuthority } from '../support/certificates.ts'
import { machineTime, needsSystemd } from '../support/container.ts'
import { addresses } from '../support/host-network.ts'
import {
  complaintsIn,
  opening,
  type ServiceHost,
  servicePatienceMs,
  startServiceHost,
  units,
} from '../support/service-host.ts'
import { eventually } from '../support/sessions.ts'

const { agent, boot: bootUnit, daemon } = units

let it: ServiceHost

before(async () => {
  if (needsSystemd !== false) return
  it = await startServiceHost({
    files: {
      'etc/ringwall/policy.yaml': opening(7080),
      'etc/ringwall/agent.yaml': 'trafficLog: /var/log/ringwall/traffic.log\n',
    },
  })
}, machineTime)
after(() => it?.[Symbol.asyncDispose]())

describe('services', { skip: needsSystemd }, () => {
  test(
    'the agent is active when its policy is in force, as a user of its own with one capability',
    machineTime,
    async () => {
      const pid = await it.untilActive(agent)
      assert.ok(await it.hasTable())
      assert.equal(await it.answers(), false)
      await eventually(async () =>
        assert.equal(
          await it.container.property(agent, 'StatusText'),
          '1 ENI enforced; policy /etc/ringwall/policy.yaml',
        ),
      )
      const { stdout } = await it.container.run('cat', [`/proc/${pid}/status`])
      assert.match(stdout, /^CapEff:\s+0000000000001000$/m)
      assert.match(stdout, /^Uid:\s+[1-9]/m)
      assert.match(stdout, /^NoNewPrivs:\s+1$/m)
      await it.untilLogged(agent, ['in force'])
      assert.deepEqual(complaintsIn(await it.journalText(agent)), [])
    },
  )

  test('within its unit it reads the log of packets, and ships what is dropped', machineTime, async () => {
    await eventually(async () => {
      await it.answers()
      const { stdout } = await it.container.run('cat', ['/var/log/ringwall/traffic.log'])
      assert.match(
        stdout,
        /"action":"drop","eniId":"eni-host".*"cause":"default","protocol":"icmp","source":"198\.18\.0\.9"/,
      )
    }, servicePatienceMs)
    assert.equal(await it.container.property(agent, 'NRestarts'), '0')
    const { stdout } = await it.container.run('/usr/bin/ringwall', ['logs', '--drops', '--peer', addresses.outside.ip])
    assert.match(
      stdout,
      / drop +eni-host ingress +icmp type 8 code 0 198\.18\.0\.9 -> 198\.18\.0\.2 {2}no rule matches\n/,
    )
  })

  test('the ruleset for the next boot stands where the boot unit reads it', machineTime, async () => {
    await eventually(() => it.container.run('test', ['-s', '/var/lib/ringwall/ruleset.nft']))
  })

  test('reload has everything read again, in the same process', machineTime, async () => {
    const pid = await it.mainPid(agent)
    await it.systemctl('reload', agent)
    await it.untilLogged(agent, ['everything is read again, as asked'])
    assert.equal(await it.untilActive(agent), pid)
  })

  test('an agent that is killed is started again, and the policy stays meanwhile', machineTime, async () => {
    const pid = await it.mainPid(agent)
    await it.kill('SEGV', pid)
    assert.ok(await it.hasTable())
    await it.untilActive(agent, { not: pid })
    assert.ok(await it.hasTable())
    assert.equal(await it.container.property(agent, 'NRestarts'), '1')
  })

  test('an agent that hangs is ended by the watchdog', machineTime, async () => {
    const dropIn = 'etc/systemd/system/ringwall-agent.service.d/test.conf'
    // It tells systemd three times in this: a busy machine must not end it before it hangs.
    it.container.write(dropIn, '[Service]\nWatchdogSec=10\n')
    await it.systemctl('daemon-reload')
    await it.systemctl('restart', agent)
    const pid = await it.untilActive(agent)
    const from = (await it.journal(agent)).length
    await it.kill('STOP', pid)
    await it.untilActive(agent, { not: pid })
    await it.untilLogged(agent, [/Watchdog timeout/], from)
    await it.container.run('rm', [`/${dropIn}`])
    await it.systemctl('daemon-reload')
    await it.systemctl('restart', agent)
  })

  test(
    'a daemon is served by a user without capabilities; a host joins it by root, and its agent follows',
    machineTime,
    async () => {
      await it.systemctl('start', daemon)
      const pid = await it.mainPid(daemon)
      const { stdout: status } = await it.container.run('cat', [`/proc/${pid}/status`])
      assert.match(status, /^CapEff:\s+0000000000000000$/m)
      assert.match(status, /^Uid:\s+[1-9]/m)
      assert.match(status, /^Name:\s+ringwalld$/m)
      const { stdout: comm } = await it.container.run('cat', [`/proc/${await it.mainPid(agent)}/comm`])
      assert.equal(comm, 'ringwall-agent\n')
      const { stdout } = await it.container.run('ringwall', ['agent', 'invite', '--new-instance'])
      const [token] = /rwe1\.\S+/.exec(stdout) ?? []
      await it.container.run('ringwall', ['agent', 'join', 'https://127.0.0.1:9443', '--token', token!])
      const { stdout: owner } = await it.container.run('stat', ['-c', '%U %a', '/var/lib/ringwall/credentials.json'])
      assert.equal(owner, 'ringwall-agent 600\n')
      await it.systemctl('restart', agent)
      await eventually(
        async () =>
          assert.match(await it.container.property(agent, 'StatusText'), /; daemon connected since 20.* UTC$/),
        servicePatienceMs,
      )
      await eventually(
        async () =>
          assert.match(await it.container.property(daemon, 'StatusText'), /^revision \d+; agents: 1 in-sync$/),
        servicePatienceMs,
      )
      // Back to the file, which goes before credentials where it is named.
      it.container.write('etc/ringwall/agent.yaml', 'policy: policy.yaml\n')
      await it.systemctl('restart', agent)
    },
  )

  test(
    'the daemon serves all addresses by TLS, and takes another certificate when it is told to',
    machineTime,
    async () => {
      const { certificate, privateKey } = await makeAuthority()
      it.container.write('etc/ringwall/daemon.yaml', 'listen: 0.0.0.0:9480\ntlsCertificate: tls.crt\ntlsKey: tls.key\n')
      it.container.write('etc/ringwall/tls.crt', certificate)
      it.container.write('etc/ringwall/tls.key', privateKey)
      await it.systemctl('restart', daemon)
      const pid = await it.untilActive(daemon)
      const reloaded = async (message: string) => {
        await it.systemctl('reload', daemon)
        await it.untilLogged(daemon, [message])
        assert.equal(await it.untilActive(daemon), pid)
      }
      await reloaded('the certificate of the REST API was read again')
      it.container.write('etc/ringwall/tls.key', (await makeAuthority()).privateKey)
      await reloaded('cannot take the certificate of the REST API; the one before stays in use')
    },
  )

  test(
    'a configuration with faults keeps a service from starting until it is mended; check says the same',
    machineTime,
    async () => {
      const config = 'etc/ringwall/agent.yaml'
      const fault = '/etc/ringwall/agent.yaml:2 guardSeconds is the text "soon", expected a whole number from 0 to 3600'
      it.container.write(config, 'policy: policy.yaml\nguardSeconds: soon\n')
      await it.systemctl('restart', agent).catch(() => {})
      await eventually(async () => assert.equal(await it.container.property(agent, 'ActiveState'), 'failed'))
      assert.equal(await it.container.property(agent, 'ExecMainStatus'), '2')
      await it.untilLogged(agent, [fault])
      // As somebody who has logged in: what the tests' own environment says is nothing to the host.
      const check = (program: string) =>
        it.container.run('env', ['-i', 'PATH=/usr/sbin:/usr/bin:/bin', 'ringwall', program, 'check'], {
          allowFailure: true,
        })
      const refused = await check('agent')
      assert.deepEqual([refused.exitCode, refused.stderr], [2, `${fault}\n`])
      assert.match(refused.stdout, /^looked at as ringwall-agent, whose "\/var\/lib\/ringwall" is$/m)

      it.container.write(config, 'policy: policy.yaml\nlogLevel: debug\n')
      await it.systemctl('reset-failed', agent)
      await it.systemctl('start', agent)
      await it.untilActive(agent)
      const { stdout } = await check('agent')
      assert.match(stdout, /^led by the policy file "\/etc\/ringwall\/policy\.yaml", which is sound: 1 ENI$/m)
      assert.match(stdout, /^127\.0\.0\.1:9469 is held by the one that runs \(pid \d+\)$/m)
      const { stdout: ofDaemon } = await check('daemon')
      // The key there is another's, by the test above.
      assert.match(ofDaemon, /^file: \/etc\/ringwall\/daemon\.yaml$/m)
      assert.match(ofDaemon, /^0\.0\.0\.0:9480 is held by the one that runs \(pid \d+\)$/m)
    },
  )

  describe('a boot, with somebody at the door', () => {
    test(
      'the boot unit is done before the network begins, and not one packet meets less than the policy',
      machineTime,
      async () => {
        assert.equal(await it.rebootAndKnock(), 0)
        const stamp = async (unit: string, name: string) =>
          Number(await it.container.property(unit, `${name}Monotonic`))
        const loaded = await stamp(bootUnit, 'ActiveEnterTimestamp')
        assert.ok(loaded > 0, `it is not active: ${(await it.journal(bootUnit)).join('\n')}`)
        assert.ok(loaded < (await stamp('systemd-networkd.service', 'InactiveExitTimestamp')))
        const emptied = await stamp('systemd-tmpfiles-setup.service', 'ActiveEnterTimestamp')
        assert.ok(emptied > 0 && emptied <= (await stamp(bootUnit, 'InactiveExitTimestamp')), '/tmp is emptied before')
        await it.untilLogged(bootUnit, ['ringwall-boot: in force: /var/lib/ringwall/ruleset.nft'])
        await it.untilActive(agent)
      },
    )

    test('so it is with an agent that does not start', machineTime, async () => {
      await it.systemctl('disable', agent)
      assert.equal(await it.rebootAndKnock(), 0)
      assert.equal(await it.container.property(agent, 'ActiveState'), 'inactive')
      assert.equal(await it.answers(), false)
    })

    test('without both the same knocking is answered', machineTime, async () => {
      await it.systemctl('disable', bootUnit)
      assert.ok((await it.rebootAndKnock()) > 0)
    })
  })
})
