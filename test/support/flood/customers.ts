/**
 * Well-behaved traffic between the host and the Internet, and what becomes of it: a download, sessions that live on, new
 * connections from addresses not seen before.
 */
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Namespace } from '../../../lab/netns.ts'
import { type Scene, servicePort } from './scene.ts'

export type Errand =
  | { readonly kind: 'serve'; readonly port: number }
  | { readonly kind: 'download'; readonly address: string; readonly port: number; readonly bytesPerSecond: number }
  | {
      readonly kind: 'upload'
      readonly address: string
      readonly port: number
      readonly bytesPerSecond: number
      readonly localAddress?: string
    }
  | { readonly kind: 'session'; readonly address: string; readonly port: number; readonly localAddress: string }
  | {
      readonly kind: 'knock'
      readonly address: string
      readonly port: number
      readonly perSecond: number
      /** One after the other, from the first again after the last. */
      readonly localAddresses: readonly string[]
      readonly timeoutMs: number
    }

/** Of one end, since its last report. */
export interface Report {
  seconds: number
  downloadedBytes: number
  /** Of downloads, by the serving side: what it would have sent to a client that takes everything. */
  wantedBytes: number
  /** By the serving side. */
  receivedBytes: number
  /** Lines in sessions, and their answers. */
  asked: number
  answered: number
  /** Longest wait for the answer in a session, the one under way included. */
  longestSilenceMs: number
  /** Sessions, downloads and uploads that ended: nobody wanted them to. */
  readonly brokenSessions: string[]
  /** Of each connection that was answered, from its beginning to the answer. */
  readonly connectMs: number[]
  connectsFailed: number
}

/** What customers saw, both ends together. */
export type Service = Readonly<Report> & {
  /** Of the download. */
  readonly bytesPerSecond: number
}

/** One process that does errands in a namespace, until it is disposed of or the namespace goes. */
export class CustomerEnd implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor(namespace: Namespace) {
    this.#child = namespace.spawn(process.execPath, [`${import.meta.dirname}/customer-end.ts`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  async do(errand: Errand): Promise<void> {
    await this.#ask(errand)
  }

  async report(): Promise<Report> {
    return (await this.#ask({ kind: 'report' })).report!
  }

  async #ask(request: Errand | { readonly kind: 'report' }): Promise<{ readonly report?: Report }> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await this.#answers.next()
    if (done) throw new Error(`An end of well-behaved traffic has ended before "${request.kind}"`)
    const { error, ...answer } = JSON.parse(value)
    if (error !== undefined) throw new Error(`Cannot ${JSON.stringify(request)}: ${error}`)
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end()
  }
}

export interface CustomerOptions {
  /** Over IPv4, into the host. */
  readonly downloadBytesPerSecond: number
  /** In each family. */
  readonly knocksPerSecond: number
  /** How long a newcomer waits for a connection and its answer. */
  readonly patienceMs: number
}

const newcomers = 200
const downloadPort = 7001

/** A download from the client, a session of it in each family, and newcomers in each. */
export class Customers implements AsyncDisposable {
  readonly #host: CustomerEnd
  readonly #internet: CustomerEnd

  private constructor(host: CustomerEnd, internet: CustomerEnd) {
    this.#host = host
    this.#internet = internet
  }

  static async start(scene: Scene, options: CustomerOptions): Promise<Customers> {
    const host = new CustomerEnd(scene.victim)
    const internet = new CustomerEnd(scene.internet)
    await host.do({ kind: 'serve', port: servicePort })
    await internet.do({ kind: 'serve', port: downloadPort })
    const { client, target, newcomer } = scene
    for (const family of ['ip', 'ip6'] as const) {
      const place = { address: target.addresses[family], port: servicePort }
      await internet.do({ kind: 'session', ...place, localAddress: client[family] })
      if (options.knocksPerSecond > 0) {
        await internet.do({
          kind: 'knock',
          ...place,
          perSecond: options.knocksPerSecond,
          localAddresses: Array.from({ length: newcomers }, (_, index) => newcomer(index + 1)[family]),
          timeoutMs: options.patienceMs,
        })
      }
    }
    if (options.downloadBytesPerSecond > 0) {
      await host.do({
        kind: 'download',
        address: client.ip,
        port: downloadPort,
        bytesPerSecond: options.downloadBytesPerSecond,
      })
    }
    return new Customers(host, internet)
  }

  /** A backup from a private address into the host. */
  async backUp({ privateVictim, privateClient }: Scene, bytesPerSecond: number): Promise<void> {
    await this.#internet.do({
      kind: 'upload',
      address: privateVictim,
      port: servicePort,
      bytesPerSecond,
      localAddress: privateClient,
    })
  }

  /** What was seen since it was asked for last. */
  async service(): Promise<Service> {
    const [host, internet] = await Promise.all([this.#host.report(), this.#internet.report()])
    return {
      ...internet,
      downloadedBytes: host.downloadedBytes,
      receivedBytes: host.receivedBytes,
      brokenSessions: [...host.brokenSessions, ...internet.brokenSessions],
      bytesPerSecond: host.downloadedBytes / host.seconds,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]()
    await this.#internet[Symbol.asyncDispose]()
  }
}
