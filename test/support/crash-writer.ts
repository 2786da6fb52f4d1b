/**
 * A client that writes over REST as fast as it can to a daemon that is killed again and again, and knows at any time
 * what must be there: everything acknowledged, and of the one request under way at a kill all or nothing.
 */
import assert from 'node:assert/strict'
import type { Random } from './random.ts'
import type { RestClient } from './rest-client.ts'

/** What a request does to what the client believes; made before it is sent. */
interface Step {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly body?: unknown
  /** Where there is one, the request is sent again after a kill, and is carried out once. */
  readonly key: string | null
  readonly apply: (answer: AnswerBody) => void
  /** Without a key: whether the daemon, asked after a kill, has it whole; asserts that it has nothing half. */
  readonly isDone: (client: RestClient) => Promise<AnswerBody | null>
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as they come
type AnswerBody = any

interface Believed {
  /** Rule ids, keyed by what the rule says. */
  readonly rules: Map<string, string>
}

const rulesOfBulk = 20

export class CrashWriter {
  /** Groups with ids of the client's making, and their rules. */
  readonly groups = new Map<string, Believed>()
  /** Groups that the daemon named, by names of which none may be there twice. */
  readonly keyed = new Map<string, string>()
  readonly deleted = new Set<string>()
  /** Groups that the ENI is in. */
  readonly joined: Set<string>
  /** Revisions of acknowledged writes. */
  readonly revisions = new Set<number>()
  acknowledged = 0
  /** Requests under way at a kill that turned out to be committed, and not. */
  readonly underWay = { committed: 0, lost: 0, replayed: 0 }
  readonly #name: string
  readonly #random: Random
  readonly #eniId: string
  readonly #home: string
  #number = 0
  #pending: Step | null = null

  /** @param options.home  the group that the ENI never leaves */
  constructor(name: string, options: { readonly random: Random; readonly eniId: string; readonly home: string }) {
    this.#name = name
    this.#random = options.random
    this.#eniId = options.eniId
    this.#home = options.home
    this.joined = new Set([options.home])
  }

  /** Writes until the connection breaks. @throws {Error} where an answer is a refusal */
  async writeUntilKilled(client: RestClient): Promise<void> {
    for (;;) {
      const step = this.#next()
      this.#pending = step
      const answer = await this.#send(client, step).catch(() => null)
      if (answer === null) return
      assert.ok(answer.status < 300, `${step.name}: ${answer.status} ${JSON.stringify(answer.body)}`)
      this.#acknowledge(step, answer.body)
    }
  }

  /** After the daemon has come back: finds out about the request that was under way, or sends it again. */
  async settle(client: RestClient): Promise<void> {
    const step = this.#pending
    if (step === null) return
    if (step.key === null) {
      const body = await step.isDone(client)
      this.underWay[body === null ? 'lost' : 'committed'] += 1
      if (body !== null) step.apply(body)
      this.#pending = null
      return
    }
    const { status, headers, body } = await this.#send(client, step)
    assert.ok(status < 300, `again: ${step.name}: ${status} ${JSON.stringify(body)}`)
    const wasReplayed = headers['idempotent-replayed'] === 'true'
    this.underWay[wasReplayed ? 'replayed' : 'lost'] += 1
    this.#acknowledge(step, body)
  }

  /** Every acknowledged write is there, and nothing else. */
  async check(client: RestClient): Promise<void> {
    for (const [id, { rules }] of this.groups) {
      const { body } = await client.call('GET', `/v1/security-groups/${id}`)
      assert.deepEqual(rulesIn(body), new Map([...rules].sort()), id)
    }
    for (const id of this.deleted) {
      assert.equal((await client.ask('GET', `/v1/security-groups/${id}`)).status, 404, `${id} is back`)
    }
    const named = await allPages(client, `/v1/security-groups?securityGroupName=${this.#name}-*&maxResults=500`)
    const found = named.map(group => [group.securityGroupName, group.securityGroupId] as const)
    assert.deepEqual(found.sort(), [...this.keyed].sort())
    const { body } = await client.call('GET', `/v1/network-interfaces/${this.#eniId}`)
    assert.deepEqual([...body.networkInterface.securityGroupIds].sort(), [...this.joined].sort())
  }

  #send(client: RestClient, { method, path, body, key }: Step) {
    return client.ask(method, path, body, key === null ? {} : { 'idempotency-key': key })
  }

  #acknowledge(step: Step, body: AnswerBody): void {
    step.apply(body)
    this.revisions.add(body.revision)
    this.acknowledged += 1
    this.#pending = null
  }

  #next(): Step {
    const random = this.#random
    this.#number += 1
    const ids = [...this.groups.keys()]
    const dice = random.integer(1, 12)
    if (ids.length < 3 || dice <= 2) return this.#makeGroup()
    if (dice <= 4) return this.#makeKeyedGroup()
    const id = random.pick(ids)
    if (dice <= 7) return this.#addRules(id)
    if (dice <= 9 && this.groups.get(id)!.rules.size > 0) return this.#revoke(id)
    if (dice === 10 && ids.length > 6 && !this.joined.has(id)) return this.#deleteGroup(id)
    return this.#joinOrLeave(random.pick(ids))
  }

  #rules(): readonly object[] {
    return Array.from({ length: rulesOfBulk }, (_, index) => ({
      direction: 'ingress',
      ipProtocol: 'tcp',
      portRange: `${this.#number}/${this.#number}`,
      sourceCidrIp: `198.18.${index}.0/24`,
    }))
  }

  #makeGroup(): Step {
    const id = `sg-${this.#name}-${this.#number}`
    return {
      name: `make ${id}`,
      method: 'POST',
      path: '/v1/security-groups',
      body: { securityGroupId: id, permissions: this.#rules(), innerAccessPolicy: 'accept' },
      key: null,
      apply: body => void this.groups.set(id, { rules: rulesIn(body) }),
      isDone: async client => {
        const { status, body } = await client.ask('GET', `/v1/security-groups/${id}`)
        if (status === 404) return null
        assert.equal(body.permissions.length, rulesOfBulk, `${id} is there by half`)
        return body
      },
    }
  }

  /** Done twice it would leave two groups of one name. */
  #makeKeyedGroup(): Step {
    const name = `${this.#name}-${this.#number}`
    return {
      name: `make ${name}`,
      method: 'POST',
      path: '/v1/security-groups',
      body: { securityGroupName: name, permissions: this.#rules() },
      key: `key-${name}`,
      apply: ({ securityGroup }) => void this.keyed.set(name, securityGroup.securityGroupId),
      isDone: async () => null,
    }
  }

  #addRules(id: string): Step {
    const { rules } = this.groups.get(id)!
    // The limit is 200: what is full is emptied first.
    if (rules.size + rulesOfBulk > 200) return this.#revoke(id, rules.size)
    const before = new Set(rules.keys())
    return {
      name: `add to ${id}`,
      method: 'POST',
      path: `/v1/security-groups/${id}/rules`,
      body: { permissions: this.#rules() },
      key: null,
      apply: body => {
        for (const [said, ruleId] of rulesIn(body)) rules.set(said, ruleId)
      },
      isDone: async client => {
        const { body } = await client.call('GET', `/v1/security-groups/${id}`)
        const permissions = body.permissions.filter((each: AnswerBody) => !before.has(saying(each)))
        assert.ok(
          [0, rulesOfBulk].includes(permissions.length),
          `${permissions.length} of ${rulesOfBulk} rules were added`,
        )
        return permissions.length === 0 ? null : { permissions }
      },
    }
  }

  #revoke(id: string, most = 5): Step {
    const { rules } = this.groups.get(id)!
    const chosen = this.#random.sample([...rules], Math.min(most, rules.size))
    const ruleIds = chosen.map(([, ruleId]) => ruleId)
    return {
      name: `revoke from ${id}`,
      method: 'POST',
      path: `/v1/security-groups/${id}/rules/revoke`,
      body: { securityGroupRuleIds: ruleIds },
      key: null,
      apply: () => {
        for (const [said] of chosen) rules.delete(said)
      },
      isDone: async client => {
        const { body } = await client.call('GET', `/v1/security-groups/${id}`)
        const left = new Set(rulesIn(body).values()).intersection(new Set(ruleIds))
        assert.ok([0, ruleIds.length].includes(left.size), `${left.size} of ${ruleIds.length} rules were left`)
        return left.size === 0 ? {} : null
      },
    }
  }

  #deleteGroup(id: string): Step {
    return {
      name: `delete ${id}`,
      method: 'DELETE',
      path: `/v1/security-groups/${id}`,
      key: null,
      apply: () => {
        this.groups.delete(id)
        this.deleted.add(id)
      },
      isDone: async client => ((await client.ask('GET', `/v1/security-groups/${id}`)).status === 404 ? {} : null),
    }
  }

  #joinOrLeave(id: string): Step {
    const leaves = this.joined.size > 1 && (this.joined.has(id) || this.joined.size === 5)
    const others = [...this.joined].filter(each => each !== this.#home)
    const groupId = leaves && !this.joined.has(id) ? this.#random.pick(others) : id
    const verb = leaves ? 'leave' : 'join'
    return {
      name: `${verb} ${groupId}`,
      method: 'POST',
      path: `/v1/security-groups/${groupId}/${verb}`,
      body: { networkInterfaceIds: [this.#eniId] },
      key: this.#random.chance(0.3) ? `key-${this.#name}-${this.#number}` : null,
      apply: () => void (leaves ? this.joined.delete(groupId) : this.joined.add(groupId)),
      isDone: async client => {
        const { body } = await client.call('GET', `/v1/network-interfaces/${this.#eniId}`)
        return body.networkInterface.securityGroupIds.includes(groupId) === leaves ? null : {}
      },
    }
  }
}

function rulesIn({ permissions }: AnswerBody): Map<string, string> {
  return new Map(permissions.map((each: AnswerBody) => [saying(each), each.securityGroupRuleId]).sort())
}

function saying({ portRange, sourceCidrIp }: AnswerBody): string {
  return `${portRange} ${sourceCidrIp}`
}

/** The items of a list, of all its pages. */
async function allPages(client: RestClient, path: string): Promise<AnswerBody[]> {
  const items: AnswerBody[] = []
  let next: string | null = null
  do {
    const page: AnswerBody = (
      await client.call('GET', next === null ? path : `${path}&nextToken=${encodeURIComponent(next)}`)
    ).body
    items.push(...page.items)
    next = page.nextToken
  } while (next !== null)
  return items
}
