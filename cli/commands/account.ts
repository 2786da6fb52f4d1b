/** `ringwall account`: who owns groups, prefix lists and instances. */
import { clearable, descriptionFlag, nameFlag } from '../operate/flags.ts'
import { accounts } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { deleteVerb, listVerb, made, newBodyOf, newId, showVerb } from '../operate/objects.ts'
import { resources } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { modifyVerb } from '../operate/writing.ts'

const modifyFlags = { name: nameFlag, description: clearable(descriptionFlag) } as const

export const command = nounCommand({
  name: 'account',
  summary: 'owners of all other objects',
  verbs: [
    listVerb(accounts),
    showVerb(accounts),
    verb({
      name: 'create',
      summary: 'make an account',
      effect: 'makes',
      words: [{ name: 'NAME', help: 'name for people' }],
      flags: {
        id: { takes: 'text', value: 'ID', help: 'the id it shall have, 16 digits; made by the daemon if left out' },
        description: descriptionFlag,
      },
      async run({ daemon, words: [name], flags }) {
        const body = { ...newId('account', flags.id), name, ...newBodyOf(flags, { description: 'description' }) }
        return made('account', await daemon.write({ method: 'POST', path: resources.account.path, body }))
      },
    }),
    modifyVerb(accounts, {
      summary: 'change what an account is called',
      flags: modifyFlags,
      names: { name: 'name', description: 'description' },
    }),
    deleteVerb(accounts, { summary: 'delete an account that owns nothing' }),
  ],
})
