/** `ringwall token`: who may ask the daemon, and for what. */
import { open, rm } from 'node:fs/promises'
import { placeText } from '../client/connection.ts'
import { InputError, UsageError } from '../command.ts'
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
        file: { takes: 'text', value: 'FILE', help: 'write it there, for you alone, in place of showing it' },
      },
      examples: [
        'ringwall token create ops --all --write --file ops.token',
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
        const make = () => daemon.write({ method: 'POST', path: resources.token.path, body, isSecret: true })
        const { token, ...answer } = flags.file === undefined ? await make() : await makeInto(flags.file, make)
        const { tokenId } = (answer.apiToken ?? {}) as Shown
        const use = `ringwall context add ${String(name)} --url ${placeText(daemon.target.url)} --token-file`
        if (flags.file !== undefined) {
          const lines = [`Made API token ${tokenId}, in "${flags.file}".`, `To use it here: ${use} ${flags.file}`]
          return { answer, text: () => lines }
        }
        return {
          answer: { ...answer, token },
          text: () => [
            `Made API token ${tokenId}. It is shown this once:`,
            String(token),
            `To use it here: ${use} FILE`,
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

/** Made only when the file is there to take it. @throws {InputError} where there is one, or none can be made */
async function makeInto(file: string, make: () => Promise<Shown>): Promise<Shown> {
  const handle = await open(file, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new InputError([
      `Cannot write "${file}": ${error.code === 'EEXIST' ? 'there is one already; name another' : error.message}`,
    ])
  })
  let isMade = false
  try {
    const answer = await make()
    // --dry-run makes none.
    isMade = answer.dryRun !== true
    if (isMade) await handle.writeFile(`${answer.token}\n`)
    return answer
  } finally {
    await handle.close()
    if (!isMade) await rm(file)
  }
}

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
