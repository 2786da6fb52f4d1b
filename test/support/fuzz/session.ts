/** Requests without end against the REST API in this process, each answer judged, and a count of what there was. */

import { isDeepStrictEqual } from 'node:util'
import type { InjectOptions } from 'fastify'
import { keyOf } from '../../../daemon/model/documents.ts'
import type { RefusedWrite } from '../../../daemon/model/note.ts'
import { accountId, otherAccountId, startApi, type TestApi } from '../api.ts'
import { makeEvent } from '../ddos.ts'
import { hostReport, makeAgent } from '../documents.ts'
import { AnswerChecker, operationsOf } from '../openapi.ts'
import { makeRandom } from '../random.ts'
import { beginAgain, heapInUse, pollution } from './harness.ts'
import { type FuzzAnswer, faultsOf, tell } from './oracle.ts'
import { type Credentials, type FuzzRequest, RequestMaker } from './requests.ts'
import { inheritedNames, type Lexicon } from './values.ts'

export interface FuzzOptions {
  readonly seed: number
  readonly requests: number
  /** Writes are dry runs, or come from who may not write: whatever grows then is a leak. */
  readonly changesNothing?: boolean
  readonly onThousand?: (done: number) => void
}

export interface FuzzReport {
  readonly requests: number
  /** How many answers there were of each status. */
  readonly statuses: ReadonlyMap<number, number>
  /** Answers of success, keyed by operation: one that never succeeds was not tested. */
  readonly successes: ReadonlyMap<string, number>
  readonly slowest: { readonly elapsedMs: number; readonly request: string }
  /** What was wrong, each kind of it once, with a request that shows it. */
  readonly faults: readonly string[]
  /** Bytes in use after a collection, one for each thousand requests. */
  readonly heapBytes: readonly number[]
}

const mostFaults = 20
/** Nobody's but the known request's. */
const knownAccountId = '3000000000000000'

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { seed, requests, changesNothing = false, onThousand } = options
  await using api = await startApi({ accounts: [accountId, otherAccountId, knownAccountId] })
  const { lexicon, credentials } = await furnish(api)
  const operations = operationsOf((await api.request('GET', '/openapi.json')).body)
  const maker = new RequestMaker({
    random: makeRandom(seed),
    operations,
    lexicon,
    credentials,
    ...(changesNothing && { always: 'dryRun=true' }),
  })
  const checker = new AnswerChecker(operations)
  const known = await knownAnswers(api)
  const beginning = await api.store.list('')
  const successes = new Map(operations.map(({ method, path }) => [`${method} ${path}`, 0]))
  const statuses = new Map<number, number>()
  const heapBytes: number[] = []
  const faults = new Map<string, string>()
  let slowest = { elapsedMs: 0, request: '' }
  for (let done = 1; done <= requests && faults.size < mostFaults; done += 1) {
    const request = maker.next()
    const { revision } = api.world
    const answer = await send(api, request)
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    if (answer.elapsedMs > slowest.elapsedMs) slowest = { elapsedMs: answer.elapsedMs, request: tell(request) }
    const wrong = faultsOf(request, answer)
    if ((changesNothing || answer.status >= 400) && api.world.revision !== revision) {
      wrong.push(`revision ${revision} has become ${api.world.revision}`)
    }
    if (answer.status < 300) {
      const operation = checker.operationOf(request.method, request.url)
      const name = `${operation?.method} ${operation?.path}`
      successes.set(name, (successes.get(name) ?? 0) + 1)
      wrong.push(...schemaFaults(checker, request, answer))
    }
    if (done % 250 === 0 && !isDeepStrictEqual(await knownAnswers(api), known)) {
      wrong.push('what is known is answered differently since one of the last 250')
    }
    if (done % 500 === 0) await beginAgain(api, beginning)
    wrong.push(...pollution())
    for (const fault of wrong) {
      if (faults.has(fault)) continue
      const where = `request ${done} of seed ${seed}: ${tell(request)}`
      faults.set(fault, `${fault}\n  ${where}\n  answer ${answer.status}: ${answer.text.slice(0, 400)}`)
    }
    if (done % 1000 === 0) {
      // Kept by the harness, for tests that look at it.
      ;(api.refused as RefusedWrite[]).length = 0
      heapBytes.push(heapInUse())
      onThousand?.(done)
    }
  }
  return { requests, statuses, successes, slowest, faults: [...faults.values()], heapBytes }
}

/** Something of every kind, so that requests find what they name. */
async function furnish(api: TestApi): Promise<{ readonly lexicon: Lexicon; readonly credentials: Credentials }> {
  const agents = ['agent-1', 'agent-2']
  await api.store.commit({
    writes: agents.map(id => ({ key: keyOf('agent', id), value: makeAgent({ id, report: hostReport }) })),
  })
  const made = async (url: string, body: unknown) => {
    const { status, body: answer } = await api.request('POST', url, body)
    if (status >= 300) throw new Error(`Cannot furnish ${url}: ${JSON.stringify(answer)}`)
    return answer
  }
  const https = { direction: 'ingress', ipProtocol: 'tcp', portRange: '443/443', sourceCidrIp: '0.0.0.0/0' }
  const ruleIds: string[] = []
  const groups = [
    { securityGroupId: 'sg-1', accountId, permissions: [https] },
    { securityGroupId: 'sg-2', accountId, template: 'web-server-linux' },
    { securityGroupId: 'sg-3', accountId, securityGroupType: 'advanced', permissions: [https] },
    { securityGroupId: 'sg-4', accountId, networkType: 'classic', permissions: [https] },
    { securityGroupId: 'sg-5', accountId: otherAccountId },
    { securityGroupId: 'sg-known', accountId: knownAccountId, template: 'web-server-windows' },
  ]
  for (const group of groups) {
    const { permissions } = await made('/v1/security-groups', group)
    for (const { securityGroupRuleId } of permissions) ruleIds.push(securityGroupRuleId)
  }
  for (const [prefixListId, addressFamily, cidr] of [
    ['pl-1', 'IPv4', '203.0.113.0/24'],
    ['pl-2', 'IPv6', '2001:db8::/32'],
  ]) {
    await made('/v1/prefix-lists', {
      accountId,
      prefixListId,
      prefixListName: 'list',
      addressFamily,
      entries: [{ cidr }],
    })
  }
  const instances = ['i-1', 'i-2', 'i-3']
  for (const [index, instanceId] of instances.entries()) {
    await made('/v1/instances', { accountId, instanceId, agentId: agents[index] ?? null })
    await made('/v1/network-interfaces', {
      networkInterfaceId: `eni-${index + 1}`,
      instanceId,
      device: 'eth0',
      privateIpAddresses: [`198.18.1.${index + 1}`],
      securityGroupIds: ['sg-1', 'sg-2'],
    })
  }
  await made('/v1/port-range-lists', {
    accountId,
    portRangeListId: 'prl-1',
    portRangeListName: 'ports',
    entries: [{ portRange: '80/80' }],
  })
  await made('/v1/network-interfaces', {
    networkInterfaceId: 'eni-spare',
    privateIpAddresses: ['198.18.1.9'],
    securityGroupIds: ['sg-1'],
  })
  const accessKeyId = await furnishRam(api, made)
  const event = makeEvent({ id: 'ddos-1', instanceId: 'i-1' })
  const eventDoc = { event, agentId: 'agent-1', accountId, createdAtMs: 1, updatedAtMs: 1 }
  await api.store.commit({ writes: [{ key: keyOf('ddosEvent', event.id), value: eventDoc }] })
  const enrolment = await made('/v1/enrolment-tokens', {})
  const ephemeral = await made('/v1/tokens', { name: 'other', scopes: [{ accountId, access: 'read' }] })
  const groupIds = ['sg-1', 'sg-2', 'sg-3', 'sg-4', 'sg-5', 'sg-none']
  const prefixListIds = ['pl-1', 'pl-2', 'pl-none']
  const enis = ['eni-1', 'eni-2', 'eni-3', 'eni-spare', 'eni-none']
  const lexicon: Lexicon = new Map([
    ['accountId', [accountId, accountId, otherAccountId, '9999999999999999']],
    ['securityGroupId', groupIds],
    ['securityGroupIds', groupIds],
    ['sourceGroupId', groupIds],
    ['destGroupId', groupIds],
    ['sourceGroupOwnerAccount', [accountId, otherAccountId]],
    ['destGroupOwnerAccount', [accountId, otherAccountId]],
    ['securityGroupRuleId', [...ruleIds, 'sgr-none']],
    ['securityGroupRuleIds', ruleIds],
    ['prefixListId', prefixListIds],
    ['sourcePrefixListId', prefixListIds],
    ['destPrefixListId', prefixListIds],
    ['portRangeListId', ['prl-1', 'prl-1', 'prl-none']],
    ['userName', ['ann', 'bob', 'free', 'nobody']],
    ['groupName', ['ops', 'empty', 'none']],
    ['roleName', ['deploy', 'none']],
    ['policyName', ['own', 'spare', 'ReadOnlyAccess', 'none']],
    ['versionId', ['v1', 'v2', 'v9']],
    ['action', ['ecs:DescribeSecurityGroups', 'ecs:AuthorizeSecurityGroup', 'ram:*', 'none']],
    ['resource', ['sg-1', 'acs:ecs:*:*:securitygroup/sg-1', '*']],
    ['accessKeyId', [accessKeyId, 'LTAInone']],
    ['instanceId', [...instances, 'i-none']],
    ['instanceIds', instances],
    ['networkInterfaceId', enis],
    ['networkInterfaceIds', enis],
    ['agentId', [...agents, 'agent-none']],
    ['enrolmentTokenId', [enrolment.enrolmentToken.enrolmentTokenId, 'enrol-none']],
    ['tokenId', [ephemeral.apiToken.tokenId, 'token-none']],
    ['eventId', [event.id, 'ddos-none']],
    ['source', ['203.0.113.7', '2001:db8::7', '198.18.1.1']],
    ['destination', ['198.18.1.1', '2001:db8::1']],
    ['protocol', ['tcp', 'udp', 'icmp']],
  ])
  return { lexicon, credentials: await credentialsFor(api) }
}

const toOwn = (holder: string) => `${holder}/policies/own`

/** Users, groups, policies and a role: some that hold each other, and some that nothing holds. @returns the id of a key */
async function furnishRam(
  api: TestApi,
  made: (url: string, body: unknown) => Promise<{ readonly accessKey: { readonly accessKeyId: string } }>,
): Promise<string> {
  const of = (path: string) => `/v1/ram/${path}?accountId=${accountId}`
  const statement = { Effect: 'Allow', Action: '*', Resource: '*' }
  const document = { Version: '1', Statement: [statement] }
  for (const userName of ['ann', 'bob', 'free']) await made(of('users'), { userName })
  for (const groupName of ['ops', 'empty']) await made(of('groups'), { groupName })
  for (const policyName of ['own', 'spare']) await made(of('policies'), { policyName, document })
  await made(of('policies/own/versions'), { document })
  await made(of('roles'), {
    roleName: 'deploy',
    trustPolicy: {
      Version: '1',
      Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: [`acs:ram::${accountId}:root`] } }],
    },
  })
  for (const path of ['groups/ops/users/ann', ...['users/ann', 'groups/ops', 'roles/deploy'].map(toOwn)]) {
    await api.request('PUT', of(path))
  }
  const { accessKey } = await made(of('access-keys'), { userName: 'ann' })
  return accessKey.accessKeyId
}

async function credentialsFor({ token, makeToken }: TestApi): Promise<Credentials> {
  const [id = ''] = /(?<=rwt_)[a-z0-9-]+/.exec(token) ?? []
  const unknown = 'A'.repeat(43)
  return {
    good: [
      token,
      await makeToken([{ accountId: '*', access: 'read' }]),
      await makeToken([{ accountId, access: 'write' }]),
      await makeToken([{ accountId: otherAccountId, access: 'read' }]),
    ],
    bad: [
      '',
      'Bearer',
      'Bearer ',
      `bearer ${token}`,
      `Bearer  ${token}`,
      `Bearer ${token} `,
      `Bearer ${token}x`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer rwt_${id}_${unknown}`,
      `Bearer rwt_${id}_`,
      `Bearer rwt__${unknown}`,
      ...inheritedNames.map(name => `Bearer rwt_${name.toLowerCase()}_${unknown}`),
      `Bearer rwt_${'a'.repeat(5000)}_${unknown}`,
      `Bearer ${'rwt_'.repeat(1000)}`,
      `Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
      `Digest username="${id}"`,
      'Bearer \u00ff\u00fe',
      `${token}`,
      'Negotiate',
    ],
  }
}

async function send({ app }: TestApi, { method, url, headers, body }: FuzzRequest) {
  const startedMs = performance.now()
  const answer = await app.inject({
    method,
    url,
    headers,
    ...(body !== undefined && { payload: body }),
  } as InjectOptions)
  const elapsedMs = performance.now() - startedMs
  const { 'content-type': contentType = '' } = answer.headers
  return { status: answer.statusCode, contentType: String(contentType), text: answer.body, elapsedMs }
}

/** Answers that no request of the fuzzer has a right to change, but for the revision that the harness itself makes. */
async function knownAnswers({ request }: TestApi): Promise<readonly (readonly [number, string])[]> {
  const reads = [
    '/v1/security-groups/sg-known',
    '/v1/security-groups/sg-known/export',
    '/v1/whoami',
    '/v1/security-group-templates',
  ]
  const answers = await Promise.all(reads.map(url => request('GET', url)))
  return answers.map(({ status, body }) => [status, JSON.stringify(body).replace(/"revision":\d+/g, '')])
}

function schemaFaults(checker: AnswerChecker, { method, url }: FuzzRequest, answer: FuzzAnswer): string[] {
  if (!answer.contentType.startsWith('application/json')) return []
  const body = JSON.parse(answer.text)
  // What a dry run answers is the same, and a preview beside it.
  const fault = body.dryRun === true ? null : checker.faultOf(method, url, { status: answer.status, body })
  return fault === null ? [] : [fault]
}
