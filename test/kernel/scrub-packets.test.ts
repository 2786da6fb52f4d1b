/** The scrubbing table packet by packet: each is counted as what it is, and each step drops what it should and nothing else. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type Family, families, parseCidr } from '../../rules-compiler/address/cidr.ts'
import type { Placement } from '../../rules-compiler/model/policy.ts'
import type { LaneType, TrafficRate, TrafficType } from '../../rules-compiler/model/traffic.ts'
import type { Cleaning, Defence } from '../../rules-compiler/scrub/defence.ts'
import type { ScrubInstance, ScrubIr } from '../../rules-compiler/scrub/ir.ts'
import { droppedCounter, heavySet, knownSet, sampledSet } from '../../rules-compiler/scrub/names.ts'
import { type Arrival, type Forwarder, type Injection, makeForwarder, type Side } from '../support/forwarder.ts'
import { makeScrubIr } from '../support/ir.ts'
import {
  behindOptions,
  type Content,
  fragment,
  gre,
  icmp,
  icmpQuery,
  makePacket,
  protocol,
  sctp,
  tcp,
  udp,
} from '../support/packets/craft.ts'
import { needsKernel } from '../support/requirements.ts'
import { makeCleaning, packetsBetween, ScrubbedHost } from '../support/scrub-table.ts'

const placements: readonly Placement[] = ['host', 'guest']
const victim = { ip: '198.18.0.2', ip6: '2001:db8::2' } as const
const stranger = { ip: '203.0.113.9', ip6: '2001:db8:a::9' } as const
const other = { ip: '203.0.113.10', ip6: '2001:db8:a::10' } as const
const insider = { ip: '10.1.2.3', ip6: 'fd00::3' } as const
const friend = { ip: '198.51.100.7', ip6: '2001:db8:f::7' } as const
const daemon = { ip: '192.0.2.5', ip6: '2001:db8:d::5' } as const
const daemonPort = 8443

const wide: TrafficRate = { packetsPerSecond: 1_000_000, bitsPerSecond: 10_000_000_000 }
/** So little that a sender which is stopped in the midst of a burst has no more for it. */
const hardlyAny = 1 / 60
/** Passes one packet of a burst. */
const narrow: TrafficRate = { packetsPerSecond: hardlyAny, bitsPerSecond: wide.bitsPerSecond }
/** What one source has at once however small its share is (rules-compiler/scrub/limits.ts). */
const leastShare = { packets: 64, bytes: 65_536 } as const
const ports = { sourcePort: 40_000, destinationPort: 7000 }
const notSyn = ['ack'] as const

const ofType: Readonly<Record<Exclude<TrafficType, 'fragments'>, (family: Family) => readonly Content[]>> = {
  'tcp-syn': () => [tcp(ports), tcp(ports, { flags: ['syn', 'psh'] })],
  tcp: () => [
    tcp(ports, { flags: ['ack'] }),
    tcp(ports, { flags: ['syn', 'ack'] }),
    tcp(ports, { flags: ['rst'] }),
    tcp(ports, { flags: [] }),
  ],
  'dns-answers': () => [udp({ sourcePort: 53, destinationPort: 40_000 }), udp({ sourcePort: 53, destinationPort: 53 })],
  udp: () => [udp(ports), udp({ sourcePort: 40_000, destinationPort: 53 })],
  icmp: family => [echo(family)],
  other: () => [gre(), sctp(ports)],
}

function echo(family: Family, identifier = 7): Content {
  return family === 'ip'
    ? icmp(protocol.icmp, 8, { rest: icmpQuery(identifier) })
    : icmp(protocol.icmpv6, 128, { rest: icmpQuery(identifier) })
}

describe('packets and the scrubbing table', { skip: needsKernel }, () => {
  let forwarder: Forwarder
  let index = 0

  before(async () => {
    forwarder = await makeForwarder()
  })
  after(() => forwarder[Symbol.asyncDispose]())
  afterEach(async () => {
    await forwarder.host.run('nft', ['flush', 'ruleset'])
    await forwarder.flushSessions()
  })

  interface Loaded {
    readonly host: ScrubbedHost
    /** Sends packets and says which arrived, in order, and what was counted meanwhile. */
    readonly send: (packets: readonly Buffer[]) => Promise<Seen>
    /** The same without the counters, which take their time. */
    readonly deliver: (packets: readonly Buffer[]) => Promise<readonly boolean[]>
    readonly change: (defence: Defence) => Promise<void>
    /** From the ENI's own side. */
    readonly answer: (packets: readonly Buffer[]) => Promise<readonly boolean[]>
  }
  interface Seen {
    readonly passed: readonly boolean[]
    readonly counted: Readonly<Record<string, number>>
  }

  async function load(placement: Placement, defence: Defence, facts: Partial<ScrubIr> = {}): Promise<Loaded> {
    const host = new ScrubbedHost(forwarder.host)
    const ir = makeScrubIr([{ enis: [{ id: 'eni-1', device: 'd0', placement }] }], {
      allowList: families.map(family => parseCidr(friend[family])!),
      controlConnections: families.map(family => ({ address: daemon[family], port: daemonPort })),
      ...facts,
    })
    const change = (next: Defence) => host.load({ ir, devices: new Set(['d0']), defences: new Map([['i-1', next]]) })
    await change(defence)
    const [inboundSide, outboundSide]: readonly [Side, Side] =
      placement === 'host' ? ['left', 'right'] : ['right', 'left']
    const through = async (side: Side, packets: readonly Buffer[]) => {
      const arrivals: readonly Arrival[] = await forwarder.exchange(
        packets.map((packet): Injection => ({ side, packet })),
      )
      const arrived = new Set(arrivals.map(arrival => arrival.index))
      return packets.map(packet => arrived.has(indexOf(packet)))
    }
    return {
      host,
      change,
      answer: packets => through(outboundSide, packets),
      deliver: packets => through(inboundSide, packets),
      async send(packets) {
        const begun = await host.counters()
        const passed = await through(inboundSide, packets)
        return { passed, counted: packetsBetween(begun, await host.counters()) }
      },
    }
  }

  const from = (source: string, content: Content, facts: { readonly hopLimit?: number } = {}): Buffer => {
    index = (index % 60_000) + 1
    const destination = victim[source.includes(':') ? 'ip6' : 'ip']
    return makePacket({ index, source, destination, ...facts }, content)
  }
  const repeated = <T>(count: number, make: (number: number) => T): readonly T[] =>
    Array.from({ length: count }, (_, number) => make(number))
  const offered = (type: TrafficType | 'out-of-scope', count: number) => ({ [`eni-1/offered/${type}`]: count })
  const dropped = (step: Parameters<typeof droppedCounter>[1], count: number) => ({
    [droppedCounter('i-1', step)]: count,
  })

  for (const placement of placements) {
    describe(`${placement} placement`, () => {
      for (const family of families) {
        for (const [type, contents] of Object.entries(ofType) as [
          keyof typeof ofType,
          (typeof ofType)[keyof typeof ofType],
        ][]) {
          test(`${type} of ${family} is counted once, in scope or out`, async () => {
            const { send } = await load(placement, { kind: 'none' })
            const packets = (source: string) => contents(family).map(content => from(source, content))
            const inScope = await send(packets(stranger[family]))
            assert.deepEqual(inScope.counted, offered(type, inScope.passed.length))
            assert.ok(inScope.passed.every(each => each))
            const outside = await send(packets(insider[family]))
            assert.deepEqual(outside.counted, offered('out-of-scope', outside.passed.length))
          })
        }

        test(`with everything in scope, private sources of ${family} count by type`, async () => {
          const { send } = await load(placement, { kind: 'none' }, { trafficScope: 'all' })
          const { counted } = await send([from(insider[family], udp(ports)), from(stranger[family], udp(ports))])
          assert.deepEqual(counted, offered('udp', 2))
        })

        test(`bytes of ${family} count from the IP header on`, async () => {
          const { host, send } = await load(placement, { kind: 'none' })
          const packet = from(stranger[family], udp(ports, Buffer.alloc(500)))
          await send([packet])
          assert.equal((await host.counters()).get('eni-1/offered/udp')?.bytes, packet.length)
        })

        test(`black hole, ${family}: what is in scope is dropped; allowed, private and control traffic are not`, async () => {
          const { send } = await load(placement, { kind: 'black-hole', remainingSeconds: 100 })
          const spared = [
            from(insider[family], udp(ports)),
            from(friend[family], tcp(ports)),
            from(daemon[family], tcp({ sourcePort: daemonPort, destinationPort: 40_000 }, { flags: ['ack'] })),
          ]
          const lost = [
            from(stranger[family], tcp(ports)),
            from(stranger[family], echo(family)),
            from(daemon[family], tcp(ports)),
            from(daemon[family], udp({ sourcePort: daemonPort, destinationPort: 40_000 })),
          ]
          const { passed, counted } = await send([...spared, ...lost])
          assert.deepEqual(passed, [true, true, true, false, false, false, false])
          assert.equal(counted[droppedCounter('i-1', 'black-hole')], lost.length)
        })

        test(`${family}: cleaning that limits nothing drops nothing`, async () => {
          const { send } = await load(placement, makeCleaning())
          const packets = Object.values(ofType).flatMap(contents =>
            contents(family).map(content => from(stranger[family], content)),
          )
          const { passed, counted } = await send(packets)
          assert.deepEqual(
            Object.keys(counted).filter(name => name.includes('dropped')),
            [],
          )
          assert.ok(passed.every(each => each))
        })

        for (const lane of ['dns-answers', 'udp', 'icmp', 'other'] as const) {
          test(`the lane of ${lane} holds down ${family} packets of its type, and no others`, async () => {
            const { send } = await load(
              placement,
              makeCleaning({ lanes: new Map<LaneType, TrafficRate>([[lane, narrow]]) }),
            )
            const held = repeated(20, () => from(stranger[family], ofType[lane](family)[0]!))
            const others = Object.entries(ofType)
              .filter(([type]) => type !== lane)
              .flatMap(([, contents]) => contents(family).map(content => from(stranger[family], content)))
            const spared = [insider, friend].map(source => from(source[family], ofType[lane](family)[0]!))
            const { passed, counted } = await send([...held, ...others, ...spared])
            const lost = passed.filter(each => !each).length
            assert.ok(lost >= 18 && lost < 20, `${lost} of 20 lost`)
            assert.ok(passed.slice(20).every(each => each))
            assert.equal(counted[droppedCounter('i-1', lane)], lost)
          })
        }

        test(`the lane of SYNs of ${family} passes those that come again`, async () => {
          const { send, deliver } = await load(placement, makeCleaning({ lanes: new Map([['syn', wide]]) }))
          const syn = (source: string, sourcePort: number) => from(source, tcp({ sourcePort, destinationPort: 7000 }))
          // On a slow machine what is sent in time may come too late.
          for (let attempt = 1; ; attempt += 1) {
            const [one, another, never] = repeated(3, number => 1000 * attempt + number) as [number, number, number]
            const first = await send([one, another].map(port => syn(stranger[family], port)))
            assert.deepEqual(first.passed, [false, false])
            assert.equal(first.counted[droppedCounter('i-1', 'syn')], 2)
            await setTimeout(1200)
            const again = [one, another, never, one, never].map(port => syn(stranger[family], port))
            const passed = await deliver([...again, syn(other[family], one)])
            if (!passed[0] && attempt < 15) continue
            // What has just been seen is too early, whether it passed or not.
            assert.deepEqual(passed, [true, true, false, false, false, false])
            break
          }
        })

        test(`a source of ${family} above its share is dropped from then on, and nobody else`, async () => {
          const shares = { known: wide, unknown: { ...wide, packetsPerSecond: hardlyAny } }
          const { host, send } = await load(placement, makeCleaning({ shares }))
          const flood = repeated(200, () => from(stranger[family], udp(ports)))
          const beside = repeated(50, () => from(other[family], udp(ports)))
          const later = [stranger, other].map(source => from(source[family], tcp(ports)))
          const { passed, counted } = await send([...flood, ...beside, ...later])
          const heavy = await host.elements(heavySet('i-1', family))
          const lost = passed.filter(each => !each).length
          const most = 200 - leastShare.packets + 1
          assert.ok(lost > most - 5 && lost <= most, `${lost} of 201 lost`)
          assert.ok(passed.slice(200, 250).every(each => each))
          assert.deepEqual(passed.slice(250), [false, true])
          assert.equal(counted[droppedCounter('i-1', 'sources')], lost)
          assert.deepEqual([...heavy.keys()], [stranger[family]])
          assert.equal(heavy.get(stranger[family])?.packets, lost)
        })

        test(`a source of ${family} above its share in bytes is dropped`, async () => {
          const shares = { known: wide, unknown: { ...wide, bitsPerSecond: 800 } }
          const { send } = await load(placement, makeCleaning({ shares }))
          const flood = repeated(200, () => from(stranger[family], udp(ports, Buffer.alloc(1000))))
          const { passed } = await send([...flood, from(other[family], udp(ports))])
          const count = passed.slice(0, -1).filter(each => each).length
          const least = Math.floor(leastShare.bytes / flood[0]!.length)
          assert.ok(count >= least && count <= least + 5, `${count} passed, expected ${least}`)
          assert.equal(passed.at(-1), true)
        })

        test(`connections of one source of ${family} are limited, not its other packets`, async () => {
          const { send } = await load(placement, makeCleaning({ connectionsPerSource: 1 }))
          const syns = repeated(50, number =>
            from(stranger[family], tcp({ sourcePort: 1000 + number, destinationPort: 7000 })),
          )
          const { passed, counted } = await send([
            ...syns,
            from(stranger[family], tcp(ports, { flags: notSyn })),
            from(other[family], tcp(ports)),
          ])
          const lost = passed.filter(each => !each).length
          assert.ok(lost > 30 && lost <= 40, `${lost} of 50 lost`)
          assert.deepEqual(passed.slice(50), [true, true])
          assert.equal(counted[droppedCounter('i-1', 'connections')], lost)
        })

        test(`TCP of ${family} without a session is dropped, SYNs and sessions are not`, async () => {
          const { send, answer, host } = await load(placement, makeCleaning({ dropSessionless: true }))
          const open = { sourcePort: 50_000, destinationPort: 7000 }
          assert.deepEqual((await send([from(other[family], tcp(open, { sequence: 100 }))])).passed, [true])
          await answer([
            makePacket(
              { index: 61_000, source: victim[family], destination: other[family] },
              tcp(
                { sourcePort: 7000, destinationPort: 50_000 },
                { flags: ['syn', 'ack'], sequence: 500, acknowledgment: 101 },
              ),
            ),
          ])
          const established = () =>
            from(other[family], tcp(open, { flags: ['ack'], sequence: 101, acknowledgment: 501 }))
          const { passed, counted } = await send([
            established(),
            ...repeated(5, number =>
              from(stranger[family], tcp({ ...ports, sourcePort: 3000 + number }, { flags: notSyn })),
            ),
            from(stranger[family], tcp(ports, { flags: ['syn', 'ack'] })),
            from(stranger[family], tcp(ports, { flags: ['rst'] })),
            established(),
          ])
          assert.deepEqual(passed, [true, ...repeated(7, () => false), true])
          assert.equal(counted[droppedCounter('i-1', 'sessions')], 7)
          assert.deepEqual([...(await host.elements(knownSet('i-1', family))).keys()], [other[family]])
        })

        test(`fragments of ${family}`, async () => {
          const { send } = await load(placement, { kind: 'none' })
          const pieces = () => fragment(from(stranger[family], udp(ports, Buffer.alloc(3000))), 1200)
          assert.deepEqual((await send(pieces())).counted, offered('fragments', 3))
        })
      }

      test('IPv6 extension headers do not hide what a packet is', async () => {
        const { send } = await load(placement, { kind: 'none' })
        const { counted } = await send([
          from(stranger.ip6, behindOptions('destinationOptions', udp(ports))),
          from(stranger.ip6, behindOptions('destinationOptions', tcp(ports))),
        ])
        assert.deepEqual(counted, { ...offered('udp', 1), ...offered('tcp-syn', 1) })
      })

      test('neighbour discovery passes a black hole', async () => {
        const { send } = await load(placement, { kind: 'black-hole', remainingSeconds: 100 })
        const { counted } = await send([
          from(stranger.ip6, icmp(protocol.icmpv6, 135, { body: Buffer.alloc(16) }), { hopLimit: 255 }),
        ])
        assert.equal(counted[droppedCounter('i-1', 'black-hole')], placement === 'host' ? undefined : 1)
      })

      test('sessions are followed before they are needed, where scrubbing may come', async () => {
        const followed = async (facts: Partial<ScrubInstance>) => {
          const enis = [{ id: 'eni-1', device: 'd0', placement }]
          const { send } = await load(placement, { kind: 'none' }, makeScrubIr([{ enis, ...facts }]))
          await send([from(stranger.ip, udp(ports))])
          return Number((await forwarder.host.run('conntrack', ['--count'])).stdout)
        }
        assert.equal(await followed({}), 0)
        assert.equal(await followed({ thresholds: { bpsMbit: 5, pps: 1000, source: 'manual' } }), 1)
      })

      test('sources are sampled', async () => {
        const { host, deliver } = await load(placement, makeCleaning())
        await deliver(repeated(800, () => from(stranger.ip, udp(ports))))
        const sampled = (await host.elements(sampledSet('i-1', 'ip'))).get(stranger.ip)
        // One in sixteen at random: 50, and six standard deviations of 7 around it.
        assert.ok(sampled != null && sampled.packets > 8 && sampled.packets < 92, `${sampled?.packets} sampled`)
      })

      test('a black hole ends by itself', async () => {
        const { send } = await load(placement, { kind: 'black-hole', remainingSeconds: 1 })
        const deadline = performance.now() + 20_000
        for (;;) {
          const { passed } = await send([from(stranger.ip, udp(ports)), from(stranger.ip6, udp(ports))])
          if (passed.every(each => each)) break
          assert.ok(performance.now() < deadline)
          await setTimeout(100)
        }
      })

      test('what was counted and learned stays when another lane comes, and black holes count on', async () => {
        const shares = { known: wide, unknown: { ...wide, packetsPerSecond: hardlyAny } }
        const cleaning = (lanes: Cleaning['lanes']) => makeCleaning({ shares, lanes })
        const { host, send, deliver, change } = await load(placement, cleaning(new Map()))
        const { passed, counted } = await send(repeated(200, () => from(stranger.ip, udp(ports))))
        const lost = passed.filter(each => !each).length
        assert.deepEqual(counted, { ...offered('udp', 200), ...dropped('sources', lost) })
        await change(cleaning(new Map([['udp', wide]])))
        assert.deepEqual(await deliver([from(stranger.ip, udp(ports))]), [false])
        assert.deepEqual(packetsBetween(new Map(), await host.counters()), {
          ...offered('udp', 201),
          ...dropped('sources', lost + 1),
        })
        await change({ kind: 'black-hole', remainingSeconds: 100 })
        const { counted: later } = await send([from(other.ip, udp(ports))])
        assert.deepEqual(later, { ...offered('udp', 1), ...dropped('black-hole', 1) })
        await change({ kind: 'none' })
        assert.deepEqual((await send([from(stranger.ip, udp(ports))])).passed, [true])
      })
    })
  }

  for (const family of families) {
    test(`the lane of fragments of ${family} holds them down, and nothing else`, async () => {
      const { send } = await load('host', makeCleaning({ lanes: new Map([['fragments', narrow]]) }))
      const pieces = repeated(10, () => fragment(from(stranger[family], udp(ports, Buffer.alloc(2000))), 1200)).flat()
      const { counted } = await send([...pieces, from(stranger[family], udp(ports))])
      const lost = counted[droppedCounter('i-1', 'fragments')] ?? 0
      assert.ok(lost >= 18 && lost < 20, `${lost} of 20 lost`)
    })
  }
})

function indexOf(packet: Buffer): number {
  return packet[0]! >> 4 === 6 ? packet.readUInt32BE(0) & 0xf_ffff : packet.readUInt16BE(4)
}
