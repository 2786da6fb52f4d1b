import assert from 'node:assert/strict'
import { test } from 'node:test'
import { command } from '../../../cli/commands/analyze.ts'
import { runInProcess } from '../../support/command-line.ts'

const policyWith = (...rules: readonly string[]) => `apiVersion: ringwall/v1
interfaces: [{ id: eni-1, device: eth0, addresses: [198.18.0.2], securityGroupIds: [sg-1] }]
securityGroups:
  - id: sg-1
    rules:
${rules.map(rule => `      - { direction: ingress, policy: accept, ipProtocol: tcp, ${rule} }\n`).join('')}`

const https = 'id: sgr-https, portRange: 443/443, sourceCidrIp: 0.0.0.0/0'
const ssh = 'id: sgr-ssh, portRange: 22/22, sourceCidrIp: 0.0.0.0/0'
const again = 'id: sgr-again, priority: 7, portRange: 443/443, sourceCidrIp: 203.0.113.0/24'

test('a policy with nothing to say about', async () => {
  const result = await runInProcess(command, ['-'], policyWith(https))
  assert.deepEqual(result, { exitCode: 0, stdout: 'no findings\n', stderr: '' })
})

test('findings for people', async () => {
  const { exitCode, stdout } = await runInProcess(command, ['-'], policyWith(https, ssh, again))
  assert.equal(exitCode, 0)
  assert.deepEqual(stdout.split('\n'), [
    'high  open-to-world  sg-1 sgr-ssh',
    '    accept tcp 22 from 0.0.0.0/0, priority 1: opens ssh (22) to the Internet',
    '    packet: tcp 203.0.113.9:40000 -> 198.18.0.2:22 (ingress at eni-1)',
    'low   shadowed       sg-1 sgr-again',
    '    accept tcp 443 from 203.0.113.0/24, priority 7: never decides, stronger: sgr-https of sg-1',
    '    packet: tcp 203.0.113.9:40000 -> 198.18.0.2:443 (ingress at eni-1)',
    '2 findings: 1 high, 0 medium, 1 low',
    '',
  ])
})

test('findings for machines', async () => {
  const { stdout } = await runInProcess(command, ['-', '--json'], policyWith(https, again))
  assert.deepEqual(JSON.parse(stdout), {
    findings: [
      {
        kind: 'shadowed',
        severity: 'low',
        groupId: 'sg-1',
        ruleIds: ['sgr-again'],
        coveredBy: [{ groupId: 'sg-1', ruleId: 'sgr-https' }],
        eniIds: [],
        message: 'accept tcp 443 from 203.0.113.0/24, priority 7: never decides, stronger: sgr-https of sg-1',
        witness: {
          eniId: 'eni-1',
          direction: 'ingress',
          protocol: 6,
          source: '203.0.113.9',
          destination: '198.18.0.2',
          sourcePort: 40_000,
          destinationPort: 443,
        },
      },
    ],
  })
})

const failing: readonly (readonly [string, readonly string[], number])[] = [
  ['high', [https, ssh], 1],
  ['high', [https, again], 0],
  ['medium', [https, again], 0],
  ['low', [https, again], 1],
  ['low', [https], 0],
]
for (const [severity, rules, expected] of failing) {
  test(`--fail-on ${severity} with ${rules.length} rules exits ${expected}`, async () => {
    const { exitCode } = await runInProcess(command, ['-', '--fail-on', severity], policyWith(...rules))
    assert.equal(exitCode, expected)
  })
}

test('--fail-on with something else', async () => {
  const { exitCode, stderr } = await runInProcess(command, ['-', '--fail-on', 'any'], policyWith(https))
  assert.equal(exitCode, 2)
  assert.match(stderr, /--fail-on is "any", expected high, medium, low/)
})

test('a wrong policy', async () => {
  const { exitCode, stdout, stderr } = await runInProcess(command, ['-'], 'apiVersion: ringwall/v2')
  assert.deepEqual([exitCode, stdout], [2, ''])
  assert.match(stderr, /^apiVersion: /)
})
