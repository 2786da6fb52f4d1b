/**
 * Observe mode and logs by real packets: in both modes the same is decided, counted and logged, with the right cause;
 * observed, nothing at all is dropped. A flood logs no more than it may, and holds up nothing.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readTraffic } from '../../agent/counters/read.ts'
import { createNft } from '../../agent/nft/exec.ts'
import type { Direction, Placement } from '../../rules-compiler/model/policy.ts'
import { type LogCause, type LogOrigin, parseLogPrefix } from '../../rules-compiler/nft/log-prefix.ts'
import { readRuleset } from '../../rules-compiler/nft/read-ruleset.ts'
import { tableFamily, tableName } from '../../rules-compiler/nft/ruleset.ts'
import { resolvePolicy } from '../../rules-compiler/policy/resolve.ts'
import { type Forwarder, makeForwarder } from '../support/forwarder.ts'
import { injectionOf } from '../support/injections.ts'
import { captureNflog, type NflogCapture } from '../support/nflog-capture.ts'
import { parsePacket } from '../support/packets.ts'
import { readValidPolicy } from '../support/policies.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, flushPolicy } from '../support/ringwall.ts'
import { eventually } from '../support/sessions.ts'

type Mode = 'enforce' | 'observe'

interface Row {
  readonly direction: Direction
  readonly packet: string
  readonly verdict: 'accept' | 'drop'
  readonly cause: LogCause
  /** Both where left out. */
  readonly placement?: Placement
}

const rows: readonly Row[] = [
  { direction: 'ingress', packet: 'tcp 203.0.113.9:40001 -> 198.18.0.2:443', verdict: 'accept', cause: 'rule' },
  { direction: 'ingress', packet: 'udp 203.0.113.200:40002 -> 198.18.0.2:9', verdict: 'accept', cause: 'inner-access' },
  { direction: 'ingress', packet: 'tcp 203.0.113.65:40003 -> 198.18.0.2:443', verdict: 'drop', cause: 'rule' },
  { direction: 'ingress', packet: 'tcp [2001:db8:1::9]:40004 -> [2001:db8::2]:80', verdict: 'drop', cause: 'rule' },
  { direction: 'ingress', packet: 'tcp 203.0.113.9:40005 -> 198.18.0.2:22', verdict: 'drop', cause: 'default' },
  { direction: 'ingress', packet: 'icmp type 0 203.0.113.9 -> 198.18.0.2', verdict: 'drop', cause: 'invalid' },
  { direction: 'egress', packet: 'udp 198.18.0.2:40006 -> 203.0.113.9:123', verdict: 'accept', cause: 'default' },
  { direction: 'egress', packet: 'udp 198.18.0.2:40007 -> 203.0.113.9:53', verdict: 'drop', cause: 'rule' },
  { direction: 'egress', packet: 'tcp 198.18.0.2:40008 -> 203.0.113.9:25', verdict: 'drop', cause: 'smtp' },
  { direction: 'egress', packet: 'icmp type 3 198.18.0.2 -> 203.0.113.9', verdict: 'drop', cause: 'invalid' },
  ...(['udp 198.18.0.99:40009 -> 203.0.113.9:123', 'tcp 198.18.0.99:40010 -> 203.0.113.9:25'] as const).map(
    (packet): Row => ({ direction: 'egress', packet, verdict: 'drop', cause: 'source-guard', placement: 'guest' }),
  ),
]

/** In a chain of its own, by eight groups and more in a map: so both ways of rules that name groups are asked. */
const peerGroups = Array.from({ length: 8 }, (_, index) => `sg-peer${index}`)

interface Settings {
  readonly drops?: boolean
  readonly sessions?: boolean
  readonly perSecond?: number
  readonly nflogGroup?: number
}

function documentOf(placement: Placement, mode: Mode, logging: Settings, more: readonly object[] = []) {
  const anywhere = { ip: '0.0.0.0/0' }
  return {
    apiVersion: 'ringwall/v1',
    interfaces: [
      {
        id: 'eni-1',
        device: 'd0',
        placement,
        addresses: ['198.18.0.2', '2001:db8::2'],
        securityGroupIds: ['sg-1'],
        mode,
      },
    ],
    securityGroups: [
      {
        id: 'sg-1',
        innerAccessPolicy: 'accept',
        members: ['203.0.113.200'],
        rules: [
          ...['tcp', 'udp'].map(ipProtocol => ({
            id: `sgr-https-${ipProtocol}`,
            direction: 'ingress',
            policy: 'accept',
            priority: 2,
            ipProtocol,
            portRange: '443/443',
            sourceCidrIp: anywhere.ip,
          })),
          {
            id: 'sgr-bad',
            direction: 'ingress',
            policy: 'drop',
            ipProtocol: 'tcp',
            portRange: '443/443',
            sourceCidrIp: '203.0.113.64/26',
          },
          ...peerGroups.map(sourceGroupId => ({
            direction: 'ingress',
            policy: 'drop',
            ipProtocol: 'tcp',
            portRange: '80/80',
            sourceGroupId,
          })),
          {
            id: 'sgr-dns',
            direction: 'egress',
            policy: 'drop',
            ipProtocol: 'udp',
            portRange: '53/53',
            destCidrIp: anywhere.ip,
          },
          ...more,
        ],
      },
      ...peerGroups.map(id => ({ id, members: ['2001:db8:1::9'] })),
    ],
    settings: { logging: { nflogGroup: 77, ...logging } },
  }
}

/** Somebody else's table that takes everything out of conntrack. */
const notrack = `table inet strange {
  chain prerouting {
    type filter hook prerouting priority -300;
    notrack;
  }
}
`

let forwarder: Forwarder

before(async () => {
  if (needsKernel === false) forwarder = await makeForwarder()
})

after(async () => {
  if (needsKernel === false) await forwarder[Symbol.asyncDispose]()
})

/** Numbers, from 0 up, of the packets that came through. */
async function send(sent: readonly Row[], placement: Placement): Promise<readonly number[]> {
  const indexes = await forwarder.send(
    sent.map(({ direction, packet }, number) =>
      injectionOf(parsePacket(packet, { eniId: 'eni-1', direction }), placement, number + 1),
    ),
  )
  return [...indexes].map(index => index - 1).sort((a, b) => a - b)
}

const numbers = (count: number) => Array.from({ length: count }, (_, number) => number)

/** What should be logged of the rows, `ingress drop rule` each, sorted. */
function expectedLog(sent: readonly Row[], mode: Mode): readonly string[] {
  const action = (verdict: Row['verdict']) => (verdict === 'drop' && mode === 'observe' ? 'observe' : verdict)
  return sent.map(({ direction, verdict, cause }) => `${direction} ${action(verdict)} ${cause}`).sort()
}

async function takeLog(capture: NflogCapture, count: number): Promise<readonly string[]> {
  return (await capture.take(count))
    .map(({ prefix }) => {
      const { direction, action, cause, eniId } = parseLogPrefix(prefix) as LogOrigin
      assert.equal(eniId, 'eni-1')
      return `${direction} ${action} ${cause}`
    })
    .sort()
}

/** Packets of each rule and reason that has counted. */
async function counted(document: unknown): Promise<Readonly<Record<string, number>>> {
  const objects = await createNft({ prefix: ['ip', 'netns', 'exec', forwarder.host.name] }).list(tableFamily, tableName)
  const sums: Record<string, number> = {}
  for (const reading of readTraffic(readRuleset(objects!), resolvePolicy(readValidPolicy(JSON.stringify(document))))) {
    const name = `${reading.direction} ${reading.ruleId ?? reading.reason}`
    if (reading.packets > 0) sums[name] = (sums[name] ?? 0) + reading.packets
  }
  return sums
}

for (const placement of ['host', 'guest'] as const) {
  describe(`in ${placement} placement`, { skip: needsKernel }, () => {
    const sent = rows.filter(row => (row.placement ?? placement) === placement)
    const accepted = numbers(sent.length).filter(number => sent[number]!.verdict === 'accept')
    const counts: Record<Mode, unknown> = { enforce: null, observe: null }

    for (const mode of ['enforce', 'observe'] as const) {
      test(`what is refused is ${mode === 'enforce' ? 'dropped' : 'let through'}, counted and logged with its cause`, async () => {
        const document = documentOf(placement, mode, { sessions: true })
        // Counters live as long as what they count.
        await flushPolicy(forwarder.host)
        await applyPolicy(forwarder.host, document)
        await using capture = await captureNflog(forwarder.host, 77)
        await forwarder.flushSessions()
        assert.deepEqual(await send(sent, placement), mode === 'enforce' ? accepted : numbers(sent.length))
        assert.deepEqual(await takeLog(capture, sent.length), expectedLog(sent, mode))
        counts[mode] = await counted(document)

        // Once more: what is accepted belongs to a session now, what is refused is refused again.
        const again = sent.filter(({ verdict }) => verdict === 'drop')
        await send(sent, placement)
        assert.deepEqual(await takeLog(capture, again.length), expectedLog(again, mode))
      })
    }

    test('both modes count the same', () => assert.deepEqual(counts.observe, counts.enforce))

    test('sessions that are judged again after a change are not logged again', async () => {
      const document = documentOf(placement, 'enforce', { sessions: true })
      await applyPolicy(forwarder.host, document)
      await forwarder.flushSessions()
      const live = accepted.map(number => sent[number]!)
      await send(live, placement)
      const more = {
        direction: 'egress',
        policy: 'drop',
        ipProtocol: 'udp',
        portRange: '54/54',
        destCidrIp: '0.0.0.0/0',
      }
      await applyPolicy(
        forwarder.host,
        documentOf(placement, 'enforce', { sessions: true }, [
          more,
          { ...more, direction: 'ingress', sourceCidrIp: '203.0.113.1/32', destCidrIp: undefined },
        ]),
      )
      await using capture = await captureNflog(forwarder.host, 77)
      assert.deepEqual(await send(live, placement), numbers(live.length))
      // What comes after them in the log shows that nothing of them is in it.
      const refused = sent.filter(({ cause }) => cause === 'default').filter(({ verdict }) => verdict === 'drop')
      await send(refused, placement)
      assert.deepEqual(await takeLog(capture, refused.length), expectedLog(refused, 'enforce'))
    })

    test('nothing is logged that is not to be', async () => {
      await using capture = await captureNflog(forwarder.host, 77)
      for (const logging of [{ drops: false }, { nflogGroup: 78 }]) {
        await applyPolicy(forwarder.host, documentOf(placement, 'enforce', logging))
        await forwarder.flushSessions()
        assert.deepEqual(await send(sent, placement), accepted)
      }
      await applyPolicy(forwarder.host, documentOf(placement, 'enforce', {}))
      await forwarder.flushSessions()
      const refused = sent.filter(({ verdict }) => verdict === 'drop')
      await send(sent, placement)
      assert.deepEqual(await takeLog(capture, refused.length), expectedLog(refused, 'enforce'))
    })

    test('what conntrack does not track is let through too', async () => {
      const [tracked] = sent
      await applyPolicy(forwarder.host, documentOf(placement, 'observe', {}))
      await forwarder.host.run('nft', ['-f', '-'], { input: notrack })
      await using capture = await captureNflog(forwarder.host, 77)
      assert.deepEqual(await send([tracked!], placement), [0])
      assert.deepEqual(await takeLog(capture, 1), ['ingress observe invalid'])
      await forwarder.host.run('nft', ['delete table inet strange'])
    })

    test('observed, a busy session that is let through does not hide what begins beside it', async () => {
      const perSecond = 50
      await applyPolicy(forwarder.host, documentOf(placement, 'observe', { perSecond }))
      await forwarder.flushSessions()
      const refused = (port: number): Row => ({
        direction: 'ingress',
        packet: `udp 203.0.113.9:${port} -> 198.18.0.2:444`,
        verdict: 'drop',
        cause: 'default',
      })
      const begun = Array.from({ length: perSecond - 1 }, (_, number) => 2000 + number)
      const busy = Array.from({ length: 3000 }, () => refused(1024))
      await using capture = await captureNflog(forwarder.host, 77)
      assert.deepEqual(await send([...busy, ...begun.map(refused)], placement), numbers(busy.length + begun.length))
      const ports = () => capture.packets.map(({ payload }) => payload.readUInt16BE(20))
      // They come last, behind whatever of the busy session is logged.
      await eventually(async () => {
        const logged = new Set(ports())
        assert.deepEqual(
          begun.filter(port => !logged.has(port)),
          [],
        )
      })
      assert.ok(ports().filter(port => port === 1024).length < busy.length / 2)
    })

    test('a flood of what is refused logs so many a second, and what is accepted beside it loses nothing', async () => {
      // Another limit than the test before had, so that nothing of it is used up.
      const perSecond = 40
      await applyPolicy(forwarder.host, documentOf(placement, 'enforce', { perSecond }))
      await forwarder.flushSessions()
      const flood = Array.from({ length: 4000 }, (_, number): Row => {
        const port = 1024 + number
        return number % 4 === 0
          ? {
              direction: 'ingress',
              packet: `udp 203.0.113.9:${port} -> 198.18.0.2:443`,
              verdict: 'accept',
              cause: 'rule',
            }
          : {
              direction: 'ingress',
              packet: `udp 203.0.113.9:${port} -> 198.18.0.2:444`,
              verdict: 'drop',
              cause: 'default',
            }
      })
      await using capture = await captureNflog(forwarder.host, 77)
      const startedAt = performance.now()
      const through = await send(flood, placement)
      const seconds = (performance.now() - startedAt) / 1000
      assert.deepEqual(
        through,
        numbers(flood.length).filter(number => flood[number]!.verdict === 'accept'),
      )
      const logged = await takeLog(capture, perSecond)
      assert.deepEqual([...new Set(logged)], ['ingress drop default'])
      const most = perSecond * (1 + seconds) + 1
      assert.ok(logged.length <= most, `${logged.length} logged in ${seconds} s, expected ${most} at most`)
    })
  })
}
