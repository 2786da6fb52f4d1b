/**
 * What an earlier version has left is read by this one, and means the same. Each folder here has what one version left:
 *
 *   store.sql      its store, as SQL; without the CA's key and the hash of its first token, which the test puts in
 *   audit.jsonl    its audit log
 *   answers.json   what its daemon answered of that store, by path
 *   host/          the state directory of its agent on the host `obs`; without its key
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { copyFileSync, cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { json } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { readKeptGuard } from '../../agent/guard/kept-guard.ts'
import { LastGood } from '../../agent/last-good.ts'
import { readCredentials } from '../../agent/link/credentials.ts'
import { openKeptView, readLinkMemory } from '../../agent/link/kept-view.ts'
import { KeptBook } from '../../agent/observe/kept-book.ts'
import { KeptState } from '../../agent/scrub/kept-state.ts'
import { openStateDir } from '../../agent/state-dir.ts'
import { createLogger } from '../../common/log.ts'
import { makeSecret, tokenText } from '../../daemon/secrets.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { RestClient } from '../support/rest-client.ts'

const versions = globSync(join(import.meta.dirname, '*/store.sql')).map(file => basename(dirname(file)))

/** Every field that was there is as it was; more may have come. */
function assertHas(now: unknown, then: unknown, path: string): void {
  if (typeof then !== 'object' || then === null) {
    assert.deepEqual(now, then, path)
    return
  }
  assert.ok(typeof now === 'object' && now !== null, `${path}: ${JSON.stringify(now)}`)
  if (Array.isArray(then)) assert.equal((now as readonly unknown[]).length, then.length, path)
  for (const [key, value] of Object.entries(then)) {
    assertHas((now as Readonly<Record<string, unknown>>)[key], value, `${path}.${key}`)
  }
}

for (const version of versions) {
  const left = (file: string) => join(import.meta.dirname, version, file)
  const read = (file: string) => readFileSync(left(file), 'utf8')
  const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  })

  describe(`the daemon, of what that of ${version} has left`, () => {
    let folder: string
    let daemon: DaemonProcess
    const answers: Readonly<Record<string, unknown>> = JSON.parse(read('answers.json'))
    const [{ secret, secretSha256 }, sql] = [makeSecret(), read('store.sql')]
    const firstToken = /"id":"(token-\w+)","name":"first"/.exec(sql)![1]!

    /** @param backupTimeMs  of a file that is a backup */
    function makeStore(path: string, backupTimeMs: number | null): void {
      using database = new DatabaseSync(path)
      const quoted = JSON.stringify(privateKey).slice(1, -1)
      const whole = sql.replaceAll('@PRIVATE_KEY@', () => quoted).replaceAll('@TOKEN_SHA256@', secretSha256)
      database.exec(`BEGIN; ${whole} COMMIT`)
      database.prepare('UPDATE meta SET backup_time_ms = ?').run(backupTimeMs)
    }

    const withClient = async <T>(act: (client: RestClient) => Promise<T>): Promise<T> => {
      using client = new RestClient(daemon)
      return await act(client)
    }
    const assertAnswers = () =>
      withClient(async client => {
        for (const [path, then] of Object.entries(answers)) {
          const { status, body } = await client.ask('GET', path)
          assert.equal(status, 200, path)
          assertHas(body, then, path)
        }
      })

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'ringwall-upgrade-'))
      daemon = new DaemonProcess(folder)
      daemon.token = tokenText(firstToken, secret)
      mkdirSync(daemon.dataDir)
      makeStore(join(daemon.dataDir, 'store.db'), null)
      copyFileSync(left('audit.jsonl'), join(daemon.dataDir, 'audit.jsonl'))
      await daemon.start()
    })
    after(async () => {
      await daemon[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    })

    test('answers all that it answered', async () => {
      assert.ok(Object.keys(answers).length > 50)
      await assertAnswers()
      assert.deepEqual(daemon.complaints, [])
    })

    test('has its audit log, and its history', async () => {
      const events = read('audit.jsonl')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
      await withClient(async client => {
        const { items } = (await client.ask('GET', `/v1/audit?maxResults=500`)).body
        const byRequest = new Map(items.map((item: { requestId: string }) => [item.requestId, item]))
        for (const { requestId, time, action, principal } of events) {
          assertHas(byRequest.get(requestId), { requestId, time, action, principal }, requestId)
        }
        const revisions = events.filter(({ outcome }) => outcome === 'done').map(({ revision }) => revision)
        assert.ok(revisions.length > 20)
        for (const revision of revisions) {
          assert.equal((await client.ask('GET', `/v1/changes/${revision}`)).status, 200)
        }
      })
    })

    test('restores a backup of it, whatever was done since', async () => {
      const backup = join(folder, 'backup.db')
      makeStore(backup, 0)
      await withClient(async client => {
        for (const id of ['eni-free', 'eni-none']) await client.call('DELETE', `/v1/network-interfaces/${id}`)
        await client.call('DELETE', '/v1/security-groups/sg-many')
        await client.call('PATCH', '/v1/settings', { sessionTimeout: 60 })
      })
      const { status, body } = await restore(daemon, readFileSync(backup))
      assert.equal(status, 200, JSON.stringify(body))
      // All but what tells by which revision each object was written.
      const now = await withClient(async client => {
        const all: Record<string, unknown> = {}
        for (const path of Object.keys(answers)) all[path] = (await client.ask('GET', path)).body
        return all
      })
      for (const [path, then] of Object.entries(answers)) assertHas(now[path], withoutRevisions(then), path)
    })
  })

  describe(`the agent, of what that of ${version} has left`, () => {
    let folder: string
    let said = ''
    const log = createLogger('agent', 'warn', {
      write(line) {
        said += line
      },
    })
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'ringwall-upgrade-'))
      cpSync(left('host'), folder, { recursive: true })
      const credentials = join(folder, 'credentials.json')
      const quoted = JSON.stringify(privateKey).slice(1, -1)
      writeFileSync(
        credentials,
        readFileSync(credentials, 'utf8').replace('@PRIVATE_KEY@', () => quoted),
      )
      writeFileSync(join(folder, 'view.log'), '')
    })
    after(() => rm(folder, { recursive: true }))

    test('takes each file as it is', async () => {
      const fileOf = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'))
      assertHas(await readCredentials(folder), { agentId: (await fileOf('credentials.json')).agentId }, 'credentials')
      const { view, faults } = await openKeptView(folder)
      const { storeId, revision } = await fileOf('view.json')
      assert.deepEqual([view.position, faults], [{ storeId, revision }, []])
      assert.deepEqual((await readLinkMemory(folder)).daemonAddresses, (await fileOf('link.json')).daemonAddresses)
      assert.deepEqual(await readKeptGuard(folder, log), await fileOf('guard.json'))
      assert.deepEqual(await new KeptBook(folder, log).read(), (await fileOf('observed.json')).enis)
      assertHas(await new KeptState(folder, log).read(), { bootId: (await fileOf('ddos.json')).bootId }, 'ddos.json')
      const lastGood = new LastGood({ log, stateDir: openStateDir(folder), rescue: [] })
      const ir = lastGood.readIr((await lastGood.readText())!)
      assert.deepEqual(
        ir?.enis.map(({ id, isObserved }) => [id, isObserved]),
        [['eni-obs', true]],
      )
      assert.equal(said, '')
    })
  })
}

/** @returns the answer, whatever its status */
async function restore({ port, token }: DaemonProcess, backup: Buffer) {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/vnd.sqlite3',
    'content-length': backup.length,
  }
  const sent = request({ host: '127.0.0.1', port, method: 'POST', path: '/v1/restore', headers })
  const answered = new Promise<{ readonly status: number | undefined; readonly body: unknown }>((resolve, reject) => {
    sent.on('error', reject)
    sent.on('response', response => {
      json(response).then(body => resolve({ status: response.statusCode, body }), reject)
    })
  })
  sent.end(backup)
  return answered
}

function withoutRevisions(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner) => (key === 'revision' ? undefined : inner)))
}
