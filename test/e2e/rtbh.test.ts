/** The example of a black hole upstream, with the real notifier, real BIRD on both sides, and the router's kernel. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { checkCommand } from '../../common/notify/command.ts'
import type { DdosEvent } from '../../wire/ddos.ts'
import { notificationKinds, notificationOf } from '../../wire/notification.ts'
import { startAgent } from '../support/agent.ts'
import { type BirdPair, bird, exabgp, exampleFolder, startBirds } from '../support/bird.ts'
import { makeEvent } from '../support/ddos.ts'
import { newFolder, startNotifier } from '../support/notifications.ts'
import { Printed } from '../support/printed.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const execute = promisify(execFile)
const script = join(exampleFolder, 'rtbh')
const addresses = ['198.18.0.2', '2001:db8::2']

function change(kind: DdosEvent['changes'][number]['kind'], phase: DdosEvent['phase']) {
  const time = new Date().toISOString()
  const blackHole =
    phase === 'black-hole'
      ? { endTime: new Date(Date.now() + 1_800_000).toISOString(), holdSeconds: 1800, isManual: false }
      : null
  const event = makeEvent({ id: 'ddos-1', phase })
  return notificationOf({ kind, time, message: kind }, { event, addresses, blackHole })
}

describe('a black hole upstream', { skip: needsKernel || bird.skip }, () => {
  let birds: BirdPair
  before(async () => {
    birds = await startBirds()
  })
  after(() => birds[Symbol.asyncDispose]())

  /** As Ringwall runs it. */
  async function run(action: string, variables: Readonly<Record<string, string>> = {}) {
    const told = {
      RINGWALL_INSTANCE_ID: 'i-1',
      RINGWALL_PHASE: 'black-hole',
      RINGWALL_ADDRESSES: addresses.join(' '),
      RINGWALL_BLACK_HOLE_END: String(Math.floor(Date.now() / 1000) + 1800),
      ...variables,
    }
    const env = { PATH: process.env.PATH, ...told }
    return execute(script, [action, birds.folder, ...birds.birdc], { env })
  }

  test('is what the router does between its begin and its end, as the notifier tells of them', async () => {
    const command = [script, 'hook', birds.folder, ...birds.birdc]
    await checkCommand(command)
    await using notifier = await startNotifier({ command, kinds: notificationKinds })
    await birds.router.run('ping', ['-c', '1', '-w', '10', '198.18.0.2'])
    await birds.router.run('ping', ['-c', '1', '-w', '10', '2001:db8::2'])

    await notifier.notify(change('start', 'cleaning'))
    await notifier.notify(change('black-hole', 'black-hole'))
    await birds.untilBlackHoles(addresses)
    const routes = await birds.ask('show', 'route', 'all', 'protocol', 'customer')
    assert.equal(routes.match(/BGP\.community: \(65535,666\) \(65535,65281\)/g)?.length, 2, routes)
    const { exitCode } = await birds.router.run('ping', ['-c', '1', '-w', '2', '198.18.0.2'], { allowFailure: true })
    assert.notEqual(exitCode, 0)

    await notifier.notify(change('peak', 'black-hole'))
    await notifier.notify(change('lift', 'cleaning'))
    await birds.untilBlackHoles([])
    await notifier.notify(change('end', 'ended'))
    await notifier.logged(({ msg, kind }) => msg === 'notification delivered' && kind === 'ddos.end')
    await birds.router.run('ping', ['-c', '1', '-w', '10', '198.18.0.2'])
    assert.deepEqual(await notifier.deadLetters(), [])
    assert.deepEqual(
      notifier.lines.filter(({ level }) => level === 'warn'),
      [],
    )
  })

  test('comes once the router is reachable again, by the retries', async () => {
    const folder = await newFolder()
    after(() => rm(folder, { recursive: true }))
    const socket = birds.birdc.at(-1)!
    const elsewhere = [...birds.birdc.slice(0, -1), `${socket}.away`]
    const client = join(folder, 'birdc')
    // At once, as it may be run at any time.
    const pointTo = async (command: readonly string[]) => {
      await writeFile(`${client}.new`, `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`, { mode: 0o755 })
      await rename(`${client}.new`, client)
    }
    await pointTo(elsewhere)
    const command = [script, 'hook', birds.folder, client]
    await using notifier = await startNotifier({ command, kinds: notificationKinds, limits: { mostDelayMs: 2_000 } })
    await notifier.notify(change('black-hole', 'black-hole'))
    const failure = await notifier.logged(({ level }) => level === 'warn')
    assert.match(String(failure.reason), /^exit code 1: .*rtbh: BIRD (cannot be reached|refuses)/s)
    await pointTo(birds.birdc)
    await birds.untilBlackHoles(addresses)
    await notifier.notify(change('end', 'ended'))
    await birds.untilBlackHoles([])
  })

  test('done twice is done once', async () => {
    await run('hook')
    await birds.untilBlackHoles(addresses)
    const [file] = (await readdir(birds.folder)).filter(name => name.endsWith('.ip4'))
    const text = await readFile(join(birds.folder, file!), 'utf8')
    await run('hook')
    assert.equal((await readFile(join(birds.folder, file!), 'utf8')).split('\n')[1], text.split('\n')[1])
    assert.deepEqual(await birds.blackHoles(), addresses)
    await run('hook', { RINGWALL_PHASE: 'ended', RINGWALL_BLACK_HOLE_END: '' })
    await birds.untilBlackHoles([])
    const { stdout } = await run('hook', { RINGWALL_PHASE: 'ended', RINGWALL_BLACK_HOLE_END: '' })
    assert.equal(stdout, '')
    assert.deepEqual(await readdir(birds.folder), [])
  })

  test('of one instance is not that of another', async () => {
    await run('hook')
    await run('hook', { RINGWALL_INSTANCE_ID: 'i-2', RINGWALL_ADDRESSES: '198.18.0.9' })
    await birds.untilBlackHoles([...addresses, '198.18.0.9'])
    await run('hook', { RINGWALL_PHASE: 'cleaning' })
    await birds.untilBlackHoles(['198.18.0.9'])
    await run('hook', { RINGWALL_INSTANCE_ID: 'i-2', RINGWALL_PHASE: 'ended' })
    await birds.untilBlackHoles([])
  })

  test('of other addresses than the host’s own is announced to nobody', async () => {
    await run('hook', { RINGWALL_ADDRESSES: '198.18.7.7 2001:db8:7::7 198.18.0.2' })
    await birds.untilBlackHoles(['198.18.0.2'])
    await run('hook', { RINGWALL_PHASE: 'ended' })
    await birds.untilBlackHoles([])
  })

  test('that is over when it is told of is none', async () => {
    await run('hook', { RINGWALL_BLACK_HOLE_END: '1000000000' })
    assert.deepEqual(await readdir(birds.folder), [])
  })

  test('that nobody ends is withdrawn when its time is over', async () => {
    await run('hook')
    await birds.untilBlackHoles(addresses)
    const { stdout } = await run('expire')
    assert.equal(stdout, '')
    for (const name of await readdir(birds.folder)) {
      const path = join(birds.folder, name)
      await writeFile(path, (await readFile(path, 'utf8')).replace(/^# until \d+/, '# until 1000000000'))
    }
    await run('expire')
    await birds.untilBlackHoles([])
    assert.deepEqual(await readdir(birds.folder), [])
  })

  const hostile: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
    ['an instance that is a path', { RINGWALL_INSTANCE_ID: '../x' }, /no instance id: "..\/x"/],
    ['an instance of two lines', { RINGWALL_INSTANCE_ID: 'a\nb' }, /no instance id/],
    ['an address with more to it', { RINGWALL_ADDRESSES: '198.18.0.2/0' }, /no address: "198.18.0.2\/0"/],
    ['no address', { RINGWALL_ADDRESSES: 'blackhole;' }, /no address/],
    ['no IPv6 address', { RINGWALL_ADDRESSES: '::1;' }, /no address/],
    ['a pattern of file names', { RINGWALL_ADDRESSES: '*' }, /no address: "\*"/],
    ['no time', { RINGWALL_BLACK_HOLE_END: '$(reboot)' }, /no time/],
  ]
  for (const [name, variables, expected] of hostile) {
    test(`refused: ${name}`, async () => {
      await assert.rejects(run('hook', variables), ({ stderr }: { stderr: string }) => expected.test(stderr))
      assert.deepEqual(await readdir(birds.folder), [])
      assert.deepEqual(await birds.blackHoles(), [])
    })
  }
})

describe('a black hole upstream by ExaBGP', { skip: needsKernel || bird.skip || exabgp.skip }, () => {
  test('is what the router does between its begin and its end', async () => {
    await using birds = await startBirds('exabgp')
    const command = [script, 'hook', birds.folder, ...birds.birdc]
    await using notifier = await startNotifier({ command, kinds: notificationKinds })
    await notifier.notify(change('black-hole', 'black-hole'))
    await birds.untilBlackHoles(addresses)
    await notifier.notify(change('end', 'ended'))
    await birds.untilBlackHoles([])
  })
})

describe('a black hole upstream, of a real agent', { skip: needsKernel || bird.skip }, () => {
  /** The router counts as a source on the Internet: without the list the black hole would cut the BGP session. */
  const policy = (order?: object) => ({
    apiVersion: 'ringwall/v1',
    instances: [{ id: 'i-1', instanceType: 'not.published', ...(order && { ddosOrder: order }) }],
    interfaces: [{ id: 'eni-1', instanceId: 'i-1', device: 'eth0', addresses, securityGroupIds: ['sg-1'] }],
    securityGroups: [
      {
        id: 'sg-1',
        rules: [
          { direction: 'ingress', policy: 'accept', ipProtocol: 'all', portRange: '-1/-1', sourceCidrIp: '0.0.0.0/0' },
          { direction: 'ingress', policy: 'accept', ipProtocol: 'all', portRange: '-1/-1', ipv6SourceCidrIp: '::/0' },
        ],
      },
    ],
    settings: { scrubbing: { allowList: ['198.18.255.1/32', '2001:db8:ff::1/128'] } },
  })

  test('is what the router does from an operator’s order to the lift, and for no longer than its hold time', async () => {
    await using birds = await startBirds()
    const stateDir = await newFolder()
    after(() => rm(stateDir, { recursive: true }))
    const hook = JSON.stringify([script, 'hook', birds.folder, ...birds.birdc])
    const flags = ['--state-dir', stateDir, '--notify-command', hook]
    await using agent = await startAgent({ namespace: birds.host, policy: policy(), flags })

    // What is over soon nobody may have looked for in time; this is told of each route.
    const monitor = birds.router.spawn('ip', ['monitor', 'route'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const routes = new Printed(monitor.stdout!)
    await eventually(async () => {
      // A route that is there already is no news when it is added again.
      for (const action of ['add', 'del']) {
        await birds.router.run('ip', ['route', action, '198.18.9.0/24', 'via', '198.18.255.2'])
      }
      assert.notEqual(routes.text, '', 'it listens')
    })
    const toldOf = async (times: number) => {
      for (const address of addresses) {
        const one = `^blackhole ${address} [^]*?^Deleted blackhole ${address} [^]*?`
        await routes.until(new RegExp(`(${one}){${times}}`, 'm'))
      }
    }

    await agent.writePolicy(policy({ id: 'order-1', action: 'black-hole', holdSeconds: 600 }))
    await birds.untilBlackHoles(addresses)
    await agent.writePolicy(policy({ id: 'order-2', action: 'lift' }))
    await birds.untilBlackHoles([])
    await toldOf(1)

    await agent.writePolicy(policy({ id: 'order-3', action: 'black-hole', holdSeconds: 5 }))
    await toldOf(2)
    assert.match(await birds.ask('show', 'protocols', 'customer'), /Established/)
    await eventually(async () => {
      const told = agent.log.filter(({ msg }) => msg === 'notification delivered').map(({ kind }) => kind)
      const ofBlackHoles = told.filter(kind => kind === 'ddos.black-hole' || kind === 'ddos.lift')
      assert.deepEqual(ofBlackHoles, ['ddos.black-hole', 'ddos.lift', 'ddos.black-hole', 'ddos.lift'])
    })
  })
})
