/** `ringwall context`: the daemons this operator speaks to. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Client } from '../client/client.ts'
import { Connection, placeText } from '../client/connection.ts'
import { type Context, contextsPath, readContexts, writeContexts } from '../client/contexts.ts'
import {
  checkToken,
  findTarget,
  maskedToken,
  readUrl,
  requireContext,
  requirePrivacy,
  type Target,
} from '../client/target.ts'
import { fileFault, InputError, type Io, OperationError, readText, UsageError } from '../command.ts'
import { connectionFlags } from '../operate/flags.ts'
import { scopesText } from '../operate/kinds.ts'
import { nounCommand } from '../operate/noun-command.ts'
import type { Shown } from '../operate/resources.ts'
import { type Call, localVerb, type Result, type Word } from '../operate/verb.ts'
import { fieldLines, tableLines } from '../output/table.ts'

const nameWord: Word = { name: 'NAME', names: 'context', help: 'name of the context' }
const jsonFlag = { json: connectionFlags.json }

export const command = nounCommand({
  name: 'context',
  summary: 'which daemon commands speak to',
  details: `Without any context, commands speak to the daemon on this host, with the token of its first start where that
can be read. --context, --url and --token, or RINGWALL_CONTEXT, RINGWALL_URL and RINGWALL_TOKEN, go before the
current context. The file of contexts has tokens and is for its owner alone.`,
  verbs: [
    localVerb({
      name: 'add',
      summary: 'make a context, or change one; the first becomes the current one',
      words: [{ name: 'NAME', help: 'how it shall be called' }],
      flags: {
        url: { takes: 'text', value: 'URL', help: 'https://HOST:PORT of the daemon; http:// on this machine only' },
        token: { takes: 'text', value: 'TOKEN', help: 'an API token; other users see it while the command runs' },
        'token-file': { takes: 'text', value: 'FILE', help: 'a file with the token; "-" for standard input' },
        ca: { takes: 'text', value: 'FILE', help: "PEM of the CA that signed the daemon's certificate" },
        fingerprint: {
          takes: 'text',
          value: 'SHA256',
          help: "SHA-256 of the daemon's certificate, in place of a CA: no other is accepted",
        },
        account: {
          takes: 'text',
          value: 'ID',
          help: 'account of new objects and of lists, where a command names none',
        },
        ...jsonFlag,
      },
      examples: ['ringwall context add prod --url https://ringwall.example:9480 --token-file prod.token --ca ca.pem'],
      async run({ words: [name = ''], flags, env, io }) {
        if (!/^[\w.-]{1,64}$/.test(name))
          throw new UsageError(`NAME is "${name}", expected up to 64 letters, digits, "-", "_" or "."`)
        const { current, byName } = await readContexts(contextsPath(env))
        const before = byName.get(name)
        const context = await contextOf(flags, before, io)
        await save(env, { current: current ?? name, byName: new Map([...byName, [name, context]]) })
        const isCurrent = (current ?? name) === name
        const next = isCurrent ? 'It is the current one' : `Use it with: ringwall context use ${name}`
        return told(`${before === undefined ? 'Made' : 'Changed'} context ${name}. ${next}.`, {
          context: shownContext(name, context, isCurrent),
        })
      },
    }),
    localVerb({
      name: 'use',
      summary: 'make a context the current one',
      words: [nameWord],
      flags: jsonFlag,
      async run({ words: [name = ''], env }) {
        const { byName } = await readContexts(contextsPath(env))
        requireContext(byName, name)
        await save(env, { current: name, byName })
        const before = (['RINGWALL_URL', 'RINGWALL_CONTEXT'] as const).find(variable => env[variable])
        const but = before === undefined ? '' : ` But ${before} is set here, and goes before it: unset ${before}.`
        return told(`Commands speak to ${name} from now on.${but}`, { current: name })
      },
    }),
    localVerb({
      name: 'list',
      summary: 'list contexts',
      words: [],
      flags: jsonFlag,
      async run({ env }) {
        const { current, byName } = await readContexts(contextsPath(env))
        const items = [...byName].map(([name, context]) => shownContext(name, context, name === current))
        const columns = [
          { heading: 'CURRENT', cell: (item: Shown) => (item.isCurrent === true ? '*' : ' ') },
          { heading: 'CONTEXT', isWhole: true, cell: (item: Shown) => String(item.name) },
          { heading: 'URL', isWhole: true, cell: (item: Shown) => String(item.url) },
          { heading: 'TOKEN', isWhole: true, cell: (item: Shown) => String(item.token ?? '') },
          { heading: 'ACCOUNT', isOptional: true, cell: (item: Shown) => String(item.accountId ?? '') },
        ]
        return {
          answer: { items },
          text: width =>
            items.length === 0
              ? ['There are no contexts. Make one: ringwall context add NAME --url URL --token-file FILE']
              : tableLines(columns, items, width),
        }
      },
    }),
    localVerb({
      name: 'show',
      summary: 'say which daemon commands speak to, and what they may do there',
      words: [{ ...nameWord, isOptional: true, help: 'the current one if left out' }],
      flags: connectionFlags,
      async run({ words: [name], flags, env }) {
        const target = await findTarget(name === undefined ? flags : { ...flags, context: name }, env)
        const asked = await ask(target)
        const fields = [
          ['context', target.context ?? ''],
          ['URL', `${placeText(target.url)}, from ${target.urlSource}`],
          ['token', target.token === null ? '' : `${maskedToken(target.token)}, from ${target.tokenSource}`],
          ['trusts', trustText(target)],
          ['account', target.accountId ?? ''],
          ['may', asked],
        ] as const
        return { answer: Object.fromEntries(fields), text: width => fieldLines(fields, width) }
      },
    }),
    localVerb({
      name: 'remove',
      summary: 'forget a context and its token',
      words: [nameWord],
      flags: jsonFlag,
      details: 'The token itself stays valid: "ringwall token delete" ends it.',
      async run({ words: [name = ''], env }) {
        const { current, byName } = await readContexts(contextsPath(env))
        requireContext(byName, name)
        const rest = new Map([...byName].filter(([each]) => each !== name))
        await save(env, { current: current === name ? null : current, byName: rest })
        return told(`Removed context ${name}.`, { removed: name })
      },
    }),
  ],
})

function told(line: string, answer: unknown): Result {
  return { answer, text: () => [line] }
}

function shownContext(name: string, { url, token, accountId }: Context, isCurrent: boolean): Shown {
  return { name, url, token: token === null ? null : maskedToken(token), accountId, isCurrent }
}

async function save(env: Call['env'], contexts: Parameters<typeof writeContexts>[1]): Promise<void> {
  const path = contextsPath(env)
  try {
    await writeContexts(path, contexts)
  } catch (error) {
    throw new OperationError([`Cannot write contexts "${path}": ${(error as Error).message}`], 1, error)
  }
}

interface ContextFlags {
  readonly url?: string | undefined
  readonly token?: string | undefined
  readonly 'token-file'?: string | undefined
  readonly ca?: string | undefined
  readonly fingerprint?: string | undefined
  readonly account?: string | undefined
}

/**
 * What is not given stays as it was; of another daemon nothing does.
 * @throws {UsageError | InputError} naming the flag
 */
async function contextOf(flags: ContextFlags, before: Context | undefined, io: Io): Promise<Context> {
  if (flags.token !== undefined && flags['token-file'] !== undefined)
    throw new UsageError('expected --token or --token-file')
  if (flags.ca !== undefined && flags.fingerprint !== undefined) throw new UsageError('expected --ca or --fingerprint')
  const address = flags.url ?? before?.url
  if (address === undefined) throw new UsageError('missing --url')
  const url = readUrl(address)
  const kept = before !== undefined && readUrl(before.url).href === url.href ? before : null
  const token = (await readToken(flags, io)) ?? kept?.token ?? null
  if (token !== null) requirePrivacy(url)
  return {
    url: placeText(url),
    token,
    ...(await trustOf(flags, kept)),
    accountId: flags.account === undefined ? (kept?.accountId ?? null) : readAccount(flags.account),
  }
}

async function readToken(flags: ContextFlags, io: Io): Promise<string | undefined> {
  const file = flags['token-file']
  if (file !== undefined) return checkToken(await textOf(file, io), '--token-file')
  return flags.token === undefined ? undefined : checkToken(flags.token, '--token')
}

/** @returns null for an empty text, which takes away what was there */
function readAccount(text: string): string | null {
  if (text === '') return null
  if (/^\d{16}$/.test(text)) return text
  throw new UsageError(`--account is "${text}", expected 16 digits`)
}

/** @throws {InputError} for a file that is no certificate; {UsageError} for a fingerprint that is none */
async function trustOf(flags: ContextFlags, before: Context | null): Promise<Pick<Context, 'ca' | 'fingerprint'>> {
  if (flags.ca !== undefined) return { ca: await readCertificate(flags.ca), fingerprint: null }
  if (flags.fingerprint === undefined) return { ca: before?.ca ?? null, fingerprint: before?.fingerprint ?? null }
  const fingerprint = flags.fingerprint
    .replace(/^sha256[ :=]*(fingerprint=)?/i, '')
    .replaceAll(':', '')
    .toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(fingerprint)) {
    throw new UsageError(
      `--fingerprint is "${flags.fingerprint}", expected 64 hexadecimal digits, as "openssl x509 -fingerprint -sha256" prints them`,
    )
  }
  return { ca: null, fingerprint }
}

async function readCertificate(file: string): Promise<string> {
  const text = await textOf(file, null)
  try {
    new X509Certificate(text)
    return text
  } catch {
    throw new InputError([`Cannot read CA "${file}": expected a certificate in PEM`])
  }
}

/** @param io  where `-` is standard input; null where it is a file like any other */
async function textOf(file: string, io: Io | null): Promise<string> {
  try {
    return io === null ? await readFile(file, 'utf8') : await readText(file, io)
  } catch (error) {
    throw new InputError([`Cannot read "${file}": ${fileFault(error)}`])
  }
}

function trustText({ url, ca, fingerprint }: Target): string {
  if (url.protocol !== 'https:') return 'this machine: it is not encrypted'
  if (fingerprint !== null) return `the certificate with SHA-256 ${fingerprint}`
  return ca === null ? 'the CAs of this system' : 'the CA of the context'
}

/** What the token may do, or why that cannot be said: showing a context must not fail because a daemon is away. */
async function ask(target: Target): Promise<string> {
  if (target.token === null) return 'nothing: there is no token'
  const connection = new Connection(target)
  try {
    const answer = await new Client(connection, { retries: 0, timeoutMs: 5000 }).get<Shown>('/v1/whoami')
    return `${scopesText(answer)} (token "${String(answer.name)}")`
  } catch (error) {
    if (!(error instanceof OperationError)) throw error
    return `unknown: ${error.lines[0]}`
  } finally {
    connection.close()
  }
}
