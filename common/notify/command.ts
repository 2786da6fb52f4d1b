/** Notifications by a command of this host's: what is said stands in its environment and on its standard input. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { run } from '../exec.ts'
import { bodyOf, type Notification, variablesOf } from './notification.ts'

export const commandTimeoutMs = 30_000
/** Of its output, for the log. */
const maxOutputLength = 2_000
/** Variables that a program expects everywhere; nothing else of ours is handed on, tokens and secrets least of all. */
const handedOn = ['HOME', 'LANG', 'TZ', 'TMPDIR'] as const

/** @returns what the command printed. @throws {Error} unless it ended with exit code 0 in time */
export async function runCommand(
  command: readonly string[],
  notification: Notification,
  signal: AbortSignal,
  timeoutMs = commandTimeoutMs,
): Promise<string> {
  let output = ''
  const { exitCode, stderr } = await run(command, {
    input: bodyOf(notification),
    environment: { ...handOn(), ...variablesOf(notification) },
    onLine(line) {
      if (output.length < maxOutputLength) output += `${line}\n`
    },
    timeoutMs,
    ownGroup: true,
    signal,
  })
  const said = `${output}${stderr}`.trim().slice(0, maxOutputLength)
  if (exitCode === 0) return said
  throw new Error(`exit code ${exitCode}${said === '' ? '' : `: ${said}`}`)
}

function handOn(): Record<string, string> {
  return Object.fromEntries(
    handedOn.flatMap(name => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

/**
 * A path, or a JSON array of a path and its arguments. No shell reads it.
 * @throws {Error} saying what was expected
 */
export function parseCommand(text: string): readonly string[] {
  const words = text.startsWith('[') ? parseWords(text) : [text]
  const [path = ''] = words
  if (!isAbsolute(path)) {
    throw new Error(`"${text}" is no command: expected the path of a program from / on, or ["PATH", "ARGUMENT", …]`)
  }
  return words
}

function parseWords(text: string): readonly string[] {
  let words: unknown
  try {
    words = JSON.parse(text)
  } catch (cause) {
    throw new Error(`"${text}" is no JSON array: ${(cause as Error).message}`, { cause })
  }
  if (Array.isArray(words) && words.every(word => typeof word === 'string' && !word.includes('\0'))) return words
  throw new Error(`"${text}" is no command: expected a JSON array of strings`)
}

/**
 * A program that others can write would be theirs to run as us.
 * @throws {Error} unless it is there, can be run, and is root's or our own
 */
export async function checkCommand([path = '']: readonly string[]): Promise<void> {
  const cannot = (reason: string, cause?: unknown) => new Error(`Cannot run "${path}": ${reason}`, { cause })
  const facts = await stat(path).catch((cause: Error) => {
    throw cannot(cause.message, cause)
  })
  if (!facts.isFile()) throw cannot('it is no file')
  if (facts.uid !== 0 && facts.uid !== process.getuid?.()) {
    throw cannot(`it belongs to user ${facts.uid}: expected root or the user who runs this`)
  }
  if ((facts.mode & 0o022) !== 0) {
    throw cannot('others than its owner can write it: expected a mode such as 0755')
  }
  await access(path, constants.X_OK).catch(cause => {
    throw cannot('it is not executable: expected a mode such as 0755', cause)
  })
}
