/** `ringwall token`: who may ask the daemon, and for what. */
import { placeText } from '../client/connection.ts'
import { UsageError } from '../command.ts'
import { accountFlag } from '../operate/flags.ts'
import { tokens } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { deleteVerb, listVerb } from '../operate/objects.ts'
import { resources, type Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'

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
        all: { takes: 'nothing', help: 'for every account, and for agents, tokens, settings, audit and backup' },
        read: { takes: 'nothing', help: 'may look' },
        write: { takes: 'nothing', help: 'may look and change' },
        expires: { takes: 'duration', value: 'TIME', help: 'ends after 90s, 15m, 2h or 7d; never if left out' },
      },
      examples: [
        'ringwall token create deploy --account shop --write',
        'ringwall token create auditor --all --read --expires 7d',
      ],
      async run({ daemon, words: [name], flags }) {
        if (flags.read === flags.write) throw new UsageError('expected --read or --write')
        if (flags.all === (flags.account !== undefined)) throw new UsageError('expected --account ACCOUNT or --all')
        const access = flags.write ? 'write' : 'read'
        const accountIds = flags.all
          ? ['*']
          : await Promise.all((flags.account ?? []).map(text => daemon.accountId(text)))
        const body = {
          name,
          scopes: accountIds.map(accountId => ({ accountId, access })),
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
