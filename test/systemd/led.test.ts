/** A host that a daemon leads: at boot without it, with torn files, and opened by its administrator. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { machineTime, needsSystemd } from '../support/container.ts'
import {
  opening,
  type ServiceHost,
  servicePatienceMs,
  startServiceHost,
  stateDir,
  units,
} from '../support/service-host.ts'
import { eventually } from '../support/sessions.ts'

/** Until a change is in force, also where the agent has rested for long before it tried the daemon again. */
const waitSeconds = 60
const waiting = ['--wait', String(waitSeconds)]

const leftAsItIs = 'what stands in the kernel is left as it is until the daemon answers'

let it: ServiceHost

before(async () => {
  if (needsSystemd !== false) return
  it = await startServiceHost({ files: { 'etc/ringwall/policy.yaml': opening(7080) }, disk: stateDir })
}, machineTime)
after(() => it?.[Symbol.asyncDispose]())

describe('an agent that a daemon leads', { skip: needsSystemd }, () => {
  const ringwall = async (...args: readonly string[]) =>
    (await it.container.run('ringwall', args, { timeoutMs: waitSeconds * 1000 + 30_000 })).stdout

  /** Whatever the agent had to rest before it tried the daemon again. */
  async function untilInSync(): Promise<void> {
    await eventually(async () => assert.match(await ringwall('agent', 'list'), /in-sync/), servicePatienceMs)
  }

  async function untilRefusing(): Promise<void> {
    await eventually(async () => assert.match(await ringwall('agent', 'list'), /refusing/), servicePatienceMs)
  }

  before(async () => {
    if (needsSystemd !== false) return
    await it.systemctl('start', units.daemon)
    const [token] = /rwe1\.\S+/.exec(await ringwall('agent', 'invite', '--new-instance')) ?? []
    const joined = await ringwall('agent', 'join', 'https://127.0.0.1:9443', '--token', token!)
    assert.match(joined, /\nAn agent runs here already \(pid \d+\): restart it, systemctl restart ringwall-agent\.\n$/)
    await it.systemctl('restart', units.agent)
    await eventually(
      async () => assert.match(await it.container.property(units.agent, 'StatusText'), /daemon connected since/),
      servicePatienceMs,
    )
    const [instance] = /\bi-[\w-]+/.exec(await ringwall('instance', 'list')) ?? []
    await ringwall('sg', 'create', 'sg-led')
    await ringwall('eni', 'register', '--instance', instance!, '--device', 'eth0', '--group', 'sg-led', ...waiting)
  }, machineTime)

  test(
    'which is away at boot is ready with the policy of its disk, says so, and catches up when the daemon is back',
    machineTime,
    async () => {
      assert.equal(await it.answers(), false)
      assert.equal(await it.rebootAndKnock(), 0)
      assert.equal(await it.container.property(units.daemon, 'ActiveState'), 'inactive')
      await it.untilActive(units.agent)
      await eventually(async () =>
        assert.match(
          await it.container.property(units.agent, 'StatusText'),
          /^1 ENI enforced; revision \d+; daemon away since/,
        ),
      )
      assert.equal(await it.answers(), false)
      await it.systemctl('start', units.daemon)
      await ringwall('rule', 'add', 'sg-led', 'ingress', 'allow', 'tcp/7400', 'from', 'any', ...waiting)
      await it.untilInKernel(7400)
    },
  )

  for (const file of ['view.json', 'view.log'] as const) {
    test(
      `and whose ${file} is torn leaves the ruleset of the boot as it is until the daemon answers`,
      machineTime,
      async () => {
        await it.untilActive(units.agent)
        await it.systemctl('start', units.daemon)
        // A log that has something: what it is told when it connects is the whole view, and the log is empty then.
        await untilInSync()
        const opened = file === 'view.json' ? 7401 : 7402
        await ringwall('rule', 'add', 'sg-led', 'ingress', 'allow', `tcp/${opened}`, 'from', 'any', ...waiting)
        await it.untilKept(opened)
        await eventually(async () => assert.notEqual(it.container.read(`${stateDir}/view.log`), ''))
        const viewLog = it.container.read(`${stateDir}/view.log`)
        const tear = async () => {
          if (file === 'view.log') it.container.write(`${stateDir}/view.log`, `{"number":${viewLog.length}}\n`)
          else await it.tear(`${stateDir}/view.json`, 'torn')
        }
        const said = ['what is kept of the view may be old', leftAsItIs]
        const answered = await it.rebootAndKnock(tear, () => it.untilLogged(units.agent, said))
        assert.equal(answered, 0)
        await eventually(async () =>
          assert.match((await it.health()).problems.join('\n'), /what is in force may be newer than the disk/),
        )
        await it.untilInKernel(opened)
        await it.systemctl('start', units.daemon)
        await eventually(async () => assert.deepEqual((await it.health()).problems, []), servicePatienceMs)
        await it.untilInKernel(opened)
        assert.equal(await it.answers(), false)
      },
    )
  }

  test(
    'whose administrator panics stays open over restarts and a boot, and the daemon says so, until that is undone',
    machineTime,
    async () => {
      await it.systemctl('start', units.daemon)
      await untilInSync()
      assert.match(await ringwall('panic'), /^THE HOST IS OPEN/)
      assert.equal(await it.hasTable(), false)
      await eventually(async () => assert.ok(await it.answers()))
      await untilRefusing()
      await it.systemctl('restart', units.agent)
      await it.untilActive(units.agent)
      assert.equal(await it.hasTable(), false)
      assert.ok((await it.rebootAndKnock()) > 0)
      assert.equal(await it.container.property(units.boot, 'ConditionResult'), 'no')
      // It has nothing to put in force, and is ready all the same.
      await it.untilActive(units.agent)
      assert.equal(await it.hasTable(), false)
      await eventually(async () => assert.match((await it.health()).problems.join('\n'), /The host is open since/))
      const { exitCode, codes } = await it.doctor()
      assert.equal(exitCode, 2)
      assert.ok(codes.includes('panic-on'))
      await it.systemctl('start', units.daemon)
      await untilRefusing()
      assert.match(await ringwall('panic', '--undo'), /^Undone/)
      await eventually(async () => assert.ok(await it.hasTable()), servicePatienceMs)
      await eventually(async () => assert.equal(await it.answers(), false), servicePatienceMs)
      await untilInSync()
    },
  )

  test(
    'and a panic that the disk does not take is refused while the agent runs, and opens the host when it is stopped',
    machineTime,
    async () => {
      await it.untilActive(units.agent)
      await it.fillUp()
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
        await eventually(async () => assert.ok(await it.answers()))
      } finally {
        await it.container.run('rm', [`${stateDir}/filler`])
      }
      await it.systemctl('start', units.agent)
      await it.untilActive(units.agent)
      assert.equal(await it.answers(), false)
    },
  )
})
