/** Notifications by HTTP, signed as standardwebhooks.com says. */
import { createHmac } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { bodyOf, type Notification } from './notification.ts'

export const webhookTimeoutMs = 10_000
/** Of a refusal, for the log. */
const maxAnswerLength = 500

export interface Webhook {
  readonly url: string
  /** What receivers check the signature with; null sends none. */
  readonly secret: Buffer | null
}

/** @throws {Error} unless the receiver takes it: an answer of 2xx, in time */
export async function post(
  { url, secret }: Webhook,
  notification: Notification,
  signal: AbortSignal,
  nowMs: number,
  timeoutMs = webhookTimeoutMs,
): Promise<void> {
  const body = bodyOf(notification)
  const { id } = notification
  const timestamp = Math.floor(nowMs / 1000)
  let answer: Response
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'ringwall',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        ...(secret !== null && { 'webhook-signature': signatureOf(secret, { id, timestamp, body }) }),
      },
      body,
      // Who is told is settled on this host; a receiver cannot send us on.
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
  } catch (cause) {
    throw new Error(failureText(cause, timeoutMs), { cause })
  }
  if (answer.ok) {
    await answer.body?.cancel().catch(() => {})
    return
  }
  const said = await beginningOf(answer)
  throw new Error(`answer ${answer.status}${said === '' ? '' : `: ${said}`}`)
}

/** `v1,` and the HMAC-SHA256 of id, time in seconds and body with dots between them, in base64. */
export function signatureOf(
  secret: Buffer,
  { id, timestamp, body }: { readonly id: string; readonly timestamp: number; readonly body: string },
): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}

/** fetch says "fetch failed" and keeps the reason in its cause. */
function failureText(error: unknown, timeoutMs: number): string {
  const { name, message, cause } = error as Error
  if (name === 'TimeoutError') return `no answer within ${timeoutMs} ms`
  return cause instanceof Error && cause.message !== '' ? cause.message : message
}

async function beginningOf(answer: Response): Promise<string> {
  let text = ''
  try {
    const decoder = new TextDecoder()
    for await (const chunk of answer.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      if (text.length >= maxAnswerLength) break
    }
  } catch {
    // The status says enough.
  }
  return text
    .slice(0, maxAnswerLength)
    .replace(/\p{C}+/gu, ' ')
    .trim()
}

/** @throws {Error} unless it is http or https, without a password in it, which every process list would show */
export function parseWebhookUrl(text: string): string {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new Error(`"${text}" is no URL for a webhook: expected https://HOST/PATH or http://HOST/PATH`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new Error(`the URL for a webhook at "${url.host}" has a user or password in it: expected none`)
  }
  return url.href
}

/** Bytes that the scheme asks for. */
const secretBytes = { least: 24, most: 64 } as const

/** @throws {Error} unless it is `whsec_` and base64 of 24 to 64 bytes */
export function parseSecret(text: string): Buffer {
  const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text.trim()) ?? []
  const secret = Buffer.from(base64, 'base64')
  if (secret.length >= secretBytes.least && secret.length <= secretBytes.most) return secret
  // The secret itself is not for a log.
  throw new Error(`expected "whsec_" and base64 of ${secretBytes.least} to ${secretBytes.most} bytes`)
}

/** @throws {Error} where it cannot be read, others than its owner can read it, or it holds no secret */
export async function readSecretFile(path: string): Promise<Buffer> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0) {
      throw new Error(`others than its owner can read it (mode 0${(mode & 0o777).toString(8)}): expected 0600`)
    }
    return parseSecret(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new Error(`Cannot take the secret from "${path}": ${(cause as Error).message}`, { cause })
  }
}
