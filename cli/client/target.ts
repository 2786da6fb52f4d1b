/** Which daemon a command speaks to, and with which token: flags first, then the environment, then the contexts. */
import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { insteadOf } from '../arguments.ts'
import { UsageError } from '../command.ts'
import { type Endpoint, placeText } from './connection.ts'
import { type Context, contextsPath, readContexts } from './contexts.ts'
import { findOwnDaemon, type OwnDaemon } from './own-daemon.ts'

export interface TargetFlags {
  readonly context?: string | undefined
  readonly url?: string | undefined
  readonly token?: string | undefined
}

export interface Target extends Endpoint {
  /** Name of the context; null where there is none, or another daemon was named. */
  readonly context: string | null
  /** Where the URL comes from, for people. */
  readonly urlSource: string
  readonly accountId: string | null
  /** Where the token comes from, for people; null without token. */
  readonly tokenSource: string | null
  /** Where root finds the token of its first start; null unless it is the daemon of this host. */
  readonly firstTokenPath: string | null
}

type Environment = Readonly<Record<string, string | undefined>>

/** @throws {UsageError} for a context that is not there or a URL that is none; {InputError} for a torn file */
export async function findTarget(flags: TargetFlags, env: Environment): Promise<Target> {
  const chosen = await chooseContext(flags, env)
  const here = await findOwnDaemon(env)
  const { text, source: urlSource } = chooseUrl(flags, env, { context: chosen?.context ?? null, here })
  const url = readUrl(text)
  const own = url.href === here.url.href ? here : null
  // A token that was given for one daemon is never sent to another.
  const stored = chosen !== null && readUrl(chosen.context.url).href === url.href ? chosen.context : null
  const { token, source } = await findToken(flags, env, { stored, own })
  if (token !== null) requirePrivacy(url)
  const ca = stored?.ca ?? null
  return {
    url,
    token,
    tokenSource: source,
    urlSource,
    context: stored === null ? null : (chosen?.name ?? null),
    ca,
    // What its own settings name is at hand, and follows when it is renewed.
    fingerprint: stored?.fingerprint ?? (ca === null ? (own?.fingerprint ?? null) : null),
    accountId: stored?.accountId ?? null,
    firstTokenPath: own?.firstTokenPath ?? null,
  }
}

interface Known {
  readonly context: Context | null
  readonly here: OwnDaemon
}

function chooseUrl({ url, context }: TargetFlags, env: Environment, { context: chosen, here }: Known) {
  if (url !== undefined) return { text: url, source: '--url' }
  if (context === undefined && env.RINGWALL_URL) return { text: env.RINGWALL_URL, source: 'RINGWALL_URL' }
  return chosen === null
    ? { text: placeText(here.url), source: 'nobody named one' }
    : { text: chosen.url, source: 'the context' }
}

/** What to do where the daemon does not take the token, or got none. */
export function tokenAdvice({ url, token, tokenSource, context, firstTokenPath }: Target): readonly string[] {
  const given = token === null ? [] : [`It was ${maskedToken(token)}, from ${tokenSource}.`]
  const first =
    firstTokenPath !== null && token === null ? [`Root has one in ${firstTokenPath}, unless it was deleted.`] : []
  const another =
    context === null
      ? `ringwall context add NAME --url ${placeText(url)} --token-file FILE`
      : `ringwall context add ${context} --token-file FILE`
  return [...given, ...first, `Give a token that is valid: ${another}, or set RINGWALL_TOKEN.`]
}

/** The id, which lists of tokens show too, and nothing of the secret. */
export function maskedToken(token: string): string {
  return `${/^rwt_[a-z0-9-]{1,64}_/.exec(token)?.[0] ?? ''}…`
}

async function chooseContext(flags: TargetFlags, env: Environment) {
  const { current, byName } = await readContexts(contextsPath(env))
  const name = flags.context ?? (env.RINGWALL_CONTEXT || current)
  if (name === null) return null
  return { name, context: requireContext(byName, name) }
}

/** @throws {UsageError} that says what there is */
export function requireContext(byName: ReadonlyMap<string, Context>, name: string): Context {
  const context = byName.get(name)
  if (context !== undefined) return context
  const instead = byName.size === 0 ? 'make one with "ringwall context add"' : insteadOf(name, [...byName.keys()])
  throw new UsageError(`no such context "${name}"; ${instead}`)
}

async function findToken(
  flags: TargetFlags,
  env: Environment,
  { stored, own }: { readonly stored: Context | null; readonly own: OwnDaemon | null },
): Promise<{ readonly token: string | null; readonly source: string | null }> {
  if (flags.token !== undefined) return { token: checkToken(flags.token, '--token'), source: '--token' }
  if (flags.context !== undefined && stored?.token) return { token: stored.token, source: 'the context' }
  if (env.RINGWALL_TOKEN) return { token: checkToken(env.RINGWALL_TOKEN, 'RINGWALL_TOKEN'), source: 'RINGWALL_TOKEN' }
  if (stored?.token) return { token: stored.token, source: 'the context' }
  if (own === null) return { token: null, source: null }
  const { firstTokenPath } = own
  try {
    return { token: checkToken(await readFile(firstTokenPath, 'utf8'), firstTokenPath), source: firstTokenPath }
  } catch {
    return { token: null, source: null }
  }
}

/** Anything else could not stand in a header, or is something else than a token. @throws {UsageError} */
export function checkToken(text: string, from: string): string {
  const token = text.trim()
  if (/^rwt_[a-z0-9-]{1,64}_[\w-]{43}$/.test(token)) return token
  throw new UsageError(`${from} has no API token, expected rwt_ID_SECRET as "ringwall token create" prints it`)
}

/** @throws {UsageError} */
export function readUrl(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol === 'unix:' && url.pathname.startsWith('/')) return url
  if (url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '' && url.username === '')
    return url
  throw new UsageError(`URL is "${text}", expected https://HOST:PORT, http://127.0.0.1:PORT or unix:/PATH`)
}

/** @throws {UsageError} where a token would cross a network in the clear */
export function requirePrivacy({ protocol, hostname, origin }: URL): void {
  const isOfThisMachine = /^(localhost|\[::1\])$/.test(hostname) || (isIPv4(hostname) && hostname.startsWith('127.'))
  if (protocol === 'https:' || protocol === 'unix:' || isOfThisMachine) return
  throw new UsageError(
    `will not send a token to ${origin} in the clear, expected https:// for anything but this machine`,
  )
}
