/** Some of the agents: real TLS and protocol, an answer to every update at once, and back again when cut off. */
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import { FakeAgent, type FakeCredentials } from '../../test/support/fake-agent.ts'
import { ViewCopy } from '../../test/support/view-copy.ts'
import type { Position, ToAgent } from '../../wire/messages.ts'
import { type ViewKey, viewKey } from '../../wire/view.ts'
import type { AgentsStart, FleetCredentials, FromAgentsProcess } from './messages.ts'
import { reportOf } from './scene.ts'

const { credentials, first, count, port, atOnce } = JSON.parse(process.argv[2]!) as AgentsStart
/** As docs/push-protocol.md has it. */
const backOffMs = { first: 200, most: 30_000 } as const
const counts = { resumed: 0, failures: 0, snapshots: 0, deltas: 0 }
/** The same keys are held by thousands: kept once. */
const names = new Map<string, string>()

/** What a view's keys are, without what they say: ten thousand copies of a group would fill the machine. */
class ViewKeys extends ViewCopy {
  #keys = new Set<ViewKey>()

  override get held() {
    return this.position === null ? null : { ...this.position, keys: [...this.#keys] }
  }

  override apply(message: Extract<ToAgent, { type: 'snapshot' | 'delta' }>): void {
    const set = message.type === 'snapshot' ? message.objects : message.set
    if (message.type === 'snapshot') this.#keys.clear()
    else for (const key of message.remove) this.#keys.delete(key)
    for (const { kind, id } of set) this.#keys.add(shared(viewKey(kind, id)))
    this.position = { storeId: shared(message.storeId), revision: message.revision }
  }
}

function shared(text: string): string {
  const known = names.get(text)
  if (known === undefined) names.set(text, text)
  return known ?? text
}

class SimulatedAgent {
  readonly #credentials: FakeCredentials
  /** Made once: in the field each host has the time to do it. */
  readonly #secureContext: SecureContext
  readonly #view = new ViewKeys()
  #session: Buffer | undefined
  #failures = 0

  constructor({ privateKey, ...credentials }: FleetCredentials) {
    this.#credentials = { ...credentials, privateKey: createPrivateKey(privateKey) }
    const { certificate: cert, caCertificate: ca } = credentials
    this.#secureContext = createSecureContext({ key: privateKey, cert, ca, minVersion: 'TLSv1.3' })
  }

  /** Resolves when it stands; goes on by itself afterwards. */
  async connect(): Promise<void> {
    for (;;) {
      try {
        await this.#connectOnce()
        return
      } catch {
        this.#failures += 1
        counts.failures += 1
        await setTimeout(Math.random() * Math.min(backOffMs.first * 2 ** (this.#failures - 1), backOffMs.most))
      }
    }
  }

  async #connectOnce(): Promise<void> {
    const enforced: Position | null = this.#view.position
    const agent = await FakeAgent.connect(port, this.#credentials, {
      view: this.#view,
      enforced,
      session: this.#session,
      tls: { secureContext: this.#secureContext },
      report: reportOf(this.#credentials.agentId),
      remembers: false,
      onUpdate: ({ type }) => {
        counts[type === 'snapshot' ? 'snapshots' : 'deltas'] += 1
      },
    })
    this.#failures = 0
    if (agent.resumed) counts.resumed += 1
    void agent
      .until(({ session }) => session !== undefined)
      .then(() => {
        this.#session = agent.session
      })
    void agent
      .until(({ closed }) => closed)
      .then(async () => {
        this.#failures = 1
        await setTimeout(Math.random() * backOffMs.first)
        await this.connect()
      })
  }
}

const lines = (await readFile(credentials, 'utf8')).split('\n').slice(first, first + count)
const waiting = lines.map(line => new SimulatedAgent(JSON.parse(line) as FleetCredentials))
process.on('message', tell)
tell()
// Whoever started us says when.
await once(process, 'message')
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (let agent = waiting.pop(); agent !== undefined; agent = waiting.pop()) await agent.connect()
  }),
)

function tell(): void {
  process.send?.({ ...counts } satisfies FromAgentsProcess)
}
