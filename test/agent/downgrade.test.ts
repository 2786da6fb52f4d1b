/** What an agent makes of files that a newer Ringwall has left: nothing, and it says so. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { readKeptGuard, writeKeptGuard } from '../../agent/guard/kept-guard.ts'
import { readPanic, writePanic } from '../../agent/guard/panic.ts'
import { LastGood } from '../../agent/last-good.ts'
import { CredentialsError, readCredentials, writeCredentials } from '../../agent/link/credentials.ts'
import { openKeptView, readLinkMemory, writeMemory, writeView } from '../../agent/link/kept-view.ts'
import { KeptBook } from '../../agent/observe/kept-book.ts'
import { KeptState } from '../../agent/scrub/kept-state.ts'
import { Outbox } from '../../agent/scrub/outbox.ts'
import { openStateDir } from '../../agent/state-dir.ts'
import { createLogger } from '../../common/log.ts'
import { makeEvent } from '../support/ddos.ts'
import { smallView } from '../support/view-objects.ts'

let folder: string
let said: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ringwall-downgrade-'))
  said = ''
})
afterEach(() => rm(folder, { recursive: true }))

const log = createLogger('agent', 'warn', {
  write(line) {
    said += line
  },
})
const newer = /format.+: expected 1, and 2 is that of a newer Ringwall/

interface Row {
  readonly file: string
  /** Leaves the file as this Ringwall writes it. */
  readonly leave: () => Promise<unknown>
  /** What an agent that starts takes of it. */
  readonly take: () => Promise<unknown>
  /** What it takes where there is no file. */
  readonly nothing: unknown
  /** Under the name it has then. */
  readonly left?: string
}

const outbox = () => Outbox.open({ folder, log, now: () => 0 })
const noMemory = { daemonAddresses: [], deviceNames: {} }

const rows: readonly Row[] = [
  {
    file: 'view.json',
    leave: () => writeView(folder, { storeId: 's', revision: 7, objects: () => smallView([443], ['198.18.0.9']) }, 4),
    async take() {
      const { view, log: viewLog, faults } = await openKeptView(folder)
      said += faults.join()
      // Without a log it is not known what stands in the kernel, which is left alone until the daemon answers.
      return [view.position, viewLog]
    },
    nothing: [null, null],
  },
  {
    file: 'guard.json',
    leave: () =>
      writeKeptGuard(folder, { trial: null, refused: { fingerprint: 'f', cuts: ['ssh'], reason: 'r', atMs: 1 } }),
    take: () => readKeptGuard(folder, log),
    nothing: { trial: null, refused: null },
    left: 'guard.json.bad',
  },
  {
    file: 'observed.json',
    leave: () =>
      new KeptBook(folder, log).write([
        { eniId: 'eni-1', since: '2026-01-01T00:00:00.000Z', counts: [], readings: [], flows: [], flowsLeftOut: 0 },
      ]),
    take: () => new KeptBook(folder, log).read(),
    nothing: [],
    left: 'observed.json.bad',
  },
  {
    file: 'ddos.json',
    leave: () => new KeptState(folder, log).write({ bootId: 'b', table: null, instances: [{}] }),
    take: () => new KeptState(folder, log).read(),
    nothing: null,
    left: 'ddos.json.bad',
  },
  {
    file: 'ddos-events/ddos-1.json',
    async leave() {
      const box = await outbox()
      box.note(makeEvent({ id: 'ddos-1' }))
      await box.settled()
    },
    take: async () => (await outbox()).recent(),
    nothing: [],
    left: 'ddos-events/ddos-1.json.bad',
  },
]

describe('of what a newer Ringwall has left an agent takes nothing, and says so:', () => {
  for (const { file, leave, take, nothing, left = file } of rows) {
    test(file, async () => {
      await leave()
      assert.notDeepEqual(await take(), nothing, 'what this Ringwall writes it takes')
      const text = await asOfFormat2(file)
      said = ''
      assert.deepEqual(await take(), nothing)
      assert.match(said, newer)
      assert.equal(await readFile(join(folder, left), 'utf8'), text, 'the newer one can have it back')
    })
  }

  test('link.json, which it makes anew without a word: it is a cache', async () => {
    await writeMemory(folder, { ...noMemory, daemonAddresses: ['198.18.0.1'] })
    assert.notDeepEqual(await readLinkMemory(folder), noMemory)
    await asOfFormat2('link.json')
    assert.deepEqual(await readLinkMemory(folder), noMemory)
  })

  test('policy.last-good', async () => {
    const text = (version: string) => `{"apiVersion":"ringwall/${version}"}`
    const stateDir = openStateDir(folder)
    const lastGood = new LastGood({ log, stateDir, rescue: [] })
    await stateDir.write(text('v1'), '')
    assert.notEqual(lastGood.readIr((await lastGood.readText())!), null, said)
    await stateDir.write(text('v2'), '')
    assert.equal(lastGood.readIr((await lastGood.readText())!), null)
    assert.match(said, /the last policy that was in force cannot be read any more/)
    assert.match(said, /apiVersion.+ringwall\/v2.+expected/)
  })
})

test('credentials of a newer Ringwall are refused, not overlooked: joining again is a decision', async () => {
  const [privateKey, certificate, caCertificate] = ['k', 'c', 'ca']
  await writeCredentials(folder, { daemonUrl: 'https://d:1', agentId: 'a', privateKey, certificate, caCertificate })
  assert.equal((await readCredentials(folder))?.agentId, 'a')
  await asOfFormat2('credentials.json')
  await assert.rejects(readCredentials(folder), error => {
    assert.ok(error instanceof CredentialsError)
    assert.match(error.message, newer)
    return true
  })
})

test('a host that a newer Ringwall was told to open stays open: whoever was locked out must not be again', async () => {
  await writePanic(folder, { since: 'then' })
  await writeFile(join(folder, 'panic.json'), '{"format":2}')
  assert.deepEqual(await readPanic(folder), { since: 'an unknown time' })
})

/** @returns its text, as a newer Ringwall might leave it */
async function asOfFormat2(file: string): Promise<string> {
  const path = join(folder, file)
  const text = `${JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), format: 2 })}\n`
  await writeFile(path, text)
  return text
}
