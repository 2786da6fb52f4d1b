/** From a write over REST until it stands in the kernel of every agent concerned, with real agents in namespaces. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Control } from '../lab/control.ts'
import { type SwitchedFleet, startSwitchedFleet } from '../lab/switched.ts'
import { percentile } from './statistics.ts'
import { type Depth, figure, type Section } from './table.ts'

const databasePort = 5432
/** Members that no agent serves: who joins and leaves is not itself a host that has to follow. */
const strangers = 8

export async function measurePush(depth: Depth): Promise<readonly Section[]> {
  const rounds = depth === 'quick' ? 20 : 200
  const rows: (readonly string[])[] = []
  for (const agents of depth === 'quick' ? [1, 4] : [1, 50]) rows.push(...(await measureFleet(agents, rounds)))
  return [
    {
      heading: 'Daemon: from a write over REST to the kernel of every agent',
      columns: [
        'agents',
        'change',
        'p50, ms',
        'p99, ms',
        'of which nft in the slowest agent: p50, ms',
        'answer without waiting: p50, ms',
      ],
      rows,
      notes: [
        'From the request with ?wait=enforced to its answer: the commit on disk, the push to each agent, nft there, the acknowledgement back. All agents share this machine’s cores, so with many of them it is their nft processes that take turns.',
        'nft: the time in nft as the agents log it, of each change the longest.',
      ],
    },
  ]
}

async function measureFleet(agents: number, rounds: number): Promise<readonly (readonly string[])[]> {
  await using stack = new AsyncDisposableStack()
  const hosts = Object.fromEntries(Array.from({ length: agents }, (_, index) => [`db${index + 1}`, ['sg-db']]))
  const fleet = await startSwitchedFleet(stack, { hosts, prepare: prepareGroups })
  const { control } = fleet
  const nft = new NftTimes(fleet)
  const joinOrLeave = (round: number) => {
    const action = round % 2 === 0 ? 'join' : 'leave'
    return ['POST', `/v1/security-groups/sg-app/${action}`, { instanceIds: ['i-stranger-1'] }] as const
  }
  let ruleId = ''
  const addOrRevoke = (round: number) =>
    round % 2 === 0
      ? (['POST', '/v1/security-groups/sg-db/rules', { permissions: [permission(9000 + round)] }] as const)
      : (['DELETE', `/v1/security-groups/sg-db/rules/${ruleId}`, undefined] as const)
  const rows = []
  for (const [name, requestOf] of [
    ['one member more or less', joinOrLeave],
    ['one rule more or less', addOrRevoke],
  ] as const) {
    const waited: number[] = []
    const inNft: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const [method, path, body] = requestOf(round)
      const begun = performance.now()
      const answer = await control.call<Answer>(method, `${path}?wait=enforced&timeout=30`, body)
      waited.push(performance.now() - begun)
      if (answer.enforcement?.state !== 'enforced' || answer.enforcement.agents !== agents) {
        throw new Error(`A change was not in force on all of ${agents} agents: ${JSON.stringify(answer)}`)
      }
      ruleId = answer.permissions?.[0]?.securityGroupRuleId ?? ruleId
      inNft.push(await nft.longestSince())
    }
    const unwaited: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const [method, path, body] = requestOf(round)
      const begun = performance.now()
      const answer = await control.call<Answer>(method, path, body)
      unwaited.push(performance.now() - begun)
      ruleId = answer.permissions?.[0]?.securityGroupRuleId ?? ruleId
    }
    // The agents are still at work on the last of those.
    await control.call('PATCH', '/v1/security-groups/sg-db?wait=enforced&timeout=60', { innerAccessPolicy: 'accept' })
    await control.call('PATCH', '/v1/security-groups/sg-db?wait=enforced&timeout=60', { innerAccessPolicy: 'drop' })
    await nft.longestSince()
    rows.push([
      String(agents),
      name,
      figure(percentile(waited, 50)),
      figure(percentile(waited, 99)),
      figure(percentile(inNft, 50)),
      figure(percentile(unwaited, 50)),
    ])
  }
  return rows
}

interface Answer {
  readonly enforcement?: { readonly state: string; readonly agents: number }
  readonly permissions?: readonly { readonly securityGroupRuleId: string }[]
}

async function prepareGroups(control: Control): Promise<void> {
  for (const securityGroupId of ['sg-db', 'sg-app']) {
    await control.call('POST', '/v1/security-groups', { securityGroupId, innerAccessPolicy: 'drop' })
  }
  await control.call('POST', '/v1/security-groups', { securityGroupId: 'sg-elsewhere' })
  for (let number = 1; number <= strangers; number += 1) {
    const instanceId = `i-stranger-${number}`
    await control.call('POST', '/v1/instances', { instanceId })
    await control.call('POST', '/v1/network-interfaces', {
      networkInterfaceId: `eni-stranger-${number}`,
      instanceId,
      privateIpAddresses: [`198.19.0.${number}`],
      securityGroupIds: ['sg-elsewhere'],
    })
  }
  const toDatabase = { ...permission(databasePort), sourceCidrIp: undefined, sourceGroupId: 'sg-app' }
  await control.call('POST', '/v1/security-groups/sg-db/rules', { permissions: [toDatabase] })
}

function permission(port: number) {
  return { direction: 'ingress', ipProtocol: 'tcp', portRange: `${port}/${port}`, sourceCidrIp: '198.19.0.0/16' }
}

/** What the agents' logs say of their time in nft. */
class NftTimes {
  readonly #logs: readonly string[]
  readonly #read = new Map<string, number>()

  constructor({ folder, hosts }: SwitchedFleet) {
    this.#logs = [...hosts.keys()].map(name => join(folder, `${name}.log`))
  }

  /** The longest change of any agent since the last call, in milliseconds; 0 where none was logged. */
  async longestSince(): Promise<number> {
    const longest = await Promise.all(this.#logs.map(log => this.#longestIn(log)))
    return Math.max(...longest)
  }

  async #longestIn(log: string): Promise<number> {
    const text = await readFile(log, 'utf8')
    const fresh = text.slice(this.#read.get(log) ?? 0)
    const whole = fresh.slice(0, fresh.lastIndexOf('\n') + 1)
    this.#read.set(log, (this.#read.get(log) ?? 0) + whole.length)
    const lines = whole.split('\n').filter(line => line.includes('"nftSeconds"'))
    const times = lines.map(line => (JSON.parse(line) as { nftSeconds: number }).nftSeconds * 1000)
    return Math.max(0, ...times)
  }
}
