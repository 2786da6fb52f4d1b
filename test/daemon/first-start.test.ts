/** What an empty store begins with. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { firstStart } from '../../daemon/first-start.ts'
import { openSealer } from '../../daemon/ram/seal.ts'
import { findCredential } from '../../daemon/services/ram/identity.ts'
import { World } from '../../daemon/state/world.ts'
import { openSqliteStore } from '../../daemon/store/sqlite.ts'

test('a first start makes an account, its access key and a token; another start makes nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-first-'))
  const path = (name: string) => join(folder, name)
  const store = await openSqliteStore(path('store.db'))
  try {
    const sealer = await openSealer(path('secrets.key'))
    const start = async () => {
      const world = new World(await store.list(''))
      const options = { tokenFile: path('first-token'), keyFile: path('first-access-key.json'), sealer, nowMs: 0 }
      return firstStart(store, world, options)
    }
    const token = await start()
    assert.equal(await readFile(path('first-token'), 'utf8'), `${token}\n`)
    const { accountId, accessKeyId, accessKeySecret } = JSON.parse(
      await readFile(path('first-access-key.json'), 'utf8'),
    )
    for (const name of ['first-token', 'first-access-key.json', 'secrets.key']) {
      assert.equal((await stat(path(name))).mode & 0o777, 0o600)
    }
    const world = new World(await store.list(''))
    const again = await openSealer(path('secrets.key'))
    const found = findCredential(world, again, { accessKeyId, securityToken: null, nowMs: 0 })
    assert.deepEqual([found.secret, found.accountId, found.principal.kind], [accessKeySecret, accountId, 'account'])
    assert.ok(!JSON.stringify(await store.list('')).includes(accessKeySecret))
    assert.equal(await start(), null)
    await rm(path('first-access-key.json'))
    await store.commit({ writes: [...world.all('token')].map(({ id }) => ({ key: `token/${id}`, value: null })) })
    assert.notEqual(await start(), null)
    await assert.rejects(stat(path('first-access-key.json')), /ENOENT/)
  } finally {
    await store.close()
    await rm(folder, { recursive: true })
  }
})
