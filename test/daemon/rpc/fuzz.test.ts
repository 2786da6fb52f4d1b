/** Hostile and careless requests for everything the RPC API has: `npm run fuzz:rpc` does the same for longer. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startApi, type TestApi } from '../../support/api.ts'
import { fuzzRpc } from '../../support/fuzz/rpc.ts'
import { accountKey } from '../../support/ram.ts'
import { inject, type RpcKey, signFlat } from '../../support/rpc-client.ts'

const seed = Number(process.env.RINGWALL_SEED ?? 20_261_127)
const requests = Number(process.env.RINGWALL_FUZZ_REQUESTS ?? 2500)

test('whatever is asked is answered or refused in the published shape, and what is refused changes nothing', async () => {
  const { faults, statuses, codes, successes } = await fuzzRpc({ seed, requests })
  assert.deepEqual(faults, [])
  // A fuzzer that is always refused, at the door or a step further, tests the door.
  const answered = [...successes.values()].filter(count => count > 0).length
  assert.ok(answered > successes.size / 2, `${answered} of ${successes.size} actions were answered with success`)
  for (const status of [200, 400, 403, 404, 405, 409]) {
    assert.ok((statuses.get(status) ?? 0) > 0, `nothing was answered with ${status}`)
  }
  for (const code of ['SignatureDoesNotMatch', 'IncompleteSignature', 'InvalidParameter', 'Forbidden.RAM']) {
    assert.ok((codes.get(code) ?? 0) > 0, `nothing was refused with ${code}`)
  }
})

test('requests that store nothing leave nothing in memory', async () => {
  const { faults, heapBytes } = await fuzzRpc({ seed: seed + 1, requests: requests + 500, changesNothing: true })
  assert.deepEqual(faults, [])
  const [first = 0] = heapBytes
  const last = heapBytes.at(-1) ?? 0
  // Each signed request leaves its nonce for a quarter of an hour; a body of 1 MB must not stay with it.
  assert.ok(last < first + 4 * 1024 ** 2, `${heapBytes.map(bytes => `${Math.round(bytes / 1024)} KiB`).join(', ')}`)
})

describe('what is four times as large takes about four times as long', () => {
  let api: TestApi
  let key: RpcKey
  before(async () => {
    api = await startApi()
    key = await accountKey(api)
    await api.request('POST', '/v1/security-groups', { securityGroupId: 'sg-1' })
  })
  after(() => api[Symbol.asyncDispose]())

  type Pairs = readonly (readonly [string, string])[]
  const many = (count: number, of: (number: number) => readonly [string, string]): Pairs =>
    Array.from({ length: count }, (_, index) => of(index + 1))
  /** The largest of each is near what is still read. */
  const shapes: readonly (readonly [string, string, (size: number) => Pairs])[] = [
    ['many parameters', 'DescribeSecurityGroups', size => many(size * 900, number => [`Unknown${number}`, 'x'])],
    ['a list with gaps', 'CreateSecurityGroup', size => many(size * 900, number => [`Tag.${number * 2}.Key`, 'x'])],
    [
      'names of one branch',
      'DescribeSecurityGroups',
      size => many(size * 900, number => [`a.b.c.d.e.f${number}`, 'x']),
    ],
    ['a long value', 'DescribeSecurityGroups', size => [['SecurityGroupName', "'é(".repeat(size * 20_000)]]],
    ['a value that nearly fits', 'CreateSecurityGroup', size => [['Description', ' http:'.repeat(size * 20_000)]]],
    ['a JSON list', 'DescribeSecurityGroups', size => [['SecurityGroupIds', `[${'"a",'.repeat(size * 40_000)}"a"]`]]],
    ['deep JSON', 'DescribeSecurityGroups', size => [['SecurityGroupIds', '['.repeat(size * 100_000)]]],
    [
      'a policy',
      'CreatePolicy',
      size => [
        ['PolicyName', 'a'],
        ['PolicyDocument', policyOf(size * 60)],
      ],
    ],
    [
      'deep policy',
      'CreatePolicy',
      size => [
        ['PolicyName', 'a'],
        ['PolicyDocument', '['.repeat(size * 2400) + ']'.repeat(size * 2400)],
      ],
    ],
    [
      'objects of rules',
      'AuthorizeSecurityGroup',
      size => many(size * 24, number => [`Permissions.${number}.SourceCidrIp`, '10.0.0.0/8,'.repeat(90)]),
    ],
  ]
  const policyOf = (statements: number) =>
    JSON.stringify({
      Version: '1',
      Statement: many(statements, number => ['', String(number)]).map(() => ({
        Effect: 'Allow',
        Action: 'e*c*s',
        Resource: '*',
      })),
    })

  for (const [name, action, pairsOf] of shapes) {
    test(name, async () => {
      const version = action === 'CreatePolicy' ? '2015-05-01' : '2014-05-26'
      /** Time of the processor: what else the machine does is hardly in it. */
      const costOf = async (size: number) => {
        const request = signFlat(key, action, pairsOf(size), { version, method: 'POST', inForm: true })
        const begun = process.cpuUsage()
        const { body } = await inject(api.app, request)
        const { user, system } = process.cpuUsage(begun)
        assert.match(body.RequestId, /-/)
        return user + system
      }
      // The least of all rounds, of which most are for a processor that others use: it is slower for some, never faster.
      let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
      // Twice as much again for collections of garbage; what grows with the square is 16 times as dear.
      const isLinear = () => large < Math.max(small, 500) * 12
      for (let round = 1; round <= 10 || (round <= 50 && !isLinear()); round += 1) {
        small = Math.min(small, await costOf(1))
        large = Math.min(large, await costOf(4))
      }
      assert.ok(isLinear(), `${small} µs has become ${large} µs`)
    })
  }
})
