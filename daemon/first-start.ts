/** What an empty store begins with: one account, and one token that may do everything. */
import { writeAtomically } from '../common/files.ts'
import { makeSecret, tokenText } from './http/authenticate.ts'
import { type AccountDoc, keyOf, type TokenDoc } from './model/documents.ts'
import type { Note } from './model/note.ts'
import { madeId } from './services/ids.ts'
import { everyAccount } from './services/principal.ts'
import type { World } from './state/world.ts'
import type { Store } from './store/store.ts'

/** The account of those who need no accounts. */
const firstAccountId = '1000000000000000'

/**
 * Makes the first account and token where there has never been a token.
 * @param tokenFile  gets the token's text, for root's eyes; written before the token counts, so that it is never lost
 * @returns the token's text; null where there is a token already
 */
export async function firstStart(
  store: Store,
  world: World,
  { tokenFile, nowMs }: { readonly tokenFile: string; readonly nowMs: number },
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
  const result = await store.commit({
    writes: [
      { key: keyOf('token', token.id), value: token },
      ...(world.count('account') > 0 ? [] : [{ key: keyOf('account', account.id), value: account }]),
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
