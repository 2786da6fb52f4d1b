/** What the kernel tests rest on: packets that are what they say, and come back as they went. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c, internetChecksum } from './checksum.ts'
import { behindOptions, fragment, gre, icmp, makePacket, sctp, tcp, udp } from './craft.ts'
import { dissect } from './dissect.ts'
import { readPcap, writePcap } from './pcap.ts'

test('checksums give the published examples', () => {
  // RFC 1071, section 3; RFC 3720, appendix B.4 has CRC-32C.
  assert.equal(internetChecksum(Buffer.from('0001f203f4f5f6f7', 'hex')), 0x220d)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a91_36aa)
  assert.equal(internetChecksum(Buffer.from('0001f203f4', 'hex')), internetChecksum(Buffer.from('0001f203f400', 'hex')))
})

const ends = { index: 4711, source: '203.0.113.9', destination: '198.18.0.2' }
const ends6 = { index: 4711, source: '2001:db8:1::9', destination: '2001:db8::2' }
const ports = { sourcePort: 40_000, destinationPort: 443 }
const portless = { sourcePort: 0, destinationPort: 0 }

const rows = [
  { name: 'tcp', packet: makePacket(ends, tcp(ports)), expected: { ...ends, protocol: 6, ...ports } },
  { name: 'udp over IPv6', packet: makePacket(ends6, udp(ports)), expected: { ...ends6, protocol: 17, ...ports } },
  { name: 'sctp', packet: makePacket(ends, sctp(ports)), expected: { ...ends, protocol: 132, ...ports } },
  { name: 'gre', packet: makePacket(ends, gre()), expected: { ...ends, protocol: 47, ...portless } },
  { name: 'icmpv6', packet: makePacket(ends6, icmp(58, 128)), expected: { ...ends6, protocol: 58, ...portless } },
  {
    name: 'tcp behind two extension headers',
    packet: makePacket(ends6, behindOptions('hopByHop', behindOptions('destinationOptions', tcp(ports)))),
    expected: { ...ends6, protocol: 6, ...ports },
  },
  {
    name: 'first fragment',
    packet: fragment(makePacket(ends6, udp(ports)), 8)[0]!,
    expected: { ...ends6, protocol: 17, ...ports },
  },
  {
    name: 'second fragment',
    packet: fragment(makePacket(ends, udp(ports)), 8)[1]!,
    expected: { ...ends, protocol: 17, ...portless },
  },
]

for (const { name, packet, expected } of rows) {
  test(`${name} is read back as it was made`, () => {
    const { payload: _, ...header } = dissect(inFrame(packet))!
    assert.deepEqual(header, expected)
  })
}

test('a capture is read back frame by frame, however its bytes arrive', async () => {
  const frames = rows.map(({ packet }) => inFrame(packet))
  const bytes = writePcap(frames)
  for (const size of [1, 7, 100, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    )
    assert.deepEqual(await readFrames(chunks), frames)
  }
})

test('what is no capture is refused', async () => {
  await assert.rejects(readFrames([Buffer.alloc(24)]), /Cannot read capture beginning "0{16}"/)
})

async function readFrames(chunks: readonly Buffer[]): Promise<readonly Buffer[]> {
  const frames: Buffer[] = []
  for await (const frame of readPcap(stream(chunks))) frames.push(frame)
  return frames
}

async function* stream(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks
}

function inFrame(packet: Buffer): Buffer {
  const header = Buffer.alloc(14)
  header.writeUInt16BE(packet[0]! >> 4 === 6 ? 0x86dd : 0x0800, 12)
  return Buffer.concat([header, packet])
}
