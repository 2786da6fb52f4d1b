/** The lockout guard as a host runs it, by its units: an administrator who is cut, who confirms, and power that is lost. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Peer, startPeer } from '../../lab/conversation.ts'
import { machineTime, needsSystemd } from '../support/container.ts'
import { addresses } from '../support/host-network.ts'
import { acceptingPorts } from '../support/policy-documents.ts'
import { type ServiceHost, servicePatienceMs, startServiceHost, units } from '../support/service-host.ts'
import { arrives, converse, eventually } from '../support/sessions.ts'

const { agent, boot: bootUnit } = units
const ssh = 7000
const web = 7001
let it: ServiceHost
let admin: Peer
let server: Peer

before(async () => {
  if (needsSystemd !== false) return
  it = await startServiceHost({
    files: {
      'etc/ringwall/policy.yaml': JSON.stringify(acceptingPorts(ssh)),
      // Longer than the whole test: what ends a trial here is somebody or something else.
      'etc/ringwall/agent.yaml': `guardSeconds: 3600\nrescuePort: [${ssh}]\n`,
    },
  })
  admin = await startPeer(it.outside)
  server = await startPeer(it.host)
  for (const port of [ssh, web]) await server.listenTcp(port, { echo: false })
}, machineTime)

after(async () => {
  for (const each of [admin, server, it]) await each?.[Symbol.asyncDispose]()
})

const logs = (message: RegExp) => it.untilLogged(agent, [message])

const openShell = () => converse('tcp', { client: admin, server, address: addresses.host.ip, port: ssh })

async function isAccepted(port: number): Promise<boolean> {
  try {
    await (await admin.connectTcp(addresses.host.ip, port, { timeoutMs: 500 })).close()
    return true
  } catch (error) {
    assert.equal((error as Error).message, 'ETIMEDOUT')
    return false
  }
}

async function accepts(...expected: readonly number[]): Promise<void> {
  await eventually(async () => {
    const accepted = []
    for (const port of [ssh, web]) if (await isAccepted(port)) accepted.push(port)
    assert.deepEqual(accepted, expected)
  }, servicePatienceMs)
}

const replacePolicy = (...ports: readonly number[]) => it.replacePolicy(JSON.stringify(acceptingPorts(...ports)))

describe('the lockout guard under systemd', { skip: needsSystemd }, () => {
  test(
    'a policy that cuts an administrator is on trial, and kept by "ringwall confirm" of root',
    machineTime,
    async () => {
      await accepts(ssh)
      const shell = await openShell()
      await replacePolicy(web)
      await logs(/it is put in force on trial/)
      await accepts(web)
      assert.equal(await arrives(shell.client, shell.server), false)
      const { stdout } = await it.container.run('ringwall', ['confirm'])
      assert.equal(stdout, 'Confirmed.\n')
      await logs(/the policy on trial is confirmed/)
      await replacePolicy(ssh)
      await accepts(ssh)
    },
  )

  test(
    'power that is lost during a trial brings what was confirmed last: from the boot unit, and from the agent',
    machineTime,
    async () => {
      const confirmed = async () => (await it.container.run('cat', ['/var/lib/ringwall/ruleset.nft'])).stdout
      // Of the policy that was confirmed in between nothing is left.
      await eventually(async () => {
        const kept = await confirmed()
        assert.match(kept, new RegExp(`\\b${ssh}\\b`))
        assert.doesNotMatch(kept, new RegExp(`\\b${web}\\b`))
      }, servicePatienceMs)
      const standing = await confirmed()
      await openShell()
      await replacePolicy(web)
      await accepts(web)
      assert.equal(await confirmed(), standing, 'nothing of a trial is for a boot')
      // Without a chance to tidy up, and not to come back before the boot: it would tell of the trial then.
      const dropIn = 'etc/systemd/system/ringwall-agent.service.d/once.conf'
      it.container.write(dropIn, '[Service]\nRestart=no\n')
      await it.systemctl('daemon-reload')
      assert.equal(await it.container.property(agent, 'Restart'), 'no')
      await it.kill('KILL', await it.mainPid(agent))
      await it.systemctl('disable', agent)
      await it.container.run('rm', [`/${dropIn}`])
      await it.container.reboot(async () => {
        await it.host.run('nft', ['flush', 'ruleset'])
        await it.host.run('ip', ['addr', 'flush', 'dev', 'eth0'])
      })
      await it.container.untilUp()
      assert.equal(await it.container.property(agent, 'ActiveState'), 'inactive')
      await it.untilLogged(bootUnit, ['ringwall-boot: in force: /var/lib/ringwall/ruleset.nft'])
      await accepts(ssh)

      await it.systemctl('start', agent)
      await logs(/the agent was ended during a trial; the policy on trial is taken back/)
      await logs(/the policy is refused: it was taken back before/)
      await accepts(ssh)
      await replacePolicy(ssh, web)
      await accepts(ssh, web)
    },
  )
})
