/** A real `ringwall daemon` in a process of its own on loopback, which can be killed and started again on its state. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from './free-port.ts'
import { ringwallProgram } from './ringwall.ts'

export class DaemonProcess implements AsyncDisposable {
  readonly dataDir: string
  /** Of the REST API; another one after each start. */
  port = 0
  /** Where agents connect, from the first start on; the same after each, as they expect. */
  agentPort = 0
  /** May do everything. */
  token = ''
  /** Log lines of warnings and errors. */
  readonly complaints: string[] = []
  readonly #flags: readonly string[]
  #process: ChildProcess | null = null

  /**
   * @param folder  where its state goes; need not exist
   * @param flags  further ones
   */
  constructor(folder: string, flags: readonly string[] = []) {
    this.dataDir = join(folder, 'daemon')
    this.#flags = flags
  }

  /** @throws {Error} where it ends before it serves */
  async start(): Promise<void> {
    this.agentPort ||= await freePort()
    const flags = [
      '--data-dir',
      this.dataDir,
      '--listen',
      '127.0.0.1:0',
      '--agent-listen',
      `127.0.0.1:${this.agentPort}`,
      ...this.#flags,
    ]
    const child = spawn(ringwallProgram, ['daemon', ...flags, '--requests-per-minute', '10000000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#process = child
    const lines = createInterface({ input: child.stdout })
    const served = new Promise<void>((resolve, reject) => {
      lines.on('line', line => {
        if (this.#read(line)) resolve()
      })
      lines.on('close', () => reject(new Error(`the daemon has ended: ${this.complaints.join('\n')}`)))
    })
    await served
    this.token ||= (await readFile(join(this.dataDir, 'first-token'), 'utf8')).trim()
  }

  /** Ends it without a chance to tidy up. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** Ends it as systemd does. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill()
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill(signal)
    await closed
  }

  /** @returns whether the REST API is served now */
  #read(line: string): boolean {
    const { level, msg, port } = JSON.parse(line)
    if (msg === 'the REST API is served') this.port = port
    if (level !== 'info') this.complaints.push(line)
    return msg === 'the REST API is served'
  }
}
