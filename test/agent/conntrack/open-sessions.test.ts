import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entriesOf } from '../../../agent/conntrack/open-sessions.ts'

const listening = `
0      4096      127.0.0.53%lo:53         0.0.0.0:*
0      128             0.0.0.0:22         0.0.0.0:*    users:(("sshd",pid=1,fd=3))
0      511                [::]:443           [::]:*
`
const tail = '--state ESTABLISHED -u SEEN_REPLY,ASSURED -t 910'

for (const { name, line, entry } of [
  {
    name: 'one that came in to a port where somebody listens',
    line: '0 0 198.18.0.2:22 198.18.0.9:50000 users:(("sshd",pid=7,fd=4))',
    entry: `-A -p tcp -s 198.18.0.9 -d 198.18.0.2 --sport 50000 --dport 22 ${tail}`,
  },
  {
    name: 'one that went out',
    line: '0 0 198.18.0.2:40000 198.18.0.9:22',
    entry: `-A -p tcp -s 198.18.0.2 -d 198.18.0.9 --sport 40000 --dport 22 ${tail}`,
  },
  {
    name: 'one that came in to a port where nobody listens any more',
    line: '0 0 198.18.0.2:2222 198.18.0.9:50000',
    entry: `-A -p tcp -s 198.18.0.9 -d 198.18.0.2 --sport 50000 --dport 2222 ${tail}`,
  },
  {
    name: 'one that went out from a port of the host’s choice',
    line: '0 0 198.18.0.2:875 198.18.0.9:2049',
    entry: `-A -p tcp -s 198.18.0.2 -d 198.18.0.9 --sport 875 --dport 2049 ${tail}`,
  },
  {
    name: 'one that went out to a port that may be anybody’s',
    line: '0 0 198.18.0.2:40000 198.18.0.9:50000',
    entry: `-A -p tcp -s 198.18.0.2 -d 198.18.0.9 --sport 40000 --dport 50000 ${tail}`,
  },
  {
    name: 'of IPv6',
    line: '0 0 [2001:db8::2]:443 [2001:db8::9]:50000',
    entry: `-A -p tcp -s 2001:db8::9 -d 2001:db8::2 --sport 50000 --dport 443 ${tail}`,
  },
  {
    name: 'of IPv4, by a socket of both families',
    line: '0 36 [::ffff:198.18.0.2]:443 [::ffff:198.18.0.9]:50000',
    entry: `-A -p tcp -s 198.18.0.9 -d 198.18.0.2 --sport 50000 --dport 443 ${tail}`,
  },
  {
    name: 'between link-local addresses',
    line: '0 0 [fe80::2%eth0]:40000 [fe80::9]:179',
    entry: `-A -p tcp -s fe80::2 -d fe80::9 --sport 40000 --dport 179 ${tail}`,
  },
  { name: 'of the host with itself', line: '0 0 127.0.0.1:22 127.0.0.1:50000', entry: null },
  { name: 'no socket', line: '', entry: null },
]) {
  test(`a session is entered by who began it: ${name}`, () => {
    assert.deepEqual(entriesOf(`${line}\n`, listening, { first: 32_768, last: 60_999 }), entry === null ? [] : [entry])
  })
}
