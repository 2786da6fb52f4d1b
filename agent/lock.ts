/**
 * One writer a network namespace, and a way to ask it. The lock is a listening Unix socket with an abstract name: such
 * names belong to a network namespace (unix(7)), as the ruleset does, and vanish with the process, however it ends.
 *
 * Any local user may take or ask an abstract name. One who takes ours keeps us from writing, which changes nothing that
 * is in force, and is told in the error; what is answered to whoever asks must not be a secret.
 */
import { type RequestListener, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { closeServer, createLimitedServer, createRequestHandler, jsonReply, listening } from './http.ts'

export type LockRole = 'agent' | 'apply' | 'flush'

export interface LockHolder {
  readonly role: LockRole
  readonly pid: number
  /** The policy file it keeps in force; null where there is none. */
  readonly policyPath: string | null
  /** The daemon that leads it; null where none does. */
  readonly daemonUrl: string | null
  /** Where an agent looks for a panic, and keeps what it keeps; null where it does not say. */
  readonly stateDir: string | null
}

export interface Lock {
  /** Lets the next one in; resolves when it can. */
  release(): Promise<void>
}

export interface LockOptions {
  /** Absolute path of the policy file; told to others. */
  readonly policyPath?: string
  /** Told to others. */
  readonly daemonUrl?: string
  /** Told to others. */
  readonly stateDir?: string
  /** Answers what others ask over the socket. */
  readonly handler?: RequestListener
  /** Another name than Ringwall's own, for tests. */
  readonly socketName?: string
}

/** Somebody else holds the lock; the message says who and what to do. */
export class LockHeldError extends Error {
  /** Null where the holder does not answer as a Ringwall process does. */
  readonly holder: LockHolder | null

  constructor(role: LockRole, holder: LockHolder | null, socketName: string) {
    super(`${refusals[role]}: ${holder === null ? unknownHolder(socketName) : knownHolder(holder)}`)
    this.name = 'LockHeldError'
    this.holder = holder
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
}

export const defaultSocketName = 'ringwall'
const holderPath = '/holder'
const answerTimeoutMs = 5000
/** A million members are some 20 MB. */
const mostAnswerBytes = 256 * 1024 * 1024
/** A holder that ends between our attempt and our question leaves the name free. */
const attempts = 3

const refusals: Readonly<Record<LockRole, string>> = {
  agent: 'Cannot start the agent',
  apply: 'Cannot apply',
  flush: 'Cannot flush',
}

/**
 * @param role  what the caller is about to do
 * @throws {LockHeldError} if another process holds it
 */
export async function acquireLock(role: LockRole, options: LockOptions = {}): Promise<Lock> {
  const { policyPath = null, daemonUrl = null, stateDir = null, handler, socketName = defaultSocketName } = options
  const self: LockHolder = { role, pid: process.pid, policyPath, daemonUrl, stateDir }
  const tellHolder = createRequestHandler({ [holderPath]: () => jsonReply(200, self) }, () => {})
  const server = createLimitedServer((question, response) =>
    question.url === holderPath || handler === undefined ? tellHolder(question, response) : handler(question, response),
  )
  for (let attempt = 1; ; attempt += 1) {
    try {
      await listening(server, { path: `\0${socketName}` })
      return { release: () => closeServer(server) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      const answer = await ask(holderPath, socketName)
      if (answer === 'nobody' && attempt < attempts) continue
      throw new LockHeldError(role, answer === 'nobody' || answer === 'silent' ? null : readHolder(answer), socketName)
    }
  }
}

/**
 * Asks whoever holds the lock of this network namespace.
 * @returns null where nobody holds it, or the holder does not answer
 */
export async function askHolder(path: string, socketName = defaultSocketName): Promise<Answer | null> {
  const answer = await ask(path, socketName)
  return typeof answer === 'string' ? null : answer
}

export interface OpenAnswer {
  readonly status: number
  /** As it comes, until the holder ends it. */
  readonly chunks: AsyncIterable<Buffer>
}

/**
 * The same for an answer that goes on. It is given up on where nothing comes for some seconds: `LineStream` in http.ts.
 * @param signal  ends it
 * @returns null where nobody holds it, or the holder does not answer
 */
export async function openHolder(
  path: string,
  signal: AbortSignal,
  socketName = defaultSocketName,
): Promise<OpenAnswer | null> {
  const question = request({ socketPath: `\0${socketName}`, path, signal })
  question.setTimeout(answerTimeoutMs, () => question.destroy(new Error(`silent for ${answerTimeoutMs} ms`)))
  try {
    return await new Promise<OpenAnswer>((resolve, reject) => {
      question.on('error', reject)
      question.on('response', response => resolve({ status: response.statusCode ?? 0, chunks: response }))
      question.end()
    })
  } catch {
    return null
  }
}

/** Who holds the lock of this network namespace; null where nobody does, or nobody that answers as we do. */
export async function findHolder(socketName = defaultSocketName): Promise<LockHolder | null> {
  const answer = await ask(holderPath, socketName)
  return typeof answer === 'string' ? null : readHolder(answer)
}

async function ask(path: string, socketName: string): Promise<Answer | 'nobody' | 'silent'> {
  const question = request({ socketPath: `\0${socketName}`, path, signal: AbortSignal.timeout(answerTimeoutMs) })
  try {
    return await new Promise<Answer>((resolve, reject) => {
      question.on('error', reject)
      question.on('response', response => {
        text(bounded(response)).then(body => resolve({ status: response.statusCode ?? 0, body }), reject)
      })
      question.end()
    })
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'nobody' : 'silent'
  }
}

async function* bounded(response: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > mostAnswerBytes) throw new Error(`expected at most ${mostAnswerBytes} bytes`)
    yield chunk
  }
}

/** What anybody may have answered: trusted as far as it has the right shape. */
function readHolder({ status, body }: Answer): LockHolder | null {
  try {
    const { role, pid, policyPath, daemonUrl, stateDir } = JSON.parse(body) as Partial<LockHolder>
    const isHolder = status === 200 && role !== undefined && Object.hasOwn(refusals, role) && Number.isInteger(pid)
    if (!isHolder) return null
    const told = { policyPath: printable(policyPath), daemonUrl: printable(daemonUrl), stateDir: printable(stateDir) }
    return { role, pid: pid!, ...told }
  } catch {
    return null
  }
}

/** It goes to an operator's terminal. */
function printable(text: unknown): string | null {
  return typeof text === 'string' && !/\p{C}/u.test(text) ? text : null
}

function knownHolder({ role, pid, policyPath, daemonUrl }: LockHolder): string {
  if (role !== 'agent') {
    return `"ringwall ${role}" (pid ${pid}) is at work in this network namespace; try again when it has ended`
  }
  if (daemonUrl !== null) {
    return `a Ringwall agent (pid ${pid}, led by ${daemonUrl}) holds this network namespace; change its policy at the daemon, or stop it first`
  }
  const who = policyPath === null ? `pid ${pid}` : `pid ${pid}, policy ${policyPath}`
  return `a Ringwall agent (${who}) holds this network namespace; edit its policy file, or stop it first`
}

function unknownHolder(socketName: string): string {
  return `a process that does not answer holds the socket "@${socketName}" of this network namespace; "ss -xlp" names it`
}
