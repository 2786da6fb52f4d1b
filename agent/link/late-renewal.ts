/** A new certificate for one that has ended: docs/push-protocol.md, "Renewal". */
import type { RenewAnswer, RenewRequest } from '../../wire/enrolment.ts'
import { renewPath } from '../../wire/messages.ts'
import { type ConnectionEnd, connectTls, printable, readTurningAway, type Way } from './connection.ts'
import { postJson } from './post.ts'
import { objectOf, readJsonWith, text } from './shape.ts'

export type LateRenewal = { readonly certificate: string } | { readonly failed: ConnectionEnd }

const readAnswer = objectOf<RenewAnswer>({ certificate: text })

/**
 * Over a connection of its own, by a whole handshake: a ticket would not show that the key is there.
 * @returns the certificate, PEM, not looked at; or why there is none
 */
export async function askLateRenewal(way: Way, asked: RenewRequest, signal: AbortSignal): Promise<LateRenewal> {
  const socket = connectTls(way)
  // What ends it is told by the question.
  socket.on('error', () => {})
  try {
    const { daemon } = way
    const { publicKey, proof } = asked
    const { status, json } = await postJson(socket, { daemon, path: renewPath, body: { publicKey, proof }, signal })
    if (status !== 201) return { failed: readTurningAway(status, json) }
    const answer = readJsonWith(readAnswer, json)
    if ('value' in answer) return answer.value
    return { failed: { reason: 'malformed', message: `what the daemon answers is no certificate: ${answer.fault}` } }
  } catch (error) {
    return { failed: { reason: 'unreachable', message: printable((error as Error).message) } }
  } finally {
    socket.destroy()
  }
}
