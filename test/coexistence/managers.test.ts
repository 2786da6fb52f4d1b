/**
 * The firewall managers of Debian beside an agent that runs as a service: each started, reloaded, restarted and stopped,
 * with somebody outside who knocks all the time. docs/coexistence.md says what comes of it.
 */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { machineTime, needsFirewalls, writeIn } from '../support/container.ts'
import { metricValue } from '../support/device-host.ts'
import { type FirewallHost, type Gap, ports, secondAddress, startFirewallHost } from '../support/firewall-host.ts'
import { addresses } from '../support/host-network.ts'
import { arrives, converse, eventually } from '../support/sessions.ts'

/** Bans by nftables, as Debian sets it up, and finds nothing by itself. */
const jail = `
[DEFAULT]
backend = polling
[sshd]
enabled = false
[knock]
enabled = true
filter = knock
logpath = /var/log/knock.log
port = ${ports.open}
banaction = nftables-multiport
`

let host: FirewallHost
/** Begun before any of them has come. */
let session: Awaited<ReturnType<typeof converse>>

before(async () => {
  if (needsFirewalls !== false) return
  host = await startFirewallHost(root => {
    writeIn(root, 'etc/fail2ban/jail.local', jail)
    writeIn(root, 'etc/fail2ban/filter.d/knock.conf', '[Definition]\nfailregex = ^knock <HOST>$\n')
    writeIn(root, 'var/log/knock.log', '')
  })
  session = await converse('tcp', {
    client: host.outside,
    server: host.host,
    address: addresses.host.ip,
    port: ports.open,
  })
}, machineTime)

after(() => host?.[Symbol.asyncDispose]())

/** After a ban TCP rests before it sends again, for as long as the ban has been at most. */
function sessionLives(timeoutMs = 60_000): Promise<boolean> {
  return session.client.ask(`still there ${performance.now()}`, timeoutMs)
}

/** firewalld is active before it has loaded its rules, and answers when it has. */
const firewalldStands = () => eventually(() => host.sh('firewall-cmd --state'), 60_000)

/** Nothing of ours is made anew, nothing forbidden is answered, and sessions go on. */
async function leavesOursAlone(deed: string, done: () => Promise<unknown> = async () => {}): Promise<void> {
  const before = await host.ownTable()
  const gap = await host.watchGap(async () => {
    await host.sh(deed)
    await done()
  })
  assert.equal(await host.ownTable(), before, deed)
  assert.equal(gap.answers, 0, deed)
  assert.equal(await host.knock(ports.closed), 'ETIMEDOUT', deed)
  assert.ok(await sessionLives(), deed)
}

/** Who is named in the agent's log when our table was put right, after that many times. */
async function whoChangedOurs(after: number): Promise<string> {
  return eventually(async () => {
    const healed = (await healings())[after]
    if (healed?.changedBy === undefined) throw new Error('The agent has put nothing right')
    return healed.changedBy
  }, 60_000)
}

async function healings() {
  const lines = await host.agentLog()
  return lines.filter(({ msg }) => msg === 'somebody changed our table; it is as it should be again')
}

/** How often the agent has read back what it had loaded: once, some time after the last of several changes. */
async function readBacks(): Promise<number> {
  const { body } = await host.host.httpGet('127.0.0.1', 9469, '/metrics')
  return metricValue(body, 'ringwall_agent_resyncs_total{cause="check"}')
}

/** The whole of ours goes and comes back. */
async function isPutBackAfter(t: TestContext, deed: string, change: () => Promise<unknown>): Promise<void> {
  const told = (await healings()).length
  const gap = await host.watchGap(change)
  t.diagnostic(tellGap(deed, gap))
  // Stopped and started it flushes twice.
  assert.match(await whoChangedOurs(told), /^nft \(pid \d+\)( or nft \(pid \d+\))?$/)
  assert.equal(await host.knock(ports.open), 'accepted')
  await eventually(async () => assert.equal(await host.knock(ports.closed), 'ETIMEDOUT'))
  assert.ok(await sessionLives())
}

const tellGap = (deed: string, { answers, ms }: Gap) =>
  `${deed}: ${answers} forbidden packets answered, within ${ms} ms`

describe('beside', { skip: needsFirewalls }, () => {
  test(
    'firewalld: its reject is final, its accept opens nothing, and it leaves our table alone',
    machineTime,
    async () => {
      await leavesOursAlone('systemctl start firewalld', firewalldStands)
      assert.equal(await host.knock(ports.open), 'EHOSTUNREACH')
      await host.sh(`firewall-cmd --permanent --add-port=${ports.open}/tcp --add-port=${ports.closed}/tcp`)
      await leavesOursAlone('firewall-cmd --reload')
      assert.equal(await host.knock(ports.open), 'accepted')
      await leavesOursAlone('firewall-cmd --complete-reload')
      await leavesOursAlone('systemctl restart firewalld', firewalldStands)
      const findings = await host.doctor()
      assert.match(findings.get('found-firewalld') ?? '', /firewalld/)
      assert.match(findings.get('foreign-chains') ?? '', /firewalld/)
      await leavesOursAlone('systemctl stop firewalld')
      assert.equal(await host.knock(ports.open), 'accepted')
    },
  )

  test('firewalld and the agent, restarted at once again and again', machineTime, async () => {
    const both = 'systemctl restart firewalld & systemctl restart ringwall-agent & wait'
    const gap = await host.watchGap(async () => {
      for (let count = 0; count < 3; count += 1) await host.sh(both)
      await firewalldStands()
    })
    assert.equal(gap.answers, 0)
    assert.equal(await host.container.property('ringwall-agent.service', 'ActiveState'), 'active')
    assert.equal(await host.container.property('firewalld.service', 'ActiveState'), 'active')
    assert.equal(await host.knock(ports.open), 'accepted')
    assert.equal(await host.knock(ports.closed), 'ETIMEDOUT')
    assert.ok(await sessionLives())
    await host.sh('systemctl stop firewalld')
  })

  test('ufw: its drop is final, its allow opens nothing, and it leaves our table alone', machineTime, async () => {
    await leavesOursAlone('ufw --force enable')
    assert.equal(await host.knock(ports.open), 'ETIMEDOUT')
    await host.sh(`ufw allow ${ports.open}/tcp && ufw allow ${ports.closed}/tcp`)
    assert.equal(await host.knock(ports.open), 'accepted')
    await leavesOursAlone('ufw reload')
    const findings = await host.doctor()
    assert.match(findings.get('found-ufw') ?? '', /ufw/)
    assert.match(findings.get('foreign-drop-policy') ?? '', /ip filter INPUT/)
    await leavesOursAlone('ufw disable')
    assert.equal(await host.knock(ports.open), 'accepted')
  })

  test('iptables of nftables: flushed, and restored from nothing', machineTime, async () => {
    await leavesOursAlone('iptables -F; iptables -X; iptables -t nat -F; iptables -P INPUT ACCEPT; ip6tables -F')
    await leavesOursAlone('printf "*filter\\nCOMMIT\\n" | iptables-restore')
  })

  test('iptables of old: what nft cannot see drops all the same', machineTime, async () => {
    await leavesOursAlone(`iptables-legacy -I INPUT -p tcp --dport ${ports.open} -m state --state NEW -j DROP`)
    await host.sh(`iptables-legacy -I INPUT -p tcp --dport ${ports.closed} -j ACCEPT`)
    assert.equal(await host.knock(ports.open), 'ETIMEDOUT')
    assert.equal(await host.knock(ports.closed), 'ETIMEDOUT')
    const findings = await host.doctor()
    assert.ok(findings.has('legacy-iptables'), [...findings.keys()].join())
    await leavesOursAlone('iptables-legacy -F')
    assert.equal(await host.knock(ports.open), 'accepted')
  })

  test('fail2ban: who is banned stays out, others come in, and it leaves our table alone', machineTime, async () => {
    await leavesOursAlone('systemctl start fail2ban')
    await eventually(() => host.sh('fail2ban-client status knock'), 60_000)
    await host.sh(`fail2ban-client set knock banip ${addresses.outside.ip}`)
    await eventually(async () => assert.equal(await host.knock(ports.open), 'ECONNREFUSED'))
    assert.equal(await host.knock(ports.open, secondAddress), 'accepted')
    assert.equal(await host.knock(ports.closed), 'ETIMEDOUT')
    assert.match((await host.doctor()).get('found-fail2ban') ?? '', /f(ail)?2b/)
    assert.ok(!(await sessionLives(3000)), 'sessions of who is banned are cut')
    await host.sh(`fail2ban-client set knock unbanip ${addresses.outside.ip}`)
    await leavesOursAlone('fail2ban-client reload')
    await leavesOursAlone('systemctl stop fail2ban')
    assert.equal(await host.knock(ports.open), 'accepted')
  })

  test(
    'a program that rewrites its own rules while another one changes ours: who did it is named',
    machineTime,
    async () => {
      const busy = 'for i in 1 2 3 4 5 6 7 8 9 10; do iptables -F; sleep 0.05; done'
      for (const deed of ['flush chain inet ringwall eni-host/ingress', 'flush ruleset']) {
        const told = (await healings()).length
        const before = await readBacks()
        const pid = await host.sh(`(${busy}) >/dev/null & sleep 0.2; nft ${deed} & echo $!; wait`)
        assert.equal(await whoChangedOurs(told), `nft (pid ${pid.trim()})`)
        // Of what it finds when it reads back it names nobody: not at the time of the next deed.
        await eventually(async () => assert.ok((await readBacks()) > before), 60_000)
      }
    },
  )

  test('nftables.service: it flushes the rules of everybody, and ours are back', machineTime, async t => {
    const restart = () => host.sh('systemctl restart nftables')
    await isPutBackAfter(t, 'nftables.service restarted', restart)
    assert.ok((await host.doctor()).has('flush-ruleset'))
  })

  test('nftables.service, which firewalld stops when it starts: it flushes then too', machineTime, async t => {
    assert.equal(await host.container.property('nftables.service', 'ActiveState'), 'active')
    await isPutBackAfter(t, 'firewalld started beside nftables.service', async () => {
      await host.sh('systemctl start firewalld')
      await firewalldStands()
    })
    await eventually(async () =>
      assert.equal(await host.container.property('nftables.service', 'ActiveState'), 'inactive'),
    )
    await host.sh('systemctl stop firewalld')
  })

  test('what begins while the rules are gone does not live on', machineTime, async () => {
    const told = (await healings()).length
    const agent = await host.container.property('ringwall-agent.service', 'MainPID')
    await host.sh(`kill -s STOP ${agent} && nft flush ruleset`)
    const forbidden = await converse('tcp', {
      client: host.outside,
      server: host.host,
      address: addresses.host.ip,
      port: ports.closed,
    })
    await host.sh(`kill -s CONT ${agent}`)
    await whoChangedOurs(told)
    await eventually(async () => {
      assert.equal(await arrives(forbidden.client, forbidden.server), false)
      assert.equal(await arrives(forbidden.server, forbidden.client), false)
    })
    assert.ok(await sessionLives())
  })

  test('a program that flushes the rules of everybody in a loop', machineTime, async t => {
    const flushes = 10
    const gap = await host.watchGap(async () => {
      for (let count = 0; count < flushes; count += 1) {
        await host.sh('nft flush ruleset')
        // It is put back each time, not only when the other has come to rest.
        await eventually(() => host.sh('nft list table inet ringwall'), 30_000)
      }
    })
    t.diagnostic(tellGap(`${flushes} times "flush ruleset"`, gap))
    assert.equal(await host.knock(ports.open), 'accepted')
    assert.equal(await host.knock(ports.closed), 'ETIMEDOUT')
    assert.ok(await sessionLives())
  })
})
