/** systemd/boot.sh in a host's namespace: what it finds on disk, and what packets meet afterwards. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import type { Peer } from '../../lab/conversation.ts'
import { startAgent } from '../support/agent.ts'
import { addresses, createHostNetwork, type HostNetwork } from '../support/host-network.ts'
import { acceptPort, closedGroup, policyDocument } from '../support/policy-documents.ts'
import { needsKernel } from '../support/requirements.ts'
import { flushPolicy, ringwallProgram } from '../support/ringwall.ts'
import { converse, listenForSessions } from '../support/sessions.ts'

const script = join(import.meta.dirname, '../../systemd/boot.sh')
const ports = { ssh: 7022, service: 7080 } as const
const policy = policyDocument({ host: ['sg-1'] }, [
  closedGroup('sg-1', [...acceptPort(ports.service), ...acceptPort(8000, 'egress')]),
])

let network: HostNetwork
let folder: string
let ruleset: string

before(async () => {
  if (needsKernel !== false) return
  network = await createHostNetwork()
  folder = await mkdtemp(join(tmpdir(), 'ringwall-boot-'))
  ruleset = join(folder, 'ruleset.nft')
  for (const port of Object.values(ports)) await listenForSessions(network.peers.host, port)
  await listenForSessions(network.peers.outside, 8000)
  await listenForSessions(network.peers.guest1, ports.service)
})

beforeEach(async () => {
  if (needsKernel !== false) return
  await flushPolicy(network.namespaces.host)
  await rm(ruleset, { force: true })
})

after(async () => {
  await network?.[Symbol.asyncDispose]()
  if (folder !== undefined) await rm(folder, { recursive: true })
})

interface Settings {
  readonly RINGWALL_BOOT_WITHOUT_RULESET?: string
  readonly RINGWALL_BOOT_OPEN_PORTS?: string
}

async function boot(settings: Settings = {}) {
  const variables = Object.entries({ ...settings, RINGWALL_BOOT_RULESET: ruleset }).map(
    ([key, value]) => `${key}=${value}`,
  )
  const { stdout, exitCode } = await network.namespaces.host.run('env', [...variables, 'sh', script], {
    allowFailure: true,
  })
  return {
    said: stdout.trim().split('\n').at(-1)!.replaceAll(ruleset, 'FILE').replace('ringwall-boot: ', ''),
    exitCode,
  }
}

const compiled = async () => {
  const { stdout } = await network.namespaces.host.run(ringwallProgram, ['compile', '-', '--format', 'text'], {
    input: JSON.stringify(policy),
  })
  return stdout
}

interface Reached {
  readonly ssh: boolean
  readonly service: boolean
  /** Whether the host gets out. */
  readonly out: boolean
  /** Whether a guest behind it is reached. */
  readonly through: boolean
}

/** @param expected  what should be open is given time, on a busy machine too */
async function assertReach(expected: Reached): Promise<void> {
  const { outside, host, guest1 } = network.peers
  const opens = async (way: keyof Reached, client: Peer, server: Peer, address: string, port: number) => {
    try {
      if (expected[way]) await converse('tcp', { client, server, address, port })
      else await (await client.connectTcp(address, port, { timeoutMs: 500 })).close()
      return [way, true]
    } catch {
      return [way, false]
    }
  }
  const reached = await Promise.all([
    opens('ssh', outside, host, addresses.host.ip, ports.ssh),
    opens('service', outside, host, addresses.host.ip6, ports.service),
    opens('out', host, outside, addresses.outside.ip6, 8000),
    opens('through', outside, guest1, addresses.guest1.ip, ports.service),
  ])
  assert.deepEqual(Object.fromEntries(reached), expected)
}

const asItWas = { ssh: true, service: true, out: true, through: true }
const closed = { ssh: false, service: false, out: true, through: false }
const byPolicy = { ssh: false, service: true, out: true, through: true }

describe('at boot', { skip: needsKernel }, () => {
  test('the last good ruleset is loaded', async () => {
    await writeFile(ruleset, await compiled())
    assert.deepEqual(await boot(), { said: 'in force: FILE', exitCode: 0 })
    await assertReach(byPolicy)
  })

  test('what is in force already is left as it is', async () => {
    await writeFile(ruleset, await compiled())
    await boot()
    await writeFile(ruleset, 'nonsense')
    assert.deepEqual(await boot(), {
      said: 'a ruleset of Ringwall is in force already; it is left as it is',
      exitCode: 0,
    })
    await assertReach(byPolicy)
  })

  const left = 'the host is left as it was; the agent puts the policy in force when it has started'
  const shut = 'the host is closed until the agent has put a policy in force'
  const rows: readonly {
    readonly name: string
    readonly file: 'none' | 'empty' | 'torn'
    readonly settings?: Settings
    readonly expected: Awaited<ReturnType<typeof boot>>
    readonly reached: Reached
  }[] = [
    { name: 'no ruleset', file: 'none', expected: { said: left, exitCode: 0 }, reached: asItWas },
    { name: 'an empty one', file: 'empty', expected: { said: left, exitCode: 1 }, reached: asItWas },
    { name: 'a torn one', file: 'torn', expected: { said: left, exitCode: 1 }, reached: asItWas },
    {
      name: 'no ruleset, to be closed',
      file: 'none',
      settings: { RINGWALL_BOOT_WITHOUT_RULESET: 'closed' },
      expected: { said: shut, exitCode: 0 },
      reached: closed,
    },
    {
      name: 'a torn one, to be closed but for ports',
      file: 'torn',
      settings: { RINGWALL_BOOT_WITHOUT_RULESET: 'closed', RINGWALL_BOOT_OPEN_PORTS: `22, ${ports.ssh}` },
      expected: { said: shut, exitCode: 1 },
      reached: { ...closed, ssh: true },
    },
    {
      name: 'no ruleset, and a setting that nobody knows',
      file: 'none',
      settings: { RINGWALL_BOOT_WITHOUT_RULESET: 'close' },
      expected: { said: shut, exitCode: 0 },
      reached: closed,
    },
  ]
  for (const { name, file, settings, expected, reached } of rows) {
    test(name, async () => {
      if (file === 'empty') await writeFile(ruleset, '')
      if (file === 'torn') await writeFile(ruleset, (await compiled()).slice(0, -40))
      assert.deepEqual(await boot(settings), expected)
      await assertReach(reached)
    })
  }

  test('a host that its administrator has opened stays open', async () => {
    const panic = join(folder, 'panic.json')
    await writeFile(ruleset, await compiled())
    await writeFile(panic, '{}')
    try {
      const said = 'an administrator has opened this host ("ringwall panic"): it stays open'
      assert.deepEqual(await boot({ RINGWALL_BOOT_WITHOUT_RULESET: 'closed' }), { said, exitCode: 0 })
      await assertReach(asItWas)
    } finally {
      await rm(panic)
    }
    assert.equal((await boot()).exitCode, 0)
    await assertReach(byPolicy)
  })

  test('the agent replaces the closed ruleset by its policy', async () => {
    await boot({ RINGWALL_BOOT_WITHOUT_RULESET: 'closed' })
    await using _agent = await startAgent({ namespace: network.namespaces.host, policy })
    await assertReach(byPolicy)
  })
})
