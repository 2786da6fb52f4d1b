/** Backup and restore over the API. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { keyOf } from '../../../daemon/model/documents.ts'
import { openSqliteStore } from '../../../daemon/store/sqlite.ts'
import { accountId, startApi, type TestApi } from '../../support/api.ts'
import { addAgent, makeFleet, post } from '../../support/fleet-state.ts'

const sqlite = 'application/vnd.sqlite3'

async function backupOf(api: TestApi): Promise<Buffer> {
  const headers = { authorization: `Bearer ${api.token}` }
  const answer = await api.app.inject({ method: 'POST', url: '/v1/backup', headers })
  assert.equal(answer.statusCode, 200, answer.body)
  assert.equal(answer.headers['content-type'], sqlite)
  assert.equal(answer.rawPayload.length, Number(answer.headers['content-length']))
  assert.equal(answer.headers['ringwall-revision'], String(api.store.head()))
  return answer.rawPayload
}

function restore(api: TestApi, file: Buffer, query = '', headers: Record<string, string> = {}) {
  return api.request('POST', `/v1/restore${query}`, file, { headers: { 'content-type': sqlite, ...headers } })
}

/** Documents by key, but for those that a restore leaves as they are. */
async function documentsOf(api: TestApi): Promise<Record<string, unknown>> {
  const { entries } = await api.store.list('')
  return Object.fromEntries(
    entries.filter(({ key }) => !/^(token|idempotency)\//.test(key)).map(({ key, value }) => [key, value]),
  )
}

const filesOf = (api: TestApi) => readdirSync(join(api.folder, 'transfer'))

describe('a backup', () => {
  test('is restored as one commit, whatever was written since, and leaves no file', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const before = await documentsOf(api)
    const file = await backupOf(api)
    const backupRevision = api.store.head()
    await api.request('DELETE', '/v1/instances/i-1')
    await api.request('PATCH', '/v1/instances/i-2', { instanceName: 'changed' })
    await api.request('PATCH', '/v1/settings', { sessionTimeout: 60 })
    await post(api, '/v1/instances', { accountId, instanceId: 'i-new' })
    const head = api.store.head()
    const answer = await restore(api, file)
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    assert.equal(answer.body.revision, head + 1)
    assert.equal(api.store.head(), head + 1)
    assert.deepEqual(await documentsOf(api), before)
    const { backup, keptTokenId, authorityChanged, objects } = answer.body
    assert.deepEqual(
      [backup, keptTokenId, authorityChanged, objects.instance, objects.eni],
      [{ storeId: api.store.id, revision: backupRevision }, null, false, 7, 6],
    )
    assert.deepEqual(filesOf(api), [])
    // In memory too, with its indexes.
    assert.deepEqual([...api.world.enisOfGroup('sg-1')].sort(), ['eni-1', 'eni-6'])
    assert.deepEqual([...api.world.membersOf('sg-1').keys()].sort(), ['198.18.0.1', '198.18.0.6'])
  })

  test('leaves what hosts have said of themselves since: whether they are open, and what an older version had no word for', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const file = await backupOf(api)
    const before = api.world.get('agent', 'agent-1')!
    const report = { ...before.report!, openSince: '2026-01-01T00:00:00.000Z', rescuePorts: [22] }
    await addAgent(api, 'agent-1', { hostName: 'renamed', report })
    await addAgent(api, 'agent-since')
    assert.equal((await restore(api, file)).status, 200)
    const { isOpen, rescuePorts, hostName } = (await api.request('GET', '/v1/agents/agent-1')).body.agent
    assert.deepEqual([isOpen, rescuePorts, hostName], [true, [22], 'renamed'])
    assert.equal((await api.request('GET', '/v1/agents/agent-since')).status, 404)
  })

  test('of another daemon replaces all but the token that asks, and says so', async () => {
    await using source = await startApi()
    await makeFleet(source)
    const authority = (name: string) => ({ id: 'agents', certificate: name, privateKey: name, createdAtMs: 0 })
    const untilMs = Date.parse('2030-01-01T00:00:00Z')
    const lostBefore = { fromMs: untilMs - 3000, untilMs: untilMs - 2000 }
    const value = { ...authority('source'), lostTimes: [lostBefore] }
    await source.store.commit({ writes: [{ key: keyOf('authority', 'agents'), value }] })
    await using target = await startApi({ accounts: ['3000000000000000'], now: () => untilMs })
    await target.store.commit({ writes: [{ key: keyOf('authority', 'agents'), value: authority('target') }] })
    const body = { name: 'asks', scopes: [{ accountId: '*', access: 'write' }] }
    const { token, apiToken } = (await target.request('POST', '/v1/tokens', body)).body
    const file = await backupOf(source)
    const headers = { 'content-type': sqlite }
    const answer = await target.request('POST', '/v1/restore', file, { token, headers })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    assert.deepEqual([answer.body.keptTokenId, answer.body.authorityChanged], [apiToken.tokenId, true])
    const documents = await documentsOf(source)
    const { timeMs: fromMs } = (await source.store.history(source.store.head(), 1))[0]!
    assert.deepEqual(await documentsOf(target), {
      ...documents,
      'authority/agents': { ...authority('source'), lostTimes: [lostBefore, { fromMs, untilMs }] },
    })
    assert.equal((await target.request('GET', '/v1/whoami', undefined, { token })).status, 200)
    assert.equal((await target.request('GET', '/v1/whoami', undefined, { token: source.token })).status, 200)
  })

  test('without CA leaves the one there is', async () => {
    await using source = await startApi()
    const file = await backupOf(source)
    await using target = await startApi()
    const value = { id: 'agents', certificate: 'target', privateKey: 'target', createdAtMs: 0 }
    await target.store.commit({ writes: [{ key: keyOf('authority', 'agents'), value }] })
    assert.equal((await restore(target, file)).body.authorityChanged, false)
    assert.deepEqual(target.world.get('authority', 'agents'), value)
  })

  test('in a dry run says what would change, and changes nothing', async () => {
    await using api = await startApi()
    await makeFleet(api)
    const file = await backupOf(api)
    await api.request('DELETE', '/v1/network-interfaces/eni-2')
    const stored = await api.store.list('')
    const answer = await restore(api, file, '?dryRun=true')
    assert.deepEqual(
      answer.body.changes.map(({ key }: { key: string }) => key),
      ['eni/eni-2'],
    )
    assert.deepEqual(await api.store.list(''), stored)
    assert.deepEqual(filesOf(api), [])
  })

  test('answers kept for repetitions are gone with what they tell of, and its own is kept', async () => {
    await using api = await startApi()
    const file = await backupOf(api)
    const withKey = (key: string) => ({ headers: { 'idempotency-key': key } })
    await api.request('POST', '/v1/instances', { accountId, instanceId: 'i-1' }, withKey('made'))
    const first = await restore(api, file, '', { 'idempotency-key': 'restored' })
    assert.equal(first.status, 200, JSON.stringify(first.body))
    const again = await restore(api, file, '', { 'idempotency-key': 'restored' })
    assert.deepEqual([again.headers['idempotent-replayed'], again.body], ['true', first.body])
    const other = await restore(api, await backupOf(api), '', { 'idempotency-key': 'restored' })
    assert.equal(other.status, 422)
    const made = await api.request('POST', '/v1/instances', { accountId, instanceId: 'i-1' }, withKey('made'))
    assert.deepEqual([made.status, made.headers['idempotent-replayed']], [201, undefined])
  })

  test('is audited, both ways', async () => {
    await using api = await startApi()
    const file = await backupOf(api)
    await api.request('POST', '/v1/instances', { accountId, instanceId: 'i-1' })
    await restore(api, file)
    const reader = await api.makeToken([{ accountId: '*', access: 'read' }])
    await api.request('POST', '/v1/backup', undefined, { token: reader })
    await api.audit.settled()
    const { items } = (await api.request('GET', '/v1/audit')).body
    assert.deepEqual(
      items.map(({ action, outcome, code }: Record<string, string>) => [action, outcome, code]),
      [
        ['ringwall:Backup', 'refused', 'Forbidden'],
        ['ringwall:Restore', 'done', null],
        ['ecs:RunInstances', 'done', null],
        ['ringwall:Backup', 'done', null],
      ],
    )
    assert.deepEqual(items[1].objects, ['instance/i-1'])
  })
})

describe('what is no backup', () => {
  const wrongFiles: readonly (readonly [string, (backup: Buffer) => Buffer])[] = [
    ['an empty file', () => Buffer.alloc(0)],
    ['text', () => Buffer.from('{"accounts": []}')],
    ['half of one', backup => backup.subarray(0, backup.length / 2)],
    ['zeros', () => Buffer.alloc(100_000)],
    [
      'one with a page of noise',
      backup => Buffer.concat([backup.subarray(0, 4096), Buffer.alloc(4096, 0x55), backup.subarray(8192)]),
    ],
    [
      'one of a newer version',
      backup => Buffer.concat([backup.subarray(0, 60), Buffer.from([0, 0, 9, 9]), backup.subarray(64)]),
    ],
  ]
  for (const [name, change] of wrongFiles) {
    test(`${name} is refused, and nothing is stored or left`, async () => {
      await using api = await startApi()
      const file = change(await backupOf(api))
      const stored = await api.store.list('')
      const answer = await restore(api, file)
      assert.deepEqual([answer.status, answer.body.code], [400, 'InvalidBackup'], JSON.stringify(answer.body))
      assert.ok(!answer.body.detail.includes(api.folder), answer.body.detail)
      assert.deepEqual(await api.store.list(''), stored)
      assert.deepEqual(filesOf(api), [])
    })
  }

  for (const [name, key, value] of [
    [
      'an ENI of no instance',
      'eni/eni-x',
      { id: 'eni-x', accountId, instanceId: 'i-none', addresses: [], securityGroupIds: [], macAddress: null },
    ],
    ['an instance of no account', 'instance/i-x', { id: 'i-x', accountId: '9', agentId: null }],
    ['an ENI without addresses', 'eni/eni-x', { id: 'eni-x', accountId, instanceId: 'i-none' }],
  ] as const) {
    test(`one with ${name} is refused`, async () => {
      await using source = await startApi()
      await using api = await startApi()
      // The daemon's own state would not take it: the file is made by a store alone.
      const store = await openSqliteStore(join(source.folder, 'other.db'))
      const account = { id: accountId, name: 'x', description: null, createdAtMs: 0 }
      await store.commit({
        writes: [
          { key: `account/${accountId}`, value: account },
          { key, value },
        ],
      })
      const path = join(source.folder, 'backup.db')
      await store.backup(path)
      await store.close()
      const answer = await restore(api, readFileSync(path))
      assert.deepEqual([answer.status, answer.body.code], [400, 'InvalidBackup'], JSON.stringify(answer.body))
    })
  }

  test('JSON is another media type', async () => {
    await using api = await startApi()
    const answer = await api.request('POST', '/v1/restore', { accounts: [] })
    assert.deepEqual([answer.status, answer.body.code], [415, 'UnsupportedMediaType'])
  })

  test('without the right token nothing of the file is read', async () => {
    await using api = await startApi()
    const token = await api.makeToken([{ accountId, access: 'write' }])
    const body = new PassThrough()
    let isRead = false
    body.on('data', () => {
      isRead = true
    })
    body.pause()
    const headers = { authorization: `Bearer ${token}`, 'content-type': sqlite }
    const answer = await api.app.inject({ method: 'POST', url: '/v1/restore', headers, payload: body })
    assert.deepEqual([answer.statusCode, isRead, filesOf(api)], [403, false, []])
  })

  test('a connection that ends in the middle leaves nothing', async () => {
    await using api = await startApi()
    await api.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = api.app.server.address() as AddressInfo
    const stored = await api.store.list('')
    const socket = connect(port, '127.0.0.1')
    socket.write(
      `POST /v1/restore HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${api.token}\r\ncontent-type: ${sqlite}\r\ncontent-length: 1000000\r\n\r\nSQLite format 3`,
    )
    socket.on('error', () => {})
    while (filesOf(api).length === 0) await new Promise(setImmediate)
    assert.equal(statSync(join(api.folder, 'transfer', filesOf(api)[0]!)).mode & 0o777, 0o600)
    socket.destroy()
    while (api.refused.length === 0) await new Promise(setImmediate)
    assert.deepEqual(filesOf(api), [])
    assert.deepEqual(await api.store.list(''), stored)
    assert.deepEqual(
      api.refused.map(({ code }) => code),
      ['InvalidRequest'],
    )
  })
})
