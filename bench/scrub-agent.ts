/** What measuring costs the agent while nothing happens: a reading of all counters each second. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createNamespace } from '../lab/netns.ts'
import { RunningAgent } from './running-agent.ts'
import { type Depth, figure, type Section } from './table.ts'

export async function measureScrubAgent(depth: Depth): Promise<readonly Section[]> {
  const rows = []
  for (const enis of [0, 1, 10, 100]) rows.push([String(enis), ...(await measureIdle(enis, depth))])
  return [
    {
      heading: 'Agent: traffic scrubbing with nothing to clean',
      columns: ['ENIs', 'CPU, ms a second', 'of which in nft', 'resident, MiB (with its children)'],
      rows,
      notes: [
        'An instance with thresholds for each ENI; no traffic. 0 ENIs: no instance at all, which is what the agent costs besides.',
      ],
    },
  ]
}

async function measureIdle(enis: number, depth: Depth): Promise<readonly string[]> {
  await using host = await createNamespace('scrub-agent')
  await using peer = await createNamespace('scrub-agent-peer')
  for (let index = 0; index < enis; index += 1) {
    await connect({ namespace: host, device: `d${index}` }, { namespace: peer, device: `p${index}` })
  }
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  try {
    const path = join(folder, 'policy.json')
    await writeFile(path, JSON.stringify(policyOf(enis)))
    await using agent = new RunningAgent(host, path)
    await agent.inForce()
    const rest = await agent.rest(depth === 'quick' ? 5 : 30, depth)
    return [
      figure(rest.cpuMsPerSecond + rest.childrenCpuMsPerSecond),
      figure(rest.childrenCpuMsPerSecond),
      `${figure(rest.residentMib)} (${figure(rest.residentMibWithChildren)})`,
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function policyOf(enis: number) {
  const numbers = Array.from({ length: enis }, (_, index) => index)
  return {
    apiVersion: 'ringwall/v1',
    instances: numbers.map(index => ({ id: `i-${index}`, ddosThreshold: { bps: 100, pps: 10_000 } })),
    interfaces: numbers.map(index => ({
      id: `eni-${index}`,
      instanceId: `i-${index}`,
      device: `d${index}`,
      addresses: [`198.18.${index}.2`],
      securityGroupIds: ['sg-1'],
    })),
    securityGroups: [{ id: 'sg-1', members: [], rules: [] }],
  }
}
