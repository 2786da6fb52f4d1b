/** `ringwall ddos` and the settings of traffic scrubbing, against a real daemon and an agent without kernel. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { ddosEvent, ddosStatus, quietStatus } from '../../support/ddos-status.ts'
import { enrolFake, FakeAgent } from '../../support/fake-agent.ts'
import { startOperator } from '../../support/operator.ts'

const operator = await startOperator()
let agent: FakeAgent
after(async () => {
  await agent.close()
  await operator[Symbol.asyncDispose]()
})
const { run } = operator
const json = async (...args: readonly string[]) => JSON.parse(await operator.do(...args, '--json'))
const withoutRevision = (text: string) => text.replace(/revision \d+/g, 'revision N')

async function refused(args: readonly string[], exitCode: number, stderr: string): Promise<void> {
  assert.deepEqual(await run(args), { exitCode, stdout: '', stderr })
}

test('nothing is there yet', async () => {
  assert.match(await operator.do('ddos', 'status'), /^There are no instances\. Let a host join/)
  assert.equal(await operator.do('ddos', 'events'), 'There were no attacks yet.\n')
  assert.equal(await operator.do('ddos', 'events', '--since', '2h'), 'There were no such attacks.\n')
  await refused(
    ['ddos', 'show', 'ddos-1'],
    4,
    'no such attack "ddos-1"; there is none that you may see. "ringwall ddos status" shows how instances stand.\n',
  )
})

suite('thresholds', () => {
  before(async () => {
    await operator.do('instance', 'register', 'i-1', '--name', 'web1', '--type', 'ecs.g5.large')
    await operator.do('instance', 'register', 'i-2', '--name', 'db1')
    const { token } = await json('agent', 'invite', '--instance', 'i-1,i-2')
    agent = await FakeAgent.connect(operator.agentPort, await enrolFake(operator.agentPort, token))
  })

  test('those of the instance type, and none', async () => {
    assert.equal(
      await operator.do('ddos', 'threshold', 'web1'),
      `instance    i-1
thresholds  1 Gbit/s, 300 kpps, the maximum of its instance type
at most     1 Gbit/s, 300 kpps
`,
    )
    assert.equal(
      await operator.do('ddos', 'threshold', 'i-2'),
      `instance    i-2
thresholds  none: it is measured, and never scrubbed
at most     anything: its instance type is not known
`,
    )
    assert.equal((await json('ddos', 'threshold', 'web1')).ddosThreshold.maxPps, 300_000)
  })

  test('set by hand: tried, waited for, one alone, and back', async () => {
    const both = ['ddos', 'threshold', 'web1', '--bps', '500', '--pps', '60000']
    assert.match(
      await operator.do(...both, '--dry-run'),
      /^Nothing was stored\. It would\n {2}change instance i-1\n {4}ddosThreshold: - -> bps 500, pps 60000, source manual\n1 agent would hear of it/,
    )
    assert.equal(
      withoutRevision(await operator.do(...both, '--wait')),
      'Thresholds of i-1: 500 Mbit/s, 60 kpps, set by hand (revision N).\nIn force on the one agent it concerns.\n',
    )
    await operator.do('ddos', 'threshold', 'web1', '--pps', '70000')
    const { ddosThreshold } = await json('ddos', 'threshold', 'web1')
    assert.deepEqual([ddosThreshold.bps, ddosThreshold.pps, ddosThreshold.source], [500, 70_000, 'manual'])
    assert.match(
      await operator.do('ddos', 'threshold', 'web1', '--type'),
      /^Thresholds of i-1: 1 Gbit\/s, 300 kpps, the maximum of its instance type \(revision \d+\)\.\n$/,
    )
  })

  const help = 'See "ringwall ddos threshold --help".\n'
  for (const [args, exitCode, stderr] of [
    [
      ['web1', '--bps', '1001'],
      4,
      'bps: Cannot set bps "1001": expected at most 1000 Mbit/s, the maximum of instance type ecs.g5.large\n',
    ],
    [
      ['web1', '--bps', '500M'],
      2,
      `ringwall ddos threshold: --bps is "500M", expected a number from 1 to 10000000\n${help}`,
    ],
    [
      ['db1', '--bps', '500'],
      2,
      `ringwall ddos threshold: missing --pps, for i-2 has no threshold of that kind yet\n${help}`,
    ],
    [['web1', '--bps', '5', '--auto'], 2, `ringwall ddos threshold: --bps and --auto exclude each other\n${help}`],
    [['web1', '--type', '--auto'], 2, `ringwall ddos threshold: --type and --auto exclude each other\n${help}`],
    [
      ['web1', '--wait'],
      2,
      `ringwall ddos threshold: nothing to change with --wait, expected --bps, --pps, --type or --auto\n${help}`,
    ],
    [
      ['web1', '--auto'],
      4,
      'source: Cannot take over thresholds for instance "i-1": expected a proposal of its agent, which has made none; it needs to see traffic first\n',
    ],
    [['wbe1', '--auto'], 4, 'no such instance "wbe1"; did you mean "web1"?\n'],
  ] as const) {
    test(`refused: ${args.join(' ')}`, () => refused(['ddos', 'threshold', ...args], exitCode, stderr))
  }
})

suite('orders', () => {
  test('cancel and resume', async () => {
    assert.equal(
      withoutRevision(await operator.do('ddos', 'cancel', 'web1')),
      'Traffic of i-1 is not cleaned any more (revision N).\n',
    )
    assert.match(await operator.do('ddos', 'status'), /^i-1 +unknown, cancelled +- +- +- +-$/m)
    assert.equal(
      withoutRevision(await operator.do('ddos', 'resume', 'web1', '--wait')),
      'Traffic of i-1 is cleaned when it is over its thresholds (revision N).\nIn force on the one agent it concerns.\n',
    )
  })

  test('a black hole asks on a terminal, and is lifted', async () => {
    const question = 'Drop all inbound traffic of web1 (i-1) for 10 min? [y/N] '
    const args = ['ddos', 'blackhole', 'web1', '--for', '10m']
    assert.deepEqual(await run(args, { terminal: 'stdin', stdin: 'n\n' }), {
      exitCode: 1,
      stdout: '',
      stderr: `${question}Nothing was changed.\n`,
    })
    const ordered = await run(args, { terminal: 'stdin', stdin: 'y\n' })
    assert.equal(withoutRevision(ordered.stdout), 'Ordered a black hole for i-1, for 10 min (revision N).\n')
    assert.match(
      await operator.do('ddos', 'blackhole', 'web1'),
      /^Ordered a black hole for i-1, for the usual time \(revision \d+\)\.\n$/,
    )
    assert.match(
      await operator.do('ddos', 'lift', 'web1'),
      /^Ordered the end of the black hole of i-1 \(revision \d+\)\.\n$/,
    )
    await refused(
      ['ddos', 'blackhole', 'web1', '--for', 'soon'],
      2,
      'ringwall ddos blackhole: --for is "soon", expected a duration such as 90s, 15m, 2h or 7d\nSee "ringwall ddos blackhole --help".\n',
    )
  })
})

test('an order is waited for until its agent has carried it out', async () => {
  const late = await run(['ddos', 'blackhole', 'db1', '--wait', '1'])
  assert.deepEqual([late.exitCode, late.stderr], [3, ''])
  // Whether the agent has said by then that it has it is told below.
  assert.match(
    withoutRevision(late.stdout),
    /^Ordered a black hole for i-2, for the usual time \(revision N\)\.\nThe agent has not said yet that it is carried out\.\n/,
  )
  const orderOf = ({ view }: FakeAgent) => {
    const instance = view.objects.get('instance/i-2')
    return instance?.kind === 'instance' ? instance.value.ddosOrder : undefined
  }
  const ending = run(['ddos', 'lift', 'db1', '--wait', '60'])
  await agent.until(each => orderOf(each)?.action === 'lift')
  agent.say({ type: 'ddos-status', instances: [quietStatus({ instanceId: 'i-2', orderId: orderOf(agent)!.id })] })
  const done = await ending
  assert.deepEqual([done.exitCode, done.stderr], [0, ''])
  assert.equal(
    withoutRevision(done.stdout),
    `Ordered the end of the black hole of i-2 (revision N).
The agent has carried it out.
In force on the one agent it concerns.
`,
  )
})

suite('what agents tell', () => {
  const nowMs = Date.now()
  const minutesAgo = (minutes: number) => new Date(nowMs - minutes * 60_000).toISOString()

  test('how instances stand', async () => {
    agent.say({
      type: 'ddos-status',
      instances: [ddosStatus(), quietStatus({ instanceId: 'i-2', proposal: { bpsMbit: 300, pps: 40_000 } })],
    })
    const event = ddosEvent({
      phase: 'ended',
      startTime: minutesAgo(60),
      endTime: minutesAgo(58),
      endReason: 'subsided',
    })
    agent.say({ type: 'ddos-event', event })
    agent.say({ type: 'ddos-event', event: ddosEvent({ id: 'ddos-2', startTime: minutesAgo(5), attackTypes: [] }) })
    // What is answered comes after what was said before it.
    await agent.next('ddos-event-kept')
    await agent.next('ddos-event-kept')
    assert.equal(
      await operator.do('ddos', 'status'),
      `INSTANCE  PHASE        OFFERED    PACKETS      PASSED  LOAD  TYPES
i-1       cleaning  812 Mbit/s  94.1 kpps  500 Mbit/s   81%  syn, udp
i-2       normal     80 kbit/s    100 pps   80 kbit/s     -  -
`,
    )
    assert.equal(
      await operator.do('ddos', 'status', 'web1'),
      `instance         i-1
phase            cleaning since 2026-01-01 00:00:01
event            ddos-1
types            syn, udp
thresholds       1 Gbit/s, 300 kpps, the maximum of its instance type
bit rate         ################.... 81%
packet rate      ######.............. 31%
offered          812 Mbit/s, 94.1 kpps
passed           500 Mbit/s, 60 kpps
in scope or not  813 Mbit/s, 94.2 kpps
arriving         tcp-syn 80 kpps, udp 14.1 kpps
dropped by       syn 25 kpps, sources 9.1 kpps

SOURCE       PACKETS  BYTES  SHARE
203.0.113.9  900,000  54 MB    30%
`,
    )
    assert.match(await operator.do('ddos', 'status', 'db1', 'web1'), /^INSTANCE .*\ni-2 .*\ni-1 /)
    const { items } = await json('ddos', 'status')
    assert.deepEqual(
      items.map(({ instanceId, phase }: Record<string, string>) => [instanceId, phase]),
      [
        ['i-1', 'cleaning'],
        ['i-2', 'normal'],
      ],
    )
  })

  test('what is proposed can be taken over', async () => {
    assert.match(
      await operator.do('ddos', 'status', 'db1'),
      /^proposal +300 Mbit\/s, 40 kpps; "ringwall ddos threshold i-2 --auto" takes it over$/m,
    )
    assert.match(
      await operator.do('ddos', 'threshold', 'db1', '--auto'),
      /^Thresholds of i-2: 300 Mbit\/s, 40 kpps, as its agent proposed \(revision \d+\)\.\n$/,
    )
    assert.doesNotMatch(await operator.do('ddos', 'threshold', 'db1'), /^proposal/m)
  })

  test('attacks, newest first, by filters', async () => {
    const ids = async (...flags: readonly string[]) => {
      const { items } = await json('ddos', 'events', ...flags)
      return items.map(({ eventId }: { readonly eventId: string }) => eventId)
    }
    assert.match(
      await operator.do('ddos', 'events'),
      /^EVENT +INSTANCE +START +LASTED +PHASE +PEAK +PACKETS +TYPES\nddos-2 +i-1 +\S+ \S+ +- +black-hole +9 Gbit\/s +1\.5 Mpps +-\nddos-1 +i-1 +\S+ \S+ +2 min +ended +9 Gbit\/s +1\.5 Mpps +syn, udp\n$/,
    )
    assert.match(
      await operator.do('ddos', 'events', '--limit', '1'),
      /\nThese are the latest 1; --limit shows more attacks\.\n$/,
    )
    assert.deepEqual(await ids('--phase', 'ended'), ['ddos-1'])
    assert.deepEqual(await ids('--type', 'syn', '--instance', 'web1'), ['ddos-1'])
    assert.deepEqual(await ids('--instance', 'db1'), [])
    assert.deepEqual(await ids('--since', '30m'), ['ddos-2'])
    assert.deepEqual(await ids('--until', minutesAgo(30)), ['ddos-1'])
    assert.deepEqual(await ids('--account', '1000000000000000'), ['ddos-2', 'ddos-1'])
    await refused(
      ['ddos', 'events', '--type', 'smurf'],
      2,
      'ringwall ddos events: --type is "smurf", expected syn, ack, connections, udp, dns-answers, icmp, fragments, other\nSee "ringwall ddos events --help".\n',
    )
  })

  test('an attack in full', async () => {
    const shown = await operator.do('ddos', 'show', 'ddos-1')
    assert.equal(
      shown.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME'),
      `event        ddos-1
instance     i-1
phase        ended: the traffic went down
set off by   the packet rate
start        TIME
end          TIME, after 2 min
thresholds   500 Mbit/s, 200 kpps
peak         9 Gbit/s, 1.5 Mpps, the highest at TIME
offered      3,000,000 packets, 2 GB
passed       400,000 packets, 60 MB (13% of the packets)
dropped      2,600,000 packets, 1.94 GB (87% of the packets)
black holes  1

DROPPED BY    PACKETS    BYTES  OF OFFERED
syn         2,600,000  1.94 GB         87%

TYPE  SHARE                  PEAK               USUAL  SYN RATIO
syn     50%  4.5 Gbit/s, 750 kpps  4.8 kbit/s, 10 pps         40
udp     50%  4.5 Gbit/s, 750 kpps  4.8 kbit/s, 10 pps         40

SOURCE       PACKETS  BYTES  SHARE
203.0.113.9  900,000  54 MB    30%

TIME                 CHANGE  WHAT
TIME  start   It began
`,
    )
    assert.equal((await json('ddos', 'show', 'ddos-1')).ddosEvent.eventId, 'ddos-1')
    await refused(['ddos', 'show', 'ddos-3'], 4, 'no such attack "ddos-3"; did you mean "ddos-2"?\n')
  })
})

suite('settings', () => {
  const shown = async (name: string) => {
    const line = (await operator.do('settings', 'show')).split('\n').find(each => each.startsWith(`${name}  `))
    return line?.slice(name.length).trim()
  }

  test('shown and set', async () => {
    assert.deepEqual(await Promise.all(['traffic scope', 'seconds over', 'hold time', 'black hole'].map(shown)), [
      'internet: sources beyond private ranges',
      '1 s over a threshold, then it is cleaned',
      '60 s under both thresholds, then cleaning ends',
      "above 5000 Mbit/s, or the instance's own threshold where that is higher",
    ])
    const numbers = ['--seconds-over', '3', '--hold-time', '5m', '--black-hole-threshold', '0', '--keep-events', '9']
    const times = ['--black-hole-time', '1h', '--most-black-hole-time', '2h', '--traffic-scope', 'all']
    await operator.do('settings', 'set', ...numbers, ...times)
    const { settings } = await json('settings', 'show')
    const { trafficScope, scrubbing, ddosEvents } = settings
    assert.deepEqual([trafficScope, ddosEvents.keptPerInstance], ['all', 9])
    assert.deepEqual(scrubbing, {
      secondsOver: 3,
      holdTime: 300,
      blackHoleThreshold: 0,
      blackHoleHoldTime: 3600,
      mostBlackHoleHoldTime: 7200,
      allowList: [],
    })
    assert.equal(await shown('black hole'), 'never by itself')
  })

  test('sources that are never cleaned: added, taken away, each in its canonical form', async () => {
    await operator.do('settings', 'set', '--allow', '203.0.113.9/24,2001:DB8::1')
    assert.equal(await shown('never cleaned'), '203.0.113.0/24, 2001:db8::1/128')
    await operator.do('settings', 'set', '--disallow', '203.0.113.0/24', '--allow', '198.51.100.7')
    assert.equal(await shown('never cleaned'), '198.51.100.7/32, 2001:db8::1/128')
    const help = 'See "ringwall settings set --help".\n'
    await refused(
      ['settings', 'set', '--disallow', '192.0.2.0/24'],
      2,
      `ringwall settings set: --disallow is "192.0.2.0/24", which is not on the list; expected one of 198.51.100.7/32, 2001:db8::1/128\n${help}`,
    )
    await refused(
      ['settings', 'set', '--allow', 'office'],
      2,
      `ringwall settings set: --allow is "office", expected an IPv4 or IPv6 address or CIDR block\n${help}`,
    )
  })
})
