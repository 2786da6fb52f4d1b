/** Something that operators, and the programs they have for it, are told of. */
import { isIP } from 'node:net'

export interface Notification {
  /** The same however often it is sent; letters, digits, dot, dash and underscore. */
  readonly id: string
  /** What happened, `ddos.start`. */
  readonly kind: string
  /** When, ISO 8601. */
  readonly time: string
  /** What it happened to; the order of notifications is kept for each by itself. */
  readonly instanceId: string
  /** Of the instance, in canonical text. */
  readonly addresses: readonly string[]
  /** One sentence, for people. */
  readonly message: string
  /** What else there is to say, as JSON. */
  readonly details: Readonly<Record<string, unknown>>
  /** The same for commands, which get it as variables `RINGWALL_…`; empty where there is nothing to say. */
  readonly variables: Readonly<Record<string, string>>
}

/** What is sent: the form that standardwebhooks.com recommends. A command has it on standard input. */
export function bodyOf(notification: Notification): string {
  const { id, kind, time, instanceId, addresses, message, details } = notification
  return JSON.stringify({ id, type: kind, timestamp: time, data: { instanceId, addresses, message, ...details } })
}

/**
 * The variables of a command: text without control characters, and of bounded length, whatever a notification says.
 * Addresses are left out that are not plain addresses.
 */
export function variablesOf(notification: Notification): Readonly<Record<string, string>> {
  const { id, kind, time, instanceId, addresses, message, variables } = notification
  const plain = addresses.filter(address => isIP(address) !== 0 && !address.includes('%'))
  const all = {
    ...variables,
    RINGWALL_NOTIFICATION_ID: id,
    RINGWALL_KIND: kind,
    RINGWALL_TIME: time,
    RINGWALL_INSTANCE_ID: instanceId,
    RINGWALL_MESSAGE: message,
  }
  const named = Object.entries(all).filter(([name]) => /^RINGWALL_[A-Z_]+$/.test(name))
  return {
    ...Object.fromEntries(named.map(([name, value]) => [name, printable(value)])),
    RINGWALL_ADDRESSES: plain.slice(0, maxAddresses).join(' '),
  }
}

const maxValueLength = 2_000
/** One variable takes 128 KiB on Linux (MAX_ARG_STRLEN, execve(2)). */
const maxAddresses = 2_000

function printable(value: string): string {
  return value.slice(0, maxValueLength).replace(/\p{C}/gu, '?')
}

/** For the header of a webhook and the name it goes by in logs. */
export function printableId(id: string): string {
  return id.slice(0, 200).replace(/[^\w.-]/g, '-')
}
