/**
 * A host under test between two others, and real packets through it:
 *
 *     left  eth0 ────── d0  host  d1 ────── eth0  right
 *
 * The ENI is on d0. What is sent from the left comes in from d0: ingress for a host's device, egress for a guest's.
 * What is sent from the right goes out of d0. The host forwards whatever comes in on one side to the other, whatever its
 * addresses, so a packet that does not arrive was dropped by a ruleset; without one, every packet the kernel
 * forwards at all must arrive, and tests check that it does.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createNamespace, type Namespace } from '../../lab/netns.ts'
import { lostFrames } from './lost-frames.ts'
import { type Dissected, dissect } from './packets/dissect.ts'
import { readPcap, writePcap } from './packets/pcap.ts'
import { rememberSessions } from './session-life.ts'
import { slowness } from './slowness.ts'

export type Side = 'left' | 'right'

export interface Injection {
  readonly side: Side
  /** From the IP header on. */
  readonly packet: Buffer
  /** Where the frame is addressed to; the host where left out. */
  readonly destinationMac?: string
}

export interface Arrival extends Dissected {
  /** Where it came out: the other side than it was sent from. */
  readonly side: Side
}

export interface Forwarder extends AsyncDisposable {
  readonly host: Namespace
  readonly left: Namespace
  readonly right: Namespace
  /**
   * Sends the packets of each side in order, the left side's first, and waits until the host is done with them.
   * @returns what came out, in order for each side; the kernel's own packets, of index 0, are left out
   * @throws {LostFramesError} if a device lost a frame meanwhile, so that not arriving would not mean dropped
   */
  exchange(injections: readonly Injection[]): Promise<readonly Arrival[]>
  /** As `exchange`; returns the indexes of the packets that came out. */
  send(injections: readonly Injection[]): Promise<ReadonlySet<number>>
  /** As `send`, with all sessions forgotten before; from the beginning again where a device lost a frame. */
  sendAnew(injections: readonly Injection[]): Promise<ReadonlySet<number>>
  /** Forgets all sessions. */
  flushSessions(): Promise<void>
}

export class LostFramesError extends Error {}

const mostRounds = 5
const sides: readonly Side[] = ['left', 'right']
const opposite = { left: 'right', right: 'left' } as const
const macs = {
  left: '02:00:00:00:00:01',
  d0: '02:00:00:00:00:02',
  d1: '02:00:00:00:00:03',
  right: '02:00:00:00:00:04',
} as const
const hostDevice = { left: 'd0', right: 'd1' } as const

/** Kept from any network by IEEE 802 for experiments: no IP stack and no ruleset of the inet family looks at it. */
const sentinelEtherType = 0x88b5

/** Bytes kept of each captured frame: every header a test looks at. */
const snapLength = 192
const captureBufferKib = 16_384
/** From before the first program that sends is started. */
const sentinelTimeoutMs = 60_000 * slowness

export async function makeForwarder(): Promise<Forwarder> {
  await using made = new AsyncDisposableStack()
  const left = made.use(await createNamespace('left'))
  const host = made.use(await createNamespace('host'))
  const right = made.use(await createNamespace('right'))
  const outside = { left, right }
  for (const side of sides) {
    await connect(
      { namespace: outside[side], device: 'eth0', mac: macs[side] },
      { namespace: host, device: hostDevice[side], mac: macs[hostDevice[side]] },
    )
    // The ends send what tests tell them and nothing of their own.
    await outside[side].sysctl({ 'net.ipv6.conf.eth0.disable_ipv6': 1 })
  }
  await forwardEverything(host)
  await rememberSessions(host)
  const directory = await mkdtemp(join(tmpdir(), 'ringwall-forwarder-'))
  made.defer(() => rm(directory, { recursive: true }))
  const captures = {
    left: made.use(await startCapture(left)),
    right: made.use(await startCapture(right)),
  }
  const insideHost = host.spawn('sleep', ['infinity'], { stdio: 'ignore' })
  const insiders = [captures.left.pid, captures.right.pid, insideHost.pid!]
  const cpu = await firstCpu()
  let round = 0

  /** On one CPU, so that the sentinel stays behind the rest: a veth's packets wait in a queue for each CPU. */
  async function replay(side: Side, frames: readonly Buffer[]): Promise<void> {
    const file = join(directory, `${side}.pcap`)
    await writeFile(file, writePcap(frames))
    const command = ['tcpreplay', '--quiet', '--topspeed', '--preload-pcap', '--intf1', 'eth0', file]
    await outside[side].run('taskset', ['--cpu-list', String(cpu), ...command])
  }

  async function exchange(injections: readonly Injection[]): Promise<readonly Arrival[]> {
    round += 1
    const lostBefore = lostBy(insiders)
    const arrived = sides.map(side => captures[side].until(round))
    const sending = sides.filter(side => injections.some(injection => injection.side === side))
    const last = sending.at(-1) ?? 'left'
    for (const side of sending.length === 0 ? [last] : sending) {
      const frames = injections.filter(injection => injection.side === side).map(makeFrame)
      await replay(side, side === last ? [...frames, makeSentinel(side, round)] : frames)
    }
    const frames = await Promise.all(arrived)
    const lost = lostBy(insiders) - lostBefore
    if (lost > 0) throw new LostFramesError(`The devices lost ${lost} frames in round ${round}`)
    return sides.flatMap((side, number) =>
      frames[number]!.flatMap(frame => {
        const dissected = dissect(frame)
        return dissected === null || dissected.index === 0 ? [] : [{ side, ...dissected }]
      }),
    )
  }

  const send = async (injections: readonly Injection[]) =>
    new Set((await exchange(injections)).map(({ index }) => index))
  const flushSessions = async () => void (await host.run('conntrack', ['--flush']))

  async function sendAnew(injections: readonly Injection[]): Promise<ReadonlySet<number>> {
    for (let attempt = 1; ; attempt += 1) {
      await flushSessions()
      try {
        return await send(injections)
      } catch (error) {
        if (!(error instanceof LostFramesError) || attempt === mostRounds) throw error
      }
    }
  }

  const kept = made.move()
  return {
    host,
    left,
    right,
    exchange,
    send,
    sendAnew,
    flushSessions,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/**
 * What comes in on one device leaves by the other, and nothing of the kernel's own judgement comes between: no source
 * validation, no redirects. Routes are chosen by device alone, in tables of the device's own.
 */
async function forwardEverything(host: Namespace): Promise<void> {
  await host.sysctl({
    'net.ipv4.ip_forward': 1,
    'net.ipv6.conf.all.forwarding': 1,
    ...Object.fromEntries(
      ['all', 'default', 'd0', 'd1'].flatMap(device => [
        [`net.ipv4.conf.${device}.rp_filter`, 0],
        [`net.ipv4.conf.${device}.send_redirects`, 0],
        [`net.ipv4.conf.${device}.log_martians`, 0],
      ]),
    ),
  })
  for (const [number, side] of sides.entries()) {
    const [from, to, table] = [hostDevice[side], hostDevice[opposite[side]], String(100 + number)]
    const gateways = { '-4': '198.18.255.1', '-6': 'fe80::1' } as const
    for (const [family, gateway] of Object.entries(gateways)) {
      const ip = (...args: readonly string[]) => host.run('ip', [family, ...args])
      await ip('rule', 'add', 'iif', from, 'lookup', table)
      await ip('route', 'add', 'default', 'via', gateway, 'dev', to, 'onlink', 'table', table)
      await ip('neigh', 'add', gateway, 'lladdr', macs[opposite[side]], 'dev', to, 'nud', 'permanent')
    }
    // The sentinel takes the way of the packets, from queue to queue, but past every ruleset; and it comes back as well.
    await host.run('tc', ['qdisc', 'add', 'dev', from, 'clsact'])
    const filter = `filter add dev ${from} ingress protocol ${sentinelEtherType} u32 match u8 0 0`
    const actions = `action mirred egress mirror dev ${from} action mirred egress redirect dev ${to}`
    await host.run('tc', `${filter} ${actions}`.split(' '))
  }
}

interface Capture extends AsyncDisposable {
  readonly pid: number
  /** Frames captured since the previous sentinel, once that of the round is there. */
  until(round: number): Promise<readonly Buffer[]>
}

async function startCapture(namespace: Namespace): Promise<Capture> {
  const flags = ['-i', 'eth0', '-n', '-Q', 'in', '-s', String(snapLength), '-B', String(captureBufferKib)]
  const child = namespace.spawn('tcpdump', [...flags, '--immediate-mode', '-U', '-Z', 'root', '-w', '-'])
  const messages = collectLines(child)
  let frames: Buffer[] = []
  const waiting = new Map<number, (frames: readonly Buffer[]) => void>()
  const reading = (async () => {
    for await (const frame of readPcap(child.stdout!)) {
      const round = readSentinel(frame)
      if (round === null) {
        frames.push(frame)
        continue
      }
      waiting.get(round)?.(frames)
      waiting.delete(round)
      frames = []
    }
  })()
  await messages.until('listening on')
  return {
    pid: child.pid!,
    until(round) {
      const { promise, resolve, reject } = Promise.withResolvers<readonly Buffer[]>()
      waiting.set(round, resolve)
      const late = () =>
        reject(new Error(`The sentinel of round ${round} did not arrive within ${sentinelTimeoutMs} ms`))
      const timer = setTimeout(late, sentinelTimeoutMs)
      return promise.finally(() => clearTimeout(timer))
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'close')
      child.kill('SIGINT')
      await Promise.all([ended, reading])
      const lost = /^(\d+) packets? dropped by kernel/m.exec(messages.text())?.[1]
      if (lost !== '0') throw new Error(`The capture lost frames: ${messages.text()}`)
    },
  }
}

function collectLines(child: ChildProcess) {
  let text = ''
  const arrivals = new EventTarget()
  child.stderr!.on('data', chunk => {
    text += chunk
    arrivals.dispatchEvent(new Event('text'))
  })
  child.once('close', () => arrivals.dispatchEvent(new Event('text')))
  return {
    text: () => text,
    async until(expected: string): Promise<void> {
      while (!text.includes(expected)) {
        if (child.exitCode !== null) throw new Error(`Waiting for "${expected}", the process ended: ${text}`)
        await new Promise(resolve => arrivals.addEventListener('text', resolve, { once: true }))
      }
    },
  }
}

function makeFrame({ side, packet, destinationMac = macs[hostDevice[side]] }: Injection): Buffer {
  const etherType = packet[0]! >> 4 === 6 ? 0x86dd : 0x0800
  return Buffer.concat([ethernetHeader(destinationMac, macs[side], etherType), packet])
}

function makeSentinel(side: Side, round: number): Buffer {
  const payload = Buffer.alloc(46)
  payload.writeUInt32BE(round, 0)
  return Buffer.concat([ethernetHeader(macs[hostDevice[side]], macs[side], sentinelEtherType), payload])
}

function readSentinel(frame: Buffer): number | null {
  return frame.readUInt16BE(12) === sentinelEtherType ? frame.readUInt32BE(14) : null
}

function ethernetHeader(destination: string, source: string, etherType: number): Buffer {
  const header = Buffer.from(`${destination}${source}0000`.replaceAll(':', ''), 'hex')
  header.writeUInt16BE(etherType, 12)
  return header
}

/** In the namespaces of these processes. */
function lostBy(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + lostFrames(readFileSync(`/proc/${pid}/net/dev`, 'utf8')), 0)
}

async function firstCpu(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8')
  return Number(/^Cpus_allowed_list:\s*(\d+)/m.exec(status)?.[1] ?? 0)
}
