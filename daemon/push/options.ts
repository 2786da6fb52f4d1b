/** What can be set about the agents' side; everything has a value that fits ten thousand agents. */
import { heartbeatMs } from '../../wire/messages.ts'

export interface PushOptions {
  readonly heartbeatMs: number
  /** Without an answer to an update for this long an agent is let go. */
  readonly answerTimeoutMs: number
  /** From the connection until `hello`, with the handshake. */
  readonly helloTimeoutMs: number
  /** Connections that have not shown a good certificate yet, from one address and in all. */
  readonly maxStrangersPerAddress: number
  readonly maxStrangers: number
  /** Connections of one agent: each may ask for the whole view. At once, and a second. */
  readonly connectionBurst: number
  readonly connectionsPerSecond: number
  /** Messages that answer no update: at once, and a second. */
  readonly messageBurst: number
  readonly messagesPerSecond: number
  /** The same for what is told of traffic scrubbing. */
  readonly ddosMessageBurst: number
  readonly ddosMessagesPerSecond: number
  /** The same for what is told of observed ENIs: large, and worth hearing every ten seconds. */
  readonly observedMessageBurst: number
  readonly observedMessagesPerSecond: number
  /** Events of one agent are stored at most this often; what comes in between is stored together. */
  readonly ddosEventIntervalMs: number
  /** After the store refused them. */
  readonly ddosRetryMs: number
  /** Reports of one agent are stored at most this often. */
  readonly reportIntervalMs: number
  /** Of the listener's own certificate; renewed after half of it. */
  readonly serverCertificateMs: number
}

const dayMs = 24 * 3600 * 1000

export const defaultPushOptions: PushOptions = {
  heartbeatMs,
  answerTimeoutMs: 60_000,
  helloTimeoutMs: 10_000,
  maxStrangersPerAddress: 512,
  maxStrangers: 4096,
  connectionBurst: 30,
  connectionsPerSecond: 0.5,
  messageBurst: 100,
  messagesPerSecond: 10,
  ddosMessageBurst: 400,
  ddosMessagesPerSecond: 20,
  observedMessageBurst: 10,
  observedMessagesPerSecond: 0.2,
  ddosEventIntervalMs: 1000,
  ddosRetryMs: 5000,
  reportIntervalMs: 5000,
  serverCertificateMs: 30 * dayMs,
}
