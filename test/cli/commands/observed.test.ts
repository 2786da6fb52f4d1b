/** `observe`, `enforce` and `observed` of interfaces and groups, against a real daemon and an agent that tells. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { enrolFake, FakeAgent, type FakeCredentials } from '../../support/fake-agent.ts'
import { makeObservedEni, makeObservedFlow } from '../../support/observed.ts'
import { startOperator } from '../../support/operator.ts'
import { eventually } from '../../support/sessions.ts'

process.env.TZ = 'UTC'
const operator = await startOperator()
after(async () => {
  agent.break()
  await operator[Symbol.asyncDispose]()
})
const run = async (...args: readonly string[]) =>
  (await operator.do(...args)).replace(/revision \d+/g, 'revision N').replace(/heard \S+ [\d:]+\./g, 'heard TIME.')
const lines = async (...args: readonly string[]) => (await run(...args)).trimEnd().split('\n')

let credentials: FakeCredentials
let agent: FakeAgent

before(async () => {
  await run('sg', 'create', 'sg-web')
  await run('sg', 'create', 'sg-app')
  await run('instance', 'register', 'i-web1')
  await run('instance', 'register', 'i-spare')
  const invited = await operator.do('agent', 'invite', '--instance', 'i-web1')
  credentials = await enrolFake(operator.agentPort, /rwe1\S+/.exec(invited)![0])
  agent = await FakeAgent.connect(operator.agentPort, credentials)
  const eni = ['eni', 'register', 'eni-web1', '--instance', 'i-web1', '--address', '198.18.0.2', '--group', 'sg-web']
  await run(...eni, '--device', 'eth0')
  await run('eni', 'register', 'eni-app1', '--instance', 'i-web1', '--group', 'sg-app', '--address', '198.18.0.3')
})

test('nothing is observed at first', async () => {
  assert.deepEqual(await lines('sg', 'observed', 'sg-web'), [
    'Nothing is observed in sg-web. Begin with: ringwall sg observe sg-web',
  ])
  assert.deepEqual(await lines('eni', 'observed', '198.18.0.2'), [
    'Nothing is observed at eni-web1. Begin with: ringwall eni observe eni-web1',
  ])
})

test('observing is one command, which can be waited for, and is seen everywhere', async () => {
  assert.deepEqual(await lines('sg', 'observe', 'sg-web', '--wait', '60'), [
    'sg-web is observed: what its rules drop passes, and is counted (revision N).',
    'What that is: ringwall sg observed sg-web',
    'In force on the one agent it concerns.',
  ])
  const ofWeb = (text: string) => text.split('\n').filter(line => /HEAD|^(ENI|GROUP|AGENT)|web|agent-/.test(line))
  assert.match(
    ofWeb(await run('eni', 'list')).join('\n'),
    /ENFORCEMENT\neni-app1 .* -\neni-web1 .* observed \(by sg-web\)$/,
  )
  assert.match(await run('eni', 'show', 'eni-web1'), /^mode +enforce\nenforcement +observed \(by sg-web\)$/m)
  assert.match(await run('sg', 'show', 'sg-web'), /^mode +observe$[\s\S]*^interfaces +1, of which 1 observed$/m)
  assert.match(await run('sg', 'list', '--mode', 'observe'), /MODE.*\nsg-web .* observe .*\n$/)
  assert.match(await run('agent', 'list'), /OBSERVED\n.* eni-web1\n$/)
  assert.match(
    await run('health'),
    /Nothing is dropped at 1 network interface, only observed: eni-web1; groups: sg-web\n$/,
  )
  assert.match(await run('eni', 'show', 'eni-app1'), /^enforcement +enforced$/m)
})

test('what is not known yet is said', async () => {
  const text = (await run('eni', 'observed', 'eni-web1')).replace(/ +/g, ' ')
  assert.deepEqual(text.split('\n'), [
    'Not complete for 1 of 1 observed network interface:',
    'ENI INSTANCE AGENT WHY LAST REPORT',
    `eni-web1 i-web1 ${credentials.agentId} its agent has not told of it yet -`,
    '',
  ])
})

test('what was seen is told by rule and by flow, and before it is enforced', async () => {
  const byRule = { direction: 'ingress', cause: 'rule', ruleId: 'sgr-9', securityGroupId: 'sg-web' } as const
  agent.say({
    type: 'observed',
    enis: [
      makeObservedEni('eni-web1', {
        counts: [
          { ...byRule, packets: 41_000 },
          { direction: 'ingress', cause: 'default', packets: 1 },
        ],
        flows: [
          makeObservedFlow({ ...byRule, packets: 300 }),
          makeObservedFlow({ protocol: 'icmp', port: undefined as never, icmpType: 8, icmpCode: 0, packets: 1 }),
        ],
        flowsLeftOut: 7,
        liveSessions: 2,
      }),
    ],
  })
  const report = [
    '41,001 packets would have been dropped at 1 network interface since 2026-03-01 10:00, as heard TIME.',
    '2 sessions that there are now would end.',
    '',
    'PACKETS  DIRECTION  CAUSE    RULE   GROUP   ENIS',
    ' 41,000  ingress    rule     sgr-9  sg-web     1',
    '      1  ingress    default  -      -          1',
    '',
    'Seen most, in a sample of the packets:',
    'SEEN  PEER         WHAT                ENI       DIRECTION  CAUSE    RULE   LAST',
    ' 300  203.0.113.9  tcp/22              eni-web1  ingress    rule     sgr-9  2026-03-01 10:20:40',
    '   1  203.0.113.9  icmp type 8 code 0  eni-web1  ingress    default  -      2026-03-01 10:20:40',
    'And 7 more.',
  ]
  await eventually(async () => assert.deepEqual(await lines('sg', 'observed', 'sg-web'), report))
  const page = await readFile(new URL('../../../docs/cli.md', import.meta.url), 'utf8')
  const [, shown = ''] = /^```text\n([\d,]+ packets .*?)^```$/ms.exec(page) ?? []
  assert.equal(shown.replace(/heard .*\./, 'heard TIME.'), `${report.join('\n')}\n`)
  assert.deepEqual(await lines('eni', 'observed', 'eni-web1'), report)
  const few = await lines('eni', 'observed', 'eni-web1', '--flows', '1')
  assert.match(few.slice(-2).join('\n'), /^ 300 +203\.0\.113\.9 +tcp\/22 .*\nAnd 8 more\.$/)
  const revision = /^revision +(\d+)$/m.exec(await operator.do('sg', 'show', 'sg-web'))?.[1]
  assert.deepEqual(await lines('sg', 'enforce', 'sg-web', '--dry-run'), [
    'Nothing was stored. It would',
    '  change security group sg-web',
    '    mode: observe -> enforce',
    `1 agent would hear of it: ${credentials.agentId}`,
    '',
    '1 network interface would be enforced that is observed now.',
    ...report,
  ])
  assert.equal(/^revision +(\d+)$/m.exec(await operator.do('sg', 'show', 'sg-web'))?.[1], revision)
  const { observed } = JSON.parse(await operator.do('sg', 'enforce', 'sg-web', '--dry-run', '--json'))
  assert.deepEqual([observed.packets, observed.isComplete, observed.flows[0].peer], [41_001, true, '203.0.113.9'])
})

test('an agent that is away makes it incomplete, and what it told stays', async () => {
  agent.break()
  await eventually(async () => {
    const told = (await run('sg', 'enforce', 'sg-web', '--dry-run')).replace(/ +/g, ' ')
    assert.match(
      told,
      /41,001 packets would have been dropped[\s\S]*\nNot complete for 1 of 1 observed network interface:\n/,
    )
    assert.match(told, /\neni-web1 i-web1 agent-\S+ its agent is away \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n$/)
  })
  agent = await FakeAgent.connect(operator.agentPort, credentials)
})

test('enforcing one thing says what goes on being observed', async () => {
  assert.deepEqual(await lines('eni', 'observe', 'eni-web1'), [
    'eni-web1 is observed: what its rules drop passes, and is counted (revision N).',
    'What that is: ringwall eni observed eni-web1',
  ])
  assert.match(await run('eni', 'show', 'eni-web1'), /^enforcement +observed \(by itself, sg-web\)$/m)
  const dry = await lines('sg', 'enforce', 'sg-web', '--dry-run')
  assert.deepEqual(dry.slice(-2), ['', 'Still observed, by themselves or another group: eni-web1'])
  assert.deepEqual(await lines('sg', 'enforce', 'sg-web'), [
    'sg-web is enforced (revision N).',
    '1 network interface in it is still observed, by another group or by itself:',
    'ringwall eni list --group sg-web --enforcement observed',
  ])
  await run('sg', 'observe', 'sg-web')
  assert.deepEqual(await lines('eni', 'enforce', 'eni-web1'), [
    'eni-web1 is enforced (revision N).',
    'But still observed (by sg-web); see "ringwall sg enforce".',
  ])
  assert.deepEqual(await lines('sg', 'enforce', 'sg-web', '--wait', '60'), [
    'sg-web is enforced (revision N).',
    'In force on the one agent it concerns.',
  ])
  assert.match(await run('eni', 'show', 'eni-web1'), /^enforcement +enforced$/m)
  assert.doesNotMatch(await run('health'), /observed/)
})

test('the mode can be said when something is made or modified too', async () => {
  await run('sg', 'create', 'sg-new', '--mode', 'observe')
  await run('eni', 'register', 'eni-new', '--instance', 'i-spare', '--group', 'sg-web', '--mode', 'observe')
  assert.match(await run('eni', 'list', '--enforcement', 'observed'), /^ENI.*\neni-new .*\n$/)
  await run('sg', 'modify', 'sg-new', '--mode', 'enforce')
  await run('eni', 'modify', 'eni-new', '--mode', 'enforce')
  assert.equal(await run('eni', 'list', '--enforcement', 'observed'), 'There are no such network interfaces.\n')
  assert.equal(await run('sg', 'list', '--mode', 'observe'), 'There are no such security groups.\n')
  const wrong = await operator.run(['sg', 'modify', 'sg-new', '--mode', 'watch'])
  assert.deepEqual([wrong.exitCode, wrong.stdout], [2, ''])
})

test('what is logged is set and shown', async () => {
  const logged = async () => (await lines('settings', 'show')).filter(line => line.startsWith('logged')).join('\n')
  assert.equal(
    (await logged()).replace(/ +/g, ' '),
    'logged drops\nlogged at most 100 a second for each interface and direction, to NFLOG group 21079',
  )
  const set = ['settings', 'set', '--log-drops', 'no', '--log-sessions', 'yes', '--log-per-second', '7']
  await run(...set, '--log-group', '5')
  assert.equal(
    (await logged()).replace(/ +/g, ' '),
    'logged accepted sessions\nlogged at most 7 a second for each interface and direction, to NFLOG group 5',
  )
  await run('settings', 'set', '--log-sessions', 'no')
  assert.match(await logged(), /^logged +nothing$/m)
  const wrong = await operator.run(['settings', 'set', '--log-per-second', '10001'])
  assert.deepEqual([wrong.exitCode, wrong.stdout], [2, ''])
})
