/** Who is told of attacks: flags that agent and daemon have in common. */
import { resolve } from 'node:path'
import { checkCommand, parseCommand } from '../common/notify/command.ts'
import type { NotifySettings } from '../common/notify/notifier.ts'
import { parseWebhookUrl, readSecretFile } from '../common/notify/webhook.ts'
import { notificationKinds, usualNotificationKinds } from '../wire/notification.ts'
import { choiceFlag } from './arguments.ts'
import { InputError, UsageError } from './command.ts'

export const notifyOptions = {
  'notify-command': { type: 'string' },
  'notify-url': { type: 'string' },
  'notify-secret-file': { type: 'string' },
  'notify-kinds': { type: 'string' },
} as const

const described: readonly (readonly [string, string])[] = [
  ['--notify-command COMMAND', 'program to run at each change of an attack: its path, or ["PATH", "ARGUMENT", …]'],
  ['--notify-url URL', 'where each is posted, http or https'],
  ['--notify-secret-file FILE', 'what posts are signed with, "whsec_…", readable by its owner alone'],
  ['--notify-kinds KINDS', 'ddos.start,ddos.end and so on; all but ddos.peak if left out'],
]

/** Lines for the usage of a command, which has its descriptions from that column on. */
export function notifyUsage(column: number): string {
  return described.map(([flag, text]) => `  ${flag.padEnd(column - 2)}${text}`).join('\n')
}

type Values = { readonly [flag in keyof typeof notifyOptions]?: string | undefined }

/**
 * @throws {UsageError} for a flag that cannot be meant so
 * @throws {InputError} for a program that must not be run, or a file that holds no secret
 */
export async function readNotifyFlags(values: Values): Promise<NotifySettings> {
  const { 'notify-command': commandText, 'notify-url': urlText, 'notify-secret-file': secretFile } = values
  const command = commandText === undefined ? null : parsedBy(parseCommand, 'notify-command', commandText)
  const url = urlText === undefined ? null : parsedBy(parseWebhookUrl, 'notify-url', urlText)
  const kinds = readKinds(values['notify-kinds'])
  if (url === null && secretFile !== undefined)
    throw new UsageError('missing --notify-url, which --notify-secret-file needs')
  if (command === null && url === null && values['notify-kinds'] !== undefined) {
    throw new UsageError('missing --notify-command or --notify-url, one of which --notify-kinds needs')
  }
  if (command !== null) await checked(checkCommand(command))
  const secret = secretFile === undefined ? null : await checked(readSecretFile(resolve(secretFile)))
  return { command, webhook: url === null ? null : { url, secret }, kinds }
}

function readKinds(text: string | undefined): readonly string[] {
  return text === undefined
    ? usualNotificationKinds
    : text.split(',').map(kind => choiceFlag('notify-kinds', kind.trim(), notificationKinds))
}

function parsedBy<T>(parse: (text: string) => T, flag: string, text: string): T {
  try {
    return parse(text)
  } catch (error) {
    throw new UsageError(`--${flag}: ${(error as Error).message}`)
  }
}

async function checked<T>(check: Promise<T>): Promise<T> {
  try {
    return await check
  } catch (error) {
    throw new InputError([(error as Error).message])
  }
}
