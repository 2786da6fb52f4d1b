/** The daemon's process, from outside. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { DaemonStart, FromDaemonProcess, Measures, ToDaemonProcess } from './messages.ts'

export class DaemonProcess {
  readonly #child: ChildProcess
  readonly #said: FromDaemonProcess[] = []
  port = 0
  startMs = 0

  static async start(start: DaemonStart, children: ChildProcess[]): Promise<DaemonProcess> {
    const child = fork(join(import.meta.dirname, 'daemon.ts'), [JSON.stringify(start)], { execArgv: ['--expose-gc'] })
    children.push(child)
    const daemon = new DaemonProcess(child)
    const { port, startMs } = await daemon.next('ready')
    daemon.port = port
    daemon.startMs = startMs
    return daemon
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (message: FromDaemonProcess) => this.#said.push(message))
    child.on('exit', (code, signal) => {
      if (signal !== 'SIGKILL') throw new Error(`the daemon's process ended by itself (${code ?? signal})`)
    })
  }

  /** The next message of this type, of those that came already too. */
  async next<Type extends FromDaemonProcess['type']>(type: Type): Promise<Extract<FromDaemonProcess, { type: Type }>> {
    for (;;) {
      const place = this.#said.findIndex(message => message.type === type)
      if (place !== -1) return this.#said.splice(place, 1)[0] as Extract<FromDaemonProcess, { type: Type }>
      await once(this.#child, 'message')
    }
  }

  measure(): Promise<Measures> {
    this.#say({ type: 'measure' })
    return this.next('measured')
  }

  change(member: number) {
    this.#say({ type: 'change', member })
    return this.next('changed')
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #say(message: ToDaemonProcess): void {
    this.#child.send(message)
  }
}
