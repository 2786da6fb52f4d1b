/**
 * Requests without end against the RPC API in this process: signed ones with parameters as nobody should send them, and
 * such as are signed, encoded or written wrongly. Each answer is judged by what clients of the published API rely on.
 */
import type { TObject, TSchema } from 'typebox'
import { type RpcAction, versions } from '../../../daemon/rpc/action.ts'
import { rpcActions } from '../../../daemon/rpc/actions.ts'
import { accountId, startApi, type TestApi } from '../api.ts'
import { accountKey, userKey } from '../ram.ts'
import { makeRandom, type Random } from '../random.ts'
import { flatten, type RpcKey, type RpcOptions, signFlat, type WireRequest } from '../rpc-client.ts'
import { beginAgain, heapInUse, pollution } from './harness.ts'
import { longestMs } from './oracle.ts'
import { hostileTexts, inheritedNames } from './values.ts'

export interface RpcFuzzOptions {
  readonly seed: number
  readonly requests: number
  /** All are dry runs: whatever grows then is a leak. */
  readonly changesNothing?: boolean
}

export interface RpcFuzzReport {
  readonly statuses: ReadonlyMap<number, number>
  readonly codes: ReadonlyMap<string, number>
  /** Answers of success, keyed by action. */
  readonly successes: ReadonlyMap<string, number>
  readonly faults: readonly string[]
  /** Bytes in use after a collection, one for each thousand requests. */
  readonly heapBytes: readonly number[]
}

const mostFaults = 20
/** Beyond what was sent, encoded twice. */
const longestAnswer = 256 * 1024

type Working = Exclude<RpcAction, { missing: string }>
const working = rpcActions.filter((action): action is Working => !('missing' in action))

export async function fuzzRpc({ seed, requests, changesNothing = false }: RpcFuzzOptions): Promise<RpcFuzzReport> {
  await using api = await startApi()
  const random = makeRandom(seed)
  const maker = new RpcRequestMaker(random, await furnish(api), changesNothing)
  const beginning = await api.store.list('')
  const statuses = new Map<number, number>()
  const codes = new Map<string, number>()
  const successes = new Map(working.map(({ product, name }) => [`${product} ${name}`, 0]))
  const faults = new Map<string, string>()
  const heapBytes: number[] = []
  for (let done = 1; done <= requests && faults.size < mostFaults; done += 1) {
    const request = maker.next()
    const { revision } = api.world
    const refused = api.refused.length
    const startedMs = performance.now()
    const { method, url, headers, body } = request
    const answer = await api.app.inject({ method: method as 'GET', url, headers: { ...headers }, payload: body })
    const elapsedMs = performance.now() - startedMs
    const { statusCode: status, body: text } = answer
    count(statuses, status)
    const wrong = faultsOf(status, String(answer.headers['content-type']), text)
    if (elapsedMs > longestMs) wrong.push(`answered after ${Math.round(elapsedMs)} ms`)
    if ((changesNothing || status >= 400) && api.world.revision !== revision) wrong.push('something was stored')
    if (status === 200 && request.action !== null) count(successes, request.action)
    if (status >= 400) count(codes, codeIn(text))
    for (const key of api.refused.slice(refused).flatMap(({ objects = [] }) => objects)) {
      if (!/^[a-zA-Z]+\/(?!undefined$|\*$)./s.test(key)) wrong.push(`the audit log names ${JSON.stringify(key)}`)
    }
    wrong.push(...pollution())
    if (done % 100 === 0) await beginAgain(api, beginning)
    for (const fault of wrong) {
      if (faults.has(fault)) continue
      const told = `${method} ${url.slice(0, 600)} ${JSON.stringify(headers).slice(0, 400)} ${String(body).slice(0, 600)}`
      faults.set(
        fault,
        `${fault}\n  request ${done} of seed ${seed}: ${told}\n  answer ${status}: ${text.slice(0, 400)}`,
      )
    }
    if (done % 1000 === 0) {
      // Kept by the harness, for tests that look at it.
      ;(api.refused as unknown[]).length = 0
      heapBytes.push(heapInUse())
    }
  }
  return { statuses, codes, successes, faults: [...faults.values()], heapBytes }
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function codeIn(text: string): string {
  try {
    return String(JSON.parse(text).Code)
  } catch {
    return 'none'
  }
}

/** What is wrong with an answer of the RPC API, as lines. */
function faultsOf(status: number, contentType: string, text: string): string[] {
  const faults: string[] = []
  if (status !== 200 && (status < 400 || status >= 500)) faults.push(`status ${status}`)
  if (contentType !== 'application/json;charset=utf-8') faults.push(`an answer of type "${contentType}"`)
  if (status >= 400 && text.length > longestAnswer) faults.push(`a refusal of ${text.length} characters`)
  let body: Record<string, unknown>
  try {
    body = JSON.parse(text)
  } catch {
    return [...faults, 'an answer that is no JSON']
  }
  if (!/^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/.test(String(body.RequestId))) faults.push('an answer without id')
  if (status === 200) return Object.hasOwn(body, 'Code') ? [...faults, 'a success with a Code'] : faults
  for (const name of ['Code', 'Message']) {
    if (typeof body[name] !== 'string' || body[name] === '') faults.push(`a refusal without ${name}`)
  }
  for (const name of ['HostId', 'Recommend'])
    if (typeof body[name] !== 'string') faults.push(`a refusal without ${name}`)
  if (/\bat .+:\d+:\d+|node:internal|\/daemon\//.test(String(body.Message))) faults.push('a refusal with a stack trace')
  return faults
}

type Names = ReadonlyMap<string, readonly string[]>

interface Furniture {
  /** Ids and words, keyed by the parameter they belong into. */
  readonly names: Names
  readonly keys: readonly RpcKey[]
  /** Good parameters, keyed by action, where by chance hardly any are. */
  readonly examples: ReadonlyMap<string, object>
}

async function furnish(api: TestApi): Promise<Furniture> {
  const made = async (url: string, body: object) => {
    const { status, body: answer } = await api.request('POST', url, body)
    if (status !== 201) throw new Error(`Cannot furnish ${url}: ${JSON.stringify(answer)}`)
    return answer
  }
  const https = { direction: 'ingress', ipProtocol: 'tcp', portRange: '443/443', sourceCidrIp: '0.0.0.0/0' }
  const { permissions } = await made('/v1/security-groups', {
    accountId,
    securityGroupId: 'sg-1',
    permissions: [https],
  })
  await made('/v1/security-groups', { accountId, securityGroupId: 'sg-2', securityGroupType: 'advanced' })
  const list = {
    prefixListId: 'pl-1',
    prefixListName: 'list',
    addressFamily: 'IPv4',
    entries: [{ cidr: '10.0.0.0/8' }],
  }
  await made('/v1/prefix-lists', { accountId, ...list })
  await made('/v1/instances', { accountId, instanceId: 'i-1' })
  await made('/v1/network-interfaces', {
    networkInterfaceId: 'eni-1',
    instanceId: 'i-1',
    privateIpAddresses: ['198.18.1.1'],
    securityGroupIds: ['sg-1'],
  })
  const root = await accountKey(api)
  const user = await userKey(api, 'alice', { look: [{ Effect: 'Allow', Action: '*:Describe*', Resource: '*' }] })
  const groups = ['sg-1', 'sg-1', 'sg-2', 'sg-none']
  const policy = JSON.stringify({ Version: '1', Statement: [{ Effect: 'Allow', Action: 'ecs:*', Resource: '*' }] })
  const trust = { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: [`acs:ram::${accountId}:root`] } }
  const users = ['alice', 'bob', 'carol']
  const rule = { IpProtocol: 'tcp', PortRange: '443/443', Policy: 'accept', Priority: '1' }
  const inbound = { SecurityGroupId: 'sg-1', ...rule, SourceCidrIp: '0.0.0.0/0' }
  const outbound = { SecurityGroupId: 'sg-1', ...rule, DestCidrIp: '10.0.0.0/8' }
  const eni = { NetworkInterfaceId: 'eni-1' }
  const threshold = { DdosRegionId: 'local', InstanceType: 'ecs', InstanceId: 'i-1', Bps: '100', Pps: '70000' }
  const onGroup = { ResourceType: 'securitygroup', ResourceId: ['sg-1'] }
  const custom = { PolicyType: 'Custom', PolicyName: 'look' }
  const examples = new Map<string, object>([
    ['AuthorizeSecurityGroup', { SecurityGroupId: 'sg-1', Permissions: [{ ...rule, SourceCidrIp: '10.0.0.0/8' }] }],
    ['AuthorizeSecurityGroupEgress', outbound],
    ['RevokeSecurityGroup', inbound],
    ['RevokeSecurityGroupEgress', outbound],
    ['ModifySecurityGroupRule', { ...inbound, Description: 'changed' }],
    ['RunInstances', { SecurityGroupId: 'sg-1', VSwitchId: 'vsw-1' }],
    ['CreateNetworkInterface', { VSwitchId: 'vsw-1', SecurityGroupIds: ['sg-1'], PrimaryIpAddress: '198.18.1.7' }],
    ['AssignPrivateIpAddresses', { ...eni, PrivateIpAddress: ['198.18.1.20'] }],
    ['AssignIpv6Addresses', { ...eni, Ipv6Address: ['2001:db8::20'] }],
    ['TagResources', { ...onGroup, Tag: [{ Key: 'a', Value: 'b' }] }],
    ['UntagResources', { ...onGroup, TagKey: ['a'] }],
    ['ModifyPrefixList', { PrefixListId: 'pl-1', AddEntry: [{ Cidr: '198.18.9.0/24' }] }],
    ['CreateUser', { UserName: 'dora' }],
    ['AttachPolicyToUser', { PolicyType: 'System', PolicyName: 'AliyunECSFullAccess', UserName: 'alice' }],
    ['DetachPolicyFromUser', { ...custom, UserName: 'alice' }],
    ['GetPolicy', custom],
    ['ModifyDefenseThreshold', threshold],
    ['ModifyIpDefenseThreshold', { ...threshold, InternetIp: '198.18.1.1' }],
    ['ModifyDdosStatus', threshold],
    ['DescribeIpDdosThreshold', { ...threshold, DdosType: 'defense', InternetIp: '198.18.1.1' }],
  ])
  return {
    examples,
    keys: [root, root, root, user],
    names: new Map<string, readonly string[]>([
      ['SecurityGroupId', groups],
      ['SecurityGroupIds', groups],
      ['SourceGroupId', ['sg-2', 'sg-none']],
      ['DestGroupId', ['sg-2']],
      ['SecurityGroupRuleId', [permissions[0].securityGroupRuleId, 'sgr-none']],
      ['InstanceId', ['i-1', 'i-none']],
      ['InstanceIds', ['i-1', 'i-none']],
      ['NetworkInterfaceId', ['eni-1', 'eni-none']],
      ['PrefixListId', ['pl-1', 'pl-none']],
      ['SourcePrefixListId', ['pl-1']],
      ['ResourceId', ['sg-1', 'i-1', 'eni-1', 'pl-1']],
      ['ResourceType', ['securitygroup', 'instance', 'eni', 'prefixlist', 'disk']],
      ['IpProtocol', ['tcp', 'UDP', 'icmp', 'ALL', 'gre', 'ICMPv6']],
      ['PortRange', ['80/80', '1/65535', '-1/-1', '9/8']],
      ['SourcePortRange', ['1/65535']],
      ['SourceCidrIp', ['0.0.0.0/0', '198.18.0.0/24,203.0.113.7']],
      ['DestCidrIp', ['0.0.0.0/0']],
      ['Ipv6SourceCidrIp', ['::/0', '2001:DB8::/32']],
      ['Cidr', ['198.18.0.0/24', '10.0.0.1/8']],
      ['PrivateIpAddress', ['198.18.1.9']],
      ['PrimaryIpAddress', ['198.18.1.8']],
      ['Ipv6Address', ['2001:db8::9']],
      ['InternetIp', ['198.18.1.1']],
      ['VSwitchId', ['vsw-1']],
      ['InstanceType', ['ecs', 'ecs.g5.large']],
      ['SecurityGroupName', ['web', 'x']],
      ['InstanceName', ['web', 'w*b', `${'*a'.repeat(60)}`]],
      ['PrefixListName', ['list']],
      ['UserName', users],
      ['GroupName', ['staff', 'ops']],
      ['RoleName', ['looker', 'Deploy']],
      ['PolicyName', ['look', 'assume', 'AliyunECSFullAccess']],
      ['PolicyDocument', [policy]],
      ['AssumeRolePolicyDocument', [JSON.stringify({ Version: '1', Statement: [trust] })]],
      ['RoleArn', [`acs:ram::${accountId}:role/looker`]],
      ['RoleSessionName', ['work']],
      ['VersionId', ['v1', 'v2']],
      ['UserAccessKeyId', [user.accessKeyId, 'RWnone']],
    ]),
  }
}

type Pair = readonly [string, string]

interface MadeRequest extends Omit<WireRequest, 'body' | 'method'> {
  readonly method: string
  readonly body: string | Buffer
  /** What it asks for where it is signed well; null else. */
  readonly action: string | null
}

/** Documents that are deep, long or hardly JSON. */
const oddDocuments: readonly (() => string)[] = [
  () => '['.repeat(9999),
  () => '['.repeat(9000) + ']'.repeat(9000),
  () => `${'{"Statement":'.repeat(1300)}1${'}'.repeat(1300)}`,
  () => JSON.stringify({ Version: '1', Statement: Array.from({ length: 900 }, () => ({})) }),
  () =>
    JSON.stringify({
      Version: '1',
      Statement: [{ Effect: 'Allow', Action: '*'.repeat(9000), Resource: '*a'.repeat(4000) }],
    }),
  () =>
    '{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"__proto__":{"a":"b"}}}]}',
  () => '{"__proto__":{"polluted":true},"Version":"1","Statement":[]}',
  () => '["i-1",["i-1"]]',
  () => `[${'"i-1",'.repeat(3000)}"i-1"]`,
  () => '[1e999,null,{}]',
  () => 'null',
]
const oddNumbers = ['0', '-1', '1e3', '0x10', ' 1', '1.5', '9'.repeat(400), '-0', 'Infinity', '9007199254740993', '１']
const oddIndexes = [
  '0',
  '00',
  '-1',
  '1e3',
  '9999',
  '10000',
  '99999999999999999999',
  '01',
  'x',
  '',
  '__proto__',
  'length',
]
const oddContentTypes = [
  'application/json',
  'application/x-www-form-urlencoded; charset=utf-16',
  'APPLICATION/X-WWW-FORM-URLENCODED;',
  'multipart/form-data; boundary=x',
  'text/plain',
  ';',
  '/',
  'x'.repeat(5000),
]
const oddBodies: readonly (() => string | Buffer)[] = [
  () => 'a&'.repeat(500_000),
  () => Array.from({ length: 200_000 }, (_, index) => `k${index}`).join('&'),
  () => `a=${'%41'.repeat(340_000)}`,
  () => `${'a.'.repeat(500_000)}=1`,
  () => '%'.repeat(1000),
  () => '='.repeat(1000),
  () => '&'.repeat(3000),
  () => Buffer.from([0xff, 0xfe, 0x00, 0xc0, 0x80, 0x3d]),
  () => 'Action=%ff%fe',
  () => '{"Action":"DescribeRegions"}',
  () => 'x'.repeat(1024 * 1024),
  () => 'x'.repeat(1024 * 1024 + 1),
]

class RpcRequestMaker {
  readonly #random: Random
  readonly #furniture: Furniture
  readonly #always: readonly Pair[]

  constructor(random: Random, furniture: Furniture, changesNothing: boolean) {
    this.#random = random
    this.#furniture = furniture
    this.#always = changesNothing ? [['DryRun', 'true']] : []
  }

  next(): MadeRequest {
    const random = this.#random
    const action = random.pick(working)
    let pairs: readonly Pair[] = this.#pairsOf(action)
    for (let odd = random.pick([0, 0, 0, 1, 1, 2]); odd > 0; odd -= 1) pairs = this.#withOdd(pairs)
    pairs = [...pairs, ...this.#always]
    const method = random.pick(['GET', 'POST', 'POST'] as const)
    const options: RpcOptions = {
      version: random.chance(0.03)
        ? random.pick([...Object.values(versions), '', '1', '__proto__'])
        : versions[action.product],
      scheme: random.pick(['v1', 'acs3'] as const),
      method,
      inForm: method === 'POST' && random.chance(0.5),
    }
    const name = random.chance(0.03)
      ? random.pick(['describeRegions', '__proto__', 'constructor', '-', 'x'.repeat(300)])
      : action.name
    const key = random.pick(this.#furniture.keys)
    const signed = { ...signFlat(key, name, pairs, options), action: `${action.product} ${name}` }
    return random.chance(0.75) ? signed : this.#spoilt(signed)
  }

  #pairsOf({ name, parameters }: Working): readonly Pair[] {
    const example = this.#furniture.examples.get(name)
    if (example !== undefined && this.#random.chance(0.6)) return flatten(example)
    return flatten(this.#object(parameters as TObject)).map(([name, value]) => [name, printable(value)])
  }

  #object(schema: TObject): Record<string, unknown> {
    const random = this.#random
    const { properties, required = [] } = schema as { properties: object; required?: readonly string[] }
    const chosen = Object.entries(properties as Record<string, TSchema>).filter(
      ([name]) => required.includes(name) || random.chance(0.25),
    )
    return Object.fromEntries(chosen.map(([name, schema]) => [name, this.#value(name, schema)]))
  }

  // biome-ignore lint/suspicious/noExplicitAny: schemas of any kind
  #value(name: string, schema: any): unknown {
    const random = this.#random
    if (schema['x-wire'] === 'json') {
      const list = Array.from({ length: random.integer(0, 3) }, () => this.#word(name, schema.items ?? {}))
      return random.chance(0.15) ? random.pick(oddDocuments)() : JSON.stringify(list)
    }
    if (schema.type === 'object') return this.#object(schema)
    if (schema.type === 'array') {
      return Array.from({ length: random.integer(schema.minItems ?? 0, 3) }, () => this.#value(name, schema.items))
    }
    return this.#word(name, schema)
  }

  // biome-ignore lint/suspicious/noExplicitAny: schemas of any kind
  #word(name: string, schema: any): string {
    const random = this.#random
    if (random.chance(0.02)) return random.pick(hostileTexts)
    if (schema.enum !== undefined) return random.pick(schema.enum as readonly string[])
    if (schema.type === 'boolean') return random.pick(['true', 'false', 'TRUE'])
    if (schema.type === 'integer') {
      return random.chance(0.05) ? random.pick(oddNumbers) : String(random.integer(schema.minimum ?? 0, 200))
    }
    if (/Document$|^Policy$/.test(name) && random.chance(0.2)) return random.pick(oddDocuments)()
    const known = this.#furniture.names.get(name)
    return known === undefined ? `text${random.integer(1, 9)}` : random.pick(known)
  }

  #withOdd(pairs: readonly Pair[]): readonly Pair[] {
    const random = this.#random
    const place = random.integer(0, Math.max(0, pairs.length - 1))
    const [name = 'Tag', value = ''] = pairs[place] ?? []
    const changed = (pair: Pair) => (pairs.length === 0 ? [pair] : pairs.with(place, pair))
    const ways: readonly (() => readonly Pair[])[] = [
      () => changed([name, random.pick(hostileTexts)]),
      () => changed([name, random.pick(oddNumbers)]),
      () => changed([name, random.pick(oddDocuments)()]),
      () => changed([name.replace(/\.\d+/, `.${random.pick(oddIndexes)}`), value]),
      () => changed([`${name}.${random.pick(oddIndexes)}`, value]),
      () => changed([`${name}${'.1'.repeat(random.integer(1, 300))}`, value]),
      () => [...pairs, [name, value]],
      () => [...pairs, [name.split('.')[0]!, value]],
      () => [...pairs, [`${name.split('.')[0]}.${random.pick(inheritedNames)}`, value]],
      () => [...pairs, [random.pick([...inheritedNames, '', '.', '..', 'a.', '.a', 'x'.repeat(5000)]), value]],
      () => pairs.toSpliced(place, 1),
      () => [...pairs, ...Array.from({ length: 120 }, (_, n): Pair => [`Permissions.${n + 1}.IpProtocol`, 'tcp'])],
      () => [...pairs, ...Array.from({ length: 4100 }, (_, n): Pair => [`Tag.${n}.Key`, 'k'])],
      () => [...pairs, ['RingwallWait', 'enforced'], ['RingwallWaitTimeout', random.pick(oddNumbers)]],
      () => [...pairs, ['ClientToken', random.pick(['same', ...hostileTexts])]],
      () => [...pairs, ['RegionId', random.pick(hostileTexts)]],
    ]
    return random
      .pick(ways)()
      .map(([each, text]) => [printable(each), printable(text)])
  }

  #spoilt(request: MadeRequest): MadeRequest {
    const random = this.#random
    const { url, headers } = request
    const withHeader = (name: string, text: string) => ({ ...request, headers: { ...headers, [name]: text } })
    const cut = (text: string) => {
      const place = random.integer(0, text.length)
      return `${text.slice(0, place)}${random.pick(['', '&', '=', '%', '%zz', '%00', '+', '?', ';'])}${text.slice(place + random.integer(0, 3))}`
    }
    const header = random.pick(Object.keys(headers))
    const ways: readonly (() => Omit<MadeRequest, 'action'>)[] = [
      () => ({ ...request, url: `/?${cut(url.slice(2))}` }),
      () => ({ ...request, body: cut(String(request.body)) }),
      () => withHeader(header, cut(headers[header]!)),
      () => withHeader(header, random.pick(['', ' ', 'x', 'x'.repeat(3000), '\u00ff'])),
      () => ({ ...request, headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name !== header)) }),
      () => ({ ...request, method: random.pick(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'POST', 'GET']) }),
      () => ({ ...withHeader('content-type', random.pick(oddContentTypes)), method: 'POST' }),
      () => ({
        ...withHeader('content-type', 'application/x-www-form-urlencoded'),
        method: 'POST',
        body: random.pick(oddBodies)(),
      }),
      () =>
        withHeader(
          'authorization',
          random.pick([
            'ACS3-HMAC-SHA256',
            'ACS3-HMAC-SHA256 Credential=,SignedHeaders=,Signature=',
            `ACS3-HMAC-SHA256 Credential=${'a'.repeat(5000)},SignedHeaders=host,Signature=${'0'.repeat(64)}`,
            `ACS3-HMAC-SHA256 Credential=a,SignedHeaders=${'host;'.repeat(1000)},Signature=${'0'.repeat(64)}`,
            `ACS3-HMAC-SHA256 ${' '.repeat(10_000)}Credential=a`,
            'ACS3-HMAC-SHA256 Credential=a,SignedHeaders=__proto__;constructor,Signature=x',
            'Bearer x',
            'ACS3-RSA-SHA256 Credential=a',
          ]),
        ),
      () => ({ ...request, url: `/?${'a=b&'.repeat(random.integer(1, 5000))}` }),
      () => ({ ...request, url: random.pick(['/?', '/?&&&', '/?=', '/?%', '/?Action', '/?Action=a&Version=b']) }),
      () => withHeader('content-encoding', random.pick(['gzip', 'br', 'x'])),
      () =>
        withHeader(
          'x-acs-date',
          random.pick(['2026-02-30T00:00:00Z', '9'.repeat(100), '-1', '2026-01-01T00:00:00.999999999Z']),
        ),
      () => withHeader('x-acs-security-token', random.pick(['x', 'v1.', `v1.${'A'.repeat(5000)}`, 'v2.x'])),
    ]
    return { ...random.pick(ways)(), action: null }
  }
}

/** Clients cannot encode what is no text. */
function printable(text: string): string {
  return text.toWellFormed()
}
