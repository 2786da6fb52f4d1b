import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inOrderOfWorth, readSocket, type Session } from '../../../agent/guard/sessions.ts'

const rows: readonly { readonly name: string; readonly line: string; readonly expected: unknown }[] = [
  {
    name: 'IPv4, with what was acknowledged',
    line: '0 0 198.18.0.2:22 198.18.0.9:50000 cubic wscale:7,7 rto:204 bytes_sent:90 bytes_acked:91 bytes_received:4 segs_out:3',
    expected: ['198.18.0.2', 22, '198.18.0.9', 50_000, null, 91],
  },
  {
    name: 'IPv6',
    line: '0      36     [2001:db8::2]:22   [2001:db8::9]:50000  cubic',
    expected: ['2001:db8::2', 22, '2001:db8::9', 50_000, null, 0],
  },
  {
    name: 'IPv4 on a socket of both families',
    line: '0 0 [::ffff:198.18.0.2]:22 [::ffff:198.18.0.9]:50000 cubic bytes_acked:1',
    expected: ['198.18.0.2', 22, '198.18.0.9', 50_000, null, 1],
  },
  {
    name: 'a link-local address, with its device',
    line: '0 0 [fe80::1%eth0]:22 [fe80::2]:50000 cubic',
    expected: ['fe80::1', 22, 'fe80::2', 50_000, 'eth0', 0],
  },
  {
    name: 'the device behind the bracket',
    line: '0 0 [fe80::1]%eth0:22 [fe80::2]:50000 cubic',
    expected: ['fe80::1', 22, 'fe80::2', 50_000, 'eth0', 0],
  },
  { name: 'an empty line', line: '', expected: null },
]

describe('a socket as ss shows it:', () => {
  for (const { name, line, expected } of rows) {
    test(name, () => {
      const socket = readSocket(line)
      const fields = socket && [
        socket.local.address,
        socket.local.port,
        socket.remote.address,
        socket.remote.port,
        socket.scope,
        socket.acknowledged,
      ]
      assert.deepEqual(fields, expected)
    })
  }
})

test('of very many sessions the daemon’s come first, then one of each far end', () => {
  const session = (kind: Session['kind'], remote: string, port: number) => ({
    kind,
    local: { address: '198.18.0.2', port: kind === 'daemon' ? port : 22 },
    remote: { address: remote, port: kind === 'daemon' ? 9443 : port },
  })
  const [busy1, busy2, busy3] = [1, 2, 3].map(port => session('rescue', '198.18.0.9', port))
  const [other, daemon] = [session('rescue', '198.18.0.77', 4), session('daemon', '198.18.0.1', 5)]
  assert.deepEqual(inOrderOfWorth([busy1!, busy2!, busy3!, other, daemon]), [daemon, busy1, other, busy2, busy3])
})
