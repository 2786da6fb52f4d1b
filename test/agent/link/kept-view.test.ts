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
import {
  formatLine,
  openKeptView,
  readLinkMemory,
  type ViewDelta,
  writeMemory,
  writeView,
} from '../../../agent/link/kept-view.ts'
import type { ViewImage } from '../../../agent/link/view.ts'
import type { ViewMembers } from '../../../wire/view.ts'
import { smallView } from '../../support/view-objects.ts'

let folder: string
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'ringwall-kept-')), 'state')
})
afterEach(() => rm(join(folder, '..'), { recursive: true }))

const image: ViewImage = { storeId: 's', revision: 7, objects: () => smallView([443], ['198.18.0.9']) }
const joins = (revision: number, address: string, storeId = 's'): ViewDelta => ({
  type: 'delta',
  storeId,
  revision,
  set: [],
  remove: [],
  members: [{ id: 'sg-app', add: [address], remove: [] }],
})
const first = formatLine(5, joins(8, '198.18.0.10'))
const second = formatLine(6, joins(9, '198.18.0.11'))
const third = formatLine(7, joins(10, '198.18.0.12'))

/** Update 4 of this agent's, at revision 7, and a log. */
async function leave(log: string | Buffer | null, name = 'view.log'): Promise<void> {
  await writeView(folder, image, 4)
  if (log !== null) await writeFile(join(folder, name), log)
}

async function open() {
  const kept = await openKeptView(folder)
  await kept.log?.file.close()
  const members = kept.view
    .image()
    ?.objects()
    .find(({ kind }) => kind === 'members')
  return {
    ...kept,
    revision: kept.view.position?.revision ?? null,
    members: (members?.value as ViewMembers | undefined)?.addresses ?? null,
  }
}

describe('the view on disk', () => {
  test('is read as it was written, for root alone', async () => {
    await leave('')
    const { view, number, log, faults, viewBytes } = await open()
    assert.deepEqual(view.position, { storeId: 's', revision: 7 })
    assert.deepEqual(view.image()?.objects(), image.objects())
    const { size, mode } = await stat(join(folder, 'view.json'))
    assert.deepEqual([number, log?.bytes, faults, viewBytes, mode & 0o777], [4, 0, [], size, 0o600])
  })

  test('goes on with its log', async () => {
    await leave(first + second)
    const { revision, number, members, log } = await open()
    assert.deepEqual([revision, number, log?.bytes], [9, 6, (first + second).length])
    assert.deepEqual(members, ['198.18.0.10', '198.18.0.11', '198.18.0.9'])
  })

  test('has lines of the log already where the agent was killed before it emptied it', async () => {
    const contained = [3, 4].map(number => formatLine(number, joins(number + 3, '198.18.9.9'))).join('')
    await leave(contained + first)
    const { revision, members, log } = await open()
    assert.deepEqual([revision, members, log !== null], [8, ['198.18.0.10', '198.18.0.9'], true])
  })

  test('of another store after a snapshot has the lines before it, too', async () => {
    await leave(formatLine(3, joins(70, '198.18.9.9', 'another')) + formatLine(4, joins(71, '198.18.9.8', 'another')))
    const { revision, log } = await open()
    assert.deepEqual([revision, log !== null], [7, true])
  })

  test('is none where there is none, and that is no fault', async () => {
    const { revision, number, log, faults } = await open()
    assert.deepEqual([revision, number, log, faults], [null, 0, null, []])
  })

  test('ends before a line that was torn, which is cut off', async () => {
    for (let length = 1; length < second.length; length += 1) {
      await leave(first + second.slice(0, length))
      const { revision, number, log } = await open()
      assert.deepEqual([revision, number, log?.bytes], [8, 5, first.length], `after ${length} bytes`)
      assert.equal(await readFile(join(folder, 'view.log'), 'utf8'), first)
    }
  })

  const zeros = Buffer.alloc(40)
  const old: readonly {
    readonly name: string
    readonly log: string | Buffer | null
    readonly says: RegExp
    at?: number
  }[] = [
    { name: 'the log is missing', log: null, says: /view\.log is missing/ },
    { name: 'lines are out of order', log: second + first, says: /line 1, .*Cannot apply update 6: expected 5/ },
    { name: 'a line is missing', log: first + third, says: /line 2, .*Cannot apply update 7: expected 6/, at: 8 },
    {
      name: 'a line is of another store',
      log: first + formatLine(6, joins(9, '198.18.0.11', 'another')) + third,
      says: /line 2, .*store "another": expected "s"/,
      at: 8,
    },
    { name: 'a line is none', log: `${first}{"number":6\n${third}`, says: /line 2, .*expected JSON/, at: 8 },
    {
      name: 'a block was never written',
      log: Buffer.concat([Buffer.from(first), zeros, Buffer.from(second.slice(40))]),
      says: /line 2, .*expected JSON/,
      at: 8,
    },
    {
      name: 'a line has another shape',
      log: `${first}{"number":6,"storeId":"s","revision":9,"set":{},"remove":[],"members":[]}\n`,
      says: /line 2, .*"set": expected a list/,
      at: 8,
    },
  ]
  for (const { name, log, says, at = 7 } of old) {
    test(`may be old where ${name}`, async () => {
      await leave(log)
      const kept = await open()
      assert.deepEqual([kept.revision, kept.log], [at, null])
      assert.match(kept.faults.join(), says)
    })
  }

  test('may be old where the disk would not take what came next', async () => {
    await leave(first + second.slice(0, 30), 'view.behind')
    const { revision, number, log, faults } = await open()
    assert.deepEqual([revision, number, log, faults], [8, 5, null, ['view.log is missing']])
  })

  test('gives out no number twice, whatever could not be applied', async () => {
    await leave(first + third)
    assert.equal((await open()).number, 7)
  })

  const damage = [
    { name: 'missing', json: null, says: /^view\.json is missing/ },
    { name: 'torn', json: '{"storeId":"s","revi', says: /^view\.json: .*expected JSON/ },
    { name: 'of another shape', json: '{"storeId":7}', says: /^view\.json: .*"storeId": expected text/ },
  ]
  for (const { name, json, says } of damage) {
    test(`is none where it is ${name}, and its log does not follow from anything`, async () => {
      await leave(first)
      await rm(join(folder, 'view.json'))
      if (json !== null) await writeFile(join(folder, 'view.json'), json)
      const { revision, log, faults } = await open()
      assert.deepEqual([revision, log], [null, null])
      assert.match(faults.join(), says)
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
