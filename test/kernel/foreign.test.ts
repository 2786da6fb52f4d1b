/**
 * Other programs' tables, of test/cases/foreign: whatever Ringwall does, they stay as they were, down to the handles of
 * their rules, and when Ringwall goes, nothing of it remains.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { needsKernel } from '../support/requirements.ts'
import { applyPolicy, flushPolicy, startAgent } from '../support/ringwall.ts'

const folder = join(import.meta.dirname, '../cases/foreign')
const dumps = (await readdir(folder)).filter(file => file.endsWith('.nft')).sort()

for (const dump of [...dumps, 'all of them']) {
  const files = dump === 'all of them' ? dumps : [dump]

  test(`${dump}: apply, apply something else, flush`, { skip: needsKernel }, async () => {
    await using namespace = await makeHost(files)
    const untouched = await readEverything(namespace)
    const foreign = await readForeign(namespace)
    for (const ports of [[22], [22, 443], []]) {
      await applyPolicy(namespace, makePolicy(ports))
      assert.notEqual(await readEverything(namespace), untouched, 'the policy is in force')
      assert.equal(await readForeign(namespace), foreign, `after apply with ports ${ports}`)
    }
    await flushPolicy(namespace)
    assert.equal(await readEverything(namespace), untouched)
  })

  test(`${dump}: an agent comes, follows its file, and goes`, { skip: needsKernel }, async () => {
    await using namespace = await makeHost(files)
    const untouched = await readEverything(namespace)
    const foreign = await readForeign(namespace)
    {
      await using agent = await startAgent(namespace, makePolicy([22]))
      assert.notEqual(await readEverything(namespace), untouched, 'the policy is in force')
      assert.equal(await readForeign(namespace), foreign, 'after the start')
      await agent.follow(makePolicy([22, 443]))
      assert.equal(await readForeign(namespace), foreign, 'after a change of the file')
    }
    assert.equal(await readEverything(namespace), untouched)
  })
}

/** A host with the ENI's device and somebody else's tables. */
async function makeHost(files: readonly string[]): Promise<Namespace> {
  const namespace = await createNamespace('foreign')
  await namespace.run('ip', ['link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'wire'])
  for (const file of files)
    await namespace.run('nft', ['-f', '-'], { input: await readFile(join(folder, file), 'utf8') })
  return namespace
}

/** The whole ruleset with handles: a rule made anew gets a new one. Counters left out: the kernel's own packets count. */
async function readEverything(namespace: Namespace): Promise<string> {
  const { stdout } = await namespace.run('nft', ['--stateless', '--handle', 'list', 'ruleset'])
  return stdout
}

/** The same without Ringwall's tables. */
async function readForeign(namespace: Namespace): Promise<string> {
  const tables = (await readEverything(namespace)).split(/^(?=table )/m)
  return tables.filter(table => !/^table \w+ ringwall(-scrub)? /.test(table)).join('')
}

function makePolicy(ports: readonly number[]): unknown {
  const rules = ports.map(port => ({
    direction: 'ingress',
    policy: 'accept',
    ipProtocol: 'tcp',
    portRange: `${port}/${port}`,
    sourceGroupId: 'sg-1',
  }))
  return {
    apiVersion: 'ringwall/v1',
    interfaces: [{ id: 'eni-1', device: 'd0', addresses: ['198.18.0.2'], securityGroupIds: ['sg-1'] }],
    securityGroups: [{ id: 'sg-1', innerAccessPolicy: 'drop', members: ['198.18.0.9', '2001:db8::9'], rules }],
  }
}
