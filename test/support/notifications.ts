/** Notifications, and a notifier on a folder of its own, for tests. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { createLogger } from '../../common/log.ts'
import { deadLettersFile } from '../../common/notify/dead-letters.ts'
import type { Notification } from '../../common/notify/notification.ts'
import { createNotifier, type Notifier, type NotifierOptions } from '../../common/notify/notifier.ts'

export function notification(id: string, parts: Partial<Notification> = {}): Notification {
  return {
    id,
    kind: 'ddos.start',
    time: new Date().toISOString(),
    instanceId: 'i-1',
    addresses: ['198.18.0.2', '2001:db8::2'],
    message: 'The traffic offered exceeds the thresholds',
    details: { event: { id: 'ddos-1' } },
    variables: { RINGWALL_EVENT_ID: 'ddos-1', RINGWALL_PHASE: 'cleaning' },
    ...parts,
  }
}

export type LogLine = Readonly<Record<string, unknown>>

export interface NotifierAtWork extends Notifier, AsyncDisposable {
  readonly folder: string
  readonly lines: readonly LogLine[]
  /** Resolves when a line has been logged that fits. */
  logged(fits: (line: LogLine) => boolean): Promise<LogLine>
  metric(name: string): Promise<string | undefined>
  deadLetters(): Promise<readonly LogLine[]>
}

export async function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'ringwall-notify-'))
}

const hourMs = 3_600_000

/**
 * However long a busy disk or receiver takes, it is waited for, unless the limits say otherwise.
 * @param options  the folder, where there is one already, stays
 */
export async function startNotifier(options: Partial<NotifierOptions> = {}): Promise<NotifierAtWork> {
  const ownFolder = options.folder === undefined ? await newFolder() : null
  const folder = options.folder ?? ownFolder ?? ''
  const lines: LogLine[] = []
  const waiting = new Set<() => void>()
  const log = createLogger('test', 'debug', {
    write(line) {
      lines.push(JSON.parse(line))
      for (const wake of waiting) wake()
    },
  })
  const registry = new Registry()
  const notifier = createNotifier({
    folder,
    command: null,
    webhook: null,
    kinds: ['ddos.start', 'ddos.end'],
    log,
    registry,
    ...options,
    limits: { diskWaitMs: hourMs, webhookTimeoutMs: hourMs, ...options.limits },
  })
  return {
    folder,
    lines,
    ...notifier,
    async logged(fits) {
      for (;;) {
        const line = lines.find(fits)
        if (line !== undefined) return line
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting.add(resolve)
        await promise
        waiting.delete(resolve)
      }
    },
    async metric(name) {
      const text = await registry.metrics()
      return text
        .split('\n')
        .find(line => line.startsWith(`${name} `))
        ?.slice(name.length + 1)
    },
    async deadLetters() {
      const text = await readFile(join(folder, deadLettersFile), 'utf8').catch(() => '')
      return text
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line))
    },
    async [Symbol.asyncDispose]() {
      await notifier.close()
      if (ownFolder !== null) await rm(ownFolder, { recursive: true })
    },
  }
}

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Receiver extends AsyncDisposable {
  readonly url: string
  readonly received: readonly Received[]
  /** Resolves when there are so many. */
  count(requests: number): Promise<readonly Received[]>
}

/** A web server that notes what it gets, before it answers. */
export async function startReceiver(
  answer: RequestListener = (_request, response) => void response.writeHead(204).end(),
): Promise<Receiver> {
  const received: Received[] = []
  const waiting = new Set<() => void>()
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    received.push({ headers: request.headers, body })
    for (const wake of waiting) wake()
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    async count(requests) {
      while (received.length < requests) {
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting.add(resolve)
        await promise
        waiting.delete(resolve)
      }
      return received
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
