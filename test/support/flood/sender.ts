/**
 * Sends floods: bounded in packets and in seconds, with an exact count of what went out. tcpreplay does it, from frames
 * that it holds in memory.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Namespace } from '../../../lab/netns.ts'
import { writePcap } from '../packets/pcap.ts'

export interface Volley {
  readonly packetsPerSecond: number
  readonly seconds: number
  /** Packets sent at once; as many as a five-hundredth of a second has where left out. 1 is even, and costs a core. */
  readonly clump?: number
}

export interface Sent {
  readonly packets: number
  /** From the IP header on. */
  readonly bytes: number
  readonly seconds: number
  /** Of the first and the last packet, on performance.now()'s clock, to some ten milliseconds. */
  readonly firstAtMs: number
  readonly lastAtMs: number
}

export interface Sending {
  /** When all of it is sent, or it was stopped. @throws {Error} where packets could not be sent */
  readonly sent: Promise<Sent>
  stop(): Promise<Sent>
}

const ethernetBytes = 14
/** At once, and then a pause: waking up for each packet would cost a core. */
const clumpsPerSecond = 500
/** Whatever is asked for: nothing here may run away. */
const most = { packetsPerSecond: 500_000, seconds: 120 } as const

/** Frames ready to be sent again and again from one device. */
export class FloodSender implements AsyncDisposable {
  readonly #namespace: Namespace
  readonly #device: string
  readonly #folder: string

  private constructor(namespace: Namespace, device: string, folder: string) {
    this.#namespace = namespace
    this.#device = device
    this.#folder = folder
  }

  static async create(namespace: Namespace, device: string, frames: readonly Buffer[]): Promise<FloodSender> {
    const sender = new FloodSender(namespace, device, await mkdtemp(join(tmpdir(), 'ringwall-flood-')))
    await writeFile(sender.#file, writePcap(frames))
    return sender
  }

  get #file(): string {
    return join(this.#folder, 'flood.pcap')
  }

  send({ packetsPerSecond, seconds, ...volley }: Volley): Sending {
    if (packetsPerSecond > most.packetsPerSecond || seconds > most.seconds) {
      const wanted = `${packetsPerSecond} packets a second for ${seconds} s`
      throw new Error(`Cannot send "${wanted}": expected at most ${most.packetsPerSecond} for ${most.seconds} s`)
    }
    const { clump = Math.max(1, Math.round(packetsPerSecond / clumpsPerSecond)) } = volley
    const child = this.#namespace.spawn(
      'tcpreplay',
      [
        '--preload-pcap',
        '--timer=nano',
        '--loop=0',
        `--limit=${Math.round(packetsPerSecond * seconds)}`,
        `--pps=${packetsPerSecond}`,
        `--pps-multi=${clump}`,
        `--intf1=${this.#device}`,
        this.#file,
      ],
      // It prints its figures in the user's own way of writing numbers.
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } },
    )
    const sent = count(child)
    sent.catch(() => {})
    return {
      sent,
      stop() {
        child.kill('SIGINT')
        return sent
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

async function count(child: ChildProcess): Promise<Sent> {
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')])
  const lastAtMs = performance.now()
  const actual = /^Actual: (\d+) packets \((\d+) bytes\) sent in ([\d.]+) seconds/m.exec(stdout)
  const failed = /Failed packets:\s+(\d+)/.exec(stdout)
  if (actual === null || Number(failed?.[1] ?? 0) > 0) {
    throw new Error(`tcpreplay did not send all it should: ${stdout}${stderr}`)
  }
  const [packets, bytes, seconds] = actual.slice(1).map(Number) as [number, number, number]
  return {
    packets,
    bytes: bytes - packets * ethernetBytes,
    seconds,
    firstAtMs: lastAtMs - seconds * 1000,
    lastAtMs,
  }
}
