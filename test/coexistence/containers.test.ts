/**
 * Container engines of Debian beside an agent that runs as a service, with real containers: their published ports and
 * their way out are judged at the host's ENI, and whatever the engine does changes nothing of ours. The image is made of
 * the host's own busybox: no registry is asked.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { machineTime, needsFirewalls, writeIn } from '../support/container.ts'
import { type FirewallHost, ports, secondAddress, startFirewallHost } from '../support/firewall-host.ts'
import { addresses } from '../support/host-network.ts'
import { eventually } from '../support/sessions.ts'

const image = `
mkdir -p /srv/image/bin /srv/image/etc && cp /bin/busybox /srv/image/bin/ &&
for name in sh httpd nc; do ln -sf busybox /srv/image/bin/$name; done && echo inside >/srv/image/etc/index.html &&
tar -C /srv/image -cf /srv/image.tar .`
const serve = `tiny /bin/httpd -f -p 80 -h /etc`

interface Engine {
  readonly program: string
  /** Has it ready, with the image. */
  readonly start: string
  /** What an operator does to it, and what comes of it without one. */
  readonly deeds: readonly string[]
  readonly runFlags: string
  readonly found: string
}

/**
 * Docker last: where it turns forwarding on it has the forward chain drop what nobody accepts, and leaves it so; published
 * ports of Podman 4.3 are dead then.
 */
const engines: readonly Engine[] = [
  {
    program: 'podman',
    start: 'podman import -q /srv/image.tar tiny && podman network create --subnet 198.18.17.0/24 own',
    deeds: ['podman network reload web', 'podman restart -t 0 web'],
    // The control groups here have no controllers, which crun would miss.
    runFlags: '--network own --cgroups=disabled',
    found: 'found-podman',
  },
  {
    program: 'docker',
    start: 'systemctl start docker && docker import /srv/image.tar tiny',
    deeds: ['systemctl reload docker', 'systemctl restart docker && docker start web'],
    runFlags: '',
    found: 'found-docker',
  },
]

let host: FirewallHost

before(async () => {
  if (needsFirewalls !== false) return
  host = await startFirewallHost(root => {
    // Layers above one another are not for what is a layer itself.
    writeIn(root, 'etc/docker/daemon.json', JSON.stringify({ bip: '198.18.16.1/24', 'storage-driver': 'vfs' }))
    writeIn(
      root,
      'etc/containers/storage.conf',
      '[storage]\ndriver = "vfs"\ngraphroot = "/var/lib/containers/vfs"\nrunroot = "/run/containers/vfs"\n',
    )
  })
  await host.sh(image)
}, machineTime)

after(() => host?.[Symbol.asyncDispose]())

for (const { program, start, deeds, runFlags, found } of engines) {
  describe(program, { skip: needsFirewalls }, () => {
    let before = ''

    /** Whether the container comes out, to a port that somebody outside listens at. */
    async function comesOut(port: number): Promise<boolean> {
      const command = `${program} exec web nc -w 2 ${addresses.outside.ip} ${port} </dev/null`
      const { exitCode } = await host.container.run('sh', ['-c', command], { allowFailure: true })
      return exitCode === 0
    }

    async function judgedAsTheGroupSays(deed: string): Promise<void> {
      await eventually(async () => assert.equal(await host.knock(ports.published), 'accepted', deed), 60_000)
      assert.equal(await host.knock(ports.published, secondAddress), 'ETIMEDOUT', deed)
      assert.equal(await host.knock(ports.closed), 'ETIMEDOUT', deed)
      await eventually(async () => assert.equal(await comesOut(ports.wayOut), true, deed), 60_000)
      assert.equal(await comesOut(ports.noWayOut), false, deed)
      assert.equal(await host.ownTable(), before, deed)
    }

    test(
      'a published port is reached as the group allows, and the container comes out as the host does',
      machineTime,
      async () => {
        before = await host.ownTable()
        await host.sh(start)
        const port = `-p ${ports.published}:80 -p ${ports.closed + 1}:80`
        await host.sh(`${program} run -d --name web ${runFlags} ${port} ${serve}`)
        await judgedAsTheGroupSays('started')
        assert.equal(await host.knock(ports.closed + 1), 'ETIMEDOUT', 'published, and open to nobody')
        const { body } = await host.outside.httpGet(addresses.host.ip, ports.published, '/index.html')
        assert.equal(body, 'inside\n')
      },
    )

    for (const deed of deeds) {
      test(`${deed}: nothing of ours is changed, nothing forbidden is answered`, machineTime, async () => {
        const gap = await host.watchGap(() => host.sh(deed))
        assert.equal(gap.answers, 0)
        await judgedAsTheGroupSays(deed)
      })
    }

    test('the doctor says where published ports are judged', machineTime, async () => {
      const findings = await host.doctor()
      for (const code of [found, 'foreign-nat']) assert.ok(findings.has(code), `${code} of ${[...findings.keys()]}`)
    })

    test('gone again', machineTime, async () => {
      await host.sh(`${program} kill web; ${program} rm -f web`)
      await eventually(async () => assert.notEqual(await host.knock(ports.published), 'accepted'))
      assert.equal(await host.ownTable(), before)
      if (program === 'docker') await host.sh('systemctl stop docker docker.socket containerd')
    })
  })
}
