import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { UsageError } from '../../../cli/command.ts'
import {
  type FindPeer,
  type Permission,
  peerChange,
  type RuleFlags,
  readRule,
  ruleWords,
} from '../../../cli/operate/rule-words.ts'

/** Every name is that of an object whose id is made of it, so that a row shows what was looked up. */
const find: FindPeer = async (kind, text) => (/^(sg|pl)-/.test(text) ? text : `${kind}:${text}`)

const tcp443 = { direction: 'ingress', policy: 'accept', ipProtocol: 'tcp', portRange: '443/443' }
const allEgress = { direction: 'egress', policy: 'drop', ipProtocol: 'all', portRange: '-1/-1' }
const everybody = { sourceCidrIp: '0.0.0.0/0' }
const everybody6 = { ipv6SourceCidrIp: '::/0' }

suite('words of "rule add" become permissions', () => {
  const rows: readonly (readonly [string, RuleFlags, readonly Readonly<Record<string, unknown>>[]])[] = [
    ['ingress allow tcp/443 from 0.0.0.0/0', {}, [{ ...tcp443, ...everybody }]],
    ['ingress accept tcp/443 from 0.0.0.0/0', {}, [{ ...tcp443, ...everybody }]],
    ['ingress deny TCP/443 from 0.0.0.0/0', {}, [{ ...tcp443, policy: 'drop', ...everybody }]],
    ['ingress drop tcp/443-443 from 0.0.0.0/0', {}, [{ ...tcp443, policy: 'drop', ...everybody }]],
    [
      'ingress allow tcp/8000-8100 from 10.0.0.1',
      {},
      [{ ...tcp443, portRange: '8000/8100', sourceCidrIp: '10.0.0.1/32' }],
    ],
    [
      'ingress allow tcp/8000/8100 from 10.0.0.1',
      {},
      [{ ...tcp443, portRange: '8000/8100', sourceCidrIp: '10.0.0.1/32' }],
    ],
    ['ingress allow tcp/all from 10.9.9.9/8', {}, [{ ...tcp443, portRange: '1/65535', sourceCidrIp: '10.0.0.0/8' }]],
    ['ingress allow udp/53 from 0.0.0.0/0', {}, [{ ...tcp443, ipProtocol: 'udp', portRange: '53/53', ...everybody }]],
    ['ingress allow gre from 0.0.0.0/0', {}, [{ ...tcp443, ipProtocol: 'gre', portRange: '-1/-1', ...everybody }]],
    [
      'ingress allow ssh from 0.0.0.0/0',
      {},
      [{ direction: 'ingress', policy: 'accept', service: 'ssh', ...everybody }],
    ],
    ['egress deny all to 0.0.0.0/0', {}, [{ ...allEgress, destCidrIp: '0.0.0.0/0' }]],
    ['egress deny all to 2001:DB8::/32', {}, [{ ...allEgress, ipv6DestCidrIp: '2001:db8::/32' }]],
    ['egress deny all to sg-app', {}, [{ ...allEgress, destGroupId: 'sg-app' }]],
    ['egress deny all to pl-office', {}, [{ ...allEgress, destPrefixListId: 'pl-office' }]],
    [
      'egress deny all to sg-app@1234567890123456',
      {},
      [{ ...allEgress, destGroupId: 'sg-app', destGroupOwnerAccount: '1234567890123456' }],
    ],
    [
      'ingress allow UDP/prl-Web from 0.0.0.0/0',
      {},
      [{ direction: 'ingress', policy: 'accept', ipProtocol: 'udp', portRangeListId: 'prl-Web', ...everybody }],
    ],
    ['ingress allow tcp/443 from app-servers', {}, [{ ...tcp443, sourceGroupId: 'group:app-servers' }]],
    ['ingress allow tcp/443 from any-ipv4', {}, [{ ...tcp443, ...everybody }]],
    ['ingress allow tcp/443 from any-ipv6', {}, [{ ...tcp443, ...everybody6 }]],
    [
      'ingress allow tcp/443 from any',
      {},
      [
        { ...tcp443, ...everybody },
        { ...tcp443, ...everybody6 },
      ],
    ],
    ['ingress allow icmp from any', {}, [{ ...tcp443, ipProtocol: 'icmp', portRange: '-1/-1', ...everybody }]],
    ['ingress allow icmpv6 from any', {}, [{ ...tcp443, ipProtocol: 'icmpv6', portRange: '-1/-1', ...everybody6 }]],
    [
      'ingress allow tcp/443,https from 10.0.0.0/8, sg-app',
      {},
      [
        { ...tcp443, sourceCidrIp: '10.0.0.0/8' },
        { ...tcp443, sourceGroupId: 'sg-app' },
        { direction: 'ingress', policy: 'accept', service: 'https', sourceCidrIp: '10.0.0.0/8' },
        { direction: 'ingress', policy: 'accept', service: 'https', sourceGroupId: 'sg-app' },
      ],
    ],
    [
      'ingress allow tcp/443 from 0.0.0.0/0',
      { priority: 7, description: 'why', 'from-port': '1024-65535', local: '198.18.0.2', 'nic-type': 'intranet' },
      [
        {
          ...tcp443,
          ...everybody,
          priority: 7,
          description: 'why',
          sourcePortRange: '1024/65535',
          destCidrIp: '198.18.0.2/32',
          nicType: 'intranet',
        },
      ],
    ],
    [
      'egress deny all to any',
      { local: '2001:db8::2' },
      [{ ...allEgress, ipv6DestCidrIp: '::/0', ipv6SourceCidrIp: '2001:db8::2/128' }],
    ],
  ]
  for (const [words, flags, expected] of rows) {
    test(`${words}${Object.keys(flags).length > 0 ? ` ${JSON.stringify(flags)}` : ''}`, async () => {
      assert.deepEqual(await readRule(words.split(' '), flags, find), expected)
    })
  }
})

suite('words that are no rule', () => {
  const rows: readonly (readonly [string, RuleFlags, string])[] = [
    ['inward allow tcp/443 from any', {}, 'direction is "inward", expected ingress or egress'],
    ['ingress permit tcp/443 from any', {}, 'verdict is "permit", expected allow (or accept) or deny (or drop)'],
    ['ingress allow tcp/443 to any', {}, '"to" after "tcp/443", expected "from" and the peers of an ingress rule'],
    ['egress allow tcp/443 from any', {}, '"from" after "tcp/443", expected "to" and the peers of an egress rule'],
    ['ingress allow tcp from any', {}, '"tcp" without ports, expected tcp/443, tcp/8000-8100 or tcp/all'],
    [
      'ingress allow tcp/0 from any',
      {},
      '"tcp/0" has ports "0", expected numbers from 1 to 65535, the lower one first',
    ],
    [
      'ingress allow tcp/90-80 from any',
      {},
      '"tcp/90-80" has ports "90-80", expected numbers from 1 to 65535, the lower one first',
    ],
    [
      'ingress allow tcp/65536 from any',
      {},
      '"tcp/65536" has ports "65536", expected numbers from 1 to 65535, the lower one first',
    ],
    ['ingress allow tcp/http from any', {}, '"tcp/http" has ports "http", expected 443, 8000-8100 or all'],
    [
      'ingress allow icmp/8 from any',
      {},
      '"icmp/8" is no protocol with ports, expected tcp/443, tcp/8000-8100, tcp/prl-…, udp/53, icmp, icmpv6, gre, all, or a service such as ssh',
    ],
    ['ingress allow tcp/443 from', {}, 'missing the peers, expected addresses, sg-…, pl-…, names of groups, or any'],
    ...['300.1.1.1', '10.0.0.0/33', '10.0.0.0/', '2001:db8::/129', '2001:db8:::', '::ffff:10.0.0.1', 'host/24'].map(
      peer =>
        [
          `ingress allow tcp/443 from ${peer}`,
          {},
          `peer is "${peer}", expected an IPv4 or IPv6 address or CIDR block, sg-…, pl-…, the name of a group, or any`,
        ] as const,
    ),
    [
      'ingress allow tcp/443 from app@1234567890123456',
      {},
      'peer is "app@1234567890123456", expected the id of the group before "@": sg-app@1234567890123456',
    ],
    ['ingress allow tcp/443 from sg-app@12', {}, 'peer is "sg-app@12", expected an account of 16 digits after "@"'],
    [
      'ingress allow tcp/443 from any',
      { local: 'eth0' },
      '--local is "eth0", expected an IPv4 or IPv6 address or CIDR block',
    ],
    [
      'ingress allow icmp from any',
      { local: '2001:db8::2' },
      '"icmp" has no rule with these peers: the address families differ',
    ],
    ['ingress allow icmp from any', { 'from-port': '1024' }, '--from-port is for tcp and udp, not for icmp'],
    [
      'ingress allow tcp/443 from any',
      { 'from-port': 'x' },
      '"--from-port x" has ports "x", expected 443, 8000-8100 or all',
    ],
  ]
  for (const [words, flags, message] of rows) {
    test(words, async () => {
      await assert.rejects(readRule(words.split(' '), flags, find), error => {
        assert.ok(error instanceof UsageError)
        assert.equal(error.message, message)
        return true
      })
    })
  }
})

suite('a permission becomes the words that make it', () => {
  const rows = [
    'ingress allow tcp/443 from 0.0.0.0/0 --priority 1',
    'ingress deny tcp/8000-8100 from 2001:db8::/32 --priority 100',
    'egress deny all to pl-office --priority 2',
    'egress allow udp/53 to sg-app@1234567890123456 --priority 1',
    'ingress allow tcp/all from sg-app --from-port 1024-65535 --local 198.18.0.2/32 --priority 1',
    'ingress allow gre from 10.0.0.1/32 --nic-type intranet --priority 1 --description "a tunnel"',
  ]
  for (const line of rows) {
    test(line, async () => {
      const flag = (name: string) => new RegExp(`--${name} ("[^"]*"|\\S+)`).exec(line)?.[1]?.replaceAll('"', '')
      const flags: RuleFlags = {
        priority: Number(flag('priority')),
        description: flag('description'),
        'from-port': flag('from-port'),
        local: flag('local'),
        'nic-type': flag('nic-type'),
      }
      const [permission] = await readRule(line.split(' --')[0]!.split(' '), flags, find)
      assert.equal(ruleWords(permission as unknown as Permission), line)
    })
  }
})

test('another peer clears the fields of the one before', async () => {
  assert.deepEqual(await peerChange('ingress', 'sg-app', find), {
    sourceCidrIp: null,
    ipv6SourceCidrIp: null,
    sourceGroupId: 'sg-app',
    sourceGroupOwnerAccount: null,
    sourcePrefixListId: null,
  })
  await assert.rejects(peerChange('egress', 'any', find), /"any", which is two rules: expected any-ipv4 or any-ipv6/)
})
