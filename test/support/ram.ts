/** Users with access keys, in a test API's store. */
import { keyOf } from '../../daemon/model/documents.ts'
import { ramId } from '../../daemon/model/ram.ts'
import { makeAccessKey } from '../../daemon/services/ram/access-keys.ts'
import { accountId, sealer, type TestApi } from './api.ts'
import type { RpcKey } from './rpc-client.ts'

/** A key of the account itself. */
export async function accountKey({ store }: TestApi, owner = accountId): Promise<RpcKey> {
  return keep(store, makeAccessKey({ accountId: owner, nowMs: Date.now() }, null, sealer))
}

let users = 0

/** A user with these policies (each a list of statements) and a key. */
export async function userKey(
  { store }: TestApi,
  name: string,
  policies: Readonly<Record<string, readonly object[]>>,
  owner = accountId,
): Promise<RpcKey> {
  const nowMs = Date.now()
  users += 1
  const made = { accountId: owner, createdAtMs: nowMs, updatedAtMs: nowMs }
  const attached = Object.keys(policies).map(policy => ({ type: 'Custom', name: policy, attachedAtMs: nowMs }))
  const user = {
    ...made,
    id: `1${users}${nowMs}`,
    name,
    displayName: null,
    comments: null,
    groups: [],
    policies: attached,
  }
  await store.commit({
    writes: [
      { key: keyOf('ramUser', ramId(owner, name)), value: user },
      ...Object.entries(policies).map(([policy, statements]) => ({
        key: keyOf('ramPolicy', ramId(owner, policy)),
        value: {
          ...made,
          id: policy,
          name: policy,
          description: null,
          versions: [{ id: 'v1', text: JSON.stringify({ Version: '1', Statement: statements }), createdAtMs: nowMs }],
          defaultVersion: 'v1',
          nextVersion: 2,
        },
      })),
    ],
  })
  return keep(store, makeAccessKey({ accountId: owner, nowMs }, name, sealer))
}

async function keep(store: TestApi['store'], { key, secret }: ReturnType<typeof makeAccessKey>): Promise<RpcKey> {
  await store.commit({ writes: [{ key: keyOf('accessKey', key.id), value: key }] })
  return { accessKeyId: key.id, secret }
}
