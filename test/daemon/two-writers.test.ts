/** Several clients write to one group at once: no write is lost, no limit passed. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DaemonProcess } from '../support/daemon-process.ts'
import { makeRandom, type Random } from '../support/random.ts'
import { RestClient } from '../support/rest-client.ts'

const seed = Number(process.env.RINGWALL_SEED ?? Date.now() % 2 ** 32)
// Shown where something fails.
console.log(`RINGWALL_SEED=${seed}`)
const writers = ['one', 'another'] as const
/** Of each connection; requests of the same connection are under way one at a time. */
const connectionsOfWriter = 3

describe('two writers at once', () => {
  const stack = new AsyncDisposableStack()
  let admin: RestClient
  const connections = new Map<string, RestClient>()

  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ringwall-writers-'))
    stack.defer(() => rm(folder, { recursive: true }))
    const daemon = stack.use(new DaemonProcess(folder))
    await daemon.start()
    admin = stack.use(new RestClient(daemon))
    for (const writer of writers) {
      for (let number = 0; number < connectionsOfWriter; number += 1) {
        connections.set(`${writer}-${number}`, stack.use(new RestClient(daemon)))
      }
    }
  })
  after(() => stack.disposeAsync())

  async function makeGroup(securityGroupId: string): Promise<string> {
    await admin.call('POST', '/v1/security-groups', { securityGroupId })
    return `/v1/security-groups/${securityGroupId}`
  }

  /** Every connection does the same at once, each with its own dice. */
  async function atOnce(work: (client: RestClient, name: string, random: Random) => Promise<void>): Promise<void> {
    await Promise.all([...connections].map(([name, client], index) => work(client, name, makeRandom(seed + index))))
  }

  const ruleFor = (name: string, port: number) => ({
    direction: 'ingress',
    ipProtocol: 'tcp',
    portRange: `${port}/${port}`,
    sourceCidrIp: `198.18.${[...connections.keys()].indexOf(name)}.1`,
  })
  const read = async (path: string) => (await admin.call('GET', path)).body

  test('every rule that was acknowledged is there, unless its revocation was acknowledged too', async () => {
    const path = await makeGroup('sg-rules')
    const expected = new Map<string, string>()
    await atOnce(async (client, name, random) => {
      const own: string[] = []
      for (let port = 1; port <= 40; port += 1) {
        if (own.length > 0 && random.chance(0.4)) {
          const [id = ''] = own.splice(random.integer(0, own.length - 1), 1)
          await client.call('POST', `${path}/rules/revoke`, { securityGroupRuleIds: [id] })
          expected.delete(id)
        } else {
          const { body } = await client.call('POST', `${path}/rules`, { permissions: [ruleFor(name, port)] })
          const [{ securityGroupRuleId, portRange, sourceCidrIp }] = body.permissions
          own.push(securityGroupRuleId)
          expected.set(securityGroupRuleId, `${sourceCidrIp} ${portRange}`)
        }
      }
    })
    const { permissions } = await read(path)
    const found = permissions.map((each: Record<string, string>) => [
      each.securityGroupRuleId,
      `${each.sourceCidrIp} ${each.portRange}`,
    ])
    assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()))
    assert.ok(expected.size > 0)
  })

  test('of writes with If-Match on one revision, one holds', async () => {
    const path = await makeGroup('sg-counter')
    const rounds = 15
    let lost = 0
    await atOnce(async client => {
      for (let round = 0; round < rounds; ) {
        const { body, headers } = await client.call('GET', path)
        const count = Number(body.securityGroup.description ?? '0')
        const answer = await client.ask(
          'PATCH',
          path,
          { description: String(count + 1) },
          { 'if-match': String(headers.etag) },
        )
        if (answer.status === 412) {
          lost += 1
          assert.equal(answer.body.code, 'PreconditionFailed')
        } else {
          assert.equal(answer.status, 200, JSON.stringify(answer.body))
          round += 1
        }
      }
    })
    const { securityGroup } = await read(path)
    assert.equal(securityGroup.description, String(rounds * connections.size))
    assert.ok(lost > 0, 'they never met')
  })

  test('writes without If-Match to different fields of one object are all there', async () => {
    const path = await makeGroup('sg-fields')
    const tasks = [
      (round: number) => ({ description: `round ${round}` }),
      (round: number) => ({ securityGroupName: `round-${round}` }),
      (round: number) => ({ innerAccessPolicy: round % 2 === 0 ? 'accept' : 'drop' }),
      (round: number) => ({ tags: { round: String(round) } }),
    ]
    const clients = [...connections.values()]
    await Promise.all(
      tasks.map(async (task, index) => {
        for (let round = 1; round <= 20; round += 1) await clients[index]!.call('PATCH', path, task(round))
      }),
    )
    const { description, securityGroupName, innerAccessPolicy, tags } = (await read(path)).securityGroup
    assert.deepEqual(
      [description, securityGroupName, innerAccessPolicy, tags],
      ['round 20', 'round-20', 'accept', { round: '20' }],
    )
  })

  test('a limit is never passed by two at once', async () => {
    const path = await makeGroup('sg-limit')
    const { limits } = (await read('/v1/settings')).settings
    await admin.call('PATCH', '/v1/settings', { limits: { rulesPerGroup: 100 } })
    const acknowledged = new Set<string>()
    let refused = 0
    await atOnce(async (client, name) => {
      for (let port = 1; port <= 40; port += 1) {
        const { status, body } = await client.ask('POST', `${path}/rules`, { permissions: [ruleFor(name, port)] })
        if (status === 200) acknowledged.add(body.permissions[0].securityGroupRuleId)
        else {
          assert.deepEqual([status, body.code], [403, 'LimitExceeded'])
          refused += 1
        }
      }
    })
    const { permissions } = await read(path)
    assert.equal(permissions.length, 100)
    assert.equal(acknowledged.size, 100)
    assert.equal(refused, 40 * connections.size - 100)
    await admin.call('PATCH', '/v1/settings', { limits: { rulesPerGroup: limits.rulesPerGroup } })
  })

  test('of those who want the same address, or the same id, one gets it', async () => {
    await makeGroup('sg-claims')
    await admin.call('POST', '/v1/instances', { instanceId: 'i-claims' })
    const won = new Map<string, number>()
    await atOnce(async (client, name) => {
      for (let round = 1; round <= 10; round += 1) {
        const claims = [
          ['POST', '/v1/instances', { instanceId: `i-claim${round}` }],
          [
            'POST',
            '/v1/network-interfaces',
            {
              networkInterfaceId: `eni-${name}-${round}`,
              instanceId: 'i-claims',
              device: `${name.slice(0, 3)}${name.at(-1)}x${round}`,
              privateIpAddresses: [`198.18.200.${round}`],
              securityGroupIds: ['sg-claims'],
            },
          ],
        ] as const
        for (const [method, path, body] of claims) {
          const { status, body: answer } = await client.ask(method, path, body)
          const claim = `${path} ${round}`
          if (status === 201) won.set(claim, (won.get(claim) ?? 0) + 1)
          else assert.equal(status, 409, JSON.stringify(answer))
        }
      }
    })
    assert.deepEqual([...new Set(won.values())], [1])
    assert.equal(won.size, 20)
    const { totalCount } = await read('/v1/security-groups/sg-claims/members')
    assert.equal(totalCount, 10)
  })

  test('one Idempotency-Key used by all at once makes one group', async () => {
    const answers: string[] = []
    await atOnce(async client => {
      for (let round = 1; round <= 10; round += 1) {
        const headers = { 'idempotency-key': `at-once-${round}` }
        const { body } = await client.call(
          'POST',
          '/v1/security-groups',
          { securityGroupName: `once-${round}` },
          headers,
        )
        answers.push(body.securityGroup.securityGroupId)
      }
    })
    assert.equal(answers.length, 10 * connections.size)
    assert.equal(new Set(answers).size, 10)
    assert.equal((await read('/v1/security-groups?securityGroupName=once-*')).totalCount, 10)
  })
})
