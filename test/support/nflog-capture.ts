/** What the kernel logs to an NFLOG group in a namespace, as tcpdump takes it down. */
import { once } from 'node:events'
import type { Namespace } from '../../lab/netns.ts'
import { readPcap } from './packets/pcap.ts'
import { eventually } from './sessions.ts'

export interface LoggedPacket {
  readonly prefix: string
  /** From the IP header on, cut short. */
  readonly payload: Buffer
}

export interface NflogCapture extends AsyncDisposable {
  /** Everything so far. */
  readonly packets: readonly LoggedPacket[]
  /** What has come since the last call, once there are `count` of them. @throws {Error} if there are not in time */
  take(count: number): Promise<readonly LoggedPacket[]>
}

/** Attributes of LINKTYPE_NFLOG, those of linux/netfilter/nfnetlink_log.h. */
const attributes = { payload: 9, prefix: 10 } as const
const headerBytes = 4

/** Listens from the moment this returns; a group has one listener at most. */
export async function captureNflog(namespace: Namespace, group: number): Promise<NflogCapture> {
  const flags = ['-i', `nflog:${group}`, '-n', '-s', '256', '--immediate-mode', '-U', '-Z', 'root', '-w', '-']
  const child = namespace.spawn('tcpdump', flags)
  let said = ''
  child.stderr!.on('data', chunk => {
    said += chunk
  })
  const packets: LoggedPacket[] = []
  const reading = (async () => {
    for await (const frame of readPcap(child.stdout!, 'nflog')) packets.push(readFrame(frame))
  })()
  await eventually(async () => {
    if (!said.includes('listening on')) throw new Error(`tcpdump does not listen to group ${group}: ${said}`)
  })
  let taken = 0
  return {
    packets,
    take(count) {
      return eventually(async () => {
        const fresh = packets.slice(taken)
        if (fresh.length < count) {
          throw new Error(`${fresh.length} logged, expected ${count}: ${fresh.map(({ prefix }) => prefix).join(', ')}`)
        }
        taken += fresh.length
        return fresh
      })
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'close')
      child.kill('SIGINT')
      await Promise.all([ended, reading])
    },
  }
}

function readFrame(frame: Buffer): LoggedPacket {
  let prefix = ''
  let payload: Buffer = Buffer.alloc(0)
  for (let at = headerBytes; at + headerBytes <= frame.length; ) {
    const length = frame.readUInt16LE(at)
    const body = frame.subarray(at + headerBytes, at + length)
    const type = frame.readUInt16LE(at + 2)
    if (type === attributes.prefix) prefix = body.toString('latin1').replace(/\0.*$/s, '')
    if (type === attributes.payload) payload = Buffer.from(body)
    at += Math.max(headerBytes, Math.ceil(length / 4) * 4)
  }
  return { prefix, payload }
}
