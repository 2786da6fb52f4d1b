/** Frames that no WebSocket library would send, from a host with a certificate that is good: the connection ends, and others stand. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { protocolVersion, pushPath } from '../../../wire/messages.ts'
import { hostReport } from '../../support/documents.ts'
import { FakeAgent, type FakeCredentials } from '../../support/fake-agent.ts'
import { PushHost } from '../../support/push-host.ts'

/** A frame from a client, masked with zeros. @param first  FIN, reserved bits and opcode (RFC 6455, 5.2) */
function frame(first: number, payload = Buffer.alloc(0), claimed = payload.length): Buffer {
  const length =
    claimed < 126 ? Buffer.from([0x80 | claimed]) : Buffer.concat([Buffer.from([0x80 | 127]), uint64(claimed)])
  return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(4), payload])
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

const many = (bytes: Buffer, count: number) => Buffer.concat(Array<Buffer>(count).fill(bytes))
const hello = frame(
  0x81,
  Buffer.from(JSON.stringify({ type: 'hello', protocolVersion, report: hostReport, view: null, enforced: null })),
)

const rows: Readonly<Record<string, Buffer>> = {
  'one that is packed, though nobody has agreed to it': frame(0xc1, Buffer.alloc(100)),
  'one that says it is a terabyte': frame(0x81, Buffer.alloc(10), 2 ** 40),
  'one that is not masked': Buffer.from([0x81, 0x02, 0x7b, 0x7d]),
  'parts of one without end': Buffer.concat([frame(0x01), many(frame(0x00), 300_000)]),
  'parts that together are too large': Buffer.concat([frame(0x01), many(frame(0x00, Buffer.alloc(100_000)), 20)]),
  'pings without end': many(frame(0x89), 1000),
  'a ping that is too large': frame(0x89, Buffer.alloc(126)),
  'bytes that are no text': frame(0x81, Buffer.from([0xff, 0xfe])),
  'an opcode that there is not': frame(0x83),
}

describe('a connection ends with', () => {
  let host: PushHost
  let agent: FakeAgent
  before(async () => {
    host = await PushHost.start()
    agent = await FakeAgent.connect(host.port, await host.enrol())
  })
  after(() => host[Symbol.asyncDispose]())

  /** @returns the socket, upgraded, and the head of the answer */
  async function upgrade({ privateKey, certificate, caCertificate }: FakeCredentials): Promise<[TLSSocket, string]> {
    const socket = connect({
      host: '127.0.0.1',
      port: host.port,
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: certificate,
      ca: caCertificate,
      checkServerIdentity: () => undefined,
    })
    socket.on('error', () => {})
    const head = [
      `GET ${pushPath} HTTP/1.1`,
      'Host: ringwall-daemon',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    const [answer] = await once(socket, 'data')
    return [socket, String(answer)]
  }

  for (const [name, bytes] of Object.entries(rows)) {
    test(name, async () => {
      const [socket, answer] = await upgrade(await host.enrol())
      assert.match(answer, /^HTTP\/1\.1 101 /)
      assert.doesNotMatch(answer, /sec-websocket-extensions/i)
      const closed = new Promise(resolve => socket.once('close', resolve))
      socket.resume()
      socket.write(Buffer.concat([hello, bytes]))
      await closed
      assert.equal(agent.closed, false)
    })
  }

  test('none of it ends the connection of another', async () => {
    agent.say({ type: 'report', report: { ...hostReport, kernel: 'still here' } })
    const kernel = () => host.world.get('agent', [...host.world.all('agent')][0]!.id)?.report?.kernel
    while (kernel() !== 'still here') await new Promise(setImmediate)
  })
})
