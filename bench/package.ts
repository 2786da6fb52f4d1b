/** An agent from a package beside one from the sources: memory and CPU at rest, and how soon its policy is in force. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createNamespace } from '../lab/netns.ts'
import { RunningAgent } from './running-agent.ts'
import { type Depth, figure, type Section } from './table.ts'

const project = join(import.meta.dirname, '..')
const policy = {
  apiVersion: 'ringwall/v1',
  interfaces: [{ id: 'eni-1', device: 'eth0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
  securityGroups: [
    {
      id: 'sg-1',
      members: ['198.18.0.2'],
      rules: [
        { direction: 'ingress', policy: 'accept', ipProtocol: 'tcp', portRange: '443/443', sourceCidrIp: '0.0.0.0/0' },
      ],
    },
  ],
}

export async function measurePackage(depth: Depth): Promise<readonly Section[]> {
  const restSeconds = depth === 'quick' ? 5 : 60
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-bench-'))
  try {
    const file = join(folder, 'policy.json')
    await writeFile(file, JSON.stringify(policy))
    const build = ['scripts/package.ts', '--only', 'npm', '--folder', folder]
    execFileSync(process.execPath, build, { cwd: project, stdio: 'ignore' })
    // As npm lays them out, and as the Debian package has them in one folder.
    const name = `node-linux-${process.arch}`
    await mkdir(join(folder, 'npm/node_modules'))
    await symlink(join(project, 'node_modules', name), join(folder, 'npm/node_modules', name))
    const packed = join(folder, 'npm/ringwall')
    const kept = `NODE_COMPILE_CACHE=${join(folder, 'cache')}`
    const ways = [
      ['the sources, compiled before', [join(project, 'ringwall')]],
      ['the package, first start', ['env', kept, packed]],
      ['the package, started before', ['env', kept, packed]],
    ] as const
    const rows = []
    // From the sources once more beforehand, so that what Node made of them is kept.
    await measureWay(ways[0][1], file, 1, 'quick')
    for (const [what, start] of ways) rows.push([what, ...(await measureWay(start, file, restSeconds, depth))])
    return [
      {
        heading: 'Agent from a package: one ENI, no traffic',
        columns: [
          'started from',
          'start to in force, ms',
          'resident at rest, MiB',
          'with its children, MiB',
          'proportional, MiB',
          'no file’s, MiB',
          'CPU at rest, ms a second',
          'its children, ms a second',
        ],
        rows,
        notes: [
          `At rest: over ${restSeconds} s, once the start is over, no scrape and no daemon. What is some file’s is Node itself, shared among all that run it.`,
        ],
      },
    ]
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function measureWay(start: readonly [string, ...string[]], file: string, seconds: number, depth: Depth) {
  await using host = await createNamespace('agent')
  await using peer = await createNamespace('agent-peer')
  await connect({ namespace: host, device: 'eth0', addresses: ['198.18.0.2/24'] }, { namespace: peer, device: 'c0' })
  const begun = performance.now()
  await using agent = new RunningAgent(host, file, start)
  const inForce = (await agent.inForce()) - begun
  const rest = await agent.rest(seconds, depth)
  return [
    inForce,
    rest.residentMib,
    rest.residentMibWithChildren,
    rest.proportionalMib,
    rest.anonymousMib,
    rest.cpuMsPerSecond,
    rest.childrenCpuMsPerSecond,
  ].map(figure)
}
