/** `ringwall settings`: what holds for the whole fleet. */
import { UsageError } from '../command.ts'
import { nounCommand } from '../operate/noun-command.ts'
import { requireChange, said } from '../operate/objects.ts'
import type { Shown } from '../operate/resources.ts'
import { verb } from '../operate/verb.ts'
import { fieldLines } from '../output/table.ts'
import { valueText } from '../output/values.ts'

const path = '/v1/settings'

const setFlags = {
  'session-timeout': {
    takes: 'number',
    value: 'SECONDS',
    range: [1, 910],
    help: 'when an idle TCP session is forgotten',
  },
  revocation: {
    takes: 'choice',
    choices: ['immediate', 'drain'],
    help: 'whether a session that is no longer allowed is cut, or lives on',
  },
  limit: { takes: 'list', value: 'NAME=N', help: 'a limit, rulesPerGroup=300; may be repeated ("ringwall limits")' },
} as const

export const command = nounCommand({
  name: 'settings',
  summary: 'what holds for the whole fleet',
  verbs: [
    verb({
      name: 'show',
      summary: 'show the settings',
      effect: 'looks',
      words: [],
      flags: {},
      async run({ daemon }) {
        const answer = await daemon.client.get<Shown>(path)
        const { sessionTimeout, revocation, limits, revision } = (answer.settings ?? answer) as Shown
        return {
          answer,
          text: width =>
            fieldLines(
              [
                ['session timeout', `${valueText(sessionTimeout)} s`],
                ['revocation', valueText(revocation)],
                ...Object.entries((limits ?? {}) as Record<string, number>).map(
                  ([name, value]) => [`limit ${name}`, String(value)] as const,
                ),
                ['revision', valueText(revision)],
              ],
              width,
            ),
        }
      },
    }),
    verb({
      name: 'set',
      summary: 'change settings',
      effect: 'changes',
      words: [],
      flags: setFlags,
      examples: ['ringwall settings set --session-timeout 600 --limit rulesPerGroup=300'],
      async run({ daemon, flags }) {
        const body = {
          ...(flags['session-timeout'] !== undefined && { sessionTimeout: flags['session-timeout'] }),
          ...(flags.revocation !== undefined && { revocation: flags.revocation }),
          ...(flags.limit !== undefined && { limits: readLimits(flags.limit) }),
        }
        requireChange(body, setFlags)
        return said(await daemon.write({ method: 'PATCH', path, body }), 'Changed the settings')
      },
    }),
  ],
})

/** Which limits there are is for the daemon to say. @throws {UsageError} */
function readLimits(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    texts.map(text => {
      const [, name, number] = /^([A-Za-z]+)=(\d{1,9})$/.exec(text) ?? []
      if (name === undefined || number === undefined)
        throw new UsageError(`--limit is "${text}", expected NAME=N as "ringwall limits" names them`)
      return [name, Number(number)]
    }),
  )
}
