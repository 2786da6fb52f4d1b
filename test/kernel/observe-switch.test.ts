/**
 * From observe to enforce and back by a running agent, with real sessions: what the rules accept loses no packet on the
 * way, what was only let through is cut at its next packet, and no session is judged anew for it.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Conversation } from '../../lab/conversation.ts'
import type { Family } from '../../rules-compiler/address/cidr.ts'
import { startAgent } from '../support/agent.ts'
import { addresses, createHostNetwork, type HostNetwork, type Place } from '../support/host-network.ts'
import { acceptPort, closedGroup, eniPlaces, policyDocument } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import {
  arrives,
  converse,
  type Ends,
  listenForSessions,
  openSession,
  patienceMs,
  sessionKinds,
} from '../support/sessions.ts'

const families: readonly Family[] = ['ip', 'ip6']
/** Accepted by no rule on the way in, and dropped by one on the way out. */
const refusedPort = 7000
const allowedPort = 7001

type EniPlace = 'host' | 'guest1'
/** Whose word it is: the ENI's or its group's. */
type Says = 'eni' | 'group'

let network: HostNetwork

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  for (const peer of Object.values(network.peers)) {
    for (const port of [refusedPort, allowedPort]) await listenForSessions(peer, port)
  }
})

after(() => network?.[Symbol.asyncDispose]())

function documentOf(place: EniPlace, mode: 'enforce' | 'observe', says: Says, settings: object) {
  const drops = { policy: 'drop', priority: 1 }
  const rules = [...acceptPort(allowedPort), ...acceptPort(refusedPort, 'egress', drops)]
  const group = { ...closedGroup('sg-1', rules), ...(says === 'group' && { mode }) }
  const document = policyDocument({ [place]: ['sg-1'] }, [group], settings)
  const interfaces = document.interfaces.map(eni => ({ ...eni, ...(says === 'eni' && { mode }) }))
  return { ...document, interfaces }
}

function endsOf(client: Place, server: Place) {
  return (family: Family, port: number): Ends => ({
    client: network.peers[client],
    server: network.peers[server],
    address: addresses[server][family],
    port,
  })
}

/**
 * Datagrams both ways until told to stop, each sent when the one before has arrived: nothing but a ruleset can lose one.
 * Stopping says how many arrived, or fails where one did not.
 */
function startStreams(conversations: readonly { readonly client: Conversation; readonly server: Conversation }[]) {
  let stopped = false
  const streams = conversations
    .flatMap(({ client, server }) => [
      { from: client, to: server },
      { from: server, to: client },
    ])
    .map(async ({ from, to }) => {
      let sent = 0
      for (; !stopped; sent += 1) assert.ok(await arrives(from, to, patienceMs), `datagram ${sent + 1} is lost`)
      return sent
    })
  return {
    async stop(): Promise<number> {
      stopped = true
      return Math.min(...(await Promise.all(streams)))
    },
  }
}

const rows: readonly { place: EniPlace; direction: 'ingress' | 'egress'; says: Says; settings: object }[] = [
  { place: 'host', direction: 'ingress', says: 'eni', settings: {} },
  { place: 'host', direction: 'egress', says: 'group', settings: { revocation: 'drain' } },
  { place: 'guest1', direction: 'ingress', says: 'group', settings: { logging: { drops: false } } },
  { place: 'guest1', direction: 'egress', says: 'eni', settings: { logging: { sessions: true, perSecond: 1 } } },
]

for (const { place, direction, says, settings } of rows) {
  const name = `${eniPlaces[place].placement} placement, ${direction}, the ${says}'s mode, ${JSON.stringify(settings)}`
  test(`from observe to enforce and back: ${name}`, { skip: needsKernel }, async () => {
    const document = (mode: 'enforce' | 'observe') => documentOf(place, mode, says, settings)
    const ends = direction === 'ingress' ? endsOf('outside', place) : endsOf(place, 'outside')
    const namespace = network.namespaces.host
    await namespace.run('conntrack', ['--flush'])
    await using agent = await startAgent({ namespace, policy: document('observe') })

    const refused = await Promise.all(
      families.flatMap(family =>
        sessionKinds.filter(kind => kind !== 'ping').map(kind => openSession(kind, ends(family, refusedPort))),
      ),
    )
    const datagrams = await Promise.all(families.map(family => converse('udp', ends(family, allowedPort))))
    const connections = await Promise.all(families.map(family => converse('tcp', ends(family, allowedPort))))
    const expectThrough = async (through: boolean, when: string) => {
      const waits = through ? [patienceMs] : []
      const ways = await Promise.all(refused.map(session => session.waysThrough(...waits)))
      assert.deepEqual(
        ways.map(({ length }) => length > 0),
        refused.map(() => through),
        when,
      )
    }
    await expectThrough(true, 'observed, everything passes')

    for (const [mode, through] of [
      ['enforce', false],
      ['observe', true],
      ['enforce', false],
    ] as const) {
      const streams = startStreams(datagrams)
      const { line } = await agent.replacePolicy(document(mode))
      assert.deepEqual(line.judgedAgain, [], 'no session is judged again')
      await expectThrough(through, `after the change to ${mode}`)
      assert.ok((await streams.stop()) > 0)
      for (const { client, server } of connections) {
        assert.ok(
          await arrives(server, client, patienceMs),
          'a connection that is allowed goes on, the server speaking first',
        )
        assert.ok(await arrives(client, server, patienceMs), 'a connection that is allowed goes on')
      }
    }
  })
}

test('what a change takes away while observed is let through, and cut once that is enforced', {
  skip: needsKernel,
}, async () => {
  const withPorts = (mode: string, ...ports: readonly number[]) =>
    policyDocument({ host: ['sg-1'] }, [
      {
        ...closedGroup(
          'sg-1',
          ports.flatMap(port => acceptPort(port)),
        ),
        ...{ mode },
      },
    ])
  const namespace = network.namespaces.host
  await using agent = await startAgent({ namespace, policy: withPorts('observe', allowedPort, refusedPort) })
  const ends = endsOf('outside', 'host')
  const { client, server } = await converse('tcp', ends('ip', refusedPort))
  const { line } = await agent.replacePolicy(withPorts('observe', allowedPort))
  assert.deepEqual(line.judgedAgain, ['eni-host/ingress'])
  assert.ok((await arrives(server, client, patienceMs)) && (await arrives(client, server, patienceMs)))
  await agent.replacePolicy(withPorts('enforce', allowedPort))
  assert.deepEqual([await arrives(server, client), await arrives(client, server)], [false, false])
})

test('between two guests of one host, one observed: the other one’s verdict stands', {
  skip: needsKernel,
}, async () => {
  const document = (from: string, into: string) => {
    const closed = policyDocument({ guest1: ['sg-1'], guest2: ['sg-2'] }, [
      closedGroup('sg-1', acceptPort(refusedPort, 'egress', { policy: 'drop' })),
      closedGroup('sg-2', acceptPort(allowedPort)),
    ])
    const modes: Readonly<Record<string, string>> = { 'eni-1': from, 'eni-2': into }
    return { ...closed, interfaces: closed.interfaces.map(eni => ({ ...eni, mode: modes[eni.id] })) }
  }
  const namespace = network.namespaces.host
  await namespace.run('conntrack', ['--flush'])
  await using agent = await startAgent({ namespace, policy: document('observe', 'observe') })
  const ends = endsOf('guest1', 'guest2')
  const { client, server } = await converse('tcp', ends('ip', refusedPort))
  const passes = async (...waits: [] | [number]) => [
    await arrives(client, server, ...waits),
    await arrives(server, client, ...waits),
  ]
  assert.deepEqual(await passes(patienceMs), [true, true])
  for (const [from, into] of [
    ['observe', 'enforce'],
    ['enforce', 'observe'],
  ] as const) {
    await agent.replacePolicy(document(from, into))
    assert.deepEqual(await passes(), [false, false], `${from} at the source, ${into} at the destination`)
    await agent.replacePolicy(document('observe', 'observe'))
    assert.deepEqual(await passes(patienceMs), [true, true])
  }
})
