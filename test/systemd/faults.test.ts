/** What goes wrong on a host: disks, daemons that are away, an agent that is killed; and what packets meet meanwhile. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { needsFirewalls, needsSystemd } from '../support/container.ts'
import { addresses } from '../support/host-network.ts'
import { acceptEcho, acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { type ServiceHost, startServiceHost, units } from '../support/service-host.ts'
import { eventually } from '../support/sessions.ts'

const patienceMs = 30_000
/** With all boots of a part, on a machine that does other things too. */
const timeout = 600_000
const stateDir = '/var/lib/ringwall'

/** Nobody outside may ping the host, the host may ping out. */
const opening = (...ports: readonly number[]) =>
  JSON.stringify(
    policyDocument({ host: ['sg-1'] }, [
      closedGroup('sg-1', [...ports.flatMap(port => acceptPort(port)), ...acceptEcho('egress')]),
    ]),
  )

let it: ServiceHost

before(async () => {
  if (needsSystemd !== false) return
  it = await startServiceHost({ files: { 'etc/ringwall/policy.yaml': opening(7080) }, disk: stateDir })
})
after(() => it?.[Symbol.asyncDispose]())

async function replacePolicy(...ports: readonly number[]): Promise<void> {
  it.container.write('etc/ringwall/policy.yaml.new', opening(...ports))
  await it.container.run('mv', ['/etc/ringwall/policy.yaml.new', '/etc/ringwall/policy.yaml'])
}

const rulesetOnDisk = async () => (await it.container.run('cat', [`${stateDir}/ruleset.nft`])).stdout
const rulesetInKernel = async () => (await it.host.run('nft', ['list', 'table', 'inet', 'ringwall'])).stdout
const untilNamed = (ruleset: () => Promise<string>, port: number) =>
  eventually(async () => assert.ok(new RegExp(`\\b${port}\\b`).test(await ruleset()), `port ${port}`), patienceMs)
const untilKept = (port: number) => untilNamed(rulesetOnDisk, port)
const untilInKernel = (port: number) => untilNamed(rulesetInKernel, port)

/** Codes of findings by their severity, and the exit code. */
async function doctor() {
  const { stdout, exitCode } = await it.container.run('ringwall', ['doctor', '--json'], { allowFailure: true })
  const { findings } = JSON.parse(stdout) as { findings: { code: string; severity: string; found: string }[] }
  return { exitCode, codes: findings.map(({ code }) => code), findings }
}

/** As the kernel makes it when the disk has errors; where it is "mounted" so, the same and every view of it. */
async function makeReadOnly(how: 'by the kernel' | 'mounted'): Promise<void> {
  await it.container.remountDisk('ro')
  if (how === 'by the kernel') await it.container.remountDisk('bind,rw')
}

async function fillUp(): Promise<void> {
  await it.container.remountDisk('size=2m')
  await it.container.run('sh', ['-c', `head -c 64M /dev/zero >${stateDir}/filler || true`])
}

describe('an agent that is killed', { skip: needsSystemd, timeout }, () => {
  test('twenty times in a row is started twenty times, and the ruleset stays', async () => {
    let pid = await it.untilActive(units.agent)
    const before = Number(await it.container.property(units.agent, 'NRestarts'))
    for (let round = 0; round < 20; round += 1) {
      await it.kill('KILL', pid)
      assert.ok(await it.hasTable())
      const last = pid
      pid = await eventually(async () => {
        const next = await it.mainPid(units.agent)
        if (next === '0' || next === last) throw new Error(`no agent after ${last}`)
        return next
      }, patienceMs)
    }
    await it.untilActive(units.agent)
    assert.equal(Number(await it.container.property(units.agent, 'NRestarts')), before + 20)
    assert.ok(await it.hasTable())
    assert.equal(await it.answers(), false)
  })

  test('or stopped says nothing of its own children, and leaves no process', async () => {
    await it.systemctl('restart', units.agent)
    await it.untilActive(units.agent)
    const { stdout } = await it.container.run('journalctl', ['-u', units.agent, '-n', '12', '-o', 'cat', '--no-pager'])
    assert.match(stdout, /agent stops, ruleset stays in force/)
    assert.doesNotMatch(stdout, /cannot tell systemd|monitor ended|ended by SIG/)
    await it.systemctl('stop', units.agent)
    const group = await it.container.property(units.agent, 'ControlGroup')
    assert.equal(group, '')
    await it.systemctl('start', units.agent)
  })
})

describe('a command that is told of attacks, within the unit', { skip: needsSystemd, timeout }, () => {
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
ls /home/somebody >/dev/null 2>&1 && echo "sees home"
grep -E '^(CapEff|NoNewPrivs):' /proc/self/status
mv ${told}.new ${told}
`
  test('it runs as the user of the agent, with its capability, and writes where the agent does', async () => {
    it.container.write('usr/local/bin/told', script, 0o755)
    await it.container.run('mkdir', ['-p', '/home/somebody'])
    it.container.write('etc/ringwall/agent.yaml', 'notifyCommand: /usr/local/bin/told\nnotifyKinds: [ddos.start]\n')
    const document = JSON.parse(opening(7080))
    document.instances = [{ id: 'i-1', ddosThreshold: { bps: 1, pps: 1_000_000 } }]
    document.interfaces[0].instanceId = 'i-1'
    it.container.write('etc/ringwall/policy.yaml', JSON.stringify(document))
    await it.systemctl('restart', units.agent)
    await it.untilActive(units.agent)
    const flood = it.outside.spawn('ping', ['-q', '-i', '0.002', '-s', '1400', addresses.host.ip], { stdio: 'ignore' })
    try {
      const said = await eventually(async () => (await it.container.run('cat', [told])).stdout, patienceMs)
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
      await replacePolicy(7080)
      await it.systemctl('restart', units.agent)
    }
  })
})

describe('a disk that takes nothing at boot', { skip: needsSystemd, timeout }, () => {
  const rows = [
    {
      name: 'one that the kernel lets be read alone',
      spoil: () => makeReadOnly('by the kernel'),
      mend: () => it.container.remountDisk('rw'),
      reason: /EROFS/,
      code: 'state-dir-not-writable',
    },
    {
      name: 'one that is mounted to be read alone, until the agent is started anew',
      spoil: () => makeReadOnly('mounted'),
      async mend() {
        await it.container.remountDisk('rw')
        await it.container.run('mount', ['-o', 'remount,rw', stateDir])
        await it.systemctl('restart', units.agent)
      },
      reason: /EROFS/,
      code: 'state-dir-not-writable',
    },
    {
      name: 'one that is full',
      spoil: fillUp,
      async mend() {
        await it.container.run('rm', [`${stateDir}/filler`])
      },
      reason: /ENOSPC/,
      code: 'disk-full',
    },
  ]
  for (const [index, { name, spoil, mend, reason, code }] of rows.entries()) {
    test(`${name}: the last good ruleset is in force, and the agent keeps to its policy and says what is wrong`, async () => {
      const [first, second] = [7100 + index, 7200 + index]
      await it.untilActive(units.agent)
      await replacePolicy(first)
      await untilKept(first)
      await spoil()
      assert.equal(await it.rebootAndKnock(), 0)
      const messages = await it.journal(units.boot)
      assert.ok(messages.includes(`ringwall-boot: in force: ${stateDir}/ruleset.nft`), messages.join('\n'))
      await it.untilActive(units.agent)
      await replacePolicy(second)
      await untilInKernel(second)
      await eventually(async () => {
        const { healthy, inForce, problems } = await it.health()
        assert.deepEqual([healthy, inForce], [false, true])
        assert.match(problems.join('\n'), reason)
      }, patienceMs)
      assert.ok((await it.journal(units.agent)).includes('cannot keep the last good state; what is in force stays'))
      const { exitCode, codes } = await doctor()
      assert.equal(exitCode, 2)
      assert.ok(codes.includes(code), codes.join(' '))
      assert.equal(await it.container.property(units.agent, 'NRestarts'), '0')

      await mend()
      await untilKept(second)
      await eventually(async () => assert.deepEqual((await it.health()).problems, []), patienceMs)
      assert.ok(!(await doctor()).codes.includes(code))
      assert.equal(await it.rebootAndKnock(), 0)
      assert.ok((await rulesetInKernel()).includes(String(second)))
    })
  }
})

describe('files that are torn at boot', { skip: needsSystemd, timeout }, () => {
  const port = 7300
  before(async () => {
    if (needsSystemd !== false) return
    await it.untilActive(units.agent)
    await replacePolicy(port)
    await untilKept(port)
  })
  const rows = [
    { file: 'ruleset.nft', to: 'empty', setting: 'closed', said: `${stateDir}/ruleset.nft is empty` },
    { file: 'ruleset.nft', to: 'torn', setting: 'closed', said: `nft does not take ${stateDir}/ruleset.nft` },
    { file: 'ruleset.nft', to: 'torn', setting: 'open', said: `nft does not take ${stateDir}/ruleset.nft` },
  ] as const
  for (const { file, to, setting, said } of rows) {
    test(`${file}, ${to}, and the host is to be ${setting}: so it is from the first packet until the agent has started`, async () => {
      await it.untilActive(units.agent)
      await untilKept(port)
      it.container.write('etc/ringwall/boot.env', `RINGWALL_BOOT_WITHOUT_RULESET=${setting}\n`)
      const answered = await it.rebootAndKnock(async () => {
        await it.tear(`${stateDir}/${file}`, to)
      })
      if (setting === 'closed') assert.equal(answered, 0)
      const messages = await it.journal(units.boot)
      assert.ok(messages.includes(`ringwall-boot: ${said}`), messages.join('\n'))
      assert.equal(await it.container.property(units.boot, 'ActiveState'), 'failed')
      await it.untilActive(units.agent)
      assert.equal(await it.answers(), false)
      await untilInKernel(port)
      // Whole again for the next boot.
      await untilKept(port)
    })
  }

  test('policy.last-good, torn, with a policy file that is no policy: the ruleset of the boot stays in force', async () => {
    it.container.write('etc/ringwall/policy.yaml', 'not: a policy')
    const answered = await it.rebootAndKnock(() => it.tear(`${stateDir}/policy.last-good`, 'torn'))
    assert.equal(answered, 0)
    const messages = await it.journal(units.agent)
    assert.ok(messages.includes('the last policy that was in force cannot be read any more'), messages.join('\n'))
    const { healthy, problems } = await it.health()
    assert.equal(healthy, false)
    assert.match(problems.join('\n'), /Cannot read field "not"/)
    assert.equal(await it.answers(), false)
    await untilInKernel(port)
    const { codes } = await doctor()
    assert.ok(codes.includes('state-file-damaged'), codes.join(' '))
    await replacePolicy(port + 1)
    await untilKept(port + 1)
  })
})

describe('an agent that a daemon leads', { skip: needsSystemd, timeout }, () => {
  const ringwall = async (...args: readonly string[]) => (await it.container.run('ringwall', args)).stdout

  before(async () => {
    if (needsSystemd !== false) return
    await it.systemctl('start', units.daemon)
    const [token] = /rwe1\.\S+/.exec(await ringwall('agent', 'invite', '--new-instance')) ?? []
    await ringwall('agent', 'join', 'https://127.0.0.1:9443', '--token', token!)
    await it.systemctl('restart', units.agent)
    await eventually(async () =>
      assert.match(await it.container.property(units.agent, 'StatusText'), /daemon connected since/),
    )
    const [instance] = /\bi-[\w-]+/.exec(await ringwall('instance', 'list')) ?? []
    await ringwall('sg', 'create', 'sg-led')
    await ringwall('eni', 'register', '--instance', instance!, '--device', 'eth0', '--group', 'sg-led', '--wait', '30')
  })

  test('which is away at boot is ready with the policy of its disk, says so, and catches up when the daemon is back', async () => {
    assert.equal(await it.answers(), false)
    assert.equal(await it.rebootAndKnock(), 0)
    assert.equal(await it.container.property(units.daemon, 'ActiveState'), 'inactive')
    await it.untilActive(units.agent)
    assert.match(
      await it.container.property(units.agent, 'StatusText'),
      /^1 ENI enforced; revision \d+; daemon away since/,
    )
    assert.equal(await it.answers(), false)
    await it.systemctl('start', units.daemon)
    await ringwall('rule', 'add', 'sg-led', 'ingress', 'allow', 'tcp/7400', 'from', 'any', '--wait', '60')
    await untilInKernel(7400)
  })

  for (const file of ['view.json', 'view.log'] as const) {
    test(`and whose ${file} is torn leaves the ruleset of the boot as it is until the daemon answers`, async () => {
      await it.untilActive(units.agent)
      await it.systemctl('start', units.daemon)
      // A log that has something: the agent keeps the whole view when it stops, not when it is killed.
      const opened = file === 'view.json' ? 7401 : 7402
      await ringwall('rule', 'add', 'sg-led', 'ingress', 'allow', `tcp/${opened}`, 'from', 'any', '--wait', '60')
      await untilKept(opened)
      await eventually(async () => assert.notEqual(it.container.read(`${stateDir}/view.log`), ''))
      const viewLog = it.container.read(`${stateDir}/view.log`)
      const answered = await it.rebootAndKnock(async () => {
        if (file === 'view.log') it.container.write(`${stateDir}/view.log`, `{"number":${viewLog.length}}\n`)
        else await it.tear(`${stateDir}/view.json`, 'torn')
      })
      assert.equal(answered, 0)
      await it.untilActive(units.agent)
      const messages = await it.journal(units.agent)
      assert.ok(messages.includes('what is kept of the view may be old'), messages.join('\n'))
      assert.ok(messages.includes('what stands in the kernel is left as it is until the daemon answers'))
      assert.match((await it.health()).problems.join('\n'), /what is in force may be newer than the disk/)
      await untilInKernel(opened)
      await it.systemctl('start', units.daemon)
      await eventually(async () => assert.deepEqual((await it.health()).problems, []), patienceMs)
      await untilInKernel(opened)
      assert.equal(await it.answers(), false)
    })
  }

  test('whose administrator panics stays open over restarts and a boot, and the daemon says so, until that is undone', async () => {
    await it.systemctl('start', units.daemon)
    await eventually(async () => assert.match(await ringwall('agent', 'list'), /in-sync/), patienceMs)
    assert.match(await ringwall('panic'), /^THE HOST IS OPEN/)
    assert.equal(await it.hasTable(), false)
    assert.equal(await it.answers(), true)
    await eventually(async () => assert.match(await ringwall('agent', 'list'), /refusing/), patienceMs)
    await it.systemctl('restart', units.agent)
    await it.untilActive(units.agent)
    assert.equal(await it.hasTable(), false)
    assert.ok((await it.rebootAndKnock()) > 0)
    assert.equal(await it.container.property(units.boot, 'ConditionResult'), 'no')
    // It has nothing to put in force, and is ready all the same.
    await it.untilActive(units.agent)
    assert.equal(await it.hasTable(), false)
    assert.match((await it.health()).problems.join('\n'), /The host is open since/)
    const { exitCode, codes } = await doctor()
    assert.equal(exitCode, 2)
    assert.ok(codes.includes('panic-on'))
    await it.systemctl('start', units.daemon)
    await eventually(async () => assert.match(await ringwall('agent', 'list'), /refusing/), patienceMs)
    assert.match(await ringwall('panic', '--undo'), /^Undone/)
    await eventually(async () => assert.ok(await it.hasTable()), patienceMs)
    assert.equal(await it.answers(), false)
    await eventually(async () => assert.match(await ringwall('agent', 'list'), /in-sync/), patienceMs)
  })

  test('and a panic that the disk does not take is refused while the agent runs, and opens the host when it is stopped', async () => {
    await it.untilActive(units.agent)
    await fillUp()
    const panic = () => it.container.run('ringwall', ['panic'], { allowFailure: true })
    try {
      const refused = await panic()
      assert.equal(refused.exitCode, 1)
      assert.match(refused.stderr, /^Cannot open this host while its agent runs \(pid \d+\): .*ENOSPC/)
      assert.ok(await it.hasTable())
      await it.systemctl('stop', units.agent)
      const done = await panic()
      assert.equal(done.exitCode, 1)
      assert.match(done.stdout, /^THE HOST IS OPEN/)
      assert.match(done.stderr, /^It is not kept/)
      assert.equal(await it.hasTable(), false)
      assert.equal(await it.answers(), true)
    } finally {
      await it.container.run('rm', [`${stateDir}/filler`])
    }
    await it.systemctl('start', units.agent)
    await it.untilActive(units.agent)
    assert.equal(await it.answers(), false)
  })
})

describe('the doctor on a host with other firewalls', { skip: needsFirewalls, timeout }, () => {
  test('says what others do, to root and to the user of the agent, by its exit code too', async () => {
    await using other = await startServiceHost({
      files: { 'etc/ringwall/policy.yaml': opening(7080) },
      root: 'bookworm-firewalls',
    })
    await other.untilActive(units.agent)
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
