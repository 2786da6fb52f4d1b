/** Who is told of attacks: settings that agent and daemon have in common. */
import Type from 'typebox'
import { checkCommand } from '../notify/command.ts'
import type { NotifySettings } from '../notify/notifier.ts'
import { readSecretFile } from '../notify/webhook.ts'
import { type CheckedConfig, formatted, optionalSetting, type Settings, setting, type ValuesOf } from './setting.ts'

/**
 * @param kinds  of notifications that there are
 * @param usual  those that are told of unless others are asked for
 */
export function notifySettings<const K extends string>(kinds: readonly K[], usual: readonly K[]) {
  return {
    notifyCommand: optionalSetting(
      Type.Unsafe<readonly string[]>({
        type: ['string', 'array'],
        items: { type: 'string' },
        description: 'Program to run at each change of an attack: its path, or ["PATH", "ARGUMENT", …].',
        format: 'command',
      }),
      { argument: 'COMMAND', leftOut: 'none is run', example: '/usr/local/bin/tell-operators' },
    ),
    notifyUrl: optionalSetting(formatted('webhook-url', { description: 'Where each is posted, http or https.' }), {
      argument: 'URL',
      leftOut: 'nothing is posted',
      example: 'https://hooks.example/ringwall',
      secret: 'url',
    }),
    notifySecretFile: optionalSetting(
      formatted('path', {
        description: 'File with what posts are signed with, "whsec_…"; readable by its owner alone.',
      }),
      {
        argument: 'FILE',
        leftOut: 'posts are not signed',
        example: '/etc/ringwall/notify-secret',
        secret: 'names-file',
      },
    ),
    notifyKinds: setting(
      Type.Unsafe<readonly K[]>(
        Type.Array(Type.Enum([...kinds]), {
          description: 'Which changes are told of.',
          default: [...usual],
        }),
      ),
      { argument: 'KIND,…', leftOut: 'all but ddos.peak, which may come every second' },
    ),
  } satisfies Settings
}

type NotifyKeys = ReturnType<typeof notifySettings>

/** What they say of each other. */
export function checkNotify<S extends NotifyKeys>(config: CheckedConfig<S>): readonly string[] {
  const { values, nameOf, isGiven } = config as unknown as CheckedConfig<NotifyKeys>
  const faults: string[] = []
  if (values.notifyUrl === null && values.notifySecretFile !== null) {
    faults.push(`missing notifyUrl, which ${nameOf('notifySecretFile')} needs`)
  }
  if (values.notifyUrl === null && values.notifyCommand === null && isGiven('notifyKinds')) {
    faults.push(`missing notifyCommand or notifyUrl, one of which ${nameOf('notifyKinds')} needs`)
  }
  return faults
}

/**
 * Looks at the files that are named.
 * @returns the faults, each a line; what they belong to is null then
 */
export async function openNotify(
  values: ValuesOf<NotifyKeys>,
): Promise<{ readonly notify: NotifySettings; readonly faults: readonly string[] }> {
  const { notifyCommand: command, notifyUrl: url, notifySecretFile, notifyKinds: kinds } = values
  const faults: string[] = []
  const note = (error: Error) => {
    faults.push(error.message)
    return null
  }
  if (command !== null) await checkCommand(command).catch(note)
  const secret = notifySecretFile === null ? null : await readSecretFile(notifySecretFile).catch(note)
  return { notify: { command, webhook: url === null ? null : { url, secret }, kinds }, faults }
}
