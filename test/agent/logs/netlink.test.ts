/** What the kernel sends of its log, and what is made of bytes that it never sends. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { NflogDecoder } from '../../../agent/logs/netlink.ts'
import { readHeader } from '../../../agent/logs/packet-header.ts'
import { nflogMessage, packetBytes } from '../../support/nflog.ts'

const payload = packetBytes({
  source: '203.0.113.9',
  destination: '198.18.0.2',
  protocol: 'tcp',
  numbers: [40_000, 22],
})
const message = nflogMessage({
  prefix: 'rw D i eni-1 default',
  hook: 0,
  inIndex: 2,
  receivedAtMs: 1_772_360_430_123,
  sequence: 7,
  payload,
})

test('a packet is what its attributes say', () => {
  assert.deepEqual(new NflogDecoder().push(message), [
    {
      prefix: 'rw D i eni-1 default',
      hook: 0,
      inIndex: 2,
      outIndex: null,
      receivedAtMs: 1_772_360_430_123,
      sequence: 7,
      payload,
    },
  ])
})

/** Taken from Linux 6.18: `log prefix "rw D i eni-1 default" group 21079` of a datagram of 17 bytes. */
test('a message as the kernel wrote it is read', () => {
  const kernels = Buffer.from(
    'b400000000040000000000000000000002005257080001000800000019000a0072772044206920656e692d312064656661756c74000000000800040000000002' +
      '10000800000600004e24d908fdc8000006000f000001000006001100000e000012001000fa3c4ab1ee0f4e24d908fdc8080000001400030000000000' +
      '6b08f37700000000000ec10f08000c0000000003310009004500002d1336400040119b62c6120001c6120002906400090019' +
      '8c52313739353734383732372e393930353538000000',
    'hex',
  )
  kernels.writeUInt32LE(kernels.length, 0)
  const [packet] = new NflogDecoder().push(kernels)
  assert.equal(packet?.prefix, 'rw D i eni-1 default')
  assert.deepEqual([packet.hook, packet.inIndex, packet.outIndex, packet.sequence], [0, 2, null, 3])
  assert.equal(new Date(packet.receivedAtMs!).toISOString(), '2026-11-27T03:05:27.966Z')
  assert.deepEqual(readHeader(packet.payload), {
    source: '198.18.0.1',
    destination: '198.18.0.2',
    protocol: 17,
    ports: { source: 36_964, destination: 9 },
    hopLimit: 64,
    length: 45,
  })
})

test('messages are the same however the pipe cuts them', () => {
  const all = Buffer.concat([message, nflogMessage({ prefix: 'rw O e eni-22 rule', payload }), message])
  const whole = new NflogDecoder().push(all)
  assert.equal(whole.length, 3)
  for (const size of [1, 3, 16, 17, 100]) {
    const decoder = new NflogDecoder()
    const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
      all.subarray(index * size, (index + 1) * size),
    )
    assert.deepEqual(
      chunks.flatMap(chunk => decoder.push(chunk)),
      whole,
      `chunks of ${size}`,
    )
  }
})

test('messages of other types are passed over', () => {
  const done = Buffer.alloc(20)
  done.writeUInt32LE(20, 0)
  done.writeUInt16LE(3, 4)
  assert.equal(new NflogDecoder().push(Buffer.concat([message, done, message])).length, 2)
})

describe('whatever the bytes are', () => {
  test('decoding throws nothing, keeps no more than a message, and goes on', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), chunks => {
        const decoder = new NflogDecoder()
        for (const chunk of chunks) for (const packet of decoder.push(Buffer.from(chunk))) readHeader(packet.payload)
      }),
      { numRuns: 2000 },
    )
  })

  test('a message of random attributes throws nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        const header = Buffer.alloc(20)
        header.writeUInt32LE(20 + bytes.length, 0)
        header.writeUInt16LE(0x0400, 4)
        const [packet, ...more] = new NflogDecoder().push(Buffer.concat([header, bytes]))
        assert.equal(more.length, 0)
        assert.ok(packet !== undefined)
        readHeader(packet.payload)
        new Date(packet.receivedAtMs ?? 0).toISOString()
      }),
      { numRuns: 5000 },
    )
  })

  test('a header that is read has addresses of one family and ports that there are', () => {
    const version = fc.constantFrom(0x45, 0x46, 0x4f, 0x60)
    const next = fc.constantFrom(0, 6, 17, 43, 44, 51, 58, 60, 135)
    const bytes = fc.tuple(version, next, fc.uint8Array({ maxLength: 160 })).map(([first, protocol, rest]) => {
      const packet = Buffer.concat([Buffer.from([first]), rest])
      if (packet.length > 9) packet.writeUInt8(protocol, first === 0x60 ? 6 : 9)
      return packet
    })
    fc.assert(
      fc.property(bytes, packet => {
        const header = readHeader(packet)
        if (header === null) return
        assert.equal(header.source.includes(':'), header.destination.includes(':'))
        for (const port of Object.values(header.ports ?? {})) assert.ok(port >= 0 && port <= 65_535)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('a header', () => {
  const six = { source: '2001:db8::1', destination: 'fe80::2', protocol: 'tcp', numbers: [1, 65_535] } as const

  test('of IPv6 is read with its ports', () => {
    assert.deepEqual(readHeader(packetBytes(six)), {
      source: '2001:db8::1',
      destination: 'fe80::2',
      protocol: 6,
      ports: { source: 1, destination: 65_535 },
      hopLimit: 64,
      length: 60,
    })
  })

  test('of ICMP has type and code', () => {
    const echo = packetBytes({
      source: '198.18.0.1',
      destination: '198.18.0.2',
      protocol: 'icmp',
      numbers: [8, 0],
    })
    assert.deepEqual(readHeader(echo)?.icmp, { type: 8, code: 0 })
  })

  test('behind extension headers is found', () => {
    const plain = packetBytes(six)
    const extended = Buffer.concat([
      plain.subarray(0, 40),
      Buffer.from([60, 0, 1, 4, 0, 0, 0, 0]),
      Buffer.from([6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      plain.subarray(40),
    ])
    extended.writeUInt8(0, 6)
    assert.deepEqual(readHeader(extended)?.ports, { source: 1, destination: 65_535 })
    assert.equal(readHeader(extended)?.protocol, 6)
  })

  test('of a fragment but the first has no ports', () => {
    const fragment = Buffer.from(payload)
    fragment.writeUInt16BE(0x2001, 6)
    assert.equal(readHeader(fragment)?.ports, undefined)
    const plain = packetBytes(six)
    const six44 = Buffer.concat([plain.subarray(0, 40), Buffer.from([6, 0, 0, 8, 0, 0, 0, 1]), plain.subarray(40)])
    six44.writeUInt8(44, 6)
    assert.deepEqual([readHeader(six44)?.ports, readHeader(six44)?.protocol], [undefined, 6])
  })

  test('cut off before its ports has none, and one cut off before its addresses is none', () => {
    assert.equal(readHeader(payload.subarray(0, 23))?.ports, undefined)
    assert.equal(readHeader(payload.subarray(0, 19)), null)
    assert.equal(readHeader(Buffer.alloc(0)), null)
  })
})
