/**
 * A scripted daemon in a network namespace, as a process that can be killed. Both ends are here: run as a program it
 * is the daemon, which prints what it hears and does what it reads, one JSON value a line.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Namespace } from '../../lab/netns.ts'
import type { ToAgent, ToDaemon } from '../../wire/messages.ts'
import type { TestAuthority } from './certificates.ts'
import {
  type AgentConnection,
  Inbox,
  type Said,
  type ScriptedDaemonOptions,
  startScriptedDaemon,
} from './scripted-daemon.ts'

export interface DaemonProcess extends AsyncDisposable {
  readonly url: string
  /** For one join. */
  readonly token: string
  next<Type extends ToDaemon['type']>(type: Type): Promise<Said<Type>>
  /** To the agent connected last; to the first, where none is connected yet. */
  send(message: ToAgent): void
  /** Resolves when what was given to `send` has left the process, for an agent that is connected. */
  isSent(): Promise<void>
  /** Its connections stay, and nothing is answered any more. */
  hang(): void
  /** SIGKILL, and waits for its end. */
  kill(): Promise<void>
}

interface Begun {
  readonly url: string
  readonly token: string
}

/** @param address  of the namespace */
export async function startDaemonProcess(
  namespace: Namespace,
  options: { readonly address: string; readonly port: number; readonly authority: TestAuthority },
): Promise<DaemonProcess> {
  const child = namespace.spawn(process.execPath, [import.meta.filename, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout! })
  const inbox = new Inbox<ToDaemon>('message')
  const onSent: (() => void)[] = []
  const begun = await new Promise<Begun>(resolve => {
    lines.once('line', first => {
      // At once: what an agent says may come in the same chunk.
      lines.on('line', line => (line === '"sent"' ? onSent.shift()?.() : inbox.put(JSON.parse(line))))
      resolve(JSON.parse(first) as Begun)
    })
  })
  const end = async () => {
    await kill(child)
    inbox.close()
  }
  return {
    ...begun,
    next: async type => (await inbox.take(message => message.type === type)) as never,
    send: message => void child.stdin!.write(`${JSON.stringify(message)}\n`),
    async isSent() {
      const answered = Promise.withResolvers<void>()
      onSent.push(answered.resolve)
      child.stdin!.write('"sent?"\n')
      await answered.promise
    },
    hang: () => void child.kill('SIGSTOP'),
    kill: end,
    [Symbol.asyncDispose]: end,
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

async function main(options: ScriptedDaemonOptions): Promise<void> {
  const daemon = await startScriptedDaemon(options)
  const print = (value: unknown) => void process.stdout.write(`${JSON.stringify(value)}\n`)
  let connection: AgentConnection | null = null
  // The agent hears that it is connected before this process does; what is sent then goes to it all the same.
  const early: string[] = []
  print({ url: daemon.url, token: daemon.token() } satisfies Begun)
  createInterface({ input: process.stdin })
    .on('line', line => {
      // Asked in the order of what is sent, and written by the kernel at once: an agent reads it or not.
      if (line === '"sent?"') setImmediate(() => print('sent'))
      else if (connection === null) early.push(line)
      else connection.send(line)
    })
    .on('close', () => process.exit())
  for (;;) {
    connection = await daemon.connection({ waitMs: null })
    for (const line of early.splice(0)) connection.send(line)
    void tell(connection, print)
  }
}

async function tell(connection: AgentConnection, print: (value: unknown) => void): Promise<void> {
  for (;;) print(await connection.any({ waitMs: null }))
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? '{}'))
