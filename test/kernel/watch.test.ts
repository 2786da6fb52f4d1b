/** What the agent hears of the kernel: ruleset generations, devices, marks of sessions. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { usedMarks } from '../../agent/conntrack/marks.ts'
import { createNft } from '../../agent/nft/exec.ts'
import { type LinkEvent, listLinks, watchLinks } from '../../agent/watch/links.ts'
import { type Generation, watchGenerations } from '../../agent/watch/nft-monitor.ts'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { needsKernel } from '../support/requirements.ts'
import { eventually } from '../support/sessions.ts'

const options = { skip: needsKernel }
const inside = (namespace: Namespace) => ['ip', 'netns', 'exec', namespace.name]
const waitMs = 30_000

/** Waits until something is so, looking often; fails after some seconds. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + waitMs
  while (!isSo()) {
    assert.ok(performance.now() < deadline, `still not so: ${what}`)
    await sleep(2)
  }
}

/** Pids of processes in the namespace with this program name. */
async function pidsOf(namespace: Namespace, program: string): Promise<readonly number[]> {
  const { stdout } = await namespace.run('sh', ['-c', `ip netns pids ${namespace.name}`])
  const pids = stdout.split('\n').filter(Boolean).map(Number)
  return pids.filter(pid => commandName(pid) === program)
}

/** Empty where the process has ended meanwhile. */
function commandName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Follows the generations of a namespace from a moment on at which they are heard. */
async function hearGenerations(namespace: Namespace) {
  const nft = createNft({ prefix: inside(namespace) })
  const generations: Generation[] = []
  let isHearing = false
  const watch = watchGenerations({
    prefix: inside(namespace),
    onGeneration: generation => generations.push(generation),
    onGap: reason => assert.ok(!isHearing, reason),
  })
  await watch.ready
  // On a busy machine a monitor is ready when it should hear, and hears a while later.
  await eventually(async () => {
    await nft.apply([{ add: { table: { family: 'inet', name: 'first' } } }])
    await nft.apply([{ delete: { table: { family: 'inet', name: 'first' } } }])
    assert.equal(generations.at(-1)?.pid, nft.lastPid)
  })
  isHearing = true
  generations.length = 0
  return { nft, generations, watch }
}

describe('generations', options, () => {
  test('are told with who made them, ours and others', async t => {
    await using namespace = await createNamespace('watch')
    const { nft, generations, watch } = await hearGenerations(namespace)
    t.after(() => watch.close())
    await nft.apply([{ add: { table: { family: 'inet', name: 't' } } }])
    await until('the first generation is told', () => generations.length === 1)
    assert.equal(generations[0]?.pid, nft.lastPid)
    assert.ok(nft.isOwnPid(generations[0]!.pid))
    await namespace.run('nft', ['add table inet other'])
    await until('the second generation is told', () => generations.length === 2)
    assert.equal(generations[1]?.process, 'nft')
    assert.equal(generations[1]?.generation, generations[0]!.generation + 1)
    assert.ok(!nft.isOwnPid(generations[1]!.pid))
    await watch.close()
    for (const program of ['perl', 'nft']) assert.deepEqual(await pidsOf(namespace, program), [])
  })

  test('of many changes at once are all told', async t => {
    await using namespace = await createNamespace('watch')
    const { nft, generations, watch } = await hearGenerations(namespace)
    t.after(() => watch.close())
    const elem = Array.from({ length: 20_000 }, (_, index) => `198.18.${index >> 8}.${index & 255}`)
    const set = { family: 'inet', table: 't', name: 's' }
    await nft.apply([
      { add: { table: { family: 'inet', name: 't' } } },
      { add: { set: { ...set, type: 'ipv4_addr' } } },
      { add: { element: { ...set, elem } } },
    ])
    for (let round = 1; round <= 10; round += 1) {
      await nft.apply([{ add: { table: { family: 'inet', name: `t${round}` } } }])
    }
    await until('all generations are told', () => generations.length === 11)
    // Reading the set for each of them would take time, and ten times that memory.
    for (const pid of await pidsOf(namespace, 'perl')) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      assert.ok(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) < 16 * 1024, status)
    }
    await watch.close()
  })

  test('missed while the monitor was dead are told as a gap, once it hears again', async t => {
    await using namespace = await createNamespace('watch')
    const nft = createNft({ prefix: inside(namespace) })
    const told: string[] = []
    const watch = watchGenerations({
      prefix: inside(namespace),
      onGeneration: () => told.push('generation'),
      onGap: () => told.push('gap'),
      onDown: () => told.push('down'),
    })
    t.after(() => watch.close())
    await watch.ready
    for (const pid of await pidsOf(namespace, 'perl')) process.kill(pid, 'SIGKILL')
    await until('the gap is told', () => told.at(-1) === 'gap')
    let count = 0
    await eventually(async () => {
      count += 1
      await nft.apply([{ add: { table: { family: 'inet', name: `t${count}` } } }])
      assert.equal(told.at(-1), 'generation')
    })
    assert.match(told.join(' '), /^down gap( gap)*( generation)+$/)
    await watch.close()
  })
})

describe('devices', options, () => {
  test('are listed with what they are', async () => {
    await using namespace = await createNamespace('links')
    await namespace.run('ip', ['link', 'add', 'br0', 'type', 'bridge'])
    await namespace.run('ip', [
      'link',
      'add',
      'a@b',
      'address',
      '02:00:00:00:00:01',
      'type',
      'veth',
      'peer',
      'name',
      'c0',
    ])
    await namespace.run('ip', ['link', 'set', 'a@b', 'up', 'master', 'br0'])
    const links = await listLinks({ prefix: inside(namespace) })
    const [lo, ...others] = links
    assert.deepEqual(lo, { index: 1, name: 'lo', mac: '00:00:00:00:00:00', up: true })
    assert.deepEqual(
      others
        .map(({ name, kind, master, up }) => ({ name, kind, master, up }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      [
        { name: 'a@b', kind: 'veth', master: 'br0', up: true },
        { name: 'br0', kind: 'bridge', master: undefined, up: false },
        { name: 'c0', kind: 'veth', master: undefined, up: false },
      ],
    )
    assert.equal(links.find(({ name }) => name === 'a@b')?.mac, '02:00:00:00:00:01')
  })

  test('that come, are renamed and go are told', async t => {
    await using namespace = await createNamespace('links')
    const events: LinkEvent[] = []
    const watch = watchLinks({ prefix: inside(namespace), onEvent: event => events.push(event) })
    t.after(() => watch.close())
    await watch.ready
    assert.deepEqual([...events], [], 'what is there already is no event')
    await namespace.run('ip', [
      'link',
      'add',
      'tap0',
      'index',
      '50',
      'type',
      'veth',
      'peer',
      'name',
      'peer0',
      'index',
      '51',
    ])
    const toldOf = (device: number) => {
      const own = events.filter(({ index }) => index === device)
      return own
        .map(event => `${event.kind} ${event.kind === 'renamed' ? `${event.oldName} ` : ''}${event.name};`)
        .join(' ')
    }
    const both = [50, 51]
    await until('both ends are told', () => both.every(device => toldOf(device) !== ''))
    await namespace.run('ip', ['link', 'set', 'tap0', 'name', 'tap1'])
    await until('the new name is told', () => toldOf(50).includes('tap1'))
    await namespace.run('ip', ['link', 'delete', 'tap1'])
    await until('the end is told', () => both.every(device => /removed \w+;$/.test(toldOf(device))))
    await watch.close()
    assert.match(toldOf(50), /^added tap0; renamed tap0 tap1; removed tap1;( added tap1; removed tap1;)*$/)
    assert.match(toldOf(51), /^added peer0; removed peer0;( added peer0; removed peer0;)*$/)
  })

  test('that are there only for a moment are told with both events', async t => {
    await using namespace = await createNamespace('links')
    const events: LinkEvent[] = []
    const watch = watchLinks({ prefix: inside(namespace), onEvent: event => events.push(event) })
    t.after(() => watch.close())
    await watch.ready
    await eventually(async () => {
      const moment = 'link add moment type veth peer name peer\nlink delete moment\n'
      await namespace.run('ip', ['-batch', '-'], { input: moment })
      assert.ok(events.some(({ kind, name }) => kind === 'removed' && name === 'moment'))
    })
    const rounds = 20
    const lines = Array.from({ length: rounds }, (_, round) => [
      `link add tap${round} index ${100 + 2 * round} type veth peer name peer${round} index ${101 + 2 * round}`,
      `link delete tap${round}`,
    ])
    await namespace.run('ip', ['-batch', '-'], { input: `${lines.flat().join('\n')}\n` })
    const indexes = Array.from({ length: 2 * rounds }, (_, number) => 100 + number)
    const kindsOf = (device: number) => events.filter(({ index }) => index === device).map(({ kind }) => kind)
    await until('all are told', () => indexes.every(index => kindsOf(index).at(-1) === 'removed'))
    await watch.close()
    for (const index of indexes) assert.match(kindsOf(index).join(' '), /^added removed( added removed)*$/)
  })

  test('that changed while the monitor was dead are told afterwards', async t => {
    await using namespace = await createNamespace('links')
    const events: LinkEvent[] = []
    const downs: string[] = []
    await namespace.run('ip', ['link', 'add', 'old0', 'index', '60', 'type', 'bridge'])
    const watch = watchLinks({
      prefix: inside(namespace),
      onEvent: event => events.push(event),
      onDown: reason => downs.push(reason),
    })
    t.after(() => watch.close())
    await watch.ready
    for (const pid of await pidsOf(namespace, 'ip')) process.kill(pid, 'SIGKILL')
    await namespace.run('ip', ['link', 'set', 'old0', 'name', 'new0'])
    await until('the new name is told', () => events.length === 1)
    assert.deepEqual(events, [{ kind: 'renamed', index: 60, name: 'new0', oldName: 'old0' }])
    assert.equal(downs.length, 1)
    await watch.close()
  })
})

describe('marks of live sessions', options, () => {
  test('of both families, as far as they lie in the mask', async () => {
    await using left = await createNamespace('left')
    await using right = await createNamespace('right')
    await connect(
      { namespace: left, device: 'e0', addresses: ['198.18.0.1/24', '2001:db8::1/64'] },
      { namespace: right, device: 'e0', addresses: ['198.18.0.2/24', '2001:db8::2/64'] },
    )
    assert.deepEqual([...(await usedMarks(0xffffff00, { prefix: inside(left) }))], [])
    await createNft({ prefix: inside(left) }).apply([
      { add: { table: { family: 'inet', name: 't' } } },
      { add: { chain: { ...marking, name: 'out', type: 'filter', hook: 'output', prio: -150, policy: 'accept' } } },
      ...[markPort(1001, 0x80001200), markPort(1002, 0x340000ff), markPort(1003, 0x000000ff)],
    ])
    for (const address of ['198.18.0.2', '2001:db8::2']) {
      for (const port of [1001, 1002, 1003, 1004])
        await left.run(process.execPath, ['-e', sendDatagram, address, String(port)])
    }
    assert.deepEqual(new Set(await usedMarks(0xffffff00, { prefix: inside(left) })), new Set([0x34000000, 0x80001200]))
    assert.deepEqual([...(await usedMarks(0xff, { prefix: inside(left) }))], [0xff])
  })

  test('cannot be read without the right to', async () => {
    await using namespace = await createNamespace('left')
    const prefix = [...inside(namespace), 'setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
    await assert.rejects(usedMarks(0xff, { prefix }), /Cannot read the marks of live sessions: .*you must be root/)
  })

  test('cannot be read without conntrack', async () => {
    const path = process.env.PATH
    process.env.PATH = '/nonexistent'
    try {
      await assert.rejects(usedMarks(0xff, { prefix: ['ringwall-no-such-command'] }), /not found: install the package/)
    } finally {
      process.env.PATH = path
    }
  })
})

const marking = { family: 'inet', table: 't' } as const

function markPort(port: number, mark: number) {
  const port64 = { match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: port } }
  const setMark = { mangle: { key: { ct: { key: 'mark' } }, value: mark } }
  return { add: { rule: { ...marking, chain: 'out', expr: [port64, setMark] } } }
}

const sendDatagram = `
const [address, port] = process.argv.slice(1)
const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4')
socket.send('x', Number(port), address, () => socket.close())
`
