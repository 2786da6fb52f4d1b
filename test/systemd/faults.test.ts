/** An agent that is killed again and again, what its commands may do, and what the doctor says where others filter. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { machineTime, needsFirewalls, needsSystemd } from '../support/container.ts'
import { addresses } from '../support/host-network.ts'
import {
  opening,
  type ServiceHost,
  servicePatienceMs,
  startServiceHost,
  stateDir,
  units,
} from '../support/service-host.ts'
import { eventually } from '../support/sessions.ts'

let it: ServiceHost

before(async () => {
  if (needsSystemd !== false) return
  it = await startServiceHost({ files: { 'etc/ringwall/policy.yaml': opening(7080) }, disk: stateDir })
}, machineTime)
after(() => it?.[Symbol.asyncDispose]())

describe('an agent that is killed', { skip: needsSystemd }, () => {
  // Of others systemd gives up after five starts in ten seconds.
  const times = 8
  test(`${times} times in a row is started ${times} times, and the ruleset stays`, machineTime, async () => {
    let pid = await it.untilActive(units.agent)
    const before = Number(await it.container.property(units.agent, 'NRestarts'))
    for (let round = 0; round < times; round += 1) {
      await it.kill('KILL', pid)
      assert.ok(await it.hasTable())
      const last = pid
      pid = await eventually(async () => {
        const next = await it.mainPid(units.agent)
        if (next === '0' || next === last) throw new Error(`no agent after ${last}`)
        return next
      }, servicePatienceMs)
    }
    await it.untilActive(units.agent)
    assert.equal(Number(await it.container.property(units.agent, 'NRestarts')), before + times)
    assert.ok(await it.hasTable())
    assert.equal(await it.answers(), false)
    // Who is killed before it can speak tells nothing.
    await eventually(async () => {
      const lines = (await it.journalText(units.agent)).split('\n')
      const told = lines.flatMap(line => (line.includes('"agents before this one') ? [JSON.parse(line)] : []))
      assert.equal(told.at(-1)?.times, times)
      assert.match(told.at(-1).last.why, /^somebody killed it/)
    })
    const { codes } = await it.doctor()
    assert.ok(codes.includes('agent-ends-often'), codes.join(' '))
  })

  test('when the disk is full leaves what is known of those before it, and is started again', machineTime, async () => {
    const pid = await it.untilActive(units.agent)
    const before = it.container.read(`${stateDir}/ended.log`)
    // It may be about to write: what it takes back where the disk is full would be room again.
    await it.kill('STOP', pid)
    await it.fillUp()
    await it.kill('KILL', pid)
    await it.untilActive(units.agent, { not: pid })
    assert.equal(it.container.read(`${stateDir}/ended.log`), before)
    await it.container.run('rm', [`${stateDir}/filler`])
  })

  test(
    'and then has faults in its configuration is not started again, which the doctor says',
    machineTime,
    async () => {
      it.container.write('etc/ringwall/agent.yaml', 'rescuePort: [ssh]\n')
      await it.container.run('systemctl', ['restart', units.agent], { allowFailure: true })
      await eventually(
        async () => assert.equal(await it.container.property(units.agent, 'ActiveState'), 'failed'),
        servicePatienceMs,
      )
      const { codes } = await it.doctor()
      assert.ok(codes.includes('agent-failed'), codes.join(' '))
      assert.match(it.container.read(`${stateDir}/ended.log`), /Z crash it ended with exit code 2\n$/)
      await it.container.run('rm', ['/etc/ringwall/agent.yaml'])
      await it.systemctl('restart', units.agent)
      await it.untilActive(units.agent)
      assert.ok(!(await it.doctor()).codes.includes('agent-failed'))
    },
  )

  test('or stopped says nothing of its own children, and leaves no process', machineTime, async () => {
    await it.untilActive(units.agent)
    const from = (await it.journal(units.agent)).length
    await it.systemctl('restart', units.agent)
    await it.untilActive(units.agent)
    await it.untilLogged(units.agent, ['agent stops, ruleset stays in force'], from)
    const logged = (await it.journal(units.agent)).slice(from).join('\n')
    assert.doesNotMatch(logged, /cannot tell systemd|monitor ended|ended by SIG/)
    await it.systemctl('stop', units.agent)
    await eventually(async () => assert.equal(await it.container.property(units.agent, 'ControlGroup'), ''))
    await it.systemctl('start', units.agent)
  })
})

describe('a command that is told of attacks, within the unit', { skip: needsSystemd }, () => {
  const told = `${stateDir}/told`
  const places = [
    '/etc',
    '/usr',
    '/var/tmp',
    '/var/lib',
    '/srv',
    stateDir,
    '/run/ringwall',
    '/var/log/ringwall',
    '/tmp',
  ]
  const script = `#!/bin/sh
exec >${told}.new 2>&1
echo "user $(id -un) kind $RINGWALL_KIND"
for place in ${places.join(' ')}; do touch "$place/by-command" 2>/dev/null && echo "writes $place"; done
ls /home | grep -q . >/dev/null 2>&1 && echo "sees home"
grep -E '^(CapEff|NoNewPrivs):' /proc/self/status
mv ${told}.new ${told}
`
  test(
    'it runs as the user of the agent, with its capability, and writes where the agent does',
    machineTime,
    async () => {
      it.container.write('usr/local/bin/told', script, 0o755)
      await it.container.run('sh', ['-c', 'cd /home && mkdir -p somebody'])
      it.container.write('etc/ringwall/agent.yaml', 'notifyCommand: /usr/local/bin/told\nnotifyKinds: [ddos.start]\n')
      await it.systemctl('restart', units.agent)
      await it.untilActive(units.agent)
      const document = JSON.parse(opening(7080))
      // However few packets a busy machine sends.
      document.instances = [{ id: 'i-1', ddosThreshold: { bps: 1_000, pps: 1 } }]
      document.interfaces[0].instanceId = 'i-1'
      await it.replacePolicy(JSON.stringify(document))
      const flood = it.outside.spawn('ping', ['-q', '-i', '0.002', addresses.host.ip], { stdio: 'ignore' })
      try {
        const said = await eventually(async () => (await it.container.run('cat', [told])).stdout, servicePatienceMs)
        assert.match(said, /^user ringwall-agent kind ddos\.start$/m)
        const written = [...said.matchAll(/^writes (.+)$/gm)].map(([, place]) => place)
        assert.deepEqual(written, ['/var/tmp', stateDir, '/run/ringwall', '/var/log/ringwall', '/tmp'])
        assert.doesNotMatch(said, /sees home/)
        assert.match(said, /^CapEff:\s+0000000000001000$/m)
        assert.match(said, /^NoNewPrivs:\s+1$/m)
        // What it writes to /tmp nobody else sees.
        await assert.rejects(() => it.container.run('test', ['-e', '/tmp/by-command']))
      } finally {
        flood.kill()
        await it.container.run('rm', ['-f', '/etc/ringwall/agent.yaml', told, `${stateDir}/by-command`])
        await it.replacePolicy(opening(7080))
        await it.systemctl('restart', units.agent)
      }
    },
  )
})

describe('the doctor on a host with other firewalls', { skip: needsFirewalls }, () => {
  test('says what others do, to root and to the user of the agent, by its exit code too', machineTime, async () => {
    await using other = await startServiceHost({
      files: { 'etc/ringwall/policy.yaml': opening(7080) },
      root: 'bookworm-firewalls',
    })
    await other.untilActive(units.agent)
    await other.untilKept(7080)
    await other.container.run('sh', [
      '-c',
      `iptables -t mangle -A PREROUTING -j CONNMARK --set-mark 0x1
       nft add table inet of-others
       nft "add chain inet of-others early { type filter hook prerouting priority -10; policy drop; }"
       nft add rule inet of-others early accept`,
    ])
    const ask = async (...prefix: readonly string[]) => {
      const [command = '', ...args] = [...prefix, 'ringwall', 'doctor', '--json']
      const { stdout, exitCode } = await other.container.run(command, args, { allowFailure: true })
      const { findings } = JSON.parse(stdout) as { findings: { code: string }[] }
      return { exitCode, codes: findings.map(({ code }) => code) }
    }
    const includes = (codes: readonly string[], ...expected: readonly string[]) =>
      assert.deepEqual(
        expected.filter(code => !codes.includes(code)),
        [],
        codes.join(' '),
      )
    const byRoot = await ask()
    includes(byRoot.codes, 'privileges', 'foreign-drop-policy', 'state-files')
    assert.equal(byRoot.exitCode, 1)
    const user = ['setpriv', '--reuid', 'ringwall-agent', '--regid', 'ringwall-agent', '--clear-groups']
    const withCapability = [...user, '--inh-caps', '+net_admin', '--ambient-caps', '+net_admin']
    const byAgent = await ask(...withCapability)
    includes(byAgent.codes, 'foreign-drop-policy', 'state-files')
    assert.equal(byAgent.exitCode, 1)
    const byOther = await ask(...user)
    includes(byOther.codes, 'not-privileged')
    assert.equal(byOther.exitCode, 2)
  })
})
