import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import {
  hasCredentials,
  readCredentials,
  removeCredentials,
  writeCredentials,
} from '../../../agent/link/credentials.ts'
import { readLinkMemory, readView, writeMemory, writeView } from '../../../agent/link/kept-view.ts'
import { smallView } from '../../support/view-objects.ts'

let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'ringwall-kept-')), 'state')
})
afterEach(() => rm(join(folder, '..'), { recursive: true }))

const image = { storeId: 's', revision: 7, objects: () => smallView([443], ['198.18.0.9']) }

describe('the view on disk', () => {
  test('is read as it was written, with the policy it belongs to', async () => {
    await writeView(folder, image, 'policy')
    const { policySha256: _, ...view } = (await readView(folder, 'policy')) as unknown as Record<string, unknown>
    assert.deepEqual(view, { storeId: 's', revision: 7, objects: image.objects() })
    assert.deepEqual(await readdir(folder), ['view.json'])
    assert.equal((await stat(join(folder, 'view.json'))).mode & 0o777, 0o600)
  })

  test('is none with another policy', async () => {
    await writeView(folder, image, 'policy')
    assert.equal(await readView(folder, 'policy of a moment later'), null)
  })

  const damage = [
    { name: 'missing', spoil: async () => {} },
    { name: 'torn', spoil: () => writeFile(join(folder, 'view.json'), '{"storeId":"s","revi') },
    { name: 'of another shape', spoil: () => writeFile(join(folder, 'view.json'), '{"storeId":7}') },
  ]
  for (const { name, spoil } of damage) {
    test(`is none where it is ${name}`, async () => {
      await writeView(folder, image, 'policy')
      await rm(join(folder, 'view.json'))
      await spoil()
      assert.equal(await readView(folder, 'policy'), null)
    })
  }
})

test('what the link remembers is read as it was written, and nothing where it is damaged', async () => {
  assert.deepEqual(await readLinkMemory(folder), { daemonAddresses: [], deviceNames: {} })
  const memory = { daemonAddresses: ['198.18.0.9'], deviceNames: { '02:00:00:00:00:0a': 'eth0' } }
  await writeMemory(folder, memory)
  assert.deepEqual(await readLinkMemory(folder), memory)
  await writeFile(join(folder, 'link.json'), '{"daemonAddresses":"x"}')
  assert.deepEqual(await readLinkMemory(folder), { daemonAddresses: [], deviceNames: {} })
})

describe('credentials', () => {
  const credentials = {
    daemonUrl: 'https://198.18.0.9:8444',
    agentId: 'agent-1',
    privateKey: 'key',
    certificate: 'certificate',
    caCertificate: 'CA',
  }

  test('are one file, for root alone', async () => {
    assert.equal(await readCredentials(folder), null)
    await writeCredentials(folder, credentials)
    assert.deepEqual(await readCredentials(folder), credentials)
    assert.deepEqual(await readdir(folder), ['credentials.json'])
    const modes = await Promise.all(
      ['.', 'credentials.json'].map(async name => (await stat(join(folder, name))).mode & 0o777),
    )
    assert.deepEqual(modes, [0o700, 0o600])
  })

  test('that are damaged are an error, not none: joining again is a decision', async () => {
    await writeCredentials(folder, credentials)
    const text = await readFile(join(folder, 'credentials.json'), 'utf8')
    await writeFile(join(folder, 'credentials.json'), text.slice(0, 40))
    await assert.rejects(readCredentials(folder), /Cannot read credentials .*: join the daemon again/)
    assert.equal(await hasCredentials(folder), true)
  })

  test('can be removed', async () => {
    assert.equal(await removeCredentials(folder), false)
    await writeCredentials(folder, credentials)
    assert.equal(await removeCredentials(folder), true)
    assert.equal(await readCredentials(folder), null)
  })
})
