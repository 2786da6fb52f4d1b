/** Sessions that stay allowed lose no packet because of any change, and neither do the ICMP errors about them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Namespace } from '../../lab/netns.ts'
import type { Family } from '../../rules-compiler/address/cidr.ts'
import { startAgent } from '../support/agent.ts'
import { answerFlows, startFlow } from '../support/flow.ts'
import { makeForwarder } from '../support/forwarder.ts'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { lostFrames } from '../support/lost-frames.ts'
import { icmp, makePacket, protocol as protocols, udp } from '../support/packets/craft.ts'
import { acceptGroup, acceptPort, closedGroup, policyDocument, type Rule } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'

const port = 7001
const steps = 50

let network: HostNetwork

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  await answerFlows(network.namespaces.host, port)
  await answerFlows(network.namespaces.guest1, port)
  await answerFlows(network.namespaces.outside, port)
})

after(() => network?.[Symbol.asyncDispose]())

/** What each step does to the rest of the policy, in turn; the flows stay allowed, by a rule, a group or by default. */
const twists: readonly ((step: number) => readonly Rule[])[] = [
  step => acceptPort(10_000 + step),
  step => [...acceptPort(10_000 + step), ...acceptPort(9, 'ingress', { policy: 'drop', priority: 50 })],
  step => acceptPort(port, 'ingress', { priority: 2 + step }),
  step => [...acceptPort(9, 'egress', { policy: 'drop' }), ...acceptPort(20_000 + step, 'egress')],
  () => [],
]

function stepDocument(step: number) {
  const others = step % 3 === 0 ? [] : [`198.18.9.${step}`, `2001:db8:9::${step}`]
  const groups = [
    closedGroup('sg-1', [
      ...acceptPort(port, 'ingress', { priority: 1 + (step % 7) }),
      ...twists[step % twists.length]!(step),
    ]),
    closedGroup('sg-2', [acceptGroup('sg-peers')]),
    { id: 'sg-peers', members: [...Object.values(addresses.outside), ...others] },
    closedGroup('sg-3', acceptPort(30_000 + step)),
  ]
  const extra = step % 4 === 0 ? ['sg-3'] : []
  return policyDocument({ host: ['sg-1', ...extra], guest1: ['sg-2', ...extra] }, groups)
}

test(`flows through ${steps} changes lose nothing`, { skip: needsKernel, timeout: 240_000 }, async () => {
  const { outside, host, guest1 } = network.namespaces
  const all = [outside, host, guest1]
  const lostBefore = await countLostFrames(all)
  await using agent = await startAgent({ namespace: host, policy: stepDocument(0) })
  const flows = await Promise.all([
    startFlow(outside, { protocol: 'udp', address: addresses.host.ip, port }),
    startFlow(outside, { protocol: 'udp', address: addresses.guest1.ip6, port }),
    startFlow(outside, { protocol: 'tcp', address: addresses.host.ip6, port }),
    startFlow(outside, { protocol: 'tcp', address: addresses.guest1.ip, port }),
    startFlow(host, { protocol: 'udp', address: addresses.outside.ip, port }),
    startFlow(guest1, { protocol: 'tcp', address: addresses.outside.ip6, port }),
  ])
  let judgedAgain = 0
  for (let step = 1; step <= steps; step += 1) {
    const { line } = await agent.replacePolicy(stepDocument(step))
    judgedAgain += line.judgedAgain!.length
  }
  const counts = await Promise.all(flows.map(flow => flow.stop()))
  assert.ok(judgedAgain > steps, `only ${judgedAgain} times sessions were judged again`)
  for (const { sent } of counts) assert.ok(sent > 1000, `only ${sent} messages sent`)
  const messages = counts.reduce((sum, { lost }) => sum + lost, 0)
  const segments = await countLostSegments(all)
  // Lost on the way to us or from us, where the machine had no room for them; almost always none.
  const frames = (await countLostFrames(all)) - lostBefore
  assert.ok(messages <= frames && segments <= frames, `${messages} messages and ${segments} segments lost by ${frames}`)
})

async function countLostFrames(namespaces: readonly Namespace[]): Promise<number> {
  const listings = await Promise.all(namespaces.map(({ run }) => run('cat', ['/proc/net/dev'])))
  return listings.reduce((sum, { stdout }) => sum + lostFrames(stdout), 0)
}

/**
 * Segments that TCP sent again because they were lost: it hides them from whoever reads. A segment sent again though it
 * had arrived, because its sender waited too short on a busy machine, is told by the receiver (RFC 2883).
 */
async function countLostSegments(namespaces: readonly Namespace[]): Promise<number> {
  const names = ['TcpRetransSegs', 'TcpExtTCPDSACKRecvSegs']
  const listings = await Promise.all(namespaces.map(({ run }) => run('nstat', ['-a', '-z', '-s', ...names])))
  const sum = (name: string) =>
    listings.reduce((total, { stdout }) => total + Number(new RegExp(`^${name} +(\\d+)`, 'm').exec(stdout)![1]), 0)
  return sum('TcpRetransSegs') - sum('TcpExtTCPDSACKRecvSegs')
}

const outer = { ip: ['203.0.113.1', '198.18.0.1'], ip6: ['2001:db8:f::1', '2001:db8::1'] } as const
const here = { ip: '198.18.0.2', ip6: '2001:db8::2' } as const
const there = { ip: '198.18.7.7', ip6: '2001:db8:7::7' } as const

for (const family of ['ip', 'ip6'] as const satisfies readonly Family[]) {
  for (const direction of ['ingress', 'egress'] as const) {
    test(`an ICMP error about an allowed ${direction} session passes right after a change, ${family}`, {
      skip: needsKernel,
    }, async () => {
      await using forwarder = await makeForwarder()
      const document = (ports: readonly number[]) => ({
        ...policyDocument({}, [
          closedGroup('sg-1', ports.flatMap(number => acceptPort(number, direction)).concat(dropRest(direction))),
        ]),
        interfaces: [{ id: 'eni-1', device: 'd0', addresses: Object.values(here), securityGroupIds: ['sg-1'] }],
      })
      await using agent = await startAgent({ namespace: forwarder.host, policy: document([7000, port]) })
      // The ENI is on the left: who is there asks on egress for a host's device seen from the right, and so on.
      const [near, far] = direction === 'ingress' ? [there, here] : [here, there]
      const questionSide = direction === 'ingress' ? 'left' : 'right'
      const errorSide = direction === 'ingress' ? 'right' : 'left'
      const question = (destinationPort: number, index: number) =>
        makePacket(
          { index, source: near[family], destination: far[family] },
          udp({ sourcePort: 5000, destinationPort }),
        )
      const error = (destinationPort: number, index: number) =>
        makePacket(
          { index, source: outer[family][0], destination: near[family] },
          tooBig(family, question(destinationPort, index)),
        )
      const opened = await forwarder.send([
        { side: questionSide, packet: question(7000, 1) },
        { side: questionSide, packet: question(port, 2) },
      ])
      assert.deepEqual([...opened], [1, 2])
      const { line } = await agent.replacePolicy(document([port]))
      assert.ok(line.judgedAgain!.includes(`eni-1/${direction}`))
      const passed = await forwarder.send([
        { side: errorSide, packet: error(7000, 3) },
        { side: errorSide, packet: error(port, 4) },
      ])
      assert.deepEqual([...passed], [4])
    })
  }
}

/** Where egress is open by default, a rule closes it. */
function dropRest(direction: 'ingress' | 'egress'): Rule[] {
  if (direction === 'ingress') return []
  return [7000, port].flatMap(number => acceptPort(number, 'egress', { policy: 'drop', priority: 50 }))
}

/** Fragmentation needed, or packet too big: next hop's MTU 1,300. */
function tooBig(family: Family, about: Buffer) {
  const rest = Buffer.from([0, 0, 1300 >> 8, 1300 & 255])
  return family === 'ip'
    ? icmp(protocols.icmp, 3, { code: 4, rest, body: about })
    : icmp(protocols.icmpv6, 2, { rest, body: about })
}
