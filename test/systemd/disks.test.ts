/** Disks that are full, read-only or torn when a host boots, and what packets meet then. */
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

let it: ServiceHost

before(async () => {
  if (needsSystemd !== false) return
  it = await startServiceHost({ files: { 'etc/ringwall/policy.yaml': opening(7080) }, disk: stateDir })
}, machineTime)
after(() => it?.[Symbol.asyncDispose]())

describe('a disk that takes nothing at boot', { skip: needsSystemd }, () => {
  const rows = [
    {
      name: 'one that the kernel lets be read alone',
      spoil: () => it.makeReadOnly('by the kernel'),
      mend: () => it.container.remountDisk('rw'),
      reason: /EROFS/,
      code: 'state-dir-not-writable',
    },
    {
      name: 'one that is mounted to be read alone, until the agent is started anew',
      spoil: () => it.makeReadOnly('mounted'),
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
      spoil: () => it.fillUp(),
      async mend() {
        await it.container.run('rm', [`${stateDir}/filler`])
      },
      reason: /ENOSPC/,
      code: 'disk-full',
    },
  ]
  for (const [index, { name, spoil, mend, reason, code }] of rows.entries()) {
    test(
      `${name}: the last good ruleset is in force, and the agent keeps to its policy and says what is wrong`,
      machineTime,
      async () => {
        const [first, second] = [7100 + index, 7200 + index]
        await it.untilActive(units.agent)
        await it.replacePolicy(opening(first))
        await it.untilKept(first)
        await spoil()
        assert.equal(await it.rebootAndKnock(), 0)
        await it.untilLogged(units.boot, [`ringwall-boot: in force: ${stateDir}/ruleset.nft`])
        await it.untilActive(units.agent)
        await it.replacePolicy(opening(second))
        await it.untilInKernel(second)
        await eventually(async () => {
          const { healthy, inForce, problems } = await it.health()
          assert.deepEqual([healthy, inForce], [false, true])
          assert.match(problems.join('\n'), reason)
        }, servicePatienceMs)
        await it.untilLogged(units.agent, ['cannot keep the last good state; what is in force stays'])
        const { exitCode, codes } = await it.doctor()
        assert.equal(exitCode, 2)
        assert.ok(codes.includes(code), codes.join(' '))
        assert.equal(await it.container.property(units.agent, 'NRestarts'), '0')

        await mend()
        await it.untilKept(second)
        await eventually(
          async () => assert.doesNotMatch((await it.health()).problems.join('\n'), /next boot/),
          servicePatienceMs,
        )
        assert.ok(!(await it.doctor()).codes.includes(code))
        assert.equal(await it.rebootAndKnock(), 0)
        assert.ok((await it.ruleset()).includes(String(second)))
      },
    )
  }
})

describe('files that are torn at boot', { skip: needsSystemd }, () => {
  const port = 7300
  before(async () => {
    if (needsSystemd !== false) return
    await it.untilActive(units.agent)
    await it.replacePolicy(opening(port))
    await it.untilKept(port)
  }, machineTime)
  /** As the agent writes it; a torn one names the port too. */
  async function untilWhole(): Promise<void> {
    await it.untilKept(port)
    await eventually(() => it.container.run('nft', ['-c', '-f', `${stateDir}/ruleset.nft`]), servicePatienceMs)
  }
  const rows = [
    { file: 'ruleset.nft', to: 'empty', setting: 'closed', said: `${stateDir}/ruleset.nft is empty` },
    { file: 'ruleset.nft', to: 'torn', setting: 'closed', said: `nft does not take ${stateDir}/ruleset.nft` },
    { file: 'ruleset.nft', to: 'torn', setting: 'open', said: `nft does not take ${stateDir}/ruleset.nft` },
  ] as const
  for (const { file, to, setting, said } of rows) {
    test(
      `${file}, ${to}, and the host is to be ${setting}: so it is from the first packet until the agent has started`,
      machineTime,
      async () => {
        await it.untilActive(units.agent)
        await untilWhole()
        it.container.write('etc/ringwall/boot.env', `RINGWALL_BOOT_WITHOUT_RULESET=${setting}\n`)
        const answered = await it.rebootAndKnock(async () => {
          await it.tear(`${stateDir}/${file}`, to)
        })
        if (setting === 'closed') assert.equal(answered, 0)
        await it.untilLogged(units.boot, [`ringwall-boot: ${said}`])
        assert.equal(await it.container.property(units.boot, 'ActiveState'), 'failed')
        await it.untilActive(units.agent)
        assert.equal(await it.answers(), false)
        await it.untilInKernel(port)
        await untilWhole()
      },
    )
  }

  test(
    'policy.last-good, torn, with a policy file that is no policy: the ruleset of the boot stays in force',
    machineTime,
    async () => {
      it.container.write('etc/ringwall/policy.yaml', 'not: a policy')
      const answered = await it.rebootAndKnock(() => it.tear(`${stateDir}/policy.last-good`, 'torn'))
      assert.equal(answered, 0)
      await it.untilLogged(units.agent, ['the last policy that was in force cannot be read any more'])
      await eventually(async () => {
        const { healthy, problems } = await it.health()
        assert.equal(healthy, false)
        assert.match(problems.join('\n'), /Cannot read field "not"/)
      })
      assert.equal(await it.answers(), false)
      await it.untilInKernel(port)
      const { codes } = await it.doctor()
      assert.ok(codes.includes('state-file-damaged'), codes.join(' '))
      await it.replacePolicy(opening(port + 1))
      await it.untilKept(port + 1)
    },
  )
})
