/** `ringwall token`: who may ask the daemon, and for what. */
import { placeText } from '../client/connection.ts'
import { UsageError } from '../command.ts'
import type { Daemon } from '../operate/daemon.ts'
import { accountFlag } from '../operate/flags.ts'
import { tokens } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { deleteVerb, listVerb } from '../operate/objects.ts'
import { resources, type Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { accountOf } from '../operate/writing.ts'
import { ramPath } from '../ram/common.ts'

export const command = nounCommand({
  name: 'token',
  summary: 'API tokens: who may ask, and for what',
  verbs: [
    listVerb(tokens),
    verb({
      name: 'create',
      summary: 'make a token; it is shown this once',
      effect: 'makes',
      words: [{ name: 'NAME', help: 'who or what it is for' }],
      flags: {
        account: { ...accountFlag, takes: 'list', help: 'id or name of an account it is for; may be repeated' },
        user: {
          takes: 'text',
          value: 'USER',
          names: 'ramUser',
          help: 'for a user of RAM, who may what his policies say, in place of --read and --write',
        },
        all: { takes: 'nothing', help: 'for every account, and for agents, tokens, settings, audit and backup' },
        read: { takes: 'nothing', help: 'may look' },
        write: { takes: 'nothing', help: 'may look and change' },
        expires: {
          takes: 'duration',
          value: 'TIME',
          range: [1, 316_224_000],
          help: 'ends after 90s, 15m, 2h or 7d; never if left out',
        },
      },
      examples: [
        'ringwall token create deploy --account shop --write',
        'ringwall token create auditor --all --read --expires 7d',
        'ringwall token create alice --user alice',
      ],
      async run({ daemon, words: [name], flags }) {
        const bearer = flags.user === undefined ? await scopesOf(daemon, flags) : await userOf(daemon, flags)
        const body = {
          name,
          ...bearer,
          ...(flags.expires !== undefined && { expiresInSeconds: flags.expires }),
        }
        const answer = await daemon.write({ method: 'POST', path: resources.token.path, body, isSecret: true })
        const { tokenId } = (answer.apiToken ?? {}) as Shown
        return {
          answer,
          text: () => [
            `Made API token ${tokenId}. It is shown this once:`,
            String(answer.token),
            `To use it here: ringwall context add ${String(name)} --url ${placeText(daemon.target.url)} --token-file FILE`,
          ],
        }
      },
    }),
    deleteVerb(tokens, {
      warning: '; whoever uses it is refused from then on',
      summary: 'delete a token; it is refused at once',
    }),
  ],
})

interface Bearer {
  readonly account: readonly string[] | undefined
  readonly user: string | undefined
  readonly all: boolean
  readonly read: boolean
  readonly write: boolean
}

/** An operator's. @throws {UsageError} */
async function scopesOf(daemon: Daemon, { account, all, read, write }: Bearer) {
  if (read === write) throw new UsageError('expected --read or --write')
  if (all === (account !== undefined)) throw new UsageError('expected --account ACCOUNT or --all')
  const access = write ? 'write' : 'read'
  const accountIds = all ? ['*'] : await Promise.all((account ?? []).map(text => daemon.accountId(text)))
  return { scopes: accountIds.map(accountId => ({ accountId, access })) }
}

/** @throws {UsageError} where the account is not clear, or scopes are given beside */
async function userOf(daemon: Daemon, { account = [], user, all, read, write }: Bearer) {
  if (all || read || write) throw new UsageError('--user goes without --all, --read and --write')
  const [given, another] = account
  if (another !== undefined) throw new UsageError('expected one --account, that of the user')
  const { user: found } = await daemon.client.get<{ user: Shown }>(
    ramPath('users', String(user)),
    await accountOf(daemon, { account: given }),
  )
  return { user: { accountId: found.accountId, userName: found.userName } }
}
