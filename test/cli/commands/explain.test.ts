import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { command } from '../../../cli/commands/explain.ts'
import { loadCases } from '../../support/cases.ts'
import { runInProcess } from '../../support/command-line.ts'

const policy = `apiVersion: ringwall/v1
interfaces:
  - { id: eni-1, device: eth0, addresses: [198.18.0.2, "2001:db8::2"], securityGroupIds: [sg-1] }
securityGroups:
  - id: sg-1
    rules: [{ id: sgr-ssh, direction: ingress, policy: accept, ipProtocol: tcp, portRange: 22/22, sourceCidrIp: 203.0.113.0/24 }]
`
/** Asks about SSH from 203.0.113.9, with flags changed, or taken out where the value is null. */
function question(changes: Readonly<Record<string, string | null>> = {}): readonly string[] {
  const flags: Readonly<Record<string, string | null>> = {
    eni: 'eni-1',
    direction: 'ingress',
    protocol: 'tcp',
    source: '203.0.113.9',
    destination: '198.18.0.2',
    port: '22',
    ...changes,
  }
  return ['-', ...Object.entries(flags).flatMap(([flag, value]) => (value === null ? [] : [`--${flag}`, value]))]
}

const noPorts = { port: null, 'source-port': null }
const sixes = { source: '2001:db8::9', destination: '2001:db8::2' }

suite('answers, with exit code 0 for accept and drop alike', () => {
  const rows: readonly (readonly [string, Readonly<Record<string, string | null>>, string])[] = [
    ['accept', {}, 'accept: tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-1)'],
    ['drop', { port: '23' }, 'drop: tcp 203.0.113.9:40000 -> 198.18.0.2:23 (ingress at eni-1)'],
    ['source port', { 'source-port': '1024' }, 'accept: tcp 203.0.113.9:1024 -> 198.18.0.2:22 (ingress at eni-1)'],
    [
      'protocol in upper case',
      { protocol: 'TCP' },
      'accept: tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-1)',
    ],
    ['protocol number', { protocol: '6' }, 'accept: tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-1)'],
    [
      'other protocol number',
      { protocol: '132', ...noPorts },
      'drop: protocol 132 203.0.113.9 -> 198.18.0.2 (ingress at eni-1)',
    ],
    [
      'icmp is an echo request',
      { protocol: 'icmp', ...noPorts },
      'drop: icmp type 8 203.0.113.9 -> 198.18.0.2 (ingress at eni-1)',
    ],
    [
      'icmpv6 is an echo request',
      { protocol: 'icmpv6', ...noPorts, ...sixes },
      'drop: icmpv6 type 128 2001:db8::9 -> 2001:db8::2 (ingress at eni-1)',
    ],
    [
      'discovery',
      { protocol: 'icmpv6', ...noPorts, ...sixes, 'icmp-type': '135', 'hop-limit': '255' },
      'accept: icmpv6 type 135 2001:db8::9 -> 2001:db8::2 hop limit 255 (ingress at eni-1)',
    ],
    [
      'address in long form',
      { ...sixes, source: '2001:0DB8:0::9' },
      'drop: tcp [2001:db8::9]:40000 -> [2001:db8::2]:22 (ingress at eni-1)',
    ],
  ]
  for (const [name, changes, expected] of rows) {
    test(name, async () => {
      const { exitCode, stdout, stderr } = await runInProcess(command, question(changes), policy)
      assert.deepEqual([exitCode, stdout.split('\n')[0], stderr], [0, expected, ''])
    })
  }

  test('--json prints one object', async () => {
    const { exitCode, stdout } = await runInProcess(command, [...question(), '--json'], policy)
    const { verdict, reason, ruleId, groupId, priority } = JSON.parse(stdout)
    assert.deepEqual(
      { exitCode, verdict, reason, ruleId, groupId, priority },
      {
        exitCode: 0,
        verdict: 'accept',
        reason: { kind: 'rule', name: null },
        ruleId: 'sgr-ssh',
        groupId: 'sg-1',
        priority: 1,
      },
    )
  })

  test('reads a policy from a file', async () => {
    const { policyFile } = loadCases().find(({ name }) => name === 'web-server')!
    const { exitCode, stdout } = await runInProcess(command, [policyFile, ...question().slice(1)])
    assert.equal(exitCode, 0)
    assert.match(stdout, /^drop: .*\ndecided by the default/)
  })

  test('--help prints the usage', async () => {
    assert.deepEqual(await runInProcess(command, ['--help']), { exitCode: 0, stdout: command.usage, stderr: '' })
  })
})

suite('wrong arguments: exit code 2, nothing on stdout, the flag named', () => {
  const rows: readonly (readonly [string, readonly string[], RegExp])[] = [
    ...['eni', 'direction', 'protocol', 'source', 'destination', 'port'].map(
      flag => [`no --${flag}`, question({ [flag]: null }), new RegExp(`missing --${flag}`)] as const,
    ),
    ['hop limit without file', [...question().slice(1), '--hop-limit', '3'], /--hop-limit needs a policy FILE/],
    ['daemon and file', [...question(), '--url', 'http://127.0.0.1:1'], /--url is for asking the daemon, without FILE/],
    ['two files', [...question(), 'other.yaml'], /unexpected argument "other.yaml"/],
    ['unknown flag', [...question(), '--sport', '1'], /unknown flag "--sport"; did you mean "--port"\?\n/],
    ['flag without value', ['-', '--eni'], /--eni/],
    ['direction', question({ direction: 'in' }), /--direction is "in", expected ingress, egress/],
    ['protocol', question({ protocol: 'sctp' }), /--protocol is "sctp", expected tcp, udp/],
    ['protocol number', question({ protocol: '256' }), /--protocol is "256", expected a number from 0 to 255/],
    ['port', question({ port: '65536' }), /--port is "65536", expected a number from 0 to 65535/],
    ['port range', question({ port: '22/23' }), /--port is "22\/23"/],
    [
      'source',
      question({ source: '203.0.113.0/24' }),
      /--source is "203.0.113.0\/24", expected an IPv4 or IPv6 address/,
    ],
    ['families', question({ source: '2001:db8::9' }), /not of one address family/],
    ['port of icmp', question({ protocol: 'icmp' }), /--port is for tcp and udp only/],
    ['icmp type of tcp', question({ 'icmp-type': '8' }), /--icmp-type is for icmp and icmpv6 only/],
    ['unknown ENI', question({ eni: 'eni-9' }), /--eni "eni-9" is not in the policy, expected eni-1/],
  ]
  for (const [name, args, expected] of rows) {
    test(name, async () => {
      const { exitCode, stdout, stderr } = await runInProcess(command, args, policy)
      assert.deepEqual([exitCode, stdout], [2, ''])
      assert.match(stderr, expected)
      assert.match(stderr, /See "ringwall explain --help"/)
    })
  }
})

suite('wrong policy: exit code 2, one line for each fault', () => {
  test('two faults', async () => {
    const faulty = policy.replace('22/22', '22/21').replace('policy: accept', 'policy: allow')
    const { exitCode, stdout, stderr } = await runInProcess(command, question(), faulty)
    assert.deepEqual([exitCode, stdout], [2, ''])
    assert.deepEqual(
      stderr
        .trimEnd()
        .split('\n')
        .map(line => line.split(':')[0]),
      ['securityGroups[0].rules[0].policy', 'securityGroups[0].rules[0].portRange'],
    )
  })

  test('no such file', async () => {
    const { exitCode, stderr } = await runInProcess(command, ['/nowhere/policy.yaml', ...question().slice(1)])
    assert.deepEqual([exitCode, stderr], [2, 'Cannot read policy file "/nowhere/policy.yaml": there is no such file\n'])
  })
})
