/** The host's nft, in namespaces of its own. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { NftError } from '../../agent/nft/errors.ts'
import { createNft } from '../../agent/nft/exec.ts'
import type { NftCommand } from '../../agent/nft/nft.ts'
import { probe, slowElementUpdateMs } from '../../agent/nft/probe.ts'
import { createNamespace, type Namespace } from '../../lab/netns.ts'
import { testNft } from '../agent/nft/nft.shared.ts'
import { needsKernel } from '../support/requirements.ts'

const options = { skip: needsKernel }

testNft(
  "the host's nft",
  async () => {
    const namespace = await createNamespace('nft')
    return {
      nft: createNft({ prefix: inside(namespace) }),
      [Symbol.asyncDispose]: () => namespace[Symbol.asyncDispose](),
    }
  },
  { ...options, version: hostNftVersion() },
)

function hostNftVersion(): string {
  if (needsKernel !== false) return ''
  return /v(\S+)/.exec(execFileSync('nft', ['--version'], { encoding: 'utf8' }))![1]!
}

const inside = (namespace: Namespace) => ['ip', 'netns', 'exec', namespace.name]
const addTable: NftCommand = { add: { table: { family: 'inet', name: 't' } } }

test("with RINGWALL_LAB_ONLY=1 nothing is asked of the machine's own network namespace", options, async () => {
  process.env.RINGWALL_LAB_ONLY = '1'
  const nft = createNft()
  const message = /Cannot touch the machine's own network namespace/
  // Harmless, should the guard fail: nothing of these names is there.
  await assert.rejects(nft.apply([{ delete: { table: { family: 'inet', name: 'ringwall-no-such-table' } } }]), message)
  await assert.rejects(nft.applyText('delete table inet ringwall-no-such-table'), message)
  await assert.rejects(nft.list('inet', 'ringwall-no-such-table'), message)
  await assert.rejects(nft.listBaseChains(), message)
})

test('a namespace that is not there is not a table that is not there', options, async () => {
  const nft = createNft({ prefix: ['ip', 'netns', 'exec', 'rw-no-such-namespace'] })
  await assert.rejects(nft.list('inet', 't'), /No such file or directory/)
})

test('who may not change the namespace is told so', options, async () => {
  await using namespace = await createNamespace('nft')
  const unprivileged = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
  const nft = createNft({ prefix: [...inside(namespace), ...unprivileged] })
  await assert.rejects(nft.applyText('add table inet t'), { kind: 'permission' })
  await assert.rejects(nft.list('inet', 't'), { kind: 'permission' })
})

const replacements = [
  { name: 'hangs', script: 'exec sleep 60', timeoutMs: 200, kind: 'timeout', message: /did not end within 200 ms/ },
  { name: 'crashes', script: 'kill -SEGV $$', timeoutMs: 60_000, kind: 'unknown', message: /was ended by SIGSEGV/ },
] as const

for (const { name, script, timeoutMs, kind, message } of replacements) {
  test(`nft that ${name}: ${kind}`, options, async () => {
    await using namespace = await createNamespace('nft')
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'nft'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    const nft = createNft({
      prefix: [...inside(namespace), 'env', `PATH=${folder.path}:/usr/bin:/bin`],
      timeoutMs,
    })
    await assert.rejects(nft.apply([addTable]), (error: NftError) => {
      assert.equal(error.kind, kind)
      assert.match(error.message, message)
      return true
    })
  })
}

test('half a transaction, as after a kill, does nothing', options, async () => {
  await using namespace = await createNamespace('nft')
  const nft = createNft({ prefix: inside(namespace) })
  const whole = JSON.stringify({ nftables: [addTable, { add: { chain: { family: 'inet', table: 't', name: 'c' } } }] })
  for (const length of [0, 1, 20, 60, whole.length - 1]) {
    const input = whole.slice(0, length)
    await namespace.run('nft', ['-j', '-f', '-'], { input, allowFailure: true })
    assert.equal(await nft.list('inet', 't'), null, input)
  }
})

test('calls made at once are done one after the other, in order', options, async () => {
  await using namespace = await createNamespace('nft')
  const nft = createNft({ prefix: inside(namespace) })
  const chains = ['a', 'b', 'c'].map(name =>
    nft.apply([addTable, { add: { chain: { family: 'inet', table: 't', name } } }]),
  )
  const listed = (await nft.list('inet', 't')) ?? []
  await Promise.all(chains)
  assert.deepEqual(
    listed.flatMap(object => ('chain' in object ? [(object.chain as { name: string }).name] : [])),
    ['a', 'b', 'c'],
  )
})

test('a refusal does not hold up the calls behind it', options, async () => {
  await using namespace = await createNamespace('nft')
  const nft = createNft({ prefix: inside(namespace) })
  const refused = nft.apply([{ delete: { table: { family: 'inet', name: 'missing' } } }])
  const accepted = nft.apply([addTable])
  await assert.rejects(refused, { kind: 'not-found' })
  await accepted
})

/** The elements of a large set have no room in it, so that whoever reads them fails: nft alone takes 4 MiB. */
const littleMemory = ['prlimit', `--data=${10 * 1024 * 1024}`]
const outOfMemory = /Memory allocation failure/

test("another table's large interval set is not read for our listings", options, async () => {
  await using namespace = await createNamespace('nft')
  await createNft({ prefix: inside(namespace) }).apply([addTable, ...foreignIntervals(20_000)])
  const nft = createNft({ prefix: [...inside(namespace), ...littleMemory] })
  await assert.rejects(nft.list('inet', 'foreign'), outOfMemory)
  assert.equal((await nft.list('inet', 't'))?.length, 1)
  assert.deepEqual(await nft.listBaseChains(), [])
})

test(
  'elements of a set are not read with counters that are set to zero, nor with a terse listing',
  options,
  async () => {
    await using namespace = await createNamespace('nft')
    const elem = Array.from({ length: 50_000 }, (_, index) => `198.18.${index >> 8}.${index & 255}`)
    const named = (name: string) => ({ family: 'inet', table: 't', name })
    await createNft({ prefix: inside(namespace) }).apply([
      addTable,
      { add: { set: { ...named('s'), type: 'ipv4_addr' } } },
      { add: { element: { ...named('s'), elem } } },
      { add: { counter: named('c/1') } },
    ])
    const nft = createNft({ prefix: [...inside(namespace), ...littleMemory] })
    await assert.rejects(nft.list('inet', 't'), outOfMemory)
    assert.equal((await nft.list('inet', 't', { terse: true }))?.length, 3)
    assert.deepEqual([...(await nft.resetCounters('inet', 't'))!.keys()], ['c/1'])
  },
)

/** As a country list in a firewall of somebody else. */
function foreignIntervals(count: number): readonly NftCommand[] {
  const foreign = { family: 'inet', table: 'foreign' }
  const elem = Array.from({ length: count }, (_, index) => `198.18.${(index * 2) >> 8}.${(index * 2) & 255}`)
  return [
    { add: { table: { family: 'inet', name: 'foreign' } } },
    { add: { set: { ...foreign, name: 'countries', type: 'ipv4_addr', flags: ['interval'] } } },
    { add: { element: { ...foreign, name: 'countries', elem } } },
  ]
}

test('the probe tells what goes as JSON, and leaves nothing behind', options, async () => {
  await using namespace = await createNamespace('nft')
  const nft = createNft({ prefix: inside(namespace) })
  const { nftVersion, features, elementUpdateMs, messages } = await probe(nft)
  assert.match(nftVersion, /^1\./)
  const { 'ct timeout policy': ctTimeoutPolicy, ...others } = features
  assert.notEqual(ctTimeoutPolicy, 'missing')
  if (nftVersion === '1.0.6') assert.equal(ctTimeoutPolicy, 'text')
  assert.deepEqual(others, {
    'element counters': 'json',
    'concatenated intervals': 'json',
    'ct tuple': 'json',
    'rule comments': 'json',
    NFLOG: 'json',
  })
  // A busy machine is slow without any set of others.
  const isSlow = elementUpdateMs > slowElementUpdateMs
  assert.equal(messages.filter(message => message.includes('interval set')).length, isSlow ? 1 : 0, messages.join())
  assert.equal((await namespace.run('nft', ['list', 'ruleset'])).stdout, '')
})

test('the probe tells of interval sets of others that make changes slow', options, async () => {
  await using namespace = await createNamespace('nft')
  const nft = createNft({ prefix: inside(namespace) })
  await nft.apply(foreignIntervals(30_000))
  const { elementUpdateMs, messages } = await probe(nft)
  assert.ok(elementUpdateMs > 30, `${elementUpdateMs} ms`)
  assert.match(messages.join('\n'), /One element takes \d+ ms to change: .* interval set/)
})

test('the probe removes what a killed one left, and no table of a living one', options, async () => {
  await using namespace = await createNamespace('nft')
  const nft = createNft({ prefix: inside(namespace) })
  const living = namespace.spawn('sleep', ['60'])
  const dead = namespace.spawn('true', [])
  await new Promise(resolve => dead.once('close', resolve))
  const tables = [living.pid, dead.pid, process.pid].map(pid => `ringwall-probe-${pid}`)
  for (const name of tables) {
    const chain = { add: { chain: { family: 'inet', table: name, name: 'probed' } } }
    await nft.apply([{ add: { table: { family: 'inet', name } } }, chain])
  }
  await probe(nft)
  assert.deepEqual(await nft.listTablesWithChains(), [{ family: 'inet', name: tables[0] }])
  living.kill('SIGKILL')
})

function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'ringwall-test-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

describe('a probe whose table somebody flushes', options, () => {
  /** Everything is flushed after each of these changes, counted from 1. */
  async function probeFlushed(namespace: Namespace, isFlushed: (change: number) => boolean) {
    const nft = createNft({ prefix: inside(namespace) })
    let changes = 0
    const flushing =
      <Arguments extends readonly unknown[]>(change: (...args: Arguments) => Promise<void>) =>
      async (...args: Arguments) => {
        await change(...args)
        changes += 1
        if (isFlushed(changes)) await namespace.run('nft', ['flush', 'ruleset'])
      }
    return probe({ ...nft, apply: flushing(nft.apply), applyText: flushing(nft.applyText) })
  }

  test('finds out the same, whenever that is', async () => {
    await using namespace = await createNamespace('nft')
    const { features } = await probeFlushed(namespace, () => false)
    for (let flushed = 1; flushed <= 6; flushed += 1) {
      const found = await probeFlushed(namespace, change => change === flushed)
      assert.deepEqual(found.features, features, `flushed after change ${flushed}`)
    }
  })

  test('says so where that goes on and on', async () => {
    await using namespace = await createNamespace('nft')
    await assert.rejects(
      probeFlushed(namespace, () => true),
      { kind: 'not-found', message: /removed its table 5 times/ },
    )
  })
})
