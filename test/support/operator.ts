/** A control daemon of one's own, and commands that speak to it as an operator's do. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { runCommand } from '../../cli/command.ts'
import { listedCommands } from '../../cli/command-list.ts'
import { createLogger } from '../../common/log.ts'
import { startDaemon } from '../../daemon/daemon.ts'
import type { CommandResult } from './command-line.ts'

export interface RunOptions {
  readonly stdin?: string
  /** What the streams are where they are a terminal: 80 columns. */
  readonly terminal?: 'stdin' | 'stdout' | 'stderr'
}

export interface Operator extends AsyncDisposable {
  readonly url: string
  /** Of the listener for agents. */
  readonly agentPort: number
  /** Write on everything. */
  readonly token: string
  /** Empty at first; gone with the daemon. */
  readonly folder: string
  /** Runs `ringwall …` in this process. */
  run(args: readonly string[], options?: RunOptions): Promise<CommandResult>
  /** The same where it must succeed: what it printed. @throws {Error} with what it said if it does not */
  do(...args: readonly string[]): Promise<string>
}

export interface OperatorOptions {
  readonly tls?: { readonly certificate: string; readonly key: string } | null
  /** The API is on a socket in the folder. */
  readonly onSocket?: boolean
}

/**
 * Sets this process's environment as an operator's: no contexts yet, the daemon and its first token in RINGWALL_URL and
 * RINGWALL_TOKEN. One at a time.
 */
export async function startOperator({ tls = null, onSocket = false }: OperatorOptions = {}): Promise<Operator> {
  const folder = await mkdtemp(join(tmpdir(), 'ringwall-operator-'))
  const dataDir = join(folder, 'daemon')
  const socketPath = join(folder, 'api.sock')
  const logged: Record<string, unknown>[] = []
  const destination = new Writable({
    write(line, _encoding, done) {
      logged.push(JSON.parse(String(line)))
      done()
    },
  })
  const daemon = await startDaemon({
    dataDir,
    listen: onSocket ? { kind: 'unix', path: socketPath } : { kind: 'tcp', address: '127.0.0.1', port: 0 },
    tls,
    agentListen: { address: '127.0.0.1', port: 0 },
    agentUrl: 'https://ringwall.example:9443',
    hostName: 'ringwall.example',
    requestsPerMinute: 1_000_000,
    log: createLogger('ringwall-daemon', 'info', destination),
  })
  const portOf = (msg: string) => Number(logged.find(line => line.msg === msg)?.port)
  const tcpUrl = `${tls === null ? 'http' : 'https'}://127.0.0.1:${portOf('the REST API is served')}`
  const url = onSocket ? `unix:${socketPath}` : tcpUrl
  const token = (await readFile(join(dataDir, 'first-token'), 'utf8')).trim()
  process.env.TZ = 'UTC'
  process.env.XDG_CONFIG_HOME = join(folder, 'config')
  process.env.RINGWALL_URL = url
  process.env.RINGWALL_TOKEN = token
  delete process.env.RINGWALL_CONTEXT
  return {
    url,
    token,
    folder,
    agentPort: portOf('agents are served'),
    run: runRingwallHere,
    async do(...args) {
      const { exitCode, stdout, stderr } = await runRingwallHere(args)
      if (exitCode !== 0) throw new Error(`ringwall ${args.join(' ')} ended with ${exitCode}: ${stderr}${stdout}`)
      return stdout
    },
    async [Symbol.asyncDispose]() {
      await daemon.stop()
      await rm(folder, { recursive: true })
    },
  }
}

/** A command line in this process, which is much faster than one of its own. */
export async function runRingwallHere(
  [name = '', ...args]: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const { stdin = '', terminal } = options
  const { command } = await listedCommands.get(name)!.load()
  const out: string[] = []
  const err: string[] = []
  const asTerminal = (is: boolean) => (is ? { isTTY: true, columns: 80 } : {})
  const input = Object.assign(Readable.from(stdin === '' ? [] : [stdin]), asTerminal(terminal === 'stdin'))
  const exitCode = await runCommand(command, args, {
    stdin: input,
    stdout: { write: (text: string) => out.push(text), ...asTerminal(terminal === 'stdout') },
    stderr: { write: (text: string) => err.push(text), ...asTerminal(terminal === 'stderr') },
  })
  if (!input.readableEnded) input.destroy()
  if (!input.closed) await once(input, 'close')
  return { exitCode, stdout: out.join(''), stderr: err.join('') }
}
