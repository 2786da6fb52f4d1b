/** What the agent costs at rest, and how long a change of its policy file takes to stand in the kernel. */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { connect, createNamespace } from '../lab/netns.ts'
import { makePolicy, memberAddresses, mixedRulesAnd } from './policies.ts'
import { RunningAgent } from './running-agent.ts'
import { median } from './statistics.ts'
import { type Depth, figure, type Section } from './table.ts'

export async function measureAgent(depth: Depth): Promise<readonly Section[]> {
  const rows = []
  for (const members of [100, 10_000, 50_000]) {
    rows.push([members.toLocaleString('en'), ...(await measureSize(members, depth))])
  }
  return [
    {
      heading: 'Agent: 1,000 rules, from the policy file to the kernel',
      columns: [
        'members',
        'start to in force, ms',
        'one member more, ms (longest)',
        'one rule more, ms (longest)',
        'resident at rest, MiB (with its children)',
        'CPU at rest, ms a second',
      ],
      rows,
      notes: ['From the rename over the file to the line in the agent’s log that says "in force".'],
    },
  ]
}

async function measureSize(members: number, depth: Depth): Promise<readonly string[]> {
  const rounds = depth === 'quick' ? 3 : 15
  const restSeconds = depth === 'quick' ? 5 : 20
  await using host = await createNamespace('agent')
  await using peer = await createNamespace('agent-peer')
  await connect({ namespace: host, device: 'eth0' }, { namespace: peer, device: 'c0' })
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  const file = new PolicyFile(folder)
  try {
    await file.prepare(members, 0)
    await file.replace()
    const begun = performance.now()
    await using agent = new RunningAgent(host, file.path)
    const start = (await agent.inForce()) - begun
    const memberMs = []
    const ruleMs = []
    for (let round = 1; round <= rounds; round += 1) {
      memberMs.push(await timeChange(agent, file, members + round, round - 1))
      ruleMs.push(await timeChange(agent, file, members + round, round))
    }
    const rest = await agent.rest(restSeconds, depth)
    const withLongest = (values: readonly number[]) => `${figure(median(values))} (${figure(Math.max(...values))})`
    return [
      figure(start),
      withLongest(memberMs),
      withLongest(ruleMs),
      `${figure(rest.residentMib)} (${figure(rest.residentMibWithChildren)})`,
      figure(rest.cpuMsPerSecond + rest.childrenCpuMsPerSecond),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function timeChange(agent: RunningAgent, file: PolicyFile, members: number, extraRules: number): Promise<number> {
  await file.prepare(members, extraRules)
  // What the change before has left for later, garbage collection too, is not this change's.
  await setTimeout(200)
  const begun = performance.now()
  const done = agent.inForce()
  await file.replace()
  return (await done) - begun
}

class PolicyFile {
  readonly path: string

  constructor(folder: string) {
    this.path = join(folder, 'policy.json')
  }

  prepare(members: number, extraRules: number): Promise<void> {
    const policy = makePolicy(mixedRulesAnd(extraRules, 1000, 'tcp'), { members: memberAddresses(members) })
    return writeFile(`${this.path}.next`, JSON.stringify(policy))
  }

  replace(): Promise<void> {
    return rename(`${this.path}.next`, this.path)
  }
}
