/** What an empty store begins with: one account, its access key, and one token that may do everything. */
import { writeAtomically } from '../common/files.ts'
import { type AccountDoc, keyOf, type TokenDoc } from './model/documents.ts'
import type { Note } from './model/note.ts'
import type { Sealer } from './ram/seal.ts'
import { makeSecret, tokenText } from './secrets.ts'
import { madeId } from './services/ids.ts'
import { everyAccount } from './services/principal.ts'
import { makeAccessKey } from './services/ram/access-keys.ts'
import type { World } from './state/world.ts'
import type { Store } from './store/store.ts'

/** The account of those who need no accounts. */
const firstAccountId = '1000000000000000'

export interface FirstStart {
  /** Gets the token's text, for root's eyes. */
  readonly tokenFile: string
  /** Gets the account's access key, JSON. */
  readonly keyFile: string
  readonly sealer: Sealer
  readonly nowMs: number
}

/**
 * Makes the first account, its access key and the first token where there has never been a token. Files are written
 * before anything of it counts, so that nothing is lost.
 * @returns the token's text; null where there is a token already
 */
export async function firstStart(
  store: Store,
  world: World,
  { tokenFile, keyFile, sealer, nowMs }: FirstStart,
): Promise<string | null> {
  if (world.count('token') > 0) return null
  const { secret, secretSha256 } = makeSecret()
  const token: TokenDoc = {
    id: madeId('token'),
    name: 'first',
    secretSha256,
    scopes: [{ accountId: everyAccount, access: 'write' }],
    createdAtMs: nowMs,
    expiresAtMs: null,
  }
  const account: AccountDoc = { id: firstAccountId, name: 'default', description: null, createdAtMs: nowMs }
  const text = tokenText(token.id, secret)
  await writeAtomically(tokenFile, `${text}\n`)
  // Accounts that are there already have keys of their own, or want none.
  const isFirst = world.count('account') === 0
  const made = makeAccessKey({ accountId: account.id, nowMs }, null, sealer)
  if (isFirst) {
    const shownKey = { accountId: account.id, accessKeyId: made.key.id, accessKeySecret: made.secret }
    await writeAtomically(keyFile, `${JSON.stringify(shownKey, null, 2)}\n`)
  }
  const result = await store.commit({
    writes: [
      { key: keyOf('token', token.id), value: token },
      ...(isFirst
        ? [
            { key: keyOf('account', account.id), value: account },
            { key: keyOf('accessKey', made.key.id), value: made.key },
          ]
        : []),
    ],
    preconditions: [{ kind: 'head', revision: world.revision }],
    note: note(),
  })
  if (result.kind === 'conflict')
    throw new Error('Cannot make the first token: another daemon writes to the store; start again')
  return text
}

function note(): Note {
  const principal = { kind: 'system', id: 'daemon', name: 'daemon' } as const
  return { action: 'ringwall:FirstStart', principal, sourceAddress: null, requestId: 'first-start' }
}
