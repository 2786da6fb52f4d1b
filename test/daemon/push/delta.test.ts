/**
 * Whatever is committed, and wherever an agent's hearing of it is cut, what it has put together from deltas is what a
 * snapshot of the present state would say. And whoever is not told of a commit had nothing to hear.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { deltaSince, heldOf, type Update } from '../../../daemon/push/delta.ts'
import { Encoder } from '../../../daemon/push/encoder.ts'
import { impactOf } from '../../../daemon/push/impact.ts'
import { MemberLog } from '../../../daemon/push/member-log.ts'
import { viewKeysOf, viewObject } from '../../../daemon/push/views.ts'
import { World } from '../../../daemon/state/world.ts'
import type { Write } from '../../../daemon/store/store.ts'
import { defaultLimits } from '../../../rules-compiler/model/policy.ts'
import type { ToAgent } from '../../../wire/messages.ts'
import {
  account,
  makeAgent,
  makeEniDoc,
  makeGroup,
  makeInstance,
  makePortRangeList,
  makePrefixList,
  makeRuleDoc,
  put,
} from '../../support/documents.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { makeRandom, type Random } from '../../support/random.ts'
import { ViewCopy } from '../../support/view-copy.ts'

const agentIds = ['agent-1', 'agent-2', 'agent-3']
const instanceIds = ['i-1', 'i-2', 'i-3', 'i-4']
const eniIds = ['eni-1', 'eni-2', 'eni-3', 'eni-4', 'eni-5', 'eni-6']
const groupIds = ['sg-1', 'sg-2', 'sg-3', 'sg-4']
const listIds = ['pl-1', 'pl-2']
const portListIds = ['prl-1', 'prl-2']
const addresses = ['198.18.0.1', '198.18.0.2', '198.18.0.3', '2001:db8::1', '2001:db8::2']

/** The daemon's side without sockets, as it is put together from a store. */
class Daemon {
  readonly store: MemoryStore
  readonly world: World
  readonly log: MemberLog
  readonly encoder: Encoder

  private constructor(store: MemoryStore, world: World, log: MemberLog) {
    this.store = store
    this.world = world
    this.log = log
    this.encoder = new Encoder({ storeId: store.id, world, log })
  }

  static async start(store: MemoryStore, maxEntries: number): Promise<Daemon> {
    const listing = await store.list('')
    return new Daemon(store, new World(listing), await MemberLog.read(store, listing.revision, { maxEntries }))
  }

  /** @returns the agents concerned */
  async commit(writes: readonly Write[]): Promise<ReadonlySet<string>> {
    await this.store.commit({ writes })
    const [commit] = await this.store.history(this.store.head(), 1)
    const impact = impactOf(this.world, commit!.changes)
    this.world.apply(commit!)
    this.log.append(commit!)
    return impact.agentIds
  }

  updateFor(agentId: string, copy: ViewCopy): Update {
    return deltaSince(this.world, this.log, agentId, heldOf(copy.held, this.store.id))
  }

  tell(agentId: string, copy: ViewCopy): void {
    const text = this.encoder.encode(this.updateFor(agentId, copy)).toString()
    copy.apply(JSON.parse(text) as Extract<ToAgent, { type: 'snapshot' | 'delta' }>)
  }

  viewOf(agentId: string) {
    return [...viewKeysOf(this.world, agentId)].sort().map(key => viewObject(this.world, key))
  }
}

const sorted = (copy: ViewCopy) => [...copy.objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)

function randomWrites(random: Random): Write[] {
  const writes = new Map<string, Write>()
  for (let count = random.integer(1, 3); count > 0; count -= 1) {
    const write = randomWrite(random)
    writes.set(write.key, write)
  }
  return [...writes.values()]
}

function randomWrite(random: Random): Write {
  const gone = random.chance(0.15)
  switch (random.integer(0, 7)) {
    case 0: {
      const id = random.pick(instanceIds)
      const doc = makeInstance({
        id,
        agentId: random.chance(0.2) ? null : random.pick(agentIds),
        smtpUnblocked: random.chance(0.5),
        description: random.chance(0.5) ? 'no news to agents' : null,
      })
      return gone ? { key: `instance/${id}`, value: null } : put('instance', doc)
    }
    case 1: {
      const id = random.pick(groupIds)
      const rules = random.sample([...groupIds, ...listIds], random.integer(0, 3)).map((peer, index) =>
        makeRuleDoc({
          id: `sgr-${index}`,
          ...(peer.startsWith('pl')
            ? { sourcePrefixListId: peer }
            : { destGroupId: peer, direction: 'egress' as const }),
          ...(random.chance(0.3) && { portRange: '', portRangeListId: random.pick(portListIds) }),
        }),
      )
      const innerAccessPolicy = random.chance(0.5) ? 'accept' : 'drop'
      const vpcId = random.chance(0.1) ? 'vpc-2' : null
      const doc = makeGroup({ id, rules, innerAccessPolicy, vpcId, name: random.chance(0.5) ? 'no news' : null })
      return gone ? { key: `group/${id}`, value: null } : put('group', doc)
    }
    case 2: {
      if (random.chance(0.5)) {
        const id = random.pick(portListIds)
        const ranges = random.sample(['80/80', '443/443', '8000/8100'], random.integer(0, 3))
        // One that rules name is never deleted.
        return put('portRangeList', makePortRangeList(id, ranges))
      }
      const id = random.pick(listIds)
      return gone
        ? { key: `prefixList/${id}`, value: null }
        : put('prefixList', makePrefixList(id, random.sample(['203.0.113.0/24', '192.0.2.0/24'], 2)))
    }
    case 3: {
      const value = { sessionTimeout: random.integer(1, 910), revocation: 'immediate' as const, limits: defaultLimits }
      return { key: 'settings/fleet', value: gone ? null : value }
    }
    default: {
      const id = random.pick(eniIds)
      const doc = makeEniDoc({
        id,
        instanceId: random.pick(instanceIds),
        addresses: random.sample(addresses, random.integer(0, 2)),
        securityGroupIds: random.sample(groupIds, random.integer(0, 3)),
      })
      return gone ? { key: `eni/${id}`, value: null } : put('eni', doc)
    }
  }
}

describe('an agent that puts deltas together', () => {
  test('knows what a snapshot would say, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async seed => {
        const random = makeRandom(seed)
        const maxEntries = random.pick([2, 10, 1000])
        let store = new MemoryStore()
        await store.commit({ writes: agentIds.map(id => put('agent', makeAgent({ id }))) })
        let daemon = await Daemon.start(store, maxEntries)
        const copies = new Map(agentIds.map(id => [id, new ViewCopy()]))
        for (const [id, copy] of copies) daemon.tell(id, copy)
        for (let step = 0; step < 40; step += 1) {
          const before = new Map(agentIds.map(id => [id, daemon.viewOf(id)]))
          const concerned = await daemon.commit(randomWrites(random))
          for (const id of agentIds) {
            if (!concerned.has(id))
              assert.deepEqual(daemon.viewOf(id), before.get(id), `${id} heard nothing of a change`)
          }
          for (const [id, copy] of copies) {
            if (random.chance(0.4)) {
              daemon.tell(id, copy)
              assert.deepEqual(sorted(copy), daemon.viewOf(id))
            }
          }
          if (random.chance(0.1)) await store.compact(random.integer(store.oldest(), store.head()))
          if (random.chance(0.1)) daemon = await Daemon.start(store, maxEntries)
          if (random.chance(0.03)) {
            // A backup that was put back: another store at a revision of this one.
            store = new MemoryStore({ listing: await store.list('') })
            daemon = await Daemon.start(store, maxEntries)
          }
        }
        for (const [id, copy] of copies) {
          daemon.tell(id, copy)
          assert.deepEqual(sorted(copy), daemon.viewOf(id))
        }
      }),
      { numRuns: 150 },
    )
  })
})

describe('an update', () => {
  const start = async () => {
    const store = new MemoryStore()
    await store.commit({
      writes: [
        put('agent', makeAgent({ id: 'agent-1' })),
        put('instance', makeInstance({ id: 'i-1', agentId: 'agent-1' })),
        put('instance', makeInstance({ id: 'i-2' })),
        put(
          'eni',
          makeEniDoc({ id: 'eni-1', instanceId: 'i-1', securityGroupIds: ['sg-db'], addresses: ['198.18.0.1'] }),
        ),
        ...['198.18.0.2', '198.18.0.3', '198.18.0.4'].map((address, index) =>
          put(
            'eni',
            makeEniDoc({
              id: `eni-app-${index}`,
              instanceId: 'i-2',
              securityGroupIds: ['sg-app'],
              addresses: [address],
            }),
          ),
        ),
        put('group', makeGroup({ id: 'sg-db', rules: [makeRuleDoc({ id: 'sgr-1', sourceGroupId: 'sg-app' })] })),
        put('group', makeGroup({ id: 'sg-app' })),
      ],
    })
    const daemon = await Daemon.start(store, 1000)
    const copy = new ViewCopy()
    daemon.tell('agent-1', copy)
    return { store, daemon, copy }
  }
  const join = put(
    'eni',
    makeEniDoc({ id: 'eni-new', instanceId: 'i-2', securityGroupIds: ['sg-app'], addresses: ['198.18.0.9'] }),
  )
  const leave: Write = { key: 'eni/eni-new', value: null }

  test('of who joined a group is its addresses', async () => {
    const { daemon, copy } = await start()
    assert.deepEqual([...(await daemon.commit([join]))], ['agent-1'])
    const update = daemon.updateFor('agent-1', copy)
    assert.partialDeepStrictEqual(update, {
      kind: 'delta',
      set: [],
      remove: [],
      members: [{ id: 'sg-app', add: ['198.18.0.9'], remove: [] }],
    })
  })

  test('of who joined and left again is empty', async () => {
    const { daemon, copy } = await start()
    await daemon.commit([join])
    await daemon.commit([leave])
    assert.partialDeepStrictEqual(daemon.updateFor('agent-1', copy), {
      kind: 'delta',
      set: [],
      remove: [],
      members: [],
    })
  })

  test('of another account is not made: the name of a group is no news', async () => {
    const { daemon } = await start()
    const concerned = await daemon.commit([
      put('group', makeGroup({ id: 'sg-app', name: 'applications', accountId: account })),
    ])
    assert.deepEqual([...concerned], [])
  })

  test('is a delta after a restart of the daemon', async () => {
    const { store, daemon, copy } = await start()
    await daemon.commit([join])
    const restarted = await Daemon.start(store, 1000)
    assert.partialDeepStrictEqual(restarted.updateFor('agent-1', copy), {
      kind: 'delta',
      set: [],
      members: [{ id: 'sg-app' }],
    })
  })

  test('is a snapshot where history does not reach back', async () => {
    const { store, daemon, copy } = await start()
    await daemon.commit([join])
    await daemon.commit([leave])
    await store.compact(3)
    assert.equal((await Daemon.start(store, 1000)).updateFor('agent-1', copy).kind, 'snapshot')
  })

  test('is a snapshot for who knows another store, or the future of this one', async () => {
    const { store, daemon, copy } = await start()
    const restored = await Daemon.start(new MemoryStore({ listing: await store.list('') }), 1000)
    assert.equal(restored.updateFor('agent-1', copy).kind, 'snapshot')
    copy.position = { storeId: store.id, revision: 99 }
    assert.equal(daemon.updateFor('agent-1', copy).kind, 'snapshot')
  })

  test('of a group that was replaced under its name has all members', async () => {
    const { daemon, copy } = await start()
    await daemon.commit([{ key: 'group/sg-app', value: null }])
    await daemon.commit([put('group', makeGroup({ id: 'sg-app', vpcId: 'vpc-2' }))])
    assert.partialDeepStrictEqual(daemon.updateFor('agent-1', copy), {
      kind: 'delta',
      set: ['members/sg-app'],
      members: [],
    })
  })

  test('that many are told is written once, and kept only as long as there is room for it', async () => {
    const { store, daemon, copy } = await start()
    await daemon.commit([join])
    const update = daemon.updateFor('agent-1', copy)
    const parts = { storeId: store.id, world: daemon.world, log: daemon.log }
    const roomy = new Encoder(parts)
    const message = roomy.encode(update)
    const other: Update = { kind: 'delta', keys: new Set(), set: [], remove: ['group/sg-gone'], members: [] }
    roomy.encode(other)
    assert.equal(roomy.encode(update), message)

    const narrow = new Encoder({ ...parts, maxDeltaBytes: message.length })
    const first = narrow.encode(update)
    assert.equal(narrow.encode(update), first)
    narrow.encode(other)
    const again = narrow.encode(update)
    assert.notEqual(again, first)
    assert.deepEqual(again, first)
  })
})
