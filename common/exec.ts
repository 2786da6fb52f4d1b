/**
 * Child processes, in the two ways the agent uses them: run to its end with input given, or read line by line for as
 * long as it lives. Messages of children are C locale, because they are sorted by their text.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, existsSync, openSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'

/**
 * Put before a command: `['ip', 'netns', 'exec', NAME]` has it act in that network namespace, so that one process can
 * drive many. Empty means the namespace of this process.
 */
export type CommandPrefix = readonly string[]

export interface RunOptions {
  /** Given to the command on standard input, which is empty otherwise. */
  readonly input?: string
  /** The command is killed with SIGKILL after this long; 30,000 where left out. */
  readonly timeoutMs?: number
  /** More on standard output than this many bytes kills the command; 256 MiB where left out. */
  readonly maxOutputBytes?: number
  /** Given each line of standard output as it comes, for output too large to keep; `stdout` is empty then. */
  readonly onLine?: (line: string) => void
  /** Told the pid as soon as there is one, before anything the command does can be seen. */
  readonly onStart?: (pid: number) => void
  /** In place of this process's own variables, but for the search path; the locale is C all the same. */
  readonly environment?: Readonly<Record<string, string>>
  /** For scripts: where the command is killed, what it has started is killed with it. */
  readonly ownGroup?: boolean
  /** Kills the command. */
  readonly signal?: AbortSignal
}

export interface RunResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** A command that could not be run to its end; one that ends with an exit code of its own is a `RunResult`. */
export class RunError extends Error {
  readonly kind: 'no-such-command' | 'cannot-start' | 'timeout' | 'output-too-large' | 'killed'

  constructor(kind: RunError['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RunError'
    this.kind = kind
  }
}

const defaultTimeoutMs = 30_000
const defaultMaxOutputBytes = 256 * 1024 * 1024
/** Error messages are short; a command that writes more than this has gone wrong in some other way. */
const maxErrorBytes = 64 * 1024

/**
 * @param command  the program and its arguments; no shell is involved
 * @throws {RunError} if it cannot be started or did not end by itself
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input = '', timeoutMs = defaultTimeoutMs, maxOutputBytes = defaultMaxOutputBytes } = options
  const child = startWithInput(command, input, options)
  let cutShort: RunError | null = null
  const cut = (error: RunError) => {
    cutShort ??= error
    kill(child, options)
    // A grandchild may hold the pipes open for longer than we care.
    child.stdout!.destroy()
    child.stderr!.destroy()
  }

  const tooLarge = () =>
    cut(new RunError('output-too-large', `Command "${summary(command)}" wrote more than ${maxOutputBytes} bytes`))
  const stdout = options.onLine === undefined ? collect(child.stdout!, maxOutputBytes, tooLarge) : () => ''
  if (options.onLine !== undefined) readLines(child.stdout!, options.onLine)
  const stderr = collect(child.stderr!, maxErrorBytes)
  const timer = setTimeout(
    () => cut(new RunError('timeout', `Command "${summary(command)}" did not end within ${timeoutMs} ms`)),
    timeoutMs,
  )
  const abort = () => cut(new RunError('killed', `Command "${summary(command)}" was not waited for any longer`))
  options.signal?.addEventListener('abort', abort)
  if (options.signal?.aborted) abort()
  if (child.pid !== undefined) options.onStart?.(child.pid)
  try {
    const { exitCode, signal } = await ended(child, command)
    if (cutShort !== null) throw cutShort
    if (exitCode === null) throw new RunError('killed', `Command "${summary(command)}" was ended by ${signal}`)
    return { exitCode, stdout: stdout(), stderr: stderr() }
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', abort)
  }
}

function kill(child: ChildProcess, { ownGroup = false }: RunOptions): void {
  if (!ownGroup || child.pid === undefined) {
    child.kill('SIGKILL')
    return
  }
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // All of the group have ended.
  }
}

export interface LineProcessOptions {
  /** Whether it is given input line by line, by `write`; otherwise its input is empty. */
  readonly takesInput?: boolean
  readonly onLine: (line: string) => void
  /** Lines of standard error. */
  readonly onErrorLine?: (line: string) => void
  /** Called once when the process is gone, unless `close` ended it. */
  readonly onEnd: (reason: string) => void
}

export interface LineProcess {
  /** Undefined where the process could not be started; `onEnd` tells why. */
  readonly pid: number | undefined
  /** To its standard input; a process that has ended takes nothing, and `onEnd` tells of that. */
  write(text: string): void
  /** Ends the process and waits until it is gone; nothing is called afterwards. */
  close(): Promise<void>
}

/** Starts a command that prints lines until it is ended; one that prints a line without end is ended too. */
export function spawnLines(command: readonly string[], options: LineProcessOptions): LineProcess {
  const child = start(command, options.takesInput ? 'pipe' : 'ignore', {})
  const running = follow(child, command, options)
  readLines(
    child.stdout!,
    line => running.isOpen() && options.onLine(line),
    () => child.kill('SIGKILL'),
  )
  return {
    pid: child.pid,
    write(text) {
      child.stdin?.write(text)
    },
    close: running.close,
  }
}

export interface ByteProcessOptions extends Pick<LineProcessOptions, 'onErrorLine' | 'onEnd'> {
  readonly onBytes: (chunk: Buffer) => void
}

/**
 * Starts a command that writes bytes until it is ended. Its standard input is a pipe that stays open and empty: its end
 * tells the command that this process is gone, however that came.
 */
export function spawnBytes(command: readonly string[], options: ByteProcessOptions): Omit<LineProcess, 'write'> {
  const child = start(command, 'pipe', {})
  const running = follow(child, command, options)
  child.stdout!.on('data', chunk => running.isOpen() && options.onBytes(chunk))
  return { pid: child.pid, close: running.close }
}

/** Until the end of a command, or ours of listening to it. */
function follow(
  child: ChildProcess,
  command: readonly string[],
  { onErrorLine, onEnd }: Pick<LineProcessOptions, 'onErrorLine' | 'onEnd'>,
) {
  // A write to a process that has ended: its end is told.
  child.stdin?.on('error', () => {})
  let open = true
  let lastError = ''
  readLines(child.stderr!, line => {
    if (!open) return
    if (line.trim() !== '') lastError = line.trim()
    onErrorLine?.(line)
  })
  const gone = ended(child, command).then(
    ({ exitCode, signal }) => `"${summary(command)}" ended (${lastError || signal || `exit code ${exitCode}`})`,
    error => error.message as string,
  )
  gone.then(reason => open && onEnd(reason))
  return {
    isOpen: () => open,
    async close() {
      open = false
      child.kill('SIGKILL')
      await gone
    },
  }
}

/**
 * Input comes from a file without a name: nft opens /dev/stdin anew, which the sockets Node gives a child do not allow
 * (ENXIO), and a file is whole before the command starts, so none ever reads half of its input. It is written at offset
 * 0 without moving there: a command that reads the descriptor it was given must not find itself at the end, because nft
 * takes an empty input for nothing to do, exit code 0.
 */
function startWithInput(command: readonly string[], input: string, options: RunOptions): ChildProcess {
  if (input === '') return start(command, 'ignore', options)
  const folder = inputFolder()
  try {
    const file = openSync(folder, constants.O_RDWR | tmpFile, 0o600)
    try {
      writeAt0(file, Buffer.from(input))
      return start(command, file, options)
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    if (cause instanceof RunError) throw cause
    const message = `Cannot give "${summary(command)}" its input through a file in "${folder}": ${(cause as Error).message}`
    throw new RunError('cannot-start', message, { cause })
  }
}

/** O_TMPFILE (open(2)), which Node does not name: the file never has a name, so a kill leaves nothing behind. */
const tmpFile = 0o20000000 | constants.O_DIRECTORY

/** In memory where the host has such a place: a full disk must not keep a new policy from the kernel. */
function inputFolder(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
}

function writeAt0(file: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(file, bytes, written, bytes.length - written, written)
  }
}

function start(command: readonly string[], stdin: number | 'ignore' | 'pipe', options: RunOptions): ChildProcess {
  const { environment = process.env, ownGroup = false } = options
  const [program = '', ...args] = command
  try {
    return spawn(program, args, {
      stdio: [stdin, 'pipe', 'pipe'],
      env: childEnvironment(environment),
      detached: ownGroup,
    })
  } catch (error) {
    throw startError(command, error as NodeJS.ErrnoException)
  }
}

/** The tools live where root's path leads; a user's path often leaves it out. */
function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...environment, LC_ALL: 'C', PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/sbin:/sbin` }
}

interface Ending {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

function ended(child: ChildProcess, command: readonly string[]): Promise<Ending> {
  return new Promise((resolve, reject) => {
    child.on('error', error => reject(startError(command, error)))
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal }))
  })
}

function startError(command: readonly string[], cause: NodeJS.ErrnoException): RunError {
  if (cause.code === 'ENOENT') return new RunError('no-such-command', `${command[0]} not found`, { cause })
  return new RunError('cannot-start', `Cannot start "${summary(command)}": ${cause.message}`, { cause })
}

/** A longer line is cut. */
const maxLineLength = 64 * 1024
/** A line this long will not end: nft 1.0.6's monitor may print an event it cannot read at a length without limit. */
const endlessLineLength = 4 * 1024 * 1024

function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void, onEndless = () => {}): void {
  let line = ''
  let length = 0
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const parts = chunk.split('\n')
    const last = parts.pop()!
    for (const part of parts) {
      onLine(line === '' ? part : line + part.slice(0, maxLineLength - line.length))
      line = ''
      length = 0
    }
    line += last.slice(0, maxLineLength - line.length)
    length += last.length
    if (length > endlessLineLength) onEndless()
  })
  stream.on('end', () => line !== '' && onLine(line))
}

/** Gathers what a stream carries; the result is read when the stream has ended. */
function collect(stream: NodeJS.ReadableStream, maxBytes: number, onTooMuch?: () => void): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= maxBytes) chunks.push(chunk)
    else onTooMuch?.()
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

const maxSummaryLength = 120

function summary(command: readonly string[]): string {
  const text = command.join(' ')
  return text.length <= maxSummaryLength ? text : `${text.slice(0, maxSummaryLength)}…`
}
